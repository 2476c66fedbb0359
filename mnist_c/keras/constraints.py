"""keras.constraints."""

from ..constraints import Constraint, MaxNorm, UnitNorm, get

max_norm, unit_norm = MaxNorm, UnitNorm  # the names of older programs

__all__ = ["Constraint", "MaxNorm", "UnitNorm", "get", "max_norm", "unit_norm"]
