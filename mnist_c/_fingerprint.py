"""Rows of data as the core gets them, and the SHA-256 that tells them from others."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _targets

_CHUNK = 1 << 22  # bytes that are made contiguous at a time


class Examples(NamedTuple):
    """Images (n, features), their targets, and weights float64 (n,) or None for 1 each."""

    images: NDArray[Any]
    targets: _targets.Targets
    weights: NDArray[np.float64] | None

    def rows(self, part: _targets.Rows) -> "Examples":
        weights = None if self.weights is None else self.weights[part]
        return Examples(self.images[part], self.targets.rows(part), weights)


class Fingerprint:
    """The training and validation data of a run.

    They are read when `digest` is first asked for, since reading them takes longer than Ctrl-C may.
    """

    def __init__(self, train: Examples, validation: Examples | None) -> None:
        self.train, self.validation = train, validation
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of dtypes, shapes and bytes of all arrays."""
        if self._digest is None:
            digest = hashlib.sha256()
            for part in (self.train, self.validation):
                arrays = () if part is None else (part.images, *part.targets, part.weights)
                digest.update(f"{len(arrays)} arrays;".encode())
                for array in arrays:
                    _add(digest, array)
            self._digest = digest.hexdigest()
        return self._digest


def _add(digest: Any, array: NDArray[Any] | None) -> None:
    if array is None:
        digest.update(b"none;")
        return
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digest.update(f"{array.dtype.str} {array.shape};".encode())
    rows = max(1, _CHUNK * len(array) // max(array.nbytes, 1))
    for first in range(0, len(array), rows):
        digest.update(np.ascontiguousarray(array[first : first + rows]))
