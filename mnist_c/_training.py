"""The loop over epochs behind `Sequential.fit`. Everything was checked before it starts.

What has been done stands in `Training.point` at any time, so that whatever ends the loop leaves a place to go on from.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _checkpoint, _core
from ._checkpoint import BEGIN, END, TRAIN, Call, Checkpoint, Noted, Point
from ._divergence import not_finite
from ._fingerprint import Examples, Fingerprint
from ._hooks import Hooks, States
from ._lock import Lock
from ._model_checkpoint import ModelCheckpoint
from .history import History
from .progress import Progress

if TYPE_CHECKING:
    from .model import Sequential

_BEGINNING = Lock()  # held for the moment in which a fit notes that it begins


class Run(NamedTuple):
    """One call of fit. Epochs count from 0 and run from initial_epoch to epochs - 1.

    settings, data: what a checkpoint must have been made with. resume, point: where to go on, and its numbers, checked.
    """

    train: _core.Data
    validation: _core.Data | None
    batch_size: int
    epochs: int
    initial_epoch: int
    shuffle: bool
    evaluate_training: bool
    verbose: int
    hooks: Hooks
    settings: dict[str, Any]
    data: Fingerprint
    resume: Checkpoint | None
    point: Point | None

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return steps_per_epoch(self.train.rows, self.batch_size)


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """The last batch may be smaller."""
    return -(-rows // batch_size)


class StopRequested(Exception):
    """Raised between two slices, within this module, after `model.request_stop`."""


@contextmanager
def alone(model: "Sequential") -> Iterator[None]:
    """For one fit of a model. Raises RuntimeError, before anything is changed, while there is another."""
    me = (threading.get_ident(), object())
    try:
        with _BEGINNING.now:
            if model._fitting is None:
                model._stop_requested, model._fitting = None, me
        if model._fitting is not me:
            raise RuntimeError("this model is being trained: wait until that fit has ended, or model.request_stop()")
        if model._network_state is not None:
            with model._network_state.lock:  # a call in another thread that had begun to change it is done
                pass
        yield
    finally:
        if model._fitting is me:
            model._fitting = None


def run(model: "Sequential", job: Run) -> History:
    """Trains; the record is in model.history from the first epoch on, so that an interrupt does not lose it."""
    metric = model.metric if model._has_accuracy else None
    history = _history(model, job, metric)
    model.stop_training = False
    return Training(model, job, history, Progress(job.verbose, job.epochs, job.steps, metric)).run()


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
    history = History(model, params, monitor, mode)
    history.class_shares = _class_shares(job.data.train, model._state.plan.outputs, metric is not None)
    return history


def _class_shares(train: Examples, outputs: int, classifies: bool) -> list[float] | None:
    """The share of each class in the sum of the weights, 0 if that is 0; None without weights."""
    if train.weights is None or not classifies:
        return None
    labels = (train.targets if outputs > 1 else train.targets.yes_or_no()).classes()
    sums = np.bincount(labels, weights=train.weights, minlength=max(outputs, 2))
    return [float(share) for share in sums / (sums.sum() or 1.0)]


class Training:
    """The loop and where it stands."""

    def __init__(self, model: "Sequential", job: Run, history: History, progress: Progress) -> None:
        self.model, self.job, self.history, self.progress = model, job, history, progress
        self.point = job.point or self._epoch_point(job.initial_epoch, None)
        self.begun = False
        self._orders: dict[int, NDArray[np.uint32]] = {}  # of the epoch under way, by `Point.begun`
        self.logs: dict[str, float] = {}

    def run(self) -> History:
        model, job, history = self.model, self.job, self.history
        try:
            job.hooks.begin(model, history.params)
            self._begin()
            while self.point.epoch < job.epochs and not (model.stop_training and self.point.phase == BEGIN):
                self._check_stop()
                self._epoch()
            model._state.take_average()
            history.stopped_by = "callback" if model.stop_training else "epochs"
            model._interrupted = None
        except StopRequested:
            history.stopped_by = model._stop_requested
            self._keep()
        except KeyboardInterrupt:
            history.stopped_by = "interrupt"
            if self.begun:
                self._keep()
                self.progress.interrupted(self.point.epoch, len(history.epoch))
            raise
        except BaseException:
            history.stopped_by = "error"
            raise
        finally:
            self.progress.close()
            job.hooks.end(self.logs)
        return history

    def _begin(self) -> None:
        """Puts the model where training begins. Until then, what an earlier fit left is there to be resumed."""
        model, checkpoint = self.model, self.job.resume
        model._interrupted = checkpoint
        if checkpoint is None:
            model._state.before_change = None
        else:
            _checkpoint.restore(model, checkpoint)
            self.history.set_state(checkpoint.record["history"])
            if self.point.noted.states is not None:
                self.job.hooks.set_states(self.point.noted.states)
        model.history, self.begun = self.history, True

    # ------------------------------------------------------------ where it stands

    def _noted(self, states: States | None) -> Noted:
        model = self.model
        return Noted(states, _checkpoint.rate_of(model.optimizer), model.stop_training)

    def _epoch_point(self, epoch: int, states: States | None) -> Point:
        """Before an epoch. states: of the callbacks; None where they have just begun."""
        return Point(
            epoch=epoch,
            phase=BEGIN,
            begun=self.model._state.network.progress()[0],
            batch=0,
            totals=(0.0, 0, 0),
            last_rate=math.nan,
            seconds=0.0,
            recorded=len(self.history.epoch),
            best=self.history.best,
            noted=self._noted(states),
        )

    def _take(self, point: Point) -> Checkpoint:
        return _checkpoint.take(self.model, self.job.settings, self.job.data, self.history, point)

    def _keep(self) -> None:
        """For fit(resume=True). The learning rate goes back to where that will begin."""
        checkpoint = self._take(self.point)
        rate = checkpoint.record["learning_rate"]
        if rate is not None and self.model.optimizer is not None:
            self.model.optimizer.learning_rate = rate
        self.model._state.before_change = checkpoint.arrays.copies
        self.model._interrupted = checkpoint

    def _check_stop(self) -> None:
        if self.model._stop_requested is not None:
            raise StopRequested

    # ------------------------------------------------------------ an epoch

    def _epoch(self) -> None:
        """One pass over the training rows, then validation; the figures are recorded and printed.

        Begins where `point` stands, and leaves it before the next epoch.
        """
        model, job, history, epoch = self.model, self.job, self.history, self.point.epoch
        start = time.perf_counter() - self.point.seconds
        self.progress.begin_epoch(epoch)
        if self.point.phase == BEGIN:
            job.hooks.call("on_epoch_begin", epoch, {})
            _, step, optimizer_step = model._trainable_network()[0].progress()
            self.point = self.point._replace(phase=TRAIN, noted=self._noted(job.hooks.states()))
            model._state.network.set_progress(self.point.begun + 1, step, optimizer_step)
        while self.point.phase != END:
            self._check_stop()
            self._slice(start)
        self._check_stop()
        logs = self._running()
        for prefix, data in (("eval_", job.train if job.evaluate_training else None), ("val_", job.validation)):
            if data is not None:
                loss, accuracy, _ = model._score(data)
                logs.update({prefix + name: value for name, value in model._logs(loss, accuracy).items()})
        history.append(epoch, logs, self.point.last_rate, time.perf_counter() - start)
        self.progress.end_epoch(logs)
        self.logs = logs
        try:
            job.hooks.call("on_epoch_end", epoch, logs)
        finally:
            history.finish(logs)
        due = self._due(logs, epoch_ended=True)
        following = self._epoch_point(epoch + 1, job.hooks.states())
        self._save(due, logs, following)
        self.point = following

    def _running(self) -> dict[str, float]:
        """Loss and accuracy of the epoch so far."""
        loss_sum, correct, rows = self.point.totals
        return self.model._logs(loss_sum / rows, self.model._share(correct, rows))

    def _slice(self, start: float) -> None:
        """Some batches of the epoch, in the core in one piece, with the hooks and files before and after them."""
        model, job, hooks = self.model, self.job, self.job.hooks
        if self.point.phase == TRAIN:
            left = job.steps - self.point.batch
            batches = min(left, 1 if hooks.by_batch else hooks.batches_left(self._done()) or left)
            if hooks.by_batch:
                hooks.call("on_train_batch_begin", self.point.batch, {})
            self._fit(batches)
        logs = self._running()
        if hooks.by_batch:
            hooks.call("on_train_batch_end", self.point.batch - 1, dict(logs))
        due = self._due(logs, epoch_ended=False)
        following = self.point._replace(
            phase=END if self.point.batch == job.steps or model.stop_training else TRAIN,
            seconds=time.perf_counter() - start,
            noted=self._noted(hooks.states()),
        )
        self._save(due, logs, following)
        self.point = following

    def _fit(self, batches: int) -> None:
        """So many batches in the core."""
        model, job, first, size = self.model, self.job, self.point.batch, self.job.batch_size
        rows = self._order()[first * size : (first + batches) * size]
        network, optimizer = model._trainable_network()  # other ones, if a hook compiled the model anew
        _, step, optimizer_step = network.progress()
        rates = optimizer.rates(optimizer_step, batches)

        def report(done: int, loss_sum: float, correct: int, seen: int) -> None:
            if done < batches:  # otherwise the hooks after it come first
                self._check_stop()
            self.progress.report(first + done, loss_sum, correct, seen)

        self.point = self.point._replace(call=Call(network, step, rates, self._noted(job.hooks.states())))
        try:
            network.fit(job.train, rows, size, rates, report, self.point.totals)
        except _core.NotFiniteError as error:
            batch = error.batch or 0
            self.point = self.point.now()
            failed = rows[batch * size : (batch + 1) * size]
            images = job.data.train.images[failed]
            raise not_finite(model, self.point.epoch, first + batch, images, job.train, failed) from None
        self.point = self.point.now()

    def _order(self) -> NDArray[np.uint32]:
        """The order of the training rows in this epoch."""
        rows, begun = self.job.train.rows, self.point.begun
        if begun not in self._orders:
            shuffled = self.job.shuffle
            order = _core.permutation(self.model.seed, begun, rows) if shuffled else np.arange(rows, dtype=np.uint32)
            self._orders = {begun: order}
        return self._orders[begun]

    # ------------------------------------------------------------ checkpoints in files

    def _done(self) -> int:
        """Batches since the beginning of the training, those before an interruption included."""
        return (self.point.epoch - self.job.initial_epoch) * self.job.steps + self.point.batch

    def _due(self, logs: dict[str, float], epoch_ended: bool) -> list[ModelCheckpoint]:
        """The ModelCheckpoints that want to write. Asked before the callbacks' states are taken: it changes theirs."""
        return [saver for saver in self.job.hooks.savers if saver.due(self._done(), logs, epoch_ended)]

    def _save(self, due: list[ModelCheckpoint], logs: dict[str, float], following: Point) -> None:
        """Writes what is due at the end of a phase. Resumed from a file, training begins with the `following` one."""
        epoch = self.point.epoch + 1
        for saver in due:
            path = saver.path(epoch, self.point.batch, logs)
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            if saver.save_weights_only:
                self.model.save_weights(path)
            else:
                _checkpoint.write(path, self.model, self._take(following))
            if saver.verbose:
                print(f"Epoch {epoch}: saved to {path}")
