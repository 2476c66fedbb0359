"""keras.regularizers."""

from ..regularizers import L1, L1L2, L2, get

l1, l2, l1_l2 = L1, L2, L1L2  # the names of older programs

__all__ = ["L1", "L1L2", "L2", "get", "l1", "l1_l2", "l2"]
