"""Messy data, made from clean ones: missing pixels, rare classes, wrong labels."""

import numpy as np

from .._synthetic import Random
from ._recipe import Labelled

MISSING = 0.3  # share of the pixels
KEPT = 0.1  # share of the images of the rare classes 5 to 9
WRONG = 0.2  # share of the labels


def missing_pixels(part: Labelled, random: Random) -> Labelled:
    """Pixels are 0, independently of each other, as where a sensor is dead or a form was torn."""
    images = part.images.copy()
    for image in images:  # one by one: random numbers of all images at once would take gigabytes
        image[random.uniform(*image.shape) < MISSING] = 0
    return Labelled(images, part.labels)


def imbalanced(part: Labelled, random: Random) -> Labelled:
    """Most images of the classes 5 to 9 are left out."""
    kept = (part.labels < 5) | (random.uniform(len(part.labels)) < KEPT)
    return Labelled(part.images[kept], part.labels[kept])


def wrong_labels(part: Labelled, random: Random) -> Labelled:
    """Labels are another class, each of the nine with the same probability."""
    n = len(part.labels)
    spoiled = random.uniform(n) < WRONG
    other = (part.labels + 1 + (9 * random.uniform(n)).astype(np.uint8)) % 10
    return Labelled(part.images, np.where(spoiled, other, part.labels).astype(np.uint8))
