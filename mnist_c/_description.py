"""A model in words: everything but its arrays, as values that JSON can hold, and a model made of such a description.

    model      `get_config`: the layers with their arguments, seed, dtype, scale, reduce_rows
    input      {"shape", "scale", "rescaling"}: a row, and what happens to its pixels (`_inputs.Transform`)
    classes    {"count", "names"}: the outputs; names is null if the model has none
    training   loss, metric, optimizer, how often it was used, the counters that key shuffles and dropout

Descriptions come from files, so nothing in them is believed: `understand` raises TypeError, ValueError or
OverflowError.
"""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core, _inputs, losses, optimizers
from ._config import plain
from ._feed import Feed
from ._lookup import wrong_type
from .layers import InputLayer, deserialize

if TYPE_CHECKING:
    from ._plan import Plan, Shape
    from .model import Sequential

MAX_LAYERS = 1000  # as many steps as the core runs
_NOTHING = object()
_MODEL = ("name", "seed", "dtype", "scale", "reduce_rows", "input_shape", "layers")
_TRAINING = ("loss", "metric", "optimizer", "optimizer_name", "slots", "progress")
_PROGRESS = ("epoch", "step", "optimizer_step")


# ---------------------------------------------------------------- layers


def get_config(model: "Sequential") -> dict[str, Any]:
    """What `from_config` needs to make a model with these layers again, with initial weights, not trained.

    input_shape: of one row, None if it is not known yet. Raises TypeError for an argument that JSON cannot hold.
    """
    declared = model._layers[0].declared_shape if model._layers else None
    shape = declared if model._network_state is None else model._network_state.plan.input_shape
    return {
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype,
        "scale": model.scale,
        "reduce_rows": model._settings["reduce_rows"],
        "input_shape": None if shape is None else list(shape),
        "layers": [plain(layer) for layer in model._layers],
    }


def from_config(config: Mapping[str, Any]) -> "Sequential":
    """A new model from what `get_config` returned. Raises TypeError or ValueError for anything else."""
    model, shape = _unbuilt(config)
    if shape is not None and not model.built:
        model.build(shape)
    return model


def _unbuilt(config: Mapping[str, Any]) -> "tuple[Sequential, Shape | None]":
    """The model without weights, so that no memory is taken for them, and the shape of a row."""
    from .model import Sequential

    name, seed, dtype, scale, reduce_rows, shape, layers = _fields("the configuration of a model", config, _MODEL)
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise ValueError(f"layers must be a list of at most {MAX_LAYERS} descriptions of layers")
    if not isinstance(name, str) or not isinstance(dtype, str):
        raise TypeError(f"name and dtype must be texts, not {name!r} and {dtype!r}")
    if dtype not in ("float32", "float64"):  # NumPy would read more into it
        raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
    made = [deserialize(layer) for layer in layers]
    model = Sequential(made, seed, dtype, scale, name=name, reduce_rows=reduce_rows)
    return model, None if shape is None else InputLayer(shape).declared_shape


# ---------------------------------------------------------------- everything


def describe(model: "Sequential", include_optimizer: bool = True) -> dict[str, Any]:
    """The description of a model that has weights. UserWarning if the optimizer cannot be described."""
    state = model._state
    transform = Feed(model, state.plan, None).transform
    names = model.class_names
    optimizer = _describe_optimizer(model.optimizer) if include_optimizer else None
    begun = optimizer is not None and state.optimizer is model.optimizer
    return {
        "model": get_config(model),
        "input": {
            "shape": list(state.plan.input_shape),
            "scale": transform.scale,
            "rescaling": None if transform.rescaling is None else list(transform.rescaling),
        },
        "classes": {"count": state.plan.outputs, "names": list(names) if isinstance(names, tuple) else names},
        "training": {
            "loss": plain(model.loss),
            "metric": model.metric,
            "optimizer": optimizer,
            "optimizer_name": None if optimizer is None else model._optimizer_name,
            "slots": state.slots if begun else None,
            "progress": dict(zip(_PROGRESS, state.network.progress(), strict=True)),
        },
    }


def _describe_optimizer(optimizer: optimizers.Optimizer | None) -> Any:
    """None if there is none, or, after a warning, none that could be made again."""
    try:
        description = plain(optimizer)
        if optimizer is not None:
            optimizers.get(description)
    except (AttributeError, TypeError, ValueError) as error:
        warnings.warn(
            f"the optimizer is left out of the file: {error}. A loaded model will train on with a new optimizer; "
            "numbers and the schedules of mnist_c.schedules can be saved as learning rates",
            UserWarning,
            stacklevel=_inputs._levels_to_user(),
        )
        return None
    return description


class Understood(NamedTuple):
    """A model without weights, but with loss and optimizer; what the core's network of it will be.

    slots: how many arrays the optimizer keeps of each trainable one; None: it has not been used yet.
    progress: as the core counts.
    """

    model: "Sequential"
    plan: "Plan"
    slots: int | None
    progress: tuple[int, int, int]


def understand(description: Mapping[str, Any]) -> Understood:
    """The model that is described; its weights do not exist yet."""
    model, shape = _unbuilt(description["model"])
    if shape is None:
        raise ValueError("input_shape is missing")
    plan = model._plan_for(shape)
    training = description["training"]
    loss, metric, optimizer, optimizer_name, slots, progress = _fields("training", training, _TRAINING)
    if loss is not None:
        model.loss = losses.get(loss)
        Feed(model, plan, model.loss)  # complains if they do not go together
    if not isinstance(metric, str) or not isinstance(optimizer_name, (str, type(None))):
        raise TypeError("metric and optimizer_name must be texts")
    model.metric = metric
    if optimizer is not None:
        model.optimizer, model._optimizer_name = optimizers.get(optimizer), optimizer_name
    if slots is not None and slots != _slots(model.optimizer):
        raise ValueError(f"slots must be null or {_slots(model.optimizer)}, which that optimizer needs, not {slots!r}")
    _fields("input", description["input"], ("shape", "scale", "rescaling"))
    _, names = _fields("classes", description["classes"], ("count", "names"))
    if names is not None:
        model.class_names = _check_class_names(names, plan.outputs)
    counters = _fields("progress", progress, _PROGRESS)
    if not all(type(count) is int and 0 <= count < 2**53 for count in counters):
        raise ValueError(f"progress must hold whole numbers from 0 to 2^53, not {counters}")
    return Understood(model, plan, slots, (counters[0], counters[1], counters[2]))


def _check_class_names(names: object, outputs: int) -> list[str]:
    """One text per output. Raises TypeError or ValueError."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong_type("class_names", names, "a list of texts")
    if len(names) != outputs:
        raise ValueError(f"there are {len(names)} class names, but the model has {outputs} outputs")
    return names


def _slots(optimizer: optimizers.Optimizer | None) -> int | None:
    return None if optimizer is None else _core.optimizer_slots(optimizer.kind, **optimizer.hyper)


def _fields(what: str, found: object, names: tuple[str, ...]) -> list[Any]:
    """The values of a dict that has exactly these keys."""
    if not isinstance(found, Mapping) or set(found) != set(names):
        raise ValueError(f"{what} must have {', '.join(names)}, and nothing else")
    return [found[name] for name in names]


def disagreement(found: Any, made: Any, where: str = "") -> str | None:
    """The first place where a description says something that `made`, the description of the model made of it, does
    not say; None if there is none. So a value that was taken for another one, or for nothing, is noticed.
    """
    if isinstance(found, dict) and isinstance(made, dict):
        parts = [(f"{where}.{name}", value, made.get(name, _NOTHING)) for name, value in found.items()]
    elif isinstance(found, list) and isinstance(made, list) and len(found) == len(made):
        parts = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(found, made, strict=True))]
    else:
        same = found == made and isinstance(found, bool) == isinstance(made, bool)
        return None if same else where
    deeper = (disagreement(value, other, name) for name, value, other in parts)
    return next((place for place in deeper if place is not None), None)
