"""Confusion matrices: counting them and reading them. Rows are the true classes, columns the answers."""

import numpy as np
from numpy.typing import NDArray

from ._inputs import Array
from ._lookup import unknown

_NORMALIZE = ("true", "pred", "all")


def count_cells(true: Array, predicted: Array, classes: int, weights: Array | None = None) -> Array:
    """How many rows of each true class were given each answer: (classes, classes), int64.

    true, predicted: positions (n,), each in 0 ... classes - 1. weights: (n,), what each row counts; the cells are
    float64 if the weights are floats. Rows are added one after the other, which settles how the sums round.
    """
    cells = true.astype(np.intp) * classes + predicted
    counts = np.bincount(cells, weights, minlength=classes * classes).reshape(classes, classes)
    if weights is not None and weights.dtype.kind == "f":
        return counts
    return counts.astype(np.int64, copy=False)


def check_normalize(how: object) -> None:
    if how is not None and how not in _NORMALIZE:
        raise ValueError(unknown("normalize", how, (*_NORMALIZE, "None")))


def normalized(cells: Array, how: str | None) -> Array:
    """The cells as shares of their row ("true"), of their column ("pred") or of all; 0 where there is nothing."""
    if how is None:
        return cells
    if how == "all":
        return ratio(cells, cells.sum(), 0.0)
    return ratio(cells, cells.sum(axis=1 if how == "true" else 0, keepdims=True), 0.0)


def ratio(part: Array, whole: Array, undefined: float) -> NDArray[np.float64]:
    """part / whole, and `undefined` where the whole is 0."""
    result: NDArray[np.float64] = np.full(part.shape, undefined, dtype=np.float64)
    return np.divide(part, whole, out=result, where=np.asarray(whole) != 0)


def largest_confusions(cells: Array, n: int) -> list[tuple[int, int, int]]:
    """The n largest cells beside the diagonal as (true, answer, count), largest first; fewer if there are fewer.

    Of equal cells, the one further up comes first, then the one further left.
    """
    classes = len(cells)
    mistakes = cells * ~np.eye(classes, dtype=bool)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:n]
    found = [(*divmod(int(cell), classes), int(mistakes.flat[cell])) for cell in order]
    return [confusion for confusion in found if confusion[2]]
