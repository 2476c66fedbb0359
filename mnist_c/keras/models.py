"""keras.models."""

from ..model import Sequential

__all__ = ["Sequential"]
