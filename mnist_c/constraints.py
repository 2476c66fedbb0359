"""Constraints on weights, with the names, arguments and formulas of Keras: what `fit` does to them after each step.

They act on the norm |w| = sqrt(sum w^2) of the weights from all inputs to one unit, a column of a kernel (K, N), or of
a whole bias (N,). Averages of weights (`use_ema`) are taken of what the constraint leaves, so that they keep a largest
norm too (Keras takes them before it); with `gradient_accumulation_steps`, batches that end no step change nothing. The
initial weights are left as drawn.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._config import Configurable, make, public_subclasses
from ._lookup import check_factor, look_up, wrong_type


class Constraint(Configurable):
    """Base of all constraints: w clip(|w|, least, most) / (|w| + 1e-7). Called on an array, it returns the new one.

    least, most: of the norm. axis: 0, the inputs of each unit; the core knows no other. Raises ValueError for another.
    """

    def __init__(self, least: float, most: float, axis: int = 0) -> None:
        if isinstance(axis, bool) or axis not in (0, [0], (0,)):
            raise ValueError(f"axis must be 0, the inputs of each unit, not {axis!r}")
        self.core, self.axis = (least, most), 0

    def __call__(self, w: ArrayLike) -> NDArray[Any]:
        array = np.asarray(w)
        array = array if array.dtype == np.float32 else array.astype(np.float64)
        norms = np.sqrt(np.square(array, dtype=np.float64).sum(axis=0))
        return np.asarray(array * (np.clip(norms, *self.core) / (norms + 1e-7)).astype(array.dtype))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constraint) and self.core == other.core

    def __hash__(self) -> int:
        return hash(self.core)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class MaxNorm(Constraint):
    """Weights longer than max_value are shortened to it: w min(|w|, max_value) / (|w| + 1e-7).

    Srebro, Rennie and Jaakkola (2005); with dropout, where values of 3 to 4 are usual: Srivastava et al. (JMLR 15,
    2014, section 5.1). Raises ValueError unless max_value is positive and finite.
    """

    def __init__(self, max_value: float = 2, axis: int = 0) -> None:
        if not check_factor("max_value", max_value):
            raise ValueError("max_value must be positive: with 0, all weights would become 0")
        self.max_value = max_value
        super().__init__(0.0, float(max_value), axis)


class UnitNorm(Constraint):
    """Weights of norm 1: w / (|w| + 1e-7)."""

    def __init__(self, axis: int = 0) -> None:
        super().__init__(1.0, 1.0, axis)


CONSTRAINTS: dict[str, type[Any]] = {
    "max_norm": MaxNorm,
    "maxnorm": MaxNorm,
    "unit_norm": UnitNorm,
    "unitnorm": UnitNorm,
}


def get(identifier: object) -> Constraint | None:
    """A constraint from its name ("max_norm": at most 2, as in Keras), a description of one, None (none) or itself."""
    if identifier is None or isinstance(identifier, Constraint):
        return identifier
    if isinstance(identifier, str):
        constraint = look_up("constraint", identifier, CONSTRAINTS)()
        assert isinstance(constraint, Constraint)
        return constraint
    if isinstance(identifier, Mapping):
        return make("constraint", identifier, public_subclasses(Constraint))
    raise wrong_type("constraint", identifier, "a name such as 'max_norm' or an object such as MaxNorm(3)")
