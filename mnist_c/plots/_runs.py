"""Histories as users have them -> groups of training runs, epoch by epoch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._inputs import whole

_EXPECTED = (
    "expected what fit returned, a mapping name -> one number per epoch, a list of those (the same run with several "
    "seeds), or a mapping label -> any of these"
)


class Run(NamedTuple):
    """One training run.

    epochs: numbers of the epochs, counted from 1. values: name -> float64, one per epoch.
    best: the number of the best epoch and the figure that decided, or None if the run does not say.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    best: tuple[int, str] | None


class Group(NamedTuple):
    """Runs that differ by their seeds, cut to the epochs that all of them have.

    values: name -> float64 (runs, epochs), of what all runs have. longest: the epochs of the longest run.
    best: the number of the best epoch and the figure that decided, or None without a loss.
    """

    epochs: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    runs: int
    longest: int
    best: tuple[int, str] | None


def read(history: object) -> dict[str, Group]:
    """label -> group; the label is "" if there is one group without a label."""
    if not isinstance(history, Mapping) or _is_one_run(history):
        return {"": _group(history, "history")}
    if not history:
        raise ValueError(f"history is empty: {_EXPECTED}")
    return {str(label): _group(runs, f"history[{label!r}]") for label, runs in history.items()}


def _is_one_run(value: Mapping[Any, Any]) -> bool:
    """Whether all values are plain lists of numbers (or None, which JSON has for nan)."""

    def is_numbers(item: object) -> bool:
        if isinstance(item, np.ndarray):
            return item.dtype.kind in "iuf"
        if not isinstance(item, (list, tuple)):
            return False
        return all(x is None or isinstance(x, (int, float, np.number)) for x in item)

    return bool(value) and all(map(is_numbers, value.values()))


def _group(value: object, name: str) -> Group:
    if isinstance(value, (list, tuple)):
        runs = [_run(item, f"{name}[{i}]") for i, item in enumerate(value)]
    else:
        runs = [_run(value, name)]
    if not runs:
        raise ValueError(f"{name} is an empty list: {_EXPECTED}")
    lengths = [len(run.epochs) for run in runs]
    epochs = min(runs, key=lambda run: len(run.epochs)).epochs
    for i, run in enumerate(runs):
        if (run.epochs[: len(epochs)] != epochs).any():
            raise ValueError(
                f"the runs of {name} are of different epochs: {name}[0] starts with epoch {runs[0].epochs[0]}, "
                f"{name}[{i}] with {run.epochs[0]}. Only runs of the same epochs have a mean"
            )
    names = [key for key in runs[0].values if all(key in run.values for run in runs)]
    values = {key: np.stack([run.values[key][: len(epochs)] for run in runs]) for key in names}
    best = runs[0].best if len(runs) == 1 and runs[0].best else _best(epochs, values)
    return Group(epochs, values, len(runs), max(lengths), best)


def _best(epochs: NDArray[np.int64], values: dict[str, NDArray[np.float64]]) -> tuple[int, str] | None:
    """The epoch in which the mean validation loss is lowest, or the training loss if nothing was validated."""
    for name in ("val_loss", "loss"):
        if name in values:
            mean = values[name].mean(axis=0)
            return None if np.isnan(mean).all() else (int(epochs[np.nanargmin(mean)]), name)
    return None


def _run(value: object, name: str) -> Run:
    """A History, or a mapping name -> one number per epoch."""
    curves = getattr(value, "history", value)
    if not isinstance(curves, Mapping) or (curves and not _is_one_run(curves)):
        raise TypeError(f"{name} is a {type(value).__name__} that holds no curves: {_EXPECTED}")
    values = {str(key): np.asarray(item, dtype=np.float64) for key, item in curves.items()}
    lengths = {key: item.size for key, item in values.items()}
    if not values or not max(lengths.values()):
        raise ValueError(f"{name} has no finished epoch: there is nothing to draw")
    if len(set(lengths.values())) > 1 or any(item.ndim != 1 for item in values.values()):
        found = ", ".join(f"{key} {item.shape}" for key, item in values.items())
        raise ValueError(f"the curves of {name} differ in length: {found}. Expected one number per epoch in each")
    n = next(iter(lengths.values()))
    counted = [whole(f"{name}.epoch", epoch, 0) for epoch in getattr(value, "epoch", range(n))]
    if len(counted) != n:
        raise ValueError(f"{name}.epoch holds {len(counted)} epochs, but its curves {n} numbers")
    best = getattr(value, "best_epoch", None)
    if best is not None and best not in counted:
        raise ValueError(f"{name}.best_epoch is {best}, which is none of its epochs {counted[0]} to {counted[-1]}")
    decided = None if best is None else (int(best) + 1, str(getattr(value, "monitor", "val_loss")))
    return Run(np.array(counted) + 1, values, decided)
