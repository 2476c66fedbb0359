"""What `predict`, calls and `evaluate` return."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._confusion import largest_confusions, ratio
from ._inputs import whole
from ._lookup import unknown, wrong_type
from ._tables import as_html, as_text, class_titles

if TYPE_CHECKING:
    from ._report import ClassificationReport

_HEADER = ("class", "images", "right", "accuracy", "most often taken for")
_ALIGN = "<>>><"


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
    accuracy_interval: (low, high), the 95 % Wilson interval of the accuracy; (nan, nan) for one output.
    report: precision, recall and F1 of each class, a `mnist_c.metrics.ClassificationReport`.

    Jupyter shows it as a table; `print(result.table())` does so anywhere.
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
        return ratio(self.confusion_matrix.diagonal(), self.confusion_matrix.sum(axis=1), math.nan)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        from .metrics import accuracy_interval

        if not len(self.confusion_matrix):
            return math.nan, math.nan
        return accuracy_interval(int(self.confusion_matrix.trace()), int(self.confusion_matrix.sum()))

    @property
    def report(self) -> "ClassificationReport":
        from ._report import ClassificationReport, Counts

        self._check_classes()
        return ClassificationReport(np.arange(len(self.confusion_matrix)), Counts.of_cells(self.confusion_matrix))

    def largest_confusions(self, n: int = 3) -> list[tuple[int, int, int]]:
        """The n most frequent mistakes as (true class, answer, count), most frequent first; all if there are fewer."""
        return largest_confusions(self.confusion_matrix, whole("n", n, 1))

    def table(self, class_names: object = None) -> str:
        """For each class how many rows there are, how many are right, and what it was taken for most often.

        class_names: a name for each class; without them their numbers.
        """
        return as_text(_HEADER, [self._rows(class_names)], _ALIGN)

    def _rows(self, class_names: object) -> list[list[str]]:
        self._check_classes()
        cells = self.confusion_matrix
        names = class_titles(class_names, range(len(cells)))
        rows = []
        for i, (name, share) in enumerate(zip(names, self.per_class_accuracy, strict=True)):
            others = cells[i].copy()
            others[i] = 0
            taken = f"{names[others.argmax()]} ({others.max()})" if others.any() else ""
            rows.append([name, str(cells[i].sum()), str(cells[i, i]), f"{share:.4f}", taken])
        return rows

    def _check_classes(self) -> None:
        if not len(self.confusion_matrix):
            raise ValueError("a model with one output has no classes: there is a loss and nothing else to report")

    def __repr__(self) -> str:
        return f"Evaluation(loss={self.loss:.4f}, accuracy={self.accuracy:.4f})"

    def _repr_html_(self) -> str:
        if not len(self.confusion_matrix):
            return f"<p>loss {self.loss:.4f}</p>"
        low, high = self.accuracy_interval
        title = f"loss {self.loss:.4f}, accuracy {self.accuracy:.4f} (95 % interval {low:.4f} to {high:.4f})"
        return as_html(_HEADER, [self._rows(None)], _ALIGN, title)


class AccuracyMetric:
    """The accuracy, under a name of one's own. `mnist_c.keras.metrics` has Keras's names for it."""

    def __init__(self, name: str) -> None:
        self.name = name


def accuracy_name(metrics: object) -> str:
    """The name under which the accuracy appears, from what `compile` gets as metrics."""
    given = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
    names: list[str] = []
    for metric in given:
        if isinstance(metric, AccuracyMetric):
            names.append(metric.name)
        elif not isinstance(metric, str):
            raise wrong_type("a metric", metric, "'accuracy' or an object of mnist_c.keras.metrics")
        elif metric not in _METRICS:
            raise ValueError(unknown("metric", metric, _METRICS))
        else:
            names.append(metric)
    return names[0] if names else "accuracy"
