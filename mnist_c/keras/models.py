"""keras.models. Files are those of `mnist_c.saving`, whatever the ending of their names."""

from ..model import Sequential
from ..saving import load_model, save_model

__all__ = ["Sequential", "load_model", "save_model"]
