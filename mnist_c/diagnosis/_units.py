"""Hidden layers by their activation, and how flat these are where the layers work."""

import numpy as np

from ..initializers import Zeros
from ..layers import Dense
from ._evidence import Array, Evidence


def hidden(e: Evidence, activations: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, activation) of all layers but the last that have one of these."""
    found = []
    for layer in e.model.layers[:-1]:
        function = getattr(layer, "activation", None)
        if function is not None and function.name in activations and layer.name in e.layer_outputs:
            found.append((layer.name, function.name))
    return found


def flat(a: Array, activation: str) -> Array:
    """Where the derivative is below 0.01 (sigmoid) or 0.02 (tanh), 4 and 2 % of its largest value."""
    return np.asarray(np.abs(2 * a - 1) > 0.98 if activation == "sigmoid" else np.abs(a) > 0.99)


def size_of_glorot(kernel: Array) -> float:
    """The deviation of a kernel beside that of Glorot's weights for its shape."""
    return float(kernel.std() / np.sqrt(2 / sum(kernel.shape)))


def flat_at_first(e: Evidence) -> tuple[str, float]:
    """The layer with the largest share of flat sigmoids or tanhs, and that share; 0 if biases may be the cause.

    They may be where they are not 0 and the weights of their layer are of a usual size.
    """
    for layer in e.initial_layers:
        if isinstance(layer, Dense) and layer.bias_initializer != Zeros() and size_of_glorot(layer.kernel) < 3:
            return "", 0.0
    layers = hidden(e, ("sigmoid", "tanh"))
    shares = ((name, float(flat(e.initial_outputs[name], activation).mean())) for name, activation in layers)
    return max(shares, key=lambda pair: pair[1], default=("", 0.0))
