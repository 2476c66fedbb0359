"""`ModelCheckpoint`: the model and the state of its training in files, while it trains."""

import os
from collections.abc import Mapping
from typing import Any

from . import _inputs
from ._callback import Logs, Monitor
from ._config import plain
from ._lookup import check_number


class ModelCheckpoint(Monitor):
    """Writes a checkpoint after each epoch, or after every so many batches; Keras's names and arguments.

        keep = mc.callbacks.ModelCheckpoint("run-{epoch:02d}-{val_loss:.2f}.safetensors")
        model.fit(x, y, epochs=20, validation_split=0.1, callbacks=[keep])

    A checkpoint is a model file, which `mnist_c.load_model` reads, and holds all that `fit(..., resume=path)` needs to
    end in the bits of the run that was never interrupted: optimizer, epoch and batch, sums of the epoch so far, state
    of the callbacks, history, SHA-256 of the data. A file is there whole or not at all: while one is written, the old
    one of that name stays.

    filepath: a name in which {epoch}, counted from 1, {batch} and figures such as {val_loss:.2f} are filled in. A
    folder that is missing is created.
    save_freq: "epoch", or a number of batches, counted from the beginning of the training. Figures are then those of
    the epoch so far, without validation.
    save_best_only: write only when `monitor` has improved; mode: "min", "max", or "auto" from the name;
    initial_value_threshold: what the first one must improve on. save_weights_only: write what `model.save_weights`
    does, from which training cannot be resumed. verbose: 1 says so.

    It writes after all callbacks were called, wherever it stands among them.
    """

    def __init__(
        self,
        filepath: "str | os.PathLike[str]",
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: "str | int" = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        self.save_best_only = _inputs.flag("save_best_only", save_best_only)
        super().__init__(monitor, mode if self.save_best_only or mode != "auto" else "min", 0.0)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_weights_only = _inputs.flag("save_weights_only", save_weights_only)
        self.save_freq = save_freq if save_freq == "epoch" else _inputs.whole("save_freq", save_freq, 1)
        first = initial_value_threshold
        self.initial_value_threshold = None if first is None else check_number("initial_value_threshold", first)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.save_best_only:
            super().on_train_begin(logs)
        self.best = self.initial_value_threshold
        if self.save_freq != "epoch":
            self._check_figures()
        if not self.save_weights_only:
            try:
                plain(self.model.optimizer)
            except TypeError as error:
                raise TypeError(
                    f"a checkpoint cannot hold this optimizer: {error}. Numbers and the schedules of mnist_c.schedules "
                    "can be saved as learning rates; or use save_weights_only=True"
                ) from None

    def _check_figures(self) -> None:
        """Raises ValueError, before training, for a figure that is not there within an epoch."""
        names = self.params.get("metrics", [])
        logs = {name: 0.0 for name in names if not name.startswith(("val_", "eval_"))}
        self.path(1, 1, logs)
        if self.save_best_only and self.monitor not in logs:
            raise ValueError(
                f"ModelCheckpoint watches {self.monitor!r}, but after {self.save_freq} batches there are only "
                f"{', '.join(logs)}: watch one of these, or use save_freq='epoch'"
            )

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best = state["best"]

    # ------------------------------------------------------------ called by the loop

    def batches_left(self, done: int) -> int | None:
        """After how many more batches it wants to be asked, `done` having been trained; None: not within an epoch."""
        return None if isinstance(self.save_freq, str) else self.save_freq - done % self.save_freq

    def due(self, done: int, logs: Logs, epoch_ended: bool) -> bool:
        """Whether to write now. `done` batches have been trained. Takes note of a figure that has improved."""
        if epoch_ended != isinstance(self.save_freq, str) or (not epoch_ended and done % int(self.save_freq)):
            return False
        if not self.save_best_only:
            return True
        value = self.value(logs)
        improved = self.improves(value, self.best)
        if improved:
            self.best = value
        return improved

    def path(self, epoch: int, batch: int, logs: Mapping[str, Any]) -> str:
        """The name of the file; epoch and batch count from 1. Raises ValueError for a figure that is not there."""
        try:
            return self.filepath.format(**{**logs, "epoch": epoch, "batch": batch})
        except (KeyError, IndexError, ValueError) as error:
            there = ", ".join(["epoch", "batch", *logs])
            raise ValueError(
                f"the filepath {self.filepath!r} of ModelCheckpoint cannot be filled in ({error}): there are {there}"
            ) from None
