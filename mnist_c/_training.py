"""The loop over epochs behind `Sequential.fit`. Everything was checked before it starts."""

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _core, schedules
from .callbacks import Hooks
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
    evaluate_training: bool
    verbose: int
    hooks: Hooks

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-self.train.rows // self.batch_size)


def run(model: "Sequential", job: Run) -> History:
    """Trains; the record is in model.history from the beginning, so that an interrupt does not lose it."""
    metric = model.metric if model._state.plan.outputs > 1 else None
    history = _history(model, job, metric)
    model.history, model.stop_training = history, False
    progress = Progress(job.verbose, job.epochs, job.steps, metric)
    epoch, logs = job.initial_epoch, {}
    try:
        job.hooks.begin(model, history.params)
        for epoch in range(job.initial_epoch, job.epochs):
            logs = _epoch(model, job, epoch, history, progress)
            try:
                job.hooks.call("on_epoch_end", epoch, logs)
            finally:
                history.finish(logs)
            if model.stop_training:
                break
        history.stopped_by = "callback" if model.stop_training else "epochs"
    except KeyboardInterrupt:
        history.stopped_by = "interrupt"
        progress.interrupted(epoch, len(history.epoch))
        raise
    except BaseException:
        history.stopped_by = "error"
        raise
    finally:
        progress.close()
        job.hooks.end(logs)
    return history


def _history(model: "Sequential", job: Run, metric: str | None) -> History:
    names = ["loss", metric] if metric else ["loss"]
    measured = [""] + ["eval_"] * job.evaluate_training + ["val_"] * (job.validation is not None)
    params = {
        "epochs": job.epochs,
        "steps": job.steps,
        "batch_size": job.batch_size,
        "shuffle": job.shuffle,
        "verbose": job.verbose,
        "metrics": [prefix + name for prefix in measured for name in names],
    }
    monitor, mode = job.hooks.monitor or ("loss" if job.validation is None else "val_loss", "min")
    return History(model, params, monitor, mode)


def _epoch(model: "Sequential", job: Run, epoch: int, history: History, progress: Progress) -> dict[str, float]:
    """One pass over the training rows, then validation; the figures are recorded and printed."""
    start = time.perf_counter()
    progress.begin_epoch(epoch)
    job.hooks.call("on_epoch_begin", epoch, {})
    logs, rate = _pass(model, job, epoch, progress)
    for prefix, data in (("eval_", job.train if job.evaluate_training else None), ("val_", job.validation)):
        if data is not None:
            loss, accuracy, _ = model._score(data)
            logs.update({prefix + name: value for name, value in model._logs(loss, accuracy).items()})
    history.append(epoch, logs, rate, time.perf_counter() - start)
    progress.end_epoch(logs)
    return logs


def _pass(model: "Sequential", job: Run, epoch: int, progress: Progress) -> tuple[dict[str, float], float]:
    """One pass over the training rows; returns running loss and accuracy, and the rate of the last step."""
    network, _ = model._trainable_network()
    epochs_begun, step, optimizer_step = network.progress()
    n, size, by_batch = job.train.rows, job.batch_size, job.hooks.by_batch
    order = _core.permutation(model.seed, epochs_begun, n) if job.shuffle else np.arange(n, dtype=np.uint32)
    network.set_progress(epochs_begun + 1, step, optimizer_step)
    stride, report = (1, None) if by_batch else (job.steps, progress.report)
    loss_sum, correct, rows, logs = 0.0, 0, 0, {}
    for batch in range(0, job.steps, stride):
        if by_batch:
            job.hooks.call("on_train_batch_begin", batch, {})
        network, optimizer = model._trainable_network()  # other ones, if a hook compiled the model anew
        rates = schedules.rates(optimizer.learning_rate, network.progress()[2], stride)
        part = order[batch * size : (batch + stride) * size]
        try:
            done = network.fit(job.train, part, size, rates, report)
        except _core.NotFiniteError as error:
            raise not_finite(error, epoch, batch) from None
        loss_sum, correct, rows = loss_sum + done[0], correct + done[1], rows + done[2]
        logs = model._logs(loss_sum / rows, model._share(correct, rows))
        if by_batch:
            progress.report(batch + 1, loss_sum, correct, rows)
            job.hooks.call("on_train_batch_end", batch, dict(logs))
            if model.stop_training:
                break
    return logs, float(rates[-1])


def not_finite(error: _core.NotFiniteError, epoch: int, first: int = 0) -> _core.NotFiniteError:
    """An error with the epoch, which the core does not know. epoch and batch count from 0, the text from 1.

    first: the batch at which the core began to count.
    """
    batch = first + (getattr(error, "batch", None) or 0)
    new = _core.NotFiniteError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: that batch was not applied, the weights are those "
        "before it. The usual causes are a learning rate that is too high and inputs that are not scaled"
    )
    new.epoch, new.batch = epoch, batch  # type: ignore[attr-defined]
    return new
