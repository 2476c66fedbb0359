"""keras.activations: `relu(x)`, `softmax(x)`, ... on arrays, and as the activation of a layer."""

from ..activations import ACTIVATIONS, ActivationFunction, get

__all__ = ["get", *ACTIVATIONS]


def __getattr__(name: str) -> ActivationFunction:
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    raise AttributeError(f"there is no activation {name!r}; there are {', '.join(ACTIVATIONS)}")
