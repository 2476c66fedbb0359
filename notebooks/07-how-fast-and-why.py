# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How fast, and why: where does the time of training go?
#
# Every library that trains a network does the same sums. So why should one need less time than another? On this page
# you look at measurements of the same works in several libraries, check that nobody has done less than the others, and
# then take the time apart: what has to be computed, what can be left out, and what a CPU can do at most.
#
# Before you go on, guess:
#
# * What share of the multiplications in the first layer has a zero in it?
# * If these are left out, and nothing else changes, how many times faster is a step of training?
# * A library can do more operations in a second than another and still need longer. How?
# * What takes longest in a step: forward, backward, or the optimizer?
# * Twice as many units, or twice as many threads: how does the time change?
#
# Only what is in the images is counted here. All times are read from reports that programs in the folder `benchmarks`
# wrote, and what is said about them is printed by the cells. So if you measure on your machine and run this page again,
# it speaks of your machine.

# %%
import json
import math
import statistics
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mnist_c as mc

# Colours that stay apart for colour-blind readers and in a grey print (Okabe and Ito).
BLACK, GREY = "#000000", "#777777"
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY_BLUE = "#CC79A7", "#56B4E9"
plt.rcParams.update({"figure.dpi": 80, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})

COMMANDS = {
    "speed-compare": 'make bench ARGS="--json notebooks/reports/speed-compare.json"',
    "speed-kernels": ".venv/bin/python benchmarks/kernels.py --json notebooks/reports/speed-kernels.json",
    "speed-scaling": ".venv/bin/python benchmarks/scaling.py --json notebooks/reports/speed-scaling.json",
}


def missing(name):
    print(f"reports/{name}.json is missing. This makes it, in the folder of the repository:\n  {COMMANDS[name]}")


def load(name):
    """A report, or None."""
    path = Path("reports", f"{name}.json")
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    missing(name)
    return None


compare, kernels, scaling = map(load, COMMANDS)
if compare is None:
    raise FileNotFoundError(f"this page is about a comparison that must be made first: {COMMANDS['speed-compare']}")

machine, settings, build = compare["machine"], compare["settings"], compare.get("build", {})
peak = max(measured["gflops"] for measured in compare["peak"])
print(f"comparison of {compare['date'][:10]}: {machine['cpu']}, {machine['system']}")
print(f"  threads: {settings['threads']} of {machine['cores']} cores, for every library")
print(f"  kernels of mnist_c: {build.get('instruction set', 'not known')}; {build.get('compiler', '')}")
print(f"  float32 matrix product of NumPy: {peak:.0f} GFLOP/s; {compare['peak'][0]['blas']}")
for name, report in (("kernels", kernels), ("scaling", scaling)):
    if report:
        print(f"{name}: {report['machine']['cpu']}, {report['machine']['system']}")
print()
if settings["rounds"] < 5:
    print(f"NOTE: only {settings['rounds']} rounds; at least 5 are meant to be quoted")
if settings["rows"]:
    print(f"NOTE: all works were shortened to {settings['rows']:,} images: no real measurement")
if settings["isa"]:
    print(f"NOTE: mnist_c was limited to {settings['isa']}; the others were not")
if any("synthetic" in entry["data"] for entry in compare["works"]):
    print("NOTE: there was no MNIST: synthetic digits were used")
if scaling and scaling["runs"] < 5:
    print(f"NOTE: only {scaling['runs']} run(s) of each setting in the report of scaling: its curves are rough")

# %% [markdown]
# ## The rules
#
# * Every library starts from the same weights, has the same images, the same batch size, the same formula of the
#   optimizer, the same CPUs. It is used the fastest way that is known for it; where it depends, a short trial chose.
# * For the others only the training counts: their images are float tensors already, and their code is compiled. For
#   mnist_c all of `fit` counts: it is given bytes, as users have them.
# * They take turns, after a round that warms everything up. What counts is the **minimum** of the rounds: other
#   programs can make a run slower, but never faster.
# * One function computes everybody's loss from the trained weights. If it is not finite, or far above that of the
#   others, the library has not done the work, and counts as no rival.

# %%
OURS, LOSS_MULTIPLE = "mnist_c", 1.5  # a loss above that many times the median of the others is out of line
STYLES = {
    OURS: ("mnist_c", BLACK, "|"),
    "jax": ("JAX", BLUE, "o"),
    "torch": ("PyTorch", VERMILLION, "s"),
    "torch-compile": ("torch.compile", ORANGE, "D"),
    "keras-tensorflow": ("Keras on TensorFlow", PURPLE, "^"),
    "keras-published": ("Keras, as published", PURPLE, "2"),
    "keras-jax": ("Keras on JAX", SKY_BLUE, "v"),
    "sklearn": ("scikit-learn", GREEN, "P"),
    "numpy": ("NumPy", BLACK, "X"),
    "onnxruntime": ("ONNX Runtime", GREY, "*"),
}


class Record:
    """One work, and the libraries that did it."""

    def __init__(self, entry):
        self.work, self.cost = entry["work"], entry["cost"]
        self.name, self.training = self.work["name"], self.work["kind"] == "train"
        self.label = f"{self.work['title']}\nper {self.work['unit']}"
        self.peers = {name: peer for name, peer in entry["peers"].items() if peer.get("seconds")}

    def minimum(self, name):
        return min(self.peers[name]["seconds"])

    def ratio(self, name, of=min):
        """How many times our time that of another is."""
        return of(self.peers[name]["seconds"]) / of(self.peers[OURS]["seconds"])

    def losses(self, name, kind="loss"):
        """One for each run, NaN where it was not finite; none where the work has no such loss."""
        values = [] if kind == "validation_loss" and not self.work["validation"] else self.peers[name][kind]
        return [math.nan if value is None else value for value in values]

    def typical(self, kind, without=""):
        """The median of all libraries but one."""
        medians = [statistics.median(self.losses(name, kind)) for name in self.peers if name != without]
        finite = [value for value in medians if math.isfinite(value)]
        return statistics.median(finite) if finite else math.inf

    def out_of_line(self, name):
        def is_far(kind):
            values = self.losses(name, kind)
            finite = all(map(math.isfinite, values))
            return values and not (finite and statistics.median(values) <= LOSS_MULTIPLE * self.typical(kind, name))

        return any(map(is_far, ("loss", "validation_loss")))

    @property
    def best(self):
        """The fastest of the others that did the work, or None."""
        rivals = [name for name in self.peers if name != OURS and not self.out_of_line(name)]
        return min(rivals, key=self.minimum, default=None)


def title(name):
    return STYLES.get(name, (name,))[0]


def style(name):
    """Colour and marker, also of a library that this page does not know."""
    return STYLES.get(name, (name, PURPLE, "h"))[1:]


def duration(seconds):
    """Three digits, in s, ms or µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:#.3g}".removesuffix(".") + " " + unit


def listed(texts):
    """a, b and c"""
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def tally(text, found, of):
    """Prints how many works were found, and which."""
    print(f"{text}: {len(found)} of {len(of)}")
    if found:
        print(f"  {', '.join(record.name for record in found)}")


class Table:
    """Texts in rows, the first cell of a row on the left; drawn by Jupyter."""

    def __init__(self, header, rows):
        self.rows = [("th", header), *(("td", row) for row in rows)]

    def __repr__(self):
        return "\n".join("  ".join(row) for _, row in self.rows)

    def _repr_html_(self):
        def line(tag, row):
            sides = ["left"] + ["right"] * (len(row) - 1)
            cells = (f'<{tag} style="text-align: {s}">{text}</{tag}>' for s, text in zip(sides, row, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        return f"<table>{''.join(line(*row) for row in self.rows)}</table>"


records = [record for record in map(Record, compare["works"]) if OURS in record.peers]
names = [name for name in STYLES if any(name in record.peers for record in records)]
names += sorted({name for record in records for name in record.peers} - set(names))
rivals = [record for record in records if record.best]
print(f"{len(records)} works; done by {listed([title(name) for name in names])}")

# %% [markdown]
# ## Who is how fast
#
# The minimum of each library. The fastest of the others is in bold, and the last column is its time divided by ours. A
# "!" marks a loss that is out of line; "-" means that this library did not do the work (some only predict).


# %%
def cell(record, name):
    if name not in record.peers:
        return "-"
    text = duration(record.minimum(name)) + (" !" if record.out_of_line(name) else "")
    return f"<b>{text}</b>" if name == record.best else text


Table(
    ["work", *map(title, names), "best of the others / mnist_c"],
    [
        [
            record.label.replace("\n", ", "),
            *(cell(record, name) for name in names),
            f"{record.ratio(record.best):.2f}" if record.best else "",
        ]
        for record in records
    ],
)

# %% [markdown]
# The same as a picture, in multiples of our time: on the line a library is as fast as mnist_c, left of it faster, right
# of it slower. The axis is logarithmic, so that twice as slow is the same step everywhere. The thin lines go from the
# fastest round to the slowest. A hollow mark is a loss out of line.


# %%
def work_axes(ax, lines=1):
    """One line for each work, the first at the top."""
    labels = [f"{record.label}: {duration(record.minimum(OURS))}" for record in records]
    ax.set_yticks(range(len(records)), labels if lines > 1 else [record.name for record in records], fontsize=8)
    ax.set_ylim(len(records) - 0.5, -0.5)
    ax.grid(True, axis="x", which="both", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def plain_tick(value, _=None):
    """1, 2, 5, 10, ...; other lines of a logarithmic axis stay without a number."""
    leading = value / 10 ** math.floor(math.log10(value) + 1e-9)
    return f"{value:g}" if round(leading, 6) in (1, 2, 5) else ""


def log_axis(axis):
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_major_formatter(plain_tick)
    axis.set_minor_formatter(plain_tick)


fig, ax = plt.subplots(figsize=(10, 1.5 + 0.45 * len(records)), layout="constrained")
ax.axvline(1, color=BLACK, linewidth=1.2, label=OURS)
for name in (name for name in names if name != OURS):
    colour, mark = style(name)
    for y, record in enumerate(records):
        if name in record.peers:
            times = [seconds / record.minimum(OURS) for seconds in record.peers[name]["seconds"]]
            face = "none" if record.out_of_line(name) else colour
            ax.plot([min(times), max(times)], [y, y], "-", color=colour, linewidth=1)
            ax.plot(min(times), y, mark, color=colour, markerfacecolor=face, markersize=7)
    ax.plot([], [], mark, color=colour, markersize=7, label=title(name))
for y, record in enumerate(records):
    times = [seconds / record.minimum(OURS) for seconds in record.peers[OURS]["seconds"]]
    ax.plot([min(times), max(times)], [y, y], "-", color=BLACK, linewidth=1)
work_axes(ax, lines=2)
log_axis(ax.xaxis)
ax.set_xlabel("time in multiples of mnist_c's minimum, whose time is on the left")
fig.legend(loc="outside upper center", ncols=4, fontsize=9, frameon=False)
plt.show()

# %%
ratios = {record: record.ratio(record.best) for record in rivals}
trained, predicted = ([r for r in rivals if r.training == kind] for kind in (True, False))
for what, group in (("training", trained), ("prediction", predicted)):
    if group:
        mean = statistics.geometric_mean(ratios[record] for record in group)
        least, most = min(group, key=ratios.get), max(group, key=ratios.get)
        print(f"{what}, {len(group)} works: the best of the others needs {mean:.2f} times our time (geometric mean),")
        print(f"  from {ratios[least]:.2f} ({least.name}, {title(least.best)})", end=" ")
        print(f"to {ratios[most]:.2f} ({most.name}, {title(most.best)})")
firsts = {title(name): [r.name for r in rivals if r.best == name] for name in names}
print("\nwho is the best of the others:")
for name, works in firsts.items():
    if works:
        print(f"  {name} in {len(works)}: {', '.join(works)}")

faster = [record for record in rivals if ratios[record] < 1]
print()
tally("works in which another library is faster than mnist_c", faster, rivals)


def overlaps(record):
    """Whether our slowest round took longer than the fastest of the best of the others."""
    return max(record.peers[OURS]["seconds"]) > record.minimum(record.best) > record.minimum(OURS)


print()
tally(
    "works in which our slowest round was slower than the best round of another",
    [record for record in rivals if overlaps(record)],
    rivals,
)
spread = [max(record.peers[OURS]["seconds"]) / record.minimum(OURS) for record in records]
print(f"our slowest round against our fastest: {statistics.median(spread):.2f} (median), {max(spread):.2f} at most")

# %% [markdown]
# The last lines tell how much a ratio can be trusted. Where rounds overlap, the order of the two could change with the
# next measurement. On a quiet machine all rounds are alike.
#
# ## Does anybody win by doing less?
#
# A library that skipped images would be fast, too, but its loss would tell. One that computed with fewer bits would
# differ where the order of the images is the same for all. Here are the losses after training, each the median of the
# rounds. (For predictions it is the loss of the first weights, which tells that all have computed the same function.)


# %%
def loss_cell(record, name):
    if name not in record.peers:
        return "-"
    texts = []
    for kind in ("loss", "validation_loss"):
        if values := record.losses(name, kind):
            texts.append(f"{statistics.median(values):.4f}")
    return " / ".join(texts) + (" !" if record.out_of_line(name) else "")


Table(
    ["loss (/ validation loss)", *map(title, names)],
    [[record.name, *(loss_cell(record, name) for name in names)] for record in records],
)

# %%
EDGE = 1.5 * LOSS_MULTIPLE  # of the picture; larger losses are drawn there

fig, ax = plt.subplots(figsize=(8.5, 1.3 + 0.32 * len(records)), layout="constrained")
for i, name in enumerate(names):
    colour, mark = style(name)
    for y, record in enumerate(records):
        if name in record.peers:
            values = np.minimum(np.array(record.losses(name)) / record.typical("loss"), EDGE)
            height = y + 0.5 * ((i + 0.5) / len(names) - 0.5)
            ax.plot([values.min(), values.max()], [height, height], "-", color=colour, linewidth=1)
            ax.plot(np.median(values), height, mark, color=colour, markersize=5, markeredgewidth=1 + (mark == "|"))
    ax.plot([], [], mark, color=colour, markersize=6, markeredgewidth=1 + (mark == "|"), label=title(name))
ax.axvline(LOSS_MULTIPLE, color=BLACK, linestyle="--", linewidth=1)
ax.annotate(
    "out of line", (LOSS_MULTIPLE, -0.4), xytext=(-4, 0), textcoords="offset points", ha="right", va="top", fontsize=9
)
work_axes(ax)
ax.set_xlabel("training loss, as a multiple of the median of all libraries; lines: all rounds")
fig.legend(loc="outside upper center", ncols=5, fontsize=9, frameon=False)
plt.show()


def ours_to_others(record):
    return statistics.median(record.losses(OURS)) / record.typical("loss", without=OURS)


def apart(record):
    """By how much the losses of all that did the work differ, relative to the smallest."""
    values = [statistics.median(record.losses(name)) for name in record.peers if not record.out_of_line(name)]
    return max(values) / min(values) - 1


same_order = [r for r in rivals if r.work["batch"] is None and not r.out_of_line(OURS)]
shuffled = [r for r in rivals if r.work["batch"] is not None]
if same_order:
    most = max(map(apart, same_order))
    print(f"same images in the same order ({len(same_order)} works): losses differ by a share of {most:.0e} at most")
if shuffled:
    low, high = (f(map(ours_to_others, shuffled)) for f in (min, max))
    print(
        f"each in an order of its own ({len(shuffled)} works): ours is {low:.2f} to {high:.2f} times the others' median"
    )
    below = sum(ours_to_others(record) < 1 for record in shuffled)
    print(f"  below it in {below}, above it in {len(shuffled) - below}")
    jumps = [max(r.losses(OURS)) / min(r.losses(OURS)) for r in shuffled]
    print(f"  from one of our own rounds to another the loss changes by a factor of up to {max(jumps):.2f}")
outside = [f"{title(name)} in {record.name}" for record in records for name in record.peers if record.out_of_line(name)]
print(f"out of line: {listed(outside) if outside else 'nobody'}")

# %% [markdown]
# Where nothing is shuffled, everybody computes the same, and the losses must agree but for the last digits of float32.
# Where images are shuffled, each library has its own order, and the losses of a short training depend on it. Compare
# how far apart the libraries are with how far apart the rounds of one and the same library are.
#
# ## What has to be computed
#
# The work is in matrix products. A layer of K inputs and N units costs K * N multiply-adds for each image going
# forward, as many for the gradient of the weights, and as many for the gradient of its inputs. The first layer has no
# use for the last one, as images are not trained. A multiply-add counts as two operations (FLOP).
#
# But look at an image. Most of it is paper:

# %%
train, test = mc.datasets.load("mnist")
clothes, _ = mc.datasets.load("fashion-mnist")
ink = np.count_nonzero(train.images, axis=(1, 2))
pixels = train.images[0].size
order = np.argsort(ink, kind="stable")

fig = plt.figure(figsize=(10, 3.2), layout="constrained")
left, right = fig.subfigures(1, 2, width_ratios=[1, 1.25])
for ax, share in zip(left.subplots(2, 2).ravel(), (0.05, 0.35, 0.65, 0.95), strict=True):
    image = train.images[order[int(share * len(order))]]
    ax.imshow(np.where(image > 0, image, np.nan), cmap="gray_r", vmin=0, vmax=255)
    ax.set_facecolor("#DCEBF5")
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(f"{np.count_nonzero(image)} of {pixels} not zero", fontsize=9)
    ax.spines[:].set_visible(True)
left.suptitle("Blue: zeros, which need not be multiplied", fontsize="medium")

ax = right.subplots()
bins = np.linspace(0, 100, 51)
weight = 100 / len(train)
for images, name, colour in ((train.images, "MNIST", BLUE), (clothes.images, "Fashion-MNIST", ORANGE)):
    shares = 100 * np.count_nonzero(images, axis=(1, 2)) / pixels
    ax.hist(
        shares,
        bins,
        weights=np.full(len(shares), weight),
        color=colour,
        alpha=0.75,
        label=f"{name}, mean {shares.mean():.0f} %",
    )
ax.set(xlabel="pixels that are not zero (%)", ylabel="images (%)", xlim=(0, 100))
ax.set_title("Ink of the training images", fontsize="medium")
ax.legend(frameon=False)
plt.show()

density = ink.mean() / pixels
print(f"MNIST: {ink.mean():.1f} of {pixels} pixels are not zero in the mean, {100 * density:.1f} %")
print(f"       {ink.min()} in the emptiest image, {ink.max()} in the fullest")
print(f"products with a zero: {100 * (1 - density):.1f} %; without them the first layer costs 1 / {1 / density:.1f}")

# %% [markdown]
# Zero times a weight is zero, and adding zero changes nothing. So mnist_c keeps a list of the pixels that are not zero
# and multiplies only those. The result is not nearly the same, but the same to the last bit. This can be checked. If
# most of what `predict` is given is zero, it takes the lists, else the ordinary product. So the same digits are read
# twice: alone, and at the end of a pile of images without a single zero.

# %%
LAYERS, BATCH = (784, 128, 64, 10), 32
model = mc.Sequential(
    [
        mc.Flatten(input_shape=(28, 28)),
        *(mc.Dense(units, activation="relu") for units in LAYERS[1:-1]),
        mc.Dense(LAYERS[-1], activation="softmax"),
    ],
    seed=0,
)
digits = test.images[:100]
pile = np.maximum(test.images[100:1000], 1)
alone = model.predict(digits)
among = model.predict(np.concatenate([pile, digits]))[-len(digits) :]
equal = (alone.view(np.uint32) == among.view(np.uint32)).all()
print(f"{alone.size:,} probabilities, computed with lists and without: all bits equal: {equal}")

# %% [markdown]
# So much for the first layer. The others get dense numbers, and there is nothing to skip. How much is left in all? In
# training, per image:


# %%
def operations(layers, inputs):
    """FLOP of a training step for one image, product by product. inputs: how many pixels the first layer multiplies."""
    counts = {"first layer, forward": 2 * inputs * layers[1], "first layer, gradient": 2 * inputs * layers[1]}
    counts["others, forward"] = sum(2 * k * n for k, n in pairwise(layers[1:]))
    counts["others, gradient"] = counts["others, deltas"] = counts["others, forward"]
    return counts


print(f"{'-'.join(map(str, LAYERS))}            dense   executed")
dense, executed = operations(LAYERS, LAYERS[0]), operations(LAYERS, ink.mean())
for name in dense:
    print(f"  {name:22} {dense[name]:10,} {executed[name]:10,.0f}")
total, left = sum(dense.values()), sum(executed.values())
print(f"  {'together':22} {total:10,} {left:10,.0f}   = {100 * left / total:.0f} %, or {total / left:.2f} times less\n")

print("work               dense FLOP   executed   times less   first layer's share of the dense")
for record in records:
    counts = operations(record.work["layers"], LAYERS[0])
    if not record.training:
        counts = {name: count for name, count in counts.items() if "forward" in name}
    share = sum(count for name, count in counts.items() if "first" in name) / sum(counts.values())
    all_of_them, ours = record.cost["dense"], record.cost["executed"]
    record.fewer = all_of_them / ours
    print(f"{record.name:18} {all_of_them:10.3g} {ours:10.3g} {record.fewer:12.2f} {100 * share:14.0f} %")

# %% [markdown]
# This is Amdahl's law: what can be left out is a part of a part. The smaller the first layer's share, the less there is
# to win. A network with wide later layers, or inputs without zeros, has little use for all this; look for these works
# in the table, and at their ratios in the first picture.
#
# ## Operations per second, and why more can be slower
#
# Two rates can be computed from one time. The **dense** rate divides the operations of ordinary matrix products by the
# time: it says how fast a library would have to multiply if it skipped nothing. The **executed** rate counts only what
# was really multiplied. For the other libraries both are the same. The **peak** is what the machine reaches in a large
# matrix product of NumPy, which does nothing else.

# %%
dense_rate = {r: 1e-9 * r.cost["dense"] / r.minimum(OURS) for r in records}
executed_rate = {r: 1e-9 * r.cost["executed"] / r.minimum(OURS) for r in records}
best_rate = {r: 1e-9 * r.cost["dense"] / r.minimum(r.best) for r in rivals}

fig, ax = plt.subplots(figsize=(8.5, 1.4 + 0.32 * len(records)), layout="constrained")
for y, record in enumerate(records):
    ax.plot([executed_rate[record], dense_rate[record]], [y, y], "-", color=GREY, linewidth=1)
    ax.plot(executed_rate[record], y, "o", color=VERMILLION, markersize=7)
    ax.plot(dense_rate[record], y, "o", color=VERMILLION, markerfacecolor="white", markersize=7)
    if record.best:
        ax.plot(best_rate[record], y, "D", color=BLUE, markersize=5.5)
for mark, colour, face, label in (
    ("o", VERMILLION, VERMILLION, "mnist_c, executed"),
    ("o", VERMILLION, "white", "mnist_c, as if dense"),
    ("D", BLUE, BLUE, "the best of the others"),
):
    ax.plot([], [], mark, color=colour, markerfacecolor=face, label=label)
ax.axvline(peak, color=BLACK, linestyle="--", linewidth=1, label="peak")
work_axes(ax)
log_axis(ax.xaxis)
ax.set_xlabel("GFLOP/s")
fig.legend(loc="outside upper center", ncols=4, fontsize=9, frameon=False)
plt.show()

# %%
print(f"                   mnist_c, GFLOP/s        share of the peak ({peak:.0f})  best of the others")
print("work               as if dense  executed  as if dense  executed    GFLOP/s   share")
for record in records:
    rates = dense_rate[record], executed_rate[record]
    line = f"{record.name:18} {rates[0]:11.1f} {rates[1]:9.1f}"
    line += "".join(f"{100 * rate / peak:{width}.0f} %" for rate, width in zip(rates, (11, 8), strict=True))
    if record.best:
        line += f"{best_rate[record]:11.1f} {100 * best_rate[record] / peak:5.0f} %  {title(record.best)}"
    print(line)

print()
tally(
    "works in which another library executes more operations per second, and yet needs longer",
    [record for record in rivals if best_rate[record] > executed_rate[record] and ratios[record] > 1],
    rivals,
)
tally(
    "works in which our dense rate is above the peak, so that hardly a dense product could be as fast",
    [record for record in records if dense_rate[record] > peak],
    records,
)

print("\nratio to the best of the others = times fewer operations x operations per second, ours / theirs")
for record in rivals:
    per_second = executed_rate[record] / best_rate[record]
    print(f"{record.name:18} {ratios[record]:6.2f} = {record.fewer:5.2f} x {per_second:6.2f}")

# %% [markdown]
# The last table takes the ratio to the best of the others apart. The first factor is what skipping zeros saves. The
# second is how many operations per second are executed, ours divided by theirs. Above one means that mnist_c also
# computes faster: less time between the products, and fewer trips to memory. Below one means that it pays for
# skipping, and the next section says how much. If you ever read that a program reaches so and so many GFLOP/s, ask:
# of which operations?
#
# ## What skipping costs
#
# A dense product is the best thing that can happen to a CPU. A tile of weights is loaded once and used for several
# images; nearly every instruction multiplies. With lists of pixels each image has a list of its own: every vector of
# weights is loaded for one multiply-add, and the gradient has to be loaded and stored for each. So an executed
# operation costs more than a dense one. From the report of the kernels: cycles of the first layer, for one image, on
# one thread.


# %%
def find(isa, kernel, text):
    """The figures of a kernel: the first whose shape has the text in it."""
    return next(k for k in kernels["kernels"] if k["isa"] == isa and k["kernel"] == kernel and text in k["shape"])


def rate(isa, kernel, text):
    """Cycles of one FLOP, or of one element."""
    found = find(isa, kernel, text)
    return found["cycles"] / found["items"]


def vectors(isas):
    """Without the scalar kernels, if there are others: they compute a multiply-add in several operations."""
    return [isa for isa in isas if isa != "scalar"] or isas


FIRST = {  # kernels of the first layer
    "dense": {"forward": ("dense_forward", "784 -> 128"), "gradient": ("dense_gradient", "32 rows")},
    "skipping": {"forward": ("sparse_forward", "8 panels"), "gradient": ("sparse_gradient", "8 panels")},
}
FLOP = 2 * LAYERS[0] * LAYERS[1]  # of one product of the first layer, for one image

isas = vectors(list(dict.fromkeys(k["isa"] for k in kernels["kernels"]))) if kernels else []
even = {}  # share of ink at which both take the same time
for isa in isas:
    print(f"{isa}        cycles for an image        cycles per FLOP      skipping is faster")
    print("            dense  skipping  gain    dense  skipping      below this share of ink")
    together = np.zeros(2)
    for kind in ("forward", "gradient"):
        slow, fast = (rate(isa, *FIRST[how][kind]) for how in ("dense", "skipping"))
        even[isa, kind] = slow / fast
        cycles = FLOP * np.array([slow, density * fast])
        together += cycles
        print(f"{kind:9} {cycles[0]:7,.0f} {cycles[1]:9,.0f} {cycles[0] / cycles[1]:5.2f}", end="")
        print(f" {slow:8.3f} {fast:9.3f} {100 * even[isa, kind]:15.0f} %")
    print(f"both      {together[0]:7,.0f} {together[1]:9,.0f} {together[0] / together[1]:5.2f}", end="")
    print(f"    (by the count of operations: {1 / density:.2f})\n")
if not isas:
    missing("speed-kernels")

# %% [markdown]
# ## What a CPU can do at most
#
# Is that good or bad? For every kernel one can count what it cannot do without: multiply-adds, loads, stores, roots.
# And one can measure how many of each the machine does in a cycle when it does nothing else. The largest of these times
# is a **bound**: without other arithmetic no program can be faster.
#
# For the matrix products this makes a *roofline*. To the right: the FLOP per cycle that loads and stores alone would
# allow. Upwards: the FLOP per cycle that were measured. On the slope loads and stores are the limit, on the flat part
# the units that multiply. A mark on the roof does all that this CPU can do; below it, the distance is what is lost. (A
# mark slightly above it used a part of its memory more often than the rest, which the bound does not know.)

# %%
PRODUCTS = {
    "dense_forward": ("o", BLUE),
    "dense_delta": ("s", SKY_BLUE),
    "dense_gradient": ("D", GREEN),
    "sparse_forward": ("^", VERMILLION),
    "sparse_gradient": ("v", ORANGE),
}
if isas:
    fig, axes = plt.subplots(
        1, len(isas), figsize=(2 + 4 * len(isas), 4), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, isa in zip(axes[0], isas, strict=True):
        roof = 32 / next(b["cycles"] for b in kernels["bounds"] if b["isa"] == isa and b["bound"] == "fma")
        highest = 0
        for kernel, (mark, colour) in PRODUCTS.items():
            for k in (k for k in kernels["kernels"] if k["isa"] == isa and k["kernel"] == kernel):
                x = k["items"] / max(cycles for limit, cycles in k["limits"].items() if limit != "FMA ports")
                y = k["items"] / k["cycles"]
                ax.plot(x, y, mark, color=colour, markersize=7, alpha=0.85)
                highest = max(highest, x)
        x = np.array([0, roof, 1.15 * max(highest, roof)])
        ax.plot(x, np.minimum(x, roof), color=BLACK, linewidth=1.2)
        ax.grid(True, color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.set_title(f"{isa}: {roof:.0f} FLOP per cycle at most", fontsize="medium")
        ax.set_xlabel("FLOP per cycle that loads and stores allow")
    axes[0, 0].set(xlim=(0, None), ylim=(0, None), ylabel="FLOP per cycle, measured")
    for kernel, (mark, colour) in PRODUCTS.items():
        axes[0, 0].plot([], [], mark, color=colour, label=kernel.replace("_", ", "))
    fig.legend(loc="outside right upper", fontsize=9, frameon=False)
else:
    missing("speed-kernels")
plt.show()

for isa in isas:
    print(f"{isa}: share of the bound, over the shapes that were measured")
    for kernel in PRODUCTS:
        group = [k for k in kernels["kernels"] if k["isa"] == isa and k["kernel"] == kernel]
        low, high = (100 * f(k["share"] for k in group) for f in (min, max))
        print(
            f"  {kernel:16} {low:4.0f} to {high:3.0f} %   limited by {', '.join(sorted({k['limit'] for k in group}))}"
        )

# %% [markdown]
# ## Where the time of a step goes
#
# Now one step of training, put together from the kernels: the network 784-128-64-10 with Adam, 32 images, on one
# thread. Bars are what was measured, black lines the bound of each.


# %%
def step_parts(isa, dropout=False):
    """Kernel by kernel: cycles that a step takes, and cycles that it cannot do without."""
    kept = LAYERS[1] * ink.mean() * BATCH * 2  # FLOP of the first layer
    later = [(k, n + -n % 16) for k, n in pairwise(LAYERS[1:])]  # in panels of 16 columns
    flop = sum(2 * BATCH * k * n for k, n in later)
    weights = (LAYERS[0] + 1) * LAYERS[1] + sum((k + 1) * n for k, n in later)
    hidden = BATCH * sum(LAYERS[1:-1])
    relu = ", relu, dropout" if dropout else ", relu"
    parts = {
        "forward, first layer": ("sparse_forward", "8 panels", kept),
        "forward, others": ("dense_forward", "128 -> 64", flop),
        "ReLU" + (" and dropout" if dropout else ""): ("activate", f"{LAYERS[1]}{relu}", hidden),
        "softmax and loss": ("head", "cross-entropy", BATCH * LAYERS[-1]),
        "deltas": ("dense_delta", "128 <- 64", flop),
        "gradient, first layer": ("sparse_gradient", "8 panels", kept),
        "gradient, others": ("dense_gradient", f"{BATCH} rows", flop),
        "Adam": ("update", ", Adam", weights),
    }
    cycles = {}
    for part, (*which, items) in parts.items():
        kernel = find(isa, *which)
        cycles[part] = np.array([kernel["cycles"], kernel["bound_cycles"]]) * items / kernel["items"]
    return cycles


def microseconds(isa, cycles):
    hertz = statistics.median(f["hertz"] for f in kernels["kernels"] if f["isa"] == isa)
    return 1e6 * cycles / hertz


if isas:
    fig, axes = plt.subplots(
        1, len(isas), figsize=(2.5 + 4 * len(isas), 3.4), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for ax, isa in zip(axes[0], isas, strict=True):
        parts = {part: microseconds(isa, cycles) for part, cycles in step_parts(isa).items()}
        colours = [ORANGE if "first" in part else GREEN if part == "Adam" else SKY_BLUE for part in parts]
        measured, bound = np.array(list(parts.values())).T
        ax.barh(list(parts), measured, color=colours)
        ax.vlines(bound, np.arange(len(parts)) - 0.4, np.arange(len(parts)) + 0.4, color=BLACK, linewidth=2)
        for y, value in enumerate(measured):
            text = f"{100 * value / measured.sum():.0f} %"
            ax.annotate(
                text, (max(value, bound[y]), y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
            )
        ax.set_title(f"{isa}: {measured.sum():.0f} µs, bound {bound.sum():.0f} µs", fontsize="medium")
        ax.set_xlabel("µs of a step on one thread")
        ax.margins(x=0.12)
    axes[0, 0].invert_yaxis()
else:
    missing("speed-kernels")
plt.show()

# %%
for isa in isas:
    parts = step_parts(isa)
    measured, bound = sum(parts.values())
    largest = sorted(parts, key=lambda part: -parts[part][0])[:3]
    print(f"{isa}: the kernels of a step reach {100 * bound / measured:.0f} % of the bound")
    print(f"  most of the time: {listed([f'{part} ({100 * parts[part][0] / measured:.0f} %)' for part in largest])}")
    with_dropout = sum(step_parts(isa, dropout=True).values())[0]
    print(f"  dropout after the hidden layers adds {100 * (with_dropout / measured - 1):.0f} %")
    first = sum(cycles[0] for part, cycles in parts.items() if "first" in part)
    as_dense = BATCH * FLOP * sum(rate(isa, *which) for which in FIRST["dense"].values())
    print(f"  with a dense first layer it would take {(measured - first + as_dense) / measured:.2f} times as long")

plain = next((r for r in records if r.name == "keras-mlp-plain" and not settings["rows"]), None)
used, threads = build.get("instruction set", "").partition(" ")[0], settings["threads"]
if plain and used in isas and kernels["machine"]["cpu"] == machine["cpu"]:
    steps = math.ceil(plain.work["rows"] / plain.work["batch"])
    real, calculated = 1e6 * plain.minimum(OURS) / steps, microseconds(used, sum(step_parts(used).values())[0])
    evenly = calculated / threads
    print(f"\n{plain.name} in the comparison, {threads} thread(s): {real:.0f} µs per step")
    print(f"  the kernels alone: {calculated:.0f} µs on one thread, {evenly:.0f} µs if divided evenly")
    print(f"  the real step takes {real / evenly:.2f} times as long. In it threads wait for each other, a batch is put")
    print("  together, memory is less warm; and it has a share of the index of pixels, built once per fit")


# %% [markdown]
# The optimizer does a root and a division for each weight, whether an image has ink there or not. In a small batch that
# is a large part of the step: each weight is updated once for only a few images. What does this say about the batch
# size? You can check your answer in the next picture.
#
# ## How time grows
#
# One setting at a time, everything else fixed. The points are medians, with lines from the fastest run to the slowest.
# These are synthetic digits and Adam; seconds are for an epoch of as many images as MNIST has.

# %%
SWEEPS = [name for name in ("width", "batch", "threads", "density", "depth") if scaling and name in scaling["sweeps"]]
curves = {}
if SWEEPS:
    columns = min(len(SWEEPS), 3)
    rows = math.ceil(len(SWEEPS) / columns)
    fig, axes = plt.subplots(rows, columns, figsize=(3.5 * columns, 3 * rows), squeeze=False, layout="constrained")
    for ax, name in zip(axes.ravel(), SWEEPS, strict=False):
        sweep = scaling["sweeps"][name]
        values = np.array([point["value"] for point in sweep["points"]])
        middle, low, high = (
            np.array([f(p["seconds"]) for p in sweep["points"]]) for f in (statistics.median, min, max)
        )
        curves[name] = values, middle
        ax.errorbar(values, middle, yerr=(middle - low, high - middle), color=BLUE, marker="o", markersize=4, capsize=2)
        if name in ("width", "threads"):
            ideal = middle[-1] * values / values[-1] if name == "width" else middle[0] / values
            ax.plot(values, ideal, ":", color=GREY, label="in proportion")
            ax.legend(frameon=False, fontsize=8)
        if name == "density":
            ax.axvline(100 * density, color=GREY, linestyle=":", linewidth=1)
            ax.annotate("MNIST", (100 * density, 0), xytext=(3, 3), textcoords="offset points", fontsize=8, color=GREY)
        if sweep["scale"] == "log":
            log_axis(ax.yaxis)
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_formatter("{x:g}")
        else:
            ax.set_ylim(bottom=0)
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel(sweep["axis"])
        ax.set_title(sweep["title"], fontsize=9.5)
        ax.grid(True, color="#DDDDDD", linewidth=0.6)
        ax.set_axisbelow(True)
    for ax in axes[:, 0]:
        ax.set_ylabel("s per epoch")
    for ax in axes.ravel()[len(SWEEPS) :]:
        ax.set_visible(False)
else:
    missing("speed-scaling")
plt.show()

# %%
if "width" in curves:
    widths, seconds = curves["width"]
    half = len(widths) // 2
    times, longer = widths[-1] / widths[0], seconds[-1] / seconds[0]
    print(f"width: {times:g} times as many units ({widths[0]:g} to {widths[-1]:g}) take {longer:.0f} times as long")
    for part in (slice(0, half + 1), slice(half, None)):
        few, many = widths[part][[0, -1]]
        if many > few:
            slope = np.log(seconds[part][-1] / seconds[part][0]) / np.log(many / few)
            print(f"  from {few:g} to {many:g} time grows as width to the power of {slope:.2f}")
if "batch" in curves:
    batches, seconds = curves["batch"]
    best = np.argmin(seconds)
    longer = seconds / seconds[best]
    print(f"batch: the fastest epoch is that with batches of {batches[best]:g}; the same in other batches:")
    for i in sorted({0, *np.flatnonzero(longer <= 1.1)[:1], len(batches) - 1}):
        print(f"  {batches[i]:5g} images: {longer[i]:.2f} times as long")
if "threads" in curves:
    threads, seconds = curves["threads"]
    for count, value in zip(threads[1:], seconds[1:], strict=True):
        print(f"threads: {count:g} are {seconds[0] / value:.2f} times as fast as one")
if "density" in curves:
    shares, seconds = curves["density"]
    longer = seconds / np.interp(100 * density, shares, seconds)
    worst = np.argmax(seconds)
    print("ink: an epoch takes, in times of one with the ink of MNIST")
    for i in sorted({0, worst, len(shares) - 1}):
        print(f"  {longer[i]:.2f} with {shares[i]:g} %{', the slowest' if i == worst else ''}")
if "depth" in curves:
    depths, seconds = curves["depth"]
    grow, start = np.polyfit(depths, seconds, 1)
    print(f"depth: each further layer adds {grow:.2f} s to {start:.2f} s (straight line through the points)")

# %% [markdown]
# How to read these pictures:
#
# * **Width.** Narrow layers fill no vectors, and much of their time is not multiplication at all. From some width on
#   time grows in proportion, since all is products then. Where the curve is steeper, the weights have left a cache.
# * **Batch.** Every step updates all weights. A larger batch updates them more rarely, so an epoch takes less time. It
#   also learns less: the fastest epoch is not the fastest training.
# * **Threads.** They have to wait for each other several times in a step. In a small step that may cost as much as it
#   gains. Other programs on the machine take cores away, too.
# * **Ink.** Time grows with the pixels that are not zero. Where they are more than half of all, the dense product takes
#   over, and time no longer depends on them. If the curve falls there, the change comes too late for this network; the
#   table of what skipping costs says where it would be even.
#
# ## What these figures do not say
#
# * They are of one machine. Caches, vector units, the cost of a root and the number of cores differ, and so do ratios.
# * They are about small networks on small images, on a CPU. Frameworks can do a thousand other things, among them
#   graphics cards. Large networks are all dense products, in which everybody who has a good one is alike.
# * A bound is only a bound for this arithmetic. Half as many bits would make another.
# * Minima show what a program can do, not what a busy machine does on an average day.
#
# ## What happened

# %%
if rivals:
    mean, fewer = (statistics.geometric_mean(values) for values in (ratios.values(), [r.fewer for r in rivals]))
    first = sum(ratio > 1 for ratio in ratios.values())
    print(f"* mnist_c is the fastest in {first} of {len(rivals)} works. In the geometric mean the best of the others")
    factors = f"{fewer:.2f} by fewer operations, times {mean / fewer:.2f} by how many per second"
    print(f"  takes {mean:.2f} times as long: {factors}.")
print(f"* Losses out of line: {listed(outside) if outside else 'none'}.")
print(
    f"* {100 * (1 - density):.0f} % of the products of the first layer are with zero. All bits equal without: {equal}."
)
for isa in isas:
    measured, bound = sum(step_parts(isa).values())
    shares = [f"{100 * even[isa, kind]:.0f} % ({kind})" for kind in ("forward", "gradient")]
    print(f"* {isa}: skipping is faster below {listed(shares)} of ink.")
    print(f"  The kernels of a step reach {100 * bound / measured:.0f} % of what this CPU can do with this arithmetic.")

# %% [markdown]
# ## Exercises
#
# Answers are folded up below each exercise. Try first. Your machine gives other times than the reports.
#
# **1. Ink of your own.** Take the digits of MNIST and replace all zeros by 1, which nobody sees. Train the network
# of this page on both for three epochs. How much longer does an epoch take? Does it fit what the kernels say?
#
# <details><summary>Answer</summary>
#
# The best epoch counts, as in the comparison.
#
# ```python
# for images in (train.images, np.maximum(train.images, 1)):
#     history = model.fit(images, train.labels, batch_size=32, epochs=3, optimizer=mc.Adam(1e-3), verbose=0)
#     print(f"{100 * (images > 0).mean():3.0f} % ink: {min(history.seconds):.2f} s")
# ```
#
# The whole step slows down by less than the first layer does, as everything else takes the same time. The factor to
# compare with is that of the step with a dense first layer.
#
# </details>
#
# **2. Images the other way round.** Many people draw digits in white on black, others in black on white. What does
# `255 - train.images` do to the time? What would you do with such a data set?
#
# <details><summary>Answer</summary>
#
# Now the paper is 255, and few pixels are zero: it takes as long as full images. Turn such images round once, before
# training, so that paper is 0.
#
# ```python
# upside = 255 - train.images
# print(f"{100 * (upside > 0).mean():.0f} % of the pixels are not zero")
# history = model.fit(upside, train.labels, batch_size=32, epochs=3, optimizer=mc.Adam(1e-3), verbose=0)
# print(f"{min(history.seconds):.2f} s")
# ```
#
# </details>
#
# **3. Threads do not change results.** Train with one thread and with all, and compare the hashes of the weights. How
# can a sum be the same to the last bit, if two threads compute it together?
#
# <details><summary>Answer</summary>
#
# No sum is divided among threads: each thread computes other elements, each of them in the same order as one thread
# would.
#
# ```python
# for threads in (1, mc.get_num_threads()):
#     mc.set_num_threads(threads)
#     twin = mc.Sequential([mc.Flatten(input_shape=(28, 28)), mc.Dense(128, "relu"), mc.Dense(10, "softmax")], seed=0)
#     history = twin.fit(train.images, train.labels, batch_size=32, epochs=1, optimizer=mc.Adam(1e-3), verbose=0)
#     print(threads, twin.weights_hash(), f"{history.seconds[0]:.2f} s")
# ```
#
# </details>
#
# **4. Your own roof.** How near is NumPy on your machine to what its vectors can do? Multiply two matrices, count the
# operations, and divide by the time. From which size on does the rate not grow any more?
#
# <details><summary>Answer</summary>
#
# ```python
# import time
#
# for n in (32, 128, 512, 2048):
#     a = np.ones((n, n), np.float32)
#     times = []
#     for _ in range(5):
#         start = time.perf_counter()
#         a @ a
#         times.append(time.perf_counter() - start)
#     print(f"{n:5} {2e-9 * n**3 / min(times):7.1f} GFLOP/s")
# ```
#
# Small products are over before the threads have started, and are read from memory that is not warm. The layers of our
# network are small products: a library that calls one after another never sees its peak.
#
# </details>
