"""Activation functions, by name: the one table of them on the Python side.

An activation of Keras is a name and, for some, a slope; the core computes it (`csrc/kernels`). To add one, add it to
the core and a line to `_TABLE`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._config import Configurable, make
from ._lookup import check_factor, look_up, wrong_type
from .results import Output

# Keras's name -> (the slope it stands for where none is given, whether its first or second derivative jumps at 0)
_TABLE: dict[str, tuple[float, bool]] = {
    "linear": (0.0, False),
    "relu": (0.0, True),
    "leaky_relu": (0.2, True),
    "tanh": (0.0, False),
    "sigmoid": (0.0, False),
    "elu": (1.0, True),
    "selu": (0.0, True),
    "gelu": (0.0, False),
    "gelu_tanh": (0.0, False),
    "silu": (0.0, False),
    "softplus": (0.0, False),
    "softmax": (0.0, False),
}
_ALIASES = {"swish": "silu"}
# Those with a slope -> how Keras describes one: the class of a layer and its argument.
_LAYERS = {"leaky_relu": ("LeakyReLU", "negative_slope"), "elu": ("ELU", "alpha")}


class ActivationFunction(Configurable):
    """A named function of pre-activations z. Called on an array, it returns one of the same shape.

    linear      z
    relu        0 where z < 0, else z
    leaky_relu  slope z where z < 0, else z            (slope 0.2 as in keras.activations.leaky_relu)
    tanh        (e^z - e^-z) / (e^z + e^-z)
    sigmoid     1 / (1 + e^-z)
    elu         slope (e^z - 1) where z < 0, else z    (slope 1; Keras calls it alpha; Clevert et al., 2016)
    selu        1.0507 z, or 1.0507 1.67326 (e^z - 1) where z < 0    (Klambauer et al., 2017)
    gelu        z P(z), P(z) = (1 + erf(z / sqrt 2)) / 2   (Hendrycks and Gimpel, 2016)
    gelu_tanh   z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2    (Keras: gelu(z, approximate=True))
    silu        z sigmoid(z)                           ("swish" is another name; Elfwing et al., 2018)
    softplus    log(1 + e^z)
    softmax     e^z_j / sum_k e^z_k, over the last axis
    """

    __slots__ = ("name", "slope")

    def __init__(self, name: str, slope: float) -> None:
        self.name, self.slope = name, slope

    def __call__(self, z: ArrayLike) -> Output:
        from . import ops

        array = np.asarray(z)
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float64)
        rows = array.reshape(-1, array.shape[-1] if array.ndim else 1)
        result = ops.softmax(rows) if self.name == "softmax" else ops.activation(rows, self)
        return Output.of(result.reshape(array.shape))

    def _description(self) -> Any:
        default, _ = _TABLE[self.name]
        if self.slope == default:
            return self.name
        layer, argument = _LAYERS[self.name]
        return {"class_name": layer, "config": {argument: self.slope}}

    def __repr__(self) -> str:
        return f"{self.name}({_LAYERS[self.name][1]}={self.slope})" if self.slope else self.name


ACTIVATIONS = {name: ActivationFunction(name, slope) for name, (slope, _) in _TABLE.items()}
ACTIVATIONS.update({alias: ACTIVATIONS[name] for alias, name in _ALIASES.items()})
KINKED = frozenset(name for name, (_, kinked) in _TABLE.items() if kinked)


def leaky_relu(negative_slope: float) -> ActivationFunction:
    """The activation of that name with a slope of its own."""
    return ActivationFunction("leaky_relu", check_factor("negative_slope", negative_slope))


def elu(alpha: float) -> ActivationFunction:
    """The activation of that name with an alpha of its own."""
    return ActivationFunction("elu", check_factor("alpha", alpha))


def get(identifier: object) -> ActivationFunction:
    """An activation from its name, from None (linear), from one of `ACTIVATIONS`, from a layer that is one or from a
    description of such a layer.

    Raises ValueError for an unknown name and TypeError for anything else, a Python function included: the core can
    only run what it knows.
    """
    if identifier is None:
        return ACTIVATIONS["linear"]
    if isinstance(identifier, str):
        return look_up("activation", identifier, ACTIVATIONS)
    if isinstance(identifier, Mapping):
        return make("activation", identifier, {"LeakyReLU": leaky_relu, "ELU": elu})
    function = getattr(identifier, "activation", identifier)  # a layer such as LeakyReLU
    if isinstance(function, ActivationFunction):
        return function
    raise wrong_type("activation", identifier, f"one of the names {', '.join(ACTIVATIONS)}")
