"""keras.datasets.mnist."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import datasets

Pair: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def load_data(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): uint8 (n, 28, 28) and (n,).

    Found as `mnist_c.datasets.load("mnist")` finds them; path is there for Keras's sake.
    """
    train, test = datasets.load("mnist")
    return (train.images, train.labels), (test.images, test.labels)
