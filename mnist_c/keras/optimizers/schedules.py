"""keras.optimizers.schedules, and `StepDecay`, which is ExponentialDecay(staircase=True)."""

from ...schedules import CosineDecay, ExponentialDecay, InverseTimeDecay, LearningRateSchedule, StepDecay

__all__ = ["CosineDecay", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule", "StepDecay"]
