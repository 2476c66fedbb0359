"""Networks, data and optimizers that the tests of gradients, of the float32 path and of equal bits share.

All data is made by the reference's Philox in integers or exact fractions, so that it is the same on every machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from helpers_reference import exact

from mnist_c import _core, reference

ISAS: tuple[str, ...] = _core.config()["isas"]
ACTIVATIONS = tuple(reference.ACTIVATIONS)
OF_LOGITS = ("softmax_cross_entropy", "binary_cross_entropy")  # heads whose last activation is their own
KINKED = ("relu", "leaky_relu", "elu", "selu")

# Name: kind and hyper-parameters of every optimizer, with every formula that they choose between.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "momentum": ("sgd", {"momentum": 0.9}),
    "nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": ("rmsprop", {}),
    "rmsprop momentum": ("rmsprop", {"momentum": 0.5, "rho": 0.8}),
    "rmsprop centered": ("rmsprop", {"centered": True}),
    "rmsprop momentum centered": ("rmsprop", {"momentum": 0.5, "centered": True}),
    "adam": ("adam", {}),
    "adamw": ("adamw", {"weight_decay": 0.02}),
    "adam, clipvalue": ("adam", {"clipvalue": 1e-3}),
    "adamw, global_clipnorm": ("adamw", {"global_clipnorm": 0.05}),
    "momentum, clipnorm": ("sgd", {"momentum": 0.9, "clipnorm": 0.05}),
    "adagrad": ("adagrad", {"initial_accumulator_value": 0.02}),
}

# The same and what a step is more than its formula: the mean of several gradients, an average of the weights.
TRAINERS = OPTIMIZERS | {
    "adam, everything": (
        "adam",
        {
            "global_clipnorm": 0.3,
            "gradient_accumulation_steps": 3,
            "use_ema": True,
            "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2,
        },
    ),
    "rmsprop, accumulated": (
        "rmsprop",
        {"momentum": 0.5, "centered": True, "gradient_accumulation_steps": 2, "use_ema": True, "clipvalue": 0.01},
    ),
}


# ---------------------------------------------------------------- data


def words(seed: int, *shape: int) -> np.ndarray:
    """Random uint32 of that shape."""
    n = int(np.prod(shape))
    return reference.philox4x32(np.arange(-(-n // 4)), 0, 0, 97, seed).reshape(-1)[:n].reshape(shape)


@cache
def images(rows: int, features: int, share: float = 0.2, seed: int = 1) -> np.ndarray:
    """uint8 (rows, features), about `share` of them not zero; read-only."""
    w = words(seed, rows, features)
    pixels = np.where(w % 1000 < 1000 * share, w // 1000 % 255 + 1, 0).astype(np.uint8)
    pixels.flags.writeable = False
    return pixels


@cache
def inputs(kind: str, rows: int, features: int) -> np.ndarray:
    """Inputs that take the sparse plan (uint8) or the dense one (float32 without zeros, more than 256 values)."""
    if kind == "sparse":
        return images(rows, features)
    x = exact(5, rows, features).astype(np.float32)
    x.flags.writeable = False
    return x


def values(x: np.ndarray) -> np.ndarray:
    """What a float32 network makes of its inputs, in float64."""
    return ((x / 255.0).astype(np.float32) if x.dtype == np.uint8 else x).astype(np.float64)


def classes_of(rows: int, classes: int, seed: int = 2) -> np.ndarray:
    """Labels int32 (rows,)."""
    return (words(seed, rows) % classes).astype(np.int32)


def targets_for(head: str, rows: int, outputs: int, kind: str = "labels") -> np.ndarray:
    """Labels or probabilities for cross-entropy, numbers for other heads. (All are exact float32 numbers.)"""
    if head == "binary_cross_entropy":
        return (words(9, rows, outputs) % 9) / 8.0
    if head != "softmax_cross_entropy":
        return exact(6, rows, outputs).astype(np.float32).astype(np.float64)
    if kind == "labels":
        return classes_of(rows, outputs)
    hits = np.zeros((rows, outputs))
    for draw in words(7, 8, rows) % outputs:
        hits[np.arange(rows), draw] += 1 / 8
    return hits


def weights_for(rows: int) -> np.ndarray:
    """Sample weights, some of them 0: float64 (rows,) of exact float32 numbers."""
    return (words(8, rows) % 9) / 4.0


# ---------------------------------------------------------------- networks


def dense(units: int, activation: str = "linear", **more: Any) -> dict[str, Any]:
    return {"kind": "dense", "units": units, "activation": activation, "slope": 0.2, **more}


def norm(activation: str = "linear", **more: Any) -> dict[str, Any]:
    return {"kind": "norm", "activation": activation, "slope": 0.2, **more}


def network(inputs: int, *layers: dict[str, Any], head: str = "softmax_cross_entropy", **more: Any) -> dict[str, Any]:
    """Arguments that _core.Network and reference.Network understand alike."""
    return {"inputs": inputs, "layers": list(layers), "head": head, "seed": 11, **more}


# Each with odd widths: whole panels of 16 and rests, one panel and several, blocks of 64 features and rests.
NETWORKS: dict[str, dict[str, Any]] = {
    "softmax regression": network(785, dense(10)),
    "relu, dropout": network(785, dense(37, "relu", dropout=0.2), dense(10)),
    "deep, all penalties, input dropout": network(
        130,
        dense(37, "leaky_relu", l1=1e-3, dropout=0.5),
        dense(19, "tanh", l2=2e-3, use_bias=False),
        dense(5, "sigmoid", l1=1e-3, l2=1e-3, bias_l1=2e-3, bias_l2=3e-3),
        dense(7, bias_l2=1e-2),
        input_dropout=0.1,
    ),
    "batch norm, smoothing": network(
        130,
        dense(37, use_bias=False),
        norm("relu", dropout=0.3),
        dense(19),
        norm("tanh", scale=False),
        dense(10),
        label_smoothing=0.1,
    ),
    "batch norm first": network(37, norm(center=False), dense(130, "leaky_relu"), norm(momentum=0.5), dense(3)),
    "map first": network(37, {"kind": "map", "activation": "tanh", "dropout": 0.25}, dense(18, "sigmoid"), dense(3)),
    "elu, selu, gelu": network(130, dense(37, "elu"), dense(19, "selu", dropout=0.2), dense(17, "gelu"), dense(10)),
    "gelu_tanh, silu, softplus": network(
        130, dense(37, "gelu_tanh"), dense(19, "silu", dropout=0.1), dense(17, "softplus"), dense(10)
    ),
    "norms of weights": network(
        130,
        dense(37, "relu", max_norm=0.9, bias_max_norm=0.05, dropout=0.2),
        dense(19, min_norm=1.0, max_norm=1.0, l2=1e-3, use_bias=False),
        norm("tanh"),
        dense(7, max_norm=1.1, bias_min_norm=0.2, bias_max_norm=0.3),
    ),
    "noise": network(
        130,
        dense(37, "relu", dropout=0.2, noise=0.3),
        dense(19, "tanh", noise=0.1, noise_seed=2**63 + 5),
        norm("sigmoid", noise=0.05),
        dense(7),
        input_dropout=0.1,
        input_noise=0.2,
        input_noise_seed=3,
    ),
    "squared error": network(
        130, dense(130, "sigmoid", dropout=0.1), dense(9, "tanh", l2=1e-3), head="mean_squared_error"
    ),
    "binary cross-entropy, smoothing": network(
        130, dense(37, "relu", dropout=0.1), dense(9, l2=1e-3), head="binary_cross_entropy", label_smoothing=0.1
    ),
    "binary cross-entropy of one output": network(37, dense(17, "tanh"), dense(1), head="binary_cross_entropy"),
    "one layer, inner product": network(785, dense(18, l2=1e-3), head="inner_product"),
    "inner product": network(37, dense(17, "leaky_relu"), dense(4, "sigmoid"), head="inner_product"),
}


def outputs_of(arguments: dict[str, Any]) -> int:
    return int(next(layer["units"] for layer in reversed(arguments["layers"]) if layer["kind"] == "dense"))


class Reference(reference.Network):
    """The reference with the dropout masks and the noise of a step drawn once, since differences ask for them again."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._masks: dict[tuple[Any, ...], np.ndarray] = {}

    def _dropout(self, layer: int, rate: float, shape: tuple[int, ...]) -> np.ndarray:
        key = (layer, rate, shape, self.step)
        if key not in self._masks:
            self._masks[key] = super()._dropout(layer, rate, shape)
        return self._masks[key]

    def _noise(self, layer: int, stddev: float, seed: int, shape: tuple[int, ...]) -> np.ndarray:
        key = ("noise", layer, stddev, seed, shape, self.step)
        if key not in self._masks:
            self._masks[key] = super()._noise(layer, stddev, seed, shape)
        return self._masks[key]


def make_reference(arguments: dict[str, Any], dtype: str = "float32") -> Reference:
    """A float64 network whose values are exact numbers of dtype, and none of whose biases, statistics and factors of
    batch normalisation are those that it starts with."""
    net = Reference(**arguments)
    for i, tensor in enumerate(net.tensors()):
        value = net.values[i]
        if tensor.role != "kernel":
            sign = -1 if i % 2 and tensor.role != "moving_variance" else 1
            value = value + sign * 0.3 * np.abs(exact(100 + i, *tensor.shape))
        net.values[i] = value.astype(dtype).astype(np.float64)
    return net


def make_core(
    net: reference.Network, arguments: dict[str, Any], dtype: str = "float32", isa: str | None = None
) -> _core.Network:
    """A network of the core with the reference's values and step."""
    core = _core.Network(**arguments, dtype=dtype, isa=isa)
    assert core.tensors() == tuple(tuple(tensor) for tensor in net.tensors())
    for i, value in enumerate(net.values):
        core.set("value", i, value.astype(dtype))
    core.set_progress(0, net.step, 0)
    return core


def make_data(
    x: np.ndarray,
    y: np.ndarray,
    classes: int,
    weights: np.ndarray | None = None,
    dtype: str = "float32",
    isa: str | None = None,
    units: int = 0,
) -> _core.Data:
    learned = {"labels": y.astype(np.int32), "classes": classes} if y.ndim == 1 else {"targets": y}
    return _core.Data(x, dtype=dtype, weights=weights, isa=isa, units=units, **learned)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Work with n threads; the number is put back afterwards."""
    before = _core.get_num_threads()
    _core.set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


def rows_of(n: int, seed: int = 0) -> np.ndarray:
    """All n rows, shuffled."""
    return _core.permutation(seed, 0, n)


def everything(net: _core.Network, slots: int = 0) -> dict[str, np.ndarray]:
    """All values and slots by name."""
    parts = ["value", *(f"slot{i}" for i in range(slots))]
    return {
        f"{part} of layer {layer} {role}": net.get(part, i)
        for i, (layer, role, _, _) in enumerate(net.tensors())
        for part in parts
    }


def different(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> list[str]:
    """Names of the arrays of which any bit differs."""
    return [name for name in a if a[name].tobytes() != b[name].tobytes()]
