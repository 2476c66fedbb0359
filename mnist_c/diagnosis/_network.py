"""Checks of the network: weights, units, what its regularisation does to it."""

from typing import NamedTuple

import numpy as np

from ..layers import Dense
from ._evidence import Array, Evidence
from ._images import LARGE, too_small
from ._probes import without_dropout, without_penalties
from ._report import Finding, alarm, note
from ._units import flat, flat_at_first, hidden, size_of_glorot

# A unit counts as dead, or saturated, if it is so for all, or 95 %, of the sample.
SATURATED = 0.95


class Layer(NamedTuple):
    """A hidden layer: how many of how many units are dead, or saturated."""

    name: str
    stuck: int
    units: int

    def __str__(self) -> str:
        return f"{self.stuck} of {self.units} units of {self.name} ({self.stuck / self.units:.0%})"


def _dead(e: Evidence, outputs: dict[str, Array]) -> dict[str, Array]:
    """Which units of each layer are dead, bool (units,)."""
    return {name: (outputs[name] == 0).all(axis=0) for name, _ in hidden(e, ("relu",))}


def _saturated(e: Evidence) -> list[Layer]:
    layers = []
    for name, activation in hidden(e, ("sigmoid", "tanh")):
        stuck = flat(e.layer_outputs[name], activation).mean(axis=0) >= SATURATED
        layers.append(Layer(name, int(stuck.sum()), len(stuck)))
    return layers


def dead_units(e: Evidence) -> Finding | None:
    """Alarm if a layer has no unit left, or lost half of them and the model is poor; a note from a tenth on.

    Penalties switch units off that are not needed, so that many dead ones alone are no alarm with them. Without any,
    healthy runs lost up to half of a layer (bright images), those with a rate ten times too high five sixths and more.
    """
    dead = _dead(e, e.layer_outputs)
    all_layers = (Layer(name, int(units.sum()), len(units)) for name, units in dead.items())
    layers = [layer for layer in all_layers if layer.stuck >= 0.1 * layer.units]
    if not layers or len(e.y) < 50:
        return None
    worst = max(layer.stuck / layer.units for layer in layers)
    most = 0.5 if e.poor else 0.75 if not e.penalised else 1.0
    now, initial = sum(layer.stuck for layer in layers), _dead(e, e.initial_outputs)
    first = sum(int((dead[layer.name] & initial[layer.name]).sum()) for layer in layers)
    weights, rate = "kernel_initializer='he_normal' and biases of 0", "a lower learning rate"
    born_dead = first >= 0.5 * now
    return (alarm if worst >= most else note)(
        "dead_units",
        f"{', '.join(map(str, layers))} give 0 for each of {len(e.y):,} images; with the initial "
        f"weights {first} of them did",
        "a ReLU whose sum is negative for all images has no gradient: its weights never change again. "
        + ("These began like that." if born_dead else "These died in training, mostly because of long steps."),
        f"{weights if born_dead else rate}; then {rate if born_dead else weights}; LeakyReLU does not die",
    )


def saturated_units(e: Evidence) -> Finding | None:
    layers = [layer for layer in _saturated(e) if layer.stuck >= 0.25 * layer.units]
    if not layers or len(e.y) < 50:
        return None
    worst = max(layer.stuck / layer.units for layer in layers)
    return (alarm if worst >= 0.9 or (worst >= 0.5 and e.poor) else note)(
        "saturated_units",
        f"{', '.join(map(str, layers))} stand at the end of their range for at least {SATURATED:.0%} of the images",
        "there sigmoid and tanh are flat: the gradient is nearly 0, and the unit says the same of all images.",
        "smaller initial weights ('glorot_uniform'), pixels from 0 to 1, a lower learning rate; or ReLU",
    )


def constant_answers(e: Evidence) -> Finding | None:
    """More than 99 % of the answers are the same class, where no class has more than 90 % of the labels."""
    counts = np.bincount(e.answers, minlength=e.classes)
    answer = int(counts.argmax())
    true = float((e.y == answer).mean())
    if counts[answer] < 0.99 * len(e.y) or e.chance > 0.9 or len(e.y) < 20:
        return None
    everything = "everything" if counts[answer] == len(e.y) else f"{counts[answer] / len(e.y):.1%} of the images"
    return alarm(
        "constant_answers",
        f"it answers {answer} for {everything}: the accuracy, {100 * e.accuracy:.2f} %, is the share of images that "
        f"are a {answer}, {100 * true:.2f} %",
        "the output no longer depends on the image; only the last layer's biases were learned.",
        "a tenth of the learning rate, the usual initial weights ('glorot_uniform', biases of 0), no class_weight: try "
        "each; one of them is the usual cause",
    )


def symmetric_weights(e: Evidence) -> Finding | None:
    """Hidden units that all have the same weights: they get the same gradients and stay the same for ever.

    The last layer may begin like that: what it gets is different for each of its units.
    """
    dense = [layer for layer in e.model.layers if isinstance(layer, Dense)]
    same = []
    for layer in dense[:-1]:
        kernel = layer.kernel.astype(np.float64)
        spread = float(np.ptp(kernel, axis=1).max())  # among the units, for the input where they differ most
        if layer.units > 1 and spread <= 1e-5 * max(float(np.abs(kernel).max()), 1e-30):
            same.append((layer, "all 0" if not kernel.any() else "the same in all units"))
    constant = [layer for layer in dense[:-1] if layer.kernel_initializer.core[0] == "constant" and e.poor]
    if not same and not constant:
        return None
    seen = "; ".join(f"the weights of {layer.name} are {what}" for layer, what in same)
    seen = seen or f"the weights of {', '.join(layer.name for layer in constant)} all begin with the same number"
    return alarm(
        "symmetric_weights",
        seen,
        "units with equal weights compute the same, get the same gradient and so stay equal: a layer of them is worth "
        "one unit. With zeros, ReLU and its gradient are 0 as well, and nothing moves.",
        "random initial weights: kernel_initializer='glorot_uniform' (the default) or 'he_normal'; zeros are for "
        "biases",
    )


def initial_weights(e: Evidence) -> Finding | None:
    """A loss of ten times log C before the first step, or flat sigmoids and tanhs, with inputs of a usual size.

    Glorot and He weights start near log C, weights in ±0.5 (gd-10k) at about twice that, and fewer than one in a
    hundred of their tanhs and sigmoids is flat; with weights of deviation 1 three in four are.
    """
    if e.root_mean_square >= LARGE:
        return None
    if e.initial_loss > 10 * np.log(e.classes):
        seen = f"with its initial weights the network starts at a loss of {e.initial_loss:.3g}; guessing has "
        seen += f"{np.log(e.classes):.2f}"
    else:
        name, share = flat_at_first(e) if e.accuracy < e.neighbours else ("", 0.0)
        if share <= 0.5:
            return None
        seen = f"with its initial weights {share:.0%} of what {name} gives is at the end of its range"
    return alarm(
        "initial_weights_too_large",
        seen,
        "it begins with being sure of wrong answers: steps are spent on undoing the initial weights, units die or "
        "saturate.",
        "kernel_initializer='glorot_uniform' or 'he_normal', whose spread fits the number of inputs",
    )


def penalty(e: Evidence) -> Finding | None:
    """At the beginning it weighs more than twice what there is to be gained, log C, and the model is poor.

    deep-l2's strongest, lambda 0.001, weighs half of it.
    """
    if e.initial_penalty <= 2 * np.log(e.classes) or e.accuracy > e.neighbours - 0.02:
        return None
    return _penalised(
        e, f"the penalty begins at {e.initial_penalty:.3g}, the cross-entropy of guessing is {np.log(e.classes):.2f}"
    )


def penalty_tried(e: Evidence) -> Finding | None:
    """It is a third of what the loss has come to, and a fresh copy learns more without.

    By 0.05 and more without strong penalties, by 0.003 without a lambda of 0.001.
    """
    if e.penalty <= 0.5 * e.loss or e.accuracy >= min(e.neighbours + 0.02, 0.97):
        return None
    there, without = e.sweep.accuracy(long=True), e.sweep.accuracy(long=True, layers=without_penalties)
    if without <= max(there, e.accuracy) + 0.03:
        return None
    return _penalised(
        e,
        f"the penalty, {e.penalty:.3g}, is {e.penalty / (e.penalty + e.loss):.0%} of the loss; the same network has "
        f"{there:.1%} after {e.sweep.long_steps} steps from new weights, {without:.1%} without a penalty",
    )


def _penalised(e: Evidence, seen: str) -> Finding:
    """The fix names what is above the usual factors; where nothing is, a tenth of all."""
    steps = [(e.plan.owners[s].name, step) for s, step in enumerate(e.plan.steps) if step["kind"] == "dense"]
    largest = {kind: max(step[kind] for _, step in steps) for kind in ("l1", "l2", "bias_l1", "bias_l2")}
    used = [kind for kind, factor in largest.items() if factor]
    factors = "; ".join(f"{name}: {', '.join(f'{kind} {step[kind]:g}' for kind in used)}" for name, step in steps)
    usual = {"l1": ("from 1e-6 to 1e-5", 1e-5), "l2": ("from 1e-5 to 1e-3", 1e-3)}
    high = [f"{kind} {usual[kind[-2:]][0]}" for kind in used if largest[kind] > usual[kind[-2:]][1]]
    return alarm(
        "too_much_penalty",
        f"{seen} ({factors}); the accuracy is {e.accuracy:.1%}, a nearest neighbour has {e.neighbours:.1%}",
        "much of the loss is the penalty, so training makes weights small rather than answers right.",
        f"{' and '.join(high or [f'a tenth of {kind}' for kind in used])}; without any to see whether it is needed",
    )


def weight_decay(e: Evidence) -> Finding | None:
    """Adam moves a weight by about its rate r in a step, decay by r d w: beyond 1 / d decay wins.

    Where steps have random signs a weight's square grows by r² in each and shrinks by 2 r d w²: it ends at r / (2 d).
    The balance takes 1 / (r d) steps.
    """
    decay = getattr(e.model.optimizer, "weight_decay", 0.0)
    widest = max((w.shape[0] for w in e.model.get_weights() if w.ndim == 2), default=1)
    usual = 1 / np.sqrt(widest)  # the size of a weight with which the sum of so many inputs is of their size
    if not decay or e.steps * e.rate * decay < 1 or not e.poor:
        return None
    size = min(1 / decay, float(np.sqrt(e.rate / (2 * decay))))
    if size > usual:
        return None
    return alarm(
        "too_much_penalty",
        f"weight_decay={decay:g} holds weights below about {size:.2g}; with {widest} inputs they should be "
        f"about {usual:.2g}; the accuracy is {e.accuracy:.1%}",
        "decay undoes in each step what the gradient has done.",
        "weight_decay from 1e-4 to 0.1",
    )


def vanishing_gradients(e: Evidence) -> Finding | None:
    """The first layer's gradients, root mean square, are below a thousandth of the last one's at the beginning.

    A sigmoid passes on at most a quarter of a gradient; three layers of Glorot weights still leave a hundredth. The
    last layer's are those of its biases where they are larger: with tiny weights its inputs vanish as gradients do.
    Gradients of 0 have other causes: dead units, equal weights.
    """
    if not e.failing or len(e.initial_gradients) < 3 or too_small(e) is not None:
        return None
    first, last = e.initial_gradients[0], max(e.initial_gradients[-1], e.initial_bias_gradient)
    if not first or first > 1e-3 * last:
        return None
    return alarm(
        "vanishing_gradients",
        f"with initial weights the gradients of the first layer are {first:.1e}, those of the last one {last:.1e}; the "
        f"model has {len(e.initial_gradients)} layers",
        "each layer passes on less than it gets, so that the first ones do not learn.",
        f"{_against_vanishing(e)}; BatchNormalization between layers, or fewer layers",
    )


def _against_vanishing(e: Evidence) -> str:
    """Other weights where those are much smaller than Glorot's, another activation where it is flat."""
    small = any(size_of_glorot(layer.kernel) < 0.3 for layer in e.initial_layers if isinstance(layer, Dense))
    ways = ["kernel_initializer='he_normal': the initial weights are much smaller than usual"] * small
    ways += ["ReLU in place of sigmoid or tanh"] * bool(hidden(e, ("sigmoid", "tanh")))
    return "; ".join(ways or ["kernel_initializer='he_normal'"])


def _dropouts(e: Evidence) -> list[float]:
    """The rate after each layer, then that of the inputs; 0 where there is none."""
    return [step["dropout"] for step in e.plan.steps] + [e.plan.on_inputs.get("input_dropout", 0.0)]


def dropout(e: Evidence) -> Finding | None:
    """From 0.7 on, where it costs 15 points in training, or the model is poor. Usual are 0.2 to 0.5."""
    rates = _dropouts(e)
    cost = e.accuracy - e.accuracy_in_training
    if max(rates) < 0.7 or not (cost > 0.15 or e.poor):
        return None
    return alarm(
        "too_much_dropout",
        f"dropout {max(rates):g} leaves {1 - max(rates):.0%} of the units in each step; with it the accuracy is "
        f"{e.accuracy_in_training:.1%}, without {e.accuracy:.1%}",
        "so few units cannot carry what is in an image: steps are noise, and training is slow or stops short.",
        "Dropout(0.2) to Dropout(0.5), after hidden layers",
    )


def dropout_of_many(e: Evidence) -> Finding | None:
    """Usual rates that are too much together: fresh copies soon learn without dropout what this run has not."""
    used = [rate for rate in _dropouts(e) if rate]
    if not used or not e.poor or e.steps < 2 * e.sweep.steps:
        return None
    without = e.sweep.accuracy(layers=without_dropout)
    if without < max(e.sweep.at_rate, e.accuracy) + 0.1:
        return None
    return alarm(
        "too_much_dropout",
        f"dropout in {len(used)} place{'s' * (len(used) > 1)} ({', '.join(f'{rate:g}' for rate in used)}); after "
        f"{e.steps:,} steps the accuracy is {e.accuracy:.1%}. The same network from new weights has "
        f"{e.sweep.at_rate:.1%} after {e.sweep.steps} steps, and {without:.1%} without dropout",
        "too little of what is in an image comes through the layers: steps are noise, and training is slow.",
        "no dropout, then Dropout(0.1) or Dropout(0.2) in fewer places; or wider layers",
    )


CAUSES = (symmetric_weights, initial_weights, penalty, weight_decay, dropout, vanishing_gradients)
SYMPTOMS = (constant_answers, dead_units, saturated_units)
