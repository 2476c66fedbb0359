"""Precision, recall, F1 and support of each class, from three counts per class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._confusion import ratio
from ._inputs import Array
from ._tables import Row, as_html, as_text, class_titles

_HEADER = ("class", "precision", "recall", "f1", "support")
_ALIGN = "<>>>>"


class Counts(NamedTuple):
    """Of each class (C,): rows of it that were given it, rows that were given it, rows of it. Weighted or int64."""

    right: Array
    predicted: Array
    true: Array

    @classmethod
    def of(cls, true: Array, predicted: Array, classes: int, weights: Array | None) -> "Counts":
        """The counts of positions (n,) in 0 ... classes - 1. weights: (n,), what each row counts.

        Rows are added in their order, and the totals pass through the number of wrong rows: so weighted sums round as
        in scikit-learn.
        """
        hits = true == predicted
        right = np.bincount(true[hits], None if weights is None else weights[hits], minlength=classes)
        wrong_predicted = np.bincount(predicted, weights, minlength=classes) - right
        wrong_true = np.bincount(true, weights, minlength=classes) - right
        return cls(right, right + wrong_predicted, right + wrong_true)

    @classmethod
    def of_cells(cls, cells: Array) -> "Counts":
        """The counts in a confusion matrix (C, C)."""
        return cls(cells.diagonal(), cells.sum(axis=0), cells.sum(axis=1))

    def of_classes(self, which: Array) -> "Counts":
        return Counts(self.right[which], self.predicted[which], self.true[which])

    def recall(self, undefined: float) -> NDArray[np.float64]:
        """The share of each class that was recognised."""
        return ratio(self.right, self.true, undefined)


class Average(NamedTuple):
    """Averages over the classes."""

    precision: float
    recall: float
    f1: float


def _mean(values: NDArray[np.float64], weights: Array | None) -> float:
    """The mean of the values that are not nan; the plain one if those all have weight 0."""
    defined = ~np.isnan(values)
    if not defined.any():
        return float("nan")
    if weights is None:
        return float(np.nanmean(values))
    values, weights = values[defined], weights[defined]
    return float(np.average(values, weights=weights if weights.any() else None))


class ClassificationReport:
    """How well each class was recognised. `print(report)` shows it as a table, Jupyter as an HTML table.

    labels: the classes (C,). class_names: what they are called, a list of str.
    precision: float64 (C,), the share of the rows that were given a class and belong to it.
    recall: float64 (C,), the share of the rows of a class that were given it, which is the accuracy of that class.
    f1: float64 (C,), the harmonic mean of both: 2 right / (given + rows of the class).
    support: (C,), the number of rows of each class (int64), or their weight (float64).
    macro: (precision, recall, f1) averaged over classes; weighted: by support; micro: from the sums of the counts.
    accuracy: float, the share of rows that are right; nan if `labels` leaves out classes that occur. With weights its
    last digit may differ from that of `accuracy_score`, as the sums are taken class by class.
    """

    def __init__(
        self,
        labels: Array,
        counts: Counts,
        *,
        class_names: object = None,
        zero_division: float = 0.0,
        complete: bool = True,
    ) -> None:
        """counts: those of the labels. complete: whether no other class occurs. zero_division: what 0 / 0 gives."""
        self.labels = labels
        self.class_names = class_titles(class_names, labels)
        self._undefined = zero_division
        self.precision, self.recall, self.f1 = self._scores(counts)
        self.support = counts.true
        self.macro = self._average(None)
        self.weighted = self._average(counts.true)
        totals = self._scores(Counts(*(np.array([count.sum()]) for count in counts)))
        self.micro = Average(*(float(score[0]) for score in totals))
        self.accuracy = self.micro.precision if complete else float("nan")

    def _scores(self, counts: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        right, predicted, true = counts
        return (
            ratio(right, predicted, self._undefined),
            ratio(right, true, self._undefined),
            ratio(2.0 * right, true + predicted, self._undefined),
        )

    def _average(self, weights: Array | None) -> Average:
        return Average(*(_mean(scores, weights) for scores in (self.precision, self.recall, self.f1)))

    # ------------------------------------------------------------ as a table

    def _rows(self) -> tuple[list[Row], list[Row]]:
        """A row for each class, and those below them."""
        scores = zip(self.class_names, self.precision, self.recall, self.f1, self.support, strict=True)
        classes: list[Row] = [(name, *(f"{v:.4f}" for v in values), _count(rows)) for name, *values, rows in scores]
        total = _count(self.support.sum())
        below: list[Row] = []
        if np.isnan(self.accuracy):
            below.append(("micro average", *(f"{v:.4f}" for v in self.micro), total))
        else:
            below.append(("accuracy", "", "", f"{self.accuracy:.4f}", total))
        below.append(("macro average", *(f"{v:.4f}" for v in self.macro), total))
        below.append(("weighted average", *(f"{v:.4f}" for v in self.weighted), total))
        return classes, below

    def __str__(self) -> str:
        return as_text(_HEADER, self._rows(), _ALIGN) + "\n\nThe recall of a class is its accuracy."

    def _repr_html_(self) -> str:
        return as_html(_HEADER, self._rows(), _ALIGN, "The recall of a class is its accuracy.")

    def __repr__(self) -> str:
        return f"<ClassificationReport: {len(self.labels)} classes, macro f1 {self.macro.f1:.4f}>"


def _count(rows: np.generic) -> str:
    """A number of rows, or their weight."""
    return f"{rows:.2f}" if isinstance(rows, np.floating) else str(rows)
