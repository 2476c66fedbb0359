"""Small experiments beside the model: what can be learned from the data, and what another learning rate would do.

None of them changes the model. Together they take about half a second for a network such as 784-128-64-10.
"""

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._plan import Shape

if TYPE_CHECKING:
    from ..model import Sequential

Array = NDArray[Any]

LOWER = tuple(10.0**power for power in range(-1, -10, -1))
HIGHER = tuple(10.0**power for power in range(2, 10))
_BATCH = 64
_EPOCHS = 3  # of at most 2,000 images: 94 steps


def nearest_neighbours(inputs: Array) -> tuple[Array, Array]:
    """(asked, nearest): a quarter of the images, drawn, and which of the others is most similar to each of them.

    They need no training and depend on neither scale nor polarity. On 2,000 images both have the same label in a share
    of about 0.90 of MNIST, 0.79 of Fashion-MNIST, and the sum of the squared shares of the classes, 0.1, where labels
    have nothing to do with images.
    inputs float64 (N, K)
    """
    order = _core.permutation(0, 1, len(inputs)).astype(np.intp)
    asked, known = np.split(order, [max(1, len(order) // 4)])
    if not len(known):
        return asked, known
    x = inputs.astype(np.float32)
    x = x / max(float(np.abs(x).max()), 1e-30)
    distances = np.square(x[known]).sum(axis=1) - 2 * x[asked] @ x[known].T
    return asked, known[distances.argmin(axis=1)]


# ---------------------------------------------------------------- copies of the model


def fresh_copy(model: "Sequential", rate: float | None = None) -> "Sequential":
    """The same layers with the weights that the seed gives; with a rate also loss and optimizer, at that rate."""
    from ..model import Sequential

    copy = Sequential.from_config(model.get_config())
    copy._build_for(copy._plan_for(model._state.plan.input_shape))
    if rate is not None:
        optimizer = model._choose_optimizer(None)
        settings = {name: value for name, value in vars(optimizer).items() if name not in ("hyper", "learning_rate")}
        copy.optimizer, copy.loss = type(optimizer)(learning_rate=rate, **settings), model.loss
    return copy


class Sweep:
    """Fresh copies of the model, each trained for the same few steps on the sample, shuffled, at another rate.

    rate: that of the model's optimizer. steps: how many each copy is trained.
    """

    def __init__(self, model: "Sequential", images: Array, labels: Array, rate: float) -> None:
        self.rate, self.steps = rate, _EPOCHS * -(-len(images) // _BATCH)
        self._model, self._images, self._labels = model, images, labels
        self._accuracies: dict[float, float] = {}

    def accuracy(self, factor: float) -> float:
        """That of the copy trained at factor times the rate, on the sample; 0 where it diverged."""
        if factor not in self._accuracies:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about data that the model has been trained on
                self._accuracies[factor] = _trained(self._model, self._images, self._labels, self.rate * factor)
        return self._accuracies[factor]

    @property
    def at_rate(self) -> float:
        return self.accuracy(1.0)

    @property
    def best_lower(self) -> tuple[float, float]:
        """(factor, accuracy) of the best copy at a tenth of the rate or less."""
        return max(((factor, self.accuracy(factor)) for factor in LOWER), key=lambda pair: pair[1])

    @property
    def best_higher(self) -> tuple[float, float]:
        """(factor, accuracy) of the best copy at a hundred times the rate or more."""
        return max(((factor, self.accuracy(factor)) for factor in HIGHER), key=lambda pair: pair[1])


def _trained(model: "Sequential", images: Array, labels: Array, rate: float) -> float:
    copy = fresh_copy(model, rate)
    try:
        copy.fit(images, labels, epochs=_EPOCHS, batch_size=_BATCH, verbose=0)
    except _core.NotFiniteError:
        return 0.0
    return copy.evaluate(images, labels, verbose=0).accuracy


# ---------------------------------------------------------------- digits that the package can draw


@cache
def _reader() -> "Sequential":
    """A small network that has learned to read the package's own drawn digits. On MNIST it is right in 88 %."""
    from ..datasets import synthetic
    from ..layers import Dense, Dropout, Flatten
    from ..model import Sequential
    from ..optimizers import Adam

    images, labels = synthetic(3000, seed=7)
    layers = [Flatten(input_shape=(28, 28)), Dense(64, "relu"), Dropout(0.3), Dense(10, "softmax")]
    model = Sequential(layers, seed=0)
    model.fit(images, labels, epochs=8, verbose=0, optimizer=Adam(1e-3))
    return model


def read_digits(inputs: Array, shape: Shape) -> Array | None:
    """What digits (N,) images of 28 x 28 pixels seem to show; None for images of another size.

    inputs float64 (N, K): of any scale, and dark on bright as well.
    """
    low, high = float(inputs.min()), float(inputs.max())
    if inputs.shape[1] != 784 or shape[:2] not in ((28, 28), (784,)) or low == high:
        return None
    x = (inputs - low) / (high - low)
    x = 1 - x if x.mean() > 0.5 else x
    return np.asarray(_reader().predict(x.astype(np.float32)).argmax(axis=1))
