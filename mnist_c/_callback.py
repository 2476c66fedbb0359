"""The protocol of callbacks, and what those that watch a figure share. `mnist_c.callbacks` has the callbacks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._lookup import check_factor
from .history import better, mode_of

if TYPE_CHECKING:
    from .model import Sequential

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks; override what you need. Batches are visited one by one only where a batch hook is.

    There are no hooks of tests and predictions: validation runs in one piece between two hooks of the epoch.

    model: the `Sequential` in training. params: dict with "epochs", "steps", "batch_size", "verbose" and "metrics",
    the names of the figures of an epoch.
    """

    model: "Sequential"
    params: Mapping[str, Any]

    def set_model(self, model: "Sequential") -> None:
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """At the end, also after an error or Ctrl-C. logs: those of the last epoch that was finished."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch. A learning rate that is set here holds for it."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch. A learning rate that is set here holds for it."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch. logs: loss and accuracy of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The older name of `on_train_batch_end`."""

    def get_state(self) -> Mapping[str, Any] | None:
        """What a checkpoint must hold of this callback, so that training goes on as if it had not been interrupted.

        A dict of plain values (numbers, texts, None, lists, dicts, NumPy arrays), or None: this callback needs nothing.
        Lists and dicts are copied at once. Arrays are not: do not change them in place, put new ones there instead.
        """
        return None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes over what `get_state` returned. Called after `on_train_begin`, when training is resumed."""


class Monitor(Callback):
    """A callback that watches one figure."""

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', not {mode!r}")
        self.monitor = str(monitor)
        self.mode = mode_of(self.monitor) if mode == "auto" else mode
        self.min_delta = check_factor("min_delta", min_delta)
        self.best: float | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = None
        names = self.params.get("metrics", [])
        if self.monitor not in names and self.monitor.removeprefix("val_") in names:
            raise ValueError(
                f"{type(self).__name__} watches {self.monitor!r}, but there are no validation data: give fit a "
                f"validation_split or validation_data, or watch {names[0]!r}"
            )

    def value(self, logs: Logs | None) -> float:
        if self.monitor not in (logs or {}):
            there = ", ".join(logs or {})
            raise ValueError(f"{type(self).__name__} watches {self.monitor!r}, but an epoch has only: {there}")
        assert logs is not None
        return float(logs[self.monitor])

    def improves(self, value: float, reference: float | None) -> bool:
        return better(value, reference, self.mode, self.min_delta)
