"""Are the gradients right? Compares those of back-propagation with difference quotients of the loss, in float64."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _core, ops
from ._feed import Feed
from ._inputs import flag, whole
from ._kinks import Kinks, dropout_masks, noises
from ._lookup import check_factor

if TYPE_CHECKING:
    from .model import Sequential

_POINTS = (-2, -1, 1, 2)
_QUOTIENT = (1 / 12, -8 / 12, 8 / 12, -1 / 12)  # f'(w) h up to h^5 f''''' / 30


class TensorCheck(NamedTuple):
    """The check of one array of weights. error: the largest; worst: the index at which it was found."""

    name: str
    shape: tuple[int, ...]
    checked: int
    skipped: int
    error: float
    worst: tuple[int, ...] | None
    analytic: float
    numeric: float


class GradientCheck:
    """The result of `gradient_check`; printing it shows a table.

    tensors: list of `TensorCheck`. error: the largest of all. checked, skipped: numbers of weights; skipped are those
    whose difference quotient crosses a kink. passed: whether error is at most tolerance and anything was checked.
    """

    def __init__(self, tensors: list[TensorCheck], tolerance: float) -> None:
        self.tensors, self.tolerance = tensors, tolerance
        self.error = max((t.error for t in tensors), default=0.0)
        self.checked, self.skipped = sum(t.checked for t in tensors), sum(t.skipped for t in tensors)
        self.passed = self.checked > 0 and self.error <= tolerance  # NaN fails

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        lines = [
            f"gradient check {verdict}: {self.checked:,} weights, {self.skipped} skipped at kinks, "
            f"largest error {self.error:.1e} (tolerance {self.tolerance:.0e})"
        ]
        width = max([9, *(len(t.name) for t in self.tensors)])
        lines.append(f"{'parameter':{width}}  {'shape':>12}  checked  skipped    error  where")
        for t in self.tensors:
            where = (
                "" if t.worst is None else f"{t.worst}: {t.analytic:.6g} by backprop, {t.numeric:.6g} by differences"
            )
            lines.append(
                f"{t.name:{width}}  {t.shape!s:>12}  {t.checked:7,}  {t.skipped:7}  {t.error:7.1e}  {where}".rstrip()
            )
        return "\n".join(lines)


def gradient_check(
    model: "Sequential",
    x: object,
    y: object,
    *,
    sample_weight: object = None,
    training: bool = True,
    max_parameters: int | None = 1000,
    h: float = 1e-3,
    tolerance: float = 1e-7,
) -> GradientCheck:
    """Compares gradients a of back-propagation with difference quotients n of the loss, on a float64 copy of the model.

        n = (f(w - 2h) - 8 f(w - h) + 8 f(w + h) - f(w + 2h)) / 12 h        error = |a - n| / max(|a|, |n|, 1e-3 max|g|)

    x, y, sample_weight: as in `fit`; a few rows are enough, the more the slower. training: with the dropout masks
    and the noise of the next training step, the same in all evaluations, and batch statistics. max_parameters: about
    how many weights to look at, spread over all arrays; None: all. The model is not changed.

    A weight is skipped where a ReLU switches between its four points: there the loss has a kink. An L1 penalty has one
    at w = 0: within 2h of that, its part is taken to be l1 sign(w) and the quotient is formed of the rest.
    """
    if max_parameters is not None:
        whole("max_parameters", max_parameters, 1)
    check = _Check(model, x, y, sample_weight, flag("training", training), check_factor("h", h))
    trainable = [i for i, tensor in enumerate(check.tensors) if tensor[3]]
    quota = None if max_parameters is None else -(-max_parameters // max(1, len(trainable)))
    return GradientCheck([check.tensor(i, quota) for i in trainable], tolerance)


class _Check:
    """A float64 copy of a model on one batch."""

    def __init__(
        self, model: "Sequential", x: object, y: object, sample_weight: object, training: bool, h: float
    ) -> None:
        feed = Feed.choose(model, x, y)
        self._data = feed.data(x, y, sample_weight, dtype="float64")
        model._build_for(feed.plan)
        self._seed, self._plan, self._names = model.seed, feed.plan, model._state.names()
        self._network = model._state.twin(feed.head, "float64")
        self._training, self._h = training, h
        self._order = np.arange(self._data.rows, dtype=np.uint32)
        self.tensors = self._network.tensors()
        self._values = [self._network.get("value", i) for i in range(len(self.tensors))]
        self._kinks = self._find_kinks(feed.reals(x))
        self._loss()
        self._gradients = [self._network.get("gradient", i) for i in range(len(self.tensors))]
        self._scale = max((float(np.abs(g).max()) for g, t in zip(self._gradients, self.tensors, strict=True) if t[3]))

    def _loss(self) -> float:
        loss, _ = self._network.gradients(self._data, self._order, self._training, False)
        return loss

    def _find_kinks(self, x: NDArray[np.float64]) -> Kinks:
        steps, width = self._plan.steps, self._plan.inputs
        values: list[dict[str, Any]] = [{} for _ in steps]
        for (step, role, _, _), value in zip(self.tensors, self._values, strict=True):
            values[step][role] = value
        widths = [width := step.get("units", width) for step in steps]
        masks: list[Any] = [None] * len(steps)
        added: list[Any] = [None] * len(steps)
        if self._training:
            step, inputs = self._network.progress()[1], self._plan.on_inputs
            masks = dropout_masks(steps, widths, len(x), self._seed, step)
            added = noises(steps, widths, len(x), self._seed, step)
            if "input_dropout" in inputs:
                x = ops.dropout(x, inputs["input_dropout"], seed=self._seed, step=step)
            if "input_noise" in inputs:
                seed = self._seed ^ inputs["input_noise_seed"]
                x = ops.gaussian_noise(x, inputs["input_noise"], seed=seed, step=step)
        return Kinks(steps, values, x, masks, added, self._training)

    def tensor(self, i: int, quota: int | None) -> TensorCheck:
        """Checks one array of weights: all of it, or a sample."""
        step, role, shape, _ = self.tensors[i]
        size = self._values[i].size
        indices = np.arange(size)
        if quota is not None and size > quota:
            indices = np.sort(_core.permutation(0, i, size)[:quota]).astype(np.intp)
        kinked = np.zeros(len(indices), dtype=bool)
        for point in _POINTS:
            kinked |= self._kinks.crossed(step, role, indices, point * self._h)
        error, worst = 0.0, None
        pair = (0.0, 0.0)
        for index in indices[~kinked]:
            a, n = float(self._gradients[i].flat[index]), self._quotient(i, int(index))
            scale = max(abs(a), abs(n), 1e-3 * self._scale)
            e = abs(a - n) / scale if scale else 0.0
            if worst is None or not e <= error:  # a NaN counts as the largest
                error, worst, pair = e, np.unravel_index(index, shape), (a, n)
        where = None if worst is None else tuple(int(k) for k in worst)
        skipped = int(kinked.sum())
        return TensorCheck(self._names[i], shape, len(indices) - skipped, skipped, error, where, *pair)

    def _quotient(self, i: int, index: int) -> float:
        """The difference quotient of the loss with respect to one weight."""
        step, role, _, _ = self.tensors[i]
        w = float(self._values[i].flat[index])
        l1 = self._plan.steps[step].get({"kernel": "l1", "bias": "bias_l1"}.get(role, ""), 0.0)
        if abs(w) > 2 * self._h:
            l1 = 0.0  # no kink in between: nothing to set aside
        changed, total = self._values[i].copy(), 0.0
        for point, factor in zip(_POINTS, _QUOTIENT, strict=True):
            changed.flat[index] = w + point * self._h
            self._network.set("value", i, changed)
            total += factor * (self._loss() - l1 * abs(float(changed.flat[index])))
        self._network.set("value", i, self._values[i])
        return float(total / self._h + l1 * np.sign(w))
