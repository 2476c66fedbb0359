"""The mathematics of mnist_c in readable NumPy: what the C core computes, written as a textbook writes it.

Nothing here calls the C core. Its tests are measured against these functions, and these functions against finite
differences, published test vectors, Keras and PyTorch (tests/test_reference.py, tests/test_optimizers_keras.py).

| module | contents |
|---|---|
| `layers` | dense layer, activations, dropout, batch normalisation, penalties, constraints |
| `losses` | softmax with cross-entropy, sigmoid with binary cross-entropy, mean squared error, inner product |
| `optimizers` | SGD, RMSprop, Adam, AdamW, Adagrad; learning-rate schedules |
| `randomness` | Philox4x32-10; permutations, dropout masks, noise and initial values drawn from it |
| `network` | `Network`: all of it put together, with the arguments of the C core's network |

Notation, as in ARCHITECTURE.md: B rows of a batch, K inputs of a layer, N outputs, C classes; z pre-activation,
a activation, f derivative of a with respect to z, delta derivative of the loss with respect to z.

Functions compute in the dtype of their arguments: float64 unless you give them float32.
"""

from .layers import (
    ACTIVATIONS,
    batch_norm_backward,
    batch_norm_backward_inference,
    batch_norm_inference,
    batch_norm_training,
    constrain_norm,
    dense_backward,
    dense_forward,
    dropout_mask,
    moving_average,
    penalty,
    penalty_gradient,
    sigmoid,
)
from .losses import (
    HEADS,
    binary_cross_entropy,
    inner_product,
    mean_squared_error,
    one_hot,
    smooth_labels,
    softmax,
    softmax_cross_entropy,
)
from .network import LAYER_DEFAULTS, Network
from .optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    adagrad,
    adam,
    adamw,
    clip,
    first_slots,
    flush,
    optimizer_slots,
    rates,
    rmsprop,
    sgd,
)
from .randomness import dropout_keep, initial_values, normal_noise, permutation, philox4x32, uniforms

__all__ = [
    "ACTIVATIONS",
    "HEADS",
    "LAYER_DEFAULTS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Network",
    "adagrad",
    "adam",
    "adamw",
    "batch_norm_backward",
    "batch_norm_backward_inference",
    "batch_norm_inference",
    "batch_norm_training",
    "binary_cross_entropy",
    "clip",
    "constrain_norm",
    "dense_backward",
    "dense_forward",
    "dropout_keep",
    "dropout_mask",
    "first_slots",
    "flush",
    "initial_values",
    "inner_product",
    "mean_squared_error",
    "moving_average",
    "normal_noise",
    "one_hot",
    "optimizer_slots",
    "penalty",
    "penalty_gradient",
    "permutation",
    "philox4x32",
    "rates",
    "rmsprop",
    "sgd",
    "sigmoid",
    "smooth_labels",
    "softmax",
    "softmax_cross_entropy",
    "uniforms",
]
