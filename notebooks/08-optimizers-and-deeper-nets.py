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
# # Optimizers and deeper nets: which method, which rate, how many layers?
#
# Plain gradient descent has one setting, the learning rate. Its successors have momentum, averages of squares, decay
# and schedules. And networks became deeper, for which one needs good first weights, batch normalisation and a look
# inside. On this page you compare all this on small runs: a few thousand MNIST digits, a few epochs.
#
# Before you go on, guess:
#
# * Adam is said to be better than SGD. How much of this is left if each of them has a learning rate that suits it?
# * What does a learning rate gain that falls during training?
# * Eight hidden layers with a sigmoid: do they read better than one?
# * Does the average of the weights of many steps read better than the last weights?

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import mnist_c as mc

# Colours that stay apart for colour-blind readers and in a grey print (Okabe and Ito).
BLUE, ORANGE, VERMILLION, GREEN, PURPLE, SKY, BLACK, GREY = (
    "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#777777",
)  # fmt: skip
plt.rcParams.update({"figure.dpi": 85, "font.size": 10, "axes.spines.top": False, "axes.spines.right": False})

SOURCES = {
    "momentum": "Polyak 1964; Nesterov 1983; Sutskever et al. 2013",
    "Adagrad, RMSprop": "Duchi, Hazan and Singer 2011; Hinton 2012 (lecture)",
    "Adam, AdamW": "Kingma and Ba 2015; Loshchilov and Hutter 2019",
    "schedules": "Loshchilov and Hutter 2017 (cosine); Goyal et al. 2017 (warm-up); Smith 2018 (one cycle)",
    "first weights": "Glorot and Bengio 2010; He et al. 2015",
    "batch normalisation": "Ioffe and Szegedy 2015; Santurkar et al. 2018",
    "clipping": "Pascanu, Mikolov and Bengio 2013",
    "averaging": "Polyak and Juditsky 1992",
    "fair comparison": "Choi et al. 2019; Schmidt, Schneider and Hennig 2021",
}
for topic, papers in SOURCES.items():
    print(f"{topic:20} {papers}")

# %% [markdown]
# ## The methods
#
# g is the gradient of a weight w, r the learning rate, t the number of the step. All of them work on each weight alone:
#
# ```
# SGD         w = w - r g
# momentum    m = 0.9 m - r g                  w = w + m              the step remembers the steps before
# Nesterov    m = 0.9 m - r g                  w = w + 0.9 m - r g    the same, looking ahead by one step
# Adagrad     v = v + g^2                      w = w - r g / sqrt(v)  steep weights get shorter steps
# RMSprop     v = 0.9 v + 0.1 g^2              w = w - r g / sqrt(v)  the same, and forgets what is long ago
# Adam        m = 0.9 m + 0.1 g
#             v = 0.999 v + 0.001 g^2          w = w - r (m / (1 - 0.9^t)) / sqrt(v / (1 - 0.999^t))
# AdamW       w = w - r decay w, then Adam
# ```
#
# (A tiny number in each root or divisor keeps it from being 0.) First a *ravine*: a loss with two weights, which is
# bent far more strongly in one direction than in the other. Each method makes the same number of steps with the rate
# that suits it best. One ravine lies along an axis, the other one is the same, turned by half a right angle.

# %%
MOMENTUM, STEPS, BENDS = 0.9, 40, np.array([1.0, 50.0])
METHODS = {
    "SGD": mc.SGD,
    "momentum": lambda rate: mc.SGD(rate, momentum=MOMENTUM),
    "Nesterov": lambda rate: mc.SGD(rate, momentum=MOMENTUM, nesterov=True),
    "Adagrad": mc.Adagrad,
    "RMSprop": mc.RMSprop,
    "Adam": mc.Adam,
}
LOOKS = dict(zip([*METHODS, "AdamW"], (BLACK, BLUE, SKY, ORANGE, PURPLE, VERMILLION, GREEN), strict=True))


def descend(optimizer, matrix, start):
    """The path of two weights w, whose loss is w matrix w / 2, by the kernel that trains networks."""
    path, slots = [start], mc.ops.optimizer_slots(optimizer, start)
    for t in range(1, STEPS + 1):
        w = path[-1].copy()
        mc.ops.optimizer_step(optimizer, w, matrix @ w, slots, t)
        path.append(w)
    return np.array(path)


corner = math.sqrt(0.5)
turn = np.array([[corner, -corner], [corner, corner]])
ravines = {"along an axis": np.diag(BENDS), "turned": turn @ np.diag(BENDS) @ turn.T}
starts = {"along an axis": np.array([-3.0, 0.6]), "turned": turn @ np.array([-3.0, 0.6])}
grid = 10.0 ** np.arange(-3, 0, 0.125)
ends, paths = {}, {}
for name, make in METHODS.items():
    for ravine, matrix in ravines.items():
        tried = [descend(make(rate), matrix, starts[ravine]) for rate in grid]
        losses = [float(path[-1] @ matrix @ path[-1] / 2) for path in tried]
        ends[name, ravine], paths[name, ravine] = max(min(losses), 1e-9), tried[int(np.argmin(losses))]

fig, axes = plt.subplots(2, 3, figsize=(10, 4.6), layout="constrained", sharex=True, sharey=True)
across, up = np.meshgrid(np.linspace(-3.3, 1.8, 120), np.linspace(-0.9, 0.9, 80))
for ax, name in zip(axes.flat, METHODS, strict=True):
    ax.contour(across, up, (BENDS[0] * across**2 + BENDS[1] * up**2) / 2, levels=[0.3, 1, 3, 6, 12], colors="#CCCCCC")
    ax.plot(*paths[name, "along an axis"].T, "o-", color=LOOKS[name], markersize=3, linewidth=1)
    ax.plot(0, 0, "+", color=BLACK, markersize=11)
    ax.set(title=f"{name}: loss {ends[name, 'along an axis']:.0e}", xlim=(-3.3, 1.8), ylim=(-0.9, 0.9))
for ax in axes[1]:
    ax.set_xlabel("weight 1, gently bent")
for ax in axes[:, 0]:
    ax.set_ylabel("weight 2, steep")
fig.suptitle(f"{STEPS} steps into a ravine along an axis; the minimum is at +")
plt.show()

print(f"loss after {STEPS} steps, at the best of {len(grid)} rates     along an axis        turned   (1e-9: at most)")
for name in METHODS:
    print(f"{name:46} {ends[name, 'along an axis']:16.1e} {ends[name, 'turned']:13.1e}")
for name in ("SGD", "momentum", "Nesterov"):
    assert math.isclose(ends[name, "along an axis"], ends[name, "turned"], rel_tol=1e-3)
assert ends["momentum", "turned"] < ends["SGD", "turned"] / 3
assert ends["Adam", "turned"] > 3 * ends["Adam", "along an axis"]

# %% [markdown]
# The curvature of the steep direction limits the rate of SGD, which then creeps along the other. Momentum adds up what
# stays the same and cancels what alternates. Methods with a root divide by what each weight has seen: they make the
# ravine round, **if it lies along an axis**. Turned, they lose much of this, while SGD and momentum do not even notice.
# So no method wins in general. What are real networks like?
#
# ## First a schedule
#
# The runs of this page are short: a few thousand images, a few epochs. The test images stay shut until the end, and all
# is judged by the loss on **validation** images. (The number of images is a multiple of the batch size. Else the last
# batch of an epoch is smaller, and its noisy gradient just before validation spoils the figure; see the exercises.)

# %%
train, test = mc.datasets.load("mnist")
x, y = train.images[:4_800], train.labels[:4_800]
validation = train.images[-4_000:], train.labels[-4_000:]
EPOCHS, BATCH = 4, 32
CHOOSE, COMPARE = (0, 1, 2), (3, 4, 5)  # seeds
STEPS_PER_EPOCH = math.ceil(len(x) / BATCH)


def network(seed, hidden=(128, 64), activation="relu", first="he_normal", normalise=False, l2=0.0):
    """A network with softmax; normalise: batch normalisation before each activation."""
    layers, penalty = [mc.Flatten(input_shape=(28, 28))], mc.L2(l2) if l2 else None
    for units in hidden:
        layers.append(mc.Dense(units, kernel_initializer=first, use_bias=not normalise, kernel_regularizer=penalty))
        layers += [mc.BatchNormalization(momentum=0.9)] if normalise else []
        layers.append(mc.Activation(activation))
    return mc.Sequential([*layers, mc.Dense(10, "softmax", kernel_regularizer=penalty)], seed=seed)


def train_one(optimizer, seed, callbacks=None, each_epoch=True, **options):
    """A trained network, and its history; None where training diverged. each_epoch: or validate only at the end."""
    model = network(seed, **options)
    arguments = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0, "optimizer": optimizer, "callbacks": callbacks}
    try:
        history = model.fit(x, y, validation_data=validation if each_epoch else None, **arguments).history
    except mc.NotFiniteError:
        return model, None
    if not each_epoch:
        result = model.evaluate(*validation, verbose=0, return_dict=True)
        history |= {f"val_{name}": [value] for name, value in result.items()}
    return model, history


def mean_of(histories, key="val_loss"):
    """The mean of the last figures of runs; a run that diverged has an infinite loss and no accuracy."""
    worst = math.inf if "loss" in key else 0.0
    return float(np.mean([worst if history is None else history[key][-1] for history in histories]))


def figures(runs, key="val_loss"):
    """The last figures of several runs."""
    return np.array([history[key][-1] for _, history in runs])


def sweep(make, rates):
    """rate -> mean validation loss."""
    return {rate: mean_of([train_one(make(rate), seed, each_epoch=False)[1] for seed in CHOOSE]) for rate in rates}


# %% [markdown]
# A high rate gets ahead quickly, but then each batch throws the weights about. A low rate is calm and slow. A schedule
# does one after the other. With T steps in all, at step t:
#
# ```
# constant      r
# step          r 0.3^floor(4 t / T)
# exponential   r 0.01^(t / T)
# cosine        rises evenly to r in T / 10 (warm-up), then r (1 + cos(pi s)) / 2, where s goes from 0 to 1
# one cycle     rises to r along a cosine in 0.3 T, then falls to almost 0
# ```
#
# Each schedule gets a grid of highest rates r, and the one with the lowest validation loss is taken. The rates are
# chosen with three seeds, and the schedules compared with three others. All use momentum.

# %%
T = EPOCHS * STEPS_PER_EPOCH
SCHEDULES = {
    "constant": lambda r: r,
    "step": lambda r: mc.schedules.StepDecay(r, T / 4, 0.3),
    "exponential": lambda r: mc.schedules.ExponentialDecay(r, T, 0.01),
    "cosine, warm-up": lambda r: mc.schedules.CosineDecay(0.0, 0.9 * T, warmup_target=r, warmup_steps=T / 10),
    "one cycle": lambda r: mc.schedules.OneCycle(r, T, pct_start=0.3),
}
PEAKS = (0.01, 0.02, 0.04, 0.08)
peaks = {}
print(f"momentum {MOMENTUM}: validation loss by the highest rate, mean of {len(CHOOSE)} seeds (* lowest)")
print(f"{'':16}" + "".join(f"{peak:>9g}" for peak in PEAKS))
for name, schedule in SCHEDULES.items():
    losses = sweep(lambda peak, schedule=schedule: mc.SGD(schedule(peak), momentum=MOMENTUM), PEAKS)
    peaks[name] = min(losses, key=losses.get)
    print(f"{name:16}" + "".join(f"{v:8.3f}{'*' if peak == peaks[name] else ' '}" for peak, v in losses.items()))
scheduled = {
    name: [train_one(mc.SGD(schedule(peaks[name]), momentum=MOMENTUM), seed) for seed in COMPARE]
    for name, schedule in SCHEDULES.items()
}

fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")
styles = zip(SCHEDULES.items(), (BLACK, ORANGE, PURPLE, BLUE, VERMILLION), ("-", "--", "-.", "-", ":"), strict=True)
for (name, schedule), color, style in styles:
    look = {"color": color, "linestyle": style, "linewidth": 2, "label": name}
    axes[0].plot(np.arange(T), mc.SGD(schedule(peaks[name])).rates(0, T), **look)
    for ax, key in zip(axes[1:], ("loss", "val_loss"), strict=True):
        ax.plot(range(1, EPOCHS + 1), np.mean([h[key] for _, h in scheduled[name]], axis=0), **look)
axes[0].set(xlabel="step", ylabel="learning rate", title="Learning rate")
for ax, name in zip(axes[1:], ("Training", "Validation"), strict=True):
    ax.set(xlabel="epoch", ylabel="loss (logarithmic axis)", title=f"{name}, {len(COMPARE)} seeds", yscale="log")
    ax.set(xticks=range(1, EPOCHS + 1), ylim=(0.045, 1.2))
    ax.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
    ax.minorticks_off()
axes[2].legend(loc="upper right")
plt.show()

print(f"{len(COMPARE)} other seeds   highest rate   validation loss             accuracy")
for name, runs in scheduled.items():
    loss, share = figures(runs), 100 * figures(runs, "val_accuracy")
    spread = f"{loss.mean():.3f} ({loss.min():.3f} to {loss.max():.3f})"
    print(f"{name:16} {peaks[name]:11g}   {spread}   {share.mean():8.2f} %")
assert PEAKS[0] < peaks["constant"] < PEAKS[-1]
for name in ("cosine, warm-up", "one cycle"):
    assert figures(scheduled[name]).mean() < figures(scheduled["constant"]).mean()
    assert peaks[name] >= peaks["constant"]

# %% [markdown]
# With the same number of steps, schedules that end near 0 give a lower validation loss than the best constant rate. At
# a constant rate the last figure is partly luck: it depends on the last few batches. The price: such a schedule needs
# to know how many steps there will be, and a run that is stopped early has not had its best part. (Step and exponential
# take the highest rate of the grid, so perhaps a still higher one would suit them.)
#
# ## A fair comparison
#
# The learning rate of one method says nothing about that of another. Comparing two methods at the same rate, or at
# their defaults, compares the rates. So each gets a grid of rates of its own, with the cosine from above. All else is
# equal: network, first weights, batches and number of steps.

# %%
DECAY = 0.1
METHODS["AdamW"] = lambda rate: mc.AdamW(rate, weight_decay=DECAY)
LOWEST = {"SGD": 0.1, "momentum": 0.02, "Nesterov": 0.02, "Adagrad": 0.04, "RMSprop": 0.001, "Adam": 0.002}
LOWEST["AdamW"] = 0.004
cosine = SCHEDULES["cosine, warm-up"]
swept = {
    name: sweep(lambda r, make=make: make(cosine(r)), [LOWEST[name] * 2**i for i in range(4)])
    for name, make in METHODS.items()
}
best = {name: min(losses, key=losses.get) for name, losses in swept.items()}

print(
    f"highest rate: validation loss after {EPOCHS} epochs of {len(x):,} images, mean of {len(CHOOSE)} seeds (* lowest)"
)
for name, losses in swept.items():
    print(f"{name:9}" + "".join(f"  {rate:>7g}: {v:.3f}{' *'[rate == best[name]]}" for rate, v in losses.items()))
for name, losses in swept.items():
    assert min(losses) < best[name] < max(losses), f"{name}: the grid must reach beyond its best rate"

# %%
final = {name: [train_one(METHODS[name](cosine(best[name])), seed) for seed in COMPARE] for name in METHODS}
defaults = {name: [train_one(make(), seed) for seed in COMPARE] for name, make in (("SGD", mc.SGD), ("Adam", mc.Adam))}

fig, axes = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained", width_ratios=[1.25, 1])
for name, losses in swept.items():
    axes[0].loglog(list(losses), list(losses.values()), "o-", color=LOOKS[name], label=name, markersize=4)
    curve = np.mean([history["val_loss"] for _, history in final[name]], axis=0)
    axes[1].plot(range(1, EPOCHS + 1), curve, "o-", color=LOOKS[name], label=name, markersize=4)
axes[0].set(xlabel="highest learning rate", ylabel="validation loss at the end", title="Each method has its own rates")
axes[0].set(ylim=(0.13, 0.36))
axes[0].set_yticks([0.15, 0.2, 0.25, 0.3], ["0.15", "0.2", "0.25", "0.3"])
axes[0].minorticks_off()
axes[1].set(xlabel="epoch", ylabel="validation loss", xticks=range(1, EPOCHS + 1))
axes[1].set_title(f"At the best rate, mean of {len(COMPARE)} other seeds")
axes[1].legend(ncols=2)
plt.show()

print(f"{len(COMPARE)} other seeds   rate    training   validation loss             accuracy")
for name in sorted(final, key=lambda name: figures(final[name]).mean()):
    loss, share = figures(final[name]), 100 * figures(final[name], "val_accuracy")
    row = f"{figures(final[name], 'loss').mean():8.3f}   {loss.mean():.3f} ({loss.min():.3f} to {loss.max():.3f})"
    print(f"{name:12} {best[name]:8g} {row}   {share.mean():8.2f} %")
means = {name: figures(runs).mean() for name, runs in final.items()}
order = sorted(means, key=means.get)
gap_default = figures(defaults["SGD"]).mean() - figures(defaults["Adam"]).mean()
gap_tuned, gap_all = means["SGD"] - means["Adam"], means[order[-1]] - means[order[0]]
gain = figures(scheduled["constant"]).mean() - means["momentum"]
print(f"\nSGD minus Adam, validation loss: {gap_default:.3f} at the constant default rates, {gap_tuned:+.3f} here")
print(f"worst minus best method here ({order[-1]}, {order[0]}): {gap_all:.3f}")
print(f"momentum, best constant rate minus cosine: {gain:.3f}")
low, high = mc.metrics.accuracy_interval(round(figures(final["Adam"], "val_accuracy").mean() * 4_000), 4_000)
print(f"95 % interval of one accuracy on 4,000 images (Adam): {100 * low:.2f} to {100 * high:.2f} %")
ratio = best["SGD"] / best["momentum"]
print(f"best rate of SGD / best rate with momentum: {ratio:.0f}; 1 / (1 - {MOMENTUM}) = {1 / (1 - MOMENTUM):.0f}")
assert gap_default > 5 * abs(gap_tuned)
assert all(figures(final["Adam"]) < figures(final["SGD"]))
assert gap_default > 4 * gap_all
assert 4 < ratio < 25

# %% [markdown]
# * In the left panel: at one and the same rate one method is at its best, and another learns slowly or not at all. A
#   rate that is too low costs little at first; one that is far too high costs everything.
# * At its default rate SGD is far behind Adam. At rates that suit them, a small part of that is left. The **choice of
#   the rate matters more than the choice of the method** here. Larger studies found that how one tunes decides who wins
#   (Choi et al. 2019), and that no method wins everywhere (Schmidt, Schneider and Hennig 2021).
# * Is the small rest real? Seed by seed, with the same first weights and batches, Adam's loss is below that of SGD. So
#   probably yes, for this network and so few steps.
# * The best rate with momentum is about ten times smaller. That is no accident: if the gradient stays g, then m tends
#   to -r g / (1 - 0.9). Momentum at rate r goes about as far as SGD at ten times r.
#
# ## AdamW: decay outside the root
#
# L2 regularisation adds decay * w to the gradient. In SGD that makes each weight smaller by the share r * decay. In
# Adam it goes through the root, so that a weight with *small* gradients is pulled as strongly as any other, whatever
# its size. AdamW takes the share away outside (Loshchilov and Hutter 2019). There is a place where nothing else acts:
# weights of pixels that are blank in all images. Their gradient from the data is 0. AdamW must leave
#
# ```
# (1 - r decay)^steps
# ```
#
# of them. What do you expect of L2 in Adam?

# %%
blank = (x == 0).all(axis=0).ravel()
R = 0.001


def decayed(optimizer, l2=0.0):
    """What is left of the first weights' norm at blank and at other pixels, and figures on the validation images."""
    before = network(CHOOSE[0]).layers[1].kernel
    model, _ = train_one(optimizer, CHOOSE[0], each_epoch=False, l2=l2)
    after, p = model.layers[1].kernel, model.predict(validation[0])
    left = [float(np.linalg.norm(after[rows]) / np.linalg.norm(before[rows])) for rows in (blank, ~blank)]
    right = 100 * mc.metrics.accuracy_score(validation[1], p.argmax(axis=1))
    return (*left, mc.metrics.log_loss(validation[1], p), right)


steps = EPOCHS * STEPS_PER_EPOCH
print(f"rate {R}, {steps} steps, {blank.sum()} blank pixels                norm afterwards / before   cross-entropy")
print("                decay   (1 - r decay)^steps   blank pixels  other pixels   validation  accuracy")
kept = {}
for decay in (0.001, 0.01, 0.1):
    for name, optimizer, l2 in (
        ("Adam, L2", mc.Adam(R), decay / 2),
        ("AdamW", mc.AdamW(R, weight_decay=decay), 0.0),
    ):
        kept[name, decay], others, entropy, right = decayed(optimizer, l2)
        row = f"{(1 - R * decay) ** steps:21.5f} {kept[name, decay]:14.5f} {others:13.3f}"
        print(f"{name:12} {decay:8g} {row} {entropy:12.3f} {right:8.2f} %")
    assert abs(kept["AdamW", decay] - (1 - R * decay) ** steps) < 1e-5
    assert kept["Adam, L2", decay] < 0.01

# %% [markdown]
# AdamW does to five digits what its formula says. L2 in Adam has wiped out those weights even at the weakest strength:
# the gradient decay * w is divided by its own size, so each step is about r. Where there is ink, decay competes with
# the gradient of the data. In Adam with L2 the same strength is much too strong; its useful values are others, and
# depend on the gradients. Do not carry a strength of L2 over to AdamW, or back.
#
# ## Deeper: what happens to the signal
#
# In a layer with N inputs and weights of variance V, forward and backward are
#
# ```
# z = W a + b,   a' = f(z)               mean z^2     = N V mean a^2
# delta = f'(z) * (W^T delta')           mean delta^2 = N V mean f'(z)^2 * mean delta'^2
# ```
#
# So each layer multiplies, and eight layers multiply eight times. With ReLU, half of the f' are 1 and the others 0:
# N V must be 2 (He et al. 2015). Glorot has N V = 1, which suits tanh near 0, where f' is 1. The f' of a sigmoid is at
# most 1/4, so with N V = 1 the delta becomes at least four times smaller per layer. `model.trace` shows all of it.

# %%
UNITS, DEPTH = 64, 8
probe = x[:128], y[:128]


def rms(a):
    return float(np.sqrt(np.square(a, dtype=np.float64).mean()))


def inside(trace):
    """For each hidden layer: how much its answers differ between images, and the size of delta at its sums."""
    kernels = [name.removesuffix("/kernel/gradient") for name in trace if name.endswith("kernel/gradient")]
    kernels = kernels[:0:-1]  # of the hidden layers, the first one first
    answers = [name.replace("dense", "batch_normalization") + "/a" for name in kernels]
    answers = [name if name in trace else name.replace("batch_normalization", "dense") for name in answers]
    spread = [float(np.sqrt(trace[name].var(axis=0, dtype=np.float64).mean())) for name in answers]
    return np.array(spread), np.array([rms(trace[f"{name}/delta"]) for name in kernels])


beginnings = {
    "sigmoid, Glorot": ("sigmoid", "glorot_uniform", GREEN),
    "tanh, Glorot": ("tanh", "glorot_uniform", BLUE),
    "ReLU, Glorot": ("relu", "glorot_uniform", ORANGE),
    "ReLU, He": ("relu", "he_normal", VERMILLION),
    "ReLU, N(0, 0.01²)": ("relu", mc.RandomNormal(stddev=0.01), PURPLE),
}
fig, axes = plt.subplots(1, 4, figsize=(10.5, 3.9), layout="constrained", sharex=True, sharey="row")
shrinks = {}
for normalise in (False, True):
    for name, (activation, first, color) in beginnings.items():
        options = {"hidden": [UNITS] * DEPTH, "activation": activation, "first": first, "normalise": normalise}
        spread, delta = inside(network(CHOOSE[0], **options).trace(*probe))
        shrinks[name, normalise] = (delta[0] / delta[-1]) ** (1 / (DEPTH - 1))
        for ax, values in zip(axes[2 * normalise :], (spread, delta), strict=False):
            ax.semilogy(range(1, DEPTH + 1), values, "o-", color=color, label=name, markersize=3)
for i, ax in enumerate(axes):
    title = ("spread of a", "size of delta")[i % 2] + ("\nwithout", "\nwith")[i // 2] + " normalisation"
    ax.set(title=title, xlabel="hidden layer", xticks=range(1, DEPTH + 1))
axes[0].set_ylabel("before training (logarithmic axis)")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()

print("delta is multiplied, per layer, by       without    with batch normalisation")
for name in beginnings:
    print(f"{name:38} {shrinks[name, False]:9.3f} {shrinks[name, True]:12.3f}")
assert shrinks["sigmoid, Glorot", False] < 0.28
assert shrinks["ReLU, N(0, 0.01²)", False] < 0.1
assert 0.6 < shrinks["ReLU, Glorot", False] < 0.85 < shrinks["ReLU, He", False] < 1.2

# %% [markdown]
# The measured factors are those of the formulas: about 1/4 for the sigmoid, about 1 for ReLU with He weights, about
# the root of 1/2 with Glorot's. With **batch normalisation** (Ioffe and Szegedy 2015)
#
# ```
# z_hat = (z - mean of the batch) / sqrt(variance of the batch),      then gamma z_hat + beta, then f
# ```
#
# the sums of each layer are brought to the same size, whatever the weights are. So the spread no longer depends on how
# they began. (Why it helps is not settled. Its authors thought of shifting inputs; Santurkar et al. 2018 found that the
# loss becomes smoother.) Now train: four depths, three activations, with and without it, each at the best of three
# rates.

# %%
DEPTHS, RATES = (1, 2, 4, 8), (0.02, 0.06, 0.2)
FIRST = {"sigmoid": "glorot_uniform", "tanh": "glorot_uniform", "relu": "he_normal"}
reached = {}  # (activation, normalised, depth) -> validation accuracy in percent at each rate
for activation, first in FIRST.items():
    for normalise in (False, True):
        for depth in DEPTHS:
            options = {"hidden": [UNITS] * depth, "activation": activation, "first": first, "normalise": normalise}
            runs = [train_one(mc.SGD(cosine(r), MOMENTUM), CHOOSE[0], None, False, **options)[1] for r in RATES]
            reached[activation, normalise, depth] = [100 * mean_of([run], "val_accuracy") for run in runs]

fig, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained", sharey=True)
for ax, activation in zip(axes, FIRST, strict=True):
    for normalise, style, color in ((False, "s--", VERMILLION), (True, "o-", BLUE)):
        errors = 100 - np.array([reached[activation, normalise, depth] for depth in DEPTHS])
        label = ("with" if normalise else "without") + " batch normalisation"
        ax.loglog(DEPTHS, errors.min(axis=1), style, color=color, label=label)
        ax.fill_between(DEPTHS, errors.min(axis=1), errors.max(axis=1), color=color, alpha=0.15)
    ax.set(xlabel="hidden layers", title=activation, ylim=(3.5, 250))
    ax.set_xticks(DEPTHS, map(str, DEPTHS))
    ax.set_yticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
    ax.minorticks_off()
axes[0].set_ylabel("validation error (%)")
axes[1].legend(loc="upper left")
fig.suptitle("Best of three rates; the band reaches to the worst")
plt.show()

print(f"validation accuracy in % (best rate), {UNITS} units per layer     hidden layers")
print(f"{'':30}" + "".join(f"{depth:>15}" for depth in DEPTHS))
for activation in FIRST:
    for normalise in (False, True):
        row = [reached[activation, normalise, depth] for depth in DEPTHS]
        cells = [f"{max(values):.2f} ({RATES[int(np.argmax(values))]:g})" for values in row]
        print(f"{activation:8} {'batch normalisation' if normalise else '':20} " + "".join(f"{c:>15}" for c in cells))
failed = {n: sum(a < 50 for key, row in reached.items() for a in row if key[1] == n) for n in (False, True)}
count = len(RATES) * len(reached) // 2
print(f"runs below 50 %: {failed[False]} without batch normalisation, {failed[True]} with it, of {count} each")
by_depth = {depth: max(max(row) for key, row in reached.items() if key[2] == depth) for depth in DEPTHS}
print("best at each depth: " + ", ".join(f"{depth}: {value:.2f} %" for depth, value in by_depth.items()))
assert max(reached["sigmoid", False, DEPTH]) < 30
assert min(reached["sigmoid", True, DEPTH]) > 80
assert failed[False] >= 6
assert failed[True] == 0
assert by_depth[DEPTH] < max(by_depth.values())

# %% [markdown]
# * Eight layers of sigmoids without batch normalisation only guess, at every rate: no gradient arrives at the bottom.
#   With it they learn.
# * ReLU and tanh learn eight layers without it as well, **at a rate that suits them**. With it, each rate works at each
#   depth: the bands are narrow. That is what it was invented for.
# * The deepest network is not the best one: on this task, with so few images and steps, depth is a trouble to be
#   mastered and no gain.
#
# ## Inside, while it learns
#
# A callback can ask for a trace at any step: nothing is changed by it. For each kernel we note the size of its
# gradient, and the **update-to-weight ratio**, the norm of the step over the norm of the weights. It says how many
# steps a layer needs to become another one. A usual rule of thumb is about 0.001 (dotted line).

# %%
TARGET = 0.001


class Watch(mc.callbacks.Callback):
    """Traces one batch at some steps: spread of the activations, size of gradients, update-to-weight ratios."""

    def __init__(self, at):
        self.at, self.step, self.spread, self.gradient, self.ratio = at, 0, [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        if self.step in self.at:
            trace = self.model.trace(*probe)
            kernels = [layer for layer in self.model.layers if isinstance(layer, mc.Dense)]
            gradients = [trace[f"{layer.name}/kernel/gradient"] for layer in kernels]
            updates = [trace[f"{layer.name}/kernel/update"] for layer in kernels]
            self.spread.append(inside(trace)[0])
            self.gradient.append([rms(gradient) for gradient in gradients])
            self.ratio.append([rms(u) / rms(layer.kernel) for u, layer in zip(updates, kernels, strict=True)])
        self.step += 1


AT = [0, 5, 15, 50, 120, 240, 400, 590]
watched = {}
for activation in ("sigmoid", "relu"):
    for normalise in (False, True):
        watch = Watch(AT)
        options = {"hidden": [UNITS] * DEPTH, "first": FIRST[activation], "normalise": normalise}
        train_one(mc.SGD(0.03, MOMENTUM), CHOOSE[0], [watch], False, activation=activation, **options)
        watched[activation + (", normalised" if normalise else "")] = watch

fig, axes = plt.subplots(3, 4, figsize=(10.5, 7.6), layout="constrained", sharex=True, sharey="row")
colors = plt.get_cmap("viridis")(np.linspace(0, 0.95, DEPTH))
for column, (name, watch) in zip(axes.T, watched.items(), strict=True):
    for ax, rows in zip(column, (watch.spread, watch.gradient, watch.ratio), strict=True):
        for layer, color in enumerate(colors):
            ax.semilogy(AT, np.maximum(np.array(rows)[:, layer], 1e-9), color=color, label=f"{layer + 1}")
    column[0].set_title(name)
    column[2].axhline(TARGET, color=BLACK, linestyle=":")
    column[2].set_xlabel("step")
for ax, label in zip(axes[:, 0], ("spread of activations", "gradient of kernel (RMS)", "update / weight"), strict=True):
    ax.set_ylabel(label)
handles = axes[0, 0].get_legend_handles_labels()
fig.legend(*handles, loc="outside lower center", ncols=DEPTH, title="hidden layer, from input to output")
plt.show()

print(f"step {AT[-1]}            first / last hidden layer   update / weight, all kernels")
print("                     gradient       spread           lowest    highest")
for name, watch in watched.items():
    gradient, spread, ratio = watch.gradient[-1], watch.spread[-1], watch.ratio[-1]
    row = f"{gradient[0] / gradient[-2]:12.1e} {spread[0] / spread[-1]:12.1e}"
    print(f"{name:18} {row} {min(ratio):16.1e} {max(ratio):10.1e}")
ratios = {name: watch.ratio[-1] for name, watch in watched.items()}
assert min(ratios["sigmoid"]) < TARGET / 100
assert all(min(v) > TARGET / 10 and max(v) < TARGET * 30 for name, v in ratios.items() if name != "sigmoid")

# %% [markdown]
# * **sigmoid**: all images look alike in the upper layers, and hardly a gradient reaches the lower ones. Only the top
#   moves. Patience does not help: the curves stay where they were.
# * **The three others**: all layers move at about the same relative speed, near the rule of thumb, within a small
#   factor of each other. Towards the end the ratio falls by itself, as gradients get smaller.
#
# Such a picture says *where* a network is stuck, which a loss curve cannot.
#
# ## Clipping: one bad step
#
# Where the loss is steep, a single long step can destroy what was learned. **Clipping** keeps the direction and limits
# the length, with the norm of all gradients together (Pascanu, Mikolov and Bengio 2013):
#
# ```
# g = g * c / |g|     if |g| > c
# ```

# %%
LIMIT, HIGH, LOW = 1.0, 0.1, 0.02


class Norms(mc.callbacks.Callback):
    """The norm of all gradients together, on one batch, before every sixth step."""

    def __init__(self):
        self.step, self.norms = 0, []

    def on_train_batch_begin(self, batch, logs=None):
        if self.step % 6 == 0:
            gradients = self.model.gradients(x[:BATCH], y[:BATCH])
            self.norms.append(math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients)))
        self.step += 1


settings = {
    f"rate {HIGH}": (mc.SGD(HIGH, MOMENTUM), VERMILLION, "--"),
    f"rate {HIGH}, clipped at {LIMIT:g}": (mc.SGD(HIGH, MOMENTUM, global_clipnorm=LIMIT), BLUE, "-"),
    f"rate {LOW}": (mc.SGD(LOW, MOMENTUM), GREY, ":"),
}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained")
accuracies = {}
print(f"{DEPTH} layers, {len(COMPARE)} seeds         validation accuracy    norm above {LIMIT:g}      dead, last layer")
for name, (optimizer, color, style) in settings.items():
    norms = [Norms() for _ in COMPARE]
    runs = [
        train_one(optimizer, seed, [norm], hidden=[UNITS] * DEPTH) for seed, norm in zip(COMPARE, norms, strict=True)
    ]
    for i, ((_, history), norm) in enumerate(zip(runs, norms, strict=True)):
        look = {"color": color, "linestyle": style, "label": None if i else name}
        axes[0].semilogy(6 * np.arange(len(norm.norms)), np.clip(norm.norms, 0.02, 1e6), **look)
        if history is not None:
            axes[1].plot(range(1, EPOCHS + 1), 100 * np.array(history["val_accuracy"]), marker="o", **look)
    accuracies[name] = [100 * mean_of([history], "val_accuracy") for _, history in runs]
    dead = [(list(model.layer_outputs(x).values())[-2] == 0).all(axis=0).mean() for model, _ in runs]
    above = 100 * np.mean(np.concatenate([norm.norms for norm in norms]) > LIMIT)
    row = "".join(f"{a:8.2f} %" for a in accuracies[name])
    print(f"{name:22}{row} {above:13.0f} % {'':6}" + "".join(f"{100 * share:6.0f} %" for share in dead))
axes[0].axhline(LIMIT, color=BLACK, linewidth=1)
axes[0].set(xlabel="step", ylabel="norm of the gradient", title=f"On one batch, {len(COMPARE)} seeds each")
axes[0].set_ylim(0.03, 1e5)
axes[0].legend(loc="upper right")
axes[1].set(xlabel="epoch", ylabel="validation accuracy (%)", title="Runs without an overflow", ylim=(0, 100))
axes[1].set_xticks(range(1, EPOCHS + 1))
plt.show()

for limit in (None, 0.5):
    model = network(CHOOSE[0])
    model.compile(mc.SGD(HIGH, global_clipnorm=limit))
    one = model.trace(*probe)
    squares = {what: [float((one[n] ** 2).sum()) for n in one if n.endswith(what)] for what in ("gradient", "update")}
    norm, step = (math.sqrt(sum(values)) for values in squares.values())
    print(f"clipping at {limit}: norm of the gradients {norm:.4f}, of the step / rate {step / HIGH:.4f}")
    assert abs(step / HIGH - min(norm, limit or math.inf)) < 1e-3
assert min(accuracies[f"rate {HIGH}, clipped at {LIMIT:g}"]) > 60 > 40 > max(accuracies[f"rate {HIGH}"])
assert np.mean(accuracies[f"rate {LOW}"]) > np.mean(accuracies[f"rate {HIGH}, clipped at {LIMIT:g}"]) - 2

# %% [markdown]
# At the high rate the deep network without clipping is thrown out of its way: numbers overflow, and it stops (0 %), or
# its ReLUs die (they answer no image any more), and it guesses for ever. With clipping it learns. But look at how often
# the norm is above the limit: nearly always. Here clipping is no belt for accidents. It gives all steps about the same
# length, as a lower rate would, and indeed a lower rate does as well without it. So print the norms before you choose a
# limit: one that is above the usual norms acts only in accidents, one below them in every step.
#
# ## The average of the weights
#
# With a constant rate the weights do not come to rest: they jump about around a good place. Their **average** is
# nearer to it than most of them (Polyak and Juditsky 1992). An exponential average forgets the beginning:
#
# ```
# average = 0.99 average + 0.01 w        after each step, so about the last 100 steps count
# ```
#
# We compute it by hand in a callback, look at its validation loss after each epoch, and compare with `use_ema`.


# %%
class Average(mc.callbacks.Callback):
    """The exponential average of the weights, and its validation loss after each epoch."""

    def __init__(self, seed, momentum=0.99):
        self.twin, self.momentum, self.average, self.losses = network(seed), momentum, None, []

    def on_train_batch_end(self, batch, logs=None):
        now = self.model.get_weights()
        pairs = zip(self.average or now, now, strict=True)
        self.average = [self.momentum * a + (1 - self.momentum) * w for a, w in pairs]

    def on_epoch_end(self, epoch, logs=None):
        self.twin.set_weights(self.average)
        self.losses.append(self.twin.evaluate(*validation, verbose=0).loss)


STEADY = peaks["constant"]
averages = [Average(seed) for seed in COMPARE]
plain = [train_one(mc.SGD(STEADY, MOMENTUM), seed, [average]) for seed, average in zip(COMPARE, averages, strict=True)]
ema = [train_one(mc.SGD(STEADY, MOMENTUM, use_ema=True, ema_momentum=0.99), seed)[0] for seed in COMPARE]

fig, ax = plt.subplots(figsize=(8, 3.7), layout="constrained")
curves = {
    "last weights": ([h["val_loss"] for _, h in plain], VERMILLION, "s--"),
    "average of the weights": ([average.losses for average in averages], BLUE, "o-"),
    "one cycle, for comparison": ([h["val_loss"] for _, h in scheduled["one cycle"]], GREY, "^:"),
}
for name, (values, color, style) in curves.items():
    ax.plot(range(1, EPOCHS + 1), np.mean(values, axis=0), style, color=color, label=name)
    ax.fill_between(range(1, EPOCHS + 1), np.min(values, axis=0), np.max(values, axis=0), color=color, alpha=0.15)
ax.set(xlabel="epoch", ylabel="validation loss", xticks=range(1, EPOCHS + 1))
ax.set_title(f"Constant rate {STEADY:g}: mean, lowest and highest of {len(COMPARE)} seeds")
ax.legend()
plt.show()

print("validation loss, accuracy      last weights        average, by use_ema   by hand")
for (model, _), averaged, average, seed in zip(plain, ema, averages, COMPARE, strict=True):
    last, mean = (m.evaluate(*validation, verbose=0) for m in (model, averaged))
    pair = f"{last.loss:.4f}, {100 * last.accuracy:.2f} %     {mean.loss:.4f}, {100 * mean.accuracy:.2f} %"
    print(f"seed {seed}                     {pair}     {average.losses[-1]:.4f}")
    by_hand = zip(averaged.get_weights(), average.average, strict=True)
    assert max(float(np.abs(a - b).max()) for a, b in by_hand) < 1e-5
    assert mean.loss < last.loss

# %% [markdown]
# For each seed the average reads better than the last weights, at no cost in training. It does what a falling rate
# does: it calms down. (While `fit` runs, the figures of `use_ema` are those of the weights themselves; the average
# takes their place at the end.)
#
# ## The test images, once

# %%
entries = {
    "SGD, default rate": [m for m, _ in defaults["SGD"]],
    "SGD, cosine": [m for m, _ in final["SGD"]],
    "Adam, default rate": [m for m, _ in defaults["Adam"]],
    "momentum, best constant rate": [m for m, _ in scheduled["constant"]],
    "the same, averaged": ema,
    "momentum, one cycle": [m for m, _ in scheduled["one cycle"]],
    "Adam, cosine": [m for m, _ in final["Adam"]],
    "AdamW, cosine": [m for m, _ in final["AdamW"]],
}
tested = {name: [m.evaluate(*test, verbose=0) for m in models] for name, models in entries.items()}
print(f"{len(test):,} test images, mean of {len(COMPARE)} seeds     loss    accuracy")
for name, results in tested.items():
    loss, share = np.mean(results, axis=0)
    print(f"{name:38} {loss:8.3f} {100 * share:8.2f} %")
loss_of = {name: np.mean([r.loss for r in results]) for name, results in tested.items()}
assert loss_of["momentum, one cycle"] < loss_of["momentum, best constant rate"] < loss_of["SGD, default rate"]
assert loss_of["the same, averaged"] < loss_of["momentum, best constant rate"]

# %% [markdown]
# ## What happened
#
# * Compare methods only at rates that suit them. Then the differences between optimizers were small beside that
#   between the defaults.
# * A rate that falls, or an average of the weights, costs next to nothing and made a clear difference.
# * AdamW's decay is what its formula says; L2 in Adam is something else.
# * Depth multiplies: first weights, activation and batch normalisation decide whether a gradient arrives. A trace per
#   layer shows it in one picture. Deeper was not better here.
# * Clipping saved a run whose rate was too high. A lower rate did, too.
#
# ## Exercises
#
# Answers are folded up below each exercise. Try first. `network`, `train_one` and the figures are still there.
#
# **1. Nothing but noise?** Take the two best methods of the comparison. How many seeds do you need until their mean
# validation losses differ by more than twice the standard error of the difference?
#
# <details><summary>Answer</summary>
#
# A difference that needs many seeds to be seen may be real, and yet too small to matter.
#
# ```python
# first, second = sorted(final, key=lambda name: figures(final[name]).mean())[:2]
# losses = {name: [] for name in (first, second)}
# for seed in range(10, 22):
#     for name, values in losses.items():
#         values.append(train_one(METHODS[name](cosine(best[name])), seed)[1]["val_loss"][-1])
#     difference = np.subtract(losses[second], losses[first])
#     if len(difference) > 2:
#         error = difference.std(ddof=1) / math.sqrt(len(difference))
#         print(f"{len(difference):2} seeds: {difference.mean():+.4f}, standard error {error:.4f}")
# ```
#
# </details>
#
# **2. A trap.** Train SGD at a constant rate with two hundred images more, so that the last batch of each epoch is
# small. Print the validation loss after each epoch, and do the same with the images of this page. What happens?
#
# <details><summary>Answer</summary>
#
# The last batch counts as much as any other, but its gradient is the mean of a few images: a long step in a random
# direction, right before validation. `shuffle` makes it other images in each epoch, so it is no matter of their order.
#
# ```python
# for n in (4_800, 5_000):
#     for seed in COMPARE:
#         model, data = network(seed), (train.images[:n], train.labels[:n])
#         history = model.fit(*data, epochs=EPOCHS, optimizer=mc.SGD(0.2), validation_data=validation, verbose=0)
#         print(n, n % BATCH, *(f"{loss:.3f}" for loss in history.history["val_loss"]))
# ```
#
# </details>
#
# **3. Does the warm-up help?** Compare the cosine with and without it, at the best highest rate and at three times that
# rate.
#
# <details><summary>Answer</summary>
#
# Not here: with and without are nearly the same. It was made for large batches and other networks.
#
# ```python
# for peak in (peaks["cosine, warm-up"], 3 * peaks["cosine, warm-up"]):
#     cosines = {"with": SCHEDULES["cosine, warm-up"](peak), "without": mc.schedules.CosineDecay(peak, T)}
#     for name, schedule in cosines.items():
#         runs = [train_one(mc.SGD(schedule, MOMENTUM), seed)[1] for seed in COMPARE]
#         print(f"{peak:g}, {name:8} warm-up: {mean_of(runs):.3f}")
# ```
#
# </details>
#
# **4. Save the sigmoid without batch normalisation.** Which variance of the first weights keeps delta at its size
# through eight layers of sigmoids? Check with a trace, then train. Is it enough?
#
# <details><summary>Answer</summary>
#
# f' is 1/4 at most, so N V must be 16 at least. Then the sums are so large that many sigmoids are near 0 or 1, where f'
# is smaller, and it takes even more. It learns, but not as well as with batch normalisation.
#
# ```python
# for scale in (1, 4, 16, 64):
#     options = {"hidden": [UNITS] * DEPTH, "activation": "sigmoid", "first": mc.VarianceScaling(scale, "fan_in")}
#     delta = inside(network(0, **options).trace(*probe))[1]
#     reached_now = max(mean_of([train_one(mc.SGD(r, MOMENTUM), 0, **options)[1]], "val_accuracy") for r in RATES)
#     print(f"N V = {scale:2}: delta {delta[0] / delta[-1]:.1e}, accuracy {100 * reached_now:.2f} %")
# ```
#
# </details>
