"""Labels, weights and scores as users have them -> what metrics need, or an error that says what to do."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._inputs import Array, as_array, describe
from ._targets import is_one_hot


class Labels(NamedTuple):
    """values: (n,), int or text. classes: those that occur, ascending; of one-hot rows the numbers of all columns."""

    values: Array
    classes: Array


class Answers(NamedTuple):
    """true, predicted: labels (n,). present: the classes that occur in either, ascending; classes: those asked for.

    weights: (n,), or None.
    """

    true: Array
    predicted: Array
    present: Array
    classes: Array
    weights: Array | None


# ---------------------------------------------------------------- labels


def _one_dimensional(y: Array, name: str) -> Array:
    """Labels (n,) as integers or text; whole floats become integers."""
    if y.dtype.kind == "U" or y.dtype.kind in "bui":
        return y
    if y.dtype.kind != "f":
        cure = f": {name}.astype(str)" if y.dtype.kind == "S" else ""
        raise TypeError(f"{name} is a {describe(y)}: expected class numbers or names{cure}")
    if not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"{name} holds labels that are not finite, the first ({y[row]}) in row {row}")
    if (fractions := np.flatnonzero(np.floor(y) != y)).size:
        row = int(fractions[0])
        raise ValueError(
            f"{name} holds fractions, the first ({y[row]:g}) in row {row}: expected class numbers. "
            f"Probabilities of class 1 become answers by ({name} > 0.5).astype(int)"
        )
    return y.astype(np.int64)


def labels(value: object, name: str) -> Labels:
    """Class numbers or names (n,) or (n, 1), or one-hot rows (n, C), which stand for the numbers of their columns."""
    y = as_array(value, name)
    if y.ndim == 0:
        raise ValueError(f"{name} is a single value: expected one label per row, shape (n,)")
    if y.size == 0:
        raise ValueError(f"{name} is empty: {describe(y)}")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1:
        y = _one_dimensional(y, name)
        return Labels(y, np.unique(y))
    if y.ndim == 2 and len(y) == 1:
        raise ValueError(
            f"{name} is a {describe(y)}, which may mean {y.shape[1]} labels or one one-hot row: pass "
            f"{name}.ravel() for labels, {name}.argmax(axis=1) for a one-hot row"
        )
    if y.ndim == 2 and y.dtype.kind in "buif" and is_one_hot(y):
        return Labels(y.argmax(axis=1), np.arange(y.shape[1]))
    raise ValueError(
        f"{name} is a {describe(y)}: expected class numbers (n,) or one-hot rows (n, classes). "
        f"Scores or probabilities (n, classes) become answers by {name}.argmax(axis=1)"
    )


def _check_same_kind(a: Array, a_name: str, b: Array, b_name: str) -> None:
    if (a.dtype.kind == "U") != (b.dtype.kind == "U"):
        text, numbers = (a_name, b_name) if a.dtype.kind == "U" else (b_name, a_name)
        raise TypeError(f"{text} holds text and {numbers} numbers: expected the same kind of labels in both")


def class_list(value: object, present: Array) -> Array:
    """The classes asked for with `labels=`, in their order; those present if it is None."""
    if value is None:
        return present
    given = as_array(value, "labels")
    if given.ndim != 1 or given.size == 0:
        raise ValueError(f"labels is a {describe(given)}: expected a list of classes, such as range(10)")
    given = _one_dimensional(given, "labels")
    _check_same_kind(given, "labels", present, "y_true")
    values, counts = np.unique(given, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"labels names the class {values[counts > 1][0]} more than once")
    return given


def positions(values: Array, classes: Array) -> NDArray[np.intp]:
    """Where in `classes` each value is (n,); -1 for values that are not there."""
    order = np.argsort(classes)
    ordered = classes[order]
    found = np.minimum(np.searchsorted(ordered, values), len(classes) - 1)
    return np.where(ordered[found] == values, order[found], -1)


# ---------------------------------------------------------------- weights


def weights(value: object, n: int) -> Array | None:
    """Weights (n,) in the dtype they came in, as it decides how sums round; None if there are none."""
    if value is None:
        return None
    w = as_array(value, "sample_weight")
    if w.dtype.kind not in "buif":
        raise TypeError(f"sample_weight is a {describe(w)}: expected numbers")
    if w.shape == (n, 1):
        w = w[:, 0]
    if w.shape != (n,):
        raise ValueError(f"sample_weight is a {describe(w)}: expected one weight per row, shape ({n},)")
    if (wrong := np.flatnonzero(~(np.isfinite(w) & (w >= 0)))).size:
        raise ValueError(f"sample_weight must be finite and not negative, but row {wrong[0]} is {w[wrong[0]]:g}")
    if not w.any():
        raise ValueError("sample_weight is 0 in all rows: at least one must count")
    return w


# ---------------------------------------------------------------- answers


def answers(y_true: object, y_pred: object, classes: object, sample_weight: object) -> Answers:
    """What is compared. classes: `labels=` as given, or None."""
    true, predicted = labels(y_true, "y_true"), labels(y_pred, "y_pred")
    if len(true.values) != len(predicted.values):
        raise ValueError(
            f"y_true has {len(true.values)} labels, but y_pred has {len(predicted.values)}: expected one answer per row"
        )
    _check_same_kind(true.values, "y_true", predicted.values, "y_pred")
    present = np.union1d(true.classes, predicted.classes)
    row_weights = weights(sample_weight, len(true.values))
    return Answers(true.values, predicted.values, present, class_list(classes, present), row_weights)


# ---------------------------------------------------------------- scores


def _first_row(wrong: Array) -> int:
    """The first row that holds a true value."""
    return int(np.argwhere(wrong)[0][0])


def scores(value: object, n: int, name: str) -> Array:
    """Finite numbers (n, C) with C of at least 2, or (n,): the score of the second of two classes."""
    s = as_array(value, name)
    if s.dtype.kind not in "buif":
        raise TypeError(f"{name} is a {describe(s)}: expected numbers")
    if s.size == 0:
        raise ValueError(f"{name} is empty: {describe(s)}")
    if s.ndim == 2 and s.shape[1] == 1:
        s = s[:, 0]
    if s.ndim not in (1, 2):
        raise ValueError(f"{name} is a {describe(s)}: expected one row per label and one column per class")
    if len(s) != n:
        raise ValueError(f"y_true has {n} labels, but {name} has {len(s)} rows")
    if not np.isfinite(s).all():
        raise ValueError(f"{name} holds values that are not finite, the first in row {_first_row(~np.isfinite(s))}")
    return s


def probabilities(value: object, n: int) -> Array:
    """Probabilities (n, C), float16, float32 or float64 as they came; (n,) are those of the second of two classes.

    Rows must add up to 1 within 3.5e-4, which is what float32 probabilities need (the root of their epsilon), even if
    they were made float64 since; float16 probabilities within 0.03.
    """
    p = scores(value, n, "y_prob")
    if p.dtype not in (np.float16, np.float32, np.float64):
        p = p.astype(np.float64)
    outside = (p < 0) | (p > 1)
    if outside.any():
        row = _first_row(outside)
        worst = np.atleast_1d(p[row])[np.atleast_1d(outside[row])][0]
        raise ValueError(
            f"y_prob holds values outside 0 to 1, the first ({worst:g}) in row {row}: expected probabilities, as "
            "model.predict gives them after a softmax; logits need mnist_c.ops.softmax"
        )
    if p.ndim == 1:
        return np.column_stack([1 - p, p])
    sums = p.sum(axis=1)
    tolerance = math.sqrt(max(np.finfo(p.dtype).eps, np.finfo(np.float32).eps))
    wrong = np.abs(sums - 1) > tolerance
    if wrong.any():
        row = _first_row(wrong)
        raise ValueError(
            f"the rows of y_prob should add up to 1, but row {row} adds up to {sums[row]:g}: "
            "y_prob / y_prob.sum(axis=1, keepdims=True) if they are shares of something else"
        )
    return p


def true_columns(true: Labels, classes: object, columns: int, name: str) -> NDArray[np.intp]:
    """The column of each row's true class (n,), where column i belongs to the i-th of the classes in ascending order.

    classes: `labels=` as given; None: the classes that occur, which must be as many as there are columns.
    """
    known = class_list(classes, true.classes)
    if len(known) != columns:
        where = "y_true holds" if classes is None else "labels names"
        cure = f": name the classes of the columns, such as labels=range({columns})" if classes is None else ""
        raise ValueError(f"{where} {len(known)} classes, but {name} has {columns} columns{cure}")
    if (np.sort(known) != known).any():
        raise ValueError(f"labels must be in ascending order, as the columns of {name} are: {np.sort(known).tolist()}")
    found = positions(true.values, known)
    if (found < 0).any():
        row = _first_row(found < 0)
        raise ValueError(f"y_true holds the class {true.values[row]} in row {row}, which labels does not name")
    return found
