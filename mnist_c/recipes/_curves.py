"""Training curves as reports keep them: whole for short runs, thinned for long ones."""

import math
from dataclasses import dataclass
from typing import Any

from ..history import History

WHOLE = 50  # runs of at most that many epochs keep all of them
_DENSE = 10  # a longer one keeps every epoch to the 10th, every second to the 20th, every fifth to the 50th, and so on
_DIGITS = 7  # significant ones, about those of float32


def shown(epoch: int, epochs: int) -> bool:
    """Whether a report of a run that was to have `epochs` epochs keeps this one. epoch counts from 0.

    What is kept does not depend on the run itself, so that the curves of several seeds can be averaged.
    """
    if epochs <= WHOLE:
        return True
    number, scale = epoch + 1, 1
    while True:
        for step in (1, 2, 5):
            if number <= _DENSE * step * scale:
                return number % (step * scale) == 0
        scale *= 10


@dataclass(frozen=True)
class Curves:
    """A run epoch by epoch, for `mc.plots.training_curves`.

    epoch: numbers of the epochs that were kept, from 0. history: name -> one number (or None) for each of them.
    """

    epoch: list[int]
    history: dict[str, list[float | None]]

    @classmethod
    def of(cls, history: History) -> "Curves":
        kept = [i for i, epoch in enumerate(history.epoch) if shown(epoch, history.params["epochs"])]
        curves = {name: [rounded(values[i]) for i in kept] for name, values in history.history.items()}
        return cls([history.epoch[i] for i in kept], curves)


def rounded(value: Any) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
