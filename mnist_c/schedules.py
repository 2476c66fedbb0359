"""Learning rates that change with the step, with the names and arguments of Keras.

`step` is the number of steps (batches) taken since the optimizer was set, counted from 0. The core computes the rates,
so that they are the same bits everywhere. Any Python function step -> rate does as well.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, _inputs
from ._config import Configurable, make, public_subclasses
from ._lookup import check_factor, check_share


class LearningRateSchedule(Configurable):
    """Base of the schedules. `schedule(step)` is the rate of one step.

    Subclasses of your own override `__call__`; those below tell the core what to compute.
    """

    def __call__(self, step: int) -> float:
        raise NotImplementedError("a schedule needs __call__(self, step)")


class _CoreSchedule(LearningRateSchedule):
    def __init__(
        self,
        kind: str,
        initial: float,
        decay: float,
        alpha: float,
        steps: float,
        staircase: bool,
        warmup: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """warmup: how many steps, and the rate from which it rises to the initial one."""
        self.initial_learning_rate = self._peak = check_factor("initial_learning_rate", initial)
        self.decay_rate, self.alpha = check_factor("decay_rate", decay), check_factor("alpha", alpha)
        self.decay_steps = check_factor("decay_steps", steps)
        self.staircase = bool(staircase)
        self._kind, self._warmup = kind, warmup
        if not self.decay_steps:
            raise ValueError("decay_steps must be positive, not 0")

    def rates(self, first: int, n: int) -> NDArray[np.float64]:
        """The rates of steps first ... first + n - 1, float64 (n,)."""
        numbers = (self._peak, self.decay_rate, self.alpha, self.decay_steps)
        return _core.rates(self._kind, first, n, *numbers, self.staircase, *self._warmup)

    def __call__(self, step: int) -> float:
        return float(self.rates(int(step), 1)[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"


class StepDecay(_CoreSchedule):
    """initial_learning_rate * decay_rate^floor(step / decay_steps).

    The same as ExponentialDecay(..., staircase=True).
    """

    def __init__(self, initial_learning_rate: float, decay_steps: float, decay_rate: float) -> None:
        super().__init__("step", initial_learning_rate, decay_rate, 0.0, decay_steps, True)


class InverseTimeDecay(_CoreSchedule):
    """initial_learning_rate / (1 + decay_rate * step / decay_steps); floor(step / decay_steps) if staircase."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        super().__init__("inverse_time", initial_learning_rate, decay_rate, 0.0, decay_steps, staircase)


class ExponentialDecay(_CoreSchedule):
    """initial_learning_rate * decay_rate^(step / decay_steps); floor(step / decay_steps) if staircase."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        super().__init__("exponential", initial_learning_rate, decay_rate, 0.0, decay_steps, staircase)
        if not self.decay_rate:
            raise ValueError("decay_rate must be positive, not 0")


class CosineDecay(_CoreSchedule):
    """From initial_learning_rate down to alpha times it, along half a cosine, in decay_steps steps.

    initial * ((1 - alpha) (1 + cos(pi min(step, decay_steps) / decay_steps)) / 2 + alpha)

    With a warmup_target, the rate first rises evenly from initial_learning_rate to it in warmup_steps steps, and the
    cosine goes down from there.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        *,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        steps = check_factor("warmup_steps", warmup_steps)
        if warmup_target is None:
            super().__init__("cosine", initial_learning_rate, 1.0, alpha, decay_steps, False)
        else:
            start = check_factor("initial_learning_rate", initial_learning_rate)
            super().__init__("cosine", warmup_target, 1.0, alpha, decay_steps, False, (steps, start))
            self.initial_learning_rate = start
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor; of the warm-up, if there is one."""
        config = super().get_config()
        warm = self.warmup_target is not None
        return {name: value for name, value in config.items() if warm or not name.startswith("warmup")}


class OneCycle(_CoreSchedule):
    """Up to max_learning_rate and down again, along half a cosine each (Smith and Topin, 2018), as in PyTorch.

    From max_learning_rate / div_factor to max_learning_rate in a share pct_start of the total_steps steps; in the rest
    down to max_learning_rate / (div_factor final_div_factor), which the last step has, and those after it.
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_learning_rate, self.total_steps = check_factor("max_learning_rate", max_learning_rate), total_steps
        self.pct_start = check_share("pct_start", pct_start)
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        for name in ("div_factor", "final_div_factor"):
            if check_factor(name, getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        rise = self.pct_start * check_factor("total_steps", total_steps) - 1
        if rise < 0 or total_steps < rise + 2:
            raise ValueError(
                f"{total_steps!r} steps are too few to rise in a share of {pct_start!r} of them and to fall"
            )
        first, share = self.max_learning_rate / div_factor, 1 / (div_factor * final_div_factor)
        super().__init__("one_cycle", self.max_learning_rate, 1.0, share, total_steps - 1 - rise, False, (rise, first))


class WarmUp(LearningRateSchedule):
    """Rises evenly from initial_learning_rate to where `schedule` begins, in warmup_steps steps; then that follows.

    schedule: a rate or a schedule, whose step 0 is the one after the warm-up.
    """

    def __init__(self, schedule: "Rate", warmup_steps: int, initial_learning_rate: float = 0.0) -> None:
        self.schedule = check(schedule)
        self.warmup_steps = _inputs.whole("warmup_steps", warmup_steps, 1)
        self.initial_learning_rate = check_factor("initial_learning_rate", initial_learning_rate)

    def rates(self, first: int, n: int) -> NDArray[np.float64]:
        """The rates of steps first ... first + n - 1, float64 (n,)."""
        rising = min(max(self.warmup_steps - first, 0), n)
        share = np.arange(first, first + rising, dtype=np.float64) / self.warmup_steps
        after = rates(self.schedule, max(first - self.warmup_steps, 0), n - rising)
        if not rising:
            return after
        rise = rates(self.schedule, 0, 1)[0] - self.initial_learning_rate
        return np.concatenate([self.initial_learning_rate + rise * share, after])

    def __call__(self, step: int) -> float:
        return float(self.rates(int(step), 1)[0])

    def __repr__(self) -> str:
        return f"WarmUp({self.schedule!r}, {self.warmup_steps}, {self.initial_learning_rate!r})"


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
    if isinstance(rate, (_CoreSchedule, WarmUp)):
        return rate.rates(first, n)
    if callable(rate):
        values = [check_factor(f"learning_rate({step})", rate(step)) for step in range(first, first + n)]
        return np.array(values, dtype=np.float64)
    return np.full(n, rate, dtype=np.float64)
