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
# # Inside backpropagation: how does a network know which way to change each weight?
#
# A network with a hundred thousand weights makes a mistake. Which of them are to blame, and how much? Trying them one
# by one would take a hundred thousand runs of the network. Backpropagation answers for all of them at once, in about
# the time of two or three runs. On this page you write it yourself, in ten lines of NumPy. Then you check it in three
# ways, replace every product by the C code of this package, and train with an activation that you made up.
#
# Before you go on, guess:
#
# * NumPy and C compute the same gradients with different code. On how many digits do they agree?
# * To measure a slope, one makes a small step. Is a smaller step always better?
# * Somebody forgets one factor in the backward pass. Will the network still learn? How would they notice?
# * An author wrote that a network without an activation gives *garbage*. What accuracy do you expect of it?

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np

import mnist_c as mc

# Colours that stay apart for colour-blind readers and in a grey print (Okabe and Ito).
BLUE, ORANGE, VERMILLION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#777777"
plt.rcParams.update(
    {
        "figure.dpi": 100,
        "font.size": 11,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": "#DDDDDD",
        "legend.frameon": False,
    }
)

# %% [markdown]
# ## The data
#
# The last 10,000 training images are set aside as **validation** images: they show how well a network reads digits that
# it did not learn from. The test part stays closed until the end.
#
# Pixels become numbers from 0 to 1, in float32, the kind of number with which networks usually compute.

# %%
train, test = mc.datasets.load("mnist")


def to_rows(images):
    """uint8 images (n, 28, 28) as float32 rows (n, 784), from 0 to 1."""
    return images.reshape(len(images), -1) / np.float32(255)


VALIDATION = 10_000
x_train, y_train = to_rows(train.images[:-VALIDATION]), train.labels[:-VALIDATION]
x_val, y_val = to_rows(train.images[-VALIDATION:]), train.labels[-VALIDATION:]
print(f"{len(x_train):,} images to learn from, {len(x_val):,} for validation, {len(test):,} for the test")

# %% [markdown]
# ## Forward: from pixels to a loss
#
# The network has one hidden layer of 128 units. For a batch of B images, x has B rows of 784 pixels:
#
# ```
# z1 = x W1 + b1            weighted sums of the hidden layer
# a1 = relu(z1)             activation: negative sums become 0
# z2 = a1 W2 + b2           weighted sums of the last layer, called logits
# p  = softmax(z2)          ten probabilities for each image
# loss = mean of -log p[right digit]
# ```
#
# ## Backward: from the loss to every weight
#
# The **gradient** of the loss has one number for each weight: the slope of the loss when this weight alone grows.
#
# Backpropagation is the chain rule, from the last line to the first. Write *delta* for the slope of the loss with
# respect to a z. The softmax and the logarithm together have a very simple slope: probability minus truth, where truth
# is 1 for the right digit and 0 elsewhere. The division by B comes from the mean:
#
# ```
# delta2 = (p - truth) / B
# ```
#
# A dense layer multiplies and adds. So its three gradients are
#
# ```
# dW2 = a1' delta2          each weight: its input times the delta of its output, summed over the images
# db2 = sum of delta2       over the images
# da1 = delta2 W2'          what the layer below is to blame for
# ```
#
# The mark ' means transposed. ReLU has slope 1 where z1 > 0 and slope 0 elsewhere. This factor is called the **mask**:
# a unit that was off did not take part, so it is not to blame. Then the first layer is a dense layer again:
#
# ```
# delta1 = da1 * (z1 > 0)
# dW1 = x' delta1
# db1 = sum of delta1
# ```
#
# Here it is in NumPy. An activation is a function that returns two things: its values and its slopes.


# %%
def relu(z):
    return np.maximum(z, 0), z > 0


def forward(weights, x, activation=relu):
    """Activations and slopes of the hidden layer, and the logits."""
    W1, b1, W2, b2 = weights
    a1, slope1 = activation(x @ W1 + b1)
    return a1, slope1, a1 @ W2 + b2


def loss_of(weights, x, y, activation=relu):
    z2 = forward(weights, x, activation)[2]
    z2 = z2 - z2.max(axis=1, keepdims=True)  # changes no probability, but e^z cannot overflow
    log_p = z2 - np.log(np.exp(z2).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean()


def my_gradients(weights, x, y, activation=relu, forget_mask=False):
    """[dW1, db1, dW2, db2]"""
    _, _, W2, _ = weights
    a1, slope1, z2 = forward(weights, x, activation)
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    delta2 = (p - np.eye(10)[y]) / len(x)
    da1 = delta2 @ W2.T
    delta1 = da1 if forget_mask else da1 * slope1
    return [x.T @ delta1, delta1.sum(axis=0), a1.T @ delta2, delta2.sum(axis=0)]


# %% [markdown]
# The first weights are random (He: the larger the number of inputs, the smaller the weights). We take them from a model
# of this package, in order to compare with it later. For the checks we compute in float64, which has about 16 digits;
# float32 has about 7.


# %%
def make_model(activation="relu", hidden=(128,), **options):
    """A network of dense layers with He's initial weights, always from the same seed."""
    layers = [mc.Dense(units, activation, kernel_initializer="he_normal") for units in hidden]
    last = mc.Dense(10, "softmax", kernel_initializer="he_normal")
    return mc.Sequential([mc.Input((784,)), *layers, last], seed=0, **options)


model = make_model()
model.summary()
for dtype in (np.float64, np.float32):
    print(f"{dtype.__name__}: {-math.log10(np.finfo(dtype).eps):.1f} digits")

weights = [w.astype(np.float64) for w in model.get_weights()]
x, y = x_train[:100].astype(np.float64), y_train[:100]
print(f"loss of the untrained network on {len(x)} images: {loss_of(weights, x, y):.4f}")
print(f"loss of somebody who gives each digit the same probability: {math.log(10):.4f}")

# %% [markdown]
# ## What a gradient looks like
#
# The gradient of one hidden unit's weights has 784 numbers, one for each pixel. So it can be drawn as an image. Look at
# the formula first: dW1 = x' delta1. With a single image there is nothing to sum: the gradient of unit j is **the image
# itself times one number**, delta1[j]. For a unit that is off, this number is 0.
#
# With 100 images it is a weighted sum of images, with weights of both signs.


# %%
def show(ax, picture, scale, title):
    """Draws 784 numbers: blue below 0, white at 0, red above."""
    ax.imshow(picture.reshape(28, 28), cmap="RdBu_r", vmin=-scale, vmax=scale)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10)
    ax.grid(False)


units = range(9, 16)
fig, axes = plt.subplots(2, 8, figsize=(9, 3.3), layout="constrained")
for row, count, label in zip(axes, (1, len(x)), ("the image", "mean image"), strict=True):
    dW1, db1, _, _ = my_gradients(weights, x[:count], y[:count])
    row[0].imshow(x[:count].mean(axis=0).reshape(28, 28), cmap="gray_r")
    row[0].set(xticks=[], yticks=[])
    row[0].set_title(label, fontsize=10)
    row[0].grid(False)
    row[0].set_ylabel(f"{count} image{'s' * (count > 1)}")
    for ax, unit in zip(row[1:], units, strict=True):
        show(ax, dW1[:, unit], np.abs(dW1[:, list(units)]).max(), f"{db1[unit]:+.3f}")
fig.suptitle("Gradient of the weights of seven hidden units (above each: the sum of its deltas)")
plt.show()

dW1, db1, _, _ = my_gradients(weights, x[:1], y[:1])
off = int((db1 == 0).sum())
print(f"one image: {off} of {len(db1)} units are off, so their gradient is 0 everywhere")
print(f"one image: gradient minus image times delta, largest difference {np.abs(dW1 - np.outer(x[0], db1)).max():.0e}")

# %% [markdown]
# All coloured pictures of the first row show the same digit. In the second row each unit has its own mixture: the
# training step will push some strokes into its weights and take others out. At the border of the image, where there is
# never any ink, the gradient is 0, and the weights will stay random for ever.
#
# ## NumPy and C, side by side
#
# `mc.reference` is the mathematics of this package in readable NumPy. `mc.ops` has the C code that trains, as functions
# on NumPy arrays. The same steps again, once with each:


# %%
def steps_in_numpy(x, y, W1, b1, W2, b2):
    R = mc.reference
    z1 = R.dense_forward(x, W1, b1)
    a1, slope1 = R.ACTIVATIONS["relu"](z1, 0.0)
    z2 = R.dense_forward(a1, W2, b2)
    loss, delta2 = R.softmax_cross_entropy(z2, y)
    da1, dW2, db2 = R.dense_backward(a1, W2, delta2)
    delta1 = da1 * slope1
    _, dW1, db1 = R.dense_backward(x, W1, delta1)
    return {"z1": z1, "a1": a1, "z2": z2, "loss": loss, "dW2": dW2, "db2": db2, "da1": da1, "dW1": dW1, "db1": db1}


def steps_in_c(x, y, W1, b1, W2, b2):
    C = mc.ops
    z1 = C.dense(x, W1, b1)
    a1 = C.activation(z1, "relu")
    z2 = C.dense(a1, W2, b2)
    loss, delta2 = C.softmax_cross_entropy(z2, y)
    da1, dW2, db2 = C.dense_backward(delta2, a1, W2, b2)
    delta1 = C.activation_backward(da1, z1, "relu")
    _, dW1, db1 = C.dense_backward(delta1, x, W1, b1)
    return {"z1": z1, "a1": a1, "z2": z2, "loss": loss, "dW2": dW2, "db2": db2, "da1": da1, "dW1": dW1, "db1": db1}


def digits(a, b):
    """On how many digits a and b agree: minus log10 of the largest difference over the largest value."""
    error = np.abs(a - b).max() / np.abs(b).max()
    return f"{-math.log10(error):6.1f}" if error else " equal"


in_numpy, in_c = steps_in_numpy(x, y, *weights), steps_in_c(x, y, *weights)
in_c32 = steps_in_c(np.float32(x), y, *map(np.float32, weights))

print("agreeing digits            C float64   C float32")
print("                            and NumPy   and NumPy")
for step, values in in_numpy.items():
    print(f"{step:5} {np.shape(values)!s:>10}  {digits(in_c[step], values):>18} {digits(in_c32[step], values):>11}")

mine = dict(zip(("dW1", "db1", "dW2", "db2"), my_gradients(weights, x, y), strict=True))
print("\nthe ten lines from above   " + ", ".join(f"{name} {digits(mine[name], in_numpy[name])}" for name in mine))

# %% [markdown]
# They agree as far as the kind of number allows. NumPy and C add the same products in another order, and each addition
# rounds; so the last digit may differ.
#
# ## First check: measure the slope
#
# All of this could agree and still be wrong: perhaps the formulas are wrong. The gradient is a slope, and a slope can
# be measured. Change one weight w by a small step h and look at the loss f. There are better and worse ways:
#
# ```
# forward     (f(w + h) - f(w)) / h                                    error grows like h
# central     (f(w + h) - f(w - h)) / 2h                               error grows like h^2
# four-point  (f(w - 2h) - 8 f(w - h) + 8 f(w + h) - f(w + 2h)) / 12h  error grows like h^4
# ```
#
# So h should be small. But computers round. Two losses that differ by little lose most of their digits when subtracted,
# and what is left is divided by a tiny h. Which of the two wins, and when?


# %%
def forward_quotient(f, h):
    return (f(h) - f(0)) / h


def central_quotient(f, h):
    return (f(h) - f(-h)) / (2 * h)


def four_point_quotient(f, h):
    return (f(-2 * h) - 8 * f(-h) + 8 * f(h) - f(2 * h)) / (12 * h)


def loss_along(weights, x, y, tensor, index, activation=relu):
    """The loss as a function of a step of one weight."""

    def f(step):
        changed = [w.copy() for w in weights]
        changed[tensor][index] += step
        return loss_of(changed, x, y, activation)

    return f


tensor = 2  # W2
index = np.unravel_index(np.abs(mine["dW2"]).argmax(), mine["dW2"].shape)
slope = mine["dW2"][index]

steps = 10.0 ** np.arange(-14, 0.1, 0.5)
f64 = loss_along(weights, x, y, tensor, index)
f32 = loss_along([np.float32(w) for w in weights], np.float32(x), y, tensor, index)
measured = {
    "forward": (forward_quotient, f64, "o-", ORANGE),
    "central": (central_quotient, f64, "s-", BLUE),
    "four-point": (four_point_quotient, f64, "^-", GREEN),
    "central, float32": (central_quotient, f32, "x--", VERMILLION),
}
fig, ax = plt.subplots(figsize=(9, 4.6), layout="constrained")
for name, (quotient, f, style, color) in measured.items():
    errors = np.abs([quotient(f, h) / slope - 1 for h in steps])
    ax.loglog(steps, errors, style, color=color, markersize=5, label=name)
    best = errors.argmin()
    print(f"{name:16}  best step {steps[best]:.0e}, error there {errors[best]:.0e}")
ax.axhline(1, color="black", linestyle=":", linewidth=1, label="as wrong as 100 %")
ax.set(xlabel="step h", ylabel="error / slope", ylim=(1e-15, 1e4))
ax.set_title("Measured slope against backpropagation, one weight of the last layer")
ax.legend(fontsize=10, loc="lower left")
plt.show()

# %% [markdown]
# Each curve is a V. On the right the formula is too coarse, on the left rounding wins. A smaller step is **not** always
# better: with h = 1e-14 the right gradient looks wrong. And float32 is useless for this: its best error is so large
# that small mistakes hide behind it. So check in float64, with a formula of high order and a step in the middle of the
# V.
#
# `mc.gradient_check` does that: four-point, float64, h = 1e-3. It looks at weights of all layers. One more thing can go
# wrong: if the step switches a ReLU from off to on, the loss has a kink in between, and the quotient means nothing.
# Such weights are left out and counted.

# %%
check = mc.gradient_check(model, x_train[:16], y_train[:16], max_parameters=400)
print(check)

# %% [markdown]
# Two of the published systems, sgd-2epochs and deep-l2, had their gradients validated numerically by their authors. We
# do it again for their architectures. In deep-l2 there is the L2 penalty as well: lambda / 2 times the sum of all
# squared weights, whose slope lambda W belongs to the gradient. (The widths of sgd-2epochs are not published; 128 is
# our choice, so it is the network of the last check.)

# %%
LAMBDA = 0.001
dense = {"activation": "relu", "kernel_initializer": "he_normal", "kernel_regularizer": mc.L2(LAMBDA / 2)}
deep = mc.Sequential(
    [
        mc.Input((784,)),
        mc.Dense(512, **dense),
        mc.Dense(256, **dense),
        mc.Dense(128, **dense),
        mc.Dense(10, **dense | {"activation": "softmax"}),
    ],
    seed=0,
)
deep_check = mc.gradient_check(deep, x_train[:8], y_train[:8], max_parameters=80)
print(f"deep-l2: {deep_check}")
verdict = "confirmed" if check.passed and deep_check.passed else "refuted"
print(f"\n'gradients validated numerically': {verdict} for the two architectures")

# %% [markdown]
# ## Second check: go downhill
#
# The gradient says more than the slope along each weight. Of all directions of the same length, minus the gradient g
# goes downhill most steeply, and the slope in that direction is -|g|, where |g| is the length of g (the root of the sum
# of all squares). So here are three ways to walk away from the first weights: along the gradient, along the gradient of
# somebody who forgot the mask, and in a random direction. The dotted line has slope -|g|.


# %%
def length(gradient):
    return math.sqrt(sum((g**2).sum() for g in gradient))


right = my_gradients(weights, x, y)
wrong = my_gradients(weights, x, y, forget_mask=True)
generator = np.random.default_rng(0)
random = [generator.normal(size=w.shape) for w in weights]

far = np.linspace(0, 2.5, 51)
fig, ax = plt.subplots(figsize=(9, 4.4), layout="constrained")
for name, direction, style, color in (
    ("minus the gradient", right, "-", BLUE),
    ("minus the gradient without mask", wrong, "--", VERMILLION),
    ("a random direction", random, "-.", GREY),
):
    unit = [d / length(direction) for d in direction]
    losses = [loss_of([w - s * u for w, u in zip(weights, unit, strict=True)], x, y) for s in far]
    ax.plot(far, losses, style, color=color, linewidth=2, label=name)
    steepness = sum((g * u).sum() for g, u in zip(right, unit, strict=True))
    print(f"{name:32} slope at the start {-steepness:+.4f}, lowest loss {min(losses):.4f}")
start = loss_of(weights, x, y)
ax.plot(far[:10], start - length(right) * far[:10], ":", color="black", linewidth=2, label="slope -|g|")
ax.set(xlabel="distance from the first weights", ylabel="loss on the 100 images", xlim=(0, 2.5))
ax.set_title("The loss along three directions")
ax.legend(fontsize=10)
plt.show()

# %% [markdown]
# The dotted line touches the blue curve at the start, as it should. But look at the other curve: the gradient **without
# mask** goes downhill, too, only less steeply. So "the loss falls" is no proof that the gradient is right.
#
# ## Third check: what exactly is wrong?
#
# `mc.testing.check_backprop` compares your gradients with those of a model that has the same weights. Where they
# differ, it tries the mistakes that people often make, and names the one that explains your numbers.

# %%
print(mc.testing.check_backprop(right, model, x, y))
print()
print(mc.testing.check_backprop(wrong, model, x, y, raises=False))

# %% [markdown]
# The gradients of the last layer are right: the mask comes after them. (Without `raises=False` a wrong gradient is an
# AssertionError. So the function can be used in a test.)
#
# ## A training loop by hand
#
# Now put everything together. Four calls go forward, three go backward, and one step of the optimizer Adam changes the
# weights. The dense layers, the loss and Adam are C. The activation between them is **NumPy**, and yours to choose. The
# learning rate falls along a cosine, from its first value to 0 in the last step.
#
# Stay in float32: if one array is float64, `mc.ops` computes in float64, which is slower.


# %%
EPOCHS, BATCH = 3, 200


def make_adam():
    return mc.Adam(mc.CosineDecay(8e-3, decay_steps=EPOCHS * len(x_train) // BATCH))


def accuracy_of(weights, activation, x, y):
    return float((forward(weights, x, activation)[2].argmax(axis=1) == y).mean())


def train_by_hand(activation, forget_mask=False):
    """Trains 784-128-10 from the weights of `make_model`. Returns the weights, the losses and the accuracies."""
    weights = make_model().get_weights()
    W1, b1, W2, b2 = weights
    adam = make_adam()
    slots = [mc.ops.optimizer_slots(adam, w) for w in weights]
    losses, accuracies, t = [], [], 0
    for epoch in range(EPOCHS):
        order = mc.reference.permutation(0, epoch, len(x_train))  # the order of `fit` with seed 0
        for start in range(0, len(x_train), BATCH):
            rows = order[start : start + BATCH]
            x = x_train[rows]

            z1 = mc.ops.dense(x, W1, b1)
            a1, slope1 = activation(z1)
            z2 = mc.ops.dense(a1, W2, b2)
            loss, delta2 = mc.ops.softmax_cross_entropy(z2, y_train[rows])

            da1, dW2, db2 = mc.ops.dense_backward(delta2, a1, W2, b2)
            delta1 = da1 if forget_mask else da1 * slope1
            _, dW1, db1 = mc.ops.dense_backward(delta1, x, W1, b1)

            t += 1
            for w, gradient, slot in zip(weights, (dW1, db1, dW2, db2), slots, strict=True):
                mc.ops.optimizer_step(adam, w, gradient, slot, t)  # changes w
            losses.append(loss)
            if t % 50 == 0:
                accuracies.append((t, accuracy_of(weights, activation, x_val, y_val)))
    return weights, losses, accuracies


start = time.perf_counter()
relu_run = train_by_hand(relu)
seconds_by_hand = time.perf_counter() - start
print(f"validation accuracy {100 * relu_run[2][-1][1]:.2f} % in {seconds_by_hand:.1f} s")

# %% [markdown]
# Is this what `fit` does? Same first weights, same order, same batches, same optimizer: compare the fingerprints of all
# weights.

# %%
by_hand, by_fit = make_model(), make_model()
by_hand.set_weights(relu_run[0])
start = time.perf_counter()
by_fit.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH, optimizer=make_adam(), verbose=0)
seconds_by_fit = time.perf_counter() - start
print(f"by hand {by_hand.weights_hash()}")
print(f"by fit  {by_fit.weights_hash()}")
print(f"`fit` took {seconds_by_fit:.2f} s")
assert by_hand.weights_hash() == by_fit.weights_hash()

# %% [markdown]
# The same to the last bit of every weight, after hundreds of steps. `fit` is faster, as it prepares everything once and
# does not come back to Python after each product. But it computes nothing else than what stands in the loop above.
#
# Now the same loop with the mask forgotten.

# %%
unmasked_run = train_by_hand(relu, forget_mask=True)
for name, run in (("right", relu_run), ("mask forgotten", unmasked_run)):
    print(f"{name:15} last 100 losses {np.mean(run[1][-100:]):.4f}, validation accuracy {100 * run[2][-1][1]:.2f} %")

# %% [markdown]
# The wrong program learns! It runs without an error, the loss falls, and nine digits of ten are right. Whoever sees
# only this accuracy will look for a better learning rate. The last layer has the right gradient, and it alone can do a
# lot. That is why one checks gradients.
#
# ## "No activation gives garbage"
#
# The author of gd-10k lost hours on a network that did not learn, and wrote down what had been wrong. One cause on the
# list: no activation. Without one, the two layers are
#
# ```
# z2 = (x W1 + b1) W2 + b2 = x (W1 W2) + (b1 W2 + b2)
# ```
#
# which is just **one** dense layer. It can draw only straight borders between the digits. Is that garbage? Another
# cause on the list were pixels from 0 to 255. So we try all four cases, the author's way: the first 41,000 images, all
# in one batch, 784-10-10, plain gradient descent with rate 0.01. The author made 10,000 steps; a short run is enough to
# see the difference. (Shape and number of images are not published; they are our reading.) `scale=1.0` gives raw
# pixels.

# %%
STEPS = 50
images, labels = train.images[:41_000].reshape(-1, 784), train.labels[:41_000]

print(f"gd-10k, shortened to {STEPS} steps, {len(images):,} images: training accuracy and loss")
for pixels, scale in (("0 to 1", None), ("0 to 255", 1.0)):
    for name in ("relu", "linear"):
        small = make_model(name, hidden=(10,), scale=scale)
        sgd = mc.SGD(0.01)
        try:
            history = small.fit(images, labels, epochs=STEPS, batch_size=len(images), optimizer=sgd, verbose=0)
            outcome = f"{100 * history.history['accuracy'][-1]:6.2f} %  {history.history['loss'][-1]:8.4f}"
        except mc.NotFiniteError as error:
            outcome = f"stopped in step {error.epoch + 1}: the loss is no finite number any more"
        print(f"  pixels {pixels:8}  {'no activation' if name == 'linear' else name:13}  {outcome}")

# %% [markdown]
# With pixels from 0 to 1, the network without activation learns, in these first steps even faster than the one with
# ReLU. With raw pixels **both** fail, each in its own way. So raw pixels alone explain the garbage, and a missing
# activation does not. How far does one get without activation, when trained well?

# %%
print(f"validation accuracy after {EPOCHS} epochs    ReLU   no activation")
networks, reached = {}, {}
for hidden in ((10,), (128,), (128, 64)):
    for name in ("relu", "linear"):
        network = make_model(name, hidden)
        network.fit(x_train, y_train, epochs=EPOCHS, batch_size=BATCH, optimizer=make_adam(), verbose=0)
        networks[name, hidden] = network
        reached[name, hidden] = 100 * network.evaluate(x_val, y_val, verbose=0).accuracy
    shape = "-".join(map(str, (784, *hidden, 10)))
    print(f"  {shape:30}  {reached['relu', hidden]:7.2f} % {reached['linear', hidden]:7.2f} %")

linear_model = networks["linear", (128,)]
W1, b1, W2, b2 = (w.astype(np.float64) for w in linear_model.get_weights())
one_layer = x_val @ (W1 @ W2) + (b1 @ W2 + b2)
same = (one_layer.argmax(axis=1) == linear_model.predict(x_val).argmax(axis=1)).mean()
print(f"\n784-128-10 without activation against the single layer W1 W2: {100 * same:.2f} % of the answers are the same")

guess = 100 * (y_val == np.bincount(y_train).argmax()).mean()
worst = min(reached[name, hidden] for name, hidden in reached if name == "linear")
print(f"always the most frequent digit: {guess:.2f} %; the worst network without activation: {worst:.2f} %")
print(f"'no activation gives garbage': {'refuted' if worst > 80 else 'confirmed'}")

# %% [markdown]
# **Refuted**: more than nine of ten digits are right without any activation. With the author's ten hidden units, ReLU
# is hardly better. But the claim has a true core: without activation, more units and more layers do not help, as all of
# them together are one layer. With ReLU they do.
#
# ## An activation of your own
#
# ReLU has a kink at 0, and a unit that is always off never learns again. What about a smooth one? *Swish* multiplies z
# by a number between 0 and 1, which is small for negative z (s is the logistic sigmoid):
#
# ```
# swish(z)  = z s(z)                        s(z) = 1 / (1 + e^-z) = (1 + tanh(z / 2)) / 2
# swish'(z) = s(z) + z s(z) (1 - s(z))      product rule, with s' = s (1 - s)
# ```
#
# The form with tanh cannot overflow. Swish is not in this package. It is two lines of NumPy:


# %%
def swish(z):
    s = (1 + np.tanh(z / 2)) / 2
    return z * s, s * (1 + z * (1 - s))


z = np.linspace(-6, 6, 241)
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for activation, style, color in ((relu, "--", GREY), (swish, "-", BLUE)):
    for ax, values in zip(axes, activation(z), strict=True):
        ax.plot(z, values, style, color=color, linewidth=2, label=activation.__name__)
axes[0].set(title="Activation", xlabel="z")
axes[1].set(title="Its slope", xlabel="z")
axes[0].legend()
plt.show()

# %% [markdown]
# First check, then train. The slope of the function alone, then the gradient of the whole network for some weights of
# each array, by the four-point formula. The wrong slope on the right belongs to somebody who forgot the product rule.


# %%
def careless(z):
    a, _ = swish(z)
    return a, (1 + np.tanh(z / 2)) / 2


def largest_error(activation, samples=5):
    """Backpropagation against the four-point quotient, relative to the largest gradient of the array."""
    errors = []
    generator = np.random.default_rng(1)
    for tensor, gradient in enumerate(my_gradients(weights, x, y, activation)):
        for flat in generator.integers(gradient.size, size=samples):
            index = np.unravel_index(flat, gradient.shape)
            measured = four_point_quotient(loss_along(weights, x, y, tensor, index, activation), 1e-3)
            errors.append(abs(measured - gradient[index]) / np.abs(gradient).max())
    return max(errors)


print("                   slope of the function   gradient of the network")
for name, activation in (("swish", swish), ("no product rule", careless)):
    by_steps = four_point_quotient(lambda h, f=activation: f(z + h)[0], 1e-3)
    print(f"{name:16}  {np.abs(by_steps - activation(z)[1]).max():22.0e}  {largest_error(activation):24.0e}")

# %%
start = time.perf_counter()
swish_run = train_by_hand(swish)
print(f"validation accuracy {100 * swish_run[2][-1][1]:.2f} % in {time.perf_counter() - start:.1f} s")

fig, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for name, run, style, color in (
    ("swish", swish_run, "-", BLUE),
    ("relu", relu_run, "--", ORANGE),
    ("relu, mask forgotten", unmasked_run, ":", VERMILLION),
):
    losses = np.array(run[1]).reshape(-1, 50).mean(axis=1)
    axes[0].semilogy(25 + 50 * np.arange(len(losses)), losses, style, color=color, linewidth=2, label=name)
    t, accuracies = np.array(run[2]).T
    axes[1].plot(t, 100 * accuracies, style, color=color, linewidth=2, marker="o", markersize=4, label=name)
axes[1].axhline(reached["linear", (128,)], color=GREY, linestyle="-.", label="no activation, at the end")
axes[0].set(title="Training loss (means of 50 steps)", xlabel="step", ylabel="loss (logarithmic axis)")
axes[0].set_yticks([0.05, 0.1, 0.2, 0.4, 0.8], [0.05, 0.1, 0.2, 0.4, 0.8])
axes[0].minorticks_off()
axes[1].set(title="Validation accuracy", xlabel="step", ylabel="accuracy (%); the axis starts at 88", ylim=(88, 98.5))
axes[1].legend(fontsize=10, loc="lower right")
fig.suptitle("784-128-10, trained by hand on mc.ops")
plt.show()

# %% [markdown]
# ## The test
#
# Now the test part is opened, once, for the networks of this page.

# %%
x_test, y_test = to_rows(test.images), test.labels
on_test = {
    "swish": accuracy_of(swish_run[0], swish, x_test, y_test),
    "relu": accuracy_of(relu_run[0], relu, x_test, y_test),
    "relu, mask forgotten": accuracy_of(unmasked_run[0], relu, x_test, y_test),
    "no activation": linear_model.evaluate(x_test, y_test, verbose=0).accuracy,
}
print(f"{len(y_test):,} test images         right   95 % interval")
for name, accuracy in on_test.items():
    low, high = mc.metrics.accuracy_interval(round(accuracy * len(y_test)), len(y_test))
    print(f"{name:22} {100 * accuracy:8.2f} %   {100 * low:.2f} to {100 * high:.2f} %")
assert on_test["swish"] >= 0.97

# %% [markdown]
# Swish and ReLU lie within each other's interval: one run does not tell which of them is better. Your last digit of
# swish may differ from the one here, as `np.tanh` may round differently on another machine. The weights of the ReLU
# network are the same on all of them.
#
# ## What happened
#
# * Backpropagation is the chain rule, backwards, and takes ten lines. NumPy and C agree as far as their kind of number
#   allows, and the loop by hand gives the bits of `fit`.
# * A measured slope has a best step. Smaller is worse: rounding takes over.
# * A network with a wrong gradient still learns, only badly. A falling loss proves nothing; a check of the gradient
#   does.
# * "No activation gives garbage" is refuted. It gives one straight layer, however many there are. What gives garbage is
#   raw pixels at the author's rate.
# * An activation of one's own is two lines, and deserves a check before training.
#
# ## Exercises
#
# Answers are folded up below each exercise. Try first.
#
# **1. Softplus.** The function log(1 + e^z) is a ReLU with a round corner. What is its slope? Write it so that it does
# not overflow for large z (`np.logaddexp` helps), check it, and train with it.
#
# <details><summary>Answer</summary>
#
# Its slope is the sigmoid s(z).
#
# ```python
# def softplus(z):
#     return np.logaddexp(z, np.float32(0)), (1 + np.tanh(z / 2)) / 2
#
#
# print(f"largest error {largest_error(softplus):.0e}")
# softplus_run = train_by_hand(softplus)
# print(f"validation accuracy {100 * softplus_run[2][-1][1]:.2f} %")
# ```
#
# </details>
#
# **2. Four mistakes.** Forget the division by the batch size; take truth minus probability; sum a bias over the wrong
# axis; transpose a weight gradient. What does `check_backprop` say to each? Then make one step of Adam with the first
# two, and look at what the weights do. Which of the four would you never notice in training?
#
# <details><summary>Answer</summary>
#
# The first. Adam divides the gradient by its usual size, so a constant factor hardly matters. A flipped sign makes the
# loss grow. The other two have the wrong shape, and `mc.ops` complains.
#
# ```python
# dW1, db1, dW2, db2 = my_gradients(weights, x, y)
# p = mc.ops.softmax(forward(weights, x)[2])
# delta2 = (p - np.eye(10)[y]) / len(x)
# mistakes = {
#     "not divided": [len(x) * g for g in (dW1, db1, dW2, db2)],
#     "truth minus p": [-g for g in (dW1, db1, dW2, db2)],
#     "wrong axis": [dW1, db1, dW2, delta2.sum(axis=1)],
#     "transposed": [dW1, db1, dW2.T, db2],
# }
# for name, gradients in mistakes.items():
#     print(name)
#     print(mc.testing.check_backprop(gradients, model, x, y, raises=False), "\n")
#
# for name, g in (("right", dW2), ("not divided", len(x) * dW2), ("truth minus p", -dW2)):
#     w = weights[2].copy()
#     mc.ops.adam_step(w, g, mc.ops.optimizer_slots(mc.Adam(), w), t=1)
#     print(f"{name:14}", (w - weights[2])[0, :5])
# ```
#
# </details>
#
# **3. Adam by hand.** Adam keeps two moving averages of each weight's gradient g: m of g, and v of its square. Both
# begin as 0. In step t, counted from 1,
#
# ```
# beta_1 = 0.9   beta_2 = 0.999   epsilon = 1e-7
# m = beta_1 m + (1 - beta_1) g
# v = beta_2 v + (1 - beta_2) g^2
# w = w - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
# ```
#
# Write it in NumPy and compare five steps with `mc.ops.adam_step`. On how many digits do they agree?
#
# <details><summary>Answer</summary>
#
# ```python
# def adam_by_hand(w, g, m, v, t, rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
#     m = beta_1 * m + (1 - beta_1) * g
#     v = beta_2 * v + (1 - beta_2) * g**2
#     step = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
#     return w - step * m / (np.sqrt(v) + epsilon), m, v
#
#
# w, ours = weights[0].copy(), weights[0].copy()
# slots = mc.ops.optimizer_slots(mc.Adam(), w)
# m = v = np.zeros_like(ours)
# for t in range(1, 6):
#     g = my_gradients([ours, *weights[1:]], x, y)[0]
#     mc.ops.adam_step(w, g, slots, t=t)
#     ours, m, v = adam_by_hand(ours, g, m, v, t)
#     print(t, digits(ours, w), "digits")
# ```
#
# </details>
