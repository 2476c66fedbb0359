"""The loop over epochs behind `Sequential.fit`. Everything was checked before it starts."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _core, schedules
from .history import History
from .progress import Progress

if TYPE_CHECKING:
    from .model import Sequential


class Run(NamedTuple):
    """One call of fit. Epochs count from 0 and run from initial_epoch to epochs - 1."""

    train: _core.Data
    validation: _core.Data | None
    batch_size: int
    epochs: int
    initial_epoch: int
    shuffle: bool
    verbose: int


def run(model: "Sequential", job: Run) -> History:
    """Trains; the record is in model.history from the beginning, so that an interrupt does not lose it."""
    n = job.train.rows
    steps = -(-n // job.batch_size)
    history = History(model, {"epochs": job.epochs, "steps": steps, "batch_size": job.batch_size})
    model.history = history
    metric = model.metric if model._state.plan.outputs > 1 else None
    progress = Progress(job.verbose, job.epochs, steps, metric)
    epoch = job.initial_epoch
    try:
        for epoch in range(job.initial_epoch, job.epochs):
            progress.begin_epoch(epoch)
            logs = _epoch(model, job, epoch, steps, progress)
            if job.validation is not None:
                loss, accuracy, _ = model._score(job.validation)
                logs.update({f"val_{name}": value for name, value in model._logs(loss, accuracy).items()})
            history.append(epoch, logs)
            progress.end_epoch(logs)
    except KeyboardInterrupt:
        progress.interrupted(epoch, len(history.epoch))
        raise
    finally:
        progress.close()
    return history


def _epoch(model: "Sequential", job: Run, epoch: int, steps: int, progress: Progress) -> dict[str, float]:
    """One pass over the training rows; returns its running loss and accuracy."""
    network, optimizer = model._trainable_network()
    epochs_begun, step, optimizer_step = network.progress()
    n = job.train.rows
    order = _core.permutation(model.seed, epochs_begun, n) if job.shuffle else np.arange(n, dtype=np.uint32)
    rates = schedules.rates(optimizer.learning_rate, optimizer_step, steps)
    network.set_progress(epochs_begun + 1, step, optimizer_step)
    try:
        loss_sum, correct, rows = network.fit(job.train, order, job.batch_size, rates, progress.report)
    except _core.NotFiniteError as error:
        raise not_finite(error, epoch) from None
    return model._logs(loss_sum / rows, model._share(correct, rows))


def not_finite(error: _core.NotFiniteError, epoch: int) -> _core.NotFiniteError:
    """An error with the epoch, which the core does not know. epoch and batch count from 0, the text from 1."""
    batch = getattr(error, "batch", None) or 0
    new = _core.NotFiniteError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: that batch was not applied, the weights are those "
        "before it. The usual causes are a learning rate that is too high and inputs that are not scaled"
    )
    new.epoch, new.batch = epoch, batch  # type: ignore[attr-defined]
    return new
