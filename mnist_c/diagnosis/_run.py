"""Checks of the run: the order and the number of its data, what rows count; and notes on how it went."""

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


def weighted(e: Evidence) -> Finding | None:
    """Weights that leave the run little to learn from, of whatever rows: without them the data are learned."""
    shares = None if e.history is None else e.history.class_shares
    seen = None if shares is None else _learnable(e)
    if shares is None or seen is None:
        return None
    return _unequal(
        f"{seen}, without weights; by class_weight and sample_weight the classes are "
        f"{', '.join(f'{share:.1%}' for share in shares)} of the loss",
        "; if that does not help, give fit the same x and y as here",
    )


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


# ---------------------------------------------------------------- notes


def still_falling(e: Evidence) -> Finding | None:
    """The last epoch made the accuracy two points better, and training ended because its epochs were done.

    Nearly every run of a few epochs still lowers its loss by a tenth or more; that alone says little.
    """
    validation = bool(e.curve("val_loss"))
    losses, accuracies = (e.curve(f"{'val_' * validation}{name}") for name in ("loss", e.model.metric))
    if len(losses) < 2 or len(accuracies) < 2 or e.history is None or e.history.stopped_by != "epochs":
        return None
    if losses[-1] > 0.95 * losses[-2] or accuracies[-1] < accuracies[-2] + 0.02:
        return None
    return note(
        "still_falling",
        f"the last epoch lowered the {'validation ' * validation}loss from {losses[-2]:.4g} to {losses[-1]:.4g} and "
        f"raised the accuracy from {accuracies[-2]:.1%} to {accuracies[-1]:.1%}",
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


def unequal_weights(e: Evidence) -> Finding | None:
    """Class or sample weights give a class more than half of the loss beyond its share of the images.

    Balancing a rare class against a frequent one gives it less than a half.
    """
    shares = None if e.history is None else e.history.class_shares
    if shares is None or len(shares) != e.classes or not e.poor:
        return None
    images = np.bincount(e.labels, minlength=e.classes) / e.n
    c = int(np.argmax(np.asarray(shares) - images))
    if not shares[c] - images[c] > 0.5:
        return None
    return _unequal(
        f"class {c} is {images[c]:.1%} of the images and, by class_weight and sample_weight, {shares[c]:.1%} of the "
        f"loss; the model answers {c} for {(e.answers == c).mean():.1%}, its accuracy is {e.accuracy:.1%}"
    )


def _unequal(seen: str, otherwise: str = "") -> Finding:
    return alarm(
        "unequal_weights",
        seen,
        "mistakes with rows whose weights are small cost next to nothing.",
        "look at class_weight (classes that it does not name have weight 1) and sample_weight; leave them out, or "
        f"class_weight='balanced'{otherwise}",
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
        f"the accuracy is {e.accuracy:.1%}; the label of the most similar other image gives {e.neighbours:.1%}",
        "the model learns less than the data allow.",
        "another learning rate, more epochs, He weights",
    )


CAUSES = (sorted_data, unequal_weights, few_images)
NOTES = (unexplained, still_falling, overfitting)
