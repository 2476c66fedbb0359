"""Learning rates that change with the step, with the names and arguments of Keras.

`step` is the number of steps (batches) taken since the optimizer was set, counted from 0. The core computes the rates,
so that they are the same bits everywhere. Any Python function step -> rate does as well.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._config import Configurable, make, public_subclasses
from ._lookup import check_factor


class LearningRateSchedule(Configurable):
    """Base of the schedules. `schedule(step)` is the rate of one step.

    Subclasses of your own override `__call__`; those below tell the core what to compute.
    """

    def __call__(self, step: int) -> float:
        raise NotImplementedError("a schedule needs __call__(self, step)")


class _CoreSchedule(LearningRateSchedule):
    def __init__(self, kind: str, initial: float, decay: float, alpha: float, steps: float, staircase: bool) -> None:
        self.initial_learning_rate = check_factor("initial_learning_rate", initial)
        self.decay_rate, self.alpha = check_factor("decay_rate", decay), check_factor("alpha", alpha)
        self.decay_steps = check_factor("decay_steps", steps)
        self.staircase = bool(staircase)
        self._kind = kind
        if not self.decay_steps:
            raise ValueError("decay_steps must be positive, not 0")

    def rates(self, first: int, n: int) -> NDArray[np.float64]:
        """The rates of steps first ... first + n - 1, float64 (n,)."""
        numbers = (self.initial_learning_rate, self.decay_rate, self.alpha, self.decay_steps)
        return _core.rates(self._kind, first, n, *numbers, self.staircase)

    def __call__(self, step: int) -> float:
        return float(self.rates(int(step), 1)[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"


class StepDecay(_CoreSchedule):
    """initial_learning_rate * decay_rate^floor(step / decay_steps).

    Keras: ExponentialDecay(..., staircase=True).
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float) -> None:
        super().__init__("step", initial_learning_rate, decay_rate, 0.0, decay_steps, True)


class InverseTimeDecay(_CoreSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); floor(step / decay_steps) if staircase."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        super().__init__("inverse_time", initial_learning_rate, decay_rate, 0.0, decay_steps, staircase)


class CosineDecay(_CoreSchedule):
    """From initial_learning_rate down to alpha times it, along half a cosine, in decay_steps steps.

    initial * ((1 - alpha) (1 + cos(pi min(step, decay_steps) / decay_steps)) / 2 + alpha)
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0) -> None:
        super().__init__("cosine", initial_learning_rate, 1.0, alpha, decay_steps, False)


Rate: TypeAlias = "float | Callable[[int], float]"


def check(rate: object) -> Rate:
    """A learning rate as optimizers take it: a number, a function, a schedule or a description of one.

    Raises TypeError or ValueError for anything else.
    """
    if isinstance(rate, Mapping):
        return make("schedule", rate, public_subclasses(LearningRateSchedule))
    return rate if callable(rate) else check_factor("learning_rate", rate)


def rates(rate: Rate, first: int, n: int) -> NDArray[np.float64]:
    """The rates of steps first ... first + n - 1, float64 (n,), whatever kind of rate it is.

    A Python function is called n times before those steps are taken.
    """
    if isinstance(rate, _CoreSchedule):
        return rate.rates(first, n)
    if callable(rate):
        values = [check_factor(f"learning_rate({step})", rate(step)) for step in range(first, first + n)]
        return np.array(values, dtype=np.float64)
    return np.full(n, rate, dtype=np.float64)
