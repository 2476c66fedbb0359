"""Numerical derivatives, and data made by Philox, for the tests of gradients."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mnist_c.reference import Network, philox4x32

H = 5e-4  # distance of the points of a difference
LARGEST_ERROR = 1e-7  # of |a - n| / max(|a|, |n|, 1e-3 max|g|)
KINKED = ("relu", "leaky_relu", "elu", "selu")


def normal(seed: int, *shape: int) -> np.ndarray:
    """Standard normal numbers by Box and Muller's formula, float64 of that shape."""
    n = int(np.prod(shape))
    u = (philox4x32(np.arange(n), 0, 0, 99, seed)[:, :2] + 0.5) / 2.0**32
    return (np.sqrt(-2 * np.log(u[:, 0])) * np.cos(2 * np.pi * u[:, 1])).reshape(shape)


def exact(seed: int, *shape: int) -> np.ndarray:
    """Numbers spread over (-1, 1), made without a rounding: the same on every machine. float64 of that shape."""
    words = philox4x32(np.arange(int(np.prod(shape))), 0, 0, 98, seed)[:, 0].astype(np.float64)
    return ((words + 0.5) / 2.0**31 - 1).reshape(shape)


def four_point(loss: Callable[[], Any], array: np.ndarray, i: int, h: float = H) -> tuple[float, list[Any]]:
    """The derivative of loss()[0] with respect to array.flat[i], which is moved in place and put back.

        (8 (L(w + h) - L(w - h)) - (L(w + 2h) - L(w - 2h))) / (12 h) = L'(w) - h^4 L'''''(w) / 30 + ...

    Returns it and what loss() gave at the four points.
    """
    kept = array.flat[i]
    points = []
    for step in (h, -h, 2 * h, -2 * h):
        array.flat[i] = kept + step
        points.append(loss())
    array.flat[i] = kept
    a, b, c, d = (point[0] for point in points)
    return (8 * (a - b) - (c - d)) / (12 * h), points


class Comparison(NamedTuple):
    """Outcome of a gradient check."""

    worst: float  # largest |a - n| / max(|a|, |n|, 1e-3 max|g|)
    where: str
    checked: int
    skipped: int  # a ReLU's mask changed between the points


def _masks(net: Network, x: np.ndarray, training: bool) -> list[np.ndarray]:
    """Where the outputs of activations that have a kink are positive, which is where z is."""
    kinked = [i for i, layer in enumerate(net.layers) if layer["activation"] in KINKED]
    return [a > 0 for a in outputs_of_layers(net, x, training, kinked)]


def outputs_of_layers(net: Network, x: np.ndarray, training: bool, layers: list[int]) -> list[np.ndarray]:
    """What those layers give, dropout included, noise not: what has the sign of an activation's outputs."""
    if not layers:
        return []
    outputs, tapes, _ = net.forward(x, training)
    found = []
    for i in layers:
        a, layer = tapes[i + 1].x if i + 1 < len(tapes) else outputs, net.layers[i]
        noise = training and layer["noise"]
        found.append(a - net._noise(1 + i, layer["noise"], layer["noise_seed"], a.shape) if noise else a)
    return found


def check_gradients(
    net: Network, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, training: bool
) -> Comparison:
    """Back-propagation of `net` against four-point differences, for every parameter and every input."""

    def loss() -> tuple[float, list[np.ndarray]]:
        return net.loss(x, y, weights, training), _masks(net, x, training)

    _, grads, dx = net.gradients(x, y, weights, training)
    x_and_values = [("x", x, dx)] + [
        (f"layer {t.layer} {t.role}", net.values[i], grads[i]) for i, t in enumerate(net.tensors()) if t.trainable
    ]
    scale = max(float(np.abs(g).max()) for _, _, g in x_and_values)
    worst, where, checked, skipped = 0.0, "", 0, 0
    for name, array, analytic in x_and_values:
        for i in range(array.size):
            n, points = four_point(loss, array, i)
            if any(not np.array_equal(p, q) for point in points for p, q in zip(point[1], points[0][1], strict=True)):
                skipped += 1
                continue
            checked += 1
            a = float(analytic.flat[i])
            error = abs(a - n) / max(abs(a), abs(n), 1e-3 * scale)
            if error > worst:
                worst, where = error, f"{name}[{i}]: {a!r} by back-propagation, {n!r} by differences"
    return Comparison(worst, where, checked, skipped)


def away_from_zero(net: Network, distance: float = 0.01) -> None:
    """Moves weights off the kink of |w| at 0, so that the points of a difference lie on one side of it."""
    for i, tensor in enumerate(net.tensors()):
        if tensor.role in ("kernel", "bias"):
            w = net.values[i]
            net.values[i] = np.where(np.abs(w) < distance, np.where(w < 0, -distance, distance), w)


PENALTIES: dict[str, dict[str, float]] = {
    "none": {},
    "l1": {"l1": 0.03},
    "l2": {"l2": 0.05},
    "all": {"l1": 0.02, "l2": 0.04, "bias_l1": 0.05, "bias_l2": 0.03},
}

# What precedes the activation and dropout under test, and which arguments the network takes besides.
STRUCTURES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "dense": ([{"kind": "dense", "units": 5}], {}),
    "dense without bias": ([{"kind": "dense", "units": 5, "use_bias": False}], {}),
    "norm": ([{"kind": "dense", "units": 5, "use_bias": False}, {"kind": "norm"}], {}),
    "norm without scale": ([{"kind": "dense", "units": 5}, {"kind": "norm", "scale": False}], {}),
    "norm without center": ([{"kind": "norm", "center": False}], {}),
    "map": ([{"kind": "dense", "units": 5}, {"kind": "map"}], {}),
    "dropout": ([{"kind": "dense", "units": 5, "dropout": 0.3}], {"input_dropout": 0.2}),
    "noise": ([{"kind": "dense", "units": 5, "noise": 0.3}], {"input_noise": 0.2}),
}


def networks(structure: str, activation: str, head: str) -> Iterator[tuple[str, Network]]:
    """A small network of that structure for each penalty, its biases and statistics not those it starts with."""
    for penalty, factors in PENALTIES.items():
        first, arguments = STRUCTURES[structure]
        layers = [{**layer, **(factors if layer["kind"] == "dense" else {})} for layer in first]
        layers[-1] = {**layers[-1], "activation": activation, "slope": 0.2}
        last = {"kind": "dense", "units": 3, **factors}
        if head not in ("softmax_cross_entropy", "binary_cross_entropy"):
            last |= {"activation": activation, "slope": 0.2}
        else:
            arguments = {**arguments, "label_smoothing": 0.1 if penalty == "all" else 0.0}
        net = Network(inputs=4, layers=[*layers, last], head=head, seed=7, **arguments)
        for i, tensor in enumerate(net.tensors()):
            if tensor.role != "kernel":
                net.values[i] = net.values[i] + 0.3 * np.abs(normal(100 + i, *tensor.shape))
        away_from_zero(net)
        yield penalty, net
