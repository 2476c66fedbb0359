"""keras.utils."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._seeds import set_random_seed

__all__ = ["normalize", "set_random_seed", "to_categorical"]


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Class numbers as one-hot rows.    (n,) or (n, 1) -> float64 (n, num_classes)

    num_classes: by default the largest number plus one. Raises ValueError for numbers outside 0 ... num_classes - 1.
    """
    labels = np.asarray(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    labels = labels.astype(np.int64)
    classes = int(labels.max()) + 1 if num_classes is None else num_classes
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"expected class numbers from 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    return np.asarray(np.eye(classes)[labels])


def normalize(x: ArrayLike, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """x divided by its norm along an axis, where that is not 0.    any shape -> the same"""
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return np.asarray(x / np.expand_dims(norms, axis))
