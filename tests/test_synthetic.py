"""Synthetic digits: the same everywhere, made like MNIST, good enough to learn real digits from."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_c import _synthetic, datasets
from mnist_c.datasets import load, synthetic

DATA = os.environ.get("MNIST_C_DATA", "")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mnist_c"


@pytest.fixture(scope="module")
def digits():
    return synthetic(3000)


def test_digits_are_bytes_of_28_by_28_with_labels(digits):
    images, labels = digits
    assert (images.shape, images.dtype) == ((3000, 28, 28), np.uint8)
    assert (labels.shape, labels.dtype) == ((3000,), np.uint8)
    assert images.flags.c_contiguous
    assert np.bincount(labels, minlength=10).tolist() == [300] * 10


def test_pixels_are_the_same_on_every_machine():
    images, labels = synthetic(1000, seed=0)
    # Another hash: either a machine that does not compute by IEEE 754, or a change that needs a new VERSION.
    assert _synthetic.VERSION == 1
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == (
        "a19ff6a765e4ddd2a01b6542cb3e5d6554298a674c4d46180540ee6a61264de4"
    )


def test_fewer_digits_are_the_beginning_of_more(digits):
    for n in (0, 1, 499, 500, 1203):
        for part, whole in zip(synthetic(n), digits, strict=True):
            np.testing.assert_array_equal(part, whole[:n], strict=True)


def test_seeds_give_different_digits(digits):
    for seed in (1, 2**64 - 1):
        other = synthetic(500, seed)
        assert not np.array_equal(other[1], digits[1][:500])
        same = (other[0][:, None] == digits[0][None, :500]).all(axis=(2, 3))
        assert not same.any()


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (1, -1), (1, 2**64)])
def test_numbers_out_of_range_are_refused(n, seed):
    with pytest.raises(ValueError, match="at least 0"):
        synthetic(n, seed)


def test_ink_fills_a_box_of_20_pixels_around_its_centre_of_mass(digits):
    images = digits[0].astype(np.int64)
    rows, columns = images.sum(axis=2), images.sum(axis=1)
    extent = np.maximum((rows > 0).sum(axis=1), (columns > 0).sum(axis=1))
    assert extent.max() <= 20
    assert np.median(extent) == 20
    for projection in (rows, columns):
        centre = (projection * np.arange(28)).sum(axis=1) / projection.sum(axis=1)
        assert (np.abs(centre - 14) <= 0.5).mean() > 0.99  # MNIST's convention, to the pixel


def test_digits_are_all_different_and_none_is_empty_or_a_blot(digits):
    images = digits[0]
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    ink = images.mean(axis=(1, 2)) / 255
    assert ink.min() > 0.02
    assert ink.max() < 0.40


def test_numbers_are_those_that_numpy_promises_not_to_change():
    # Of the first block's key. NumPy's distributions may change between versions, its bit generators may not.
    raw = np.random.Philox(key=np.array([0, 0], np.uint64)).random_raw(2)
    assert raw.tolist() == RAW
    u = _synthetic.Random(0, 0).uniform(2)
    assert (u * 2.0**53).tolist() == [r >> 11 for r in RAW]


RAW = [213000021201967259, 4455796210202625458]


def test_every_style_is_complete():
    styles = _synthetic._styles()
    assert styles.first[0] == 0
    assert (np.diff(styles.first) >= 2).all()  # every digit has at least two styles
    assert (styles.upto[:, -1] == 1).all()
    np.testing.assert_allclose(styles.weights.sum(axis=2), 1, atol=1e-12)
    assert np.abs(styles.start).max() < 120


# ---------------------------------------------------------------- load("synthetic")


def test_load_gives_20000_and_4000_digits_in_seconds_and_keeps_them(cache, monkeypatch):
    start = time.process_time()
    train, test = load("synthetic")
    assert time.process_time() - start < 6
    assert train.images.shape == (20000, 28, 28)
    assert test.images.shape == (4000, 28, 28)
    assert train.class_names == tuple("0123456789")
    assert train.source == "synthetic, drawn by version 1 of the generator, seed 0"
    assert not np.array_equal(train.images[:4000], test.images)

    draw, drawn = _synthetic.draw, []
    monkeypatch.setattr(_synthetic, "draw", lambda n, seed: drawn.append(n) or draw(n, seed))
    again = load("synthetic")
    assert sum(drawn) <= _synthetic.BLOCK  # no more than is compared with the cache
    for old, new in zip((train, test), again, strict=True):
        np.testing.assert_array_equal(old.images, new.images, strict=True)
        np.testing.assert_array_equal(old.labels, new.labels, strict=True)
        assert old.source == new.source
    assert [path.name for path in cache.iterdir()] == ["synthetic-v1.npz"]


@pytest.fixture
def few(monkeypatch):
    """Sizes that take no time."""
    monkeypatch.setattr(datasets, "_SYNTHETIC_TRAIN", 20)
    monkeypatch.setattr(datasets, "_SYNTHETIC_TEST", 10)


def test_another_version_of_the_generator_draws_anew(cache, few, monkeypatch):
    load("synthetic")
    monkeypatch.setattr(_synthetic, "VERSION", 2)
    assert "version 2" in load("synthetic")[0].source
    assert sorted(path.name for path in cache.iterdir()) == ["synthetic-v1.npz", "synthetic-v2.npz"]


@pytest.mark.parametrize("damage", [b"", b"no zip file", "cut", "other counts", "other digits"])
def test_damaged_cache_is_drawn_again(cache, few, damage):
    train, _ = load("synthetic")
    path = cache / "synthetic-v1.npz"
    whole = path.read_bytes()
    if damage == "other counts":
        arrays = dict(np.load(path))
        np.savez(path, **{name: array[:5] for name, array in arrays.items()})
    elif damage == "other digits":  # of a generator that was changed under the same version
        np.savez(path, **{name: array ^ (array.ndim == 3) for name, array in np.load(path).items()})
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else damage)
    np.testing.assert_array_equal(load("synthetic")[0].images, train.images)
    assert path.read_bytes() == whole


def test_cache_that_cannot_be_written_is_passed_over_in_silence(tmp_path, few, monkeypatch, capsys):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load("synthetic")[0]) == 20
    assert capsys.readouterr() == ("", "")


def test_neither_files_nor_network_are_needed(tmp_path, few, monkeypatch):
    monkeypatch.setenv("MNIST_C_OFFLINE", "1")
    monkeypatch.setenv("MNIST_C_DATA", str(tmp_path / "nowhere"))
    assert load("synthetic", data_dir=tmp_path / "nowhere")[1].name == "synthetic"


# ---------------------------------------------------------------- what they are good for


def random_features(images, rng_seed=0, count=600):
    """A layer of random ReLU units on the pixels; what is linear on top of it can be solved for at once."""
    weights = np.random.default_rng(rng_seed).standard_normal((784, count)).astype(np.float32) / 28
    return np.maximum(images.reshape(len(images), 784).astype(np.float32) / 255 @ weights, 0)


def solve_classifier(images, labels):
    features = random_features(images)
    targets = np.eye(10, dtype=np.float32)[labels]
    return np.linalg.solve(features.T @ features + 10 * np.eye(features.shape[1]), features.T @ targets)


def accuracy(solution, images, labels):
    return ((random_features(images) @ solution).argmax(axis=1) == labels).mean()


@pytest.fixture(scope="module")
def solution():
    return solve_classifier(*synthetic(6000))


def test_a_small_classifier_learns_them(solution):
    assert accuracy(solution, *synthetic(2000, seed=1)) > 0.7  # they are harder than MNIST


@pytest.mark.skipif(
    not Path(DATA, "mnist").is_dir(), reason="needs the real data: set MNIST_C_DATA to the folder that holds mnist/"
)
def test_what_is_learned_from_them_reads_real_digits(solution):
    train, _ = load("mnist", data_dir=DATA)  # the training images: the test images are kept for results
    assert accuracy(solution, train.images[:10000], train.labels[:10000]) > 0.8
