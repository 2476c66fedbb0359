"""Small data sets in the layouts in which MNIST is passed on, for the tests of mnist_c.datasets."""

import gzip
import hashlib
import struct

import numpy as np

from mnist_c import _download

STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def make_arrays(train=6, test=4, first_label=3):
    rng = np.random.default_rng(5)
    arrays = []
    for n in (train, test):
        arrays += [rng.integers(0, 256, (n, 28, 28), np.uint8), (np.arange(n) + first_label).astype(np.uint8) % 10]
    return arrays


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


ARRAYS = make_arrays()
PUBLISHED = {f"{s}.gz": gzip.compress(idx_bytes(a), mtime=0) for s, a in zip(STEMS, ARRAYS, strict=True)}


def lay_out(folder, form="gz", arrays=ARRAYS):
    """Write the four files, or the .npz, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if form == "npz":
        np.savez(folder / "mnist.npz", x_train=arrays[0], y_train=arrays[1], x_test=arrays[2], y_test=arrays[3])
        return folder
    for i, (stem, array) in enumerate(zip(STEMS, arrays, strict=True)):
        content = idx_bytes(array)
        form_here = ("gz", "plain", "dotted", "dotted gz")[i] if form == "mixed" else form
        name = stem.replace("-idx", ".idx") if "dotted" in form_here else stem
        if "gz" in form_here:
            name, content = name + ".gz", gzip.compress(content)
        (folder / name).write_bytes(content)
    return folder


def check_loaded(pair, arrays=ARRAYS, name="mnist"):
    for dataset, images, labels in zip(pair, arrays[::2], arrays[1::2], strict=True):
        np.testing.assert_array_equal(dataset.images, images, strict=True)
        np.testing.assert_array_equal(dataset.labels, labels, strict=True)
        assert dataset.images.flags.c_contiguous
        assert dataset.name == name


def isolate(tmp_path, monkeypatch):
    """Give a test an empty cache (returned), no data folder, no proxy, and files to publish but no mirrors."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("MNIST_C_DATA", raising=False)
    monkeypatch.delenv("MNIST_C_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    files = tuple(_download.RemoteFile(n, len(c), hashlib.sha256(c).hexdigest()) for n, c in PUBLISHED.items())
    monkeypatch.setattr(_download, "FILES", {"mnist": files, "fashion-mnist": files})
    monkeypatch.setattr(_download, "MIRRORS", {"mnist": (), "fashion-mnist": ()})
    monkeypatch.setattr(_download, "TIMEOUT", 0.4)
    return tmp_path / "xdg" / "mnist_c"
