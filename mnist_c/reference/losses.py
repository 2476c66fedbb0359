"""Losses and their derivatives with respect to the network's outputs.

Each is the mean over the batch of weight times the loss of a row: sum_b weight_b loss_b / B. It is divided by the
number of rows, not by the sum of the weights (Keras's "sum_over_batch_size").
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .layers import Array, sigmoid


def one_hot(labels: Array, classes: int, dtype: Any = np.float64) -> Array:
    """1 in the column of the label, else 0.    labels (B,) of integers -> (B, classes)"""
    rows: Array = np.eye(classes, dtype=dtype)[labels]
    return rows


def smooth_labels(y: Array, smoothing: float, classes: int | None = None) -> Array:
    """y (1 - smoothing) + smoothing / C: a little probability for every class (Szegedy et al., 2016, section 7).

    y (B, C) of probabilities -> (B, C). classes: C where it is not the number of columns: 2 for yes and no.
    """
    return y * (1 - smoothing) + smoothing / (y.shape[1] if classes is None else classes)


def softmax(z: Array) -> Array:
    """p_j = e^z_j / sum_k e^z_k in each row. Subtracting the row's maximum changes nothing but prevents overflow.

    z (B, C) -> p (B, C), rows of which add up to 1
    """
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _row_weights(weights: Array | None, like: Array) -> Array:
    """The weights as a column, or a column of ones, in the dtype of the outputs.    (B,) -> (B, 1)"""
    if weights is None:
        return np.ones((len(like), 1), like.dtype)
    return np.asarray(weights, like.dtype).reshape(-1, 1)


def softmax_cross_entropy(
    z: Array, y: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """Cross-entropy of the targets y and softmax(z), from the logits z.

        loss_b = -sum_j y_bj log softmax(z_b)_j          dloss/dz = (softmax(z) - y) weight / B

    The derivative is that simple because every row of y adds up to 1 (it needs softmax(z) sum_j y_j otherwise).
    z (B, C); y (B, C) probabilities or (B,) integer labels; weights (B,) -> loss, dz (B, C)
    """
    rows, classes = z.shape
    y = one_hot(y, classes, z.dtype) if y.ndim == 1 else y
    y = smooth_labels(y, label_smoothing)
    w = _row_weights(weights, z)
    shifted = z - z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float((-y * log_p * w).sum() / rows), (softmax(z) - y) * w / rows


def mean_squared_error(a: Array, y: Array, weights: Array | None = None) -> tuple[float, Array]:
    """Mean over the C outputs and over the rows of (a - y)^2.

        loss_b = sum_j (a_bj - y_bj)^2 / C          dloss/da = 2 (a - y) weight / (B C)

    a, y (B, C); weights (B,) -> loss, da (B, C)
    """
    rows, outputs = a.shape
    w = _row_weights(weights, a)
    return float(((a - y) ** 2 * w).sum() / (rows * outputs)), 2 * (a - y) * w / (rows * outputs)


def binary_cross_entropy(
    z: Array, y: Array, weights: Array | None = None, label_smoothing: float = 0.0
) -> tuple[float, Array]:
    """Cross-entropy of each output by itself, from the logits z: the mean over outputs and rows. With p = sigmoid(z),

        loss_b = sum_j -(y_bj log p_bj + (1 - y_bj) log(1 - p_bj)) / C          dloss/dz = (p - y) weight / (B C)

    which is max(z, 0) - y z + log(1 + e^-|z|), without overflow. z, y (B, C); weights (B,) -> loss, dz (B, C)
    """
    rows, outputs = z.shape
    y, w = smooth_labels(y, label_smoothing, 2), _row_weights(weights, z)
    losses = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return float((losses * w).sum() / (rows * outputs)), (sigmoid(z) - y) * w / (rows * outputs)


def inner_product(a: Array, y: Array, weights: Array | None = None) -> tuple[float, Array]:
    """sum_bj weight_b a_bj y_bj, so that dloss/da = weight y: gradients are products of y with the Jacobian.

    a, y (B, C); weights (B,) -> loss, da (B, C)
    """
    w = _row_weights(weights, a)
    return float((a * y * w).sum()), y * w


Head: TypeAlias = Callable[[Array, Array, "Array | None"], tuple[float, Array]]

# (outputs, targets, weights) -> (loss, derivative with respect to the outputs)
HEADS: dict[str, Head] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "inner_product": inner_product,
    "binary_cross_entropy": binary_cross_entropy,
}
