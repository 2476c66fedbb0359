"""Sabotaged and healthy trainings. Each takes images uint8 (n, 28, 28) and labels, and returns what `diagnose` gets."""

import contextlib
import warnings

import numpy as np

import mnist_c as mc

SABOTAGES, HEALTHY = {}, {}


def _register(table, *names):
    def decorate(function):
        table[function.__name__] = (function, names)
        return function

    return decorate


def sabotage(*names):
    """names: one of them must be among the alarms."""
    return _register(SABOTAGES, *names)


def healthy(function):
    return _register(HEALTHY)(function)


def train(x, y, *, layers=None, optimizer=None, epochs=3, batch_size=32, see=None, scale=None, **fit):
    """A trained model and what diagnose is to see: x and y, or other ones."""
    model = mc.Sequential([mc.Flatten(input_shape=(28, 28)), *(layers or mlp())], seed=1, scale=scale)
    with warnings.catch_warnings(), contextlib.suppress(mc.NotFiniteError):
        warnings.simplefilter("ignore")
        model.fit(x, y, optimizer=optimizer or mc.Adam(1e-3), epochs=epochs, batch_size=batch_size, verbose=0, **fit)
    return model, model.history, *(see or (x, y))


def mlp(units=(128,), activation="relu", rate=0.0, **dense):
    layers = []
    for n in units:
        layers += [mc.Dense(n, activation, **dense), *([mc.Dropout(rate)] if rate else [])]
    return [*layers, mc.Dense(10, "softmax", **dense)]


def rng():
    return np.random.default_rng(0)


# ---------------------------------------------------------------- learning rate, steps


@sabotage("rate_too_high")
def adam_rate_1(x, y):
    return train(x, y, optimizer=mc.Adam(1.0))


@sabotage("rate_too_high")
def adam_rate_tenth(x, y):
    return train(x, y, layers=mlp((128, 64), rate=0.2), optimizer=mc.Adam(0.1))


@sabotage("rate_too_high")
def sgd_rate_10(x, y):
    return train(x, y, optimizer=mc.SGD(10.0))


@sabotage("rate_too_high")
def sgd_rate_million(x, y):
    return train(x, y, layers=mlp((128, 64)), optimizer=mc.SGD(1e6))


@sabotage("rate_too_high")
def rmsprop_rate_1(x, y):
    return train(x, y, optimizer=mc.RMSprop(1.0))


@sabotage("rate_too_high")
def momentum_rate_5(x, y):
    return train(x, y, layers=mlp(activation="tanh"), optimizer=mc.SGD(5.0, momentum=0.9))


@sabotage("rate_too_low")
def adam_rate_millionth(x, y):
    return train(x, y, optimizer=mc.Adam(1e-6))


@sabotage("rate_too_low")
def sgd_rate_ten_thousandth(x, y):
    return train(x, y, optimizer=mc.SGD(1e-4), epochs=5)


@sabotage("rate_too_low")
def sgd_rate_zero_nearly(x, y):
    return train(x, y, optimizer=mc.SGD(1e-9))


@sabotage("rate_too_low")
def rate_zero(x, y):
    return train(x, y, optimizer=mc.SGD(0.0))


@sabotage("rate_too_low")
def schedule_from_far_too_high(x, y):
    return train(x, y, optimizer=mc.SGD(mc.ExponentialDecay(100.0, 1, 0.5)))


@sabotage("too_few_steps", "rate_too_low")
def one_step(x, y):
    return train(x, y, epochs=1, batch_size=len(x))


@sabotage("few_images")
def five_images_per_class(x, y):
    few = np.concatenate([np.flatnonzero(y == c)[:4] for c in range(10)])
    return train(x[few], y[few], epochs=30)


@sabotage("rate_too_low")
def schedule_used_up(x, y):
    return train(x, y, optimizer=mc.SGD(mc.StepDecay(0.1, decay_steps=1, decay_rate=0.1)))


@sabotage("rate_too_low")
def schedule_nearly_used_up(x, y):
    """It has learned something before."""
    return train(x, y, optimizer=mc.SGD(mc.ExponentialDecay(0.1, 5, 0.5)))


@sabotage("rate_too_low")
def rate_somewhat_low(x, y):
    return train(x, y, layers=mlp((64,)), optimizer=mc.SGD(0.001), batch_size=64, epochs=4)


@sabotage("rate_too_low")
def epsilon_10(x, y):
    return train(x, y, optimizer=mc.Adam(1e-3, epsilon=10.0))


@sabotage("rate_too_low")
def clipped_short(x, y):
    return train(x, y, optimizer=mc.SGD(0.1, clipnorm=1e-4))


@sabotage("rate_too_high")
def momentum_99(x, y):
    """It learns for some hundred steps and then is lost."""
    return train(x, y, layers=mlp((128, 64)), optimizer=mc.SGD(0.1, momentum=0.99, nesterov=True), epochs=10)


@sabotage("unequal_weights")
def one_class_counts(x, y):
    return train(x, y, optimizer=mc.SGD(0.01), class_weight={c: 10.0 if c == 1 else 1e-3 for c in range(10)})


@sabotage("unequal_weights")
def two_classes_count(x, y):
    return train(x, y, class_weight={c: 0.0 for c in range(10) if c not in (1, 7)})


@sabotage("unequal_weights")
def five_images_count(x, y):
    return train(x, y, sample_weight=(np.arange(len(y)) < 5).astype(float))


@sabotage("unequal_weights")
def nothing_counts(x, y):
    return train(x, y, sample_weight=np.zeros(len(y)))


# ---------------------------------------------------------------- images


@sabotage("unscaled_pixels")
def raw_floats(x, y):
    return train(x.astype(np.float32), y)


@sabotage("unscaled_pixels")
def raw_floats_sgd(x, y):
    return train(x.astype(np.float64), y, optimizer=mc.SGD(0.01))


@sabotage("unscaled_pixels")
def scale_one(x, y):
    return train(x, y, scale=1.0)


@sabotage("unscaled_pixels")
def scale_one_sigmoid(x, y):
    """It learns, and its loss begins at that of guessing, as flat sigmoids keep it from being sure."""
    return train(x, y, layers=mlp((128,), "sigmoid"), optimizer=mc.RMSprop(1e-3), epochs=5, scale=1.0)


@sabotage("unscaled_pixels")
def raw_in_use_only(x, y):
    return train(x, y, see=(x.astype(np.float32), y))


@sabotage("unscaled_pixels")
def mean_and_deviation_of_other_units(x, y):
    return train((x.astype(np.float32) - 0.1307) / 0.3081, y)


@sabotage("pixels_too_small")
def divided_twice(x, y):
    return train(x / np.float32(255 * 255), y)


@sabotage("pixels_too_small")
def rescaled_floats(x, y):
    model = mc.Sequential(
        [mc.Rescaling(1 / 255, input_shape=(28, 28)), mc.Flatten(), *mlp((64,), "tanh")],
        seed=0,
    )
    model.fit(x / np.float32(255), y, optimizer="sgd", epochs=3, verbose=0)
    return model, model.history, x / np.float32(255), y


@sabotage("inverted_images")
def black_on_white(x, y):
    return train(255 - x, y)


@sabotage("inverted_images")
def inverted_in_use_only(x, y):
    return train(x, y, see=(1 - x / np.float32(255), y))


@sabotage("inverted_images")
def inverted_in_training_only(x, y):
    return train(255 - x, y, see=(x, y))


@sabotage("constant_features")
def all_images_alike(x, y):
    return train(np.repeat(x[:1], len(x), axis=0), y)


@sabotage("constant_features", "blank_images")
def all_ones(x, y):
    return train(np.ones(x.shape, np.float32), y)


@sabotage("blank_images")
def a_third_is_empty(x, y):
    x = x.copy()
    x[::3] = 0
    return train(x, y)


# ---------------------------------------------------------------- labels


@sabotage("labels_unrelated")
def shuffled_labels(x, y):
    return train(x, rng().permutation(y))


@sabotage("labels_unrelated")
def shuffled_labels_learned_by_heart(x, y):
    return train(x, rng().permutation(y), layers=mlp((256,)), epochs=20)


@sabotage("labels_unrelated")
def shuffled_labels_seen_with_right_ones(x, y):
    return train(x, rng().permutation(y), see=(x, y))


@sabotage("labels_unrelated")
def labels_one_row_later(x, y):
    return train(x, np.roll(y, 1))


@sabotage("labels_unrelated")
def labels_eight_rows_later(x, y):
    """The header of the labels' file was read as labels."""
    return train(x, np.concatenate([np.zeros(8, y.dtype), y[:-8]]))


@sabotage("labels_unrelated")
def random_images(x, y):
    return train(rng().random((len(x), 28, 28), dtype=np.float32), y)


@sabotage("labels_off_by_one")
def one_hot_off_by_one(x, y):
    return train(x, np.eye(10)[y.astype(int) - 1])


@sabotage("labels_off_by_one")
def off_by_one_seen_with_right_labels(x, y):
    return train(x, (y.astype(int) + 1) % 10, see=(x, y))


@sabotage("labels_off_by_one")
def off_by_one_and_not_learned_yet(x, y):
    """Some classes are still taken for others."""
    x, y = x[:3000], y[:3000].astype(int)
    return train(x, (y + 9) % 10, layers=mlp((128,), "sigmoid"), optimizer=mc.SGD(0.1), epochs=5, see=(x, y))


@sabotage("labels_off_by_one")
def classes_from_one(x, y):
    return train(x, y.astype(int) + 1, layers=[mc.Dense(64, "relu"), mc.Dense(11, "softmax")])


@sabotage("labels_permuted")
def permuted_classes(x, y):
    return train(x, rng().permutation(10)[y])


@sabotage("one_class")
def all_zeros(x, y):
    return train(x, np.zeros(len(y), int))


@sabotage("softmax_twice")
def targets_through_softmax(x, y):
    e = np.exp(np.eye(10)[y])
    return train(x, e / e.sum(axis=1, keepdims=True))


@sabotage("softmax_twice")
def targets_through_softmax_squared_error(x, y):
    e = np.exp(np.eye(10)[y])
    layers = [mc.Dense(64, "relu"), mc.Dense(10, "sigmoid")]
    return train(x, e / e.sum(axis=1, keepdims=True), layers=layers, optimizer=mc.SGD(0.5), loss="mse")


@sabotage("softmax_twice")
def smoothing_too_strong(x, y):
    return train(x, y, loss=mc.CategoricalCrossentropy(label_smoothing=0.95))


@sabotage("sorted_not_shuffled")
def sorted_data(x, y):
    order = np.argsort(y, kind="stable")
    return train(x[order], y[order], shuffle=False)


@sabotage("sorted_not_shuffled")
def sorted_data_sgd(x, y):
    order = np.argsort(y, kind="stable")[::-1]
    return train(x[order], y[order], shuffle=False, optimizer=mc.SGD(0.1), epochs=5)


@sabotage("sorted_not_shuffled")
def sorted_seen_in_order(x, y):
    order = np.argsort(y, kind="stable")
    return train(x[order], y[order], shuffle=False, layers=mlp((128, 64), rate=0.2), see=(x, y))


@sabotage("sorted_not_shuffled")
def sorted_with_a_split(x, y):
    order = np.argsort(y, kind="stable")
    return train(x[order], y[order], validation_split=0.2)


# ---------------------------------------------------------------- network


@sabotage("symmetric_weights")
def zero_weights(x, y):
    return train(x, y, layers=mlp(kernel_initializer="zeros"))


@sabotage("symmetric_weights")
def zero_weights_sigmoid(x, y):
    return train(x, y, layers=mlp((64, 64), "sigmoid", kernel_initializer="zeros"))


@sabotage("symmetric_weights")
def constant_weights(x, y):
    return train(x, y, layers=mlp(kernel_initializer=mc.Constant(0.1)))


@sabotage("symmetric_weights")
def ones_tanh(x, y):
    return train(x, y, layers=mlp(activation="tanh", kernel_initializer="ones"), optimizer=mc.SGD(0.01))


@sabotage("initial_weights_too_large")
def weights_deviation_10(x, y):
    return train(x, y, layers=mlp((128, 64), kernel_initializer=mc.RandomNormal(stddev=10)))


@sabotage("initial_weights_too_large")
def weights_deviation_1(x, y):
    return train(x, y, layers=mlp((128, 64), kernel_initializer=mc.RandomNormal(stddev=1)))


@sabotage("saturated_units", "initial_weights_too_large")
def saturated_sigmoid(x, y):
    return train(x, y, layers=mlp((64, 64), "sigmoid", kernel_initializer=mc.RandomNormal(10, 50)))


@sabotage("saturated_units")
def saturated_by_bias(x, y):
    return train(x, y, layers=mlp(activation="sigmoid", bias_initializer=mc.Constant(50.0)))


@sabotage("initial_weights_too_large")
def weights_and_biases_from_minus_3_to_3(x, y):
    """Only a few units say the same of all images, but most values are flat at the beginning."""
    uniform = {"kernel_initializer": mc.RandomUniform(-3, 3), "bias_initializer": mc.RandomUniform(-3, 3)}
    layers = [*mlp((64, 32), "sigmoid", **uniform)[:-1], mc.Dense(10, "sigmoid", **uniform)]
    return train(x, np.eye(10)[y], layers=layers, optimizer=mc.SGD(1.0), batch_size=10, epochs=5, loss="mse")


@sabotage("initial_weights_too_large")
def tanh_weights_deviation_1(x, y):
    """The loss begins at less than five times that of guessing, but three quarters of the tanhs are flat."""
    layers = mlp((100, 50), "tanh", kernel_initializer=mc.RandomNormal(stddev=1))
    return train(x, y, layers=layers, optimizer=mc.SGD(0.01))


@sabotage("dead_units", "rate_too_high")
def rate_that_leaves_few_units(x, y):
    """Nine tenths of the first layer die early, the others learn."""
    return train(x, y, layers=mlp((200, 100, 50)), optimizer=mc.Adam(0.04), epochs=5)


@sabotage("dead_units")
def dead_by_bias(x, y):
    return train(x, y, layers=mlp((64, 32), bias_initializer=mc.Constant(-100.0)))


@sabotage("dead_units")
def dead_by_hand(x, y):
    model, history, x, y = train(x, y)
    model.layers[1].bias = np.full(128, -1000.0)
    return model, history, x, y


@sabotage("vanishing_gradients")
def eight_sigmoids(x, y):
    return train(x, y, layers=mlp((64,) * 8, "sigmoid"), optimizer=mc.SGD(0.01))


@sabotage("vanishing_gradients")
def five_sigmoids(x, y):
    return train(x, y, layers=mlp((64,) * 5, "sigmoid"), optimizer=mc.SGD(0.01))


@sabotage("vanishing_gradients")
def tiny_weights(x, y):
    """What the last layer gets vanishes as the gradients do, so that all kernels have about the same gradient: none."""
    layers = mlp((50,) * 8, "tanh", kernel_initializer=mc.RandomNormal(stddev=0.01))
    return train(x, y, layers=layers, optimizer=mc.SGD(0.05))


@sabotage("too_much_dropout")
def dropout_95(x, y):
    return train(x, y, layers=mlp(rate=0.95))


@sabotage("too_much_dropout")
def dropout_95_twice(x, y):
    return train(x, y, layers=mlp((128, 64), rate=0.95))


@sabotage("too_much_dropout")
def dropout_half_six_times(x, y):
    return train(x, y, layers=mlp((32,) * 6, rate=0.5))


@sabotage("too_much_dropout")
def dropout_of_inputs(x, y):
    return train(x, y, layers=[mc.Dropout(0.98), *mlp()])


@sabotage("too_much_penalty")
def l2_10(x, y):
    return train(x, y, layers=mlp(kernel_regularizer=mc.L2(10.0)))


@sabotage("too_much_penalty")
def l2_1_sgd(x, y):
    return train(x, y, layers=mlp((128, 64), kernel_regularizer=mc.L2(1.0)), optimizer=mc.SGD(0.01))


@sabotage("too_much_penalty")
def l1_1(x, y):
    return train(x, y, layers=mlp(kernel_regularizer=mc.L1(1.0)))


@sabotage("too_much_penalty")
def weight_decay_100(x, y):
    return train(x, y, optimizer=mc.AdamW(1e-3, weight_decay=100.0))


@sabotage("too_much_penalty")
def weight_decay_10(x, y):
    return train(x, y, layers=mlp((128, 64)), optimizer=mc.AdamW(0.01, weight_decay=10.0), batch_size=64, epochs=5)


# ---------------------------------------------------------------- healthy


@healthy
def usual(x, y):
    return train(x, y, layers=mlp((128, 64), rate=0.2), validation_split=0.2)


@healthy
def seen_with_other_images(x, y):
    return train(x[500:], y[500:], see=(x[:500], y[:500]))


@healthy
def sgd(x, y):
    return train(x, y, optimizer=mc.SGD(0.1))


@healthy
def sgd_momentum(x, y):
    return train(x, y, optimizer=mc.SGD(0.01, momentum=0.9, nesterov=True))


@healthy
def rmsprop(x, y):
    return train(x, y, optimizer="rmsprop")


@healthy
def adamw_with_decay(x, y):
    return train(x, y, optimizer=mc.AdamW(1e-3, weight_decay=0.01))


@healthy
def decaying_rate(x, y):
    return train(x, y, optimizer=mc.Adam(mc.CosineDecay(3e-3, 500)), epochs=5)


@healthy
def wide_and_deep(x, y):
    return train(x, y, layers=mlp((256, 128, 64), kernel_initializer="he_normal"))


@healthy
def one_layer(x, y):
    return train(x, y, layers=[mc.Dense(10, "softmax")], epochs=5)


@healthy
def one_layer_from_zeros(x, y):
    return train(x, y, layers=[mc.Dense(10, "softmax", kernel_initializer="zeros")], optimizer=mc.SGD(0.5), epochs=5)


@healthy
def narrow(x, y):
    return train(x, y, layers=mlp((12,)), epochs=10)


@healthy
def tanh(x, y):
    return train(x, y, layers=mlp((128, 64), "tanh"), epochs=5)


@healthy
def sigmoid(x, y):
    return train(x, y, layers=mlp((128,), "sigmoid"), epochs=8)


@healthy
def leaky(x, y):
    return train(x, y, layers=[mc.Dense(64), mc.LeakyReLU(), mc.Dense(10, "softmax")], epochs=5)


@healthy
def logits(x, y):
    layers = [mc.Dense(64, "relu"), mc.Dense(10)]
    return train(x, y, layers=layers, loss=mc.SparseCategoricalCrossentropy(from_logits=True))


@healthy
def squared_error(x, y):
    return train(x, np.eye(10)[y], layers=[mc.Dense(64, "relu"), mc.Dense(10)], loss="mse", epochs=5)


@healthy
def batch_norm(x, y):
    layers = [mc.Dense(64), mc.BatchNormalization(), mc.Activation("relu"), mc.Dropout(0.3), mc.Dense(10, "softmax")]
    return train(x, y, layers=layers, epochs=8)


@healthy
def batch_norm_on_raw_pixels(x, y):
    layers = [mc.Dense(64), mc.BatchNormalization(), mc.Activation("relu"), mc.Dense(10, "softmax")]
    return train(x, y, layers=layers, scale=1.0, epochs=8)


@healthy
def strong_dropout(x, y):
    return train(x, y, layers=[mc.Dropout(0.2), *mlp((256,), rate=0.5)], epochs=8)


@healthy
def small_l2(x, y):
    return train(x, y, layers=mlp((128, 64), kernel_regularizer=mc.L2(1e-3)), epochs=5)


@healthy
def zero_and_one_with_l2(x, y):
    """Learned until the loss stands still, and most of it is the penalty."""
    keep = y < 2
    layers = [mc.Dense(128, "relu", kernel_regularizer=mc.L2(1e-3)), mc.Dense(2, "softmax")]
    return train(x[keep], y[keep], layers=layers, epochs=80)


@healthy
def max_norm_and_dropout(x, y):
    layers = mlp((128, 64), rate=0.3, kernel_constraint=mc.MaxNorm(2), bias_constraint="max_norm")
    return train(x, y, layers=layers, epochs=8)


@healthy
def noise(x, y):
    layers = [mc.GaussianNoise(0.3), mc.Dense(128, "relu"), mc.GaussianNoise(0.3), mc.Dense(10, "softmax")]
    return train(x, y, layers=layers, epochs=8)


@healthy
def label_smoothing(x, y):
    return train(x, y, loss=mc.CategoricalCrossentropy(label_smoothing=0.1))


@healthy
def standardised_floats(x, y):
    x = x.reshape(len(x), -1).astype(np.float32)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-2)
    model = mc.Sequential(mlp(), seed=0)
    model.fit(x, y, epochs=3, verbose=0)
    return model, None, x, y


@healthy
def minus_one_to_one(x, y):
    return train(x / np.float32(127.5) - 1, y)


def _rescaled(x, y):
    return train(x, y, layers=[mc.Rescaling(1 / 255), *mlp((64,))], epochs=5)


@healthy
def rescaled_integers(x, y):
    return _rescaled(x, y)


@healthy
def rescaled_floats_up_to_255(x, y):
    return _rescaled(x.astype(np.float32), y)


@healthy
def yes_or_no(x, y):
    """One output for even and odd."""
    layers = [mc.Dense(64, "relu"), mc.Dense(1, "sigmoid")]
    return train(x, y % 2, layers=layers, loss="binary_crossentropy", epochs=5)


@healthy
def bright_images(x, y):
    """Learned as well as others, which takes more epochs."""
    return train(255 - x, y, epochs=20)


@healthy
def sorted_but_shuffled(x, y):
    order = np.argsort(y, kind="stable")
    return train(x[order], y[order])


@healthy
def unshuffled_but_mixed(x, y):
    return train(x, y, shuffle=False)


@healthy
def a_fifth_of_the_labels_wrong(x, y):
    wrong = rng().random(len(y)) < 0.2
    return train(x, np.where(wrong, rng().integers(0, 10, len(y)), y))


@healthy
def rare_classes(x, y):
    keep = (y < 5) | (rng().random(len(y)) < 0.1)
    return train(x[keep], y[keep], class_weight="balanced", epochs=5)


@healthy
def overfitted(x, y):
    return train(x[:1500], y[:1500], layers=mlp((256,)), epochs=30, validation_split=0.2)


@healthy
def large_batches(x, y):
    return train(x, y, batch_size=256, epochs=10)


@healthy
def two_classes(x, y):
    keep = y < 2
    return train(x[keep], y[keep], layers=[mc.Dense(16, "relu"), mc.Dense(2, "softmax")])


@healthy
def twenty_steps_on_raw_pixels(x, y):
    """gd-20."""
    small = mc.RandomNormal(stddev=0.01)
    return train(
        x, y, layers=mlp(kernel_initializer=small), optimizer=mc.SGD(1e-3), epochs=20, batch_size=len(x), scale=1.0
    )


@healthy
def full_batch(x, y):
    """gd-10k, with a tenth of its steps and ten times its rate."""
    layers = mlp((10,), kernel_initializer="he_normal")
    return train(x, y, layers=layers, optimizer=mc.SGD(0.1), epochs=500, batch_size=len(x))
