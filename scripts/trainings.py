"""What `sabotages.py` trains: data, networks and runs; and the healthy trainings."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import mnist_c as mc
from mnist_c.recipes import _data


class Training(NamedTuple):
    """answers: the findings that name its mistake rightly; none: it is healthy. run: gives what `diagnose` takes."""

    name: str
    answers: set[str]
    run: Callable[[], tuple[Any, ...]]


# ---------------------------------------------------------------- data: functions without arguments, called when needed


@functools.cache
def load(name):
    return mc.datasets.load(name, progress=False)[0]


def images(name, n, first=0):
    return lambda: (load(name).images[first : first + n], load(name).labels[first : first + n])


mnist = functools.partial(images, "mnist")
fashion = functools.partial(images, "fashion-mnist")


def drawn(n, seed=0):
    return lambda: mc.datasets.synthetic(n, seed)


def but(data, x=lambda x: x, y=lambda y: y):
    """Those images and labels, changed."""
    return lambda: (lambda images, labels: (x(images), y(labels)))(*data())


def rows(data, choose):
    """Those rows that choose(y) gives."""
    return lambda: (lambda x, y: (x[choose(y)], y[choose(y)]))(*data())


def in_order(data):
    """Class after class."""
    return rows(data, lambda y: np.argsort(y, kind="stable"))


def taught(data):
    """What a teacher predicts, put through softmax as if it were logits."""

    def run():
        x, y = data()
        teacher = mc.Sequential(mlp(64), seed=90)
        teacher.fit(x, y, epochs=2, verbose=0)
        return x, softmax(teacher.predict(x))

    return run


def unit(x):
    return np.float32(x) / 255


def with_noise(x):
    return np.clip(unit(x) + np.random.default_rng(6).normal(0, 0.2, x.shape), 0, 1)


def one_hot(y):
    return np.eye(10, dtype=np.float32)[y]


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def blurred(y):
    return softmax(one_hot(y))


def one_more(y):
    return (y + 1) % 10


def one_less(y):
    return (y + 9) % 10


def a_fifth_wrong(y):
    rng = np.random.default_rng(3)
    return np.where(rng.random(len(y)) < 0.2, rng.integers(0, 10, len(y)), y)


# ---------------------------------------------------------------- networks and runs


def mlp(
    *hidden,
    activation="relu",
    dropout=0.0,
    first_dropout=0.0,
    normalise=False,
    outputs=10,
    last="softmax",
    weights="glorot_uniform",
    biases="zeros",
    penalty=None,
    last_is_usual=False,
):
    """Layers in the usual order. weights, biases, penalty: of all layers, unless the last one is to be as usual."""
    dense = {"kernel_initializer": weights, "bias_initializer": biases, "kernel_regularizer": penalty}
    layers = [mc.Flatten(), *([mc.Dropout(first_dropout)] if first_dropout else [])]
    for units in hidden:
        layers.append(mc.Dense(units, None if normalise else activation, **dense))
        layers += [mc.BatchNormalization(), mc.Activation(activation)] if normalise else []
        layers += [mc.Dropout(dropout)] if dropout else []
    return [*layers, mc.Dense(outputs, last, **({} if last_is_usual else dense))]


tanh = functools.partial(mlp, activation="tanh")
sigmoid = functools.partial(mlp, activation="sigmoid")
adam, sgd, rms = mc.Adam, mc.SGD, mc.RMSprop
constant, normal, uniform = mc.Constant, mc.RandomNormal, mc.RandomUniform


def fit(name, data, layers, optimizer, batch=32, epochs=3, seed=0, scale=None, look=None, **arguments):
    """A name and how to train; look: other data than those trained on, to diagnose with."""

    def run():
        x, y = data()
        model = mc.Sequential(layers, seed=seed, scale=scale)
        with contextlib.suppress(mc.NotFiniteError):  # the history says where
            model.fit(x, y, batch, epochs, verbose=0, optimizer=optimizer, **arguments)
        return model, model.history, *(look or data)()

    return name, run


def recipe(name, variant=None):
    """A published system on a tenth of its images, as `--fast` trains it."""

    def run():
        system = mc.recipes.get(name)
        chosen = next(v for v in system.variants + system.improved if variant in (None, v.name))
        parts = _data.prepare(chosen, _data.shorten(_data.load([chosen.dataset])[chosen.dataset]), 0)
        model = chosen.network.build(0)
        history = model.fit(
            *parts.train,
            batch_size=chosen.batch_size or len(parts.train.labels),
            epochs=chosen.fast_epochs,
            shuffle=chosen.batch_size is not None,
            optimizer=chosen.fresh_optimizer(),
            loss=chosen.loss,
            validation_data=parts.validation,
            callbacks=chosen.fresh_callbacks(),
            verbose=0,
        )
        return model, history, *parts.train

    return " ".join(filter(None, (name, variant))), run


# ---------------------------------------------------------------- healthy trainings


def few(y):
    """A tenth of the first three classes, all of the others."""
    return np.random.default_rng(5).random(len(y)) < np.where(y < 3, 0.1, 1)


def mixed(x):
    """The same pixels in another order."""
    return x.reshape(-1, 784)[:, np.random.default_rng(4).permutation(784)]


def small(x):
    return x.reshape(-1, 7, 4, 7, 4).mean((2, 4), dtype=np.float32) / 255


def healthy():
    stop = mc.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
    smooth, logits = mc.CategoricalCrossentropy(label_smoothing=0.1), mc.CategoricalCrossentropy(from_logits=True)
    yes_no = mc.BinaryCrossentropy()
    runs = [
        *map(recipe, mc.recipes.NAMES),
        recipe("sgd-2epochs", "fashion"),
        recipe("sgd-2epochs", "fashion-best"),
        recipe("deep-l2", "dropout"),
        recipe("keras-mlp", "sigmoid"),
        fit("softmax regression, one epoch", mnist(60000), mlp(), sgd(0.1), epochs=1),
        fit("floats from 0 to 1, one epoch", but(mnist(20000), x=unit), mlp(128), adam(), epochs=1, seed=1),
        fit("batch norm", mnist(10000), mlp(256, 128, normalise=True), adam(), 128, seed=2),
        fit("tanh and momentum", drawn(5000, 20), tanh(100), sgd(0.1, 0.9), 64, 4),
        fit("sigmoid", mnist(10000), sigmoid(64), adam(3e-3), epochs=5, seed=3),
        fit("gelu and AdamW", fashion(10000), mlp(256, activation="gelu"), mc.AdamW(), 64),
        fit("dropout 0.5 twice", fashion(20000), mlp(512, 512, dropout=0.5), adam(), 128, 2),
        fit("dropout of pixels and units", mnist(20000), mlp(512, dropout=0.5, first_dropout=0.2), adam(), 64, 2),
        fit("L2 1e-4 and RMSprop", drawn(6000, 21), mlp(128, 64, penalty=mc.L2(1e-4)), rms(), epochs=5),
        fit("L1 1e-5", mnist(10000), mlp(128, penalty=mc.L1(1e-5)), adam()),
        fit("early stopping", mnist(6000), mlp(128, 64), adam(), 32, 30, validation_split=0.2, callbacks=[stop]),
        fit("1,000 images", mnist(1000), mlp(64), adam(), 16, 15, validation_split=0.2),
        fit("500 drawn digits", drawn(500, 22), mlp(100, dropout=0.3), adam(), 16, 20),
        fit("60,000 images in large batches", mnist(60000), mlp(128, 64), adam(), 256, 2),
        fit(
            "standardised pixels, selu",
            but(mnist(10000), x=lambda x: (np.float32(x) - 33.3) / 78.6),
            mlp(100, 100, activation="selu", weights="lecun_normal"),
            sgd(0.01, 0.9),
            64,
        ),
        fit("pixels from -1 to 1", but(fashion(8000), x=lambda x: 2 * unit(x) - 1), mlp(128), adam()),
        fit("one cycle", drawn(8000, 23), mlp(128, 64), sgd(mc.OneCycle(0.3, 500), 0.9), 64, 4),
        fit("smoothed one-hot labels", but(mnist(10000), y=one_hot), mlp(128), adam(), loss=smooth),
        fit("six elu layers", mnist(10000), mlp(*[96] * 6, activation="elu", weights="he_normal"), adam()),
        fit("balanced classes", fashion(8000), mlp(64), adam(), class_weight="balanced"),
        fit("unsorted, not shuffled", mnist(10000), mlp(128), adam(), shuffle=False),
        fit("logits", mnist(10000), mlp(64, 32, last=None), adam(), loss=logits),
        fit("mean squared error", but(mnist(10000), y=one_hot), mlp(128, last="sigmoid"), adam(), loss="mse"),
        fit("binary cross-entropy", but(fashion(8000), y=one_hot), mlp(128, last="sigmoid"), adam(), loss=yes_no),
        fit("sixteen units, Adagrad", drawn(8000, 24), mlp(16), mc.Adagrad(0.05), epochs=6),
        fit("odd or even", but(mnist(10000), y=lambda y: y % 2), mlp(64, outputs=2), adam()),
        fit("looked at with others", fashion(12000), mlp(256, dropout=0.2), adam(), 64, look=fashion(5000, 40000)),
        fit("dropout 0.6, wide", mnist(15000), mlp(1024, dropout=0.6), adam(), 64, 2),
        fit("L2 1e-3", fashion(10000), mlp(128, 64, penalty=mc.L2(1e-3)), adam()),
        fit("SGD 0.5", mnist(10000), mlp(128), sgd(0.5), 64, 4),
        fit("Adam 0.01", drawn(6000, 40), mlp(128, 64), adam(0.01), 64),
        fit("Adam 1e-4, two epochs", mnist(60000), mlp(256), adam(1e-4), 64, 2),
        fit("a fifth of the labels wrong", but(mnist(15000), y=a_fifth_wrong), mlp(128), adam(), 64, 2),
        fit("three classes rare", rows(mnist(20000), few), mlp(64), adam()),
        fit("200 images", mnist(200), mlp(32), adam(), 16, 30),
        fit("pixels in another order", but(mnist(10000), x=mixed), mlp(128), adam(), epochs=2),
        fit("less than 5, or more", but(drawn(8000, 41), y=lambda y: y >= 5), mlp(64, outputs=2), adam()),
        fit("five pairs of digits", but(mnist(10000), y=lambda y: y // 2), mlp(64, outputs=5), adam()),
        fit("noise over the images", but(mnist(10000), x=with_noise), mlp(128), adam()),
        fit("images of 7 x 7", but(mnist(10000), x=small), mlp(64), adam(), epochs=5),
        fit(
            "constant hidden weights, random last ones",
            fashion(8000),
            mlp(128, weights=constant(0.01), last_is_usual=True),
            adam(),
            64,
        ),
        fit("dark on bright", but(fashion(10000), x=lambda x: 255 - x), mlp(128), adam()),
        fit("batches of one", mnist(3000), mlp(64), sgd(0.01), 1, 2),
        fit("average of weights", mnist(10000), mlp(128), adam(use_ema=True)),
        fit("clipped gradients", fashion(8000), mlp(64, 64), sgd(0.1, global_clipnorm=1.0), epochs=4),
        fit("rescaled floats", but(fashion(10000), x=np.float32), [mc.Rescaling(1 / 255), *mlp(64)], adam()),
        fit(
            "even, one output",
            but(mnist(8000), y=lambda y: y % 2),
            mlp(64, outputs=1, last="sigmoid"),
            adam(),
            loss=yes_no,
        ),
        fit("epsilon 0.1 of Adam", mnist(10000), mlp(128), adam(0.1, epsilon=0.1), epochs=3),
        fit("a rare class balanced", rows(mnist(20000), few), mlp(64), adam(), class_weight="balanced"),
        fit("deep sigmoid, batch norm", mnist(12000), sigmoid(128, 128, normalise=True), adam(), 64),
    ]
    return [Training(name, set(), run) for name, run in runs]


def any_network(rng):
    """What a healthy training takes."""
    n, first = int(rng.choice([3000, 6000, 12000])), int(rng.integers(40000))
    activation = str(rng.choice(["relu", "relu", "tanh", "sigmoid", "gelu", "elu"]))
    units = ([64], [128], [256, 128], [100, 50], [64, 64, 64])[rng.integers(2 if activation == "sigmoid" else 5)]
    make, rate = ((adam, 1e-3), (rms, 1e-3), (sgd, 0.1), (lambda r: sgd(r, 0.9), 0.02))[rng.integers(4)]
    return {
        "data": (mnist(n, first), fashion(n, first), drawn(min(n, 5000), first + 100))[rng.integers(3)],
        "network": {"activation": activation},
        "units": units,
        "optimizer": lambda factor: make(rate * factor),
        "factor": 1.0,
        "fit": {"batch": int(rng.choice([16, 32, 64])), "epochs": int(rng.integers(3, 6))},
    }
