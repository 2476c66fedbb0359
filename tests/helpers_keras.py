"""The input that Keras (tests/data/make_keras_figures.py) and we (tests/test_optimizers_keras.py) are given."""

import numpy as np
from helpers_reference import exact

STEPS = 100


def gradients() -> np.ndarray:
    """(100, 5, 7). The columns differ in size, from 1 to 2^-12; column 3 is 0 from step 11 on, column 4 always."""
    g = exact(1, STEPS, 5, 7) * 2.0 ** (-2.0 * np.arange(7))
    g[10:, :, 3] = 0
    g[:, :, 4] = 0
    return g


def first_weights() -> np.ndarray:
    """(5, 7) the weights that these gradients move."""
    return exact(2, 5, 7)


def loss_inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outputs (8, 4), labels (8,), targets (8, 4), weights (8,)."""
    return 4 * exact(3, 8, 4), np.arange(8) % 4, exact(4, 8, 4), np.abs(exact(5, 8))


def network_inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Five batches of inputs (5, 16, 6), the labels (16,) and weights (16,) of each."""
    return exact(10, 5, 16, 6), np.arange(16) % 4, np.abs(exact(11, 16))


def network_weight(i: int, shape: tuple[int, ...]) -> np.ndarray:
    """What the i-th tensor of the network starts with; vectors are positive, as variances must be."""
    return 0.5 * exact(20 + i, *shape) + 0.75 * (len(shape) == 1)
