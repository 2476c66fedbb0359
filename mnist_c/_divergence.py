"""Where numbers stop being finite: the first layer and quantity, found by going through one batch again."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core, _plan
from ._feed import Feed, head_of
from ._fingerprint import Examples
from ._targets import Targets

if TYPE_CHECKING:
    from .model import Sequential


class Place:
    """layer: the name of a layer. quantity: in words."""

    def __init__(self, layer: str, quantity: str) -> None:
        self.layer, self.quantity = layer, quantity


def find(model: "Sequential", images: NDArray[Any], data: _core.Data, rows: NDArray[np.uint32]) -> Place | None:
    """What is not finite first in a step on these rows: weights, pre-activations, activations, loss or gradients, in
    the order in which they are computed. None if all are finite.

    images: those of the rows, as the core gets them. Nothing of the model is changed. The dropout masks and the noise
    are those of the step that failed.
    """
    state = model._state
    feed = Feed(model, state.plan, None)
    inputs = feed.core_data(Examples(np.ascontiguousarray(images), Targets(None, None), None))
    positions = np.arange(len(images), dtype=np.uint32)
    owners = state.plan.owners
    for i, name in enumerate(state.names()):
        if not np.isfinite(state.get(i)).all():
            return Place(owners[state.tensors[i][0]].name, f"weights ({name.rpartition('/')[2]})")
    for k, owner in enumerate(owners):
        for quantity, steps in _stages(state.plan.steps[: k + 1]):
            outputs = _part(model, steps).forward_training(inputs, positions, False)
            if not np.isfinite(outputs).all():
                return Place(owner.name, quantity)
    network = state.network
    loss, _ = network.gradients(data, rows, True, False)
    if not np.isfinite(loss):
        return Place(owners[-1].name, "loss")
    for i in reversed(range(len(state.tensors))):  # as backpropagation goes
        step, role, _, trainable = state.tensors[i]
        if trainable and not np.isfinite(network.get("gradient", i)).all():
            return Place(owners[step].name, f"deltas, or the gradient of its {role},")
    return None


def _stages(steps: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The line up to the last step before its activation, dropout and noise, and with them."""
    bare = [*steps[:-1], {**steps[-1], "activation": "linear", "dropout": 0.0, "noise": 0.0}]
    return [("pre-activations", bare), ("activations", steps)]


def _part(model: "Sequential", steps: list[dict[str, Any]]) -> _core.Network:
    """A network of the first layers alone, with the model's weights and counters. Its outputs are given as they are."""
    state = model._state
    plan = _plan.Plan(state.plan.input_shape)
    plan.steps, plan.on_inputs = steps, state.plan.on_inputs
    network = _plan.create_network(plan, head_of(plan, None), **model._settings)
    _plan.copy_values(state.network, network)
    return network


def not_finite(
    model: "Sequential", epoch: int, batch: int, images: NDArray[Any], data: _core.Data, rows: NDArray[np.uint32]
) -> _core.NotFiniteError:
    """An error that says where, with the attributes epoch, batch, layer and quantity.

    epoch and batch count from 0, in the text from 1. images, data, rows: see `find`.
    """
    place = find(model, images, data, rows)
    first = f"The first values that are not finite are the {place.quantity} of layer {place.layer!r}. " if place else ""
    error = _core.NotFiniteError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: that batch was not applied, the weights are those "
        f"before it. {first}The usual causes are a learning rate that is too high and inputs that are not scaled"
    )
    error.epoch, error.batch = epoch, batch  # type: ignore[attr-defined]
    error.layer = place.layer if place else None  # type: ignore[attr-defined]
    error.quantity = place.quantity.removesuffix(",") if place else None  # type: ignore[attr-defined]
    return error
