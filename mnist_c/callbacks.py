"""What happens between epochs and batches, with the names and arguments of Keras.

    class Printer(mc.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            print(epoch, logs["loss"], self.model.optimizer.learning_rate)

    stop = mc.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(x, y, epochs=100, validation_split=0.2, callbacks=[stop, Printer()])

`epoch` and `batch` count from 0. `logs` is a dict of the figures so far; what a callback adds to those of an epoch
stands in the history as well. `model.stop_training = True` ends training after the batch or epoch. An exception in a
callback ends `fit`; the model keeps its weights. `on_train_end` is called however training ended.

`model.request_stop()` ends `fit` at once, within an epoch: history.stopped_by is then "request", and
fit(..., resume=True) goes on from there. A callback with a state that matters when training is resumed, such as the
count of epochs it has waited, overrides `get_state` and `set_state`; a `ModelCheckpoint` keeps it.
"""

import csv
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from . import _inputs
from ._callback import Callback, Monitor
from ._callback import Logs as Logs
from ._lookup import check_factor, check_number
from ._model_checkpoint import ModelCheckpoint
from .history import History

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TargetAccuracy",
    "TimeBudget",
]


class EarlyStopping(Monitor):
    """Stops when a figure has not improved for `patience` epochs.

    monitor: "val_loss", "val_accuracy", "loss", ... mode: "min", "max", or "auto" from the name.
    min_delta: what counts as an improvement must be larger. baseline: epochs that do not pass it count as waiting, too.
    restore_best_weights: put the weights of the best epoch back, however training ended: early, with the last epoch, by
    Ctrl-C or by an error. start_from_epoch: epochs before this one are not looked at. verbose: 1 says so.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = _inputs.whole("patience", patience, 0)
        self.verbose = verbose
        self.baseline = None if baseline is None else check_number("baseline", baseline)
        self.restore_best_weights = _inputs.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = _inputs.whole("start_from_epoch", start_from_epoch, 0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self.wait = self.best_epoch = 0
        self.stopped_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.value(logs)
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        improved = self.improves(value, self.best)
        if improved:
            self.best, self.best_epoch = value, epoch
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        if self.restore_best_weights and (improved or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        if not improved and self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "wait": self.wait,
            "best_weights": self.best_weights,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_epoch, self.wait = state["best"], int(state["best_epoch"]), int(state["wait"])
        self.best_weights = state["best_weights"]


class TargetAccuracy(Callback):
    """Stops after the first epoch whose accuracy reaches a target.

    target: a share, 0.98 for 98 %. monitor: "val_accuracy", "accuracy", "val_acc", ...
    """

    def __init__(self, target: float, monitor: str = "val_accuracy") -> None:
        self.target = check_factor("target", target)
        if not 0 < self.target <= 1:
            raise ValueError(
                f"target must be above 0 and at most 1, not {target!r}: accuracies are shares, 0.98 for 98 %"
            )
        self._watch = Monitor(monitor, "max", 0.0)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._watch.set_params(self.params)
        self._watch.on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._watch.value(logs) >= self.target:
            self.model.stop_training = True


class TimeBudget(Callback):
    """Stops `seconds` after `fit` began to train, after the batch, slice of 50 ms, validation or file then under way.

    history.stopped_by is "time budget"; fit(..., resume=True) goes on where it stopped, with a budget of its own.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = check_factor("seconds", seconds)
        self._timer: threading.Timer | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._timer = threading.Timer(self.seconds, self.model.request_stop, ["time budget"])
        self._timer.daemon = True
        self._timer.start()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()  # so that it cannot stop the next training
            self._timer = None


def _constant_rate(callback: Callback) -> float:
    """The learning rate as a number. Raises TypeError if it is a schedule, which a callback would overwrite."""
    rate = callback.model.optimizer.learning_rate if callback.model.optimizer else None
    if rate is None or callable(rate):
        raise TypeError(f"{type(callback).__name__} needs an optimizer whose learning_rate is a number, not {rate!r}")
    return float(rate)


def _set_rate(callback: Callback, rate: float) -> None:
    assert callback.model.optimizer is not None
    callback.model.optimizer.learning_rate = rate


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch: to schedule(epoch, rate), or schedule(epoch) if it takes one argument.

    verbose: 1 prints it. See `mnist_c.schedules` for rates that change with every step.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"schedule must be a function (epoch, rate) -> rate, not {schedule!r}")
        self.schedule, self.verbose = schedule, verbose

    def on_train_begin(self, logs: Logs | None = None) -> None:
        from inspect import signature

        try:
            signature(self.schedule).bind(0, 0.0)
            self._arguments = 2
        except TypeError:
            self._arguments = 1

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = self.schedule(*(epoch, _constant_rate(self))[: self._arguments])
        _set_rate(self, check_factor(f"schedule({epoch})", rate))
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {float(rate)}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = _constant_rate(self)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when a figure has not improved for `patience` epochs.

    cooldown: epochs after a change that do not count. min_lr: no rate below. min_delta: what counts as an improvement
    must be larger. monitor, mode: as in `EarlyStopping`. verbose: 1 prints each change.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = check_factor("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"factor must be below 1, not {factor!r}: it makes the learning rate smaller")
        self.patience = _inputs.whole("patience", patience, 0)
        self.verbose = verbose
        self.cooldown = _inputs.whole("cooldown", cooldown, 0)
        self.min_lr = check_factor("min_lr", min_lr)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self.wait = self.cooldown_counter = 0
        _constant_rate(self)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value, rate = self.value(logs), _constant_rate(self)
        assert logs is not None
        logs["learning_rate"] = rate
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                new = max(rate * self.factor, self.min_lr)
                _set_rate(self, new)
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
                self.cooldown_counter, self.wait = self.cooldown, 0

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best, self.wait = state["best"], int(state["wait"])
        self.cooldown_counter = int(state["cooldown_counter"])


class CSVLogger(Callback):
    """Writes the figures of each epoch as a line of a CSV file, as soon as they are known.

    append: go on with an existing file instead of overwriting it; give it to a training that is resumed, too, or the
    lines of the earlier epochs are lost. An epoch whose end was interrupted and done again has two lines then.
    """

    def __init__(self, filename: "str | os.PathLike[str]", separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator = os.fspath(filename), str(separator)
        self.append = _inputs.flag("append", append)
        self._file: TextIO | None = None
        self._writer: Any = None  # knows the columns, from the first epoch on

    def on_train_begin(self, logs: Logs | None = None) -> None:
        started = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._header = not started

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        assert self._file is not None
        if self._writer is None:
            names = ["epoch", *sorted(logs or {})]
            self._writer = csv.DictWriter(self._file, names, extrasaction="ignore", delimiter=self.separator)
            if self._header:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **(logs or {})})
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = self._writer = None


class LambdaCallback(Callback):
    """A callback from functions: on_epoch_begin and on_epoch_end (epoch, logs), on_train_begin and on_train_end (logs),
    on_train_batch_begin and on_train_batch_end (batch, logs)."""

    def __init__(
        self,
        on_epoch_begin: Callable[[int, Logs | None], Any] | None = None,
        on_epoch_end: Callable[[int, Logs | None], Any] | None = None,
        on_train_begin: Callable[[Logs | None], Any] | None = None,
        on_train_end: Callable[[Logs | None], Any] | None = None,
        on_train_batch_begin: Callable[[int, Logs | None], Any] | None = None,
        on_train_batch_end: Callable[[int, Logs | None], Any] | None = None,
    ) -> None:
        functions = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name, function in functions.items():
            if function is not None:
                if not callable(function):
                    raise TypeError(f"{name} must be a function, not {function!r}")
                setattr(self, name, function)
