"""For those who write their own back-propagation: `check_backprop` finds what is wrong with it, and says what.

def test_my_backprop():
    model = mc.Sequential([mc.Dense(16, "relu", input_dim=64), mc.Dense(10, "softmax")], seed=0)
    my = MyNetwork(model.get_weights())
    check_backprop(my.gradients(x, y), model, x, y)
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, reference
from ._feed import Feed
from ._inputs import flag
from ._mistakes import MISTAKES, Backprop
from ._plan import BINARY

if TYPE_CHECKING:
    from .model import Sequential

Array = NDArray[Any]


class Finding(NamedTuple):
    """What is to be said about one array. error: the largest difference over the largest right value."""

    name: str
    shape: tuple[int, ...]
    right: bool
    error: float
    diagnosis: str


class BackpropReport:
    """The result of `check_backprop`; printing it shows a table. passed: whether all arrays are right."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.passed = all(f.right for f in findings)

    def __repr__(self) -> str:
        wrong = sum(not f.right for f in self.findings)
        count = f"{wrong} of {len(self.findings)} gradients {'is' if wrong == 1 else 'are'} wrong"
        verdict = "all gradients are right" if self.passed else count
        width = max(len(f.name) for f in self.findings)
        lines = [f"backprop check: {verdict}"]
        for f in self.findings:
            state = "right" if f.right else "WRONG"
            lines.append(f"  {f.name:{width}}  {f.shape!s:>12}  {state}  error {f.error:.1e}")
            if f.diagnosis:
                lines.append(f"      {f.diagnosis}")
        return "\n".join(lines)


def check_backprop(
    yours: "Mapping[str, ArrayLike] | Sequence[ArrayLike]",
    model: "Sequential",
    x: object,
    y: object,
    *,
    sample_weight: object = None,
    training: bool = False,
    tolerance: float | None = None,
    raises: bool = True,
) -> BackpropReport:
    """Compares your gradients with those of the model, and names the likely mistake where they differ.

    yours: one array per trainable weight, in the order of `model.get_weights()`; or a dict with some of them, named as
    in "dense/kernel", or "W1", "b1" (or "dW1", "db1") for the first dense layer.
    x, y, sample_weight: as in `fit`. training: with the dropout masks of the model's next step and batch statistics.
    tolerance: of the largest difference over the largest right value; default 1e-6, for float32 arrays 1e-3.

    The right ones are computed in float64, from the mean loss of the batch, penalties included. Returns a report;
    raises AssertionError with that report if a gradient is wrong, unless raises=False. Raises ValueError if `yours` has
    the wrong number of arrays or an unknown name.
    """
    feed = Feed.choose(model, x, y)
    data, targets = feed.data_and_targets(x, y, sample_weight, dtype="float64")
    weights = _weights(sample_weight, targets, feed.plan.outputs)
    model._build_for(feed.plan)
    flag("training", training)
    named = _named(yours, model)

    twin = model._state.twin(feed.head, "float64")
    twin.gradients(data, np.arange(data.rows, dtype=np.uint32), training, False)
    truth = [twin.get("gradient", i) for i in range(len(model._state.tensors))]
    one_hot = targets.values if targets.labels is None else np.eye(feed.plan.outputs)[targets.labels]
    backprop = Backprop(_reference(model, feed, twin), feed.reals(x), _smooth(one_hot, feed), weights, training)
    suspects = [("", backprop.gradients())]
    suspects += [(text, gradients) for text, make in MISTAKES if (gradients := make(backprop)) is not None]
    per_row = backprop.bias_per_row()
    scale = max(float(np.abs(t).max()) for t in truth)
    names = model._state.names()
    findings = []
    for i, gradient in named.items():
        examine = _Examiner(
            names[i],
            truth[i],
            [(text, gradients[i]) for text, gradients in suspects],
            backprop.penalties(i),
            per_row[i],
            data.rows,
            scale,
        )
        findings.append(examine(gradient, tolerance))
    report = BackpropReport(findings)
    if raises and not report.passed:
        raise AssertionError(repr(report))
    return report


# ---------------------------------------------------------------- what is compared


def _weights(sample_weight: object, targets: Any, outputs: int) -> Array | None:
    from . import _targets

    return _targets.weights(sample_weight, None, targets, outputs)


def _smooth(y: Any, feed: Feed) -> Array:
    s = feed.loss.label_smoothing if feed.loss is not None else 0.0
    return reference.smooth_labels(y, s, 2 if feed.head.key[0] == BINARY else None) if s else np.asarray(y)


def _reference(model: "Sequential", feed: Feed, twin: _core.Network) -> reference.Network:
    """The same network in NumPy."""
    kind, smoothing, logits = feed.head.key
    constant = ("constant", "in", 0.0, 0.0)  # quick to draw; the values follow
    network = reference.Network(
        inputs=feed.plan.inputs,
        layers=[
            {**step, "kernel_init": constant} if step["kind"] == "dense" else step for step in feed.plan.steps_for(kind)
        ],
        head=kind,
        label_smoothing=smoothing,
        outputs_are_logits=logits,
        seed=model.seed,
        **feed.plan.on_inputs,
    )
    network.values = [twin.get("value", i) for i in range(len(network.values))]
    network.step = twin.progress()[1]
    return network


def _named(yours: "Mapping[str, ArrayLike] | Sequence[ArrayLike]", model: "Sequential") -> dict[int, Array]:
    """Index of the tensor -> array."""
    names, tensors = model._state.names(), model._state.tensors
    trainable = [i for i, tensor in enumerate(tensors) if tensor[3]]
    if not isinstance(yours, Mapping):
        if len(yours) != len(trainable):
            expected = ", ".join(names[i] for i in trainable)
            raise ValueError(f"expected {len(trainable)} gradients ({expected}), not {len(yours)}")
        return {i: np.asarray(g) for i, g in zip(trainable, yours, strict=True)}
    known = {names[i]: i for i in trainable}
    dense = list(dict.fromkeys(tensor[0] for tensor in tensors if tensor[1] == "kernel"))
    for i in trainable:
        step, role = tensors[i][:2]
        if step in dense:
            short = f"{'W' if role == 'kernel' else 'b'}{dense.index(step) + 1}"
            known.update({short: i, f"d{short}": i})
    unknown = [name for name in yours if name not in known]
    if unknown:
        raise ValueError(f"unknown gradient {unknown[0]!r}; known are {', '.join(known)}")
    return {known[name]: np.asarray(g) for name, g in yours.items()}


# ---------------------------------------------------------------- what is wrong


class _Examiner:
    """Explains one array. right: as it should be; candidates: (mistake, gradient without penalties), the first without
    a mistake; penalties: (formula, what it adds); per_row (B,): the sums over units that a wrong axis gives."""

    def __init__(
        self,
        name: str,
        right: Array,
        candidates: list[tuple[str, Array]],
        penalties: list[tuple[str, Array]],
        per_row: Array,
        rows: int,
        scale: float,
    ) -> None:
        self.name, self.right, self.candidates, self.penalties = name, right, candidates, penalties
        self.per_row, self.rows, self.tiny = per_row, rows, 1e-12 * scale

    def __call__(self, yours: Array, tolerance: float | None) -> Finding:
        shape = self.right.shape
        if yours.dtype.kind not in "buif":
            return Finding(self.name, shape, False, np.inf, f"it is an array of {yours.dtype}, not of numbers")
        tolerance = tolerance or (1e-6 if yours.dtype == np.float64 else 1e-3)
        yours = yours.astype(np.float64)
        if self.right.ndim == 1 and yours.shape in ((1, *shape), (*shape, 1)):
            yours = yours.ravel()
        if not np.isfinite(yours).all():
            return Finding(self.name, shape, False, np.inf, "it holds values that are not finite")
        error = self._distance(yours, self.right) if yours.shape == shape else np.inf
        if error <= tolerance:
            return Finding(self.name, shape, True, error, "")
        diagnosis = self._bias_mistake(yours) or self._explain(yours, 10 * tolerance) or self._unexplained(yours)
        return Finding(self.name, shape, False, error, diagnosis)

    def _distance(self, a: Array, b: Array) -> float:
        """Largest difference over largest value of b."""
        largest = max(float(np.abs(b).max()), self.tiny)
        return float(np.abs(a - b).max()) / largest if largest else float(np.abs(a).max())

    def _explain(self, yours: Array, tolerance: float) -> str:
        """The simplest combination of a mistake, a transposition and factors that gives what you have, or nothing."""
        if yours.shape == self.right.shape and not yours.any():
            return "it is all zeros: it was never computed, or the delta that it is made of is zero"
        found = []
        for mistake, gradient in self.candidates:
            for transposed in (False, True) if gradient.ndim == 2 else (False,):
                given = yours.T if transposed else yours
                if given.shape != gradient.shape or not gradient.any():
                    continue
                factors = self._fit(given, gradient, tolerance)
                if factors is not None:
                    parts = [mistake] * bool(mistake) + ["it is transposed"] * transposed + self._factors(factors)
                    usual = any(_is(abs(factors[0]), f) for f in (1, self.rows, 1 / self.rows))
                    found.append((len(parts), not usual, "; ".join(parts)))
        return min(found, key=lambda triple: triple[:2])[2] if found else ""

    def _fit(self, given: Array, gradient: Array, tolerance: float) -> list[float] | None:
        """Factors of the gradient and of each penalty that add up to the given array, if any do."""
        columns = [gradient, *(array for _, array in self.penalties)]
        matrix = np.stack([column.ravel() for column in columns], axis=1)
        factors = np.linalg.lstsq(matrix, given.ravel(), rcond=None)[0]
        fits = self._distance((matrix @ factors).reshape(given.shape), given) <= tolerance
        return [float(factor) for factor in factors] if fits and abs(factors[0]) > 1e-9 else None

    def _factors(self, factors: list[float]) -> list[str]:
        """What is wrong with the factors of the gradient and of the penalties; nothing if all are 1."""
        first, *rest = factors
        remarks = [] if _is(first, 1) else [self._factor(first)]
        for factor, (formula, _) in zip(rest, self.penalties, strict=True):
            if _is(factor, 1) or _is(factor, first):
                continue
            if abs(factor) < 1e-3:
                remarks.append(f"the derivative of the penalty, {formula}, is missing")
            elif _is(factor, 1 / self.rows):
                remarks.append(f"the penalty ({formula}) is divided by the batch size, but only the loss is a mean")
            else:
                remarks.append(f"the derivative of the penalty is {formula}, yours is {factor:.6g} times that")
        return remarks

    def _factor(self, ratio: float) -> str:
        """What a constant factor probably comes from."""
        known = [
            (1.0, ""),
            (self.rows, f"not divided by the batch size ({self.rows} rows)"),
            (1 / self.rows, f"divided by the batch size ({self.rows} rows) twice"),
            (255.0, "the inputs were not divided by 255"),
            (1 / 255.0, "the inputs were divided by 255 twice"),
            (2.0, "a factor 2 too many"),
            (0.5, "a factor 2 is missing"),
        ]
        reasons = [text for factor, text in known if _is(abs(ratio), factor)][:1]
        reasons = ["the sign is flipped"] * (ratio < 0) + [text for text in reasons if text]
        return f"it is {ratio:.6g} times the right value{': ' if reasons else ''}{', and '.join(reasons)}"

    def _bias_mistake(self, yours: Array) -> str:
        """Deltas that were not summed, or along the wrong axis."""
        if self.right.ndim != 1:
            return ""
        units = len(self.right)
        if yours.shape == (self.rows, units) and self._distance(yours.sum(axis=0), self.right) <= 1e-3:
            return "it is not summed over the batch: delta.sum(axis=0)"
        flat = yours.ravel() if 1 in yours.shape else yours
        if self.per_row.size and flat.shape == self.per_row.shape:
            atol = max(1e-6 * float(np.abs(self.per_row).max()), self.tiny)
            if any(np.allclose(flat, f * self.per_row, rtol=1e-3, atol=f * atol) for f in (1.0, float(self.rows))):
                return f"it is summed over the wrong axis, the {units} units: sum over the rows, delta.sum(axis=0)"
        if yours.size == 1 != units:
            return "it is a single number, summed over both axes: delta.sum(axis=0)"
        return ""

    def _unexplained(self, yours: Array) -> str:
        if yours.shape != self.right.shape:
            text = f"its shape is {yours.shape}, but {self.right.shape} was expected"
            turned = yours.shape == self.right.shape[::-1]
            return text + "; it may be transposed, but there is another mistake as well" * turned
        at = tuple(int(k) for k in np.unravel_index(np.abs(yours - self.right).argmax(), yours.shape))
        norms = float(np.linalg.norm(yours) * np.linalg.norm(self.right))
        angle = f", cosine of the angle between them {float((yours * self.right).sum()) / norms:.3f}" if norms else ""
        return f"no known mistake gives this; at {at} it is {yours[at]:.6g}, right is {self.right[at]:.6g}{angle}"


def _is(value: float, expected: float) -> bool:
    return abs(value / expected - 1) < 1e-3
