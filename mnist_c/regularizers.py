"""Penalties on weights, with the names and formulas of Keras: they are added to the loss, training and validation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._config import Configurable, make, public_subclasses
from ._lookup import check_factor, look_up, wrong_type


class L1L2(Configurable):
    """l1 sum |w| + l2 sum w^2, with no factor 1/2. Called on an array, it returns its penalty.

    The gradient is l1 sign(w) + 2 l2 w. Raises ValueError if a factor is negative or not finite.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        for name, value in (("l1", l1), ("l2", l2)):
            check_factor(name, value)
        self.l1, self.l2 = float(l1), float(l2)

    def __call__(self, w: ArrayLike) -> float:
        array = np.asarray(w, dtype=np.float64)
        return float(self.l1 * np.abs(array).sum() + self.l2 * np.square(array).sum())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, L1L2) and (self.l1, self.l2) == (other.l1, other.l2)

    def __hash__(self) -> int:
        return hash((self.l1, self.l2))

    def _description(self) -> Any:
        return super()._description() if self.l1 or self.l2 else None  # as Keras describes that there is none

    def __repr__(self) -> str:
        return f"L1L2(l1={self.l1:g}, l2={self.l2:g})"


class L1(L1L2):
    """l1 sum |w|."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """l2 sum w^2."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


REGULARIZERS: dict[str, Any] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": lambda: L1L2(0.01, 0.01),
    "l1l2": lambda: L1L2(0.01, 0.01),
}


def get(identifier: object) -> L1L2:
    """A penalty from its name ("l2": factor 0.01, as in Keras), a description of one, None (none) or itself."""
    if identifier is None:
        return L1L2()
    if isinstance(identifier, str):
        regularizer = look_up("regularizer", identifier, REGULARIZERS)()
        assert isinstance(regularizer, L1L2)
        return regularizer
    if isinstance(identifier, Mapping):
        known: dict[str, type[L1L2]] = {"L1L2": L1L2, **public_subclasses(L1L2)}
        return make("regularizer", identifier, known)
    if isinstance(identifier, L1L2):
        return identifier
    raise wrong_type("regularizer", identifier, "a name such as 'l2' or an object such as L2(1e-4)")
