"""mnist_c: train and run multilayer perceptrons on MNIST-like images. A small C core with a thin Python package.

    import mnist_c as mc

    train, test = mc.datasets.load("mnist")
    model = mc.Sequential([
        mc.Flatten(input_shape=(28, 28)),
        mc.Dense(128, activation="relu"),
        mc.Dropout(0.2),
        mc.Dense(10, activation="softmax"),
    ], seed=0)
    model.fit(train.images, train.labels, epochs=10, optimizer=mc.Adam(1e-3), validation_split=0.2)
    loss, accuracy = model.evaluate(test.images, test.labels)

Not to be confused with MNIST-C, the benchmark of corrupted digits.
"""

from typing import TYPE_CHECKING, Any

from . import callbacks, constraints, initializers, losses, ops, optimizers, regularizers, schedules
from ._checkpoint import ResumeError
from ._core import NotFiniteError
from .config import get_num_threads, set_num_threads, show_config
from .constraints import MaxNorm, UnitNorm
from .gradient_check import gradient_check
from .history import History
from .initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from .layers import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    LeakyReLU,
    ReLU,
    Rescaling,
    Softmax,
)
from .losses import BinaryCrossentropy, CategoricalCrossentropy, MeanSquaredError, SparseCategoricalCrossentropy
from .model import Sequential
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .regularizers import L1, L1L2, L2
from .results import Evaluation
from .schedules import CosineDecay, ExponentialDecay, InverseTimeDecay, OneCycle, StepDecay, WarmUp

if TYPE_CHECKING:
    from . import datasets, diagnosis, keras, metrics, plots, recipes, reference, saving, testing
    from .diagnosis import diagnose
    from .saving import ModelFileError, load_model

__version__ = "0.1.0"

# Loaded when first asked for, so that `import mnist_c` stays quick.
_ON_DEMAND = ("datasets", "diagnosis", "keras", "metrics", "plots", "recipes", "reference", "saving", "testing")
_PARTS = {"ModelFileError": "saving", "load_model": "saving", "diagnose": "diagnosis"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _ON_DEMAND:
        return import_module(f"{__name__}.{name}")
    if name in _PARTS:
        return getattr(import_module(f"{__name__}.{_PARTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ON_DEMAND, *_PARTS])


__all__ = [
    "ELU",
    "L1",
    "L1L2",
    "L2",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNormalization",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Constant",
    "CosineDecay",
    "Dense",
    "Dropout",
    "Evaluation",
    "ExponentialDecay",
    "Flatten",
    "GaussianNoise",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "History",
    "Input",
    "InverseTimeDecay",
    "LeakyReLU",
    "LecunNormal",
    "LecunUniform",
    "MaxNorm",
    "MeanSquaredError",
    "ModelFileError",
    "NotFiniteError",
    "OneCycle",
    "Ones",
    "RMSprop",
    "RandomNormal",
    "RandomUniform",
    "ReLU",
    "Rescaling",
    "ResumeError",
    "Sequential",
    "Softmax",
    "SparseCategoricalCrossentropy",
    "StepDecay",
    "TruncatedNormal",
    "UnitNorm",
    "VarianceScaling",
    "WarmUp",
    "Zeros",
    "callbacks",
    "constraints",
    "datasets",
    "diagnose",
    "diagnosis",
    "get_num_threads",
    "gradient_check",
    "initializers",
    "keras",
    "load_model",
    "losses",
    "metrics",
    "ops",
    "optimizers",
    "plots",
    "recipes",
    "reference",
    "regularizers",
    "saving",
    "schedules",
    "set_num_threads",
    "show_config",
    "testing",
]
