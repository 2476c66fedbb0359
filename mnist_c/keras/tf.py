"""The few names of TensorFlow that Keras programs for MNIST use: `from mnist_c.keras import tf`."""

from types import SimpleNamespace

from mnist_c import keras as keras

from ..activations import ACTIVATIONS
from .utils import set_random_seed

__version__ = f"none, mnist_c {keras.__version__}"

_NAMES = ("elu", "gelu", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softmax", "softplus", "swish", "tanh")
nn = SimpleNamespace(**{name: ACTIVATIONS[name] for name in _NAMES})
random = SimpleNamespace(set_seed=set_random_seed)
