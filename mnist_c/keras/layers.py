"""keras.layers."""

from ..layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    InputLayer,
    Layer,
    LeakyReLU,
    ReLU,
    Rescaling,
    Softmax,
)

__all__ = [
    "ELU",
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescaling",
    "Softmax",
]
