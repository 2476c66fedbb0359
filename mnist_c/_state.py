"""The weights of a model and the core's network that holds them."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _plan
from ._lock import Lock
from .optimizers import Optimizer

if TYPE_CHECKING:
    from .layers import Layer
    from .losses import Loss


class State:
    """A network, made anew where the head changes, without losing weights, moments or counters."""

    def __init__(self, plan: _plan.Plan, *, dtype: str, seed: int, reduce_rows: int, isa: str | None) -> None:
        self.plan = plan
        self._settings: dict[str, Any] = {"dtype": dtype, "seed": seed, "reduce_rows": reduce_rows, "isa": isa}
        self.head: _plan.Head | None = _plain_head(plan)  # None while networks are exchanged
        self.network = _plan.create_network(plan, _plain_head(plan), **self._settings)
        self.tensors = self.network.tensors()
        self.optimizer: Optimizer | None = None  # whose moments the network holds
        self._slots = 0
        # Loss and scale for which `predict` has found that the network takes pixels as they are, or None.
        self.short_way: tuple[Loss | None, float | None] | None = None
        self.before_change: Callable[[], object] | None = None  # for who needs the weights and moments as they are
        self._lock = Lock()

    @classmethod
    def extending(cls, old: "State", plan: _plan.Plan, **settings: Any) -> "State":
        """For the same layers and more: the old weights stay."""
        new = cls(plan, **settings)
        _plan.copy_values(old.network, new.network)
        return new

    @property
    def lock(self) -> Any:
        """Held while weights change, or the network gives way to another one."""
        return self._lock.now

    # ------------------------------------------------------------ the network

    def use_head(self, head: _plan.Head, check: Callable[[], object] | None = None) -> _core.Network:
        """The network with that head. check: raises an exception if another network may not take its place."""
        if head == self.head:  # without the lock, since a signal handler may predict while its thread is waited for
            network = self.network
            if head == self.head and network is self.network:  # not one in between, of another head
                return network
        with self.lock:
            if head != self.head:
                network = _plan.create_network(self.plan, head, **self._settings)
                if self.optimizer is not None:
                    network.set_optimizer(self.optimizer.kind, **self.optimizer.hyper)
                    _plan.copy_slots(self.network, network, self._slots)
                _plan.copy_values(self.network, network)
                if check is not None:
                    check()
                self.head = self.short_way = None  # first, for those who look without the lock
                self.network, self.head = network, head
            return self.network

    def use_optimizer(self, optimizer: Optimizer) -> None:
        """Keeps the moments of the optimizer that is in use; another object starts with zeros."""
        if optimizer is not self.optimizer:
            self.changing()
            before, self.optimizer = self.optimizer, None
            try:
                self._slots = self.network.set_optimizer(optimizer.kind, **optimizer.hyper)
                self.optimizer = optimizer
            except BaseException:  # Ctrl-C, perhaps right after the call
                if self.network.progress()[2]:  # steps taken: the moments are still the old ones
                    self.optimizer = before
                raise

    def take_average(self) -> None:
        """Puts the average of the weights, the last slot, in their place, if the optimizer in use keeps one."""
        if self.optimizer is not None and self.optimizer.hyper.get("use_ema"):
            places = [i for i, (_, _, _, trainable) in enumerate(self.tensors) if trainable]
            averages = [self.network.get(f"slot{self._slots - 1}", i) for i in places]
            self.write([("value", i) for i in places], averages)

    @property
    def slots(self) -> int:
        """How many moments the optimizer that is in use keeps of each trainable tensor."""
        return self._slots if self.optimizer is not None else 0

    def twin(self, head: _plan.Head, dtype: str) -> _core.Network:
        """A separate network of another dtype with the same weights and counters."""
        network = _plan.create_network(self.plan, head, **{**self._settings, "dtype": dtype})
        _plan.copy_values(self.network, network)
        return network

    # ------------------------------------------------------------ copies and files

    def parts(self) -> list[tuple[str, int]]:
        """(part, index) of all arrays that the core's network holds: every value, then the optimizer's moments."""
        trainable = [i for i, tensor in enumerate(self.tensors) if tensor[3]]
        moments = [(f"slot{slot}", i) for slot in range(self.slots) for i in trainable]
        return [("value", i) for i in range(len(self.tensors))] + moments

    def __getstate__(self) -> dict[str, Any]:
        """For copy.deepcopy and pickle: what the core's network holds, as arrays."""
        with self.lock:
            held = [(part, i, self.network.get(part, i)) for part, i in self.parts()]
            state = {**vars(self), "network": (held, self.network.progress()), "before_change": None}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = Lock()
        held, progress = state["network"]
        self.network = _plan.create_network(self.plan, self.head or _plain_head(self.plan), **self._settings)
        if self.optimizer is not None:
            self.network.set_optimizer(self.optimizer.kind, **self.optimizer.hyper)
        for part, i, array in held:
            self.network.set(part, i, array)
        self.network.set_progress(*progress)

    # ------------------------------------------------------------ weights

    def index_by_role(self, layer: "Layer") -> dict[str, int]:
        """Role -> index of the tensors of one layer."""
        return {role: i for i, (step, role, _, _) in enumerate(self.tensors) if self.plan.owners[step] is layer}

    def sizes(self) -> list[tuple[int, bool]]:
        """(number of weights, trainable) of each tensor."""
        return [(math.prod(shape), trainable) for _, _, shape, trainable in self.tensors]

    def names(self) -> list[str]:
        """ "dense/kernel" and so on, of each tensor."""
        return [f"{self.plan.owners[step].name}/{role}" for step, role, _, _ in self.tensors]

    def get(self, index: int) -> NDArray[Any]:
        return self.network.get("value", index)

    def set(self, indices: list[int], weights: "list[ArrayLike]") -> None:
        """Writes some tensors, all or none of them."""
        if len(weights) != len(indices):
            raise ValueError(f"expected {len(indices)} arrays of weights, not {len(weights)}")
        names, arrays = self.names(), []
        for index, value in zip(indices, weights, strict=True):
            array = np.asarray(value)
            shape = self.tensors[index][2]
            if array.dtype.kind not in "buif":
                raise TypeError(f"{names[index]} must be numbers, not {array.dtype}")
            if array.shape != shape:
                raise ValueError(f"{names[index]} has shape {shape}, not {array.shape}")
            arrays.append(_finite(array, self._settings["dtype"], names[index]))
        self.write([("value", index) for index in indices], arrays)

    def write(self, parts: list[tuple[str, int]], arrays: list[NDArray[Any]]) -> None:
        """Checked arrays, as `parts` names them: no prediction in another thread sees only some of the weights."""
        with self.lock:
            self.changing()
            for kind in dict.fromkeys(part for part, _ in parts):
                pairs: list[Any] = []
                for (part, i), array in zip(parts, arrays, strict=True):
                    pairs += [i, array] if part == kind else []
                self.network.set(kind, *pairs)

    def changing(self) -> None:
        """To be called before weights or moments change."""
        if self.before_change is not None:
            self.before_change()
            self.before_change = None


def _plain_head(plan: _plan.Plan) -> _plan.Head:
    """That of a network whose loss is not known yet."""
    return _plan.Head(_plan.CROSS_ENTROPY if plan.softmax else _plan.SQUARED_ERROR)


def _finite(array: NDArray[Any], dtype: str, name: str) -> NDArray[Any]:
    """The array in that dtype. Raises ValueError if a number is not finite there."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, dtype=dtype).reshape(array.shape)
    if not np.isfinite(converted).all():
        raise ValueError(f"{name} holds values beyond the range of {dtype}, up to {np.abs(array).max():g} in magnitude")
    return converted
