"""What `predict`, calls and `evaluate` return."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._lookup import unknown

_METRICS = ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy")


class Output(np.ndarray[Any, Any]):
    """A NumPy array that also answers to `.numpy()`, as the tensors of Keras programs do."""

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Output":
        return np.asarray(array).view(cls)

    def numpy(self) -> NDArray[Any]:
        """The same values as a plain array (or a plain number, if there is one value without axes)."""
        plain = self.view(np.ndarray)
        return plain[()] if plain.ndim == 0 else plain


class Evaluation(tuple[float, float]):
    """(loss, accuracy), with more to ask for. `loss, accuracy = model.evaluate(x, y)` works.

    loss: float, the mean loss with penalties.
    accuracy: float, the share of rows whose largest output is at the largest target; nan for one output.
    confusion_matrix: int64 (C, C), rows are the true classes, columns the predicted ones; empty for one output.
    per_class_accuracy: float64 (C,), the share of each class that was recognised; nan for classes that do not occur.
    """

    loss: float
    accuracy: float
    confusion_matrix: NDArray[np.int64]

    def __new__(cls, loss: float, accuracy: float, cells: NDArray[np.int64] | None = None) -> "Evaluation":
        self = super().__new__(cls, (loss, accuracy))
        self.loss, self.accuracy = loss, accuracy
        self.confusion_matrix = np.zeros((0, 0), dtype=np.int64) if cells is None else cells
        return self

    def __getnewargs__(self) -> tuple[float, float, NDArray[np.int64]]:
        return self.loss, self.accuracy, self.confusion_matrix

    @property
    def per_class_accuracy(self) -> NDArray[np.float64]:
        rows = self.confusion_matrix.sum(axis=1)
        right = self.confusion_matrix.diagonal()
        shares: NDArray[np.float64] = np.full(len(rows), np.nan)
        np.divide(right, rows, out=shares, where=rows > 0)
        return shares

    def __repr__(self) -> str:
        return f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})"


def accuracy_name(metrics: object) -> str:
    """The name under which the accuracy appears, from what `compile` gets as metrics."""
    given = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
    for metric in given:
        if isinstance(metric, str) and metric not in _METRICS:
            raise ValueError(unknown("metric", metric, _METRICS))
    return str(getattr(given[0], "name", given[0])) if given else "accuracy"


def confusion_matrix(true: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How many rows of each true class were given each predicted class: int64 (classes, classes)."""
    cells = true.astype(np.intp) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)
