"""Optimizers and learning-rate schedules, with the formulas and defaults of Keras 3.

An optimizer is a function

    (w, g, slots, rate, t, **hyper) -> (new w, new slots)

of weights w and gradient g (one shape), the arrays it carries from step to step (`slots`), the
learning rate and the number t of the step, counted from 1. `first_slots` gives the slots before the first step.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .layers import Array

Slots: TypeAlias = tuple[Array, ...]
Optimizer: TypeAlias = Callable[..., tuple[Array, Slots]]

SMALLEST_SLOT = 2.0**-100


def clip(
    grads: Sequence[Array],
    *,
    clipvalue: float | None = None,
    clipnorm: float | None = None,
    global_clipnorm: float | None = None,
) -> list[Array]:
    """Gradients made shorter, as Keras's optimizers do it; at most one of the three is given.

        clipvalue c        every element into [-c, c]
        clipnorm c         g c / |g| where the norm |g| of that gradient is above c
        global_clipnorm c  the same with the norm of all of them together (Pascanu, Mikolov and Bengio, 2013)

    grads: any shapes -> the same
    """
    if clipvalue:
        return [np.clip(g, -clipvalue, clipvalue) for g in grads]
    norms = [float(np.sqrt((g.astype(np.float64) ** 2).sum())) for g in grads]
    if global_clipnorm:
        norms = [float(np.sqrt(sum(norm**2 for norm in norms)))] * len(grads)
    most = clipnorm or global_clipnorm
    return [g * g.dtype.type(most / norm) if most and norm > most else g for g, norm in zip(grads, norms, strict=True)]


CLIPPING = ("clipvalue", "clipnorm", "global_clipnorm")
EMA = ("use_ema", "ema_momentum", "ema_overwrite_frequency")


def flush(slot: Array) -> Array:
    """Sets what is below 2^-100 in magnitude to 0.    any shape -> the same

    A moment of a weight whose gradient has become 0 decays by a factor per step into the denormal numbers, where
    arithmetic is slow, and rounding keeps it there. Nothing of that size can move a weight.
    """
    return np.where(np.abs(slot) < SMALLEST_SLOT, np.zeros_like(slot), slot)


def sgd(
    w: Array, g: Array, slots: Sequence[Array], rate: float, t: int, *, momentum: float = 0.0, nesterov: bool = False
) -> tuple[Array, Slots]:
    """Stochastic gradient descent.

        plain      w = w - rate g
        momentum   m = momentum m - rate g,   w = w + m
        Nesterov   m = momentum m - rate g,   w = w + momentum m - rate g     (looks one step ahead)

    The rate is inside m: a change of rate acts on new gradients only. PyTorch has it outside (v = momentum v + g,
    w = w - rate v), which is the same as long as the rate is constant. Slots: m, if momentum is not 0.
    """
    if momentum == 0:
        return w - rate * g, ()
    (m,) = slots
    m = flush(momentum * m - rate * g)
    return (w + (momentum * m - rate * g) if nesterov else w + m), (m,)


def rmsprop(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    rate: float,
    t: int,
    *,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
) -> tuple[Array, Slots]:
    """RMSprop (Hinton, lecture 6e, 2012): divides by a moving root mean square of the gradient.

        v = rho v + (1 - rho) g^2
        d = rate g / sqrt(v + epsilon)      centered:  a = rho a + (1 - rho) g,  d = rate g / sqrt(v - a^2 + epsilon)
        w = w - d                           momentum:  m = momentum m + d,  w = w - m

    epsilon is inside the root (PyTorch: outside). Slots: v; m, with momentum; a, if centered.
    """
    v = flush(rho * slots[0] + (1 - rho) * g**2)
    a = flush(rho * slots[-1] + (1 - rho) * g) if centered else np.zeros_like(g)
    d = rate * g / np.sqrt(v - a**2 + epsilon)
    if momentum > 0:
        d = flush(momentum * slots[1] + d)
    return w - d, (v, *([d] if momentum > 0 else []), *([a] if centered else []))


def adam(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    rate: float,
    t: int,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
) -> tuple[Array, Slots]:
    """Adam (Kingma and Ba, 2015, in the efficient form that ends their section 2).

        m = m + (1 - beta1) (g - m)
        v = v + (1 - beta2) (g^2 - v)
        w = w - rate sqrt(1 - beta2^t) / (1 - beta1^t)  m / (sqrt(v) + epsilon)

    epsilon is added to the root of the uncorrected v (the paper's "epsilon hat"; PyTorch adds it after correcting v),
    and its default is Keras's 1e-7. Slots: m, v.
    """
    m, v = slots
    m = flush(m + (1 - beta1) * (g - m))
    v = flush(v + (1 - beta2) * (g**2 - v))
    corrected_rate = rate * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    return w - corrected_rate * m / (np.sqrt(v) + epsilon), (m, v)


def adamw(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    rate: float,
    t: int,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-7,
    weight_decay: float = 0.004,
) -> tuple[Array, Slots]:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): w = w - rate weight_decay w, then Adam."""
    return adam(w - w * weight_decay * rate, g, slots, rate, t, beta1=beta1, beta2=beta2, epsilon=epsilon)


def adagrad(
    w: Array,
    g: Array,
    slots: Sequence[Array],
    rate: float,
    t: int,
    *,
    initial_accumulator_value: float = 0.1,
    epsilon: float = 1e-7,
) -> tuple[Array, Slots]:
    """Adagrad (Duchi, Hazan and Singer, 2011): v = v + g^2,  w = w - rate g / sqrt(v + epsilon).

    Slots: v, which starts as initial_accumulator_value.
    """
    v = flush(slots[0] + g**2)
    return w - rate * g / np.sqrt(v + epsilon), (v,)


OPTIMIZERS: dict[str, Optimizer] = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam, "adamw": adamw, "adagrad": adagrad}


def optimizer_slots(kind: str, *, momentum: float = 0.0, centered: bool = False, **_: Any) -> int:
    """How many slots an optimizer with these hyper-parameters carries."""
    counts = {"sgd": int(momentum > 0), "rmsprop": 1 + (momentum > 0) + centered, "adam": 2, "adamw": 2, "adagrad": 1}
    return counts[kind]


def first_slots(kind: str, w: Array, *, initial_accumulator_value: float = 0.1, **hyper: Any) -> Slots:
    """The slots of the weights w before the first step: zeros, but for Adagrad's.    any shape -> as many of it"""
    start = initial_accumulator_value if kind == "adagrad" else 0.0
    return tuple(np.full_like(w, start) for _ in range(optimizer_slots(kind, **hyper)))


# ---------------------------------------------------------------- schedules


def _decays(step: Array, steps: float, staircase: bool) -> Array:
    """How many times `steps` steps have passed, in whole or in part."""
    return np.floor(step / steps) if staircase else step / steps


def _cosine(t: Array, initial: float, decay: float, alpha: float, steps: float, staircase: bool) -> Array:
    rates: Array = initial * ((1 - alpha) * (1 + np.cos(np.pi * np.minimum(t, steps) / steps)) / 2 + alpha)
    return rates


# (step t (n,) counted from 0, initial, decay, alpha, steps, staircase) -> rates (n,). In Keras step is ExponentialDecay
# with staircase=True, inverse_time InverseTimeDecay (decay_rate = decay, decay_steps = steps), cosine CosineDecay.
Schedule: TypeAlias = Callable[[Array, float, float, float, float, bool], Array]
SCHEDULES: dict[str, Schedule] = {
    "constant": lambda t, initial, decay, alpha, steps, staircase: np.full(t.shape, initial),
    "step": lambda t, initial, decay, alpha, steps, staircase: initial * decay ** np.floor(t / steps),
    "inverse_time": lambda t, initial, decay, alpha, steps, staircase: (
        initial / (1 + decay * _decays(t, steps, staircase))
    ),
    "cosine": _cosine,
    "exponential": lambda t, initial, decay, alpha, steps, staircase: initial * decay ** _decays(t, steps, staircase),
    "one_cycle": _cosine,
}


def rates(
    kind: str,
    *,
    first: int,
    n: int,
    initial: float,
    decay: float = 1.0,
    alpha: float = 0.0,
    steps: float = 1.0,
    staircase: bool = False,
    warmup_steps: float = 0.0,
    warmup_from: float = 0.0,
) -> Array:
    """Learning rates of the steps first ... first + n - 1, counted from 0.

        constant      initial
        step          initial decay^floor(step / steps)
        inverse_time  initial / (1 + decay step / steps);  floor(step / steps) if staircase
        cosine        initial ((1 - alpha) (1 + cos(pi min(step, steps) / steps)) / 2 + alpha)
        exponential   initial decay^(step / steps);  floor(step / steps) if staircase
        one_cycle     cosine

    The first warmup_steps steps rise evenly from warmup_from to initial (one_cycle: along half a cosine), and step
    counts from there. Returns float64 (n,). Cosine: Loshchilov and Hutter, 2017, without restarts.
    """
    step = np.arange(first, first + n, dtype=np.float64)
    rising = step < warmup_steps
    share = step[rising] / warmup_steps if rising.any() else step[:0]
    way = (1 - np.cos(np.pi * share)) / 2 if kind == "one_cycle" else share
    after = SCHEDULES[kind](step[~rising] - warmup_steps, initial, decay, alpha, steps, staircase)
    return np.concatenate([warmup_from + (initial - warmup_from) * way, after])
