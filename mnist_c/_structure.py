"""The layers and weights of a model: what `Sequential` is before it is trained."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _inputs, _plan, _seeds, losses, optimizers
from ._checkpoint import Checkpoint
from ._lock import Lock
from ._lookup import check_factor, unknown, unused_name
from ._state import State
from ._summary import summary
from .history import History
from .layers import AlwaysTrainable, InputLayer, Layer

_BUILDING = Lock()  # held while a model gets its first weights


class Structure(AlwaysTrainable):
    """A line of layers with their weights, in the core's network. `Sequential` says what the arguments mean."""

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        seed: int | None = None,
        dtype: str = "float32",
        scale: float | None = None,
        *,
        name: str | None = None,
        reduce_rows: int = 512,
        isa: str | None = None,
    ) -> None:
        self.name = name or "sequential"
        self.seed = _seeds.new_seed() if seed is None else _seeds.check_seed(seed)
        self.dtype = str(np.dtype(dtype))
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be 'float32' or 'float64', not {dtype!r}")
        self.scale = None if scale is None else check_factor("scale", scale)
        if self.scale == 0:
            raise ValueError("scale must be positive: with 0, all images would be black")
        self.loss: losses.Loss | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.metric = "accuracy"
        self.history: History | None = None
        self.stop_training = False  # callbacks set it
        self._fitting: tuple[int, object] | None = None  # thread and fit that is running
        self._stop_requested: str | None = None  # why
        self._interrupted: Checkpoint | None = None  # where fit(resume=True) goes on
        self.class_names: Sequence[str] | None = None  # one per output; kept in files
        self._optimizer_name: str | None = None
        self.isa = isa
        self._settings: dict[str, Any] = {
            "dtype": self.dtype,
            "seed": self.seed,
            "reduce_rows": _inputs.whole("reduce_rows", reduce_rows, 1),
            "isa": isa,
        }
        self._layers: list[Layer] = []
        self._network_state: State | None = None
        for layer in layers or []:
            self.add(layer)

    def __getstate__(self) -> dict[str, Any]:
        """For copy.deepcopy and pickle: a copy is not in training, whatever this model is doing."""
        return {**vars(self), "_fitting": None, "_stop_requested": None, "_interrupted": None}

    # ------------------------------------------------------------ layers

    def add(self, layer: Layer) -> None:
        """Appends a layer. The weights of the others stay, the optimizer's moments do not."""
        if not isinstance(layer, Layer):
            raise TypeError(f"expected a layer such as Dense(10), not {layer!r} of type {type(layer).__name__}")
        if layer._model is not None:
            raise ValueError(f"{layer} belongs to a model already: make a new layer")
        names = {other.name for other in self._layers}
        if layer.name in names:
            raise ValueError(f"there is a layer named {layer.name!r} already")
        layers = [*self._layers, layer]
        shape = layers[0].declared_shape if self._network_state is None else self._network_state.plan.input_shape
        plan = None if shape is None else _plan.build(layers, shape)  # complains of what cannot be
        if self._network_state is not None and plan is not None:
            self._network_state = State.extending(self._network_state, plan, **self._settings)
        layer.name = layer.name or unused_name(layer.default_name, names)
        layer._model = self
        self._layers = layers

    @property
    def layers(self) -> list[Layer]:
        """All layers but `Input`, in order."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name or number. Raises ValueError if there is none."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"there is no layer {index}: the model has {len(self.layers)}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(unknown("layer", name, [layer.name for layer in self.layers]))

    def build(self, input_shape: object = None) -> None:
        """Creates the initial weights. input_shape: that of one row, or with None in front, as in Keras."""
        shape = tuple(input_shape)[1:] if isinstance(input_shape, tuple) and input_shape[:1] == (None,) else input_shape
        if shape is not None and self._network_state is None:
            self._build_for(self._plan_for(InputLayer(shape).declared_shape))
        if self._network_state is None:
            self._build_for(self._state.plan)  # raises where the shape is still unknown

    @property
    def built(self) -> bool:
        """Whether the input shape is known, so that there are weights."""
        return self._network_state is not None or bool(self._layers and self._layers[0].declared_shape)

    @property
    def _state(self) -> State:
        """The weights and the network of the core. Raises ValueError while the input shape is unknown."""
        if self._network_state is None:
            if not self.built:
                raise ValueError(
                    "the model has no weights yet, because its input shape is unknown: give the first layer an "
                    "input_shape, start with Input(shape=(28, 28)), or call fit or build first"
                )
            self._build_for(self._plan_for(None))
        assert self._network_state is not None
        return self._network_state

    def _plan_for(self, shape: "_plan.Shape | None") -> _plan.Plan:
        """The plan, for rows of that shape where the layers do not say one."""
        if self._network_state is not None:
            return self._network_state.plan
        declared = self._layers[0].declared_shape if self._layers else None
        return _plan.build(self._layers, declared or shape or (1,), complete=True)

    def _build_for(self, plan: _plan.Plan) -> None:
        """Creates the initial weights for a plan of this model, unless there are weights."""
        with _BUILDING.now:
            if self._network_state is None:
                self._network_state = State(plan, **self._settings)

    def _use_head(self, head: _plan.Head) -> _core.Network:
        """The network with that head. Raises RuntimeError rather than replace one that another thread trains."""
        return self._state.use_head(head, self._check_thread)

    def summary(self, line_length: int = 72, print_fn: Callable[[str], object] | None = None) -> None:
        """Prints a table of layers, output shapes and numbers of parameters, as Keras does."""
        (print_fn or print)(summary(self, line_length))

    # ------------------------------------------------------------ weights

    def _check_thread(self) -> None:
        """Raises RuntimeError while another thread trains this model, whose training a call in between would end."""
        fitting = self._fitting
        if fitting is not None and fitting[0] != threading.get_ident():
            raise RuntimeError("this model is being trained in another thread: wait until that fit has ended")

    def get_weights(self) -> list[NDArray[Any]]:
        """New arrays, layer by layer in Keras's order: kernel, bias; gamma, beta, moving_mean, moving_variance."""
        self._check_thread()
        with self._state.lock:
            return [self._state.get(i) for i in range(len(self._state.tensors))]

    def set_weights(self, weights: "list[ArrayLike]") -> None:
        """The inverse of `get_weights`. Raises ValueError, changing nothing, if a number or a shape is wrong."""
        self._check_thread()
        self._state.set(list(range(len(self._state.tensors))), weights)

    def count_params(self) -> int:
        """The number of weights."""
        return sum(size for size, _ in self._state.sizes())

    def weights_hash(self) -> str:
        """SHA-256 (hexadecimal) of the little-endian bytes of `get_weights()`, one array after the other."""
        import hashlib

        digest = hashlib.sha256()
        for array in self.get_weights():
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()
