"""Finding and checking the data sets on this machine. No test reaches the internet or the user's real cache."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers_datasets import ARRAYS, STEMS, check_loaded, isolate, lay_out, make_arrays

from mnist_c import _download, datasets
from mnist_c.datasets import DataFormatError, DatasetNotFoundError, load

DATA = os.environ.get("MNIST_C_DATA", "")

needs_data = pytest.mark.skipif(
    not Path(DATA, "mnist").is_dir() or not Path(DATA, "fashion-mnist").is_dir(),
    reason="needs the real data: set MNIST_C_DATA to the folder that holds mnist/ and fashion-mnist/",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    return isolate(tmp_path, monkeypatch)


@pytest.mark.parametrize("form", ["gz", "plain", "dotted", "dotted gz", "mixed", "npz"])
@pytest.mark.parametrize("subfolder", ["mnist", "MNIST/raw", "."])
def test_every_form_and_layout_of_the_files_is_found(tmp_path, form, subfolder):
    lay_out(tmp_path / "data" / subfolder, form)
    check_loaded(load("mnist", data_dir=tmp_path / "data"))


def test_data_dir_may_be_a_string_and_start_with_a_tilde(tmp_path, monkeypatch):
    lay_out(tmp_path / "data")
    monkeypatch.setenv("HOME", str(tmp_path))
    check_loaded(load("mnist", data_dir=str(tmp_path / "data")))
    check_loaded(load("mnist", "~/data"))


def test_places_are_searched_in_order(tmp_path, monkeypatch, cache):
    places = {}
    for i, place in enumerate([tmp_path / "explicit", tmp_path / "environment", cache]):
        places[place] = make_arrays(first_label=i)
        lay_out(place / "mnist", arrays=places[place])
    monkeypatch.setenv("MNIST_C_DATA", str(tmp_path / "environment"))
    explicit, environment, cached = places
    check_loaded(load("mnist", data_dir=explicit), places[explicit])
    check_loaded(load("mnist"), places[environment])
    monkeypatch.delenv("MNIST_C_DATA")
    check_loaded(load("mnist"), places[cached])


def test_environment_folder_without_this_data_set_leads_on_to_the_cache(tmp_path, monkeypatch, cache):
    lay_out(tmp_path / "data" / "mnist")
    lay_out(cache / "fashion-mnist")
    monkeypatch.setenv("MNIST_C_DATA", str(tmp_path / "data"))
    check_loaded(load("fashion-mnist"), name="fashion-mnist")


def test_explicit_folder_without_data_is_an_error_even_where_the_cache_has_them(tmp_path, cache):
    lay_out(cache / "mnist")
    (tmp_path / "empty").mkdir()
    for folder, reason in (("empty", "has none of the files"), ("absent", "no such folder")):
        with pytest.raises(DatasetNotFoundError) as caught:
            load("mnist", data_dir=tmp_path / folder)
        text = str(caught.value)
        assert f"{tmp_path / folder}: {reason}" in text
        assert all(f"{stem}.gz" in text for stem in STEMS)
        assert "plain file copy" in text
        assert "MNIST_C_DATA" in text


def test_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"")
    with pytest.raises(DatasetNotFoundError, match=r"mnist\.npz: this is not a folder"):
        load("mnist", data_dir=tmp_path / "mnist.npz")


def test_missing_files_are_named(tmp_path):
    lay_out(tmp_path / "mnist")
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DatasetNotFoundError, match="mnist: has no t10k-images-idx3-ubyte\n"):
        load("mnist", data_dir=tmp_path)


def test_damaged_file_in_a_users_folder_is_an_error_and_not_passed_over(tmp_path, monkeypatch, cache):
    lay_out(cache / "mnist")
    broken = lay_out(tmp_path / "data" / "mnist") / "train-labels-idx1-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:-9])
    monkeypatch.setenv("MNIST_C_DATA", str(tmp_path / "data"))
    for data_dir in (None, tmp_path / "data"):
        with pytest.raises(DataFormatError, match=re.escape(f"{broken}: the gzip data end too early")):
            load("mnist", data_dir=data_dir)


def with_array(i, array):
    return [array if j == i else a for j, a in enumerate(ARRAYS)]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        (with_array(1, ARRAYS[1][:-1]), "6 images and 5 labels"),
        (with_array(3, np.array([1, 2, 10, 3], np.uint8)), "label 10 at position 2"),
        (with_array(0, np.zeros((6, 32, 32), np.uint8)), r"\(6, 32, 32\).*read_idx"),
        (with_array(0, ARRAYS[1]), "images are uint8"),
        (with_array(1, ARRAYS[0]), "labels are uint8"),
        (make_arrays(train=0), "0 images and 0 labels"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(tmp_path, arrays, reason):
    with pytest.raises(DataFormatError, match=reason):
        load("mnist", data_dir=lay_out(tmp_path, arrays=arrays))


def test_npz_of_other_types_is_refused_and_of_wide_labels_accepted(tmp_path):
    wide = [a.astype(np.int64) if a.ndim == 1 else np.asfortranarray(a) for a in ARRAYS]
    check_loaded(load("mnist", data_dir=lay_out(tmp_path / "wide", "npz", wide)))
    for i, array, reason in ((0, ARRAYS[0] / 255, "float64"), (3, np.array([1, -1, 2, 3]), "label -1 at position 1")):
        folder = lay_out(tmp_path / str(i), "npz", with_array(i, array))
        with pytest.raises(DataFormatError, match=reason):
            load("mnist", data_dir=folder)


def test_folder_of_the_other_data_set_is_not_taken_for_this_one(tmp_path):
    for name, other in (("mnist", "fashion-mnist"), ("fashion-mnist", "mnist")):
        labels = np.frombuffer(datasets._FIRST_LABELS[other], np.uint8)
        folder = lay_out(tmp_path / name, arrays=[*make_arrays(test=len(labels))[:3], labels])
        with pytest.raises(DatasetNotFoundError, match=f"this is {other}, not {name}"):
            load(name, data_dir=folder)
        assert load(other, data_dir=folder)[1].name == other


def test_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"'fashion_mnist'.*Did you mean 'fashion-mnist'.*mnist, synthetic"):
        load("fashion_mnist")


def test_dataset_unpacks_counts_and_describes_itself(tmp_path):
    train, test = load("mnist", data_dir=lay_out(tmp_path))
    images, labels = train
    assert images is train.images
    assert labels is train.labels
    assert (len(train), len(test)) == (6, 4)
    assert train.class_names == tuple("0123456789")
    assert train.source == f"from {tmp_path}"
    assert repr(test) == f"Dataset('mnist': 4 images of 28 x 28 uint8, from {tmp_path})"
    with pytest.raises(AttributeError):
        train.name = "other"


def test_user_without_a_home_folder_gets_the_error_that_helps(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/folders/are/ignored")
    monkeypatch.setattr(Path, "home", classmethod(no_home))
    with pytest.raises(DatasetNotFoundError, match="set XDG_CACHE_HOME"):
        load("mnist")


def no_home(cls):
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(("platform", "folder"), [("linux", ".cache"), ("darwin", "Library/Caches")])
def test_cache_is_where_the_system_keeps_caches(tmp_path, monkeypatch, platform, folder):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    lay_out(tmp_path / folder / "mnist_c" / "mnist")
    check_loaded(load("mnist"))


NO_SOCKETS = """
import socket, sys
def no(*args, **kwargs): raise AssertionError("network")
socket.socket = socket.create_connection = socket.getaddrinfo = no
from mnist_c import datasets
assert not {"ssl", "http.client", "urllib.request", "gzip", "zipfile", "numpy.random"} & (set(sys.modules) - before)
"""


def test_import_opens_no_connection_and_loads_nothing_heavy():
    code = "import sys, numpy; before = set(sys.modules)" + NO_SOCKETS
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---------------------------------------------------------------- the real data


@needs_data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_data_match_the_pinned_hashes_and_load_whole(monkeypatch, name):
    monkeypatch.undo()
    for file in _download.FILES[name]:
        path = Path(DATA, name, file.name)
        if path.exists():
            assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (file.size, file.sha256)
    train, test = load(name)
    assert train.images.shape == (60000, 28, 28)
    assert test.images.shape == (10000, 28, 28)
    assert train.source == f"from {Path(DATA, name)}"
    assert bytes(test.labels[:16]) == datasets._FIRST_LABELS[name]
    assert np.bincount(test.labels).sum() == 10000
    assert len(train.class_names) == 10


COST = """
import resource, sys, time
from mnist_c import datasets
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()  # the machine may be busy
pair = datasets.load("mnist")
seconds = time.process_time() - start
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 1e6)
"""


@needs_data
def test_real_data_load_in_half_a_second_and_80_mb():
    environment = {**os.environ, "MNIST_C_DATA": DATA}
    command = [sys.executable, "-c", COST]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
        for _ in range(3)
    ]
    seconds, megabytes = (min(float(run[i]) for run in runs) for i in (0, 1))
    assert seconds < 0.5
    assert megabytes < 80
