"""10,000 damaged files (or $MNIST_C_FUZZ): each is a ModelFileError or a valid model, and nothing else.

Half of them are damaged as disks and downloads damage files. There the checksum decides: what is accepted is the model
that was saved. The other half are edited as somebody would who knows the format, with the right lengths and the right
checksum, so that what is behind the checksum is tried as well: whatever such a file describes must be a model that can
be used.
"""

import contextlib
import json
import os
import random
from collections import Counter

import numpy as np
import pytest
from helpers_saving import encode

import mnist_c as mc
from mnist_c import _description, saving
from mnist_c._safetensors import decode
from mnist_c.saving import ModelFileError, load_model, save_model

FILES = int(os.environ.get("MNIST_C_FUZZ", "10000")) // 2  # of each kind
X = np.arange(48, dtype=np.uint8).reshape(6, 8)

# What is put in the place of a value of JSON; some are written as they are, so that no JSON writer mends them.
VALUES = ["null", "true", "false", "0", "1", "-1", "2", "3", "16", "0.5", "1.0", "-0.0", "1e-300", "1e308", "-1e308"]
VALUES += ["1e999", "NaN", "Infinity", "9007199254740993", str(2**31), str(2**40), str(2**63), str(2**64 - 1)]
VALUES += [str(2**64), "9" * 30, '""', '"x"', '"dense"', '"relu"', '"softmax"', '"float64"', '"adam"', '"\\ud800"']
VALUES += ["[]", "[[]]", "{}", "[1]", "[1, 2]", "[3, 8]", "[0]", "[true]", '{"class_name": "Zeros", "config": {}}']
VALUES += ['{"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}}', "[" * 30 + "]" * 30, "{", '"' + "y" * 5000]
NAMES = ["Dense", "Dropout", "Flatten", "Softmax", "Layer", "BatchNormalization", "InputLayer", "Activation", "eval"]
NAMES += ["L2", "Adam", "SGD", "HeNormal", "MeanSquaredError", "CosineDecay", "os.system", "__init__", "units", "rate"]


@pytest.fixture(scope="module")
def model():
    model = mc.Sequential(
        [
            mc.Input((8,)),
            mc.Dense(4, mc.LeakyReLU(0.1), kernel_regularizer="l2"),
            mc.BatchNormalization(),
            mc.Dropout(0.2),
            mc.Dense(3, "softmax", kernel_initializer=mc.RandomNormal(0.0, 0.5)),
        ],
        seed=1,
    )
    model.fit(X, np.arange(6) % 3, optimizer=mc.Adam(mc.CosineDecay(0.01, 30)), verbose=0)
    return model


def rewrite(path, content):
    """Change a file in place: ext4 brings a file to the disk that was emptied and written anew, which takes long."""
    with open(path, "r+b" if path.exists() else "xb") as file:
        file.write(content)
        file.truncate()


def try_to_load(path):
    """(model, None), or (None, the text of the error) for a ModelFileError."""
    try:
        return load_model(path), None
    except ModelFileError as error:
        return None, str(error)


# ---------------------------------------------------------------- damage


def flip_bits(draw, file):
    for _ in range(draw.choice([1, 1, 1, 2, 8])):
        i = draw.randrange(8 * len(file))
        file[i // 8] ^= 1 << i % 8
    return file


def cut(draw, file):
    return file[: draw.randrange(len(file))]


def overwrite(draw, file):
    i, n = draw.randrange(len(file)), draw.choice([1, 2, 8, 64, 512])
    file[i : i + n] = draw.choice([bytes(n), b"\xff" * n, draw.randbytes(n), b" " * n])
    return file


def splice(draw, file):
    """A piece of the file at another place: instead of what is there, or between it."""
    i, j, n = draw.randrange(len(file)), draw.randrange(len(file)), draw.choice([1, 4, 16, 64, 1024])
    file[j : j + draw.choice([0, n])] = file[i : i + n]
    return file


def remove(draw, file):
    i = draw.randrange(len(file))
    del file[i : i + draw.choice([1, 4, 8, 64])]
    return file


def change_length(draw, file):
    length = int.from_bytes(file[:8], "little")
    wrong = draw.choice([0, 1, 2**31, 2**63, 2**64 - 1, len(file), len(file) - 8, length - 1, length + 1, length + 64])
    file[:8] = wrong.to_bytes(8, "little")
    return file


def edit_header(draw, file):
    """The header changed as JSON, and the length that belongs to it; the checksum is the old one."""
    length = int.from_bytes(file[:8], "little")
    header = edit_json(draw, file[8 : 8 + length].decode())
    text = header.encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + file[8 + length :]


DAMAGES = [flip_bits, cut, overwrite, splice, remove, change_length, edit_header]


def edit_json(draw, text):
    """One value, key or pair of a JSON text changed, doubled or left out. The result need not be JSON."""
    value = json.loads(text)
    places = list(_places(value))
    parent, key = draw.choice(places)
    what = draw.randrange(6)
    if what == 0:
        del parent[key]
    elif what == 1:
        other, other_key = draw.choice(places)
        parent[key] = json.loads(json.dumps(other[other_key]))
    elif what == 2 and isinstance(parent, dict):
        parent[draw.choice([*NAMES, *parent])] = parent.pop(key)
    elif what == 3 and isinstance(parent, list):
        parent.insert(draw.randrange(len(parent) + 1), parent[key])
    elif what == 4:
        parent[key] = draw.choice(NAMES)
    else:
        parent[key] = "@"
        return json.dumps(value).replace('"@"', draw.choice(VALUES))
    if draw.random() < 0.05 and isinstance(parent, dict) and parent:
        again = draw.choice(list(parent))
        return json.dumps(value)[:-1] + f", {json.dumps(again)}: {json.dumps(parent[again])}}}"
    return json.dumps(value)


def _places(value):
    """(container, key or index) of everything within it."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def test_damaged_files_are_refused_or_harmless(model, tmp_path):
    path = tmp_path / "model"
    save_model(model, path)
    good, described, outcomes = path.read_bytes(), _description.describe(model), Counter()
    for number in range(FILES):
        draw = random.Random(number)
        damage = draw.choice(DAMAGES)
        file = bytes(damage(draw, bytearray(good)))
        rewrite(path, file)
        loaded, error = try_to_load(path)
        if error:
            assert error.startswith(str(path)), number
            outcomes["refused"] += 1
            continue
        assert loaded.weights_hash() == model.weights_hash(), number
        assert _description.describe(loaded) == described, number
        outcomes["unchanged" if file == good else "harmless"] += 1
    assert sum(outcomes.values()) == FILES
    assert outcomes["refused"] > 0.97 * FILES, outcomes


# ---------------------------------------------------------------- edited by somebody who knows the format


def edit_description(draw, tensors, metadata):
    part = draw.choice(["model", "model", "model", "training", "training", "input", "classes"])
    with contextlib.suppress(ValueError):  # an edit before this one left no JSON
        if metadata[part].startswith('{"'):
            metadata[part] = edit_json(draw, metadata[part])


def edit_metadata(draw, tensors, metadata):
    name = draw.choice(list(metadata))
    metadata[name] = draw.choice(
        ["", "1", "2", "x", "null", "{}", "[]", "[" * 3000, metadata[draw.choice(list(metadata))]]
    )


def edit_tensor(draw, tensors, metadata):
    name = draw.choice(list(tensors))
    array = tensors.pop(name)
    what = draw.randrange(7)
    if what == 0:
        tensors[draw.choice(["", "dense", f"{name}/slot2", *tensors])] = array
    elif what == 1:
        tensors[name] = array.astype(draw.choice(["float16", "float64", "int32", "uint8"]))
    elif what == 2:
        tensors[name] = draw.choice([array.T, array[None], array.ravel(), array[1:], np.repeat(array, 2, axis=-1)])
    elif what == 3:
        tensors[name] = array.copy()
        tensors[name].flat[draw.randrange(array.size)] = draw.choice([np.nan, np.inf, -np.inf, 3e38, -1.0, 1e-45])
    elif what == 4:
        tensors[name] = np.array(draw.choice([0.0, 1.0]), np.float32)
    elif what == 5:
        tensors[name] = tensors[draw.choice(list(tensors))]


EDITS = [edit_description] * 6 + [edit_metadata, edit_tensor]


def assert_usable(model, path):
    """It computes, it can be saved and loaded again, and it trains."""
    assert all(np.isfinite(w).all() for w in model.get_weights())
    x = np.ones((6, *model._state.plan.input_shape), np.float32)
    outputs = model.predict(x)
    assert outputs.shape == (6, model._state.plan.outputs)
    assert outputs.dtype == model.dtype
    save_model(model, path)
    assert load_model(path).weights_hash() == model.weights_hash()
    if model.loss is not None:
        y = np.zeros((6, model._state.plan.outputs))
        y[:, 0] = 1
        try:
            model.fit(x, y, verbose=0)
        except (mc.NotFiniteError, ValueError) as problem:  # weights or the learning rate may be huge
            if not isinstance(problem, mc.NotFiniteError) and "the rate of batch" not in str(problem):
                raise


@pytest.mark.filterwarnings("ignore:.*of the arithmetic:UserWarning")
def test_edited_files_with_the_right_checksum_are_refused_or_valid_models(model, tmp_path):
    path, other = tmp_path / "model", tmp_path / "other"
    save_model(model, path)
    tensors_of_model, metadata_of_model = decode(path.read_bytes())
    del metadata_of_model["sha256"]
    outcomes, reasons = Counter(), set()
    for number in range(FILES):
        draw = random.Random(number)
        tensors, metadata = dict(tensors_of_model), dict(metadata_of_model)
        for _ in range(draw.choice([1, 1, 1, 2])):
            draw.choice(EDITS)(draw, tensors, metadata)
        metadata["sha256"] = saving._digest(tensors, metadata)
        rewrite(path, encode(tensors, metadata))
        loaded, error = try_to_load(path)
        if error:
            assert error.startswith(str(path)), number
            assert len(error) < 1000, number
            outcomes["refused"] += 1
            reasons.add(error[len(str(path)) :][:30])
            continue
        outcomes["accepted"] += 1
        if outcomes["accepted"] % 20 == 1:
            assert_usable(loaded, other)
    assert sum(outcomes.values()) == FILES
    assert outcomes["accepted"] > 0.05 * FILES, outcomes  # so that what comes after the checks is tried, too
    assert len(reasons) > min(60, FILES // 50), sorted(reasons)
