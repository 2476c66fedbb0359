"""Layers, forward and backward: dense, activations, dropout, batch normalisation, penalties, constraints.

Goodfellow, Bengio, Courville: Deep Learning (2016), chapters 6.5 (back-propagation), 7.1 (penalties), 7.12 (dropout)
and 8.7.1 (batch normalisation).
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


# ---------------------------------------------------------------- dense


def dense_forward(x: Array, kernel: Array, bias: Array | float = 0.0) -> Array:
    """z = x W + b.    x (B, K), kernel (K, N), bias (N,) -> z (B, N)"""
    return x @ kernel + bias


def dense_backward(x: Array, kernel: Array, delta: Array) -> tuple[Array, Array, Array]:
    """Gradients of the loss with respect to the input, the kernel and the bias of a dense layer.

        dx = delta W'      dW = x' delta      db = sum over rows of delta

    x (B, K), kernel (K, N), delta (B, N) -> dx (B, K), d_kernel (K, N), d_bias (N,)
    """
    return delta @ kernel.T, x.T @ delta, delta.sum(axis=0)


# ---------------------------------------------------------------- activations


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), any shape. Where e^-z overflows the quotient is 0, as it should be."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def _elu(z: Array, scale: float, alpha: float) -> tuple[Array, Array]:
    """scale z, or alpha (e^z - 1) where z is negative, and the derivative; any shape."""
    low = np.minimum(z, 0)
    a = np.where(z < 0, alpha * np.expm1(low), scale * z)
    return a.astype(z.dtype), np.where(z > 0, scale, alpha * np.exp(low)).astype(z.dtype)


def normal_share(z: Array) -> Array:
    """The share of a standard normal distribution below z, erfc(-z / sqrt 2) / 2; any shape."""
    shares = [math.erfc(-v / math.sqrt(2)) / 2 for v in z.ravel().tolist()]
    return np.array(shares, dtype=z.dtype).reshape(z.shape)


def _gelu(z: Array) -> tuple[Array, Array]:
    with np.errstate(over="ignore"):
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    share = normal_share(z)
    return z * share, share + z * density


def _gelu_tanh(z: Array) -> tuple[Array, Array]:
    t = np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))
    return z * (1 + t) / 2, (1 + t) / 2 + z * (1 - t**2) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)


def _silu(z: Array) -> tuple[Array, Array]:
    s = sigmoid(z)
    return z * s, s + z * s * (1 - s)


# Klambauer, Unterthiner, Mayr, Hochreiter: Self-normalizing neural networks (2017), equation 2 and appendix 1.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

Activation: TypeAlias = Callable[[Array, float], tuple[Array, Array]]

# (z, slope) -> (a, f) with f = da/dz, elementwise. Only leaky_relu and elu look at slope. At z = 0 the derivative of
# relu is taken to be 0, and that of leaky_relu, elu and selu that on the negative side. `z < 0 ? 0 : z` rather than
# max(z, 0), so that NaN stays NaN.
ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda z, slope: (z, np.ones_like(z)),
    "relu": lambda z, slope: (np.where(z < 0, 0, z), np.where(z > 0, np.ones_like(z), 0)),
    "leaky_relu": lambda z, slope: (np.where(z < 0, slope * z, z), np.where(z > 0, np.ones_like(z), slope)),
    "tanh": lambda z, slope: (np.tanh(z), 1 - np.tanh(z) ** 2),
    "sigmoid": lambda z, slope: (sigmoid(z), sigmoid(z) * (1 - sigmoid(z))),
    "elu": lambda z, slope: _elu(z, 1.0, slope),
    "selu": lambda z, slope: _elu(z, _SELU_SCALE, _SELU_SCALE * _SELU_ALPHA),
    "gelu": lambda z, slope: _gelu(z),
    "gelu_tanh": lambda z, slope: _gelu_tanh(z),
    "silu": lambda z, slope: _silu(z),
    "softplus": lambda z, slope: (np.where(z < 0, 0, z) + np.log1p(np.exp(-np.abs(z))), sigmoid(z)),
}


# ---------------------------------------------------------------- dropout


def dropout_mask(keep: Array, rate: float, dtype: Any = np.float64) -> Array:
    """What activations and their derivatives are multiplied by: 1 / (1 - rate) where kept, else 0.

    keep (B, N) of bool, from `dropout_keep` or any generator -> mask (B, N). The expectation of the mask is 1, so
    inference needs no factor ("inverted" dropout; Srivastava et al., JMLR 15, 2014).
    """
    return np.where(keep, 1 / (1 - rate), 0).astype(dtype)


# ---------------------------------------------------------------- batch normalisation


def batch_norm_training(
    x: Array, gamma: Array | float, beta: Array | float, epsilon: float = 1e-3
) -> tuple[Array, Array, Array, Array, Array]:
    """Normalises each feature with the mean and variance of this batch (Ioffe and Szegedy, 2015, algorithm 1).

        xhat = (x - mean) / sqrt(variance + epsilon)      y = gamma xhat + beta

    The variance is that of the batch itself, divided by B, not by B - 1; Keras's moving variance is too.
    x (B, N); gamma, beta (N,) or numbers -> y (B, N), xhat (B, N), inv = 1 / sqrt(variance + epsilon) (N,),
    mean (N,), variance (N,)
    """
    mean = x.mean(axis=0)
    variance = ((x - mean) ** 2).mean(axis=0)
    inv = 1 / np.sqrt(variance + epsilon)
    xhat = (x - mean) * inv
    return gamma * xhat + beta, xhat, inv, mean, variance


def batch_norm_backward(xhat: Array, inv: Array, gamma: Array | float, delta: Array) -> tuple[Array, Array, Array]:
    """Gradients through `batch_norm_training`; mean and variance depend on x too.

        dbeta = sum delta      dgamma = sum delta xhat      dx = gamma inv (delta - dbeta / B - xhat dgamma / B)

    xhat, delta (B, N), inv, gamma (N,) -> dx (B, N), d_gamma (N,), d_beta (N,)
    """
    rows = len(delta)
    d_gamma = (delta * xhat).sum(axis=0)
    d_beta = delta.sum(axis=0)
    return gamma * inv * (delta - d_beta / rows - xhat * d_gamma / rows), d_gamma, d_beta


def moving_average(moving: Array, batch: Array, momentum: float = 0.99) -> Array:
    """moving momentum + batch (1 - momentum), for the mean and the variance alike.    (N,), (N,) -> (N,)"""
    return moving * momentum + batch * (1 - momentum)


def batch_norm_inference(
    x: Array, gamma: Array | float, beta: Array | float, mean: Array, variance: Array, epsilon: float = 1e-3
) -> tuple[Array, Array, Array]:
    """Normalises with the moving mean and variance: a fixed affine map of each feature.

    x (B, N), the others (N,) -> y (B, N), xhat (B, N), inv (N,)
    """
    inv = 1 / np.sqrt(variance + epsilon)
    xhat = (x - mean) * inv
    return gamma * xhat + beta, xhat, inv


def batch_norm_backward_inference(
    xhat: Array, inv: Array, gamma: Array | float, delta: Array
) -> tuple[Array, Array, Array]:
    """Gradients through `batch_norm_inference`: dx = gamma inv delta.    Shapes as in `batch_norm_backward`."""
    return gamma * inv * delta, (delta * xhat).sum(axis=0), delta.sum(axis=0)


# ---------------------------------------------------------------- penalties


def penalty(w: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    """l1 sum |w| + l2 sum w^2, with no factor 1/2, as Keras's regularizers have it.    w of any shape -> number"""
    return float(l1 * np.abs(w).sum() + l2 * (w**2).sum())


def penalty_gradient(w: Array | float, l1: float = 0.0, l2: float = 0.0) -> Array | float:
    """l1 sign(w) + 2 l2 w, where sign(0) = 0.    w of any shape -> the same shape"""
    return l1 * np.sign(w) + 2 * l2 * w


# ---------------------------------------------------------------- constraints


def constrain_norm(w: Array, least: float, most: float) -> Array:
    """w clip(|w|, least, most) / (|w| + 1e-7), |w| the norm of each column of a matrix, or of a vector.

    What `fit` does to weights after each step: most alone is the max-norm constraint (Srebro, Rennie and Jaakkola,
    2005; with dropout: Srivastava et al., JMLR 15, 2014, section 5.1), least = most = 1 gives unit norms. Formula, and
    1e-7, are Keras's.    w (K, N) or (N,) -> the same shape
    """
    norms = np.sqrt(np.square(w, dtype=np.float64).sum(axis=0))
    return np.asarray(w * (np.clip(norms, least, most) / (norms + 1e-7)).astype(w.dtype))
