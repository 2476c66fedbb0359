"""keras.optimizers."""

from ...optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, get
from . import schedules

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]
