"""Where a change of one weight switches a ReLU on or off, so that a difference quotient means nothing.

The forward pass in NumPy, float64, for many changed weights at once. B rows, K inputs, N outputs of a step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import ops
from .activations import KINKED

Array = NDArray[np.float64]
_CHUNK = 2_000_000  # numbers in memory at a time


class Kinks:
    """The signs of all pre-activations of one network on one batch, and what a changed weight does to them.

    steps: the core's layers. values: role -> weights, for each step. x (B, K): the inputs, dropout and noise
    applied. masks, noises: what dropout multiplies the outputs of each step by and what is then added to them, or None.
    training: batch statistics.
    """

    def __init__(
        self,
        steps: list[dict[str, Any]],
        values: list[dict[str, Array]],
        x: Array,
        masks: list[Array | None],
        noises: list[Array | None],
        training: bool,
    ) -> None:
        self._steps, self._values, self._training = steps, values, training
        self._masks, self._noises = masks, noises
        self._last = max((s for s, step in enumerate(steps) if step["activation"] in KINKED), default=-1)
        self._inputs: list[Array] = []  # of each step, after normalisation where it is a "norm"
        self._z: list[Array] = []
        for s in range(self._last + 1):
            self._inputs.append(self._normalise(s, x) if steps[s]["kind"] == "norm" else x)
            self._z.append(self._affine(s, self._inputs[s]))
            x = self._activate(s, self._z[s])

    # ------------------------------------------------------------ one step; arrays may have an axis in front

    def _normalise(self, s: int, x: Array) -> Array:
        values, epsilon = self._values[s], self._steps[s]["epsilon"]
        if not self._training:
            return np.asarray((x - values["moving_mean"]) / np.sqrt(values["moving_variance"] + epsilon))
        d = x - x.mean(axis=-2, keepdims=True)
        return np.asarray(d / np.sqrt(np.square(d).mean(axis=-2, keepdims=True) + epsilon))

    def _affine(self, s: int, x: Array) -> Array:
        values, kind = self._values[s], self._steps[s]["kind"]
        if kind == "dense":
            return x @ values["kernel"] + values.get("bias", 0.0)
        return x * values.get("gamma", 1.0) + values.get("beta", 0.0) if kind == "norm" else x

    def _activate(self, s: int, z: Array) -> Array:
        from .reference import ACTIVATIONS

        a, _ = ACTIVATIONS[self._steps[s]["activation"]](z, self._steps[s]["slope"])
        mask, noise = self._masks[s], self._noises[s]
        a = a if mask is None else a * mask
        return a if noise is None else a + noise

    # ------------------------------------------------------------ changed weights

    def crossed(self, s: int, role: str, indices: NDArray[np.intp], change: float) -> NDArray[np.bool_]:
        """For each weight (flat index) of that step and role: whether adding `change` to it alone flips a sign."""
        crossed = np.zeros(len(indices), dtype=bool)
        if s > self._last:
            return crossed
        widest = max(z.size for z in self._z[s:])
        size = max(1, _CHUNK // widest)
        for start in range(0, len(indices), size):
            part = indices[start : start + size]
            crossed[start : start + size] = self._flips(s, self._changed(s, role, part, change))
        return crossed

    def _changed(self, s: int, role: str, indices: NDArray[np.intp], change: float) -> Array:
        """Pre-activations of step s, one copy per changed weight: (P, B, N)."""
        columns = self._z[s].shape[1]
        z = np.repeat(self._z[s][None], len(indices), axis=0)
        rows, at = np.divmod(indices, columns)
        derivative: Array | float = 1.0  # of z[:, at] with respect to the weight
        if role == "kernel":
            derivative = self._inputs[s].T[rows]
        elif role == "gamma":
            derivative = self._inputs[s].T[at]
        z[np.arange(len(indices)), :, at] += change * derivative
        return z

    def _flips(self, s: int, z: Array) -> NDArray[np.bool_]:
        """Whether any sign, from step s on, differs from that of the unchanged network."""
        flips = np.zeros(len(z), dtype=bool)
        while True:
            if self._steps[s]["activation"] in KINKED:
                differs = (z > 0) != (self._z[s] > 0)
                mask = self._masks[s]
                flips |= (differs if mask is None else differs & (mask != 0)).any(axis=(1, 2))
            if s == self._last:
                return flips
            x = self._activate(s, z)
            s += 1
            z = self._affine(s, self._normalise(s, x) if self._steps[s]["kind"] == "norm" else x)


def dropout_masks(
    plan_steps: list[dict[str, Any]], widths: list[int], rows: int, seed: int, step: int
) -> list[Array | None]:
    """What each step's outputs (rows, width) are multiplied by in training step number `step`."""
    return [
        ops.dropout(np.ones((rows, width)), spec["dropout"], seed=seed, step=step, layer=1 + s)
        if spec["dropout"]
        else None
        for s, (spec, width) in enumerate(zip(plan_steps, widths, strict=True))
    ]


def noises(plan_steps: list[dict[str, Any]], widths: list[int], rows: int, seed: int, step: int) -> list[Array | None]:
    """What is added to each step's outputs (rows, width) in training step number `step`."""
    return [
        ops.gaussian_noise(
            np.zeros((rows, width)), spec["noise"], seed=seed ^ spec["noise_seed"], step=step, layer=1 + s
        )
        if spec["noise"]
        else None
        for s, (spec, width) in enumerate(zip(plan_steps, widths, strict=True))
    ]
