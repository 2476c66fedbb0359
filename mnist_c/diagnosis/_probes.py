"""Small experiments beside the model: what can be learned from the data, and what another learning rate would do.

None of them changes the model. `diagnose` says how many copies it trains, and when.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._plan import Shape

if TYPE_CHECKING:
    from ..model import Sequential

Array = NDArray[Any]

LOWER = tuple(10.0**power for power in range(-1, -10, -1))
HIGHER = tuple(10.0**power for power in range(1, 10))
_BATCH = 64
_EPOCHS, _LONG = 3, 15  # of at most 2,000 images: 96 and 480 steps

Change: TypeAlias = Callable[[dict[str, Any]], None]


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


def fresh_copy(
    model: "Sequential",
    rate: float | None = None,
    layers: "Change | None" = None,
    settings: Mapping[str, float | None] = MappingProxyType({}),
) -> "Sequential":
    """The same layers with the weights that the seed gives; with a rate also loss and optimizer, at that rate.

    layers: what is changed in their descriptions. settings: what is changed in the optimizer.
    """
    from ..model import Sequential

    config = model.get_config()
    if layers is not None:
        for layer in config["layers"]:
            layers(layer["config"])
    copy = Sequential.from_config(config)
    copy._build_for(copy._plan_for(model._state.plan.input_shape))
    if rate is not None:
        optimizer = model._choose_optimizer(None)
        kept = {name: value for name, value in vars(optimizer).items() if name not in ("hyper", "learning_rate")}
        copy.optimizer, copy.loss = type(optimizer)(learning_rate=rate, **kept | dict(settings)), model.loss
    return copy


def without_dropout(config: dict[str, Any]) -> None:
    if "rate" in config:
        config["rate"] = 0.0


def without_penalties(config: dict[str, Any]) -> None:
    config |= {name: None for name in ("kernel_regularizer", "bias_regularizer") if name in config}


class Sweep:
    """Fresh copies of the model, each trained for the same few steps on the sample, shuffled, at another rate.

    rate: that of the model's optimizer. steps, long_steps: how many a copy is trained, usually and with long=True.
    """

    def __init__(self, model: "Sequential", images: Array, labels: Array, rate: float) -> None:
        batches = -(-len(images) // _BATCH)
        self.rate, self.steps, self.long_steps = rate, _EPOCHS * batches, _LONG * batches
        self._model, self._images, self._labels = model, images, labels
        self._accuracies: dict[object, float] = {}

    def accuracy(
        self, factor: float = 1.0, *, long: bool = False, layers: "Change | None" = None, **settings: float | None
    ) -> float:
        """That of the copy trained at factor times the rate, on the sample; 0 where it diverged.

        layers, settings: what is changed in the layers and in the optimizer.
        """
        key = (factor, long, layers, *settings.items())
        if key not in self._accuracies:
            copy = fresh_copy(self._model, self.rate * factor, layers, settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about data that the model has been trained on
                self._accuracies[key] = _trained(copy, self._images, self._labels, _LONG if long else _EPOCHS)
        return self._accuracies[key]

    @property
    def at_rate(self) -> float:
        return self.accuracy()

    @property
    def best_lower(self) -> tuple[float, float]:
        """(factor, accuracy) of the best copy at a tenth of the rate or less."""
        return max(((factor, self.accuracy(factor)) for factor in LOWER), key=lambda pair: pair[1])

    @property
    def best_higher(self) -> tuple[float, float]:
        """(factor, accuracy) of the best copy at ten times the rate or more; of the lowest rate that is nearly as good.

        It may be too high for longer: see `safest`.
        """
        best = max(self.accuracy(factor) for factor in HIGHER)
        least = next(factor for factor in HIGHER if self.accuracy(factor) >= best - 0.02)
        return least, self.accuracy(least)

    def safest(self, factor: float, at_least: float) -> float:
        """The factor, a tenth or a hundredth of it: of those above 1 that have such an accuracy, the best for longer.

        The factor itself has that accuracy.
        """
        factors = [f for f in (factor, factor / 10, factor / 100) if f > 1 and self.accuracy(f) >= at_least]
        return max(factors, key=lambda f: self.accuracy(f, long=True))


def _trained(copy: "Sequential", images: Array, labels: Array, epochs: int) -> float:
    try:
        copy.fit(images, labels, epochs=epochs, batch_size=_BATCH, verbose=0)
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
