"""What Keras computes in float64: writes tests/data/keras.json, which tests/test_optimizers_keras.py compares with.

    python -m venv keras && keras/bin/pip install . tensorflow-cpu
    keras/bin/python tests/data/make_keras_figures.py [FILE]

The input is made by Philox (tests/helpers_keras.py), so the file has only results. Floats are written with
all their digits.

With KERAS_BACKEND=jax or torch the file has optimizers at constant rates only: there Keras 3 replaces float64 by
float32 wherever its rules of type promotion are asked (BIT64_TO_BIT32_DTYPE of keras/src/backend/common/dtypes.py), as
in cos, in batch normalisation and in losses, whatever `floatx` is. With TensorFlow it keeps float64, except for
Python's numbers: see `doubles`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["JAX_ENABLE_X64"] = "1"  # without it JAX computes in float32, whatever Keras asks for
os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np
from helpers_keras import STEPS, first_weights, gradients, loss_inputs, network_inputs, network_weight

SHOWN = (1, 2, 3, 10, 31, 100)

# name: (class in Keras, its arguments, kind in mnist_c, its arguments). No argument means: the defaults must agree.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "sgd": ("SGD", {}, "sgd", {}),
    "sgd, rate": ("SGD", {"learning_rate": 0.3}, "sgd", {}),
    "momentum": ("SGD", {"momentum": 0.9}, "sgd", {"momentum": 0.9}),
    "momentum, rate": ("SGD", {"learning_rate": 0.1, "momentum": 0.5}, "sgd", {"momentum": 0.5}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, "sgd", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {}, "rmsprop", {}),
    "rmsprop, all": (
        "RMSprop",
        {"learning_rate": 0.01, "rho": 0.8, "epsilon": 1e-4},
        "rmsprop",
        {"rho": 0.8, "epsilon": 1e-4},
    ),
    "rmsprop, momentum": ("RMSprop", {"momentum": 0.9}, "rmsprop", {"momentum": 0.9}),
    "rmsprop, centered": ("RMSprop", {"centered": True}, "rmsprop", {"centered": True}),
    "rmsprop, centered, momentum": (
        "RMSprop",
        {"learning_rate": 0.003, "rho": 0.95, "momentum": 0.7, "epsilon": 1e-5, "centered": True},
        "rmsprop",
        {"rho": 0.95, "momentum": 0.7, "epsilon": 1e-5, "centered": True},
    ),
    "adam": ("Adam", {}, "adam", {}),
    "adam, all": (
        "Adam",
        {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        "adam",
        {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3},
    ),
    "adamw": ("AdamW", {}, "adamw", {}),
    "adamw, all": (
        "AdamW",
        {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-5, "weight_decay": 0.1},
        "adamw",
        {"beta1": 0.7, "beta2": 0.95, "epsilon": 1e-5, "weight_decay": 0.1},
    ),
    "adagrad": ("Adagrad", {}, "adagrad", {}),
    "adagrad, all": (
        "Adagrad",
        {"learning_rate": 0.05, "initial_accumulator_value": 0.01, "epsilon": 1e-3},
        "adagrad",
        {"initial_accumulator_value": 0.01, "epsilon": 1e-3},
    ),
    "momentum, clipnorm": ("SGD", {"momentum": 0.9, "clipnorm": 2.0}, "sgd", {"momentum": 0.9, "clipnorm": 2.0}),
    "sgd, global_clipnorm": ("SGD", {"global_clipnorm": 1.5}, "sgd", {"global_clipnorm": 1.5}),
    "adam, clipvalue": ("Adam", {"clipvalue": 0.25}, "adam", {"clipvalue": 0.25}),
    "momentum, inverse_time": ("SGD", {"learning_rate": "inverse_time", "momentum": 0.9}, "sgd", {"momentum": 0.9}),
    "adamw, cosine": ("AdamW", {"learning_rate": "cosine"}, "adamw", {}),
}

# name: (class in Keras, its arguments, kind in mnist_c, its arguments)
SCHEDULES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "step": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.7, "staircase": True},
        "step",
        {"initial": 0.1, "steps": 30, "decay": 0.7},
    ),
    "inverse_time": (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20, "decay_rate": 0.3},
        "inverse_time",
        {"initial": 0.1, "steps": 20, "decay": 0.3},
    ),
    "inverse_time, staircase": (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20, "decay_rate": 0.3, "staircase": True},
        "inverse_time",
        {"initial": 0.1, "steps": 20, "decay": 0.3, "staircase": True},
    ),
    "cosine": (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 60, "alpha": 0.1},
        "cosine",
        {"initial": 0.01, "steps": 60, "alpha": 0.1},
    ),
    "cosine to 0": (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 90},
        "cosine",
        {"initial": 0.01, "steps": 90},
    ),
    "cosine, warm-up": (
        "CosineDecay",
        {"initial_learning_rate": 0.001, "decay_steps": 60, "alpha": 0.1, "warmup_target": 0.01, "warmup_steps": 20},
        "cosine",
        {"initial": 0.01, "steps": 60, "alpha": 0.1, "warmup_steps": 20, "warmup_from": 0.001},
    ),
    "exponential": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.7},
        "exponential",
        {"initial": 0.1, "steps": 30, "decay": 0.7},
    ),
    "exponential, staircase": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.7, "staircase": True},
        "exponential",
        {"initial": 0.1, "steps": 30, "decay": 0.7, "staircase": True},
    ),
}


def doubles(thing: Any) -> Any:
    """The Keras object with np.float64 for its Python numbers: in TensorFlow, ops.cast(0.9, "float64") is float32's."""
    for name, value in list(vars(thing).items()):
        if type(value) is float:
            setattr(thing, name, np.float64(value))
    return thing


def schedule(name: str) -> Any:
    return doubles(getattr(keras.optimizers.schedules, SCHEDULES[name][0])(**SCHEDULES[name][1]))


def array(x: Any) -> np.ndarray:
    """As NumPy, refused unless Keras computed it in float64."""
    result = np.asarray(keras.ops.convert_to_numpy(x))
    assert result.dtype == np.float64, f"{keras.config.backend()} computed in {result.dtype}"
    return result


def trajectory(name: str) -> dict[str, Any]:
    """Weights (5, 7), flattened, after the steps SHOWN, and the learning rate or the name of its schedule."""
    theirs, arguments, kind, hyper = OPTIMIZERS[name]
    rate = arguments.get("learning_rate")
    if rate in SCHEDULES:
        arguments = arguments | {"learning_rate": schedule(rate)}
    optimizer = doubles(getattr(keras.optimizers, theirs)(**arguments))
    w = keras.Variable(first_weights())
    weights = {}
    for t, g in enumerate(gradients(), start=1):
        optimizer.apply([keras.ops.convert_to_tensor(g)], [w])
        if t in SHOWN:
            weights[str(t)] = array(w).ravel().tolist()
    return {
        "kind": kind,
        "hyper": hyper,
        "rate": rate if rate in SCHEDULES else float(array(optimizer.learning_rate)),
        "weights": weights,
    }


def rates(name: str) -> dict[str, Any]:
    """The rates of the first hundred steps."""
    of = schedule(name)
    return {
        "kind": SCHEDULES[name][2],
        "arguments": SCHEDULES[name][3],
        "rates": [float(array(of(t))) for t in range(STEPS)],
    }


def losses() -> dict[str, float]:
    """Each loss of `loss_inputs`."""
    z, labels, targets, weights = loss_inputs()
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    squared = keras.losses.MeanSquaredError()
    one_hot, shares = np.eye(4)[labels], np.abs(targets)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    smooth_binary = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    return {
        "cross-entropy": float(array(sparse(labels, z))),
        "cross-entropy, weights": float(array(sparse(labels, z, sample_weight=weights))),
        "cross-entropy, smoothing 0.1": float(array(smooth(one_hot, z))),
        "cross-entropy, smoothing 0.1, weights": float(array(smooth(one_hot, z, sample_weight=weights))),
        "binary, smoothing 0.1": float(array(smooth_binary(shares, z))),
        "binary, weights": float(array(binary(shares, z, sample_weight=weights))),
        "squared": float(array(squared(targets, z))),
        "squared, weights": float(array(squared(targets, z, sample_weight=weights))),
    }


def network() -> dict[str, Any]:
    """Five steps of a network with penalties and batch normalisation: losses, weights, predictions."""
    regularizers = keras.regularizers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                9,
                activation="tanh",
                kernel_regularizer=doubles(regularizers.L1L2(l1=0.01, l2=0.02)),
                bias_regularizer=doubles(regularizers.L1L2(l1=0.02, l2=0.01)),
            ),
            keras.layers.Dense(8, use_bias=False),
            doubles(keras.layers.BatchNormalization()),
            keras.layers.LeakyReLU(0.25),  # TensorFlow keeps the slope in float32
            keras.layers.Dense(7, activation="sigmoid"),
            keras.layers.Dense(4, kernel_regularizer=doubles(regularizers.L2(0.03))),
        ]
    )
    model.set_weights([network_weight(i, w.shape) for i, w in enumerate(model.get_weights())])
    model.compile(
        optimizer=doubles(keras.optimizers.Adam(0.01)),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    x, labels, weights = network_inputs()
    history = []
    for batch in x:
        model.reset_metrics()
        history.append(float(array(model.train_on_batch(batch, np.eye(4)[labels], sample_weight=weights))))
    return {
        "losses": history,
        "weights": [array(w).tolist() for w in model.weights],
        "outputs": array(model(x[0], training=False)).tolist(),
    }


def defaults() -> dict[str, dict[str, Any]]:
    """The hyper-parameters of optimizers that were given none."""
    return {
        name: {k: v for k, v in getattr(keras.optimizers, name)().get_config().items() if isinstance(v, float | bool)}
        for name in ("SGD", "RMSprop", "Adam", "AdamW", "Adagrad")
    }


def figures() -> dict[str, Any]:
    """All that this back end computes in float64."""
    keras.config.set_floatx("float64")
    result: dict[str, Any] = {"keras": keras.__version__, "backend": keras.config.backend(), "defaults": defaults()}
    if keras.config.backend() != "tensorflow":
        constant = [name for name in OPTIMIZERS if OPTIMIZERS[name][1].get("learning_rate") not in SCHEDULES]
        return result | {"optimizers": {name: trajectory(name) for name in constant}}
    return result | {
        "optimizers": {name: trajectory(name) for name in OPTIMIZERS},
        "schedules": {name: rates(name) for name in SCHEDULES},
        "losses": losses(),
        "network": network(),
    }


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("keras.json")
    path.write_text(json.dumps(figures(), indent=0, separators=(",", ":")).replace(",\n", ",") + "\n")
