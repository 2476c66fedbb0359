# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Gradient descent and its troubles: why does a program without a mistake not learn?
#
# Two authors wrote a network in plain NumPy and trained it by gradient descent, the oldest method there is. One of them
# read four of five digits after twenty steps. The other lost hours: the program ran, and the network did not learn. On
# this page you repeat both runs. Then you break them on purpose, in five ways: with the scale of the pixels, the
# learning rate, the first weights, the shape of the labels, and without an activation.
#
# Before you go on, guess:
#
# * Dividing all pixels by 255 takes no information away. Can it decide whether a network learns?
# * What is worse, a learning rate that is a hundred times too low or one that is a hundred times too high?
# * What does a network learn whose weights all start at zero?
# * After twenty steps, is there still much to gain?

# %%
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mnist_c as mc

# Colours that stay apart for colour-blind readers and in a grey print (Okabe and Ito).
BLUE, ORANGE, VERMILLION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#777777"
plt.rcParams.update({"figure.dpi": 75, "font.size": 10.5, "axes.spines.top": False, "axes.spines.right": False})

train, test = mc.datasets.load("mnist")
claims = []  # what this page finds out about the authors' claims: (system, claim)

# %% [markdown]
# ## One step, and how long it may be
#
# The gradient has one number for each weight: the slope of the loss L when this weight alone grows. Gradient descent
# goes a little against the slope, again and again:
#
# ```
# w = w - rate * dL/dw          for every weight w
# ```
#
# L is the mean over **all** images. Such a step is called an *iteration* of *full-batch* gradient descent. Nothing in
# it is random. Only the first weights are.
#
# How large may the rate be? Look at a single weight, and at a loss that is a parabola:
#
# ```
# L = a/2 * w^2          slope a * w          w - rate * a * w = (1 - rate * a) * w
# ```
#
# So each step multiplies w by the same number, 1 - rate * a. If this number is between -1 and 1, then w goes to 0,
# where the loss is lowest. That means:
#
# ```
# the rate must be below 2 / a
# ```
#
# The number a says how strongly the parabola is bent. It is called the **curvature**.

# %%
A = 2.0
fig, axes = plt.subplots(1, 4, figsize=(10, 2.8), layout="constrained", sharey=True)
w_axis = np.linspace(-2.2, 2.2, 100)
for ax, rate, name in zip(axes, (0.02, 0.3, 0.93, 1.04), ("too low", "right", "high", "too high"), strict=True):
    path = 1.6 * (1 - rate * A) ** np.arange(9)
    ax.plot(w_axis, A / 2 * w_axis**2, color=GREY)
    ax.plot(path, A / 2 * path**2, "o-", color=VERMILLION, linewidth=1, markersize=4)
    ax.set(title=f"{name}: rate {rate}\nw is multiplied by {1 - rate * A:.2f}", xlabel="weight w")
    ax.set(xlim=(-2.4, 2.4), ylim=(-0.3, 5))
axes[0].set_ylabel("loss")
fig.suptitle(f"Eight steps from w = 1.6, with curvature {A:g}: the rate must be below {2 / A:g}")
plt.show()

# %% [markdown]
# A network has many weights and no parabola. But near any point its loss looks like one, with another curvature in each
# direction. The most strongly bent direction sets the limit for all of them. Keep this in mind: most troubles of this
# page are about it.
#
# ## gd-20: twenty steps
#
# The first system has one hidden layer of 128 units, with ReLU and softmax. Its author made 20 iterations over all
# training images, with rate 0.001, and published a test accuracy. Not stated are the first weights, and whether pixels
# were scaled. A *recipe* of this package holds what is known, and what was chosen where nothing is known.

# %%
gd20 = mc.recipes.get("gd-20")
as_published = gd20.variants[0]
print(gd20.title)
print(f"chosen:    {as_published.change}")
print(f"published: {as_published.published}")
as_published.network.build(seed=0).summary()

# %% [markdown]
# Twenty steps for so many weights! What do you expect: ten, forty or eighty of a hundred digits? The recipe runs three
# times, with other first weights each time.

# %%
twenty = mc.recipes.reproduce("gd-20", seeds=3, progress=False)
claims += [("gd-20", claim) for claim in twenty.claims]
twenty

# %%
PUBLISHED = 100 * as_published.published["test_accuracy"]


def curves_of(variant):
    """The curves of all runs of a variant in a report."""
    return [run.curves for run in variant.runs]


fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
mc.plots.training_curves(curves_of(twenty.variants[0]), ax=axes)
axes[1].axhline(PUBLISHED, color="black", linestyle=":")
axes[1].annotate("published, test", (1, PUBLISHED), xytext=(0, 4), textcoords="offset points")
for ax in axes:
    ax.set(xlabel="iteration", xticks=range(2, 21, 2))
axes[1].set_ylim(0, 100)
plt.show()

# %% [markdown]
# The published figure is near; ours is about a point better. Nothing but the first weights differs between our three
# runs, and still they are further apart than that. After so few steps, it shows where a network began. And nobody wrote
# down where the published one did.
#
# Which digits are read, and what is taken for what? Its author did not publish this; here it is for the first of the
# three runs.


# %%
def show_digits(run):
    """Confusion matrix and accuracy of each digit, on the test images, of one run of a report."""
    cells = np.array(run.confusion_matrix)
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.9), layout="constrained", width_ratios=[1, 1.15])
    mc.plots.confusion_matrix(cells, ax=axes[0])
    mc.plots.per_class_bars(np.array(run.per_digit, dtype=float), counts=cells.sum(axis=1), ax=axes[1])
    return fig


show_digits(twenty.variants[0].runs[0]).suptitle("gd-20, 20 iterations")
plt.show()

# %% [markdown]
# The author also shows some answers. For this we need the network itself. The function below is gradient descent as the
# recipes do it: all images in one batch, in their order. Its network has the same hash as that of the report, so it is
# the same to the last bit.


# %%
def descend(variant, images, labels, iterations=None, rate=None, seed=0):
    """Full-batch gradient descent. Returns the network and the history of its training."""
    network = variant.network.build(seed)
    history = network.fit(
        images,
        labels,
        batch_size=len(images),
        shuffle=False,
        epochs=iterations or variant.epochs,
        optimizer=variant.fresh_optimizer() if rate is None else mc.SGD(rate),
        verbose=0,
    )
    return network, history


network, _ = descend(as_published, train.images, train.labels)
print("the hash of this network  ", network.weights_hash())
print("the hash in the report    ", twenty.weights_hash)
assert network.weights_hash() == twenty.weights_hash

mc.plots.predictions(test.images[:8], network.predict(test.images[:8]), test.labels[:8])
plt.show()

# %% [markdown]
# One thing in the author's text can be checked in a line. It says that the images are 26 by 26 pixels.

# %%
height, width = train.images.shape[1:]
inner = train.images[:, 1:-1, 1:-1]
cut = (train.images.sum(axis=(1, 2)) != inner.sum(axis=(1, 2))).sum()
evidence = (
    f"they are {height} by {width}; cut to {inner.shape[1]} by {inner.shape[2]}, {cut} of {len(train):,} lose ink"
)
claims.append(("gd-20", mc.recipes.Claim("the images have 26 by 26 pixels", (height, width) == (26, 26), evidence)))
print(evidence)

# %% [markdown]
# ## Trouble 1: the scale of the pixels
#
# A pixel is a number from 0 to 255. Almost everybody divides by 255 first. The recipe did not. Here is why: the same
# run with divided pixels, and other readings of what the author may have done.

# %%
readings = mc.recipes.reproduce("gd-20", variants=[variant.name for variant in gd20.readings], progress=False)
claims += [("gd-20", claim) for claim in readings.claims]
readings

# %%
curves = {variant.name: curves_of(variant) for variant in (*twenty.variants, *readings.variants)}
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
mc.plots.training_curves(curves, ax=axes)
axes[0].set(yscale="log", ylabel="loss (logarithmic axis)", ylim=(0.3, 1e6))
axes[0].set_title("Loss: raw pixels begin high")
axes[1].set_title("Accuracy: divided pixels stay at chance")
for ax in axes:
    ax.set(xlabel="iteration", xticks=range(2, 21, 2))
plt.show()

# %% [markdown]
# With divided pixels, twenty steps at this rate do next to nothing, whatever the first weights are. With raw pixels
# each of three first weights learns. So the author almost surely fed **raw** pixels. Small first weights come nearest
# to the published figure.
#
# Why does it matter? The first layer computes x W. Divide all pixels by 255 and multiply W by 255: the product is the
# same. So is every answer. The slope is not:
#
# ```
# x W = (x / 255) (255 W)          write V = 255 W for the weights that divided pixels need
# dL/dW = 255 * dL/dV              chain rule
# V = 255 W  moves by  255 * rate * dL/dW = 255^2 * rate * dL/dV
# ```
#
# One factor of 255 comes from the slope, another from V itself. So raw pixels are divided pixels with first weights 255
# times as large, **and a rate that is 255 * 255 times as large in the first layer**. We check it: a twin with divided
# pixels, trained in three lines by hand, with that rate. A small part of the images is enough for it. We use this part
# for all experiments from here on.

# %%
few, few_labels = train.images[:4_000], train.labels[:4_000]
rate, factor = 0.001, 255

raw, _ = descend(as_published, few, few_labels)

scaled = as_published.but("scaled", "pixels / 255", scale=None)
twin = scaled.network.build(seed=0)
W1, b1, W2, b2 = as_published.network.build(seed=0).get_weights()
twin.set_weights([factor * W1, b1, W2, b2])
rates = [factor**2 * rate, rate, rate, rate]
for _ in range(as_published.epochs):
    gradients = twin.gradients(few, few_labels)
    twin.set_weights([w - r * g for w, r, g in zip(twin.get_weights(), rates, gradients, strict=True)])

print(f"rates of the twin: {rates}")
for name, trained in (("raw pixels", raw), ("twin, pixels / 255", twin)):
    print(f"{name:20} {trained.evaluate(few, few_labels, verbose=0)}")
difference = np.abs(raw.predict(few) - twin.predict(few)).max()
print(f"largest difference of a probability after {as_published.epochs} iterations: {difference:.0e}")
assert difference < 0.01

# %% [markdown]
# They are the same network. So there is nothing magical about raw pixels. They change the rate behind your back, and
# only that of the first layer.
#
# ## Trouble 2: the learning rate
#
# Then divided pixels should learn as well, with another rate. Here are twelve rates, from far too low to far too high.
# Where is the best one for raw pixels, and where for divided ones?

# %%
systems = {
    "raw pixels, N(0, 0.01²)": (as_published, "o-", VERMILLION),
    "pixels / 255, N(0, 0.01²)": (scaled, "s--", ORANGE),
    "pixels / 255, He": (scaled.but("scaled-he", "He weights", initializer="he_normal"), "^:", BLUE),
}
RATES = [0.00001, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]

fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for name, (variant, style, color) in systems.items():
    reached = []
    for rate in RATES:
        trained, _ = descend(variant, few, few_labels, rate=rate)
        reached.append(100 * trained.evaluate(few, few_labels, verbose=0).accuracy)
    best = int(np.argmax(reached))
    ax.semilogx(RATES, reached, style, color=color, label=f"{name}: best at {RATES[best]:g}")
    print(f"{name:26} best rate {RATES[best]:g}: {reached[best]:.2f} %; at {RATES[-1]:g}: {reached[-1]:.2f} %")
ax.axhline(10, color=GREY, linewidth=1)
ax.annotate("chance", (RATES[-1], 10), xytext=(0, -12), textcoords="offset points", color=GREY)
ax.set(xlabel="learning rate", ylabel=f"accuracy on {len(few):,} training images (%)", ylim=(0, 115))
ax.set_title(f"{as_published.epochs} iterations: the right rate depends on the pixels and on the first weights")
ax.set_yticks(range(0, 101, 20))
ax.legend(loc="upper center", ncols=3, fontsize=9)
plt.show()

# %% [markdown]
# With a fitting rate and He weights, divided pixels do about as well as raw ones. No rate is good in itself: the one
# that suits raw pixels is hopeless for divided ones, and the other way round. On both sides of a peak there is chance.
# But the two sides are not the same. Look at what happens inside, with raw pixels.

# %%
print(f"raw pixels, {as_published.epochs} iterations")
print("    rate   first loss   highest loss   last loss   accuracy   hidden units that never answer")
for rate in (0.00001, 0.001, 0.003, 0.01, 0.1):
    trained, history = descend(as_published, few, few_labels, rate=rate)
    losses = history.history["loss"]
    hidden = next(iter(trained.layer_outputs(few).values()))
    silent = int((hidden == 0).all(axis=0).sum())
    accuracy = 100 * trained.evaluate(few, few_labels, verbose=0).accuracy
    print(
        f"{rate:8.5f} {losses[0]:12.2f} {max(losses):14,.2f} {losses[-1]:11.2f} {accuracy:8.2f} %   "
        f"{silent:4} of {hidden.shape[1]}"
    )
print(f"\nall classes equally probable: loss {math.log(10):.3f}")

# %% [markdown]
# * **Too low**: the loss falls, but slowly. Patience helps.
# * **Right**: the loss falls quickly. With a bit more it first jumps up, then falls.
# * **Too high**: the loss jumps so far that hidden units are pushed below zero for *every* image. ReLU gives 0 there,
#   and its slope is 0, too. Such a unit is **dead**: no gradient reaches it again. In the end few are left, and the
#   network gives all classes about the same probability. The loss looks harmless then. Patience does not help.
#
# So a rate that is too high does more harm, and it is easily overlooked: no error, a loss that is small and steady.
# Look at the *highest* loss, not only at the last one.
#
# Without ReLU nothing can die. Then the steps grow until numbers overflow. In plain NumPy the weights become `nan`, and
# the program goes on. This package stops at that step.

# %%
linear = as_published.but("linear", "no activation", activation="linear")
stopped = linear.network.build(seed=0)
try:
    stopped.fit(few, few_labels, batch_size=len(few), shuffle=False, epochs=40, optimizer=mc.SGD(0.03), verbose=0)
except mc.NotFiniteError as error:
    print(f"{type(error).__name__}: {error}")
    losses = stopped.history.history["loss"]
    print("the losses so far: " + ", ".join(f"{loss:.2g}" for loss in losses))
    print("all weights are finite:", all(np.isfinite(w).all() for w in stopped.get_weights()))

# %% [markdown]
# Each loss is larger than the one before by about the same factor, as in the last parabola of the first picture.
#
# ## Trouble 3: the first weights
#
# The second system, gd-10k, has only 10 hidden units. It divides its pixels and has rate 0.01. Its author does not say
# how the weights began. We try five ways, in a short run:
#
# * all **zero**;
# * all the same, **constant** 0.1;
# * small normal numbers, **N(0, 0.01²)**, those of gd-20;
# * **uniform** from -0.5 to 0.5, for weights and biases, as in the well-known tutorial that this program follows;
# * **He**: normal with variance 2 / inputs. So the sums of a ReLU layer are as large as its inputs, on average.
#
# Which one wins?

# %%
gd10k = mc.recipes.get("gd-10k")
he, uniform = gd10k.variants
beginnings = {
    "zeros": he.but("zeros", "", initializer="zeros"),
    "constant 0.1": he.but("constant", "", initializer=mc.Constant(0.1)),
    "N(0, 0.01²)": he.but("small", "", initializer=mc.RandomNormal(stddev=0.01)),
    "uniform ±0.5": uniform,
    "He": he,
}
SHORT = 200

histories = {}
print(f"gd-10k, shortened to {SHORT} iterations and {len(few):,} images")
print("first weights   hidden units that differ   first loss   last loss   accuracy")
for name, variant in beginnings.items():
    trained, history = descend(variant, few, few_labels, iterations=SHORT)
    histories[name] = history
    kernel = trained.get_weights()[0]
    losses, accuracy = history.history["loss"], 100 * trained.evaluate(few, few_labels, verbose=0).accuracy
    different = len(np.unique(kernel.T, axis=0))
    print(f"{name:15} {different:24} {losses[0]:12.3f} {losses[-1]:11.3f} {accuracy:8.2f} %")
frequent = 100 * np.bincount(few_labels).max() / len(few)
print(f"always the most frequent digit: {frequent:.2f} %")

axes = mc.plots.training_curves(histories)
for ax in axes:
    ax.set_xlabel("iteration")
plt.show()

# %% [markdown]
# * **Zeros** learn nothing. All hidden units give 0, so the last layer gets no gradient. And the hidden layer gets its
#   gradient through the last layer, which is 0, too. Only the ten biases of the outputs move: they learn how frequent
#   each digit is.
# * With a **constant** there is a gradient, but it is the same for all hidden units. They stay equal for ever: ten
#   units that count as one. Random numbers are there to make units different.
# * **Small** weights suited raw pixels. With divided pixels the sums are tiny, and so are the slopes.
# * **Uniform** weights are several times as large as those of He in the first layer. The network begins sure of itself
#   and wrong, which shows in the first loss. It first has to unlearn.
# * **He** begins near the loss of equal probabilities, and with slopes of a useful size.
#
# ## Trouble 4: the shape of the labels
#
# The author of gd-10k lost hours on labels of shape (1, n) in place of (n,). It is a row in a table with one row. So
# `labels[1]` does not mean the second label, but a second row:

# %%
row = few_labels.reshape(1, -1)
column = few_labels.reshape(-1, 1)
print(f"labels {few_labels.shape}, row {row.shape}, column {column.shape}")
try:
    print(row[1])
except IndexError as error:
    print(f"row[1]: IndexError: {error}")

# %% [markdown]
# That is word for word the published message. It is the lucky case, as there *is* a message. NumPy's **broadcasting**
# is worse: it compares a row with a column by comparing everything with everything.

# %%
answers = raw.predict(few).argmax(axis=1)
for name, labels in (("labels (n,)", few_labels), ("row (1, n)", row), ("column (n, 1)", column)):
    equal = answers == labels
    print(f"mean of (answers == {name:13}) = {100 * equal.mean():5.2f} %, from an array of shape {equal.shape}")

# %% [markdown]
# The same network, the same labels. In the last line a good network looks like one that only guesses. One could change
# the learning rate for days. What does this package say?

# %%
shapes = {
    "(n,), as they should be": few_labels,
    "column (n, 1)": column,
    "one-hot (n, 10)": np.eye(10)[few_labels],
    "row (1, n)": row,
    "one-hot, transposed": np.eye(10)[few_labels].T,
    "one label missing": few_labels[1:],
    "counted from 1": few_labels + 1,
    "text": few_labels.astype(str),
}
for name, labels in shapes.items():
    untrained = he.network.build(seed=0)
    try:
        untrained.fit(few, labels, batch_size=len(few), verbose=0)
        print(f"{name}: accepted")
    except (TypeError, ValueError) as error:
        print(f"{name}:\n    {type(error).__name__}: {error}")

# %% [markdown]
# What can be meant in only one way is accepted. All else is refused before the first step, with the likely cure. The
# metrics do the same:

# %%
print(f"column: {mc.metrics.accuracy_score(column, answers):.4f}")
try:
    mc.metrics.accuracy_score(row, answers)
except ValueError as error:
    print(f"row: ValueError: {error}")

# %% [markdown]
# ## Trouble 5: no activation
#
# The same author says that no activation gives *garbage*. Two layers without anything between them are one layer, so
# they can draw only straight borders between digits. Is that garbage? The list of the author names two more causes:
# pixels that are not divided, and a rate that is too low. So we try all eight cases.

# %%
print(f"gd-10k with He weights, {SHORT} iterations, {len(few):,} images: accuracy, and hidden units that never answer")
outcome = {}
for pixels, scale in (("0 to 1", None), ("0 to 255", 1.0)):
    for rate in (0.01, 0.001):
        for activation in ("relu", "linear"):
            case = he.but("case", "", activation=activation, scale=scale)
            try:
                trained, _ = descend(case, few, few_labels, iterations=SHORT, rate=rate)
                share = 100 * trained.evaluate(few, few_labels, verbose=0).accuracy
                hidden = next(iter(trained.layer_outputs(few).values()))
                text = f"{share:6.2f} %   {(hidden == 0).all(axis=0).sum()} of {hidden.shape[1]}"
            except mc.NotFiniteError as error:
                share, text = 0.0, f"stopped in iteration {error.epoch + 1}: the loss is no finite number any more"
            outcome[pixels, rate, activation] = share
            print(f"  pixels {pixels:8}  rate {rate:<5}  {activation:6}  {text}")

share, with_relu = outcome["0 to 1", 0.01, "linear"], outcome["0 to 1", 0.01, "relu"]
evidence = f"pixels / 255, rate 0.01, {SHORT} iterations: {share:.2f} % without, {with_relu:.2f} % with ReLU"
claims.append(("gd-10k", mc.recipes.Claim("no activation gives garbage", share < 50, evidence)))

# %% [markdown]
# Without activation the network learns, in these few steps even faster. With raw pixels it is the other way round from
# what one expects: the network **with** ReLU fails at both rates, as its few units die or are nearly always off. The
# one without can overflow, but it cannot die: at the lower rate it is the best of all eight. So the claim is refuted:
# it was not the missing activation that gave garbage. The notebook *Inside backpropagation* shows the limit of such a
# network.
#
# ## gd-10k: ten thousand iterations
#
# Now the whole run: 784-10-10, ReLU and softmax, rate 0.01. The author published the accuracy on the training images in
# one of the last iterations. Not stated are widths, first weights, and how many images there were. The recipe takes
# them from the tutorial. He weights and uniform weights are both shown; nobody knows whether one of them was meant.
#
# This takes longer than a page should. So it is read from a report that the command below made. The report holds the
# hash of the weights: `mnist-c verify` makes every run of it again, and compares.
#
# ```
# mnist-c reproduce gd-10k --full --seeds N --output reports/gd-10k.json
# mnist-c verify reports/gd-10k.json
# ```

# %%
long = mc.recipes.load_report(Path("reports/gd-10k.json"))
for variant in long.variants[:2]:
    run = variant.runs[0]
    print(f"{variant.name:10} seed {run.seed}, {run.epochs:,} iterations on {run.images['train']:,} images, by report")
    print(f"           weights hash {run.weights_hash}")
claims += [("gd-10k", claim) for claim in long.claims]
long

# %% [markdown]
# **A short live run** stands beside it: the first iterations of both runs, made now. They must lie on the curves of the
# report.

# %%
LIVE = 60
live = {}
for variant in (he, uniform):
    of_report = long.variant(variant.name).runs[0]
    n = of_report.images["train"]
    _, live[variant.name] = descend(variant, train.images[:n], train.labels[:n], iterations=LIVE, seed=of_report.seed)
    kept = [epoch for epoch in of_report.curves.epoch if epoch < LIVE]
    for figure in ("loss", "accuracy"):
        now = np.array(live[variant.name].history[figure])[kept]
        assert np.allclose(now, of_report.curves.history[figure][: len(kept)], rtol=1e-4)
    print(f"{variant.name}, live, {LIVE} iterations: at {len(kept)} points as in the report")

fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
mc.plots.training_curves({f"{name}, report": curves_of(long.variant(name)) for name in live}, ax=axes)
for ax, figure, factor in zip(axes, ("loss", "accuracy"), (1, 100), strict=True):
    for history in live.values():
        ax.plot(np.arange(1, LIVE + 1), factor * np.array(history.history[figure]), color=ORANGE, linewidth=5, zorder=0)
    ax.set(xscale="log", xlabel="iteration (logarithmic axis)")
FINAL = he.published["train_accuracy"]
axes[1].axhline(100 * FINAL, color="black", linestyle=":")
axes[1].annotate("published, training", (1, 100 * FINAL), xytext=(0, 4), textcoords="offset points")
axes[1].set_ylim(0, 100)
axes[1].set_title("Accuracy (thick: live)")
axes[0].set_title("Loss (thick: live)")
plt.show()

# %%
show_digits(long.variant("he-normal").runs[0]).suptitle("gd-10k, He weights, by report")
plt.show()

# %% [markdown]
# As for gd-20, the author published no figures digit by digit. The table of the report has them for both first weights.
#
# The printed **loss** cannot be compared at all. Take the published loss and accuracy of the last line: right answers
# add at least 0 to a mean, so the wrong ones must make up for the rest.

# %%
PRINTED_LOSS = 38.6941
of_wrong = PRINTED_LOSS / (1 - FINAL)
print(
    f"if it were a mean, wrong answers would add {of_wrong:.0f} each: the right digit had probability e^-{of_wrong:.0f}"
)
print(f"our mean loss there: {long.variant('he-normal').spread['train_loss'].mean:.4f}")

# %% [markdown]
# No network is that sure of so many mistakes. The author printed something else, we do not know what. So be careful
# with what the author concludes from this loss.
#
# ## The bad run
#
# Before, the author had made 7,000 iterations with rate 0.001, and they went badly. The explanation: *too low a rate,
# and unnormalised pixels*. The report has that run with divided pixels. We add the one with raw pixels, live and
# shortened.

# %%
MILESTONES = (1, 100, 1000, 3000)
bad_run = mc.recipes.gd_10k.PUBLISHED_EARLIER


def line(name, accuracies):
    cells = [f"{100 * accuracies[n]:8.2f} %" if n in accuracies else f"{'':10}" for n in MILESTONES]
    return f"{name:42}" + "".join(cells)


def at_milestones(epochs, accuracies):
    return {epoch + 1: share for epoch, share in zip(epochs, accuracies, strict=True) if epoch + 1 in MILESTONES}


print(f"{'rate 0.001: accuracy in iteration':42}" + "".join(f"{n:10,}" for n in MILESTONES))
print(line("published", bad_run))
rows = {}
for variant in (he, uniform):
    curves = long.variant(f"earlier-{variant.name}").runs[0].curves
    rows[variant.name, "divided"] = at_milestones(curves.epoch, curves.history["accuracy"])
    print(line(f"pixels / 255, {variant.name}, by report", rows[variant.name, "divided"]))
n = 2_000  # images
for variant in (he, uniform):
    undivided = variant.but("raw", "", scale=1.0)
    _, history = descend(undivided, few[:n], few_labels[:n], iterations=MILESTONES[2], rate=0.001)
    rows[variant.name, "raw"] = at_milestones(history.epoch, history.history["accuracy"])
    print(line(f"raw pixels, {variant.name}, {n:,} images, live", rows[variant.name, "raw"]))
    print(f"{'':42}first loss {history.history['loss'][0]:.1f}, that of equal probabilities is {math.log(10):.1f}")

known = max(n for n in bad_run if all(n in rows[variant.name, "divided"] for variant in (he, uniform)))
low, high = sorted(100 * rows[variant.name, "divided"][known] for variant in (he, uniform))
evidence = (
    f"iteration {known:,}: {low:.2f} and {high:.2f} % with both first weights, published {100 * bad_run[known]:.2f} %"
)
holds = low <= 100 * bad_run[known] <= high
claims.append(("gd-10k", mc.recipes.Claim("too low a rate explains the bad run", holds, evidence)))

stuck = 100 * max(rows[variant.name, "raw"][MILESTONES[2]] for variant in (he, uniform))
evidence = (
    f"at most {stuck:.2f} % in iteration {MILESTONES[2]:,}; published {100 * bad_run[3000]:.2f} % in iteration 3,000"
)
holds = stuck > 100 * bad_run[3000]
claims.append(("gd-10k", mc.recipes.Claim("unnormalised pixels explain the bad run", holds, evidence)))
for _, claim in claims[-2:]:
    print(f"\n{claim.claim}: {claim.evidence}")

# %% [markdown]
# Too low a rate explains the bad run by itself. With uniform weights and divided pixels, accuracy begins at chance and
# hardly moves in the first hundred iterations, as published; with He weights it is faster. Raw pixels do something
# else: a very high first loss, a quick move, and then almost nothing, since most units are off. If the pixels were raw
# in that run, then not with these first weights. The author cured two things at once, so neither of them was tested.
# **Change one thing at a time.**
#
# ## The next steps of the author
#
# The author lists what to try next: Adam, RMSProp, more units, more layers, augmentation, L2, dropout. Each is a row of
# the report: the run with He weights, 2,000 iterations in place of 10,000, and *one* change; the last row has two. The
# row he-2000 has none: it is what the others are compared with. All are judged on the last 10,000 training images,
# which no run has learned from.

# %%
whole, base = long.variant("he-normal"), long.variant("he-2000")
usual = base.spread["validation_accuracy"].mean
goal = whole.runs[0].figures["validation_accuracy"]
improved = [variant for variant in long.variants if variant.kind == "improved"]


def first_at_goal(variant):
    """The first iteration that the report shows with the goal reached, in the first seed's run."""
    curves = variant.runs[0].curves
    reached = [e + 1 for e, share in zip(curves.epoch, curves.history["val_accuracy"], strict=True) if share >= goal]
    return f"{reached[0]:,}" if reached else "never"


print(f"means of {len(base.runs)} seeds; goal: {100 * goal:.2f} %, where the first seed of {whole.name} ends", end=" ")
print(f"after {whole.runs[0].epochs:,} iterations")
print(f"{'':14}{'validation':>12}{f'against {base.name}':>20}{'goal reached in':>18}   change")
for variant in improved:
    share = variant.spread["validation_accuracy"].mean
    print(
        f"{variant.name:14}{100 * share:10.2f} %{100 * (share - usual):+13.2f} points"
        f"{first_at_goal(variant):>18}   {variant.change}"
    )

# %%
shown = {name: long.variant(name).runs[0].curves for name in ("he-normal", "adam", "rmsprop", "wider-adam")}
fig, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
mc.plots.training_curves(shown, metrics=["accuracy"], ax=ax)
ax.set(
    xscale="log",
    xlabel="iteration (logarithmic axis)",
    title="Optimizers, and one of them with more units (first seed)",
)
ax.get_legend().set_loc("lower right")
plt.show()

# %% [markdown]
# Adam and RMSProp give each weight a rate of its own: they divide by the usual size of its slope. So they need far
# fewer iterations. The table shows what they gain in as many iterations, and which changes gain nothing.
#
# ## Do twenty to a hundred iterations suffice?
#
# The author of gd-20 thinks so. Suffice for what? The recipe trains on, with a part of the training images set aside to
# choose: first more iterations, then He weights with a fitting rate, then steps on 64 images each, in place of all. In
# these *mini-batches* a slope is less exact, but there are many more steps for the same work.

# %%
further = mc.recipes.reproduce(
    "gd-20", variants=["held-out", "100-iterations", "he", "he-mini-batches"], progress=False
)
claims += [("gd-20", claim) for claim in further.claims]
further

# %%
fig, ax = plt.subplots(figsize=(9, 4.4), layout="constrained")
curves = {variant.name: curves_of(variant) for variant in further.variants}
mc.plots.training_curves(curves, metrics=["accuracy"], ax=ax)
ax.set(xscale="log", xlabel="passes over the images (logarithmic axis)", ylim=(0, 100))
ax.get_legend().set_loc("lower right")
plt.show()

# %% [markdown]
# Twenty iterations are enough to see that a network learns. They are not enough for what this network can do: the
# curves still rise at their ends. The one of `he` swings: its rate is near the limit, as in the third parabola of the
# first picture. Mini-batches get further with the same twenty passes.
#
# ## Are more iterations better? Is a lower loss a higher accuracy?
#
# *More iterations are not always better*, says the author of gd-10k, and *lower loss is not always higher accuracy*.
# The loss asks how sure the network is of the right digit; the accuracy asks only whether it comes first. So it may
# happen. Does it? We look at the validation images in all runs of the report and in those of the last table: is the
# last accuracy the best one? And how often do loss and accuracy fall together from one point of the curve to the next?

# %%
print(f"{'validation accuracy':22}{'best':>9}{'in':>8}{'last':>11}{'in':>8}   loss and accuracy fall together")
for variant in (*long.variants, *further.variants):
    curves = variant.runs[0].curves
    losses, shares = (np.array(curves.history[name], dtype=float) for name in ("val_loss", "val_accuracy"))
    top = int(shares.argmax())
    together = int(((np.diff(losses) < 0) & (np.diff(shares) < 0)).sum())
    print(
        f"{variant.name:22}{100 * shares[top]:7.2f} %{curves.epoch[top] + 1:8,}{100 * shares[-1]:9.2f} %"
        f"{curves.epoch[-1] + 1:8,}   {together:3} of {len(shares) - 1} times"
    )

# %% [markdown]
# The two first lines are the author's own run, with each of the first weights. Others show when such things happen:
# where a rate is so high that the curve swings, and where a network learns its training images by heart.
#
# ## The claims

# %%
VERDICT = {True: "CONFIRMED", False: "REFUTED", None: "found"}
for system, claim in claims:
    print(f"{VERDICT[claim.holds]:9}  {system}: {claim.claim}\n           {claim.evidence}")

# %% [markdown]
# *Confirmed* and *refuted* mean: in these runs. Look at the figures, too, not only at the verdict. A difference of a
# few hundredths of a point is a handful of images.
#
# ## What happened
#
# * The limit of the learning rate is 2 / curvature. Whatever changes the curvature changes the right rate: the scale of
#   the pixels, the first weights, the network.
# * Raw pixels are a rate that is 255 * 255 times as high in the first layer. That is what the published gd-20 lived on,
#   and what a network of ten ReLU units dies of.
# * Too low a rate is slow. Too high a rate kills units, silently, and ends with a harmless loss.
# * Weights must begin different from each other, and with a size that fits the number of inputs.
# * Shapes are the most expensive mistakes: broadcasting turns a good network into a bad figure without a word.
# * Both published figures come out about right, though neither author wrote down all that is needed. Write down your
#   seed, your first weights and your pixels.
#
# ## Exercises
#
# Answers are folded up below each exercise. Try first. `few` and `descend` are still there.
#
# **1. Measure the curvature.** Go a tiny way h against the gradient. The slope along that way changes from s to t, so
# the curvature along it is about (s - t) / h. Measure it at the start for raw pixels with small weights, and for
# divided pixels with He weights. Compare 2 / curvature with the best rates of the picture.
#
# <details><summary>Answer</summary>
#
# ```python
# def curvature(variant, h=0.001):
#     model = variant.network.build(seed=0)
#     weights, gradients = model.get_weights(), model.gradients(few, few_labels)
#     length = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in gradients))
#     model.set_weights([w - h / length * g for w, g in zip(weights, gradients, strict=True)])
#     again = model.gradients(few, few_labels)
#     slope = sum(float((a.astype(float) * b).sum()) for a, b in zip(gradients, again, strict=True)) / length
#     return (length - slope) / h
#
#
# for name in ("raw pixels, N(0, 0.01²)", "pixels / 255, He"):
#     a = curvature(systems[name][0])
#     print(f"{name:26} curvature {a:9.2f}, limit {2 / a:.5f}")
# ```
#
# Both best rates lie near the limit, within a factor of a few. For divided pixels with *small* weights the curvature is
# negative: they begin in a flat place, where the parabola is no help.
#
# </details>
#
# **2. Break the symmetry.** Begin with the constant 0.1, but add a little noise to the first kernel: normal numbers
# with a standard deviation of a millionth, then of a thousandth, then of a tenth. How many iterations does it take
# until the hidden units differ enough to be useful?
#
# <details><summary>Answer</summary>
#
# ```python
# for noise in (0.0, 0.000001, 0.001, 0.1):
#     model = beginnings["constant 0.1"].network.build(seed=0)
#     kernel, *others = model.get_weights()
#     model.set_weights([kernel + noise * np.random.default_rng(0).normal(size=kernel.shape), *others])
#     for iterations in (SHORT, 4 * SHORT):
#         model.fit(few, few_labels, batch_size=len(few), epochs=iterations, optimizer=mc.SGD(0.01), verbose=0)
#         share = model.evaluate(few, few_labels, verbose=0).accuracy
#         print(f"noise {noise:8g}, {iterations:4} more iterations: {100 * share:.2f} %")
# ```
#
# Tiny differences grow, but slowly. Noise of a useful size is a better start than patience.
#
# </details>
#
# **3. Momentum.** A ball that rolls down a valley keeps most of its speed:
#
# ```
# m = 0.9 * m - rate * slope          w = w + m
# ```
#
# The argument `momentum` of `mc.SGD` does it. How far do twenty iterations get with divided pixels and He weights?
# Which rates suit it, compared with plain gradient descent?
#
# <details><summary>Answer</summary>
#
# ```python
# variant = systems["pixels / 255, He"][0]
# for momentum in (0.0, 0.9):
#     for rate in (0.03, 0.1, 0.3, 1.0):
#         model = variant.network.build(seed=0)
#         optimizer = mc.SGD(rate, momentum=momentum)
#         model.fit(few, few_labels, batch_size=len(few), epochs=20, optimizer=optimizer, verbose=0)
#         share = model.evaluate(few, few_labels, verbose=0).accuracy
#         print(f"momentum {momentum}, rate {rate:4}: {100 * share:.2f} %")
# ```
#
# Steps in the same direction add up, to as much as ten times their length. In directions that swing from side to side
# they cancel. So momentum is faster at each of these rates, and it bears higher ones.
#
# </details>
