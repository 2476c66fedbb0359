"""Back-propagation in NumPy, right and with the mistakes that people make.

B rows, K inputs and N outputs of a step, C outputs of the network; z pre-activation, a activation, f derivative of a
with respect to z, dropout included, delta the derivative of the loss with respect to z.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import reference
from ._plan import CROSS_ENTROPY

Array: TypeAlias = NDArray[Any]


class Backprop:
    """The forward pass of a network on one batch, and its gradients in as many ways as there are mistakes.

    x (B, K), y (B, C) as the loss sees it, weights (B,) or None. training: dropout and batch statistics.
    """

    def __init__(self, network: reference.Network, x: Array, y: Array, weights: Array | None, training: bool) -> None:
        self.net, self.y, self.training = network, y, training
        self.weights = np.ones(len(x)) if weights is None else weights
        self.outputs, self.tapes, _ = network.forward(x, training)
        self.rows = len(x)

    # ------------------------------------------------------------ the parts that mistakes replace

    def head_delta(self, y: Array | None = None, weights: Array | None = None) -> Array:
        """Derivative of the mean loss with respect to the outputs (B, C)."""
        y = self.y if y is None else y
        w = (self.weights if weights is None else weights)[:, None] / self.rows
        if self.net.head == CROSS_ENTROPY:
            return np.asarray((reference.softmax(self.outputs) - y) * w)
        return np.asarray(2 * (self.outputs - y) / y.shape[1] * w)

    def f(self, s: int) -> Array:
        return self.tapes[s].f

    def x(self, s: int) -> Array:
        return self.tapes[s].x

    def z(self, s: int) -> Array:
        """Pre-activations of step s."""
        tape, layer = self.tapes[s], self.net.layers[s]
        if layer["kind"] == "dense":
            return np.asarray(tape.x @ self.net.value(s, "kernel", 0.0) + self.net.value(s, "bias", 0.0))
        if tape.normed is not None:
            return np.asarray(tape.normed[0] * self.net.value(s, "gamma", 1.0) + self.net.value(s, "beta", 0.0))
        return tape.x

    def mask(self, s: int) -> Array:
        """What dropout multiplies the outputs of step s by."""
        rate = self.net.layers[s]["dropout"]
        rows, units = self.tapes[s].f.shape
        if not (self.training and rate):
            return np.ones((rows, units))
        keep = reference.dropout_keep(self.net.seed, 1 + s, self.net.step, rows, units, rate)
        return reference.dropout_mask(keep, rate)

    def slope(self, s: int, z: Array) -> Array:
        """Derivative of the activation of step s at z, without dropout."""
        layer = self.net.layers[s]
        return reference.ACTIVATIONS[layer["activation"]](z, layer["slope"])[1]

    # ------------------------------------------------------------ gradients

    def gradients(
        self,
        *,
        head: Array | None = None,
        f: Callable[[int], Array] | None = None,
        x: Callable[[int], Array] | None = None,
    ) -> list[Array]:
        """Gradients of all tensors in order, without penalties. Each argument replaces a part: the derivative of the
        loss with respect to the outputs, f, and the inputs of the dense steps."""
        f, x = f or self.f, x or self.x
        grads = [np.zeros_like(value) for value in self.net.values]
        index = {(t.layer, t.role): i for i, t in enumerate(self.net.tensors())}
        delta = self.head_delta() if head is None else head
        for s in range(len(self.tapes) - 1, -1, -1):
            delta = delta * f(s)
            layer = self.net.layers[s]
            if layer["kind"] == "dense":
                new = {"kernel": x(s).T @ delta, "bias": delta.sum(axis=0)}
                delta = delta @ np.asarray(self.net.value(s, "kernel", 0.0)).T
            elif layer["kind"] == "norm":
                backward = reference.batch_norm_backward if self.training else reference.batch_norm_backward_inference
                normed = self.tapes[s].normed
                assert normed is not None
                delta, d_gamma, d_beta = backward(*normed, self.net.value(s, "gamma", 1.0), delta)
                new = {"gamma": d_gamma, "beta": d_beta}
            else:
                new = {}
            for role, gradient in new.items():
                if (s, role) in index:
                    grads[index[s, role]] = gradient
        return grads

    def penalties(self, i: int) -> list[tuple[str, Array]]:
        """What penalties add to the gradient of one tensor: (formula, array) of each that there is."""
        tensor, w = self.net.tensors()[i], self.net.values[i]
        prefix = {"kernel": "", "bias": "bias_"}.get(tensor.role)
        if prefix is None:
            return []
        l1, l2 = self.net.layers[tensor.layer][f"{prefix}l1"], self.net.layers[tensor.layer][f"{prefix}l2"]
        parts = [("l1 sign(w)", l1 * np.sign(w)), ("2 l2 w", 2 * l2 * w)]
        return [(formula, array) for formula, array in parts if array.any()]

    def bias_per_row(self) -> list[Array]:
        """For every tensor, delta summed over the units (B,), in the place of biases; empty arrays elsewhere."""
        delta, sums = self.head_delta(), {}
        for s in range(len(self.tapes) - 1, -1, -1):
            delta = delta * self.f(s)
            sums[s] = delta.sum(axis=1)
            if self.net.layers[s]["kind"] == "norm":
                break  # good enough: the mistake shows in the last layers
            if self.net.layers[s]["kind"] == "dense":
                delta = delta @ np.asarray(self.net.value(s, "kernel", 0.0)).T
        return [sums.get(t.layer, np.zeros(0)) if t.role == "bias" else np.zeros(0) for t in self.net.tensors()]


# ---------------------------------------------------------------- the mistakes

# What was done, in words, and the gradients it gives; None where it cannot happen.
Mistake: TypeAlias = tuple[str, Callable[[Backprop], "list[Array] | None"]]


def _activation_missing(b: Backprop) -> list[Array]:
    return b.gradients(f=b.mask)


def _slope_at_activation(b: Backprop) -> list[Array] | None:
    smooth = [s for s, layer in enumerate(b.net.layers) if layer["activation"] in ("tanh", "sigmoid")]
    if not smooth:
        return None

    def f(s: int) -> Array:
        a = reference.ACTIVATIONS[b.net.layers[s]["activation"]](b.z(s), 0.0)[0]
        return b.slope(s, a) * b.mask(s) if s in smooth else b.f(s)

    return b.gradients(f=f)


def _softmax_twice(b: Backprop) -> list[Array] | None:
    if b.net.head != CROSS_ENTROPY:
        return None
    p = reference.softmax(b.outputs)
    return b.gradients(head=b.head_delta() * p * (1 - p))


def _softmax_jacobian_twice(b: Backprop) -> list[Array] | None:
    if b.net.head != CROSS_ENTROPY:
        return None
    p, delta = reference.softmax(b.outputs), b.head_delta()
    return b.gradients(head=p * (delta - (p * delta).sum(axis=1, keepdims=True)))


def _labels_missing(b: Backprop) -> list[Array]:
    return b.gradients(head=b.head_delta(y=np.zeros_like(b.y)))


def _smoothing_missing(b: Backprop) -> list[Array] | None:
    s, classes = b.net.label_smoothing, b.y.shape[1]
    return b.gradients(head=b.head_delta(y=(b.y - s / classes) / (1 - s))) if s else None


def _weights_missing(b: Backprop) -> list[Array] | None:
    return None if (b.weights == 1).all() else b.gradients(head=b.head_delta(weights=np.ones(b.rows)))


def _inputs_before_activation(b: Backprop) -> list[Array]:
    return b.gradients(x=lambda s: b.z(s - 1) if s else b.x(s))


def _dropout_missing(b: Backprop) -> list[Array] | None:
    dropped = b.training and any(layer["dropout"] for layer in b.net.layers)
    return b.gradients(f=lambda s: b.slope(s, b.z(s))) if dropped else None


def _dropout_unscaled(b: Backprop) -> list[Array] | None:
    dropped = b.training and any(layer["dropout"] for layer in b.net.layers)
    return b.gradients(f=lambda s: b.f(s) * (1 - b.net.layers[s]["dropout"])) if dropped else None


def _one_row(row: int) -> Callable[[Backprop], list[Array]]:
    def gradients(b: Backprop) -> list[Array]:
        only = np.zeros(b.rows)
        only[row] = b.weights[row]
        return b.gradients(head=b.head_delta(weights=only))

    return gradients


MISTAKES: list[Mistake] = [
    (
        "the derivative of the activation is missing: delta was not multiplied by it (for ReLU, the mask z > 0)",
        _activation_missing,
    ),
    (
        "the derivative of softmax is applied twice: for softmax with cross-entropy delta is p - y, with no p (1 - p)",
        _softmax_twice,
    ),
    (
        "the derivative of softmax is applied twice: p - y has the softmax's Jacobian in it already",
        _softmax_jacobian_twice,
    ),
    (
        "the derivative of the activation is taken at the activation a, not at the pre-activation z",
        _slope_at_activation,
    ),
    (
        "the input of the layer is taken before its activation: use a of the layer below, not z",
        _inputs_before_activation,
    ),
    ("the labels are missing: delta of the last layer is p - y, not p", _labels_missing),
    ("label smoothing is missing", _smoothing_missing),
    ("the sample weights are missing", _weights_missing),
    ("the dropout mask is missing in the backward pass", _dropout_missing),
    ("the dropout mask lacks its factor 1 / (1 - rate) in the backward pass", _dropout_unscaled),
    ("only the last row of the batch counts: gradients of rows are to be added, not overwritten", _one_row(-1)),
    ("only the first row of the batch counts", _one_row(0)),
]
