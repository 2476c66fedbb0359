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
# # What the network learned: how does it tell a 4 from a 9?
#
# A trained network reads digits, and it is nothing but numbers. Nobody wrote into them what a 4 is. So what is in
# them? On this page you look inside: at the weights, at what happens to one digit on its way through the layers, at
# the mistakes. Pictures of weights are easily read as more than they are. So each picture comes with a measurement.
#
# Before you go on, guess:
#
# * Each unit of the first layer looks at the whole image. Does it look for a stroke, for a whole digit, or for nothing
#   that has a name?
# * Is there a unit for each digit? If you switch it off, is that digit lost?
# * How many pixels do you have to change in a 4, so that the network reads a 9?
# * Ten networks differ only in their random numbers. Do they make the same mistakes?

# %%
import time
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import mnist_c as mc

plt.rcParams.update({"figure.dpi": 72, "font.size": 10})

train, test = mc.datasets.load("mnist")
print(f"{len(train):,} images in the training part, {len(test):,} in the test part")

# %% [markdown]
# ## Ten networks
#
# The network is that of the published system keras-mlp. One network may have quirks of its own. So there are ten: each
# has another seed, that is, other first weights, another order of the images and another choice of what is dropped.
#
# The hidden layers get names, so that we can ask for their outputs later.

# %%
SEEDS = range(10)


def make_network(seed):
    return mc.Sequential(
        [
            mc.Flatten(input_shape=(28, 28)),
            mc.Dense(128, activation="relu", name="hidden 1"),
            mc.Dropout(0.2),
            mc.Dense(64, activation="relu", name="hidden 2"),
            mc.Dropout(0.2),
            mc.Dense(10, activation="softmax", name="answer"),
        ],
        seed=seed,
    )


def train_it(network, data=train, epochs=10):
    settings = {"batch_size": 32, "validation_split": 0.2, "verbose": 0}
    return network.fit(data.images, data.labels, epochs=epochs, optimizer=mc.Adam(1e-3), **settings)


start = time.perf_counter()
networks = [make_network(seed) for seed in SEEDS]
histories = [train_it(network) for network in networks]
seconds = (time.perf_counter() - start) / len(SEEDS)

results = [network.evaluate(test.images, test.labels, verbose=0) for network in networks]

published = mc.recipes.get("keras-mlp").variants[0].published
loss, accuracy = np.array(results).T
interval = mc.metrics.accuracy_interval(round(accuracy.mean() * len(test)), len(test))
print(f"{networks[0].count_params():,} parameters")
print(f"{seconds:.1f} s for each network (published: {published['seconds']} s, on its author's machine)\n")
print("               published    mean   standard deviation   lowest to highest")
print(
    f"test accuracy    {100 * published['test_accuracy']:.2f} %  {100 * accuracy.mean():.2f} %  "
    f"{100 * accuracy.std(ddof=1):12.2f} points   {100 * accuracy.min():.2f} to {100 * accuracy.max():.2f} %"
)
print(
    f"test loss         {published['test_loss']:.4f}   {loss.mean():.4f}  "
    f"{loss.std(ddof=1):12.4f}          {loss.min():.4f} to {loss.max():.4f}"
)
print(f"95 % interval of the mean, for the choice of test images: {100 * interval[0]:.2f} to {100 * interval[1]:.2f} %")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
mc.plots.training_curves(histories, ax=axes)
plt.show()

# %% [markdown]
# All ten agree closely. The published accuracy is a little below theirs, but inside the interval that other test images
# would give; the published loss is among theirs. Now digit by digit, and what is mixed up with what. In the matrix all
# ten networks are added up, so each test image counts ten times.

# %%
cells = np.sum([result.confusion_matrix for result in results], axis=0)
per_digit = np.array([result.per_class_accuracy for result in results])

fig, axes = plt.subplots(1, 2, figsize=(11.5, 5), width_ratios=[1.15, 1], layout="constrained")
mc.plots.confusion_matrix(cells, ax=axes[0])
mc.plots.per_class_bars(per_digit.mean(axis=0), published=published["per_digit"], ax=axes[1])
plt.show()

print("digit  published    mean  lowest to highest  mean - published")
for digit, theirs in enumerate(published["per_digit"]):
    ours = 100 * per_digit[:, digit]
    spread = f"{ours.min():.2f} to {ours.max():.2f}"
    print(f"{digit:5} {100 * theirs:10.2f} {ours.mean():7.2f} {spread:>18} {ours.mean() - 100 * theirs:+17.2f}")

# %% [markdown]
# ## What the author says about the digits
#
# Two claims of the author of keras-mlp: *1 is the easiest digit and 8 the hardest*, and *the confusions are 4-9, 3-5
# and 7-1*. One network cannot settle this, as the counts are small. Ten can do better. For the digits we look at the
# lead: how far the claimed digit is ahead of the next one in the mean of the ten, with the standard error of this mean.


# %%
def claim_about(digit, sign, name):
    """Is the digit the first of all, for sign = 1 by high, for sign = -1 by low accuracy?"""
    score = sign * 100 * per_digit
    ranking = np.argsort(-score.mean(axis=0))
    rival = ranking[ranking != digit][0]
    lead = score[:, digit] - score[:, rival]
    error = lead.std(ddof=1) / np.sqrt(len(lead))
    alone = (score.argmax(axis=1) == digit).sum()
    verdict = "confirmed" if ranking[0] == digit else "refuted"
    doubt = "" if abs(lead.mean()) > 2 * error else ", but within the noise"
    print(f"{digit} is the {name}: {verdict}{doubt}")
    print(
        f"  lead over {rival}: {lead.mean():+.2f} points, standard error {error:.2f}; first in {alone} of {len(lead)}"
    )


claim_about(1, 1, "easiest")
claim_about(8, -1, "hardest")

both_ways = np.array([result.confusion_matrix + result.confusion_matrix.T for result in results])
pairs = [(a, b) for a in range(10) for b in range(a + 1, 10)]
counts = np.array([[matrix[pair] for pair in pairs] for matrix in both_ways])  # (networks, pairs)
ranks = np.argsort(np.argsort(-counts.mean(axis=0), kind="stable")) + 1
in_top = (counts >= np.sort(counts, axis=1)[:, [-3]]).sum(axis=0)  # ties for the third place count

print(f"\nof {len(pairs)} pairs  mistakes  rank  among the first three in")
for pair in ((4, 9), (3, 5), (1, 7)):
    k = pairs.index(pair)
    verdict = "confirmed" if ranks[k] <= 3 else "refuted"
    print(f"{pair[0]}-{pair[1]} {counts[:, k].mean():16.1f} {ranks[k]:5} {in_top[k]:10} of {len(SEEDS)}  {verdict}")
first = ", ".join(f"{a}-{b} ({counts[:, k].mean():.1f})" for k in np.argsort(ranks)[:5] for a, b in [pairs[k]])
print(f"the first five: {first}")
one_way = np.where(np.eye(10, dtype=bool), 0, cells)
print(f"7 taken for 1, this direction alone: rank {1 + (one_way > one_way[7, 1]).sum()} of {10 * 9} cells")

# %% [markdown]
# 4-9 and 3-5 stand in nearly every network. 7-1 does not: a 7 is rather taken for a 2, and a 1 is hardly ever taken
# for a 7. The extremes of the digits are less clear than one table suggests. In the mean 1 is first and 8 is last, as
# the author says. But the networks do not agree with each other, and the leads are about as large as their errors. A
# ranking from one run, ours or the author's, is mostly noise at its ends.
#
# So 4 and 9 are what this network finds hard. We keep them in mind and look inside.
#
# ## Pictures of the first layer
#
# A unit of the first layer has one weight for each pixel. So its weights can be drawn as an image. Light means: ink
# here switches the unit on. Dark means: ink here switches it off. The author of deep-l2 lists such pictures as a next
# step. These are some units of the first of our networks.

# %%
model = networks[0]
before, after = make_network(0).get_weights()[0], model.get_weights()[0]

mc.plots.weights(model, n=16)
plt.show()

# %% [markdown]
# No digits. What one sees are short strokes and edges, a dark one beside a light one, in a lot of noise, and a ring of
# strong weights near the border. One of the pictures is nothing but noise. Four questions:
#
# 1. Are these really strokes, or do we see faces in clouds?
# 2. Where does the noise come from?
# 3. Why are there strong weights at the border, where hardly anybody writes?
# 4. What is the matter with the unit that is only noise?
#
# In a stroke a weight is like the weight to its right. In noise it is not. So the correlation of the two answers the
# first question. For the others we sort the pixels by how many of the training images have ink there, and we compare
# with the weights before training: the same seed gives them again.

# %%
learned_from = int(0.8 * len(train))
ink = (train.images[:learned_from] > 0).mean(axis=0).reshape(-1)  # the share of images with ink, for each pixel


def likeness(kernel):
    """The correlation of each weight with the one to its right, within the middle 20 x 20 pixels."""
    pictures = kernel.T.reshape(-1, 28, 28)[:, 4:24, 4:24]
    return np.corrcoef(pictures[:, :, :-1].ravel(), pictures[:, :, 1:].ravel())[0, 1]


print(f"likeness of neighbours: {likeness(before):.2f} before training, {likeness(after):.2f} after it\n")

LIMITS = (0, 1e-9, 0.001, 0.01, 0.1, 1)
print("share of images           mean size of a weight")
print("with ink here    pixels   before    after   change")
for low, high in pairwise(LIMITS):
    group = (ink >= low) & (ink < high)
    label = "none" if high == LIMITS[1] else f"below {100 * high:g} %" if high < 1 else "more"
    sizes = [np.abs(kernel[group]).mean() for kernel in (before, after, after - before)]
    print(f"{label:14} {group.sum():8}" + "".join(f"{size:9.3f}" for size in sizes))

blank = ink == 0
same = (before[blank].view(np.uint32) == after[blank].view(np.uint32)).all()
print(f"\nweights of the {blank.sum()} blank pixels still have all bits of their first values: {same}")

on = [network.layer_outputs(train.images[:learned_from])["hidden 1"].max(axis=0) > 0 for network in networks]
print("units that are off for every training image, in each network:", *[(~units).sum() for units in on])
print("in the first network these are the units", *np.flatnonzero(~on[0]), "(counted from 0, row by row)")

# %% [markdown]
# 1. They are strokes: neighbours are alike after training, and were not before.
# 2. The noise is what was there at first. Where a pixel is blank in all images, its weights get no gradient, and to the
#    last bit they are what the random numbers made them. You look at the seed, not at anything learned.
# 3. Adam divides each gradient by its usual size. So the weights of a pixel that is rarely inked move about as far as
#    those of one in the middle. The few images that have ink there decide alone.
# 4. It is dead: off for all training images, so that the slope of its ReLU is always 0. It gets no gradient any more,
#    and cannot come back. Each of the networks has a few such units.
#
# If the noise is only what was there before, one can take it away: subtract the first weights. What remains is what
# training did.

# %%
mc.plots.weights(after - before, n=16).set_title("What training changed in these 16 units", fontsize="medium")
plt.show()

# %% [markdown]
# ## The same pictures of deep-l2
#
# This is the system whose author asked for the pictures: three hidden layers, plain gradient descent, and a penalty on
# large weights. Its full training is the subject of the page on regularisation. **Here is a short run of three
# epochs**, enough to see how its first layer begins; accuracies of so short a run are not to be compared.
#
# The penalty shrinks every weight by the same factor in every step: by 1 - rate * lambda. A weight that gets no other
# gradient only shrinks. So one can calculate what is left of the noise, and check it at the blank pixels.

# %%
EPOCHS = 3
variant = mc.recipes.get("deep-l2").variants[0]
print(f"{variant.name}: {variant.change}")
rate, strength = variant.optimizer.learning_rate, 2 * variant.network.l2

deep = variant.network.build(seed=0)
deep_before = deep.get_weights()[0]
deep.fit(
    train.images[:learned_from],
    train.labels[:learned_from],
    epochs=EPOCHS,
    batch_size=variant.batch_size,
    optimizer=mc.SGD(rate),
    verbose=0,
)
deep_after = deep.get_weights()[0]

steps = EPOCHS * int(np.ceil(learned_from / variant.batch_size))
left = (deep_after[blank] / deep_before[blank]).astype(float)
calculated = (1 - rate * strength) ** steps
print(
    f"left of the noise after {EPOCHS} epochs: calculated {calculated:.5f}, found {left.min():.5f} to {left.max():.5f}"
)
steps_to_1_percent = np.log(0.01) / np.log(1 - rate * strength)
full_epoch = np.ceil(variant.split.train / variant.batch_size)
print(f"in the published run 1 % is left after {steps_to_1_percent / full_epoch:.0f} epochs")

deep_change = deep_after - calculated * deep_before
print(
    f"likeness of neighbours: {likeness(deep_before):.2f} before, {likeness(deep_after):.2f} after {EPOCHS} epochs, "
    f"{likeness(deep_change):.2f} without the noise"
)
rare, often = (ink > 0) & (ink < 0.01), ink >= 0.1
print("\nchange of the weights of rarely inked pixels (below 1 %), compared with often inked ones (above 10 %):")
for name, change in (("keras-mlp, Adam", after - before), ("deep-l2, gradient descent", deep_change)):
    print(f"  {name:25} {np.abs(change[rare]).mean() / np.abs(change[often]).mean():.2f}")

fig, axes = plt.subplots(1, 2, figsize=(10, 1.6), layout="constrained")
mc.plots.weights(deep_after, n=6, columns=6, ax=axes[0]).set_title(f"deep-l2 after {EPOCHS} epochs", fontsize="medium")
mc.plots.weights(deep_change, n=6, columns=6, ax=axes[1]).set_title("the same without the noise", fontsize="medium")
plt.show()

# %% [markdown]
# On the left one sees hardly more than the random numbers. On the right the same weights without them: strokes and
# arcs again, in the middle of the image. Without Adam the border stays calm. By this calculation the penalty has
# removed the noise by itself when the published run ends. So a picture of a first layer shows three things at once:
# what was learned, what was there before, and what the optimizer does to rare pixels.
#
# ## One digit on its way through the layers
#
# Now the other way round: not the weights, but what they make of a digit. `layer_outputs` gives what each layer puts
# out, without dropout. The outputs of a layer have no order, so it does not matter how they are laid out: here the
# first hidden layer as 16 x 8 little squares, the second as 8 x 8.

# %%
outputs = model.layer_outputs(test.images)
examples = np.array([np.flatnonzero(test.labels == digit)[0] for digit in range(10)])

shapes = {"hidden 1": (16, 8), "hidden 2": (8, 8), "answer": (10, 1)}
fig, axes = plt.subplots(4, 10, figsize=(9, 5.6), height_ratios=[1, 2, 1, 1.2], layout="constrained")
for i, column in zip(examples, axes.T, strict=True):
    column[0].imshow(test.images[i], cmap="gray_r")
    for ax, (name, shape) in zip(column[1:], shapes.items(), strict=True):
        ax.imshow(outputs[name][i].reshape(shape), cmap="gray_r", vmin=0, vmax=outputs[name][examples].max())
for name, row in zip(("image", *shapes), axes, strict=True):
    row[0].set_ylabel(name)
    for ax in row:
        ax.set(xticks=[], yticks=[])
fig.suptitle(
    "The first test image of each digit, and what each layer makes of it (dark: large output)", fontsize="medium"
)
plt.show()

for name in ("hidden 1", "hidden 2"):
    print(f"{name}: {100 * (outputs[name] > 0).mean():.0f} % of the outputs are not 0, on average over the test images")

# %% [markdown]
# Most units are off for any given digit. Which are on is a kind of word in which the layer writes down the digit. The
# last row is the answer: ten probabilities, from 0 at the top to 9 at the bottom.
#
# ## Which unit answers to which digit
#
# For each unit of the second hidden layer take its mean output for the images of each digit, divided by that for its
# favourite digit. The units are sorted by their favourites.


# %%
def responses(values, labels):
    """Mean outputs for each digit (10, units), divided by the largest one; units that are never on are left out."""
    means = np.array([values[labels == digit].mean(axis=0) for digit in range(10)])
    means = means[:, means.max(axis=0) > 0]
    return means / means.max(axis=0)


shown = responses(outputs["hidden 2"], test.labels)
order = np.lexsort((shown.sum(axis=0), shown.argmax(axis=0)))

fig, ax = plt.subplots(figsize=(9, 2.6), layout="constrained")
picture = ax.imshow(shown[:, order], cmap="cividis", vmin=0, vmax=1, aspect="auto")
ax.set(yticks=range(10), ylabel="digit", xlabel="units of the second hidden layer, sorted by favourite digit")
ax.set_title("Mean output of each unit, divided by that for its favourite digit", fontsize="medium")
fig.colorbar(picture, ax=ax)
plt.show()

answered = {"hidden 1": [], "hidden 2": []}
for network in networks:
    of_network = network.layer_outputs(test.images)
    for name, all_counts in answered.items():
        all_counts.append((responses(of_network[name], test.labels) > 0.5).sum(axis=0))

print("digits to which a unit answers at least half as strongly as to its favourite one, all ten networks:")
print("           one    two  three   more")
for name, all_counts in answered.items():
    digits = np.concatenate(all_counts)
    shares = [100 * np.mean(digits == n) for n in (1, 2, 3)] + [100 * np.mean(digits > 3)]
    print(f"{name}" + "".join(f"{share:5.0f} %" for share in shares))

# %% [markdown]
# If there were one unit for each digit, every column would have one light square. Most have several. The deeper layer
# is even less particular than the first one. A unit that answers to 4 and 9 alike says something else: perhaps that
# there is a stroke down on the right. Only all units together say which digit it is.
#
# A picture of answers does not show what a unit is needed for. That takes an experiment: switch units off and count.
# For each digit we switch off those units of the second hidden layer that answer to it most strongly, and for
# comparison as many others, chosen at random.


# %%
def accuracy_without(network, values, digit, units):
    """The share of the images of a digit that are still read rightly; values: what hidden 2 gives for them."""
    kernel, bias = network.get_weights()[4:]
    kept = values.copy()
    kept[:, units] = 0
    return np.mean((kept @ kernel + bias).argmax(axis=1) == digit)


generator = np.random.default_rng(0)
OFF = (0, 1, 2, 4, 8, 16, 32)
remaining = np.empty((2, len(OFF), len(networks), 10))
for i, network in enumerate(networks):
    hidden = network.layer_outputs(test.images)["hidden 2"]
    for digit in range(10):
        values = hidden[test.labels == digit]
        strongest, any_order = np.argsort(-values.mean(axis=0)), generator.permutation(values.shape[1])
        for j, n in enumerate(OFF):
            remaining[0, j, i, digit] = accuracy_without(network, values, digit, strongest[:n])
            remaining[1, j, i, digit] = accuracy_without(network, values, digit, any_order[:n])

print("        strongest switched off        as many at random")
print("units   mean   worst digit, network    mean    worst")
for n, strong, chance in zip(OFF, *(100 * remaining), strict=True):
    print(f"{n:5} {strong.mean():6.1f} % {strong.min():12.1f} % {chance.mean():15.1f} % {chance.min():6.1f} %")

# %% [markdown]
# No unit is *the* unit of a digit: without the strongest one nearly nothing is lost. The knowledge is spread, and there
# is more of it than needed. Dropout trained the network to do without single units. With a quarter of the layer gone,
# and exactly that quarter that answers to the digit, the digit falls apart; a quarter at random does no harm.
#
# ## Where the digits come apart
#
# An image is a point in a space of 784 dimensions, and each layer moves it to another space. Are images of the same
# digit closer to each other there? **PCA** draws the two directions in which the points spread most.

# %%
n = 400
some, their_labels = test.images[:n], test.labels[:n]
spaces = {"pixels": some.reshape(n, -1) / 255, **{name: outputs[name][:n] for name in ("hidden 1", "hidden 2")}}

fig, axes = plt.subplots(1, 3, figsize=(11.5, 3.7), layout="constrained")
for ax, (name, values) in zip(axes, spaces.items(), strict=True):
    mc.plots.embedding(values, their_labels, ax=ax)
    ax.set_title(f"{name}: PCA of {values.shape[1]} numbers", fontsize="medium")
    if ax is not axes[-1]:
        ax.get_legend().remove()
plt.show()

# %% [markdown]
# The groups get clearer from left to right. But two directions show only a part of the variance, as the axes say. So we
# measure in the whole space: how often does the nearest other image show the same digit? An untrained network tells us
# what is due to training.


# %%
def nearest_agrees(values, labels):
    """The share of rows whose nearest other row has the same label."""
    values = values.reshape(len(values), -1).astype(np.float32)
    squares = (values**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * values @ values.T
    np.fill_diagonal(distances, np.inf)
    return np.mean(labels[distances.argmin(axis=1)] == labels)


many, their_digits = test.images[:2000], test.labels[:2000]
print(f"nearest neighbour has the same digit, {len(many):,} test images, mean of the ten networks:")
print(f"pixels    {100 * nearest_agrees(many / 255, their_digits):5.1f} %")
shares = {"trained": [], "untrained": []}
for seed, network in zip(SEEDS, networks, strict=True):
    for kind, which in (("trained", network), ("untrained", make_network(seed))):
        of_network = which.layer_outputs(many)
        shares[kind].append([nearest_agrees(of_network[name], their_digits) for name in answered])
for kind, rows in shares.items():
    values = 100 * np.mean(rows, axis=0)
    print(f"{kind:9}" + ", ".join(f" {name} {value:5.1f} %" for name, value in zip(answered, values, strict=True)))

# %% [markdown]
# With random weights each layer blurs the digits. With trained weights each layer separates them further. That is what
# was learned, more than any picture of strokes.
#
# ## t-SNE and UMAP
#
# The author of sgd-2epochs lists these as a next step. Both lay out points in the plane so that near neighbours stay
# near. They keep neighbourhoods, not distances: how far two groups are apart, and how large they are, means little.
#
# Here are the hidden units of that system, on both of its data sets. Its own page, on Fashion-MNIST, has its curves and
# confusions. UMAP needs the package `umap-learn`, which this page does not ask for. Where it is missing, its panel says
# so.

# %%
hidden_units = {}  # data set -> outputs of the hidden layer, labels, names of the classes
agreement = []
for variant, claim in zip(mc.recipes.get("sgd-2epochs").variants, ("over", "about"), strict=True):
    learn, check = mc.datasets.load(variant.dataset)
    small = variant.network.build(seed=0)
    settings = {"epochs": variant.epochs, "batch_size": variant.batch_size, "verbose": 0}
    small.fit(learn.images, learn.labels, optimizer=variant.optimizer, **settings)
    reached = small.evaluate(check.images, check.labels, verbose=0).accuracy
    theirs = variant.published["test_accuracy"]
    print(f"{variant.dataset:14} test accuracy {100 * reached:.2f} %, published: {claim} {100 * theirs:.0f} %")
    hidden = small.layer_outputs(check.images[:n])[small.layers[1].name]
    hidden_units[variant.dataset] = hidden, check.labels[:n], check.class_names
    agreement.append((variant.dataset, "pixels", nearest_agrees(check.images[:n] / 255, check.labels[:n])))
    agreement.append((variant.dataset, "hidden layer", nearest_agrees(hidden, check.labels[:n])))

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
for row, (dataset, (hidden, labels, names)) in zip(axes, hidden_units.items(), strict=True):
    for ax, method in zip(row, ("tsne", "umap"), strict=True):
        try:
            mc.plots.embedding(hidden, labels, method=method, class_names=names, ax=ax)
        except ImportError as error:
            ax.text(0.5, 0.5, str(error), ha="center", va="center", wrap=True, transform=ax.transAxes)
            ax.set_axis_off()
            continue
        ax.set_title(f"{dataset}: {ax.get_title()}", fontsize="medium")
        if method == "umap":
            row[0].get_legend().remove()  # one of the two is enough
        points = np.concatenate([np.asarray(group.get_offsets()) for group in ax.collections])  # class by class
        agreement.append((dataset, f"picture, {method}", nearest_agrees(points, np.sort(labels))))
plt.show()

print(f"nearest neighbour has the same class, {n:,} test images:")
for dataset, name, share in sorted(agreement, key=lambda entry: entry[0], reverse=True):
    print(f"{dataset:14} {name:14} {100 * share:5.1f} %")

# %% [markdown]
# The digits form islands; 4 and 9 lie side by side, with stray points in each other. The clothes come apart less
# well: shirts are scattered among coats, pullovers and T-shirts. The table is worth a second look. A picture keeps
# most of the neighbourhoods of the hidden layer. But in the raw pixels, before any network, most nearest neighbours
# agree already. So islands in such a picture are no proof that a network has learned something: exercise 2.
#
# ## What separates a 4 from a 9
#
# Back to the first network. Whether it prefers 4 or 9 depends on one number: the difference of the two sums that go
# into the softmax. ReLU only switches units on and off. So for a given image this difference is a weighted sum of the
# pixels and a constant, and one can calculate the weight of each pixel. Averaged over all 4s and over all 9s:

# %%
W1, b1, W2, b2, W3, b3 = model.get_weights()


def pixel_weights(rows, a, b):
    """How each pixel acts on the sum of a minus that of b: the mean over images, (784,)."""
    back = (outputs["hidden 2"][rows] > 0) * (W3[:, a] - W3[:, b])
    back = (outputs["hidden 1"][rows] > 0) * (back @ W2.T)
    return (back @ W1.T).mean(axis=0)


def mean_image(digit, data=train):
    return data.images[:learned_from][data.labels[:learned_from] == digit].mean(axis=0)


maps = np.stack([pixel_weights(test.labels == digit, 4, 9) for digit in (4, 9)], axis=1)
by_difference = np.argsort((mean_image(4) - mean_image(9)).ravel())  # first the pixels where a 9 has most more ink
gap = np.zeros(784, dtype=np.uint8)
gap[by_difference[:20]] = 255

fig, axes = plt.subplots(1, 2, figsize=(9, 2.7), layout="constrained")
mc.plots.weights(maps, columns=2, ax=axes[0])
axes[0].set_title("in a 4 (left) and in a 9 (right):\nlight speaks for 4, dark for 9", fontsize="medium")
three = np.stack([mean_image(4), mean_image(9), gap.reshape(28, 28)]).astype(np.uint8)
mc.plots.images(three, ax=axes[1])
axes[1].set_title("mean 4, mean 9, and the 20 pixels in which\nthe mean 9 exceeds the mean 4 most", fontsize="medium")
plt.show()

low_ink = (train.images[:learned_from, 25:27] > 0).any(axis=(1, 2))
for digit in (4, 9):
    of_digit = train.labels[:learned_from] == digit
    print(f"training images of {digit} with ink in rows 25 or 26: {100 * low_ink[of_digit].mean():.0f} %")

# %% [markdown]
# The dark bar near the top says: ink here speaks for a 9. It lies where a 4 is open and a 9 is closed. That is what a
# person would say, too. The dark bar at the bottom is a surprise: most 9s reach down there, and few 4s do. MNIST
# centres each digit by its ink, and the heavy head of a 9 pushes its foot down. No person would think of that.
#
# But does the network go by the opening? Let us ask it. We close each 4 with ink in the pixels of the right picture,
# which come from the training images alone, and we open each 9 by erasing the same pixels. For comparison we treat as
# many other pixels that are often inked.


# %%
def turned(network, data, source, target, pixels, value):
    """The share of the rightly read images of `source` that are read as `target` after painting some pixels."""
    answers = network.predict(data.images).argmax(axis=1)
    painted = data.images[(data.labels == source) & (answers == source)].reshape(-1, 784).copy()
    painted[:, pixels] = value
    return np.mean(network.predict(painted).argmax(axis=1) == target)


others = generator.permutation(np.setdiff1d(np.flatnonzero(ink > 0.2), by_difference[:30]))
print("         4 closed and read as 9        9 opened and read as 4      (mean, lowest and highest of the ten)")
print("pixels   there           elsewhere     there           elsewhere")
for k in (5, 10, 20, 30):
    columns = []
    for source, target, value in ((4, 9, 255), (9, 4, 0)):
        for pixels in (by_difference[:k], others[:k]):
            found = 100 * np.array([turned(net, test, source, target, pixels, value) for net in networks])
            columns.append(f"{found.mean():4.1f} % ({found.min():.0f}-{found.max():.0f})")
    print(f"{k:6}   {columns[0]:16}{columns[1]:14}{columns[2]:16}{columns[3]}")

fours = np.flatnonzero((test.labels == 4) & (outputs["answer"].argmax(axis=1) == 4))[:4]
closed = test.images[fours].reshape(-1, 784).copy()
closed[:, by_difference[:20]] = 255
both = np.concatenate([test.images[fours].reshape(-1, 784), closed])
ax = mc.plots.predictions(both, model.predict(both), np.full(8, 4))
ax.set_title("The first four 4s of the test part, and the same with 20 pixels painted", fontsize="medium")
plt.show()

# %% [markdown]
# Twenty pixels of 784 turn most 4s into 9s, and most 9s into 4s. The same number of pixels elsewhere does next to
# nothing. This holds in all ten networks. And it is not a trick that only fools networks: the painted 4s look like
# clumsy 9s to us, too. So the answer to the question of this page is in no single unit, but all ten networks have
# learned it: a 4 is open at the top.
#
# ## The mistakes
#
# Which mistakes does the first network make with most confidence?

# %%
probabilities = outputs["answer"]
answers = probabilities.argmax(axis=1)
wrong = np.flatnonzero(answers != test.labels)

mc.plots.mistakes(test.images, probabilities, test.labels, n=16, columns=8)
plt.show()

# %% [markdown]
# And these are its confusions of 4 and 9, in the direction that is more frequent. The numbers are the places in the
# test part. Look at the tops.

# %%
true, answer = max([(4, 9), (9, 4)], key=lambda cell: results[0].confusion_matrix[cell])
mc.plots.confusion_cell(test.images, test.labels, answers, true, answer)
plt.show()

# %% [markdown]
# ## Whose fault is it?
#
# A mistake can be the fault of the network, or of the image. If it is the network's, another network will not make it.

# %%
all_probabilities = np.array([network.predict(test.images) for network in networks])
all_answers = all_probabilities.argmax(axis=2)
misread_by = (all_answers != test.labels).sum(axis=0)
by_all = np.flatnonzero(misread_by == len(networks))
agreed = (all_answers[:, by_all] == all_answers[0, by_all]).all(axis=0)
together = all_probabilities.mean(axis=0)

print(f"mistakes of one network: {(all_answers != test.labels).sum(axis=1).mean():.0f} on average")
print(f"images that at least one network misreads: {(misread_by > 0).sum()}; exactly one: {(misread_by == 1).sum()}")
print(f"images that all ten misread: {len(by_all)}; all with the same wrong answer: {agreed.sum()}")
print(
    f"accuracy of one network {100 * accuracy.mean():.2f} % on average, {100 * accuracy.max():.2f} % at best; "
    f"of their mean probabilities {100 * np.mean(together.argmax(axis=1) == test.labels):.2f} %"
)

ax = mc.plots.mistakes(test.images[by_all], together[by_all], test.labels[by_all], n=24, columns=8)
ax.set_title("Misread by all ten, the surest first: true digit, answer and probability in the mean", fontsize="medium")
plt.show()

# %% [markdown]
# Both happen. Some images are misread by all. Some of these are hard for us, too; others, such as the crossed 7s that
# become 2s, are just rare among the training images. Many more are misread by one network only. Those are accidents of
# its random numbers, and the mean of ten networks makes few of them: that is why it is better than the best of the ten.
#
# ## The nearest neighbours of a mistake
#
# For the three surest mistakes of the first network: which of its training images lie nearest to it, by the outputs of
# the second hidden layer?

# %%
known = model.layer_outputs(train.images[:learned_from])["hidden 2"]
asked = outputs["hidden 2"][wrong]
distances = (known**2).sum(axis=1) - 2 * asked @ known.T  # but for a constant in each row
neighbours = np.argsort(distances, axis=1, kind="stable")[:, :7]

surest = np.argsort(-probabilities[wrong].max(axis=1))[:3]
gallery, captions = [], []
for i in surest:
    gallery += [test.images[wrong[i]], *train.images[neighbours[i]]]
    captions += [test.labels[wrong[i]], *train.labels[neighbours[i]]]
ax = mc.plots.images(np.array(gallery), np.array(captions), columns=8)
ax.set_title("Left: a mistake and its true digit. Beside it: the nearest training images", fontsize="medium")
plt.show()

nearest = train.labels[neighbours[:, 0]]
print(f"of {len(wrong)} mistakes the nearest training image shows")
print(f"  the digit that was answered: {100 * np.mean(nearest == answers[wrong]):.0f} %")
print(f"  the true digit:              {100 * np.mean(nearest == test.labels[wrong]):.0f} %")

# %% [markdown]
# To the network the mistake looks like those neighbours. It has laid the image down among the wrong ones, and the last
# layer only reads off where it lies. With a nearest neighbour instead of the last layer, most mistakes would remain.
#
# ## What happened
#
# The weights of the first layer are strokes and edges, mixed with noise from the start and with marks of the optimizer;
# a picture alone does not tell which is which. No unit stands for a digit, and hardly any is needed by itself. Layer by
# layer images of the same digit move together, and that can be measured without a picture. What tells a 4 from a 9 is
# whether it is closed at the top, and twenty pixels of ink suffice to turn one into the other.
#
# Of the claims, 4-9 and 3-5 are confirmed and 7-1 is refuted. That 1 is easiest and 8 hardest holds in the mean of
# ten networks, by less than the noise. The pictures of deep-l2 show strokes, too, once the first weights are taken
# off. t-SNE and UMAP show islands, and much of them is there before any training.
#
# ## Exercises
#
# Answers are folded up below each exercise. Try first.
#
# **1. No hidden layer.** Train a network with one dense layer of 10 units and softmax, which starts from zeros. Draw
# its weights, once with `mc.SGD(0.1)` and once with Adam. What do they look like, and why does our first layer not
# look like this? What does Adam do? How much accuracy do hidden layers bring?
#
# <details><summary>Answer</summary>
#
# ```python
# for optimizer in (mc.SGD(0.1), mc.Adam(1e-3)):
#     layer = mc.Dense(10, activation="softmax", kernel_initializer="zeros")
#     flat = mc.Sequential([mc.Flatten(input_shape=(28, 28)), layer], seed=0)
#     flat.fit(train.images, train.labels, epochs=10, batch_size=32, optimizer=optimizer, verbose=0)
#     print(optimizer, flat.evaluate(test.images, test.labels, verbose=0))
#     mc.plots.weights(flat, n=10, columns=5)
#     plt.show()
# ```
#
# Each unit has to recognise a whole digit by itself, so it becomes a blurred digit: light where its strokes are, dark
# where those of the others are. A hidden unit only has to be useful to those behind it. With Adam the ring of rarely
# inked pixels at the border outshines the digits. The accuracy is the same.
#
# </details>
#
# **2. Islands without learning.** Draw t-SNE of the pixels themselves, and of the second hidden layer of an untrained
# network. Can you tell these pictures from those of a trained one? Which number can?
#
# <details><summary>Answer</summary>
#
# ```python
# fig, axes = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
# untrained = make_network(0).layer_outputs(some)["hidden 2"]
# spaces_to_draw = {"pixels": spaces["pixels"], "untrained": untrained, "trained": spaces["hidden 2"]}
# for ax, (name, values) in zip(axes, spaces_to_draw.items(), strict=True):
#     mc.plots.embedding(values, their_labels, method="tsne", ax=ax)
#     ax.set_title(f"{name}: {100 * nearest_agrees(values, their_labels):.1f} % of nearest neighbours agree")
# plt.show()
# ```
#
# </details>
#
# **3. Clothes.** Train the network on Fashion-MNIST. Which two classes does it mix up most? Paint the 20 pixels in
# which these two differ most, as we did with 4 and 9. Does it work as well? Why not?
#
# <details><summary>Answer</summary>
#
# ```python
# clothes, new_clothes = mc.datasets.load("fashion-mnist")
# dressed = make_network(0)
# train_it(dressed, clothes)
# outcome = dressed.evaluate(new_clothes.images, new_clothes.labels, verbose=0)
# a, b, count = outcome.largest_confusions(1)[0]
# print(outcome, clothes.class_names[a], "taken for", clothes.class_names[b], count, "times")
# more = np.argsort((mean_image(a, clothes) - mean_image(b, clothes)).ravel())[:20]
# less = np.argsort((mean_image(b, clothes) - mean_image(a, clothes)).ravel())[:20]
# for c, d, data in ((4, 9, train), (a, b, clothes)):
#     difference = np.abs(mean_image(c, data) - mean_image(d, data))
#     print(f"{c} and {d}: the mean images differ by at most {difference.max():.0f} of 255")
# print(f"painted: {100 * turned(dressed, new_clothes, a, b, more, 255):.0f} %")
# print(f"erased:  {100 * turned(dressed, new_clothes, a, b, less, 0):.0f} %")
# ```
#
# There is no place in which nearly all shirts differ from nearly all T-shirts, as 9s do from 4s. The mean images are
# closer to each other, and what little differs is a tone of grey, not ink or paper.
#
# </details>
