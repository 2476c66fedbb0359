"""Trains networks with mistakes that people make, and healthy ones: does `mc.diagnose` name the mistakes, and only those?

    python scripts/sabotages.py [--only WORDS] [--reports]
    python scripts/sabotages.py --cost

A mistake is named rightly if the first alarm is one of those that belong to it; symptoms (dead or saturated units,
constant answers) may stand beside any. The names were written down before the first report was read. A healthy
training must raise no alarm. Exit status 0: at least seven in eight mistakes are named rightly, and nothing healthy
alarms. --reports prints each report; --only runs what has these words in its name. --cost measures what a report takes
beside an epoch of keras-mlp on the 60,000 images of MNIST.
"""

import argparse
import functools
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import mnist_c as mc
from mnist_c.recipes import _data

SYMPTOMS = {"constant_answers", "dead_units", "saturated_units"}


class Training(NamedTuple):
    """answers: the names that are right; none: it is healthy. run: gives a model, its history, x and y."""

    name: str
    answers: set[str]
    run: Callable[[], tuple[Any, ...]]


@functools.cache
def load(name):
    return mc.datasets.load(name, progress=False)[0]


def images(name, n, first=0):
    """A data set's images from number `first` on, when they are called for."""
    return lambda: (load(name).images[first : first + n], load(name).labels[first : first + n])


mnist = functools.partial(images, "mnist")
fashion = functools.partial(images, "fashion-mnist")


def drawn(n, seed=0):
    return lambda: mc.datasets.synthetic(n, seed)


def but(data, x=lambda x: x, y=lambda y: y):
    """Those images and labels, changed."""
    return lambda: (lambda images, labels: (x(images), y(labels)))(*data())


def in_order(data):
    """Class after class."""

    def ordered():
        x, y = data()
        order = np.argsort(y, kind="stable")
        return x[order], y[order]

    return ordered


def floats(x):
    return x.astype(np.float32)


def unit(x):
    return floats(x) / 255


def one_hot(y):
    return np.eye(10, dtype=np.float32)[y]


def softmax(z):
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def mlp(*hidden, activation="relu", dropout=0.0, first_dropout=0.0, normalise=False, outputs=10, last="softmax", **dense):
    """Layers in the usual order; dense: of every layer with weights."""
    layers = [mc.Flatten(input_shape=(28, 28))] + [mc.Dropout(first_dropout)] * (first_dropout > 0)
    for units in hidden:
        layers.append(mc.Dense(units, None if normalise else activation, **dense))
        layers += [mc.BatchNormalization(), mc.Activation(activation)] * normalise
        layers += [mc.Dropout(dropout)] * (dropout > 0)
    return [*layers, mc.Dense(outputs, last, **dense)]


def fit(data, layers, optimizer=None, batch=32, epochs=3, seed=0, scale=None, look=None, **arguments):
    """How to train; look: other data than those trained on, to diagnose with."""

    def run():
        x, y = data()
        model = mc.Sequential(layers, seed=seed, scale=scale)
        try:
            model.fit(x, y, batch, epochs, verbose=0, optimizer=optimizer or mc.Adam(), **arguments)
        except mc.NotFiniteError:
            pass  # its history says where
        return model, model.history, *(look or data)()

    return run


def recipe(name, variant=None, seed=0):
    """A published system on a tenth of its images, as `--fast` trains it."""

    def run():
        system = mc.recipes.get(name)
        chosen = next(v for v in system.variants + system.improved if variant in (None, v.name))
        parts = _data.prepare(chosen, _data.shorten(_data.load([chosen.dataset])[chosen.dataset]), seed)
        model = chosen.network.build(seed)
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

    return run


def sabotages():
    adam, sgd, rms = mc.Adam, mc.SGD, mc.RMSprop
    normal, uniform, constant = mc.RandomNormal, mc.RandomUniform, mc.Constant
    off, unscaled, wide = {"labels_off_by_one"}, {"unscaled_pixels"}, {"initial_weights_too_large"}
    high, low, ordered = {"rate_too_high"}, {"rate_too_low"}, {"sorted_not_shuffled"}
    alike, dropout, penalty = {"symmetric_weights"}, {"too_much_dropout"}, {"too_much_penalty"}
    return [
        Training(f"sabotage: {name}", answers, fit(*training, **arguments))
        for name, answers, training, arguments in [
            # Dead, saturated, constant
            ("biases of -8 for sparse units", {"dead_units"}, (mnist(8000), mlp(96, 48, bias_initializer=constant(-8)), adam(1e-4), 64), {}),
            ("weights from -0.5 to 0", {"dead_units"} | wide, (drawn(3000), mlp(64, 32, kernel_initializer=uniform(-0.5, 0.0)), sgd(0.01)), {"seed": 3}),
            ("tanh and randn weights", {"saturated_units"} | wide, (mnist(6000), mlp(100, 50, activation="tanh", kernel_initializer=normal(0, 1.0)), sgd(0.01), 64), {"seed": 4}),
            ("sigmoid and weights from -5 to 5", {"saturated_units"} | wide, (fashion(6000), mlp(128, activation="sigmoid", kernel_initializer=uniform(-5, 5)), adam(), 128, 2), {}),
            ("five sigmoid layers by SGD", {"vanishing_gradients", "constant_answers"}, (mnist(10000), mlp(64, 64, 64, 64, 64, activation="sigmoid"), sgd(0.01), 32), {"seed": 5}),
            ("an array that was never filled", {"blank_images", "constant_features", "constant_answers"}, (but(mnist(5000), x=np.zeros_like), mlp(64), adam()), {}),
            ("the first images of a sorted file", {"one_class", "constant_answers"}, (but(in_order(mnist(20000)), x=lambda x: x[:1900], y=lambda y: y[:1900]), mlp(128, 64), adam()), {}),
            # Pixels
            ("float pixels up to 255, SGD", unscaled, (but(mnist(10000), x=floats), mlp(128, 64), sgd(0.01)), {"seed": 6}),
            ("raw pixels, sigmoid", unscaled, (fashion(8000), mlp(64, activation="sigmoid"), sgd(0.1), 64), {"scale": 1.0}),
            ("float64 pixels up to 255, momentum", unscaled, (but(drawn(4000, 5), x=np.float64), mlp(256, 128, 64, kernel_initializer="he_normal"), sgd(0.01, 0.9)), {}),
            # The learning rate
            ("Adam 0.2", high, (mnist(10000), mlp(256, 128), adam(0.2)), {"seed": 7}),
            ("SGD 4", high, (fashion(10000), mlp(128, kernel_initializer="he_normal"), sgd(4.0), 128), {}),
            ("RMSprop 0.1", high, (drawn(4000, 6), mlp(128, 64, dropout=0.2), rms(0.1), 64), {"seed": 8}),
            ("SGD 1 with momentum 0.95", high, (but(mnist(12000), x=unit), mlp(100, 100, activation="tanh"), sgd(1.0, 0.95)), {}),
            ("SGD 1000", high, (mnist(5000), mlp(64), sgd(1000.0)), {"seed": 9}),
            ("Adam 1e-6", low, (mnist(20000), mlp(128, 64, dropout=0.2), adam(1e-6), 128), {}),
            ("SGD 1e-5", low, (fashion(10000), mlp(64), sgd(1e-5)), {"seed": 10}),
            ("SGD 0.0001, synthetic", low, (drawn(5000, 7), mlp(200, 100, kernel_initializer="he_normal"), sgd(1e-4), 16, 4), {}),
            # Labels
            ("labels from 1 to 10, 10 made 0", off, (but(mnist(12000), y=lambda y: (y + 1) % 10), mlp(128), adam()), {}),
            ("labels one too small, synthetic", off, (but(drawn(5000, 8), y=lambda y: (y + 9) % 10), mlp(64, 64), rms(1e-3)), {}),
            ("Fashion labels one too large, looked at with the right ones", off, (but(fashion(10000), y=lambda y: (y + 1) % 10), mlp(128), adam()), {"look": fashion(3000, 30000)}),
            ("labels one row below their images", off | {"labels_unrelated"}, (but(mnist(10000), y=lambda y: np.roll(y, 1)), mlp(128, 64), adam()), {}),
            ("labels went through softmax", {"softmax_twice"}, (but(mnist(10000), y=lambda y: softmax(one_hot(y))), mlp(128), adam()), {}),
            ("Fashion labels went through softmax", {"softmax_twice"}, (but(fashion(6000), y=lambda y: softmax(one_hot(y))), mlp(64, 32, activation="tanh"), sgd(0.1), 64, 5), {}),
            # Order
            ("sorted, not shuffled, SGD", ordered, (in_order(mnist(60000, 0)), mlp(128, 64), sgd(0.05)), {"shuffle": False}),
            ("sorted, not shuffled, Adam", ordered, (in_order(fashion(8000)), mlp(64), adam(), 64, 4), {"shuffle": False}),
            ("sorted, not shuffled, synthetic", ordered, (in_order(drawn(4000, 9)), mlp(128, dropout=0.3), rms(1e-3), 16), {"shuffle": False, "seed": 11}),
            # Weights
            ("all weights zero", alike, (mnist(10000), mlp(128, 64, kernel_initializer="zeros"), adam()), {}),
            ("all weights zero, sigmoid", alike, (fashion(5000), mlp(100, activation="sigmoid", kernel_initializer="zeros"), sgd(0.1)), {}),
            ("all weights 0.05", alike, (drawn(4000, 10), mlp(64, 64, activation="tanh", kernel_initializer=constant(0.05)), adam(), 64), {}),
            # Dropout and penalties
            ("dropout 0.95", dropout, (mnist(10000), mlp(64, 32, dropout=0.95), adam()), {}),
            ("dropout 0.9 of three narrow layers, meant as what stays", dropout, (fashion(10000), mlp(48, 48, 48, dropout=0.9), adam(), 64), {}),
            ("dropout 0.97 of the pixels", dropout, (drawn(5000, 11), mlp(128, first_dropout=0.97), sgd(0.05)), {}),
            ("L2 0.5", penalty, (mnist(10000), mlp(128, 64, kernel_regularizer=mc.L2(0.5)), adam()), {}),
            ("L2 0.1 by SGD", penalty, (fashion(10000), mlp(256, kernel_regularizer=mc.L2(0.1)), sgd(0.05), 64), {}),
            ("L1 0.02", penalty, (drawn(5000, 12), mlp(64, 64, kernel_regularizer=mc.L1(0.02)), adam(), 64), {}),
        ]
    ]  # fmt: skip


def healthy():
    adam, sgd, rms = mc.Adam, mc.SGD, mc.RMSprop
    stop = [mc.callbacks.EarlyStopping(patience=1, restore_best_weights=True)]
    selu = {"activation": "selu", "kernel_initializer": "lecun_normal"}
    standard = lambda x: (floats(x) - 33.3) / 78.6  # noqa: E731
    recipes = [
        (name, None) for name in mc.recipes.NAMES
    ] + [("sgd-2epochs", "fashion"), ("sgd-2epochs", "fashion-best"), ("deep-l2", "dropout"), ("keras-mlp", "sigmoid")]
    return [Training(f"healthy: {' '.join(filter(None, r))}, fast", set(), recipe(*r)) for r in recipes] + [
        Training(f"healthy: {name}", set(), fit(*training, **arguments))
        for name, training, arguments in [
            ("softmax regression, one epoch", (mnist(60000), mlp(), sgd(0.1), 32, 1), {}),
            ("floats from 0 to 1, one epoch", (but(mnist(20000), x=unit), mlp(128), adam(), 32, 1), {"seed": 1}),
            ("batch norm", (mnist(10000), mlp(256, 128, normalise=True), adam(), 128), {"seed": 2}),
            ("tanh and momentum", (drawn(5000, 20), mlp(100, activation="tanh"), sgd(0.1, 0.9), 64, 4), {}),
            ("sigmoid", (mnist(10000), mlp(64, activation="sigmoid"), adam(3e-3), 32, 5), {"seed": 3}),
            ("gelu and AdamW", (fashion(10000), mlp(256, activation="gelu"), mc.AdamW(), 64), {}),
            ("dropout 0.5 twice", (fashion(20000), mlp(512, 512, dropout=0.5), adam(), 128, 2), {}),
            ("dropout 0.2 of the pixels, 0.5 of the units", (mnist(20000), mlp(512, dropout=0.5, first_dropout=0.2), adam(), 64, 2), {}),
            ("L2 1e-4 and RMSprop", (drawn(6000, 21), mlp(128, 64, kernel_regularizer=mc.L2(1e-4)), rms(), 32, 5), {}),
            ("L1 1e-5", (mnist(10000), mlp(128, kernel_regularizer=mc.L1(1e-5)), adam(), 32), {}),
            ("early stopping", (mnist(6000), mlp(128, 64), adam(), 32, 30), {"validation_split": 0.2, "callbacks": stop}),
            ("1,000 images", (mnist(1000), mlp(64), adam(), 16, 15), {"validation_split": 0.2}),
            ("500 drawn digits", (drawn(500, 22), mlp(100, dropout=0.3), adam(), 16, 20), {}),
            ("60,000 images in large batches", (mnist(60000), mlp(128, 64), adam(), 256, 2), {}),
            ("standardised pixels, selu", (but(mnist(10000), x=standard), mlp(100, 100, **selu), sgd(0.01, 0.9), 64), {}),
            ("pixels from -1 to 1", (but(fashion(8000), x=lambda x: floats(x) / 127.5 - 1), mlp(128), adam(), 32), {}),
            ("one cycle", (drawn(8000, 23), mlp(128, 64), sgd(mc.OneCycle(0.3, 500), 0.9), 64, 4), {}),
            ("smoothed one-hot labels", (but(mnist(10000), y=one_hot), mlp(128), adam()), {"loss": mc.CategoricalCrossentropy(label_smoothing=0.1)}),
            ("six elu layers", (mnist(10000), mlp(*[96] * 6, activation="elu", kernel_initializer="he_normal"), adam()), {}),
            ("balanced classes", (fashion(8000), mlp(64), adam()), {"class_weight": "balanced"}),
            ("unsorted, not shuffled", (mnist(10000), mlp(128), adam()), {"shuffle": False}),
            ("logits", (mnist(10000), mlp(64, 32, last=None), adam()), {"loss": mc.CategoricalCrossentropy(from_logits=True)}),
            ("mean squared error", (but(mnist(10000), y=one_hot), mlp(128, last="sigmoid"), adam()), {"loss": mc.MeanSquaredError()}),
            ("sixteen units, Adagrad", (drawn(8000, 24), mlp(16), mc.Adagrad(0.05), 32, 6), {}),
            ("odd or even", (but(mnist(10000), y=lambda y: y % 2), mlp(64, outputs=2), adam()), {}),
            ("looked at with test images", (fashion(12000), mlp(256, 128, dropout=0.2), adam(), 64), {"look": fashion(5000, 40000)}),
        ]
    ]  # fmt: skip


def judge(training, alarms):
    """(whether it is as it should be, in words)."""
    first = [name for name in alarms if name in training.answers or name not in SYMPTOMS][:1]
    if not training.answers:
        return not alarms, "alarm" if alarms else "none"
    if not alarms:
        return False, "missed"
    right = bool(training.answers.intersection(first))
    return right, "named rightly" if right else "wrongly named"


def try_all(trainings, reports):
    """How many are as they should be, with a line about each."""
    right = 0
    for training in trainings:
        diagnosis = mc.diagnose(*training.run())
        good, words = judge(training, diagnosis.alarms)
        right += good
        print(f"{words:13}  {training.name}: {', '.join(diagnosis.alarms) or 'no alarm'}", end="")
        print(f"; notes: {', '.join(diagnosis.notes)}" if diagnosis.notes else "", flush=True)
        if reports:
            print(diagnosis, end="\n\n")
    return right


def median_seconds(call, times=5):
    def once():
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun

    return statistics.median(once() for _ in range(times))


def cost():
    """What a report takes beside an epoch of keras-mlp on all images of MNIST."""
    x, y = mnist(60000)()
    model = mc.Sequential(mlp(128, 64, dropout=0.2), seed=0)
    epoch = median_seconds(lambda: model.fit(x, y, batch_size=32, epochs=1, verbose=0))
    report = median_seconds(lambda: mc.diagnose(model, model.history, x, y))
    print(f"an epoch {epoch:.3f} s, a report {report:.3f} s: {report / epoch:.1%} of it")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--reports", action="store_true")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of float pixels up to 255
    if options.cost:
        return cost()
    wrong, sound = ([t for t in ts if options.only in t.name] for ts in (sabotages(), healthy()))
    named, quiet = try_all(wrong, options.reports), try_all(sound, options.reports)
    print(f"{named} of {len(wrong)} mistakes named rightly; {quiet} of {len(sound)} healthy trainings without an alarm")
    return int(named < 7 / 8 * len(wrong) or quiet < len(sound))


if __name__ == "__main__":
    sys.exit(main())
