"""The command line: what it prints last, and with which status it ends."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import mnist_c as mc
from mnist_c.__main__ import main


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="module")
def digits():
    """600 and 200 drawn digits."""
    return mc.datasets.synthetic(600, seed=0), mc.datasets.synthetic(200, seed=1)


@pytest.fixture
def folder(tmp_path, digits):
    """A data folder with digits under the names of MNIST."""
    place = tmp_path / "data" / "mnist"
    place.mkdir(parents=True)
    for part, (images, labels) in zip(("train", "t10k"), digits, strict=True):
        write_idx(place / f"{part}-images-idx3-ubyte", images)
        write_idx(place / f"{part}-labels-idx1-ubyte", labels)
    return tmp_path / "data"


@pytest.fixture
def nowhere(tmp_path, monkeypatch, digits):
    """No data anywhere, no network, and few synthetic digits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNIST_C_OFFLINE", "1")
    monkeypatch.delenv("MNIST_C_DATA", raising=False)
    monkeypatch.setattr(mc.datasets, "_SYNTHETIC_TRAIN", 600)
    monkeypatch.setattr(mc.datasets, "_SYNTHETIC_TEST", 200)


def test_train_says_where_mnist_was_found(folder, capsys):
    assert main(["train", "--data-dir", str(folder), "--epochs", "2", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    last = out.splitlines()[-1]
    assert re.fullmatch(rf"test accuracy 0\.\d{{4}} on MNIST \(found in {re.escape(str(folder / 'mnist'))}\)", last)
    assert "Epoch 2/2\n" in out
    assert re.search(r"^15/15 - .* - loss: \d\.\d{4} - accuracy: .* - val_loss: .* - val_accuracy: ", out, re.MULTILINE)
    assert "109,386" in out
    assert re.search(r"^weights hash +[0-9a-f]{64}$", out, re.MULTILINE)
    assert re.search(r"^test loss +\d", out, re.MULTILINE)
    assert re.search(r"^seconds +\d", out, re.MULTILINE)
    rows = re.findall(r"^(\d) +(\d+) +(\d+) +(\d\.\d{4})", out, re.MULTILINE)
    assert [row[0] for row in rows] == list("0123456789")
    assert sum(int(row[1]) for row in rows) == 200
    assert sum(int(row[2]) for row in rows) / 200 == pytest.approx(float(last.split()[2]), abs=1e-4)


def test_the_environment_names_the_folder_and_the_seed_repeats_the_run(folder, capsys, monkeypatch):
    monkeypatch.setenv("MNIST_C_DATA", str(folder))
    hashes = []
    for seed in ("3", "3", "4"):
        assert main(["train", "--epochs", "1", "--seed", seed, "--batch-size", "64"]) == 0
        hashes.append(re.search(r"[0-9a-f]{64}", capsys.readouterr().out).group())
    assert hashes[0] == hashes[1] != hashes[2]


def test_train_goes_on_with_synthetic_digits_where_there_is_no_mnist(nowhere, capsys):
    assert main(["train", "--epochs", "1"]) == 0
    out = capsys.readouterr().out
    assert re.fullmatch(r"test accuracy 0\.\d{4} on SYNTHETIC digits \(not MNIST\)", out.splitlines()[-1])
    assert "MNIST_C_OFFLINE is set" in out
    assert "Going on with synthetic digits" in out


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_data_set_that_was_asked_for_and_is_missing_ends_with_status_1(name, nowhere, capsys):
    assert main(["train", "--dataset", name]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"mnist-c: {name} was not found")
    assert "MNIST_C_DATA=folder" in captured.err
    assert "Traceback" not in captured.err


def test_a_damaged_file_ends_with_status_1_where_the_data_set_was_named(folder, nowhere, capsys):
    (folder / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"<html>")
    assert main(["train", "--dataset", "mnist", "--data-dir", str(folder)]) == 1
    assert "t10k-labels-idx1-ubyte" in capsys.readouterr().err


def test_a_folder_that_was_given_and_lacks_the_data_ends_with_status_1(tmp_path, nowhere, capsys):
    assert main(["train", "--data-dir", str(tmp_path / "none")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "mnist is not in the data_dir that was given" in captured.err


@pytest.mark.parametrize("how", ["--data-dir", "environment"])
def test_a_damaged_file_ends_with_status_1_without_a_name(how, folder, nowhere, capsys, monkeypatch):
    (folder / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"<html>")
    monkeypatch.setenv("MNIST_C_DATA", str(folder))
    assert main(["train", *(["--data-dir", str(folder)] if how == "--data-dir" else [])]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "t10k-labels-idx1-ubyte" in captured.err


def test_a_split_that_leaves_nothing_ends_with_status_2(folder, capsys):
    assert main(["train", "--data-dir", str(folder), "--validation-split", "0.999999"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mnist-c: validation_split")
    assert error.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mnist_c", "train", "--data-dir", str(folder), "--epochs", "1"]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        result = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=environment, timeout=60)
    assert (result.returncode, result.stderr) == (1, "")


def test_synthetic_digits_can_be_asked_for(nowhere, capsys):
    assert main(["train", "--dataset", "synthetic", "--epochs", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("on SYNTHETIC digits (not MNIST)")


def test_divergence_ends_with_status_1(folder, capsys):
    assert main(["train", "--data-dir", str(folder), "--epochs", "1", "--learning-rate", "1e37"]) == 1
    assert "learning rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train", "--epochs", "0"],
        ["train", "--epochs", "ten"],
        ["train", "--seed", "-1"],
        ["train", "--threads", "0"],
        ["train", "--threads", "1000"],
        ["train", "--validation-split", "1"],
        ["train", "--learning-rate", "-1"],
        ["train", "--dataset", "cifar"],
        ["train", "--epoch", "3"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: mnist-c" in capsys.readouterr().err


def test_ctrl_c_ends_with_status_130(folder, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(mc.Sequential, "fit", interrupted)
    assert main(["train", "--data-dir", str(folder)]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_config_and_version_are_printed(capsys):
    assert main(["config"]) == 0
    assert np.__version__ in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"mnist-c {mc.__version__}\n"


def test_the_module_runs_as_a_program():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "mnist_c", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert (result.returncode, result.stdout) == (0, f"mnist-c {mc.__version__}\n"), result.stderr
