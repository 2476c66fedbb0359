"""Models in training, the time of whose epochs is measured.

What is timed is what `fit` puts down in `History.seconds`: one pass over the rows, with its shuffle. Not counted are
what `fit` does once per call (checks, the index of non-zero pixels, planning) and the first epochs of every call, in
which threads start and the core tries out whether they pay. Every setting trains a model of its own, 784-...-10 with
relu and Adam, which goes on from one run to the next.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import mnist_c as mc

WARM_UP = 2  # epochs of a call of fit that are not counted
MNIST = 60_000
ROWS = 12_288  # three batches of 4,096


@dataclass(frozen=True)
class Setting:
    """One network with its data. density: share of pixels that are not zero; None: as they were drawn."""

    threads: int
    hidden: tuple[int, ...] = (128,)
    batch: int = 128
    density: float | None = None


@dataclass
class Digits:
    """images (n, 784) uint8, labels (n,) uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def density(self) -> float:
        return float(np.count_nonzero(self.images) / self.images.size)

    def with_density(self, share: float) -> "Digits":
        """The same with that share of non-zero pixels: some are blanked at random, or empty ones filled at random."""
        random = np.random.default_rng(0)
        drawn, chance = self.density(), random.random(self.images.shape)
        if share < drawn:
            images = np.where(chance < share / drawn, self.images, 0)
        else:
            fill = (self.images == 0) & (chance < (share - drawn) / (1 - drawn))
            images = np.where(fill, random.integers(1, 256, self.images.shape), self.images)
        return Digits(images.astype(np.uint8), self.labels)

    def first(self, rows: int) -> "Digits":
        return Digits(self.images[:rows], self.labels[:rows])


def load() -> Digits:
    train, _ = mc.datasets.load("synthetic")
    return Digits(train.images.reshape(len(train.images), -1), train.labels)


class Trainer:
    """A model in training on a whole number of batches."""

    def __init__(self, setting: Setting, digits: Digits, rows: int = ROWS) -> None:
        self.setting = setting
        self.digits = digits.first(max(rows // setting.batch, 1) * setting.batch)
        if setting.density is not None:
            self.digits = self.digits.with_density(setting.density)
        hidden = [mc.Dense(units, activation="relu") for units in setting.hidden]
        self.model = mc.Sequential([mc.Input((784,)), *hidden, mc.Dense(10, activation="softmax")], seed=0)

    def seconds(self, epochs: int = 3) -> float:
        """Mean time of an epoch over the trainer's rows."""
        mc.set_num_threads(self.setting.threads)
        history = self.model.fit(
            self.digits.images,
            self.digits.labels,
            batch_size=self.setting.batch,
            epochs=WARM_UP + epochs,
            verbose=0,
        )
        return statistics.mean(history.seconds[WARM_UP:])

    def for_mnist(self, seconds: float) -> float:
        """Seconds for as many images as MNIST has."""
        return seconds * MNIST / len(self.digits.images)


def take_turns(trainers: Sequence[Trainer], runs: int, epochs: int = 3) -> list[list[float]]:
    """Seconds per epoch of each trainer in each run."""
    times: list[list[float]] = [[] for _ in trainers]
    for _ in range(runs):
        for trainer, seconds in zip(trainers, times, strict=True):
            seconds.append(trainer.seconds(epochs))
    return times
