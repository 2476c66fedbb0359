"""The callbacks of one run of `fit`, called one after the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ._callback import Callback, Logs
from ._model_checkpoint import ModelCheckpoint
from .callbacks import EarlyStopping

if TYPE_CHECKING:
    from .model import Sequential

States = list[Mapping[str, Any] | None]


class Hooks:
    """The callbacks of one run. Raises TypeError for what is no callback."""

    BATCH_HOOKS: ClassVar[tuple[str, ...]] = (
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_batch_begin",
        "on_batch_end",
    )

    def __init__(self, callbacks: object) -> None:
        given: list[Any] = (
            [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
        )
        for callback in given:
            if isinstance(callback, type) and issubclass(callback, Callback):
                raise TypeError(f"callbacks holds the class {callback.__name__}: make an object, {callback.__name__}()")
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must hold objects of mnist_c.callbacks, not {callback!r}")
        self._callbacks: list[Callback] = given
        self._begun: list[Callback] = []
        self.by_batch = any(_overrides(callback, hook) for callback in given for hook in self.BATCH_HOOKS)

    @property
    def monitor(self) -> tuple[str, str] | None:
        """(figure, mode) that the first EarlyStopping watches."""
        watching = (callback for callback in self._callbacks if isinstance(callback, EarlyStopping))
        return next(((callback.monitor, callback.mode) for callback in watching), None)

    def begin(self, model: "Sequential", params: Mapping[str, Any]) -> None:
        for callback in self._callbacks:
            callback.set_params(params)
            callback.set_model(model)
        for callback in self._callbacks:
            callback.on_train_begin({})
            self._begun.append(callback)

    def call(self, hook: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)

    def end(self, logs: Logs) -> None:
        """Calls on_train_end of all that began, even if one of them fails; then raises the first error."""
        errors = []
        while self._begun:
            try:
                self._begun.pop(0).on_train_end(logs)
            except BaseException as error:
                errors.append(error)
        if errors:
            raise errors[0]

    # ------------------------------------------------------------ checkpoints

    @property
    def savers(self) -> list[ModelCheckpoint]:
        return [callback for callback in self._callbacks if isinstance(callback, ModelCheckpoint)]

    def batches_left(self, done: int) -> int | None:
        """After how many more batches a checkpoint may be due; None: not before the epoch ends."""
        left = (saver.batches_left(done) for saver in self.savers)
        return min((batches for batches in left if batches is not None), default=None)

    def names(self) -> list[str]:
        """The classes of the callbacks that have a state."""
        return [type(callback).__name__ for callback in self._stateful]

    def states(self) -> States:
        """Their states, in that order. Lists and dicts are copies, arrays are the callbacks' own."""
        return [_copied(callback.get_state()) for callback in self._stateful]

    def set_states(self, states: States) -> None:
        """The opposite of `states`, for callbacks of the same classes."""
        for callback, state in zip(self._stateful, states, strict=True):
            if state is not None:
                callback.set_state(_copied(state))

    @property
    def _stateful(self) -> list[Callback]:
        return [callback for callback in self._callbacks if _overrides(callback, "get_state")]


def _overrides(callback: Callback, hook: str) -> bool:
    return hook in vars(callback) or getattr(type(callback), hook) is not getattr(Callback, hook)


def _copied(value: Any) -> Any:
    """With lists and dicts of its own, and the same arrays: these may be large."""
    if isinstance(value, Mapping):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value
