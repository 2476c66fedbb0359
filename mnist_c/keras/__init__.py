"""Keras's import paths for the same objects, so that whole programs run after their imports are changed:

    from mnist_c import keras                  # for  import keras
    from mnist_c.keras import layers           # for  from keras import layers
    from mnist_c.keras import tf               # for  import tensorflow as tf

What is here works; what is missing does not exist. Differences from Keras: integer pixels are divided by 255 unless the
model has a Rescaling layer, accuracy is always measured, and layers cannot be frozen or nested.
"""

from .. import __version__ as __version__
from . import (
    activations,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    utils,
)
from .layers import Input
from .models import Sequential

__all__ = [
    "Input",
    "Sequential",
    "activations",
    "callbacks",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
    "utils",
]
