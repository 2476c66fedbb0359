"""keras.datasets.fashion_mnist."""

from ... import datasets
from .mnist import Pair


def load_data() -> tuple[Pair, Pair]:
    """(x_train, y_train), (x_test, y_test): uint8 (n, 28, 28) and (n,), as `mnist_c.datasets.load` finds them."""
    train, test = datasets.load("fashion-mnist")
    return (train.images, train.labels), (test.images, test.labels)
