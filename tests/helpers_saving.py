"""Models with everything that a file can hold, shared by the tests of files."""

import numpy as np

import mnist_c as mc
from mnist_c import _safetensors

draw = np.random.default_rng(7)
PIXELS = draw.integers(0, 256, (40, 4, 4), dtype=np.uint8)
FLOATS = draw.random((40, 4, 4)).astype(np.float32)
LABELS = np.arange(40) % 3
VALUES = draw.random((40, 3))


def dense_end(units=3, activation="softmax", **more):
    return mc.Dense(units, activation=activation, **more)


# name -> (layers, arguments of Sequential, loss); every layer, initialiser and regulariser is somewhere.
MODELS = {
    "softmax regression": (lambda: [mc.Flatten(), dense_end()], {}, None),
    "every activation": (
        lambda: [
            mc.Flatten(input_shape=(4, 4)),
            mc.Dense(5, "relu"),
            mc.Dense(5, "tanh"),
            mc.Dense(5, "sigmoid"),
            mc.Dense(5, "leaky_relu"),
            mc.Dense(5, mc.LeakyReLU(0.1)),
            mc.Dense(5),
            mc.ReLU(),
            mc.ReLU(0.2),
            mc.LeakyReLU(),
            mc.Activation("tanh"),
            mc.Dense(3),
            mc.Softmax(),
        ],
        {},
        None,
    ),
    "every initializer": (
        lambda: [
            mc.Flatten(),
            mc.Dense(5, "tanh", kernel_initializer="glorot_normal", bias_initializer="ones"),
            mc.Dense(5, "tanh", kernel_initializer="he_uniform", bias_initializer=mc.Constant(0.1)),
            mc.Dense(5, "tanh", kernel_initializer="he_normal", bias_initializer=mc.RandomUniform(-0.1, 0.2)),
            mc.Dense(5, "tanh", kernel_initializer="lecun_uniform", bias_initializer=mc.RandomNormal(0.1, 0.2)),
            mc.Dense(5, "tanh", kernel_initializer="lecun_normal", use_bias=False),
            mc.Dense(5, "tanh", kernel_initializer=mc.TruncatedNormal(0, 0.4), name="with spaces / and ü"),
            dense_end(kernel_initializer=mc.VarianceScaling(3, "fan_out", "uniform")),
        ],
        {"name": "Netz"},
        None,
    ),
    "regularizers and dropout": (
        lambda: [
            mc.Input((4, 4)),
            mc.Flatten(),
            mc.Dropout(0.1),
            mc.Dense(6, "relu", kernel_regularizer=mc.L1(1e-3), bias_regularizer=mc.L2(1e-3)),
            mc.Dropout(0.3),
            mc.Dropout(0.2),
            dense_end(kernel_regularizer=mc.L1L2(1e-3, 1e-4)),
        ],
        {"reduce_rows": 16},
        mc.CategoricalCrossentropy(label_smoothing=0.1),
    ),
    "norms of weights": (
        lambda: [
            mc.Flatten(),
            mc.Dense(6, "relu", kernel_constraint=mc.MaxNorm(0.7), bias_constraint=mc.MaxNorm(0.01)),
            dense_end(kernel_constraint="unit_norm"),
        ],
        {},
        None,
    ),
    "noise": (
        lambda: [
            mc.GaussianNoise(0.1, input_shape=(4, 4)),
            mc.Flatten(),
            mc.Dense(6, "relu"),
            mc.GaussianNoise(0.2, seed=7),
            mc.Dropout(0.1),
            dense_end(),
        ],
        {},
        None,
    ),
    "batch normalisation": (
        lambda: [
            mc.Flatten(),
            mc.BatchNormalization(momentum=0.9),
            mc.Dense(6),
            mc.BatchNormalization(epsilon=1e-4, center=False),
            mc.ReLU(),
            mc.Dense(6),
            mc.BatchNormalization(scale=False),
            mc.Dense(3),
        ],
        {},
        mc.SparseCategoricalCrossentropy(from_logits=True),
    ),
    "float64": (lambda: [mc.Flatten(), mc.Dense(5, "tanh"), mc.Dropout(0.2), dense_end()], {"dtype": "float64"}, None),
    "rescaling": (lambda: [mc.Rescaling(1 / 127.5, offset=-1), mc.Flatten(), dense_end()], {}, None),
    "raw pixels": (
        lambda: [mc.Flatten(), mc.Dense(5, "sigmoid"), dense_end()],
        {"scale": 1.0, "seed": 2**64 - 1},
        None,
    ),
    "squared error": (lambda: [mc.Flatten(), mc.Dense(5, "tanh"), mc.Dense(3)], {}, mc.MeanSquaredError()),
    "no weights but one layer's": (lambda: [mc.Flatten(), mc.Dense(3, use_bias=False), mc.Softmax()], {}, None),
}

OPTIMIZERS = {
    "sgd": lambda: mc.SGD(0.1),
    "momentum": lambda: mc.SGD(mc.StepDecay(0.1, 3, 0.5), momentum=0.9),
    "nesterov": lambda: mc.SGD(mc.InverseTimeDecay(0.1, 3, 0.5), momentum=0.9, nesterov=True),
    "stairs": lambda: mc.SGD(mc.InverseTimeDecay(0.1, 3, 0.5, staircase=True)),
    "rmsprop": lambda: mc.RMSprop(0.01, rho=0.8),
    "rmsprop with all": lambda: mc.RMSprop(0.01, momentum=0.5, centered=True, epsilon=1e-6),
    "adam": lambda: mc.Adam(mc.CosineDecay(0.01, 30, alpha=0.1), beta_1=0.8, beta_2=0.99, epsilon=1e-6),
    "adamw": lambda: mc.AdamW(0.01, weight_decay=0.02),
}


def make_model(name="regularizers and dropout"):
    layers, settings, _ = MODELS[name]
    return mc.Sequential(layers(), **{"seed": 3, **settings})


def fit(model, name="regularizers and dropout", optimizer=None, epochs=2, **more):
    """Some training; returns the history."""
    y = VALUES if isinstance(MODELS[name][2], mc.MeanSquaredError) else LABELS
    return model.fit(
        PIXELS, y, batch_size=7, epochs=epochs, optimizer=optimizer, loss=MODELS[name][2], verbose=0, **more
    ).history


def encode(tensors, metadata):
    """The bytes of a file."""
    return b"".join(_safetensors.encode(tensors, metadata))
