"""What the checks look at: the data, the run and the network, each figure computed once, when it is first asked for.

n images with K inputs each and C classes; at most SAMPLE of them, drawn evenly, are looked at closely.
"""

import math
import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, _inputs, _targets, schedules
from .._feed import Feed
from .._fingerprint import Examples
from ..history import History
from ._probes import Sweep, fresh_copy, nearest_neighbours

if TYPE_CHECKING:
    from ..layers import Layer
    from ..model import Sequential

Array = NDArray[Any]

# Shares measured on so many images have a standard error of at most sqrt(0.25 / 2000), 1.1 points.
SAMPLE = 2000


class Evidence:
    """One model, its run and the data it is to be judged on.

    labels int (n,): all labels. rows (N,): the sample. given (N, ...): its images as the caller has them, for what the
    model does with images. images (N, K): the same as the core gets them, uint8, or floats after Rescaling layers.
    """

    def __init__(self, model: "Sequential", history: History | None, x: object, y: object) -> None:
        model._check_thread()
        self.feed = Feed.choose(model, x, y)
        self._yes_or_no = self.feed.plan.outputs == 1 and self.feed.binary  # one output for the classes 0 and 1
        if self.feed.plan.outputs < 2 and not self._yes_or_no:
            raise ValueError(
                "diagnose looks at classifiers: the model needs one output per class, or a single one that is trained "
                "with loss='binary_crossentropy'"
            )
        self.model, self.plan = model, self.feed.plan
        images = self.feed.images(x, warn=False)
        self.targets = self.feed.targets(y, len(images))
        classes = (self.targets.yes_or_no() if self._yes_or_no else self.targets).classes()
        self.labels = np.asarray(classes).astype(np.int64)
        model._build_for(self.plan)
        self.history = model.history if history is None else history
        self.n, self.classes = len(images), max(self.plan.outputs, 2)
        self.rows = np.sort(_core.permutation(0, 0, self.n)[:SAMPLE]).astype(np.intp)
        self.images = images[self.rows]
        self.given = _inputs.as_array(x, "x")[self.rows]

    # ------------------------------------------------------------ the data

    @property
    def y(self) -> Array:
        """Labels of the sample (N,)."""
        return self.labels[self.rows]

    @cached_property
    def inputs(self) -> Array:
        """What the first layer sees, float64 (N, K)."""
        return np.asarray(self.feed.reals(self.given))

    @cached_property
    def root_mean_square(self) -> float:
        return float(np.sqrt(np.square(self.inputs).mean()))

    @cached_property
    def constant_share(self) -> float:
        """The share of inputs with the same value in all images of the sample."""
        return float((np.ptp(self.inputs, axis=0) == 0).mean())

    @cached_property
    def chance(self) -> float:
        """The accuracy of always giving the most frequent label."""
        return float(np.bincount(self.y, minlength=self.classes).max() / len(self.y))

    @cached_property
    def neighbours(self) -> float:
        """What a nearest neighbour reaches on these images: what a network can at least be expected to learn."""
        return self.neighbours_of_shifted(0)

    def neighbours_of_shifted(self, shift: int) -> float:
        """The same, with the labels that stand `shift` rows further on."""
        asked, nearest = self._nearest
        labels = self.labels[(self.rows + shift) % self.n]
        return float((labels[nearest] == labels[asked]).mean()) if len(nearest) else math.nan

    @cached_property
    def _nearest(self) -> tuple[Array, Array]:
        return nearest_neighbours(self.inputs)

    # ------------------------------------------------------------ the model on the data

    @cached_property
    def data(self) -> _core.Data:
        """The sample for the core."""
        labels, values = self.targets
        part = _targets.Targets(
            None if labels is None else labels[self.rows], None if values is None else values[self.rows]
        )
        return self.feed.core_data(Examples(self.images, part, None))

    @cached_property
    def _scored(self) -> tuple[float, float, Array]:
        network = self.model._state.use_head(self.feed.head)
        total, correct, outputs = network.evaluate(self.data)
        return total / len(self.rows), correct / len(self.rows), outputs

    @property
    def loss(self) -> float:
        """Mean loss of the sample without penalties."""
        return self._scored[0]

    @property
    def accuracy(self) -> float:
        return self._scored[1]

    @property
    def outputs(self) -> Array:
        """(N, C), or (N, 1) for yes or no."""
        return self._scored[2]

    @cached_property
    def answers(self) -> Array:
        """The class that the model gives to each image of the sample (N,)."""
        return self._chosen(self.outputs)

    def _chosen(self, outputs: Array) -> Array:
        """The class that these outputs stand for (N,)."""
        if not self._yes_or_no:
            return np.asarray(outputs.argmax(axis=1))
        return np.asarray(outputs[:, 0] > (0.0 if self.feed.head.key[2] else 0.5)).astype(np.int64)

    def accuracy_on(self, inputs: Array) -> float:
        """The accuracy if the first layer saw these numbers (N, K) in place of `inputs`."""
        x = np.ascontiguousarray(inputs, dtype=np.float64)
        network = self.model._state.use_head(self.feed.head)
        outputs = network.predict(_core.Data(x, dtype=self.model.dtype, isa=self.model.isa))
        return float((self._chosen(outputs) == self.y).mean())

    @cached_property
    def accuracy_in_training(self) -> float:
        """With dropout and the statistics of the batch, as in a training step."""
        network = self.model._state.use_head(self.feed.head)
        outputs = network.forward_training(self.data, np.arange(len(self.rows), dtype=np.uint32), False)
        return float((self._chosen(outputs) == self.y).mean())

    @cached_property
    def layer_outputs(self) -> dict[str, Array]:
        return _outputs(self.model, self.given)

    def skill(self, accuracy: float) -> float:
        """0 for guessing, 1 for what a nearest neighbour reaches."""
        return (accuracy - self.chance) / max(self.neighbours - self.chance, 0.01)

    @property
    def poor(self) -> bool:
        """Well below a nearest neighbour. The healthy run with the least skill that was seen is gd-20: 0.88."""
        return self.skill(self.accuracy) < 0.85

    @property
    def failing(self) -> bool:
        """Nearer to guessing than to a nearest neighbour."""
        return self.skill(self.accuracy) < 0.5

    @property
    def penalty(self) -> float:
        """What the weights add to the loss."""
        return float(self.model._state.use_head(self.feed.head).penalty())

    @property
    def penalised(self) -> bool:
        """Whether anything draws weights to 0."""
        penalties = (step[name] for step in self.plan.steps if step["kind"] == "dense" for name in ("l1", "l2"))
        return any(penalties) or bool(getattr(self.model.optimizer, "weight_decay", 0.0))

    # ------------------------------------------------------------ the run

    @property
    def steps(self) -> int:
        """Training steps that the model has made."""
        return self.model._state.network.progress()[1]

    @property
    def scheduled_steps(self) -> int:
        """As schedules count: since the optimizer was set, gradients of several batches as one."""
        turns: int = self.model._choose_optimizer(None).hyper.get("gradient_accumulation_steps", 1)
        return self.model._state.network.progress()[2] // turns

    @property
    def scheduled(self) -> bool:
        """Whether the learning rate is a function of the step."""
        return callable(self.model._choose_optimizer(None).learning_rate)

    @property
    def first_rate(self) -> float:
        """The learning rate of the first step."""
        optimizer = self.model._choose_optimizer(None)
        return float(schedules.rates(optimizer.learning_rate, 0, 1)[0])

    @property
    def rate(self) -> float:
        """The learning rate that the run had: the highest of all epochs or, of a schedule, that after a tenth of it."""
        rate = self.model._choose_optimizer(None).learning_rate
        if callable(rate):
            return float(schedules.rates(rate, self.scheduled_steps // 10, 1)[0])
        return max([rate] if self.history is None else [rate, *self.history.learning_rate])

    def curve(self, name: str) -> list[float]:
        """The finite figures of that name in the history, epoch by epoch."""
        values = [] if self.history is None else self.history.history.get(name, [])
        return [value for value in values if math.isfinite(value)]

    @property
    def running_accuracy(self) -> float:
        """The accuracy on the way through the last epoch; nan if there is none."""
        return next(iter(reversed(self.curve(self.model.metric))), math.nan)

    @property
    def validation_accuracy(self) -> float:
        """That of the validation data after the last epoch; nan if there is none."""
        return next(iter(reversed(self.curve(f"val_{self.model.metric}"))), math.nan)

    # ------------------------------------------------------------ experiments

    @cached_property
    def _untrained(self) -> "Sequential":
        return fresh_copy(self.model)

    @cached_property
    def _beginning(self) -> tuple[float, float, list[float], float, float]:
        state = self._untrained._state
        network = state.use_head(self.feed.head)
        order = np.arange(min(256, len(self.rows)), dtype=np.uint32)
        loss, _ = network.gradients(self.data, order, True, False)
        kernels, biases = (
            [_size(network.get("gradient", i)) for i, tensor in enumerate(state.tensors) if tensor[1] == role]
            for role in ("kernel", "bias")
        )
        gradients = (network.get("gradient", i) for i, tensor in enumerate(state.tensors) if tensor[3])
        squares = (np.square(gradient, dtype=np.float64).sum() for gradient in gradients)
        norm = float(np.sqrt(sum(squares)))
        return loss - network.penalty(), network.penalty(), kernels, biases[-1] if biases else 0.0, norm

    @property
    def initial_loss(self) -> float:
        """Mean loss, without penalties, with the weights that the seed and the layers give, in training mode."""
        return self._beginning[0]

    @property
    def initial_penalty(self) -> float:
        return self._beginning[1]

    @property
    def initial_gradients(self) -> list[float]:
        """The root mean square of each kernel's gradients, first layer first, with these weights."""
        return self._beginning[2]

    @property
    def initial_bias_gradient(self) -> float:
        """The same of the last biases; 0 where there are none."""
        return self._beginning[3]

    @property
    def initial_gradient_norm(self) -> float:
        """The norm of all gradients together."""
        return self._beginning[4]

    @property
    def initial_layers(self) -> "list[Layer]":
        """The layers with the weights that the seed and they themselves give."""
        return self._untrained.layers

    @cached_property
    def initial_outputs(self) -> dict[str, Array]:
        """What each layer gives with these weights."""
        return _outputs(self._untrained, self.given)

    @cached_property
    def sweep(self) -> Sweep:
        return self.sweep_at(self.rate)

    def sweep_at(self, rate: float) -> Sweep:
        return Sweep(self.model, self.given, self.y, rate)


def _outputs(model: "Sequential", images: Array) -> dict[str, Array]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unscaled pixels are a finding, not a warning
        return model.layer_outputs(images)


def _size(values: Array) -> float:
    """Root mean square."""
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))
