"""Models in files: `model.save(path)` and `mnist_c.load_model(path)`, `model.save_weights` and `model.load_weights`.

A file is in the safetensors format, which other libraries read as well. Its tensors:

    dense/kernel            the weights, named layer/role: kernel, bias, gamma, beta, moving_mean, moving_variance
    dense/kernel/slot0      what the optimizer keeps of a weight (slot0, slot1, ...), if it is saved

Its metadata, texts by name:

    format, format_version  "mnist_c.model" or "mnist_c.weights", and "1"
    written_by              the version of mnist_c
    contract_version        that of the arithmetic (ARCHITECTURE.md)
    model, input, classes, training    JSON; see `_description`
    checkpoint              JSON, in the files of `callbacks.ModelCheckpoint` alone: the state of a training, some of it
                            in tensors named checkpoint/0 and so on; see `_checkpoint`
    sha256                  of all the rest: a changed file is refused

Loading executes nothing and takes no memory for weights that the file does not have.
"""

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import _core, _inputs
from ._description import describe, disagreement, understand
from ._files import replacing, write_in_pieces
from ._plan import Plan, Shape
from ._safetensors import ModelFileError, decode, encode, parse_json, shorten

if TYPE_CHECKING:
    from ._state import State
    from .model import Sequential

__all__ = ["ModelFileError", "load_model", "load_weights", "save_model", "save_weights"]

FORMAT_VERSION = "1"
_MODEL, _WEIGHTS = "mnist_c.model", "mnist_c.weights"
_EVERY_FILE = ("format", "format_version", "written_by", "sha256")
_DESCRIPTION = ("model", "input", "classes", "training")
PREFIX = "checkpoint/"  # of the tensors of a checkpoint that are none of the model's

StrPath: TypeAlias = str | os.PathLike[str]
Tensors: TypeAlias = dict[str, NDArray[Any]]


# ---------------------------------------------------------------- models


def save_model(
    model: "Sequential",
    path: StrPath,
    overwrite: bool = True,
    *,
    include_optimizer: bool = True,
    checkpoint: tuple[str, Tensors] | None = None,
) -> None:
    """Writes the model into a file that `load_model` reads, replacing what is there if it may.

    With the optimizer, `fit` goes on after loading to the bits of the run that was never saved. The file is there
    whole or not at all: whatever goes wrong, an old file stays as it was. Raises ValueError if the model has no weights
    yet, holds values that are not finite or cannot be described, OSError if the file cannot be written, FileExistsError
    for a file that is there and may not be overwritten. A UserWarning says that the optimizer was left out, because its
    learning rate is a Python function.

    checkpoint: JSON and tensors that `_checkpoint` adds.
    """
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)} exists: choose another name, or overwrite=True")
    state = model._state
    try:
        description = describe(model, include_optimizer)
        understand(description)
    except (TypeError, ValueError) as error:
        raise ValueError(f"this model cannot be saved, because a file could not be read again: {error}") from error
    with_moments = description["training"]["slots"] is not None
    names = _names(state)
    with state.lock:
        tensors = {names[part, i]: state.network.get(part, i) for part, i in names if part == "value" or with_moments}
    metadata = {name: json.dumps(description[name], ensure_ascii=False, allow_nan=False) for name in _DESCRIPTION}
    metadata["contract_version"] = str(_core.CONTRACT_VERSION)
    if checkpoint is not None:
        metadata["checkpoint"], more = checkpoint
        if any(name.startswith(PREFIX) for name in tensors):
            raise ValueError(f"a layer's name begins with {PREFIX!r}, which names of checkpoints do: call it otherwise")
        tensors.update(more)
    _write(path, _MODEL, tensors, metadata)


def load_model(path: StrPath) -> "Sequential":
    """The model that `model.save(path)` wrote: layers, weights, input transform, seed, loss, optimizer and counters.

    Raises ModelFileError, a ValueError that names the file and says what is wrong, for a file that is damaged, changed,
    of a newer version or no model at all; OSError if it cannot be read. Files from anywhere can be loaded: nothing in
    them is executed.
    """
    return load_checkpoint(path)[0]


def load_checkpoint(path: StrPath) -> "tuple[Sequential, Any, Tensors]":
    """The model, as `load_model`, with the value of the JSON that `_checkpoint` added, or None, and its tensors."""
    file = _contents(path)
    checkpoint = None
    with _problems_of(path):
        tensors, metadata = decode(file)
        _check_metadata(tensors, metadata, _MODEL)
        more: Tensors = {}
        if "checkpoint" in metadata:
            checkpoint = parse_json(metadata["checkpoint"], "the metadata 'checkpoint'")
            more = {name: tensors.pop(name) for name in list(tensors) if name.startswith(PREFIX)}
        description = {name: parse_json(metadata[name], f"the metadata {name!r}") for name in _DESCRIPTION}
        model = _restore(description, tensors)
        contract = metadata["contract_version"]
        if not contract.isdecimal():
            raise ModelFileError(f"contract_version is {shorten(contract)}, not a number")
    if contract != str(_core.CONTRACT_VERSION):
        warnings.warn(
            f"{os.fsdecode(path)} was trained with version {contract[:20]} of the arithmetic, but this is version "
            f"{_core.CONTRACT_VERSION}: results agree up to rounding, no longer to the bit",
            UserWarning,
            stacklevel=_inputs._levels_to_user(),
        )
    return model, checkpoint, more


def _restore(description: Mapping[str, Any], tensors: Tensors) -> "Sequential":
    """The model of a description with these weights."""
    model, plan, slots, progress = understand(description)
    _check_tensors(tensors, _shapes(plan, slots or 0), model.dtype)  # before the core takes memory for them
    model._build_for(plan)
    state = model._state
    if slots is not None and model.optimizer is not None:
        state.use_optimizer(model.optimizer)
    for (part, i), name in _names(state).items():
        state.network.set(part, i, np.array(tensors[name], dtype=model.dtype))
    state.network.set_progress(*progress)
    where = disagreement(description, describe(model))
    if where is not None:
        raise ModelFileError(f"{where[1:500]} has no known meaning, or contradicts the rest of the file")
    return model


# ---------------------------------------------------------------- weights


def save_weights(model: "Sequential", path: StrPath) -> None:
    """Writes the weights alone into a file that `load_weights` reads. Raises as `save_model`."""
    state = model._state
    names = _names(state)
    with state.lock:
        tensors = {names[part, i]: state.network.get(part, i) for part, i in names if part == "value"}
    _write(path, _WEIGHTS, tensors, {})


def load_weights(model: "Sequential", path: StrPath) -> None:
    """Gives the model the weights of a file; optimizer and counters stay.

    The file is one that `save_weights` or `save` wrote, or any safetensors file whose tensors have the names and the
    shapes of this model's. Raises ModelFileError, changing nothing, if it is not.
    """
    file, state = _contents(path), model._state
    with _problems_of(path):
        tensors, metadata = decode(file)
        kind = metadata.get("format")
        if kind in (_MODEL, _WEIGHTS):
            _check_metadata(tensors, metadata, kind)
        if kind == _MODEL:
            extra = "checkpoint" in metadata
            tensors = {
                name: array
                for name, array in tensors.items()
                if not name.rpartition("/")[2].startswith("slot") and not (extra and name.startswith(PREFIX))
            }
        _check_tensors(tensors, _shapes(state.plan, 0), None)
        state.set(list(range(len(state.tensors))), [tensors[name] for name in state.names()])


# ---------------------------------------------------------------- tensors


def _names(state: "State") -> dict[tuple[str, int], str]:
    """(part, index) -> name in a file, of all arrays that the core's network holds."""
    names = state.names()
    return {(part, i): names[i] if part == "value" else f"{names[i]}/{part}" for part, i in state.parts()}


def _shapes(plan: Plan, slots: int) -> dict[str, Shape]:
    """Name -> shape of the arrays that the core would hold for a plan and an optimizer with so many slots."""
    shapes: dict[str, Shape] = {}
    inputs = plan.inputs
    for owner, step in zip(plan.owners, plan.steps, strict=True):
        trained: dict[str, Shape] = {}
        moving: dict[str, Shape] = {}
        if step["kind"] == "dense":
            trained = {"kernel": (inputs, step["units"]), "bias": (step["units"],)}
            if not step["use_bias"]:
                del trained["bias"]
            inputs = step["units"]
        elif step["kind"] == "norm":
            trained = {name: (inputs,) for name, used in (("gamma", step["scale"]), ("beta", step["center"])) if used}
            moving = {"moving_mean": (inputs,), "moving_variance": (inputs,)}
        shapes.update({f"{owner.name}/{role}": shape for role, shape in {**trained, **moving}.items()})
        for slot in range(slots):
            shapes.update({f"{owner.name}/{role}/slot{slot}": shape for role, shape in trained.items()})
    return shapes


def _check_tensors(tensors: Tensors, shapes: dict[str, Shape], dtype: str | None) -> None:
    """Raises ModelFileError unless the tensors are those named, of these shapes, of that dtype, and finite.

    dtype: None for any kind of floats.
    """
    missing = [name for name in shapes if name not in tensors]
    extra = [name for name in tensors if name not in shapes]
    if missing or extra:
        texts = [f"{what} {shorten(names[0])}" for what, names in (("lacks", missing), ("has", extra)) if names]
        raise ModelFileError(
            f"its {len(tensors)} tensors are not the {len(shapes)} of the model: it {' and '.join(texts)}"
        )
    for name, shape in shapes.items():
        array = tensors[name]
        if array.shape != shape:
            raise ModelFileError(f"{shorten(name)} has the shape {array.shape}, but the model's has {shape}")
        if array.dtype.kind != "f" or (dtype is not None and array.dtype != np.dtype(dtype)):
            raise ModelFileError(f"{shorten(name)} is an array of {array.dtype}, not of {dtype or 'floats'}")
        if not np.isfinite(array).all():
            raise ModelFileError(f"{shorten(name)} holds values that are not finite")


# ---------------------------------------------------------------- files


def _write(path: StrPath, kind: str, tensors: Tensors, metadata: dict[str, str]) -> None:
    from . import __version__

    for name, array in tensors.items():
        if not name.startswith(PREFIX) and not np.isfinite(array).all():  # callbacks may keep any
            raise ValueError(f"{name} holds values that are not finite, so it is not saved: has training diverged?")
    head = {"format": kind, "format_version": FORMAT_VERSION, "written_by": f"mnist_c {__version__}"}
    metadata = {**head, **metadata}
    parts = encode(tensors, {**metadata, "sha256": _digest(tensors, metadata)})
    with replacing(path) as out:
        write_in_pieces(out, parts)


def _contents(path: StrPath) -> bytes:
    """The bytes of a file."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for ever
        raise ModelFileError(f"{os.fsdecode(path)} is no regular file")
    with open(path, "rb") as file:
        return file.read()


@contextmanager
def _problems_of(path: StrPath) -> Iterator[None]:
    """Whatever turns out to be wrong with the content of a file is a ModelFileError that names it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{os.fsdecode(path)}: {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        problem = str(error)
        problem = problem if len(problem) <= 500 else f"{problem[:500]}..."
        raise ModelFileError(f"{os.fsdecode(path)} describes no valid model: {problem}") from error


def _check_metadata(tensors: Tensors, metadata: Mapping[str, str], kind: str) -> None:
    """Raises ModelFileError unless the file is of that kind, of this version, and unchanged since it was written."""
    found, version = metadata.get("format"), metadata.get("format_version")
    if found == _WEIGHTS and kind == _MODEL:
        raise ModelFileError("this file has weights alone: make the model, then model.load_weights(path)")
    if found != kind:
        raise ModelFileError(
            f"this safetensors file was not written by mnist_c: its format is {shorten(found)}, not {kind!r}. "
            "model.load_weights(path) reads it, if names and shapes of its tensors are those of the model"
        )
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"format version {shorten(version)}, but this mnist_c reads version {FORMAT_VERSION}: is the file newer? "
            "Then a newer mnist_c reads it"
        )
    expected = {*_EVERY_FILE, *(("contract_version", *_DESCRIPTION) if kind == _MODEL else ())}
    if set(metadata) - ({"checkpoint"} if kind == _MODEL else set()) != expected:
        different = sorted(set(metadata) ^ expected)
        raise ModelFileError(f"its metadata lack, or have without a known meaning, {shorten(different)}")
    rest = {name: text for name, text in metadata.items() if name != "sha256"}
    if _digest(tensors, rest) != metadata["sha256"]:
        raise ModelFileError("its content does not have the SHA-256 that it states: the file is damaged or was changed")


def _digest(tensors: Tensors, metadata: Mapping[str, str]) -> str:
    """SHA-256 (hexadecimal) of the content: texts, then names, dtypes, shapes and bytes of the tensors, by name."""
    ordered = {
        name: tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False) for name in sorted(tensors)
    }
    table = [[name, array.dtype.str, array.shape] for name, array in ordered.items()]
    digest = hashlib.sha256(json.dumps([metadata, table], sort_keys=True).encode())
    for array in ordered.values():
        digest.update(array.tobytes())
    return digest.hexdigest()
