"""Optimizers, with the names, arguments, defaults and formulas of Keras 3.

w is a weight, g its gradient, r the learning rate of the step, t the step counted from 1. Moments that fall below
2^-100 in magnitude are set to 0. Moments live in the model: training on with the same optimizer object keeps them, a
new object starts afresh.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from . import schedules
from ._config import Configurable, make, public_subclasses
from ._inputs import flag, whole
from ._lookup import check_factor, check_share, look_up, wrong_type

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CORE_NAMES = {"beta_1": "beta1", "beta_2": "beta2"}


class Shared(TypedDict, total=False):
    """The arguments that all optimizers have besides their own."""

    clipvalue: float | None
    clipnorm: float | None
    global_clipnorm: float | None
    gradient_accumulation_steps: int | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None


_CLIPPING = ("clipvalue", "clipnorm", "global_clipnorm")


class Optimizer(Configurable):
    """Base of all optimizers. `learning_rate` may be assigned at any time, the rest is fixed once made.

    learning_rate: a number, a schedule of `mnist_c.schedules` or any function step -> rate. All optimizers also take

    clipvalue        c: every element of a gradient is kept in [-c, c]
    clipnorm         c: the gradient of a weight whose norm is larger than c is multiplied by c / norm
    global_clipnorm  c: the same with the norm of all gradients together (Pascanu, Mikolov and Bengio, 2013)

    gradient_accumulation_steps  n: a step takes the mean gradient of n batches, and the learning rate counts steps
    use_ema          True: keeps an average of the weights, average = ema_momentum average + (1 - ema_momentum) w after
                     each step (w after the first). It takes the place of the weights when `fit` has come to its end,
                     and after every ema_overwrite_frequency steps, if that is given (Polyak and Juditsky, 1992)

    At most one kind of clipping. Clipping by a norm needs all gradients before it uses any, which makes training
    slower.
    """

    kind: ClassVar[str]  # the core's name
    learning_rate: schedules.Rate
    hyper: dict[str, Any]  # the rest, as the core calls it

    def __init__(self, learning_rate: schedules.Rate, shared: Shared, **settings: Any) -> None:
        settings |= _check_shared(shared, type(self).__name__)
        vars(self).update(settings, hyper={_CORE_NAMES.get(name, name): value for name, value in settings.items()})
        self.learning_rate = learning_rate

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as values that JSON can hold; of those that all have, what was given."""
        return super().get_config() | {name: vars(self)[name] for name in Shared.__annotations__ if name in vars(self)}

    def rates(self, first: int, n: int) -> NDArray[np.float64]:
        """The rates of batches first ... first + n - 1, float64 (n,)."""
        turns = self.hyper.get("gradient_accumulation_steps", 1)
        if turns == 1:
            return schedules.rates(self.learning_rate, first, n)
        steps = np.arange(first, first + n) // turns
        begin = first // turns
        by_step = schedules.rates(self.learning_rate, begin, int(steps[-1]) - begin + 1)
        return np.repeat(by_step, np.bincount(steps - begin))

    def __setattr__(self, name: str, value: object) -> None:
        if name != "learning_rate":
            raise AttributeError(f"only learning_rate may be changed: make a new {type(self).__name__} instead")
        object.__setattr__(self, name, schedules.check(value))

    def __repr__(self) -> str:
        settings = {"learning_rate": self.learning_rate, **vars(self)}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in settings.items() if k != 'hyper')})"


def _check_shared(shared: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What is given, checked."""
    if unknown := set(shared) - set(Shared.__annotations__):
        raise TypeError(f"{name}() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    given = {key: value for key, value in shared.items() if value is not None and value is not False}
    for key in given.keys() & _CLIPPING:
        if not (value := check_factor(key, given[key])):
            raise ValueError(f"{key} must be positive, not {value!r}: leave it out for no clipping")
        given[key] = value
    if len(clipping := [key for key in _CLIPPING if key in given]) > 1:
        raise ValueError(f"only one of {', '.join(_CLIPPING)} can be given, not {' and '.join(clipping)}")
    for key in given.keys() & {"gradient_accumulation_steps", "ema_overwrite_frequency"}:
        given[key] = whole(key, given[key], 1)
    if "use_ema" in given:
        given["use_ema"] = flag("use_ema", given["use_ema"])
    elif unused := sorted(given.keys() & {"ema_momentum", "ema_overwrite_frequency"}):
        raise ValueError(f"{unused[0]} means nothing without use_ema=True")
    if "ema_momentum" in given:
        given["ema_momentum"] = check_share("ema_momentum", given["ema_momentum"])
    return given


class SGD(Optimizer):
    """Gradient descent.

    plain      w = w - r g
    momentum   m = momentum m - r g,    w = w + m
    nesterov   m = momentum m - r g,    w = w + momentum m - r g
    """

    kind = "sgd"

    def __init__(
        self,
        learning_rate: schedules.Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **shared: "Unpack[Shared]",
    ) -> None:
        super().__init__(learning_rate, shared, momentum=check_share("momentum", momentum), nesterov=bool(nesterov))


class RMSprop(Optimizer):
    """Divides by a moving root mean square of the gradient (Hinton, 2012).

        v = rho v + (1 - rho) g^2
        d = r g / sqrt(v + epsilon)         centered:  a = rho a + (1 - rho) g,    d = r g / sqrt(v - a^2 + epsilon)
        w = w - d                           momentum:  m = momentum m + d,    w = w - m

    epsilon is inside the root, as in Keras (PyTorch: outside).
    """

    kind = "rmsprop"

    def __init__(
        self,
        learning_rate: schedules.Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **shared: "Unpack[Shared]",
    ) -> None:
        super().__init__(
            learning_rate,
            shared,
            rho=check_share("rho", rho),
            momentum=check_share("momentum", momentum),
            epsilon=check_factor("epsilon", epsilon),
            centered=bool(centered),
        )


def _adam_settings(beta_1: float, beta_2: float, epsilon: float) -> dict[str, float]:
    return {
        "beta_1": check_share("beta_1", beta_1),
        "beta_2": check_share("beta_2", beta_2),
        "epsilon": check_factor("epsilon", epsilon),
    }


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015).

        m = m + (1 - beta_1) (g - m)
        v = v + (1 - beta_2) (g^2 - v)
        w = w - r sqrt(1 - beta_2^t) / (1 - beta_1^t)  m / (sqrt(v) + epsilon)

    epsilon is added to the root of the uncorrected v, as in Keras (PyTorch: of the corrected one, and 1e-8).
    """

    kind = "adam"

    def __init__(
        self,
        learning_rate: schedules.Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: "Unpack[Shared]",
    ) -> None:
        super().__init__(learning_rate, shared, **_adam_settings(beta_1, beta_2, epsilon))


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): w = w - r weight_decay w, then Adam.

    All weights decay, biases and batch-normalisation parameters too, as in Keras.
    """

    kind = "adamw"

    def __init__(
        self,
        learning_rate: schedules.Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **shared: "Unpack[Shared]",
    ) -> None:
        decay = check_factor("weight_decay", weight_decay)
        super().__init__(learning_rate, shared, **_adam_settings(beta_1, beta_2, epsilon), weight_decay=decay)


class Adagrad(Optimizer):
    """Divides by the root of the sum of all squares of the gradient so far (Duchi, Hazan and Singer, 2011).

    v = v + g^2                 v starts as initial_accumulator_value
    w = w - r g / sqrt(v + epsilon)
    """

    kind = "adagrad"

    def __init__(
        self,
        learning_rate: schedules.Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **shared: "Unpack[Shared]",
    ) -> None:
        super().__init__(
            learning_rate,
            shared,
            initial_accumulator_value=check_factor("initial_accumulator_value", initial_accumulator_value),
            epsilon=check_factor("epsilon", epsilon),
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adagrad": Adagrad,
}


def get(identifier: object) -> Optimizer:
    """An optimizer from its name ("adam": a new one with the defaults), its class, a description of one or itself."""
    if isinstance(identifier, str):
        return look_up("optimizer", identifier, OPTIMIZERS)()  # type: ignore[call-arg]
    if isinstance(identifier, Mapping):
        return make("optimizer", identifier, public_subclasses(Optimizer))
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    raise wrong_type("optimizer", identifier, "a name such as 'adam' or an object such as Adam(1e-3)")
