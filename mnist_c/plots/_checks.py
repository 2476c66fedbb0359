"""What users pass to plots -> arrays that can be drawn, or an error that says what to do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._inputs import Array, as_array, describe
from .._lookup import wrong_type

_MOST_CLASSES = 1000  # without names; what has more are no classes, and a bar for each would take all memory


def numbers(value: object, name: str) -> Array:
    """An array of numbers, not empty. Raises TypeError or ValueError."""
    array = as_array(value, name)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} is a {describe(array)}: expected numbers")
    if array.size == 0:
        raise ValueError(f"{name} is empty: {describe(array)}. There is nothing to draw")
    return array


def finite(value: object, name: str) -> Array:
    """As `numbers`, without NaN and infinities."""
    array = numbers(value, name)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(array)).sum())} values that are not finite")
    return array


def class_numbers(value: object, name: str, *, n: int | None = None, classes: int | None = None) -> NDArray[np.intp]:
    """Class numbers (n,) or (n, 1) as an integer array (n,), each below `classes`."""
    labels = finite(value, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        cure = f": {name}.argmax(axis=1)" if labels.ndim == 2 else ""
        raise ValueError(f"{name} is a {describe(labels)}: expected class numbers of shape (n,){cure}")
    if n is not None and len(labels) != n:
        raise ValueError(f"{name} holds {len(labels):,} labels, but there are {n:,} images: lengths must agree")
    if labels.dtype == bool or (labels != np.floor(labels)).any() or labels.min() < 0:
        raise ValueError(f"{name} is a {describe(labels)}: expected whole class numbers, 0 or more")
    if classes is not None and labels.max() >= classes:
        row = int(np.flatnonzero(labels >= classes)[0])
        raise ValueError(
            f"{name} holds an unknown class, {labels[row]:g} in row {row}: there are {classes}, from 0 to {classes - 1}"
        )
    return labels.astype(np.intp)


def class_names(value: Sequence[str] | None, classes: int) -> list[str]:
    """One name for each class; their numbers if there are no names."""
    known = known_classes(value)
    if known is not None and known != classes:
        raise ValueError(f"class_names holds {known} names, but there are {classes} classes")
    return [str(i) for i in range(classes)] if value is None else list(value)


def known_classes(names: Sequence[str] | None) -> int | None:
    """How many classes there are, as far as their names tell."""
    if names is None:
        return None
    if not isinstance(names, (list, tuple, np.ndarray)) or not all(isinstance(name, str) for name in names):
        raise wrong_type("class_names", names, "a list of texts, one for each class")
    return len(names)


def named_labels(labels: NDArray[np.intp], names: Sequence[str] | None) -> list[str]:
    """The names of classes; without names the numbers up to the largest label."""
    classes = known_classes(names)
    if classes is None and labels.max() >= _MOST_CLASSES:
        raise ValueError(
            f"there is a class {labels.max():,}, but without class_names at most {_MOST_CLASSES:,} can be drawn. Are "
            "these class numbers? np.unique(labels, return_inverse=True)[1] numbers them from 0"
        )
    return class_names(names, int(labels.max()) + 1 if classes is None else classes)


def one_class(value: object, name: str, names: Sequence[str]) -> int:
    """The number of a class that is given by number or by name."""
    if isinstance(value, str) and value in names:
        return list(names).index(value)
    is_number = hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_))
    if is_number and 0 <= (number := int(value.__index__())) < len(names):  # type: ignore[attr-defined]
        return number
    raise ValueError(f"{name}={value!r} is an unknown class: there are {', '.join(names)}, numbered from 0")


def pictures(value: object, name: str = "images") -> Array:
    """Images as (n, height, width): from (n, h, w), (n, h, w, 1), or flat rows (n, h * h)."""
    array = finite(value, name)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        side = int(np.sqrt(array.shape[1]))
        if side * side == array.shape[1]:
            array = array.reshape(-1, side, side)
    if array.ndim != 3:
        cure = f": one image needs {name}[None]" if array.ndim == 2 else ""
        raise ValueError(
            f"{name} is a {describe(array)}: expected images (n, 28, 28), (n, 28, 28, 1) or rows (n, 784){cure}"
        )
    return array


def probabilities(value: object, n: int, name: str = "probabilities") -> Array:
    """Probabilities (n, C) of n images."""
    array = finite(value, name)
    if array.ndim != 2 or len(array) != n or array.shape[1] < 2:
        raise ValueError(
            f"{name} is a {describe(array)}: expected shape ({n}, C), one column for each class, as model.predict gives"
        )
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"{name} holds values from {array.min():g} to {array.max():g}: expected 0 to 1. Outputs without softmax "
            "need one first"
        )
    return array


def shares(value: object, name: str, classes: int | None = None) -> NDArray[np.float64]:
    """Shares from 0 to 1 (C,); NaN where there is none."""
    array: NDArray[Any] = numbers(value, name).astype(np.float64)
    if array.ndim != 1 or (classes is not None and len(array) != classes):
        expected = "one value per class, (C,)" if classes is None else f"one value per class, ({classes},)"
        raise ValueError(f"{name} is a {describe(array)}: expected {expected}")
    if np.isnan(array).all():
        raise ValueError(f"{name} holds only nan: there is nothing to draw")
    if np.nanmin(array) < 0 or np.nanmax(array) > 1:
        cure = f". Pass percentages as {name} / 100" if np.nanmin(array) >= 0 and np.nanmax(array) <= 100 else ""
        raise ValueError(
            f"{name} holds values from {np.nanmin(array):g} to {np.nanmax(array):g}: expected shares, 0 to 1{cure}"
        )
    return array
