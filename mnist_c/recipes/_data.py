"""The images that a variant trains on, is validated on and tested on."""

import hashlib
import os
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _core, datasets
from .._synthetic import Random
from ._recipe import Alteration, Labelled, Split, Variant

OFFICIAL = (60_000, 10_000)  # images in the training and in the test part, of MNIST as of Fashion-MNIST
FAST_SHARE = 10  # a shortened run takes the first tenth of each part


class Source(NamedTuple):
    """A data set as it was loaded, or shortened."""

    train: Labelled
    test: Labelled
    class_names: tuple[str, ...]


class Parts(NamedTuple):
    train: Labelled
    validation: Labelled | None
    test: Labelled


def load(names: Iterable[str], data_dir: "str | os.PathLike[str] | None" = None) -> dict[str, Source]:
    """The data sets of those names. Raises DatasetNotFoundError or DataFormatError; nothing takes their place."""
    sources = {}
    for name in dict.fromkeys(names):
        train, test = datasets.load(name, data_dir=data_dir)
        sources[name] = Source(Labelled(*train), Labelled(*test), train.class_names)
    return sources


def shorten(source: Source) -> Source:
    """The first tenth of the training and of the test images."""

    def first(part: Labelled) -> Labelled:
        n = max(1, len(part.labels) // FAST_SHARE)
        return Labelled(part.images[:n], part.labels[:n])

    return Source(first(source.train), first(source.test), source.class_names)


def describe(source: Source) -> dict[str, Any]:
    """Numbers of images and SHA-256 of each part: of the bytes of its images, followed by those of its labels."""
    entries = {}
    for name, part in (("train", source.train), ("test", source.test)):
        digest = hashlib.sha256(np.ascontiguousarray(part.images).data)
        digest.update(np.ascontiguousarray(part.labels).data)
        entries[name] = {"images": len(part.labels), "sha256": digest.hexdigest()}
    return entries


# ---------------------------------------------------------------- splits


def divide(split: Split, source: Source, seed: int) -> Parts:
    """The three parts; the seed shuffles what is pooled.

    Of data that are fewer than the official ones, all parts are smaller in proportion.
    """
    if split.pooled:
        return _divide_pool(split, source, seed)
    n = len(source.train.labels)
    train, validation = (count * n // OFFICIAL[0] for count in (split.train, split.validation))
    return Parts(_rows(source.train, slice(0, train)), _tail(source.train, validation), source.test)


def _divide_pool(split: Split, source: Source, seed: int) -> Parts:
    images = np.concatenate([source.train.images, source.test.images])
    labels = np.concatenate([source.train.labels, source.test.labels])
    n = len(labels)
    order = _core.permutation(seed, 0, n)
    train, validation = (count * n // sum(OFFICIAL) for count in (split.train, split.validation))
    bounds = (0, train, train + validation, n)
    parts = (order[first:last] for first, last in pairwise(bounds))
    return Parts(*(Labelled(images[rows], labels[rows]) for rows in parts))


def _rows(part: Labelled, rows: "slice | NDArray[Any]") -> Labelled:
    return Labelled(part.images[rows], part.labels[rows])


def _tail(part: Labelled, n: int) -> Labelled | None:
    return _rows(part, slice(len(part.labels) - n, None)) if n else None


def prepare(variant: Variant, source: Source, seed: int) -> Parts:
    """The parts of a run, altered as the variant says, each with random numbers of its own."""
    train, validation, test = divide(variant.split, source, seed)
    return Parts(
        _alter(train, variant.alter_training, Random(seed, 0)),
        None if validation is None else _alter(validation, variant.alter_use, Random(seed, 1)),
        _alter(test, variant.alter_use, Random(seed, 2)),
    )


def _alter(part: Labelled, alteration: Alteration | None, random: Random) -> Labelled:
    return part if alteration is None else alteration(part, random)
