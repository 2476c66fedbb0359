"""Losses, with the names and arguments of Keras.

A loss chooses the head of the network: what its outputs must be, and what is minimised. The value is the mean over the
batch of weight times the loss of a row, divided by the number of rows (Keras: "sum_over_batch_size").
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _targets, ops
from ._config import Configurable, make, public_subclasses
from ._inputs import as_array, describe
from ._lookup import check_share, look_up, wrong_type
from .results import Output


class Loss(Configurable):
    """Base of all losses. Two are equal if they compute the same."""

    head: ClassVar[str]  # the core's name
    from_logits: bool = False
    label_smoothing: float = 0.0

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.from_logits, self.label_smoothing))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class CategoricalCrossentropy(Loss):
    """-sum_j y_j log p_j, where p are the probabilities that a softmax gives.

    y_true: labels (n,) or (n, 1), one-hot rows or other probabilities (n, C), each row adding up to 1.
    from_logits: the last layer is linear and the softmax is part of the loss. Otherwise the last activation must be
    "softmax". The core computes both from the logits in the same, overflow-free way.
    label_smoothing: y (1 - s) + s / C takes the place of y.
    """

    head = "softmax_cross_entropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_share("label_smoothing", label_smoothing)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Output:
        """The loss of given predictions (n, C) as a number, which also has `.numpy()`.

        Predicted probabilities are divided by their sum and kept 1e-7 away from 0 and 1, as in Keras.
        """
        outputs = _rows(y_pred)
        if not self.from_logits:
            p = outputs / outputs.sum(axis=1, keepdims=True)
            outputs = np.log(np.clip(p, 1e-7, 1 - 1e-7))
        y = _truth(y_true, outputs, self.head)
        if not self.from_logits:  # the clipped probabilities need not add up to 1, so no second softmax
            y = y * (1 - self.label_smoothing) + self.label_smoothing / outputs.shape[1]
            return _mean(-(y * outputs).sum(axis=1), sample_weight, outputs.dtype)
        loss, _ = ops.softmax_cross_entropy(
            outputs, y, label_smoothing=self.label_smoothing, sample_weight=sample_weight
        )
        return Output.of(np.asarray(loss, outputs.dtype))


class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """`CategoricalCrossentropy` under the name that Keras has for labels (n,). Both take both forms here."""


class BinaryCrossentropy(Loss):
    """mean_j -(y_j log p_j + (1 - y_j) log(1 - p_j)), where p = 1 / (1 + e^-z) are the probabilities of a sigmoid.

    y_true: 0 or 1, or probabilities in between, (n, C), or (n,) for one output; labels (n,) of C > 1 outputs count as
    one-hot rows. from_logits: the last layer is linear and the sigmoid is part of the loss. Otherwise the last
    activation must be "sigmoid". The core computes both from the logits in the same, overflow-free way.
    label_smoothing: y (1 - s) + s / 2 takes the place of y.
    """

    head = "binary_cross_entropy"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        self.from_logits = bool(from_logits)
        self.label_smoothing = check_share("label_smoothing", label_smoothing)

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Output:
        """The loss of given predictions (n, C) as a number; p are clipped to [1e-7, 1 - 1e-7], as in Keras."""
        outputs = _rows(y_pred)
        y = _truth(y_true, outputs, self.head).astype(outputs.dtype)
        if self.from_logits:
            loss, _ = ops.binary_cross_entropy(
                outputs, y, label_smoothing=self.label_smoothing, sample_weight=sample_weight
            )
            return Output.of(np.asarray(loss, outputs.dtype))
        p = np.clip(outputs, 1e-7, 1 - 1e-7)
        y = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        return _mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1), sample_weight, outputs.dtype)


class MeanSquaredError(Loss):
    """mean_j (z_j - y_j)^2, z being the outputs of the last layer, which may have any activation but softmax.

    y_true: values (n, C), or (n,) for one output; labels (n,) of C > 1 outputs count as one-hot rows.
    """

    head = "mean_squared_error"

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Output:
        """The loss of given predictions (n, C) as a number, which also has `.numpy()`."""
        outputs = _rows(y_pred)
        difference = outputs - _truth(y_true, outputs, self.head).astype(outputs.dtype)
        return _mean(np.square(difference).mean(axis=1), sample_weight, outputs.dtype)


def _rows(y_pred: ArrayLike) -> NDArray[Any]:
    outputs = np.array(y_pred, subok=False)
    if outputs.dtype not in (np.float32, np.float64):
        outputs = outputs.astype(np.float64)
    return outputs.reshape(len(outputs), -1)


def _truth(y_true: ArrayLike, outputs: NDArray[Any], head: str) -> NDArray[np.float64]:
    """What the outputs (n, C) should have been, as rows (n, C). Raises ValueError if y_true does not fit them."""
    y, (n, columns) = as_array(y_true, "y_true"), outputs.shape
    flat = y.reshape(len(y), -1) if y.ndim > 2 and len(y) else y
    if flat.shape not in ((n,), (n, 1), (n, columns)):
        raise ValueError(
            f"y_true is a {describe(y)}, which does not go with a y_pred of {n} rows and {columns} columns"
        )
    labels, values = _targets.targets(flat, n=n, outputs=columns, head=head, name="y_true")
    return np.eye(columns)[labels] if values is None else values


def _mean(losses: NDArray[Any], weights: ArrayLike | None, dtype: Any) -> Output:
    if weights is not None:
        given = np.asarray(weights, dtype=np.float64).reshape(-1)
        if given.size not in (1, len(losses)):
            raise ValueError(f"sample_weight has {given.size} values, but y_pred has {len(losses)} rows")
        losses = losses * given
    return Output.of(np.asarray(losses.mean(), dtype=dtype))


LOSSES: dict[str, type[Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
}


def get(identifier: object) -> Loss:
    """A loss from its name ("categorical_crossentropy"), its class, a description of one or itself."""
    if isinstance(identifier, str):
        return look_up("loss", identifier, LOSSES)()
    if isinstance(identifier, Mapping):
        return make("loss", identifier, public_subclasses(Loss))
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    raise wrong_type("loss", identifier, "a name such as 'categorical_crossentropy' or an object of mnist_c.losses")
