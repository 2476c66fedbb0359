"""From a list of layers to what the core runs: a line of steps, each *kind, activation, dropout, noise*.

Every layer's `lower(plan)` calls the methods below in turn. An activation, a dropout or a noise joins the step before
it where that step has neither it nor what comes after it yet, and otherwise becomes a step of its own, so any order of
layers can be written down.
"""

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _core
from .activations import ActivationFunction

if TYPE_CHECKING:
    from .layers import Layer

Shape: TypeAlias = tuple[int, ...]

# Heads, as the core calls them.
CROSS_ENTROPY = "softmax_cross_entropy"
SQUARED_ERROR = "mean_squared_error"
BINARY = "binary_cross_entropy"


class Plan:
    """What `build` fills in.

    inputs: int, features per row. shape: the shape of a row at this point of the line.
    steps: the core's layers. owners: the layer that each step's weights belong to.
    on_inputs: what training does to the inputs, as arguments of the core's network: input_dropout, input_noise.
    rescaling: (scale, offset) of Rescaling layers, or None. softmax: whether the last activation is one.
    """

    def __init__(self, shape: Shape) -> None:
        self.input_shape = self.shape = shape
        self.inputs = math.prod(shape)
        self.steps: list[dict[str, Any]] = []
        self.owners: list[Layer] = []
        self.on_inputs: dict[str, Any] = {}
        self.rescaling: tuple[float, float] | None = None
        self.softmax = False
        self.output_shapes: dict[Layer, Shape] = {}

    @property
    def outputs(self) -> int:
        return math.prod(self.shape)

    @property
    def linear_output(self) -> bool:
        """Whether the last layer's outputs can be logits."""
        return not self.softmax and self.steps[-1]["activation"] == "linear"

    def steps_for(self, head: str) -> list[dict[str, Any]]:
        """The steps as a network with that head has them: a last sigmoid is part of binary cross-entropy."""
        last = self.steps[-1]
        if head != BINARY or last["activation"] != "sigmoid":
            return self.steps
        return [*self.steps[:-1], {**last, "activation": "linear"}]

    def step(self, owner: "Layer", kind: str, **fields: Any) -> None:
        self.steps.append({"kind": kind, "activation": "linear", "slope": 0.0, "dropout": 0.0, "noise": 0.0, **fields})
        self.owners.append(owner)

    def _end(self, owner: "Layer", *parts: str) -> dict[str, Any]:
        """The last step, or a new one if there is none or any of those parts of it is taken."""
        if not self.steps or any(self.steps[-1][part] not in (0.0, "linear") for part in parts):
            self.step(owner, "map")
        return self.steps[-1]

    def activate(self, owner: "Layer", function: ActivationFunction) -> None:
        if function.name == "softmax":
            self.softmax = True
        elif function.name != "linear":
            step = self._end(owner, "activation", "dropout", "noise")
            step.update(activation=function.name, slope=function.slope)

    def drop(self, owner: "Layer", rate: float) -> None:
        if rate and not self.steps and not self.on_inputs:
            self.on_inputs["input_dropout"] = rate
        elif rate:
            self._end(owner, "dropout", "noise")["dropout"] = rate

    def add_noise(self, owner: "Layer", stddev: float, seed: int) -> None:
        if stddev and not self.steps and "input_noise" not in self.on_inputs:
            self.on_inputs.update(input_noise=stddev, input_noise_seed=seed)
        elif stddev:
            self._end(owner, "noise").update(noise=stddev, noise_seed=seed)

    def rescale(self, owner: "Layer", scale: float, offset: float) -> None:
        if self.steps or self.on_inputs:
            raise ValueError(f"{owner} must come before all layers that compute: only inputs can be rescaled")
        before_scale, before_offset = self.rescaling or (1.0, 0.0)
        self.rescaling = (before_scale * scale, before_offset * scale + offset)


def build(layers: "list[Layer]", shape: Shape, complete: bool = False) -> Plan:
    """Lowers all layers. Raises ValueError if their order makes no sense, or a complete model computes nothing."""
    plan = Plan(shape)
    for layer in layers:
        if plan.softmax:
            raise ValueError(f"softmax must be the last activation, but {layer} follows it")
        layer.lower(plan)
        plan.output_shapes[layer] = plan.shape
    if complete and not plan.steps:
        raise ValueError("the model computes nothing: it needs at least one layer such as Dense(10)")
    return plan


class Head:
    """How outputs become a loss: the part of the core's network that depends on the loss."""

    def __init__(self, kind: str, label_smoothing: float = 0.0, outputs_are_logits: bool = False) -> None:
        self.key = (kind, label_smoothing, outputs_are_logits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Head) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def create_network(
    plan: Plan, head: Head, *, dtype: str, seed: int, reduce_rows: int, isa: str | None
) -> _core.Network:
    """A network with initial weights, which are a function of the seed and the plan alone."""
    kind, label_smoothing, outputs_are_logits = head.key
    return _core.Network(
        inputs=plan.inputs,
        layers=plan.steps_for(kind),
        head=kind,
        dtype=dtype,
        label_smoothing=label_smoothing,
        outputs_are_logits=outputs_are_logits,
        seed=seed,
        reduce_rows=reduce_rows,
        isa=isa,
        **plan.on_inputs,
    )


def copy_values(source: _core.Network, target: _core.Network) -> None:
    """All weights that both have, converted to the target's dtype, and the counters that key randomness."""
    dtype = target.get("value", 0).dtype if target.tensors() else None
    for i in range(min(len(source.tensors()), len(target.tensors()))):
        target.set("value", i, source.get("value", i).astype(dtype))
    target.set_progress(*source.progress())


def copy_slots(source: _core.Network, target: _core.Network, slots: int) -> None:
    """The optimizer's moments; both networks have the same tensors and `slots` slots."""
    for i, (_, _, _, trainable) in enumerate(source.tensors()):
        for slot in range(slots if trainable else 0):
            target.set(f"slot{slot}", i, source.get(f"slot{slot}", i))
