"""From a user's arrays to the core's data, for one model and one loss. Nothing here changes the model."""

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _inputs, _targets, losses
from ._fingerprint import Examples
from ._plan import BINARY, CROSS_ENTROPY, SQUARED_ERROR, Head, Plan

if TYPE_CHECKING:
    from .model import Sequential


class Feed:
    """A plan, the transform of its inputs and a loss that fits its outputs."""

    def __init__(self, model: "Sequential", plan: Plan, loss: losses.Loss | None) -> None:
        self.plan, self.loss = plan, loss
        if plan.rescaling is not None and model.scale not in (None, 1.0):
            raise ValueError(f"a Rescaling layer takes the place of scale={model.scale:g}: leave out one of them")
        self.transform = _inputs.Transform(model.scale, plan.rescaling)
        self._dtype, self._isa = model.dtype, model.isa
        if loss is not None:
            _check_loss(loss, plan)

    @classmethod
    def choose(cls, model: "Sequential", x: object, y: object, loss: object = None) -> "Feed":
        """For data of which the shape of a row, and the default loss, may have to be guessed.

        The loss is the given one, that of the model, or the cross-entropy that fits the last layer.
        """
        if y is None:
            _inputs.as_array(x, "x")  # a whole data set in place of x has a message of its own
            raise TypeError("y is None: expected labels, as in fit(x, y)")
        plan = model._plan_for(None if model.built else _inputs.row_shape(x, "x"))
        chosen = model.loss if loss is None else losses.get(loss)
        return cls(model, plan, chosen or _default_loss(plan, y))

    @property
    def head(self) -> Head:
        return head_of(self.plan, self.loss)

    @property
    def binary(self) -> bool:
        return self.loss is not None and self.loss.head == BINARY

    def images(self, x: object, *, name: str = "x", single: bool = False, warn: bool = True) -> _inputs.Array:
        return _inputs.images(x, self.transform, features=self.plan.inputs, single=single, name=name, warn=warn)

    def reals(self, x: object) -> Any:
        """What the first layer sees, float64 (n, features)."""
        array = self.images(x, single=True, warn=False)
        if array.dtype != np.uint8:
            return array.astype(np.float64)
        table = self._table(array)
        return (np.arange(256.0) / 255 if table is None else table)[array]

    def inputs(self, x: object, dtype: str | None = None) -> _core.Data:
        """Images without labels; a single one will do."""
        array = self.images(x, single=True)
        return _core.Data(array, dtype=dtype or self._dtype, table=self._table(array), isa=self._isa, view=True)

    def data(
        self, x: object, y: object, sample_weight: object = None, class_weight: object = None, dtype: str | None = None
    ) -> _core.Data:
        """Images with labels and weights."""
        return self.data_and_targets(x, y, sample_weight, class_weight, dtype)[0]

    def data_and_targets(
        self,
        x: object,
        y: object,
        sample_weight: object = None,
        class_weight: object = None,
        dtype: str | None = None,
        view: bool = False,
    ) -> tuple[_core.Data, _targets.Targets]:
        """The same, with the labels, which the core does not give back. view: the data are for one evaluation."""
        array = self.images(x)
        targets = self.targets(y, len(array))
        weights = _targets.weights(sample_weight, class_weight, targets, self.plan.outputs, self.binary)
        return self.core_data(Examples(array, targets, weights), dtype, view), targets

    def split(
        self,
        x: object,
        y: object,
        sample_weight: object,
        class_weight: object,
        validation_split: object,
        validation_data: object,
        stratify: bool = False,
    ) -> tuple[Examples, Examples | None]:
        """Training and validation data, for `core_data`. Class weights count in training only, as in Keras."""
        array = self.images(x)
        n = len(array)
        targets = self.targets(y, n)
        weights = _targets.weights(sample_weight, None, targets, self.plan.outputs)
        weights_of_training = _targets.weights(weights, class_weight, targets, self.plan.outputs, self.binary)
        rows = n if validation_data is not None else _inputs.training_rows(n, validation_split)
        whole = Examples(array, targets, weights)
        first: _targets.Rows = slice(0, rows)
        last: _targets.Rows = slice(rows, n)
        if stratify:
            first, last = _targets.stratified(targets, rows, self.plan.outputs, self.binary)
        validation = None
        if validation_data is not None:
            validation = self._validation(validation_data)
        elif rows < n:
            validation = whole.rows(last)
        return whole._replace(weights=weights_of_training).rows(first), validation

    def _validation(self, given: object) -> Examples:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise TypeError(
                f"validation_data must be (x, y) or (x, y, sample_weight), not a {type(given).__name__}"
                + (f" of length {len(given)}" if isinstance(given, (tuple, list)) else "")
            )
        array = self.images(given[0], name="validation x", warn=False)
        targets = self.targets(given[1], len(array), "validation y")
        weights = _targets.weights(given[2] if len(given) == 3 else None, None, targets, self.plan.outputs)
        return Examples(array, targets, weights)

    def targets(self, y: object, n: int, name: str = "y") -> _targets.Targets:
        assert self.loss is not None
        return _targets.targets(y, n=n, outputs=self.plan.outputs, head=self.loss.head, name=name)

    def _table(self, array: _inputs.Array) -> Any:
        return self.transform.table() if array.dtype == np.uint8 else None

    def core_data(
        self, examples: Examples, dtype: str | None = None, view: bool = False, in_order: bool = False
    ) -> _core.Data:
        """in_order: to be trained on without shuffles, in long batches, so often that looking ahead pays."""
        array, targets, weights = examples
        return _core.Data(
            array,
            dtype=dtype or self._dtype,
            table=self._table(array),
            labels=targets.labels,
            classes=self.plan.outputs if targets.labels is not None else 0,
            targets=targets.values,
            weights=weights,
            isa=self._isa,
            view=view,
            units=self.plan.steps[0].get("units", 0) if in_order else 0,
        )


def head_of(plan: Plan, loss: losses.Loss | None) -> Head:
    """The head that computes a loss; without one, the head that gives the outputs as they are or their softmax."""
    if loss is None:
        return Head(CROSS_ENTROPY if plan.softmax else SQUARED_ERROR)
    logits = loss.from_logits if loss.head == BINARY else loss.head == CROSS_ENTROPY and not plan.softmax
    return Head(loss.head, loss.label_smoothing, outputs_are_logits=logits)


def _default_loss(plan: Plan, y: object) -> losses.Loss:
    if plan.softmax:
        return losses.CategoricalCrossentropy()
    if plan.linear_output and _targets.looks_like_classes(_inputs.as_array(y, "y"), plan.outputs):
        return losses.CategoricalCrossentropy(from_logits=True)
    raise ValueError(
        "no loss was given, and the last layer does not say which is meant: use activation='softmax' there to learn "
        "classes, loss='binary_crossentropy' for a sigmoid, or loss='mean_squared_error' to learn numbers"
    )


def _check_loss(loss: losses.Loss, plan: Plan) -> None:
    """Raises ValueError if the loss does not fit the last layer."""
    name, last = type(loss).__name__, plan.steps[-1]["activation"]
    if loss.head != CROSS_ENTROPY:
        if plan.softmax:
            raise ValueError(
                f"{name} does not go with softmax: use loss='categorical_crossentropy', or another last activation"
            )
        if loss.head == BINARY:
            _check_binary(loss, plan)
        return
    if plan.outputs < 2:
        raise ValueError(
            f"{name} needs one output per class, but the last layer has one output, whose softmax is always 1: "
            "two classes take Dense(2, activation='softmax'), or Dense(1, activation='sigmoid') and "
            "loss='binary_crossentropy'"
        )
    if plan.softmax and loss.from_logits:
        raise ValueError(
            f"{name}(from_logits=True) after a softmax would apply softmax twice: leave out from_logits=True, or "
            "activation='softmax' in the last layer"
        )
    if not plan.softmax and not loss.from_logits and last == "linear":
        raise ValueError(
            f"{name} needs probabilities, but the last layer is linear: give it activation='softmax', or use "
            f"{name}(from_logits=True)"
        )
    if not plan.softmax and last != "linear":
        raise ValueError(
            f"{name} needs softmax or no activation in the last layer, but that has {last!r}: "
            "use activation='softmax', or loss='mean_squared_error'"
        )


def _check_binary(loss: losses.Loss, plan: Plan) -> None:
    name, step = type(loss).__name__, plan.steps[-1]
    last = step["activation"]
    if loss.from_logits and last == "sigmoid":
        raise ValueError(
            f"{name}(from_logits=True) after a sigmoid would apply it twice: leave out from_logits=True, or "
            "activation='sigmoid' in the last layer"
        )
    if last != ("linear" if loss.from_logits else "sigmoid"):
        raise ValueError(
            f"{name} needs probabilities, but the last activation is {last!r}: give the last layer "
            f"activation='sigmoid', or none and use {name}(from_logits=True)"
        )
    if step["dropout"]:
        raise ValueError(f"{name} needs probabilities as they are: take out the Dropout behind the last layer")
    if step["noise"] and last == "sigmoid":
        raise ValueError(f"{name} needs probabilities as they are: take out the GaussianNoise behind the last layer")
