"""JAX: an epoch is one jitted `lax.scan` whose parameters are donated.

The epoch's images are permuted and its dropout masks drawn inside, before the scan, with the generator that is the
fastest one on a CPU. Adam is written out, with Keras's formula.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from works import ADAM, Array, Data, Work, initial_weights

from .peer import Peer, as_floats

# Masks are drawn as 16-bit numbers, half the work of 32: 0.2 is met within 1e-5.
BITS = jnp.uint16


class Jax(Peer):
    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        """Permute the images once, or gather those of each batch; both ways are sometimes the faster one."""
        if work.kind == "predict" or work.batch is None:
            return [{}]
        return [{"gather": "epoch"}, {"gather": "batch"}]

    def __init__(self, work: Work, data: Data, gather: str = "epoch") -> None:
        super().__init__(work, data)
        x, y, x_val, y_val = as_floats(work, data)
        self._x, self._y, self._x_val, self._y_val = map(jnp.asarray, (x, y.astype(np.int32), x_val, y_val))
        self._host_x = x
        self._epoch = jax.jit(partial(epoch, work, gather), donate_argnums=0)
        self._evaluate = jax.jit(loss_and_accuracy)
        self._predict = jax.jit(lambda weights, x: jax.nn.softmax(logits(weights, x, ())))
        self.reset()

    def reset(self) -> None:
        weights = [jnp.array(w) for w in initial_weights(self.work)]
        slots = [[jnp.zeros_like(w) for w in weights] for _ in range(2)] if self.work.optimizer == "adam" else []
        self._state = (weights, slots, jnp.int32(0))
        self._key = jax.random.key(0, impl="unsafe_rbg")
        jax.block_until_ready(self._state)

    def train(self) -> float | None:
        validation = None
        for number in range(self.work.epochs):
            key = jax.random.fold_in(self._key, number)
            self._state = self._epoch(self._state, self._x, self._y, key)
            if self.work.validation:
                loss, accuracy = self._evaluate(self._state[0], self._x_val, self._y_val)
                validation = float(loss), float(accuracy)
        jax.block_until_ready(self._state)
        return None if validation is None else validation[0]

    def weights(self) -> list[Array]:
        return [np.asarray(w) for w in self._state[0]]

    def predict(self) -> Array:
        return np.asarray(self._predict(self._state[0], self._host_x))


def logits(weights: list[Any], x: Any, masks: Any) -> Any:
    """masks: one for the outputs of each hidden layer, or none."""
    for layer in range(len(weights) // 2 - 1):
        x = jax.nn.relu(x @ weights[2 * layer] + weights[2 * layer + 1])
        if masks:
            x = x * masks[layer]
    return x @ weights[-2] + weights[-1]


def cross_entropy(z: Any, y: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1).mean()


def loss_and_accuracy(weights: list[Any], x: Any, y: Any) -> Any:
    z = logits(weights, x, ())
    return cross_entropy(z, y), (z.argmax(axis=1) == y).mean()


def step(work: Work, state: Any, x: Any, y: Any, masks: Any) -> Any:
    weights, slots, t = state

    def loss(weights: list[Any]) -> Any:
        penalty = work.l2 * sum((kernel**2).sum() for kernel in weights[::2]) if work.l2 else 0.0
        return cross_entropy(logits(weights, x, masks), y) + penalty

    gradients = jax.grad(loss)(weights)
    t = t + 1
    if work.optimizer == "sgd":
        return [w - work.rate * g for w, g in zip(weights, gradients, strict=True)], slots, t
    b1, b2 = ADAM["beta1"], ADAM["beta2"]
    rate = work.rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
    m = [m + (1 - b1) * (g - m) for m, g in zip(slots[0], gradients, strict=True)]
    v = [v + (1 - b2) * (g * g - v) for v, g in zip(slots[1], gradients, strict=True)]
    moved = [w - rate * m / (jnp.sqrt(v) + ADAM["epsilon"]) for w, m, v in zip(weights, m, v, strict=True)]
    return moved, [m, v], t


def epoch(work: Work, gather: str, state: Any, x: Any, y: Any, key: Any) -> Any:
    """All steps of an epoch; where the images do not fill the last batch, one more step after the scan."""
    if work.batch is None:
        return step(work, state, x, y, ())
    order_key, mask_key = jax.random.split(key)
    order = jax.random.permutation(order_key, work.rows)
    masks = draw_masks(work, mask_key)
    size = work.batch_size
    whole = work.rows // size * size
    rows = (x[order], y[order]) if gather == "epoch" else (order,)
    per_row = (*rows, *masks)

    def one(state: Any, part: Any) -> Any:
        data, masks = part[: len(rows)], part[len(rows) :]
        images, labels = data if gather == "epoch" else (x[data[0]], y[data[0]])
        return step(work, state, images, labels, masks)

    batches = [a[:whole].reshape(-1, size, *a.shape[1:]) for a in per_row]
    state, _ = jax.lax.scan(lambda state, part: (one(state, part), None), state, tuple(batches))
    return state if whole == work.rows else one(state, tuple(a[whole:] for a in per_row))


def draw_masks(work: Work, key: Any) -> tuple[Any, ...]:
    """For each hidden layer 0 or 1 / (1 - dropout), (rows, units)."""
    if not work.dropout:
        return ()
    least = round(work.dropout * (jnp.iinfo(BITS).max + 1))
    keys = jax.random.split(key, len(work.layers) - 2)
    kept = [jax.random.bits(k, (work.rows, n), BITS) >= least for k, n in zip(keys, work.layers[1:-1], strict=True)]
    return tuple(mask * jnp.float32(1 / (1 - work.dropout)) for mask in kept)
