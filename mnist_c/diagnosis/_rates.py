"""Checks of the learning rate and of what has its effect, by training fresh copies of the model for a few steps."""

from typing import Any

from ._evidence import Evidence
from ._report import Finding, alarm

USUAL_EPSILON = 1e-7

_LOW = "steps are so short that weights hardly leave their initial values."


def zero(e: Evidence) -> Finding | None:
    if e.rate or e.first_rate or (e.history is not None and any(e.history.learning_rate)):
        return None
    return alarm(
        "rate_too_low",
        f"the learning rate is 0; after {e.steps:,} steps the accuracy is {e.accuracy:.1%}",
        "each step is multiplied by the learning rate: weights keep their initial values.",
        "a learning rate of about 0.001 for Adam, 0.1 for SGD",
    )


def schedule(e: Evidence) -> Finding | None:
    """A schedule that has used up the rate in the first tenth of the run.

    The run fails with less than a thousandth of the first rate; or it has less than a hundredth, and the first rate
    learns.
    """
    if not e.scheduled or e.rate > 1e-2 * e.first_rate:
        return None
    first = e.sweep_at(e.first_rate)
    long = e.steps >= 2 * first.steps
    at_first = first.accuracy(long=long)
    learned = at_first >= max(e.sweep.at_rate, e.accuracy) + (0.15 if long else 0.1)
    if not learned and not (e.failing and e.rate < 1e-3 * e.first_rate):
        return None
    rate = f"; or a constant rate of {e.first_rate:g}" if learned else ", and a lower first rate"
    return alarm(
        "rate_too_low",
        f"the schedule has lowered the learning rate from {e.first_rate:g} to {e.rate:.2g} after a tenth of "
        f"{e.scheduled_steps:,} steps; the accuracy is {e.accuracy:.1%}. The same network from new weights has "
        f"{at_first:.1%} after {first.long_steps if long else first.steps} steps at a constant {e.first_rate:g}",
        "the schedule stops training before much is learned: its step is a batch, not an epoch.",
        f"decay_steps in batches, for example epochs * batches per epoch{rate}",
    )


def epsilon(e: Evidence) -> Finding | None:
    """An epsilon that is large beside the gradients, where the usual one learns at the same rate."""
    optimizer = e.model._choose_optimizer(None)
    value = getattr(optimizer, "epsilon", 0.0)
    if not value or not e.initial_gradients:
        return None
    within = value if optimizer.kind.startswith("adam") else value**0.5  # the others have it inside the root
    largest = max(e.initial_gradients)
    if within <= largest:
        return None
    return _changed(
        e,
        f"epsilon={value:g}, which the optimizer adds to the size of the gradients, is larger than they are "
        f"(root mean square at most {largest:.1e} at the beginning)",
        f"with epsilon={USUAL_EPSILON:g}",
        e.sweep.accuracy(epsilon=USUAL_EPSILON),
        f"epsilon={USUAL_EPSILON:g}, the default",
    )


def clipping(e: Evidence) -> Finding | None:
    """Gradients are cut to a hundredth or less, where the same rate learns without."""
    optimizer = e.model._choose_optimizer(None)
    name = next((name for name in ("clipvalue", "clipnorm", "global_clipnorm") if hasattr(optimizer, name)), "")
    if not name or not e.initial_gradients:
        return None
    bound = getattr(optimizer, name)
    size, what = (
        (max(e.initial_gradients), "root mean square") if name == "clipvalue" else (e.initial_gradient_norm, "norm")
    )
    unclipped: dict[str, Any] = {name: None}
    if bound > 0.01 * size:
        return None
    return _changed(
        e,
        f"{name}={bound:g} cuts every gradient: at the beginning their {what} is {size:.2g}",
        f"without {name}",
        e.sweep.accuracy(**unclipped),
        f"leave out {name}, or a value that only the longest gradients reach, such as {name}=1",
    )


def _changed(e: Evidence, seen: str, how: str, accuracy: float, fix: str) -> Finding | None:
    if accuracy < max(e.sweep.at_rate, e.accuracy) + 0.1:
        return None
    return alarm(
        "rate_too_low",
        f"{seen}. After {e.steps:,} steps the accuracy is {e.accuracy:.1%}; the same network from new weights has "
        f"{accuracy:.1%} after {e.sweep.steps} steps at the same rate {how}",
        _LOW,
        fix,
    )


def too_high(e: Evidence) -> Finding | None:
    """Fresh copies learn in a few steps what this run has not, at a tenth of its rate or less."""
    factor, best = e.sweep.best_lower
    if best < e.sweep.at_rate + 0.1 or best < e.accuracy + 0.03:
        return None
    return _too_high(e, factor, best, long=False)


def too_high_later(e: Evidence) -> Finding | None:
    """The same, where learning begins well and ends badly: with a strong momentum, for example."""
    if not e.failing or e.steps < e.sweep.long_steps:
        return None
    factor = max((0.1, 0.01), key=lambda factor: e.sweep.accuracy(factor, long=True))
    best = e.sweep.accuracy(factor, long=True)
    if best < max(e.sweep.accuracy(long=True), e.accuracy) + 0.1:
        return None
    return _too_high(e, factor, best, long=True)


def _too_high(e: Evidence, factor: float, best: float, long: bool) -> Finding:
    diverged = e.history is not None and e.history.stopped_by == "error"
    momentum = getattr(e.model.optimizer, "momentum", 0.0)
    less = f", or a momentum of 0.9: {momentum:g} makes steps up to {1 / (1 - momentum):.0f} times as long"
    return alarm(
        "rate_too_high",
        f"{_sweep(e, factor, best, long)}{'; the run was ended by an error' if diverged else ''}",
        "steps are so long that they jump over the minimum: the loss rises or stays, units die, numbers overflow.",
        f"a {_constant(e)}learning rate of about {e.rate * factor:.1g}{less if 0.95 < momentum < 1 else ''}",
    )


def too_low(e: Evidence) -> Finding | None:
    """Fresh copies learn in a few steps, at 10 times the rate or more, what this run has not in more of them.

    Not where they learn much more than the run in fewer steps at its own rate: then something else was wrong with it.
    """
    if not e.poor or not (e.failing or e.steps >= 2 * e.sweep.steps):
        return None
    if e.steps >= e.sweep.steps and e.sweep.at_rate > e.accuracy + 0.1:
        return None
    better = max(e.sweep.at_rate, e.accuracy) + 0.1
    factor, best = e.sweep.best_higher
    long = best < better
    if long and e.steps < e.sweep.long_steps:
        return None
    factor = e.sweep.safest(factor, at_least=0.0 if long else better)
    best = e.sweep.accuracy(factor, long=long)
    if long and best < max(e.sweep.accuracy(long=True), e.accuracy) + 0.15:
        return None  # in so many steps copies begin to learn their images by heart, so that 0.1 is not enough
    return alarm(
        "rate_too_low",
        _sweep(e, factor, best, long),
        _LOW,
        f"a {_constant(e)}learning rate of about {e.rate * factor:.1g}",
    )


def _constant(e: Evidence) -> str:
    return "constant " if e.scheduled else ""


def _sweep(e: Evidence, factor: float, best: float, long: bool = False) -> str:
    steps, at_rate = (e.sweep.long_steps if long else e.sweep.steps), e.sweep.accuracy(long=long)
    return (
        f"after {e.steps:,} steps the accuracy is {e.accuracy:.1%}. The same network from new weights, {steps} steps "
        f"on {len(e.y):,} of these images, has {at_rate:.1%} at the rate {e.rate:.3g} and {best:.1%} at "
        f"{e.rate * factor:.1g}"
    )


def too_few_steps(e: Evidence) -> Finding | None:
    """The run fails, had fewer steps than the experiment, and the experiment learns at the same rate."""
    if not e.failing or e.steps >= e.sweep.steps or e.sweep.at_rate < e.accuracy + 0.1:
        return None
    params = {} if e.history is None else e.history.params
    size = f" of {params['batch_size']:,} images" if "batch_size" in params else ""
    return alarm(
        "too_few_steps",
        f"the model has made {e.steps} steps{size}; accuracy {e.accuracy:.1%}. The same network has "
        f"{e.sweep.at_rate:.1%} after {e.sweep.steps} steps of 64 images",
        "each step moves the weights by a little, however many images it is made from.",
        "batch_size=32 to 128, and more epochs",
    )


CHECKS = (schedule, epsilon, clipping, too_high, too_low, too_few_steps)
