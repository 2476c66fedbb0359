"""The figures of a run: what they are called, how they are printed, and their spread over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..metrics import accuracy_interval

# Key -> title. Accuracies and gaps are shares: 0.9746 is printed as 97.46 %.
FIGURES = {
    "train_accuracy": "training accuracy",
    "validation_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "test_loss": "test loss",
    "loss_gap": "loss gap",
    "accuracy_gap": "accuracy gap",
    "seconds": "seconds",
}


class Spread(NamedTuple):
    """A figure over several seeds. sd: standard deviation of the sample, 0 for one seed.

    low, high: of an accuracy the 95 % Wilson interval of its mean, taken as one measurement on one part of the data.
    All seeds share these images, so more seeds do not make it narrower: it is what another set of as many images
    would change. None for other figures.
    """

    mean: float
    sd: float
    min: float
    max: float
    low: float | None
    high: float | None


def spread(values: Sequence[float], images: int | None) -> Spread:
    """images: how many images an accuracy was measured on; None for figures that are no accuracies."""
    mean = math.fsum(values) / len(values)
    sd = statistics.stdev(values) if len(values) > 1 else 0.0
    low, high = (None, None) if images is None else accuracy_interval(round(mean * images), images)
    return Spread(mean, sd, min(values), max(values), low, high)


def gaps(figures: Mapping[str, float]) -> dict[str, float]:
    """How far validation lags behind training, both in evaluation mode and with penalties.

    loss gap: (validation loss - training loss) / training loss. accuracy gap: training - validation accuracy.
    """
    if "validation_loss" not in figures:
        return {}
    difference = figures["validation_loss"] - figures["train_loss"]
    return {
        "loss_gap": difference / figures["train_loss"] if figures["train_loss"] > 0 else math.inf,
        "accuracy_gap": figures["train_accuracy"] - figures["validation_accuracy"],
    }


# ---------------------------------------------------------------- text


def _is_share(key: str) -> bool:
    return key.endswith(("accuracy", "gap"))


def number(key: str, value: float | None) -> str:
    """A figure for people: 97.46 %, 0.0834, 20.3."""
    if value is None:
        return ""
    if _is_share(key):
        return f"{100 * value:.2f} %"
    return f"{value:.1f}" if key == "seconds" else f"{value:.4f}"


def with_spread(key: str, figure: Spread, runs: int) -> str:
    """The mean, and with several seeds standard deviation and extremes: 97.81 ± 0.08 % (97.70 to 97.90)."""
    if runs == 1:
        return number(key, figure.mean)
    factor, unit, digits = (100.0, " %", 2) if _is_share(key) else (1.0, "", 1 if key == "seconds" else 4)
    mean, sd, low, high = (f"{factor * x:.{digits}f}" for x in (figure.mean, figure.sd, figure.min, figure.max))
    return f"{mean} ± {sd}{unit} ({low} to {high})"


def short(key: str, figure: Spread, runs: int) -> str:
    """The mean, and with several seeds the standard deviation: 97.81 ± 0.08 %."""
    return with_spread(key, figure, runs).partition(" (")[0]


def interval(figure: Spread) -> str:
    """The Wilson interval of an accuracy; nothing for other figures."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{100 * figure.low:.2f} to {100 * figure.high:.2f} %"


def plain(value: Any) -> Any:
    """What JSON can hold: nan and infinity have no name there and become None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
