"""Checks of the run: order of the data, learning rate, number of steps; and notes on how it went."""

import numpy as np

from ._evidence import Evidence
from ._report import Finding, alarm, note


def sorted_data(e: Evidence) -> Finding | None:
    """Data in runs of one class, and a model that was right on the way, but not afterwards or on validation data.

    Neighbouring rows differ in class in a share 1 - sum of squared shares of the rows if the order is random. Sorted
    data that are shuffled do no harm, and are not mentioned.
    """
    shares = np.bincount(e.labels, minlength=e.classes) / e.n
    expected = (1 - float(np.square(shares).sum())) * (e.n - 1)
    changes = int((np.diff(e.labels) != 0).sum())
    validation = e.validation_accuracy
    lost = e.failing or e.running_accuracy - e.accuracy > 0.3
    unseen = e.running_accuracy - validation > 0.5
    shuffled = e.history is not None and e.history.params.get("shuffle") is not False
    if e.n < 50 or changes > 0.25 * expected or not (unseen or (lost and not shuffled)):
        return None
    later = f", on the validation data {validation:.1%}" if unseen else ""
    return _in_order(
        f"the class changes {changes:,} times in {e.n:,} rows, at random about {expected:,.0f} times; accuracy on the "
        f"way {e.running_accuracy:.1%}, afterwards {e.accuracy:.1%}{later}"
    )


def _in_order(seen: str) -> Finding:
    return alarm(
        "sorted_not_shuffled",
        seen,
        "batches of a single class teach the network to give that class, and to forget the ones before. A "
        "validation_split takes the last rows: classes that are then missing in training.",
        "fit(..., shuffle=True), and shuffle sorted data once before splitting: order = rng.permutation(len(x)); "
        "x, y = x[order], y[order]",
    )


def rate_too_high(e: Evidence) -> Finding | None:
    """Fresh copies learn in a few steps what this run has not, at a tenth of its rate or less."""
    factor, best = e.sweep.best_lower
    if best < e.sweep.at_rate + 0.1 or best < e.accuracy + 0.03:
        return None
    diverged = e.history is not None and e.history.stopped_by == "error"
    return alarm(
        "rate_too_high",
        f"{_sweep(e, factor, best)}{'; the run was ended by an error' if diverged else ''}",
        "steps are so long that they jump over the minimum: the loss rises or stays, units die, numbers overflow.",
        f"a learning rate of about {e.rate * factor:.1g}",
    )


def rate_too_low(e: Evidence) -> Finding | None:
    """Fresh copies learn in a few steps, at 100 times the rate or more, what this run has not in many.

    A schedule that has used up the rate in the first tenth of the run is the same. Full-batch descent at 0.01 (gd-10k)
    is slow as well, but it was not given ten times as many steps, or gets there.
    """
    if e.failing and e.rate < 1e-3 * e.first_rate:
        return alarm(
            "rate_too_low",
            f"the learning rate began at {e.first_rate:g} and was {e.rate:.2g} after a tenth of {e.steps:,} steps; the "
            f"accuracy is {e.accuracy:.1%}",
            "the schedule stops training before anything is learned: its step is a batch, not an epoch.",
            "decay_steps in batches, for example epochs * batches per epoch",
        )
    factor, best = e.sweep.best_higher
    long = e.steps >= 10 * e.sweep.steps
    if best < max(e.sweep.at_rate, e.accuracy) + 0.1 or not (e.failing or long):
        return None
    return alarm(
        "rate_too_low",
        _sweep(e, factor, best),
        "steps are so short that weights hardly leave their initial values.",
        f"a learning rate of about {e.rate * factor:.1g}",
    )


def _sweep(e: Evidence, factor: float, best: float) -> str:
    return (
        f"after {e.steps:,} steps the accuracy is {e.accuracy:.1%}. The same network from new weights, {e.sweep.steps} "
        f"steps on {len(e.y):,} of these images, has {e.sweep.at_rate:.1%} at the rate {e.rate:g} and {best:.1%} at "
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


def _learnable(e: Evidence) -> str | None:
    """The run fails, but the same network, loss, optimizer and rate learn these data in as many steps or fewer."""
    if not e.failing or e.steps < e.sweep.steps or e.skill(e.sweep.at_rate) < 0.7:
        return None
    return (
        f"after {e.steps:,} steps the accuracy on these images is {e.accuracy:.1%}; the same network with new weights "
        f"has {e.sweep.at_rate:.1%} after {e.sweep.steps} steps on them, shuffled"
    )


def not_shuffled(e: Evidence) -> Finding | None:
    """The same as `sorted_data`, where the data are shown in another order than they were trained on."""
    if e.history is None or e.history.params.get("shuffle") is not False:
        return None
    seen = _learnable(e)
    return None if seen is None else _in_order(f"{seen}; fit was told shuffle=False")


def other_data(e: Evidence) -> Finding | None:
    """Nothing else is wrong, and the data can be learned: so what the model was trained on was something else."""
    seen = _learnable(e)
    if seen is None:
        return None
    return alarm(
        "labels_unrelated",
        seen,
        "these images and labels can be learned with these settings, so the run was on others: images and labels that "
        "did not belong together, or that were prepared in another way.",
        "give fit the same x and y as here; shuffle both with the same order",
    )


RATES = (rate_too_high, rate_too_low, too_few_steps, not_shuffled)


# ---------------------------------------------------------------- notes


def still_falling(e: Evidence) -> Finding | None:
    """The last epoch lowered the loss by more than 5 %, and training ended because its epochs were done."""
    losses = e.curve("val_loss") or e.curve("loss")
    if len(losses) < 2 or losses[-1] > 0.95 * losses[-2] or e.history is None or e.history.stopped_by != "epochs":
        return None
    return note(
        "still_falling",
        f"the last epoch lowered the loss from {losses[-2]:.4g} to {losses[-1]:.4g}",
        "the model has not learned all it can.",
        "more epochs: fit goes on from where it is",
    )


def overfitting(e: Evidence) -> Finding | None:
    """The validation loss is 10 % above its lowest, while the training loss still falls."""
    validation, training = e.curve("val_loss"), e.curve("loss")
    if len(validation) < 3 or len(training) != len(validation):
        return None
    best = int(np.argmin(validation))
    if validation[-1] < 1.1 * validation[best] or training[-1] > training[best]:
        return None
    return note(
        "overfitting",
        f"the validation loss was lowest, {validation[best]:.4g}, after epoch {best + 1} and is now "
        f"{validation[-1]:.4g}; the training loss fell on from {training[best]:.4g} to {training[-1]:.4g}",
        "the network learns its training images by heart.",
        "EarlyStopping(restore_best_weights=True); dropout, a small L2 penalty, more or altered images",
    )


def few_images(e: Evidence) -> Finding | None:
    """Fewer than 100 images per class in training."""
    if e.history is None or "steps" not in e.history.params:
        return None
    most = e.history.params["steps"] * e.history.params["batch_size"]
    rows = min(most, e.n) if e.n <= most < e.n + e.history.params["batch_size"] else most
    if rows >= 100 * e.classes:
        return None
    make = alarm if rows < 5 * e.classes else note
    return make(
        "few_images",
        f"the model was trained on at most {rows:,} images for {e.classes} classes",
        "what is common to a class cannot be told from what is special about a few images.",
        "more images, or altered copies of them; a small network",
    )


def unexplained(e: Evidence) -> Finding | None:
    if not e.failing:
        return None
    return note(
        "poor_accuracy",
        f"the accuracy is {e.accuracy:.1%}; the nearest of a few hundred images gives {e.neighbours:.1%}",
        "the model learns less than the data allow.",
        "another learning rate, more epochs, He weights",
    )


NOTES = (unexplained, still_falling, overfitting)
