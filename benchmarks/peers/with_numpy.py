"""Backpropagation in NumPy: float32, BLAS for the products, arrays that are reused, nothing else."""

from typing import Any

import numpy as np
from works import ADAM, Array, Data, Work, initial_weights, probabilities, score

from .peer import Peer, as_floats, thread_counts


def limit_blas(threads: int) -> None:
    """How many threads BLAS may use from now on; without threadpoolctl it keeps the number of its environment."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return
    threadpool_limits(threads, user_api="blas")


class Trainer(Peer):
    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        return thread_counts(threads)

    def __init__(self, work: Work, data: Data, threads: int = 1) -> None:
        super().__init__(work, data)
        limit_blas(threads)
        self._x, self._y, self._x_val, self._y_val = as_floats(work, data)
        self.reset()

    def reset(self) -> None:
        self._rng = np.random.Generator(np.random.SFC64(0))
        self._weights = initial_weights(self.work)
        self._m, self._v, self._scratch = ([np.zeros_like(w) for w in self._weights] for _ in range(3))
        self._t = 0

    def train(self) -> float | None:
        validation_loss = None
        for _ in range(self.work.epochs):
            self._epoch()
            if self.work.validation:
                validation_loss, _ = score(probabilities(self._weights, self._x_val), self._y_val)
        return validation_loss

    def _epoch(self) -> None:
        x, y, size = self._x, self._y, self.work.batch_size
        if self.work.batch is not None:
            order = self._rng.permutation(len(x))
            x, y = x[order], y[order]
        for start in range(0, len(x), size):
            self._step(x[start : start + size], y[start : start + size])

    def _step(self, x: Array, y: Array) -> None:
        """Forward, backward and the update of one batch."""
        kernels, biases = self._weights[::2], self._weights[1::2]
        inputs, factors = [x], []  # what each layer sees, and d activation / d product of the hidden ones
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            z = inputs[-1] @ kernel
            z += bias
            factor = self._mask(z)
            z *= factor
            inputs.append(z)
            factors.append(factor)
        z = inputs[-1] @ kernels[-1]
        z += biases[-1]
        delta = self._softmax_delta(z, y)
        gradients: list[Array] = []
        for layer in reversed(range(len(kernels))):
            gradients[:0] = [inputs[layer].T @ delta, delta.sum(axis=0)]
            if layer:
                delta = delta @ kernels[layer].T
                delta *= factors[layer - 1]
        self._update(gradients)

    def _mask(self, z: Array) -> Array:
        """1 where a unit is active (and kept: then 1 / (1 - dropout)), else 0."""
        rate = self.work.dropout
        if not rate:
            return (z > 0).astype(np.float32)
        kept = self._rng.random(z.shape, dtype=np.float32) >= rate
        kept &= z > 0
        return kept * np.float32(1 / (1 - rate))

    @staticmethod
    def _softmax_delta(z: Array, y: Array) -> Array:
        """d loss / d z of the mean cross-entropy, in place."""
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        z[np.arange(len(y)), y] -= 1
        z *= np.float32(1 / len(y))
        return z

    def _update(self, gradients: list[Array]) -> None:
        work = self.work
        if work.l2:
            for w, g, scratch in zip(self._weights[::2], gradients[::2], self._scratch[::2], strict=True):
                g += np.multiply(w, np.float32(2 * work.l2), out=scratch)
        if work.optimizer == "sgd":
            for w, g in zip(self._weights, gradients, strict=True):
                g *= np.float32(work.rate)
                w -= g
            return
        self._t += 1
        b1, b2 = ADAM["beta1"], ADAM["beta2"]
        rate = work.rate * (1 - b2**self._t) ** 0.5 / (1 - b1**self._t)
        for w, g, m, v, scratch in zip(self._weights, gradients, self._m, self._v, self._scratch, strict=True):
            m += np.multiply(np.subtract(g, m, out=scratch), np.float32(1 - b1), out=scratch)
            np.multiply(g, g, out=g)
            v += np.multiply(np.subtract(g, v, out=scratch), np.float32(1 - b2), out=scratch)
            np.sqrt(v, out=g)
            g += np.float32(ADAM["epsilon"])
            np.divide(m, g, out=g)
            w -= np.multiply(g, np.float32(rate), out=g)

    def weights(self) -> list[Array]:
        return self._weights

    def predict(self) -> Array:
        return probabilities(self._weights, self._x)
