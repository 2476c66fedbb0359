"""MNIST, Fashion-MNIST and synthetic digits as uint8 arrays.

    train, test = load("mnist")
    images, labels = train          # uint8 (60000, 28, 28) and uint8 (60000,)

The data are looked for in ``data_dir``, in ``$MNIST_C_DATA`` and in the user's cache, then downloaded into that cache.
``load("synthetic")`` needs neither files nor a network.  Nothing falls back silently: ``train.source`` says where the
data came from, and where there are none a :class:`DatasetNotFoundError` says all that was tried.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._idx import DataFormatError, read_idx, read_npz
from ._lookup import unknown

__all__ = ["NAMES", "DataFormatError", "Dataset", "DatasetNotFoundError", "load", "read_idx", "synthetic"]

NAMES = ("mnist", "fashion-mnist", "synthetic")

Array = NDArray[Any]  # as read from a file: of any type until it is checked

_DIGITS = tuple("0123456789")
_CLASS_NAMES = {
    "mnist": _DIGITS,
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "synthetic": _DIGITS,
}
_OTHER_FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}  # as torchvision lays them out
_STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")

# The first test labels of the two data sets. They share their file names, so this tells a folder of one from the other.
_FIRST_LABELS = {
    "mnist": bytes([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5]),
    "fashion-mnist": bytes([9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1]),
}

_SYNTHETIC_TRAIN, _SYNTHETIC_TEST = 20_000, 4_000


class DatasetNotFoundError(FileNotFoundError):
    """A data set is neither on this machine nor to be had from a mirror; the message says what was tried."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels; ``images, labels = dataset`` unpacks them.

    Attributes:
        images: uint8 (n, 28, 28), C-contiguous, 0 is background and 255 is ink.
        labels: uint8 (n,), 0 to 9.
        name: "mnist", "fashion-mnist" or "synthetic".
        source: where the data came from, for people to read.
        class_names: what the labels 0 to 9 stand for.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    name: str
    source: str
    class_names: tuple[str, ...]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter((self.images, self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shape = " x ".join(str(n) for n in self.images.shape[1:])
        return f"Dataset({self.name!r}: {len(self):,} images of {shape} uint8, {self.source})"


def load(
    name: str, data_dir: str | os.PathLike[str] | None = None, *, progress: bool = True
) -> tuple[Dataset, Dataset]:
    """Return the training and the test part of a data set.

    It is looked for in ``data_dir``; without that in the folder that the environment variable ``MNIST_C_DATA`` names,
    then in the user's cache (``$XDG_CACHE_HOME/mnist_c``, else ``~/.cache/mnist_c``, on macOS
    ``~/Library/Caches/mnist_c``); then it is downloaded into the cache, unless ``MNIST_C_OFFLINE=1`` is set.

    A data folder holds ``mnist/`` and ``fashion-mnist/``, or the files themselves: the four official ones (``.gz`` or
    unpacked, also as ``train-images.idx3-ubyte``), or Keras's ``mnist.npz``.

    Args:
        name: "mnist", "fashion-mnist", or "synthetic" for 20,000 + 4,000 drawn digits (``data_dir`` plays no part).
        data_dir: where the data are. When given, no other place is looked at.
        progress: report downloads on stderr.

    Returns:
        (train, test): for the public data sets 60,000 and 10,000 images.

    Raises:
        ValueError: there is no data set of that name.
        DatasetNotFoundError: it was not found; the message lists each place and mirror with the reason.
        DataFormatError: a file was found and is damaged.
    """
    if name not in NAMES:
        raise ValueError(unknown("data set", name, NAMES))
    if name == "synthetic":
        return _load_synthetic()
    tried: list[str] = []
    if data_dir is not None:
        found = _load_folder(name, Path(data_dir).expanduser(), tried)
        if found is None:
            raise _not_found(name, f"{name} is not in the data_dir that was given", tried)
        return found
    return _load_environment(name, tried) or _load_cache(name, tried) or _load_mirrors(name, tried, progress)


def synthetic(n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw ``n`` handwritten-looking digits; needs no file and no network.

    The same seed gives the same pixels on every machine, and more images continue fewer: ``synthetic(100)`` is the
    beginning of ``synthetic(1000)``.

    Args:
        n: how many, at least 0.
        seed: 0 to 2**64 - 1. ``load("synthetic")`` uses seed 0 for training and 1 for testing.

    Returns:
        (images, labels): uint8 (n, 28, 28) and uint8 (n,).

    Raises:
        ValueError: n or seed is out of range.
    """
    from . import _synthetic

    return _synthetic.draw(n, seed)


# ---------------------------------------------------------------- places


def _load_environment(name: str, tried: list[str]) -> tuple[Dataset, Dataset] | None:
    folder = os.environ.get("MNIST_C_DATA")
    if not folder:
        tried.append("$MNIST_C_DATA: not set")
        return None
    missing: list[str] = []
    found = _load_folder(name, Path(folder).expanduser(), missing)
    tried += [f"$MNIST_C_DATA = {line}" for line in missing]
    return found


def _load_cache(name: str, tried: list[str]) -> tuple[Dataset, Dataset] | None:
    cache = _cache_folder()
    if cache is None:
        tried.append("the user's cache: there is no home folder; set XDG_CACHE_HOME")
        return None
    try:
        return _load_folder(name, cache, tried)
    except (DataFormatError, OSError) as error:  # the cache is ours to repair: a damaged file is downloaded again
        tried.append(str(error))
        return None


def _load_mirrors(name: str, tried: list[str], progress: bool) -> tuple[Dataset, Dataset]:
    from . import _download

    title = f"{name} was not found on this machine"
    cache = _cache_folder()
    if os.environ.get("MNIST_C_OFFLINE", "0") not in ("", "0"):
        raise _not_found(name, title, [*tried, "the mirrors: not asked, as MNIST_C_OFFLINE is set"])
    if cache is None:
        raise _not_found(name, title, [*tried, "the mirrors: not asked, as there is no cache folder to download into"])
    title += " and could not be downloaded"
    folder = cache / name
    try:
        mirror = _download.fetch(name, folder, progress=progress)
    except _download.DownloadError as error:
        raise _not_found(name, title, [*tried, *error.reasons]) from None
    except OSError as error:
        raise _not_found(name, title, [*tried, f"cannot write to {folder}: {error.strerror or error}"]) from error
    found = _load_folder(name, cache, tried, source=f"downloaded from {mirror} into {folder}")
    if found is None:
        raise _not_found(name, title, tried)
    return found


def _cache_folder() -> Path | None:
    """Return where this package keeps what it downloads or draws, or None for a user without a home folder."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(configured):  # the XDG specification: ignore relative paths
        return Path(configured, "mnist_c")
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "mnist_c"


def _not_found(name: str, title: str, tried: list[str]) -> DatasetNotFoundError:
    lines = [
        f"{title}. What was tried:",
        *(f"  - {line}" for line in tried),
        "How to get on: copy these four files from any computer that has them (a plain file copy is fine, as .gz or",
        f"unpacked) into one folder, or {name}.npz as Keras keeps it:",
        *(f"    {stem}.gz" for stem in _STEMS),
        f'and name that folder: load("{name}", data_dir="folder"), or the environment variable MNIST_C_DATA=folder.',
        'load("synthetic") needs no files.',
    ]
    return DatasetNotFoundError("\n".join(lines))


# ---------------------------------------------------------------- files


def _load_folder(name: str, folder: Path, tried: list[str], source: str = "") -> tuple[Dataset, Dataset] | None:
    """Load a data set from a data folder; where it is not there, append the reason to ``tried`` and return None."""
    if not folder.is_dir():
        tried.append(f"{folder}: {'this is not a folder' if folder.exists() else 'no such folder'}")
        return None
    reasons: list[str] = []
    for place in (folder / name, folder / _OTHER_FOLDERS[name], folder):
        arrays = _read_place(name, place, reasons)
        if arrays is not None:
            x_train, y_train, x_test, y_test = arrays
            source = source or f"from {place}"
            return _checked(name, place, x_train, y_train, source), _checked(name, place, x_test, y_test, source)
    tried += reasons or [f"{folder}: has none of the files, nor has {name}/ or {_OTHER_FOLDERS[name]}/ in it"]
    return None


def _read_place(name: str, place: Path, reasons: list[str]) -> list[Array] | None:
    """Read the four arrays (in the order of ``_STEMS``) of the files that lie in ``place`` itself, if they do."""
    files = [path for stem in _STEMS if (path := _find(place, stem)) is not None]
    npz = place / f"{name}.npz"
    if len(files) == len(_STEMS):
        arrays = [read_idx(path) for path in files]
    elif npz.is_file():
        arrays = read_npz(npz, _NPZ_ARRAYS)
    else:
        if files:
            missing = [stem for stem in _STEMS if _find(place, stem) is None]
            reasons.append(f"{place}: has no {', no '.join(missing)}")
        return None
    for other, labels in _FIRST_LABELS.items():
        if other != name and arrays[3].ravel()[: len(labels)].tolist() == list(labels):
            reasons.append(f"{place}: this is {other}, not {name}")
            return None
    return arrays


def _find(place: Path, stem: str) -> Path | None:
    """Return the file of that name in one of the forms in which it is passed on."""
    dotted = stem.replace("-idx", ".idx")
    candidates = (place / form for form in (f"{stem}.gz", stem, f"{dotted}.gz", dotted))
    return next((path for path in candidates if path.is_file()), None)


def _checked(name: str, place: Path, images: Array, labels: Array, source: str) -> Dataset:
    """Make a Dataset of one pair of arrays, or raise DataFormatError where they are not what they should be."""
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise DataFormatError(
            f"{place}: images are {images.dtype} {images.shape} where uint8 (n, 28, 28) is expected; "
            "use read_idx for images of another size"
        )
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataFormatError(f"{place}: labels are {labels.dtype} {labels.shape} where integers (n,) are expected")
    if len(images) != len(labels) or len(images) == 0:
        raise DataFormatError(f"{place}: {len(images)} images and {len(labels)} labels; these files are not a pair")
    wrong = (labels < 0) | (labels > 9)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataFormatError(f"{place}: label {labels[at]} at position {at}; the labels must be 0 to 9")
    return Dataset(
        images=np.ascontiguousarray(images),
        labels=labels.astype(np.uint8, copy=False),
        name=name,
        source=source,
        class_names=_CLASS_NAMES[name],
    )


# ---------------------------------------------------------------- synthetic digits


def _load_synthetic() -> tuple[Dataset, Dataset]:
    """Draw the synthetic digits, or read them where an earlier call has left them in the user's cache."""
    from . import _synthetic

    cache = _cache_folder()
    path = None if cache is None else cache / f"synthetic-v{_synthetic.VERSION}.npz"
    arrays = _read_synthetic(path)
    if arrays is None:
        arrays = [*synthetic(_SYNTHETIC_TRAIN, seed=0), *synthetic(_SYNTHETIC_TEST, seed=1)]
        _write_synthetic(path, arrays)
    where = Path("synthetic digits")
    source = f"synthetic, drawn by version {_synthetic.VERSION} of the generator, seed "
    x_train, y_train, x_test, y_test = arrays
    train = _checked("synthetic", where, x_train, y_train, source + "0")
    return train, _checked("synthetic", where, x_test, y_test, source + "1")


def _read_synthetic(path: Path | None) -> list[Array] | None:
    """Return the four cached arrays; None where there are none, or not the right ones: they are soon drawn again."""
    if path is None:
        return None
    try:
        arrays = read_npz(path, _NPZ_ARRAYS)
    except (OSError, DataFormatError):
        return None
    counts = [_SYNTHETIC_TRAIN] * 2 + [_SYNTHETIC_TEST] * 2
    if [a.shape[:1] for a in arrays] != [(n,) for n in counts]:
        return None
    # A copy of this package whose generator was changed, but not its version, would leave other digits here.
    first, _ = synthetic(min(500, _SYNTHETIC_TRAIN), seed=0)
    return arrays if np.array_equal(arrays[0][: len(first)], first) else None


def _write_synthetic(path: Path | None, arrays: list[Array]) -> None:
    """Keep the arrays for the next call. A cache that cannot be written costs a second of drawing, not more."""
    from ._files import replacing

    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            x_train, y_train, x_test, y_test = arrays
            np.savez(file, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    except OSError:
        pass
