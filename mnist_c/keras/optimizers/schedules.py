"""keras.optimizers.schedules, and `StepDecay`, which is Keras's ExponentialDecay(staircase=True)."""

from ...schedules import CosineDecay, InverseTimeDecay, LearningRateSchedule, StepDecay

__all__ = ["CosineDecay", "InverseTimeDecay", "LearningRateSchedule", "StepDecay"]
