"""What a training run was like, epoch by epoch."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

from ._lookup import wrong_type

if TYPE_CHECKING:
    from .model import Sequential


Best: TypeAlias = "tuple[float | None, int | None, list[NDArray[Any]] | None]"


def mode_of(name: str) -> str:
    """ "max" for an accuracy, "min" for a loss. Raises ValueError for a name that tells neither."""
    if name.endswith("loss"):
        return "min"
    if name.endswith(("accuracy", "acc")):
        return "max"
    raise ValueError(f"whether {name!r} should grow or shrink cannot be told from its name: give mode='min' or 'max'")


def better(value: float, reference: float | None, mode: str, min_delta: float = 0.0) -> bool:
    """Whether a figure beats another by more than min_delta. Anything but nan beats None."""
    if reference is None:
        return not math.isnan(value)
    return value < reference - min_delta if mode == "min" else value > reference + min_delta


class History:
    """The record that `fit` returns and that `model.history` holds while it runs.

    history: dict of lists with one float per finished epoch:
        "loss", "accuracy"          running means over the epoch, with dropout, as in Keras
        "val_loss", "val_accuracy"  where there are validation data
        "eval_loss", "eval_accuracy"  the training data after the epoch, without dropout: fit(evaluate_training=True)
        and what callbacks add, such as "learning_rate".
    epoch: list of int, the numbers of those epochs.
    learning_rate: that of each epoch's last step. seconds: what each epoch took, validation included.
    monitor: the figure that decides what is best: "val_loss", or "loss" without validation data, or what the first
    EarlyStopping among the callbacks watches.
    best_epoch: the number of the best epoch so far. best_weights: the weights after it, as `get_weights` gives them.
    Both are None before the first epoch. Any improvement counts, while EarlyStopping may ask for more (min_delta).
    stopped_by: None while training, then "epochs" (all were done), "callback", "interrupt", "error", or the reason
    given to `model.request_stop`: "request", or "time budget" after `callbacks.TimeBudget`.
    params: dict with "epochs" (asked for), "steps" (batches per epoch), "batch_size", "shuffle", "verbose" and
    "metrics" (names).
    class_shares: where rows of the training data have weights, the share of each class in their sum, 0 if that is 0;
    None elsewhere.
    seed: that of the model, so that a run can be repeated.
    """

    class_shares: list[float] | None = None  # here for what was pickled before there was any

    def __init__(self, model: "Sequential", params: dict[str, Any], monitor: str = "loss", mode: str = "min") -> None:
        self.model = model
        self.params = params
        self.seed = model.seed
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}
        self.learning_rate: list[float] = []
        self.seconds: list[float] = []
        self.monitor, self._mode = monitor, mode
        self.best_epoch: int | None = None
        self.best_weights: list[NDArray[Any]] | None = None
        self._best: float | None = None
        self.stopped_by: str | None = None

    def append(self, epoch: int, logs: Mapping[str, float], learning_rate: float, seconds: float) -> None:
        """Adds an epoch with the figures that were measured."""
        self.epoch.append(epoch)
        self.learning_rate.append(learning_rate)
        self.seconds.append(seconds)
        self._set_last(logs)

    def finish(self, logs: Mapping[str, float]) -> None:
        """Takes over what callbacks added to the last epoch, and keeps the model's weights if it is the best."""
        self._set_last(logs)
        value = self.history.get(self.monitor, [math.nan])[-1]
        if better(value, self._best, self._mode):
            self._best, self.best_epoch, self.best_weights = value, self.epoch[-1], self.model.get_weights()

    # ------------------------------------------------------------ for checkpoints

    @property
    def best(self) -> Best:
        """(figure, epoch, weights) of the best epoch, each None before the first."""
        return self._best, self.best_epoch, self.best_weights

    def get_state(self, epochs: int, best: Best) -> dict[str, Any]:
        """The record of the first so many epochs, after which `best` was the best."""
        return {
            "epoch": self.epoch[:epochs],
            "history": {name: values[:epochs] for name, values in self.history.items() if epochs},
            "learning_rate": self.learning_rate[:epochs],
            "seconds": self.seconds[:epochs],
            "best": list(best),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` returned. Raises ValueError if it holds columns of different lengths."""
        columns = [state["epoch"], state["learning_rate"], state["seconds"], *state["history"].values()]
        if len({len(column) for column in columns}) > 1:
            raise ValueError("the columns of the history have different lengths")
        self.epoch = [int(epoch) for epoch in state["epoch"]]
        self.learning_rate, self.seconds = list(map(float, state["learning_rate"])), list(map(float, state["seconds"]))
        self.history = {name: list(map(float, values)) for name, values in state["history"].items()}
        self._best, self.best_epoch, self.best_weights = state["best"]

    def _set_last(self, logs: Mapping[str, float]) -> None:
        """Sets the figures of the last epoch; what an epoch lacks is nan there."""
        n, figures = len(self.epoch), {name: _figure(name, value) for name, value in logs.items()}
        for name in {**self.history, **figures}:
            values = self.history.setdefault(name, [])
            values[n - 1 :] = [math.nan] * (n - 1 - len(values)) + [figures.get(name, math.nan)]

    # ------------------------------------------------------------ files and pictures

    def to_csv(self, path: "str | os.PathLike[str] | None" = None) -> str:
        """One line per epoch: epoch, learning_rate, seconds and all of `history`. path: where to write it as well."""
        columns = {"epoch": self.epoch, "learning_rate": self.learning_rate, "seconds": self.seconds, **self.history}
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return _write(path, out.getvalue())

    def to_json(self, path: "str | os.PathLike[str] | None" = None) -> str:
        """All but weights and model, as one JSON object; nan becomes null. path: where to write it as well."""
        names = (
            "epoch",
            "history",
            "learning_rate",
            "seconds",
            "params",
            "seed",
            "monitor",
            "best_epoch",
            "stopped_by",
            "class_shares",
        )
        return _write(path, json.dumps({name: _plain(getattr(self, name)) for name in names}) + "\n")

    def plot(self, ax: Any = None) -> Any:
        """Draws loss and accuracy: `mnist_c.plots.training_curves`. ax: one Axes for each of them."""
        from .plots import training_curves

        figures = [name for name in self.params["metrics"] if not name.startswith(("val_", "eval_"))]
        return training_curves(self, metrics=figures, ax=ax)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4f}" for name, values in self.history.items())
        return f"<History: {len(self.epoch)} of {self.params['epochs']} epochs{last and '; last: '}{last}>"


def _figure(name: str, value: Any) -> float:
    """What a callback put into the logs, as a float. Raises TypeError if it is no number."""
    try:
        if not isinstance(value, (str, bytes)):  # which float would read
            return float(value)
    except (TypeError, ValueError):
        pass
    raise wrong_type(f"logs[{name!r}]", value, "a number, as an epoch has one of each figure")


def _plain(value: Any) -> Any:
    """What JSON can hold: nan and infinity have no name there."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: "str | os.PathLike[str] | None", text: str) -> str:
    if path is not None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return text
