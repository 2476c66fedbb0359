"""Rotated, scaled and noisy copies of images.

All of it is made of +, -, *, / and comparisons, so that the pixels are the same on every machine: a rotation is given
by the tangent t of half its angle, with cos = (1 - t²) / (1 + t²) and sin = 2 t / (1 + t²).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._synthetic import Random
from ._recipe import Labelled

HALF_TURN = 0.132  # largest tangent of half the angle: 15 degrees
STRETCH = (0.85, 1.15)
SPECKS = 0.1  # share of pixels that noise changes

_BLOCK = 1000  # images that are made together

Floats = NDArray[np.float64]
Images = NDArray[np.uint8]


def with_copies(part: Labelled, random: Random) -> Labelled:
    """The images, then a rotated, a scaled and a noisy copy of each: four times as many."""
    images = np.concatenate([part.images, *(_in_blocks(f, part.images, random) for f in (rotated, scaled, noisy))])
    return Labelled(images, np.tile(part.labels, 4))


def _in_blocks(copy: Any, images: Images, random: Random) -> Images:
    blocks = [copy(images[i : i + _BLOCK], random) for i in range(0, len(images), _BLOCK)]
    return np.concatenate(blocks)


def rotated(images: Images, random: Random) -> Images:
    """Each image (n, 28, 28) turned about its centre by up to 15 degrees, either way."""
    t = HALF_TURN * random.spread(len(images))
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return warp(images, np.stack([cos, -sin, sin, cos], axis=1).reshape(-1, 2, 2))


def scaled(images: Images, random: Random) -> Images:
    """Each image made larger or smaller about its centre, by up to 15 %."""
    factor = random.between(STRETCH, len(images))
    return warp(images, np.eye(2) / factor[:, None, None])


def noisy(images: Images, random: Random) -> Images:
    """A tenth of the pixels, chosen at random, take a random value."""
    values = (256 * random.uniform(*images.shape)).astype(np.uint8)
    return np.where(random.uniform(*images.shape) < SPECKS, values, images)


def warp(images: Images, matrices: Floats) -> Images:
    """Affine maps about the centre: the pixel at p, counted from the centre, is that of the image at matrix p.

    images (n, h, w), matrices (n, 2, 2) on (row, column) -> uint8 (n, h, w). Between four pixels the value is
    interpolated bilinearly; outside the image it is 0.
    """
    n, height, width = images.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1).reshape(-1, 2) - centre
    # No matrix product: BLAS may sum in another order elsewhere.
    places = (matrices[:, None, :, :] * grid[None, :, None, :]).sum(axis=-1) + centre
    corner = np.floor(places).astype(np.intp)
    above, left = np.moveaxis(places - corner, -1, 0)
    row, column = np.moveaxis(corner, -1, 0)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float64)
    which = np.arange(n)[:, None]

    def pixel(down: int, right: int) -> Floats:
        rows, columns = np.clip(row + down + 1, 0, height + 1), np.clip(column + right + 1, 0, width + 1)
        return np.asarray(padded[which, rows, columns])

    top = pixel(0, 0) * (1 - left) + pixel(0, 1) * left
    bottom = pixel(1, 0) * (1 - left) + pixel(1, 1) * left
    values = top * (1 - above) + bottom * above
    return np.asarray(np.floor(values + 0.5).astype(np.uint8).reshape(n, height, width))
