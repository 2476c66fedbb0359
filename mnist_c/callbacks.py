"""What happens between epochs and batches, with the names and arguments of Keras.

    class Printer(mc.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            print(epoch, logs["loss"], self.model.optimizer.learning_rate)

    stop = mc.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(x, y, epochs=100, validation_split=0.2, callbacks=[stop, Printer()])

`epoch` and `batch` count from 0. `logs` is a dict of the figures so far; what a callback adds to those of an epoch
stands in the history as well. `model.stop_training = True` ends training after the batch or epoch. An exception in a
callback ends `fit`; the model keeps its weights. `on_train_end` is called however training ended.
"""

import csv
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from . import _inputs
from ._lookup import check_factor, check_number
from .history import History, better, mode_of

if TYPE_CHECKING:
    from .model import Sequential

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
]

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


class Hooks:
    """The callbacks of one run. Raises TypeError for what is no callback."""

    BATCH_HOOKS: ClassVar[tuple[str, ...]] = (
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_batch_begin",
        "on_batch_end",
    )

    def __init__(self, callbacks: object) -> None:
        given: list[Any] = (
            [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        )
        for callback in given:
            if isinstance(callback, type) and issubclass(callback, Callback):
                raise TypeError(f"callbacks holds the class {callback.__name__}: make an object, {callback.__name__}()")
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must hold objects of mnist_c.callbacks, not {callback!r}")
        self._callbacks: list[Callback] = given
        self._begun: list[Callback] = []
        self.by_batch = any(_overrides(callback, hook) for callback in given for hook in self.BATCH_HOOKS)

    @property
    def monitor(self) -> tuple[str, str] | None:
        """(figure, mode) that the first EarlyStopping watches."""
        watching = (callback for callback in self._callbacks if isinstance(callback, EarlyStopping))
        return next(((callback.monitor, callback.mode) for callback in watching), None)

    def begin(self, model: "Sequential", params: Mapping[str, Any]) -> None:
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)
        for callback in self._callbacks:
            callback.on_train_begin({})
            self._begun.append(callback)

    def call(self, hook: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)

    def end(self, logs: Logs) -> None:
        """Calls on_train_end of all that began, even if one of them fails; then raises the first error."""
        errors = []
        while self._begun:
            try:
                self._begun.pop(0).on_train_end(logs)
            except BaseException as error:
                errors.append(error)
        if errors:
            raise errors[0]


def _overrides(callback: Callback, hook: str) -> bool:
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook)


class _Monitor(Callback):
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


class EarlyStopping(_Monitor):
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


class ReduceLROnPlateau(_Monitor):
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


class CSVLogger(Callback):
    """Writes the figures of each epoch as a line of a CSV file, as soon as they are known.

    append: go on with an existing file instead of overwriting it.
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
