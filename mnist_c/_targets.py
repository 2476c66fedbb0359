"""Labels, targets and weights as users have them -> the core's arrays, or an error that says what to do."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._inputs import Array, as_array, describe
from ._plan import BINARY, CROSS_ENTROPY

Rows: TypeAlias = "slice | NDArray[np.intp]"  # some of them


class Targets(NamedTuple):
    """One of the two: labels int32 (n,), classes counted from 0; or values float64 (n, C)."""

    labels: NDArray[np.int32] | None
    values: NDArray[np.float64] | None

    def classes(self) -> NDArray[Any]:
        """The class of each row (n,): its label, or where its largest value is."""
        return self.labels if self.labels is not None else np.asarray(self.values).argmax(axis=1)

    def yes_or_no(self) -> "Targets":
        """Values of one output as the classes 0 and 1 on either side of 1/2."""
        return Targets((np.asarray(self.values)[:, 0] > 0.5).astype(np.int32), None)

    def rows(self, part: "Rows") -> "Targets":
        labels, values = self
        return Targets(None if labels is None else labels[part], None if values is None else values[part])


# ---------------------------------------------------------------- labels


def _check_text(y: Array, name: str) -> None:
    if y.dtype.kind in "US":
        some = y.ravel()[:100].tolist()
        texts = [text.decode("ascii", "replace") if isinstance(text, bytes) else text for text in some]
        numeric = all(text.strip().isdigit() for text in texts)
        cure = f"{name}.astype(int)" if numeric else f"np.unique({name}, return_inverse=True)[1]"
        raise TypeError(f"{name} holds text ({', '.join(map(repr, texts[:1]))}, ...): expected class numbers, {cure}")
    if y.dtype.kind not in "buif":
        raise TypeError(f"{name} is a {describe(y)}: expected class numbers")


def _check_finite(y: Array, name: str) -> None:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise ValueError(f"{name} holds values that are not finite, the first in row {row}: remove those rows")


def _labels(y: Array, outputs: int, name: str) -> NDArray[np.int32]:
    """Class numbers (n,) as int32, each in 0 ... outputs - 1."""
    if y.dtype.kind == "f":
        whole = np.floor(y) == y
        if not whole.all():
            row = int(np.flatnonzero(~whole)[0])
            raise ValueError(
                f"{name} holds fractions, the first ({y[row]:g}) in row {row}: expected whole class numbers from 0 "
                f"to {outputs - 1}, {name}.astype(int). To learn numbers, use loss='mean_squared_error'"
            )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= outputs:
        row = int(np.flatnonzero((y < 0) | (y >= outputs))[0])
        text = (
            f"{name} holds labels from {low} to {high}, but the model has {outputs} outputs, so labels must be from 0 "
            f"to {outputs - 1}; the first that is not ({y[row]:g}) is in row {row}"
        )
        if low == 1 and high == outputs:
            text += f". If they count from 1, pass {name} - 1"
        raise ValueError(text)
    return y.astype(np.int32)


def is_one_hot(y: Array) -> bool:
    """Whether each row has a single 1 and otherwise zeros."""
    return bool(((y == 0) | (y == 1)).all() and (np.count_nonzero(y, axis=1) == 1).all())


def _probabilities(y: Array, name: str) -> NDArray[np.float64]:
    """Rows of probabilities as float64."""
    values = y.astype(np.float64)
    sums = values.sum(axis=1)
    wrong = np.flatnonzero((values.min(axis=1) < 0) | (np.abs(sums - 1) > 1e-4))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{name} is a {describe(y)} whose rows should be one-hot or other probabilities, each adding up to 1, but "
            f"row {row} adds up to {sums[row]:g} and its smallest value is {values[row].min():g}: "
            f"{name} / {name}.sum(axis=1, keepdims=True), or class numbers (n,). "
            "To learn numbers, use loss='mse' and no softmax"
        )
    return values


def _check_rows(y: Array, n: int, outputs: int, name: str) -> Array:
    """y as (n,) or (n, outputs). Raises ValueError for all other shapes."""
    if y.ndim == 2 and y.shape[1] == 1 and len(y) == n:
        y = y[:, 0]
    if y.ndim == 0:
        raise ValueError(f"{name} is a single number: expected one label per row of x, shape ({n},)")
    if y.size == 0:
        raise ValueError(f"{name} is empty: {describe(y)}")
    if y.ndim == 1 and len(y) == n:
        return y
    if y.ndim == 2 and y.shape == (n, outputs):
        return y
    expected = f"expected labels of shape ({n},)" + (f" or one-hot rows ({n}, {outputs})" if outputs > 1 else "")
    text = f"{name} is a {describe(y)}, but x has {n} rows: {expected}"
    if y.ndim == 2 and y.shape[0] == 1 and y.size == n:
        raise ValueError(f"{text}. Make the row flat with {name}.ravel()")
    if y.ndim == 2 and y.shape == (outputs, n):
        raise ValueError(f"{text}. Rows must be samples, {name}.T")
    if y.ndim == 2 and len(y) == n:
        raise ValueError(f"{text}. The model has {outputs} outputs, not {y.shape[1]}")
    if y.ndim > 2:
        raise ValueError(f"{text}. Are x and y swapped?")
    raise ValueError(f"{text}. x and {name} must have the same length")


def targets(value: object, *, n: int, outputs: int, head: str, name: str = "y") -> Targets:
    """What n rows should come to, for a network with so many outputs and that head.

    Cross-entropy takes classes: integers or whole floats (n,) or (n, 1), one-hot rows of any dtype, probabilities
    (n, outputs). Mean squared error takes values (n, outputs) as well, and (n,) for one output; binary cross-entropy
    the same from 0 to 1.
    """
    y = as_array(value, name)
    _check_text(y, name)
    y = _check_rows(y, n, outputs, name)
    _check_finite(y, name)
    if y.dtype == bool:
        y = y.astype(np.uint8)
    if y.ndim == 2 and is_one_hot(y):
        return Targets(y.argmax(axis=1).astype(np.int32), None)
    if head == BINARY and (y.ndim == 2 or outputs == 1) and (y.min() < 0 or y.max() > 1):
        raise ValueError(
            f"{name} must be 0 or 1, or probabilities in between, for binary cross-entropy, "
            f"but goes from {y.min():g} to {y.max():g}"
        )
    if head != CROSS_ENTROPY and (y.ndim == 2 or outputs == 1):
        return Targets(None, np.ascontiguousarray(y.reshape(n, outputs), dtype=np.float64))
    if y.ndim == 2:
        return Targets(None, np.ascontiguousarray(_probabilities(y, name)))
    return Targets(_labels(y, outputs, name), None)


def stratified(y: Targets, rows: int, outputs: int, binary: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which rows train, so many of them, and which do not: of every class the same share, its first rows, in order."""
    n = len(y.labels) if y.labels is not None else len(np.asarray(y.values))
    if rows == n:
        raise ValueError("stratify=True divides the data into two parts: give validation_split, too")
    if y.labels is None and not (binary and outputs == 1):
        raise ValueError("stratify=True needs classes: labels or one-hot rows")
    labels = (y if y.labels is not None else y.yes_or_no()).classes()
    exact = np.bincount(labels) * rows / n
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: rows - counts.sum()]] += 1  # those that lost most to rounding
    order = np.argsort(labels, kind="stable")
    begin = np.cumsum(np.bincount(labels)) - np.bincount(labels)
    trains = np.zeros(n, dtype=bool)
    for first, count in zip(begin, counts, strict=True):
        trains[order[first : first + count]] = True
    return np.flatnonzero(trains), np.flatnonzero(~trains)


def looks_like_classes(value: object, outputs: int) -> bool:
    """Whether y is what a cross-entropy is for: whole numbers, or as many columns as there are outputs."""
    y = np.asarray(value)
    if outputs < 2 or y.dtype.kind not in "buif":
        return outputs > 1
    return (y.ndim == 2 and y.shape[1] == outputs) or y.dtype.kind in "bui" or bool((np.floor(y) == y).all())


# ---------------------------------------------------------------- weights


def _row_weights(value: object, n: int, name: str = "sample_weight") -> NDArray[np.float64]:
    w = as_array(value, name)
    if w.dtype.kind not in "buif":
        raise TypeError(f"{name} is a {describe(w)}: expected numbers")
    if w.ndim == 2 and w.shape == (n, 1):
        w = w[:, 0]
    if w.shape != (n,):
        raise ValueError(f"{name} is a {describe(w)}: expected one weight per row of x, shape ({n},)")
    w = w.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
    if len(wrong):
        raise ValueError(f"{name} must be finite and not negative, but row {wrong[0]} is {w[wrong[0]]:g}")
    return w


def _class_weights(value: object, labels: Array, classes: int) -> NDArray[np.float64]:
    """One weight per row from a weight per class; classes that are not named have weight 1."""
    if isinstance(value, str) and value == "balanced":
        counts = np.bincount(labels, minlength=classes)
        present = int((counts > 0).sum())
        return np.asarray(len(labels) / (present * np.maximum(counts, 1)[labels]), dtype=np.float64)
    if not isinstance(value, Mapping):
        raise TypeError(f"class_weight must be a dict such as {{0: 1.0, 1: 2.0}} or 'balanced', not {value!r}")
    per_class = np.ones(classes)
    for key, weight in value.items():
        if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or not 0 <= key < classes:
            raise ValueError(f"class_weight names a class {key!r}, but classes are 0 to {classes - 1}")
        per_class[key] = _row_weights([weight], 1, f"class_weight[{key}]")[0]
    return per_class[labels]


def weights(
    sample_weight: object, class_weight: object, y: Targets, outputs: int, binary: bool = False
) -> NDArray[np.float64] | None:
    """Weights of rows, float64 (n,), or None if there are none: sample weights times those of their classes.

    binary: one output stands for the classes 0 and 1.
    """
    labels = (y.yes_or_no() if binary and outputs == 1 else y).classes()
    result = None if sample_weight is None else _row_weights(sample_weight, len(labels))
    if class_weight is not None:
        if outputs < 2 and not binary:
            raise ValueError("class_weight needs classes, but the model has one output")
        by_class = _class_weights(class_weight, labels, max(outputs, 2))
        result = by_class if result is None else result * by_class
    return result
