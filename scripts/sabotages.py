"""Trains networks with mistakes that people make, and healthy ones: does `mc.diagnose` name the former, and only those?

    python scripts/sabotages.py [--only WORDS] [--reports] [--random SEED] [--quick]
    python scripts/sabotages.py --cost

A mistake is named rightly if the first alarm is one of those that belong to it; symptoms (dead or saturated units,
constant answers) may stand beside any. A healthy training must raise no alarm. Exit status 0: at least seven in eight
mistakes are named rightly, and nothing healthy alarms.

--random draws networks, optimizers and data anew, and puts each mistake into some. --quick: a few on drawn digits.
--cost measures what a report takes beside an epoch of keras-mlp on the 60,000 images of MNIST.
"""

import argparse
import statistics
import sys
import time
import warnings

import numpy as np
from trainings import (
    Training,
    adam,
    any_network,
    blurred,
    but,
    constant,
    drawn,
    fashion,
    fit,
    healthy,
    in_order,
    mlp,
    mnist,
    normal,
    one_hot,
    one_less,
    one_more,
    rms,
    rows,
    sgd,
    sigmoid,
    softmax,
    tanh,
    taught,
    uniform,
    unit,
)

import mnist_c as mc

# On drawn digits, which need no file.
QUICK = (
    "weights from -0.5 to 0/float64 pixels up to 255/RMSprop 0.1/labels one too small/sorted, RMSprop/all weights 0.05/"
    "L1 0.02/tanh and momentum/500 drawn digits/sixteen units, Adagrad"
).split("/")
SYMPTOMS = {"constant_answers", "dead_units", "saturated_units"}


def sabotages():
    table = [
        (
            {"dead_units"},
            fit("biases of -8 for sparse units", mnist(8000), mlp(96, 48, biases=constant(-8)), adam(1e-4), 64),
            fit("biases of -20", fashion(8000), mlp(128, 64, biases=constant(-20), last_is_usual=True), adam(), 64),
        ),
        (
            {"dead_units", "initial_weights_too_large"},
            fit("weights from -0.5 to 0", drawn(3000), mlp(64, 32, weights=uniform(-0.5, 0.0)), sgd(0.01), seed=3),
        ),
        (
            {"dead_units", "rate_too_high"},
            fit("Adam 0.03, three layers", mnist(10000, 20000), mlp(200, 100, 50), adam(0.03), epochs=5, seed=22),
        ),
        (
            {"saturated_units", "initial_weights_too_large"},
            fit("tanh and randn weights", mnist(6000), tanh(100, 50, weights=normal(0, 1.0)), sgd(0.01), 64, seed=4),
            fit("sigmoid, weights from -5 to 5", fashion(6000), sigmoid(128, weights=uniform(-5, 5)), adam(), 128, 2),
            fit("tanh, scale 900", drawn(5000, 30), tanh(80, 80, weights=mc.VarianceScaling(900.0)), adam(1e-4), 64),
        ),
        (
            {"vanishing_gradients", "constant_answers"},
            fit("five sigmoid layers by SGD", mnist(10000), sigmoid(64, 64, 64, 64, 64), sgd(0.01), seed=5),
            fit("eight tanh layers, weights 0.01", mnist(9000), tanh(*[50] * 8, weights=normal(0, 0.01)), sgd(0.05)),
        ),
        (
            {"blank_images", "constant_features", "constant_answers"},
            fit("an array that was never filled", but(mnist(5000), x=np.zeros_like), mlp(64), adam()),
        ),
        (
            {"one_class", "constant_answers"},
            fit("the first rows of a sorted file", rows(mnist(20000), lambda y: y == 0), mlp(128, 64), adam()),
        ),
        (
            {"unscaled_pixels"},
            fit("float pixels up to 255, SGD", but(mnist(10000), x=np.float32), mlp(128, 64), sgd(0.01), seed=6),
            fit("raw pixels, sigmoid", fashion(8000), sigmoid(64), sgd(0.1), 64, scale=1.0),
            fit("float64 pixels up to 255", but(drawn(4000, 5), x=np.float64), mlp(256, 128, 64), sgd(0.01, 0.9)),
            fit("raw pixels, RMSprop 0.01, tanh", mnist(10000, 10000), tanh(128, 64), rms(0.01), 64, scale=1.0),
            fit("16-bit pixels", but(fashion(6000), x=lambda x: np.float32(x) * 257), mlp(100, 50), adam(), seed=24),
        ),
        (
            {"rate_too_high"},
            fit("Adam 0.2", mnist(10000), mlp(256, 128), adam(0.2), seed=7),
            fit("SGD 4", fashion(10000), mlp(128, weights="he_normal"), sgd(4.0), 128),
            fit("RMSprop 0.1", drawn(4000, 6), mlp(128, 64, dropout=0.2), rms(0.1), 64, seed=8),
            fit("SGD 1 with momentum 0.95", but(mnist(12000), x=unit), tanh(100, 100), sgd(1.0, 0.95)),
            fit("SGD 1000", mnist(5000), mlp(64), sgd(1000.0), seed=9),
            fit("SGD 0.8 with momentum 0.9", fashion(12000), mlp(256, 128), sgd(0.8, 0.9), 64, seed=25),
            fit("decay from 10", mnist(10000, 40000), mlp(128), sgd(mc.ExponentialDecay(10.0, 1000, 0.96)), seed=26),
            fit("SGD with momentum 0.99", fashion(15000, 7000), mlp(128, 64), sgd(0.1, 0.99), epochs=3, seed=30),
            fit("Adam 0.05, wide", drawn(6000, 31), mlp(512, 512), adam(0.05), epochs=2, seed=27),
        ),
        (
            {"rate_too_low"},
            fit("Adam 1e-6", mnist(20000), mlp(128, 64, dropout=0.2), adam(1e-6), 128),
            fit("SGD 1e-5", fashion(10000), mlp(64), sgd(1e-5), seed=10),
            fit("SGD 1e-4", drawn(5000, 7), mlp(200, 100, weights="he_normal"), sgd(1e-4), 16, 4),
            fit("decay in epochs", mnist(10000), mlp(128), sgd(mc.CosineDecay(0.1, 5)), epochs=5, seed=28),
            fit("Adam 1e-5, few images", fashion(3000), mlp(64, 32), adam(1e-5), 64, seed=29),
            fit("half every 5 steps", drawn(6000, 32), tanh(100), sgd(mc.ExponentialDecay(0.05, 5, 0.5))),
            fit("half every 15 steps", mnist(12000, 9000), mlp(64, 64), sgd(mc.ExponentialDecay(0.1, 15, 0.5))),
            fit("Adagrad 0.001", mnist(20000, 5000), mlp(64), mc.Adagrad(0.001), 128),
            fit("SGD 0.001, large batches", fashion(20000, 9000), tanh(128, 64), sgd(0.001), 256, 4),
            fit("clipped at 1e-4", fashion(10000, 5000), mlp(100), sgd(0.05, 0.9, global_clipnorm=1e-4)),
            fit("epsilon 100", drawn(6000, 36), mlp(128), rms(1e-3, epsilon=100.0)),
        ),
        (
            {"labels_off_by_one"},
            fit("labels from 1 to 10, 10 made 0", but(mnist(12000), y=one_more), mlp(128), adam()),
            fit("labels one too small", but(drawn(5000, 8), y=one_less), mlp(64, 64), rms(1e-3)),
            fit("trained one off", but(fashion(10000), y=one_more), mlp(128), adam(), look=fashion(3000, 30000)),
            fit("used one off", fashion(10000), mlp(128), adam(), look=but(fashion(2000, 50000), y=one_more)),
            fit("one-hot, one off", but(mnist(1000), y=lambda y: one_hot(one_more(y))), mlp(64), adam(), 16, 10),
        ),
        (
            {"labels_off_by_one", "labels_unrelated"},
            fit("labels a row below", but(mnist(10000), y=lambda y: np.roll(y, 1)), mlp(128, 64), adam()),
            fit("labels eight rows below", but(fashion(10000), y=lambda y: np.roll(y, 8)), mlp(64), sgd(0.1)),
            fit("images a row off", but(mnist(60000), lambda x: x[1:], lambda y: y[:-1]), mlp(64), sgd(0.1), 64, 2),
        ),
        (
            {"softmax_twice"},
            fit("labels through softmax", but(mnist(10000), y=blurred), mlp(128), adam()),
            fit("labels through softmax, tanh", but(fashion(6000), y=blurred), tanh(64, 32), sgd(0.1), 64, 5),
            fit("a teacher's probabilities through softmax", taught(mnist(8000)), mlp(64), adam()),
            fit(
                "labels through softmax, mean squared error",
                but(mnist(12000), y=blurred),
                mlp(64, last="sigmoid"),
                sgd(0.5),
                loss="mse",
            ),
            fit("smoothed", but(drawn(5000, 33), y=lambda y: softmax(0.9 * one_hot(y) + 0.01)), mlp(128), rms(), 64, 4),
        ),
        (
            {"sorted_not_shuffled"},
            fit("sorted, SGD", in_order(mnist(60000)), mlp(128, 64), sgd(0.05), shuffle=False),
            fit("sorted, Adam", in_order(fashion(8000)), mlp(64), adam(), 64, 4, shuffle=False),
            fit("sorted, RMSprop", in_order(drawn(4000, 9)), mlp(128, dropout=0.3), rms(1e-3), 16, shuffle=False),
            fit("sorted, the last fifth validates", in_order(mnist(10000)), mlp(128), adam(), validation_split=0.2),
            fit("9 to 0", rows(fashion(10000), lambda y: np.argsort(9 - y)), mlp(128), sgd(0.1), 100, 4, shuffle=False),
        ),
        (
            {"unequal_weights"},
            fit("class 7 counts 1,000 times", mnist(10000, 3000), mlp(64), adam(), epochs=2, class_weight={7: 1000.0}),
            fit("class 0 counts alone", fashion(6000), tanh(64), sgd(0.1), sample_weight=only_zeros(6000)),
        ),
        (
            {"symmetric_weights"},
            fit("all weights zero", mnist(10000), mlp(128, 64, weights="zeros"), adam()),
            fit("all weights zero, sigmoid", fashion(5000), sigmoid(100, weights="zeros"), sgd(0.1)),
            fit("all weights 0.05", drawn(4000, 10), tanh(64, 64, weights=constant(0.05)), adam(), 64),
            fit("hidden weights zero", mnist(8000), tanh(64, 64, weights="zeros", last_is_usual=True), adam(), 64),
            fit("ones, batch norm", drawn(4000, 34), mlp(64, 32, normalise=True, weights="ones"), sgd(0.1), 64),
        ),
        (
            {"too_much_dropout"},
            fit("dropout 0.95", mnist(10000), mlp(64, 32, dropout=0.95), adam()),
            fit("dropout 0.9 meant as what stays", fashion(10000), mlp(48, 48, 48, dropout=0.9), adam(), 64),
            fit("dropout 0.97 of the pixels", drawn(5000, 11), mlp(128, first_dropout=0.97), sgd(0.05)),
            fit("dropout 0.8 of four layers of 32", mnist(12000), mlp(32, 32, 32, 32, dropout=0.8), adam()),
            fit("dropout 0.5 six times", fashion(15000, 3000), mlp(*[32] * 6, dropout=0.5), adam(), epochs=4),
            fit("dropout 0.9 of pixels and units", fashion(8000), mlp(64, dropout=0.9, first_dropout=0.9), rms()),
        ),
        (
            {"too_much_penalty"},
            fit("L2 0.5", mnist(10000), mlp(128, 64, penalty=mc.L2(0.5)), adam()),
            fit("L2 0.1 by SGD", fashion(10000), mlp(256, penalty=mc.L2(0.1)), sgd(0.05), 64),
            fit("L1 0.02", drawn(5000, 12), mlp(64, 64, penalty=mc.L1(0.02)), adam(), 64),
            fit("AdamW with weight decay 10", mnist(10000), mlp(128, 64), mc.AdamW(0.01, weight_decay=10.0), 64),
            fit("L2 0.05 of three layers", drawn(6000, 35), tanh(100, 100, 100, penalty=mc.L2(0.05)), adam()),
            fit("L2 0.01 of five layers", fashion(15000, 4000), tanh(*[64] * 5, penalty="l2"), sgd(0.1), epochs=8),
            fit("L1 and L2 0.01", fashion(8000), mlp(128, penalty="l1_l2"), sgd(0.05), epochs=4),
        ),
    ]
    return [Training(name, answers, run) for answers, *runs in table for name, run in runs]


def only_zeros(n):
    return (fashion(n)()[1] == 0).astype(float)


# ---------------------------------------------------------------- drawn at random


def at_random(seed, times=3):
    """Each mistake so many times, and healthy trainings, each with another network."""
    rng = np.random.default_rng(seed)
    names = "dead saturated equal dropout penalty high low pixels softmax sorted labels".split()
    trainings = []
    for k, name in enumerate((names + ["healthy"] * 5) * times):
        t = any_network(rng)
        data, network, x = t["data"], t["network"], rng.random()
        match name:
            case "dead":
                answers = {"dead_units"}
                network |= {"biases": constant(-6 - 24 * x), "activation": "relu"}
            case "saturated":
                answers = {"saturated_units", "initial_weights_too_large"}
                network |= {"weights": normal(0, 1 + 4 * x), "activation": "tanh" if x < 0.5 else "sigmoid"}
            case "equal":
                answers = {"symmetric_weights"}
                network |= {"weights": "zeros" if x < 0.7 else "ones"}
            case "dropout":
                answers = {"too_much_dropout"}
                network |= {"dropout": 0.9 + 0.07 * x}
            case "penalty":
                answers = {"too_much_penalty"}
                network |= {"penalty": mc.L2(0.1 + 0.9 * x)}
            case "high":
                answers, t["factor"] = {"rate_too_high"}, 100 + 900 * x
            case "low":
                answers, t["factor"] = {"rate_too_low"}, 10 ** (-4 - x)
            case "pixels":
                answers, data = {"unscaled_pixels"}, but(data, x=np.float32)
            case "softmax":
                answers, data = {"softmax_twice"}, but(data, y=blurred)
            case "sorted":
                answers, data, t["fit"]["shuffle"] = {"sorted_not_shuffled"}, in_order(data), False
            case "labels":
                answers, t["fit"]["look"] = {"labels_off_by_one"}, data
                data = but(data, y=one_more if x < 0.5 else one_less)
            case "healthy":
                answers = set()
        words = f"{k} {name} {t['units']} {network['activation']}"
        _, run = fit("", data, mlp(*t["units"], **network), t["optimizer"](t["factor"]), seed=k, **t["fit"])
        trainings.append(Training(words, answers, run))
    return trainings


# ---------------------------------------------------------------- what diagnose says


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


def cost(times=9):
    """What a report takes beside an epoch of keras-mlp on all images of MNIST; other programs make both slower."""
    x, y = mnist(60000)()
    model = mc.Sequential(mlp(128, 64, dropout=0.2), seed=0)

    def report():
        mc.diagnose(model, model.history, x, y)

    def seconds(call):
        begun = time.perf_counter(), time.process_time()
        call()
        return time.perf_counter() - begun[0], time.process_time() - begun[1]

    def epoch():
        model.fit(x, y, batch_size=32, epochs=1, verbose=0)

    epoch()
    print("the first report {:.3f} s, on the processors {:.3f} s".format(*seconds(report)))
    pairs = [(seconds(epoch), seconds(report)) for _ in range(times)]
    for k, clock in enumerate(("by the clock", "on the processors")):
        e, r = (statistics.median(pair[which][k] for pair in pairs) for which in (0, 1))
        print(f"{clock}: an epoch {e:.3f} s, another report {r:.3f} s, {r / e:.0%} of it")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--reports", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--random", type=int, metavar="SEED")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of float pixels up to 255
    if options.cost:
        return cost()
    trainings = sabotages() + healthy() if options.random is None else at_random(options.random)
    chosen = [t for t in trainings if options.only in t.name and (not options.quick or t.name in QUICK)]
    wrong, sound = [t for t in chosen if t.answers], [t for t in chosen if not t.answers]
    named, quiet = try_all(wrong, options.reports), try_all(sound, options.reports)
    print(f"{named} of {len(wrong)} mistakes named rightly; {quiet} of {len(sound)} healthy trainings without an alarm")
    return int(named < 7 / 8 * len(wrong) or quiet < len(sound))


if __name__ == "__main__":
    sys.exit(main())
