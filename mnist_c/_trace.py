"""One training step with everything in between: what `Sequential.trace` returns.

B rows, K inputs and N outputs of a step, C outputs of the network; z pre-activation, a activation, delta the derivative
of the loss with respect to z.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core, _inputs, _targets, ops
from ._feed import Feed
from ._plan import SQUARED_ERROR, Head, Plan, copy_slots, create_network
from ._tables import as_html, as_text

if TYPE_CHECKING:
    from .model import Sequential

Array = NDArray[Any]

_HEADER = ("name", "shape", "smallest", "largest", "root mean square", "zeros")
_ALIGN = "<>>>>>"
_AS_THEY_ARE = Head(SQUARED_ERROR)  # a head that leaves outputs alone, without a softmax
_IDENTITY: dict[str, Any] = {"kind": "map", "activation": "linear", "slope": 0.0, "dropout": 0.0, "noise": 0.0}


class Trace(Mapping[str, Array]):
    """The intermediates of one training step: name -> array. Printing it shows a table, Jupyter an HTML one.

    Forward, in this order; a layer is one with weights, or an activation of its own:

        "input"                   (B, K)  what the first layer sees: scaled pixels, dropout and noise applied
        "dense/z"                 (B, N)  x W + b, or what batch normalisation gives
        "dense/mask"              (B, N)  what dropout multiplies by: 1 / (1 - rate) or 0; only where there is dropout
        "dense/noise"             (B, N)  what is added to that; only where there is noise
        "dense/a"                 (B, N)  activation(z), times the mask, plus the noise
        "output"                  (B, C)  the last activations or, with a softmax, probabilities

    and backward, from the last layer to the first:

        "dense/delta"             (B, N)  derivative of the mean loss with respect to z
        "dense/kernel/gradient"   (K, N)  derivative of the mean loss, penalties included; so for each trainable weight
        "dense/kernel/update"     (K, N)  what the step adds: the weight after it minus the weight before it

    loss: float, the mean loss with penalties before the step. rate: float, its learning rate. diverges: bool, whether
    numbers stop being finite in this step; `fit` would end with NotFiniteError, and the updates are NaN here.
    """

    def __init__(self, arrays: dict[str, Array], loss: float, rate: float, diverges: bool = False) -> None:
        self._arrays, self.loss, self.rate, self.diverges = arrays, loss, rate, diverges

    def __getitem__(self, name: str) -> Array:
        if name not in self._arrays:
            raise KeyError(f"{name!r}; there are {', '.join(self._arrays)}")
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def _rows(self) -> list[list[str]]:
        return [[name, str(a.shape), *_figures(a)] for name, a in self._arrays.items()]

    def _title(self) -> str:
        end = "; it diverges: not applied, updates are nan" if self.diverges else ""
        return f"one step at rate {self.rate:g}, loss {self.loss:.6g}{end}"

    def __repr__(self) -> str:
        return f"{self._title()}\n{as_text(_HEADER, [self._rows()], _ALIGN)}"

    def _repr_html_(self) -> str:
        return as_html(_HEADER, [self._rows()], _ALIGN, self._title())


def _figures(a: Array) -> list[str]:
    rms = float(np.sqrt(np.square(a, dtype=np.float64).mean()))
    return [f"{a.min():.4g}", f"{a.max():.4g}", f"{rms:.4g}", f"{float((a == 0).mean()):.1%}"]


def trace(model: "Sequential", x: object, y: object, sample_weight: object = None, training: bool = True) -> Trace:
    """The work behind `Sequential.trace`, which says what the arguments mean. The model keeps its weights."""
    feed = Feed.choose(model, x, y)
    data, targets = feed.data_and_targets(x, y, sample_weight)
    model._build_for(feed.plan)
    goal = {
        "labels": targets.labels,
        "classes": feed.plan.outputs if targets.labels is not None else 0,
        "targets": targets.values,
        "weights": _targets.weights(sample_weight, None, targets, feed.plan.outputs),
    }
    return _Step(model, feed, (feed.inputs(x), data), goal, _inputs.flag("training", training)).trace()


class _Step:
    """One step on one batch, by networks that are made of parts of the model's, with its weights and counters.

    A part keeps the places of its steps, because they key dropout and noise: what comes before it is replaced by steps
    that do nothing. Every row of z, a and delta is a chain of its own (see ARCHITECTURE.md), so a part gives the same
    bits as the whole.
    """

    def __init__(
        self,
        model: "Sequential",
        feed: Feed,
        data: tuple[_core.Data, _core.Data],
        goal: dict[str, Any],
        training: bool,
    ) -> None:
        self.model, self.head, self.goal, self.training = model, feed.head, goal, training
        self.inputs, self.data = data  # without labels, whose number only fits the whole network, and with them
        self.plan, self.state, self.settings = feed.plan, model._state, model._settings
        self.order = np.arange(self.data.rows, dtype=np.uint32)
        self.progress = self.state.network.progress()
        self.arrays: dict[str, Array] = {}
        self.diverges = False

    def trace(self) -> Trace:
        pre_activations = self._forward()
        loss, gradients = self._gradients()
        rate, updates = self._updates()
        for s in reversed(range(len(self.plan.steps))):
            self.arrays[f"{self._name(s)}/delta"] = self._delta(s, pre_activations[s])
            for i, (step, role, _, trainable) in enumerate(self.state.tensors):
                if step == s and trainable:
                    self.arrays[f"{self._name(s)}/{role}/gradient"] = gradients[i]
                    self.arrays[f"{self._name(s)}/{role}/update"] = updates[i]
        return Trace(self.arrays, loss, rate, self.diverges)

    def _name(self, s: int) -> str:
        """The layer of step s; a layer that became two steps has the second one numbered."""
        owner = self.plan.owners[s]
        before = sum(other is owner for other in self.plan.owners[:s])
        return f"{owner.name}.{before}" if before else owner.name

    # ------------------------------------------------------------ parts of the network

    def _part(
        self, steps: list[dict[str, Any]], head: Head, inputs: int, on_inputs: dict[str, Any] | None = None
    ) -> _core.Network:
        """A network of these steps, with the weights of the model's steps that stand at the same places."""
        plan = Plan((inputs,))
        plan.steps, plan.on_inputs = steps, on_inputs or {}
        network = create_network(plan, head, **self.settings)
        indices = {tensor[:2]: i for i, tensor in enumerate(self.state.tensors)}
        for i, tensor in enumerate(network.tensors()):
            network.set("value", i, self.state.get(indices[tensor[:2]]))
        network.set_progress(*self.progress)
        return network

    def _run(self, steps: list[dict[str, Any]], head: Head = _AS_THEY_ARE) -> Array:
        """The outputs of the first steps, for the batch."""
        network = self._part(steps, head, self.plan.inputs, self.plan.on_inputs)
        if not self.training:
            return network.predict(self.inputs)
        return network.forward_training(self.inputs, self.order, False)

    # ------------------------------------------------------------ forward, backward, update

    def _forward(self) -> list[Array]:
        """Fills in everything up to the output; returns z of each step."""
        steps, pre_activations = self.plan.steps, []
        self.arrays["input"] = self._run([_IDENTITY])
        for s, step in enumerate(steps):
            z = self._run([*steps[:s], {**step, "activation": "linear", "dropout": 0.0, "noise": 0.0}])
            pre_activations.append(z)
            self.arrays[f"{self._name(s)}/z"] = z
            if self.training and step["dropout"]:
                self.arrays[f"{self._name(s)}/mask"] = self._mask(s, z)
            if self.training and step["noise"]:
                self.arrays[f"{self._name(s)}/noise"] = self._noise(s, z)
            self.arrays[f"{self._name(s)}/a"] = self._run(steps[: s + 1])
        self.arrays["output"] = self._run(steps, self.head)
        return pre_activations

    def _mask(self, s: int, z: Array) -> Array:
        """What dropout gives for ones."""
        seed, step = self.model.seed, self.progress[1]
        return ops.dropout(np.ones_like(z), self.plan.steps[s]["dropout"], seed=seed, step=step, layer=1 + s)

    def _noise(self, s: int, z: Array) -> Array:
        """What noise gives for zeros."""
        stddev, seed = self.plan.steps[s]["noise"], self.model.seed ^ self.plan.steps[s]["noise_seed"]
        return ops.gaussian_noise(np.zeros_like(z), stddev, seed=seed, step=self.progress[1], layer=1 + s)

    def _delta(self, s: int, z: Array) -> Array:
        """The gradient with respect to the inputs of a network that begins with the activation of step s."""
        names = ("activation", "slope", "dropout", "noise", "noise_seed")
        step = self.plan.steps[s]
        activation = {**_IDENTITY, **{name: step[name] for name in names if name in step}}
        steps = [*[_IDENTITY] * s, activation, *self.plan.steps[s + 1 :]]
        network = self._part(steps, self.head, z.shape[1])
        data = _core.Data(z, dtype=self.model.dtype, isa=self.model.isa, **self.goal)
        _, delta = network.gradients(data, self.order, self.training, True)
        assert delta is not None
        return delta

    def _gradients(self) -> tuple[float, dict[int, Array]]:
        """The mean loss with penalties, and a gradient for each trainable tensor."""
        network = self._part(self.plan.steps, self.head, self.plan.inputs, self.plan.on_inputs)
        loss, _ = network.gradients(self.data, self.order, self.training, False)
        return loss, {i: network.get("gradient", i) for i, tensor in enumerate(self.state.tensors) if tensor[3]}

    def _updates(self) -> tuple[float, dict[int, Array]]:
        """The learning rate, and what one step of `fit` adds to each trainable tensor."""
        optimizer = self.model._choose_optimizer(None)
        network = self._part(self.plan.steps, self.head, self.plan.inputs, self.plan.on_inputs)
        slots = network.set_optimizer(optimizer.kind, **optimizer.hyper)
        epoch, step, done = self.progress
        if optimizer is self.state.optimizer:
            copy_slots(self.state.network, network, slots)
        else:
            done = 0  # fit would start this optimizer afresh
        network.set_progress(epoch, step, done)
        rates = optimizer.rates(done, 1)
        before = self.state.network
        try:
            network.fit(self.data, self.order, self.data.rows, rates)
        except _core.NotFiniteError:
            self.diverges = True
            nothing = {
                i: np.full_like(before.get("value", i), np.nan) for i, t in enumerate(self.state.tensors) if t[3]
            }
            return float(rates[0]), nothing
        updates = {
            i: network.get("value", i) - before.get("value", i) for i, t in enumerate(self.state.tensors) if t[3]
        }
        return float(rates[0]), updates
