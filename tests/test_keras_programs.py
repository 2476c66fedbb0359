"""Whole programs written for Keras, with nothing but their imports replaced, run and end with what they print there."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mnist_c as mc

PROGRAMS = Path(__file__).resolve().parent / "programs"


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header + array.tobytes())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """(a data folder, least accuracy, largest loss): the folder is $MNIST_C_DATA, else one of drawn digits, repeated
    until there are as many as in MNIST; these few are harder."""
    given = os.environ.get("MNIST_C_DATA")
    if given and (Path(given) / "mnist").is_dir():
        return given, 0.97, 0.11
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    for part, seed, drawn, total in (("train", 0, 4000, 60_000), ("t10k", 1, 1000, 10_000)):
        images, labels = mc.datasets.synthetic(drawn, seed=seed)
        write_idx(folder / "mnist" / f"{part}-images-idx3-ubyte.gz", np.tile(images, (total // drawn, 1, 1)))
        write_idx(folder / "mnist" / f"{part}-labels-idx1-ubyte.gz", np.tile(labels, total // drawn))
    return str(folder), 0.75, 1.5


def run(name, folder):
    environment = {**os.environ, "MNIST_C_DATA": folder, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment["PYTHONIOENCODING"] = "utf-8"
    command = [sys.executable, "-W", "error", str(PROGRAMS / f"{name}.py")]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_only_imports_name_this_package():
    for path in PROGRAMS.glob("*.py"):
        lines = [line for line in path.read_text().splitlines() if "mnist_c" in line]
        assert lines
        assert all(re.match(r"from mnist_c(\.[\w.]+)? import \w+(, \w+)*$", line) for line in lines), path.name


def test_beginner_quickstart(data):
    folder, accuracy, loss = data
    lines = run("beginner_quickstart", folder).splitlines()
    assert lines[0].startswith("TensorFlow version:")
    assert "Epoch 5/5" in lines
    last = re.fullmatch(r"313/313 - .*/step - loss: (\d\.\d+) - accuracy: (\d\.\d+)", lines[-1])
    assert float(last.group(1)) < loss
    assert float(last.group(2)) > accuracy


def test_simple_mlp(data):
    folder, accuracy, loss = data
    out = run("simple_mlp", folder)
    assert "60000 train samples\n10000 test samples\n" in out
    assert "Total params: 669,706 (2.55 MB)" in out
    assert re.search(r"^422/422 - .* - val_loss: .* - val_accuracy: ", out, re.MULTILINE)
    last = out.splitlines()[-2:]
    assert float(last[0].removeprefix("Test loss: ")) < loss
    assert float(last[1].removeprefix("Test accuracy: ")) > accuracy


def test_keras_mlp(data):
    folder, accuracy, loss = data
    out = run("keras_mlp", folder)
    assert "Total params: 109,386 (427.29 KB)" in out
    last = re.fullmatch(r"Test accuracy: (\d\.\d{4}), test loss: (\d\.\d{4})", out.splitlines()[-1])
    assert float(last.group(1)) > accuracy
    assert float(last.group(2)) < loss
    wrong = int(re.search(r"Misclassified: (\d+)", out).group(1))
    assert 1 - wrong / 10_000 == pytest.approx(float(last.group(1)), abs=1e-4)


# ---------------------------------------------------------------- the namespace


def test_keras_names_are_the_same_objects():
    from mnist_c import keras
    from mnist_c.keras import tf

    assert tf.keras is keras
    assert keras.Sequential is keras.models.Sequential is mc.Sequential
    assert keras.layers.Dense is mc.Dense
    assert keras.optimizers.Adam is mc.Adam
    assert keras.losses.SparseCategoricalCrossentropy is mc.SparseCategoricalCrossentropy
    assert keras.optimizers.schedules.CosineDecay is mc.CosineDecay
    assert keras.regularizers.l2 is mc.L2
    assert keras.layers.Input is keras.Input


def test_every_public_name_exists():
    import importlib
    import pkgutil

    import mnist_c.keras as package

    names = [m.name for m in pkgutil.walk_packages(package.__path__, "mnist_c.keras.")]
    assert len(names) >= 12
    for name in ["mnist_c", "mnist_c.keras", *names]:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", []):
            assert getattr(module, public) is not None


def test_to_categorical_is_one_hot():
    to_categorical = mc.keras.utils.to_categorical
    np.testing.assert_array_equal(to_categorical([0, 2, 1], 4), np.eye(4)[[0, 2, 1]])
    np.testing.assert_array_equal(to_categorical([[0], [2]]), np.eye(3)[[0, 2]])
    with pytest.raises(ValueError, match="from 0 to 2"):
        to_categorical([3], 3)


def test_normalize_divides_by_the_norm():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(mc.keras.utils.normalize(x), [[0.6, 0.8], [0.0, 0.0]])


def test_set_random_seed_repeats_a_program():
    from mnist_c import keras

    def hashes():
        keras.utils.set_random_seed(812)
        return [keras.Sequential([keras.layers.Dense(3, input_dim=4)]).weights_hash() for _ in range(2)]

    try:
        first = hashes()
        assert first == hashes()
        assert first[0] != first[1]
    finally:
        from mnist_c import _seeds

        _seeds._chosen.clear()


def test_metrics_objects_name_the_accuracy():
    from mnist_c import keras

    model = keras.Sequential([keras.layers.Dense(3, activation="softmax", input_dim=4)])
    metric = keras.metrics.SparseCategoricalAccuracy(name="acc")
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=[metric])
    assert list(model.fit(np.eye(4), [0, 1, 2, 0], verbose=0).history) == ["loss", "acc"]
