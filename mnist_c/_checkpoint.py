"""Where a training stands: taken while it runs or when it is interrupted, and gone on from to the same bits.

Shuffles and dropout are functions of the seed and of counters, schedules of the step. So a few numbers, the weights,
the optimizer's moments and what the callbacks count are all there is to keep. `fit(..., resume=True)` uses a
`Checkpoint` in memory, `fit(..., resume=path)` one that `ModelCheckpoint` wrote.

A training passes through four phases per epoch, the two in the middle again and again:

    "begin"   on_epoch_begin is about to be called
    "train"   `batch` batches are done, and on_train_batch_begin of the next is about to be called
    "after"   `batch` batches are done; on_train_batch_end of the last and the files that are due are to come
    "end"     the batches of the epoch are done; validation, history, on_epoch_end and files are to come

What was half done when Ctrl-C came is done again: at the beginning of each phase the state of the callbacks is noted,
and restored from there. Batches are never half done.
"""

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from . import _core
from ._config import plain
from ._description import get_config
from ._feed import Feed, head_of
from ._fingerprint import Fingerprint
from ._packing import Tensors, pack, unpack
from ._state import State
from .history import Best, History
from .optimizers import Optimizer

if TYPE_CHECKING:
    import os

    from ._hooks import Hooks, States
    from .model import Sequential

BEGIN, TRAIN, AFTER, END = "begin", "train", "after", "end"
_RECORD = (
    "epoch",
    "phase",
    "begun",
    "batch",
    "totals",
    "last_rate",
    "seconds",
    "learning_rate",
    "stopped",
    "counters",
    "callbacks",
    "history",
)


class ResumeError(ValueError):
    """Training cannot be resumed: the data, the model or the arguments of `fit` are not those of the checkpoint."""


class Noted(NamedTuple):
    """What callbacks may change, at the beginning of a phase."""

    states: "States | None"  # of the callbacks; None: they have just begun
    learning_rate: float | None  # None: a function of the step
    stopped: bool  # model.stop_training


class Call(NamedTuple):
    """A call of the core's `fit` that is under way: what it has done, it tells afterwards."""

    network: _core.Network
    step: int  # the network's count before it
    rates: Any  # one for each of its batches
    noted: Noted  # after on_train_batch_begin


class Point(NamedTuple):
    """A place in a training. Replaced as a whole, so that a signal handler always finds one that holds."""

    epoch: int  # counted from 0
    phase: str
    begun: int  # epochs that the model had begun in its life; keys the shuffle of this one
    batch: int  # done in this epoch
    totals: tuple[float, int, int]  # loss_sum, correct and rows of this epoch
    last_rate: float  # of the last batch; nan before the first
    seconds: float  # spent on this epoch
    recorded: int  # epochs in the history
    best: Best  # of the history
    noted: Noted
    call: Call | None = None

    def now(self) -> "Point":
        """This point, moved by the batches that an interrupted call of the core did."""
        if self.call is None:
            return self
        done = self.call.network.progress()[1] - self.call.step
        if not done:
            return self._replace(call=None)
        return self._replace(
            phase=AFTER if done == len(self.call.rates) else TRAIN,
            batch=self.batch + done,
            totals=self.call.network.totals(),
            last_rate=float(self.call.rates[done - 1]),
            noted=self.call.noted,
            call=None,
        )


class Arrays:
    """Weights and moments of a model, (part, index) as the core calls them.

    They are copied when they are asked for, or about to change: of a large model that takes longer than Ctrl-C may.
    """

    def __init__(self, state: State, parts: list[tuple[str, int]]) -> None:
        self.parts = parts
        self._state: State | None = state
        self._copies: list[NDArray[Any]] = []

    def copies(self) -> list[NDArray[Any]]:
        """In the order of `parts`."""
        if self._state is not None:
            self._copies = [self._state.network.get(*part) for part in self.parts]
            self._state = None
        return self._copies


class Checkpoint(NamedTuple):
    """settings: what must be the same in `fit` for the same bits. data: the rows. arrays: weights and moments.

    record: a `Point`, the core's counters, the states of callbacks and history.
    """

    settings: dict[str, Any]
    data: Fingerprint | str
    arrays: Arrays
    record: dict[str, Any]


# ---------------------------------------------------------------- taking one


def rate_of(optimizer: Optimizer | None) -> float | None:
    """The learning rate, where it is a number that callbacks may change."""
    rate = None if optimizer is None else optimizer.learning_rate
    return None if rate is None or callable(rate) else float(rate)


def settings(model: "Sequential", feed: Feed, optimizer: Optimizer, hooks: "Hooks", **arguments: Any) -> dict[str, Any]:
    """What determines the bits of a run, besides the data: values that JSON can hold."""
    config = {**get_config(model), "input_shape": list(feed.plan.input_shape)}
    del config["name"]
    try:
        described = plain(optimizer)
    except TypeError:  # a learning rate that is a Python function: good for this process alone
        named = {**optimizer.hyper, "learning_rate": repr(optimizer.learning_rate)}
        described = {"class_name": type(optimizer).__name__, "config": named}
    return {
        "contract_version": _core.CONTRACT_VERSION,
        "model": config,
        "loss": plain(feed.loss),
        "optimizer": described,
        "metric": model.metric,
        "callbacks": hooks.names(),
        **arguments,
    }


def take(
    model: "Sequential", settings: dict[str, Any], data: Fingerprint, history: History, point: Point
) -> Checkpoint:
    """The state of a training that stands at `point`."""
    point, state = point.now(), model._state
    begun_with = state.optimizer is model.optimizer
    parts = [(part, i) for part, i in state.parts() if part == "value" or begun_with]
    _, step, optimizer_step = state.network.progress()
    record = {name: getattr(point, name) for name in _RECORD if hasattr(point, name)}
    record.update(
        learning_rate=point.noted.learning_rate,
        stopped=point.noted.stopped,
        counters=[point.begun + (point.phase != BEGIN), step, optimizer_step],
        callbacks=point.noted.states,
        history=history.get_state(point.recorded, point.best),
    )
    return Checkpoint(settings, data, Arrays(state, parts), record)


# ---------------------------------------------------------------- going on


def chosen(
    model: "Sequential", resume: "bool | str | os.PathLike[str]", settings: dict[str, Any], data: Fingerprint
) -> Checkpoint | None:
    """The checkpoint that `fit` was asked to go on from, if these are its settings and data; None for resume=False."""
    if resume is False or resume is None:
        return None
    if resume is not True:
        checkpoint, where = read(resume), str(resume)
    elif model._interrupted is not None:
        checkpoint, where = model._interrupted, "the interrupted training"
    else:
        raise ResumeError(
            "nothing was interrupted in this process since the last training of this model began: "
            "leave out resume=True, or give the path of a checkpoint"
        )
    check(checkpoint, settings, data, where)
    return checkpoint


def check(checkpoint: Checkpoint, settings: dict[str, Any], data: Fingerprint, where: str) -> None:
    """Raises ResumeError, which says all that differs, unless a run with these settings and data may go on."""
    theirs, mine = dict(checkpoint.settings), dict(settings)
    problems = _optimizers(mine.pop("optimizer"), theirs.pop("optimizer", None), checkpoint.record["learning_rate"])
    problems += _differences(mine, theirs)
    if not problems:  # otherwise there is enough to say
        kept = checkpoint.data if isinstance(checkpoint.data, str) else checkpoint.data.digest
        if data.digest != kept:
            problems = [
                "the data are others: the SHA-256 of images, labels and weights, for training and validation, is "
                f"{data.digest[:16]}..., there {kept[:16]}..."
            ]
    if problems:
        raise ResumeError(
            f"training cannot be resumed from {where}, since {'; '.join(problems[:5])}. Give fit what it was given "
            "then, and a model with the same layers and seed: mnist_c.load_model(path) makes the one of a checkpoint"
        )


def _optimizers(mine: dict[str, Any], theirs: Any, rate_there: float | None) -> list[str]:
    """What differs. A number as learning rate may be the one at the beginning or the one that callbacks had reached."""
    if not isinstance(theirs, dict) or not isinstance(theirs.get("config"), dict):
        return ["the checkpoint names no optimizer"]
    rate, first = mine["config"].get("learning_rate"), theirs["config"].get("learning_rate")
    if rate in (first, rate_there):
        mine = {**mine, "config": {**mine["config"], "learning_rate": first}}
    return _differences(mine, theirs, "optimizer")


def _differences(mine: Any, theirs: Any, where: str = "") -> list[str]:
    """One text for each value that is not the same in two descriptions."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = [*mine, *(name for name in theirs if name not in mine)]
        pairs = [(f"{where}.{name}" if where else name, mine.get(name), theirs.get(name)) for name in names]
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(mine, theirs, strict=True))]
    else:
        return [] if mine == theirs else [f"{where} is {_short(mine)}, there {_short(theirs)}"]
    return [text for name, a, b in pairs for text in _differences(a, b, name)]


def _short(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


_LIMIT = 2**53  # of counters, far beyond any training: the core's have 64 bits


def point_of(checkpoint: Checkpoint, epochs: int, steps: int) -> Point:
    """Where it stands. Raises ResumeError for values that cannot be, as a file may hold any."""
    try:
        return _point(checkpoint, epochs, steps)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ResumeError(f"the checkpoint stands at a place that such a training does not have: {error}") from None


def _point(checkpoint: Checkpoint, epochs: int, steps: int) -> Point:
    record = checkpoint.record
    history, rate, states = record["history"], record["learning_rate"], record["callbacks"]
    numbers = [record["epoch"], record["begun"], record["batch"], *record["totals"][1:], *record["counters"]]
    if (
        not all(type(number) is int and 0 <= number < _LIMIT for number in numbers)
        or len(record["totals"]) != 3
        or not math.isfinite(record["totals"][0])
        or len(record["counters"]) != 3
        or (states is not None and len(states) != len(checkpoint.settings["callbacks"]))
        or record["phase"] not in (BEGIN, TRAIN, AFTER, END)
        or record["epoch"] > epochs
        or record["batch"] > steps - (record["phase"] == TRAIN)
        or (record["batch"] == 0 and record["phase"] in (AFTER, END))
        or (record["totals"][2] == 0) != (record["batch"] == 0)
        or not (rate is None or (isinstance(rate, (int, float)) and math.isfinite(rate) and rate >= 0))
    ):
        raise ValueError(f"epoch {record['epoch']}, batch {record['batch']}")
    return Point(
        epoch=record["epoch"],
        phase=record["phase"],
        begun=record["begun"],
        batch=record["batch"],
        totals=(record["totals"][0], record["totals"][1], record["totals"][2]),
        last_rate=float(record["last_rate"]),
        seconds=float(record["seconds"]),
        recorded=len(history["epoch"]),
        best=(history["best"][0], history["best"][1], history["best"][2]),
        noted=Noted(states, rate, record["stopped"] is True),
    )


def restore(model: "Sequential", checkpoint: Checkpoint) -> None:
    """Gives the model the weights, moments, counters and the learning rate."""
    state, record = model._state, checkpoint.record
    assert model.optimizer is not None
    state.changing()
    network = model._use_head(head_of(state.plan, model.loss))
    state.optimizer = None  # so that all moments begin with zeros
    state.use_optimizer(model.optimizer)
    state.write(checkpoint.arrays.parts, checkpoint.arrays.copies())
    network.set_progress(*record["counters"])
    if record["learning_rate"] is not None:
        model.optimizer.learning_rate = record["learning_rate"]
    model.stop_training = model.stop_training or record["stopped"] is True


# ---------------------------------------------------------------- files


def write(path: "str | os.PathLike[str]", model: "Sequential", checkpoint: Checkpoint) -> None:
    """A model file with the rest of the checkpoint in its metadata, under "checkpoint", and in tensors of its own."""
    from .saving import PREFIX, save_model

    tensors: Tensors = {}
    data = checkpoint.data if isinstance(checkpoint.data, str) else checkpoint.data.digest
    content = {"settings": checkpoint.settings, "data": data, "record": pack(checkpoint.record, PREFIX, tensors)}
    save_model(model, path, checkpoint=(json.dumps(content, ensure_ascii=False, allow_nan=False), tensors))


def read(path: "str | os.PathLike[str]") -> Checkpoint:
    """What `write` wrote. Raises ModelFileError for anything else, ResumeError for a model without a checkpoint."""
    from .saving import load_checkpoint

    model, content, tensors = load_checkpoint(path)
    if content is None:
        raise ResumeError(
            f"{path} is a model that `save` wrote, without the state of a training: to go on from it, "
            "mnist_c.load_model(path).fit(...)"
        )
    try:
        settings, data, record = (content[name] for name in ("settings", "data", "record"))
        record = unpack(record, tensors)
        if not isinstance(settings, dict) or not isinstance(data, str) or set(record) != set(_RECORD):
            raise ValueError("something is missing")
        History(model, {}).set_state(record["history"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ResumeError(f"{path} holds no state of a training that can be understood: {error}") from None
    return Checkpoint(settings, data, Arrays(model._state, model._state.parts()), record)
