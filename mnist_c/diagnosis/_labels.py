"""Checks of the labels: do they belong to the images?"""

import numpy as np

from .._confusion import count_cells
from .._plan import CROSS_ENTROPY
from ._evidence import Array, Evidence
from ._probes import read_digits
from ._report import Finding, alarm, note

# A relabelling is recognised where classes go over into other ones this consistently. The drawn digits' reader is right
# in 88 % of MNIST; on Fashion-MNIST, which has no digits, no relabelling makes it right in more than 33 %.
CONSISTENT = 0.6

# How many rows images and labels may be apart and still be recognised: the 8 bytes before the labels in MNIST's files,
# or the 16 before its images, taken for data.
FARTHEST = 16


def single_class(e: Evidence) -> Finding | None:
    if len(np.unique(e.labels)) > 1:
        return None
    return alarm(
        "one_class",
        f"all {e.n:,} labels are {e.labels[0]}",
        "with a single class there is nothing to tell apart: always giving it is right.",
        "look at how y was made, for example np.bincount(y); a column too few or a wrong index does this",
    )


def unrelated(e: Evidence) -> Finding | None:
    """Where the nearest neighbour's label is right no more often than by chance.

    Two standard errors of a share of about 0.1 on 500 images are 2.7 points; labels of which a fifth is wrong still
    give 0.6.
    """
    shares = np.bincount(e.y, minlength=e.classes) / len(e.y)
    by_chance = float(np.square(shares).sum())
    asked = max(1, len(e.y) // 4)
    bound = by_chance + max(0.05, 4 * float(np.sqrt(by_chance * (1 - by_chance) / asked)))
    if len(e.y) < 50 or shares.max() > 0.9 or e.constant_share >= 0.95 or not e.neighbours < bound:
        return None
    seen = (
        f"the most similar image has the same label in {e.neighbours:.1%} of the cases; by chance it would be "
        f"{by_chance:.1%}, and where labels are right it is about 90 % on MNIST, 79 % on Fashion-MNIST"
    )
    shift = max((k for k in range(-FARTHEST, FARTHEST + 1) if k), key=e.neighbours_of_shifted)
    if e.neighbours_of_shifted(shift) > bound + 0.2:
        apart = "1 row" if abs(shift) == 1 else f"{abs(shift)} rows"
        return alarm(
            "labels_unrelated",
            f"{seen}; with the label that stands {apart} {'further on' if shift > 0 else 'before'} it is "
            f"{e.neighbours_of_shifted(shift):.1%}",
            f"images and labels are {apart} apart.",
            f"y = np.roll(y, {-shift}), or look at which rows were lost, or which header was read as data",
        )
    return alarm(
        "labels_unrelated",
        seen,
        "the labels have nothing to do with the images: they were shuffled without them, or belong to other ones. A "
        "network can then only learn them by heart.",
        "shuffle both with the same order: order = rng.permutation(len(x)); x, y = x[order], y[order]",
    )


def from_one(e: Evidence) -> Finding | None:
    """Classes that count from 1, where the model has an output more than there are classes."""
    present = np.unique(e.labels)
    if len(present) != e.classes - 1 or present[0] != 1 or e.classes < 4 or e.n < 20 * e.classes:
        return None
    return alarm(
        "labels_off_by_one",
        f"labels run from 1 to {present[-1]}, the model has {e.classes} outputs, and class 0 never occurs",
        "classes count from 0; every answer is one off when it is compared with labels that do.",
        f"pass y - 1 and use Dense({e.classes - 1}) as the last layer",
    )


def _relabelling(answers: Array, labels: Array, each: float) -> dict[int, int] | None:
    """Class -> what the images of that class are taken for, one to one, the most frequent pairs first; None unless
    that is consistent, and another class at least once.

    each: what share of a class must go over into another one. A poor model confuses a class or two, but sends only
    some of their images elsewhere.
    """
    cells = count_cells(labels, answers, int(max(labels.max(), answers.max())) + 1)
    images = cells.sum(axis=1)
    taken: dict[int, int] = {}
    hits = 0
    while cells.any():
        c, a = (int(k) for k in np.unravel_index(cells.argmax(), cells.shape))
        taken[c], hits = a, hits + int(cells[c, a])
        if c != a and cells[c, a] < each * images[c]:
            return None
        cells[c, :] = cells[:, a] = 0
    different = any(c != a for c, a in taken.items())
    return taken if len(taken) >= 5 and different and hits >= CONSISTENT * len(labels) else None


def _shift(answers: Array, labels: Array, classes: int) -> dict[int, int] | None:
    """The same where all labels are as much too large: also for a model that has not learned every class."""
    shares = [float((answers == (labels - up) % classes).mean()) for up in range(classes)]
    up = int(np.argmax(shares))
    if not up or shares[up] < CONSISTENT or classes < 5:
        return None
    return {int(c): int(c - up) % classes for c in np.unique(labels)}


def relabelled(e: Evidence) -> Finding | None:
    """Labels that are a consistent renaming of the right ones: by what digits look like, or by what the model says."""
    counted_from_one = from_one(e)
    if counted_from_one is not None:
        return counted_from_one
    readings = read_digits(e.inputs, e.plan.input_shape)
    by_eye = None if readings is None else _relabelling(readings, e.y, each=0.0)
    by_model = _shift(e.answers, e.y, e.classes) or _relabelling(e.answers, e.y, each=CONSISTENT)
    taken = by_eye or by_model
    if taken is None:
        return None
    wrong = {c: a for c, a in taken.items() if a != c}
    who = "look like" if by_eye else "are, for the model,"
    examples = "; ".join(f"images labelled {c} {who} {a}" for c, a in list(wrong.items())[:3])
    modulus = 10 if by_eye else e.classes
    shifts = {(c - a) % modulus for c, a in taken.items()}
    if by_eye:
        culprit = "here and in training" if e.accuracy > CONSISTENT else "here"
    else:
        culprit = "in training" if _training_is_wrong(e, readings) else ""
    if len(shifts) == 1:
        return _off_by(shifts.pop(), modulus, culprit, f"{examples}; so for all {len(taken)} classes")
    if set(wrong) != set(wrong.values()):
        return None  # a class that the model never gives: it has not learned it
    mixed = f"those {culprit} do not fit the images" if culprit else "it was trained on other names than those here"
    return alarm(
        "labels_permuted",
        f"{examples}; {len(wrong)} of {len(taken)} classes are exchanged",
        f"the names of classes are mixed up: {mixed}.",
        "use one table of classes for all data; look at mc.plots.digits(x, y)",
    )


def _training_is_wrong(e: Evidence, readings: Array | None) -> bool:
    """Of a model and labels that contradict each other: whether others agree with the labels.

    Others are the reader of digits, and validation data that contradict the model as well, though it was right in
    training.
    """
    if readings is not None and (readings == e.y).mean() >= CONSISTENT:
        return True
    return e.validation_accuracy < 0.5 / e.classes and e.running_accuracy >= CONSISTENT


def _off_by(up: int, classes: int, culprit: str, seen: str) -> Finding:
    """Labels given here are up larger, modulo classes, than what the images show, or than what the model learned.

    culprit: which labels are wrong, those "here", "in training" or both; "" if that cannot be told.
    """
    by, sign, word = (up, "-", "large") if 2 * up <= classes else (classes - up, "+", "small")
    other_sign, other_word = ("+", "small") if sign == "-" else ("-", "large")
    here, there = f"y = (y {sign} {by}) % {classes}", f"y = (y {other_sign} {by}) % {classes}"
    rows = f"one-hot rows are np.eye({classes})[y]"
    if culprit.startswith("here"):
        which, fix = f"the labels given {culprit} are {by} too {word}", f"{here}; {rows}"
    elif culprit:
        which = f"the labels that it was trained on are {by} too {other_word}; those given here are right"
        fix = f"train on labels that are {by} {'larger' if other_sign == '+' else 'smaller'}, {there}; {rows}"
    else:
        which = f"the labels given here and those that it was trained on differ by {by}, and nothing tells who is right"
        fix = f"look at some images with both: {there} in training if these here are right, {here} here if not; {rows}"
    return alarm(
        "labels_off_by_one",
        seen,
        f"{which}. They were counted from the wrong number, or one-hot rows made with a wrong index. A network learns "
        "such labels, but its answers are as wrong for everybody else.",
        fix,
    )


def blurred(e: Evidence) -> Finding | None:
    """Targets in which the right class has less than a half: one-hot rows through a softmax give it 0.23.

    With other losses than cross-entropy rows need not be probabilities, but those that are, without a 0, were made by a
    softmax.
    """
    smoothing = e.model.loss.label_smoothing if e.model.loss is not None else 0.0
    values = e.targets.values
    sure = values is None or values.shape[1] < 2 or not (e.feed.head.key[0] == CROSS_ENTROPY or _distributions(values))
    likely = 1.0 if sure else float(np.asarray(values).max(axis=1).mean())
    share = likely * (1 - smoothing) + smoothing / e.classes
    if share >= 0.5:
        return None
    return alarm(
        "softmax_twice",
        f"on average the target gives {share:.2f} to the most likely class (label smoothing {smoothing:g}); one-hot "
        "rows give it 1, one-hot rows through a softmax 0.23",
        "targets were blurred: a softmax was applied to them, as it is to the outputs, or the label smoothing is "
        "too strong. The network is taught to be unsure.",
        "pass class numbers or one-hot rows, and a label_smoothing of 0 to 0.1",
    )


def _distributions(rows: Array) -> bool:
    return bool(rows.min() > 0 and (np.abs(rows.sum(axis=1) - 1) < 1e-4).all())


def missing(e: Evidence) -> Finding | None:
    absent = [c for c in range(e.classes) if not (e.labels == c).any()]
    if not absent or e.n < 20 * e.classes or len(absent) == e.classes - 1:
        return None
    which = f"class {absent[0]} does" if len(absent) == 1 else f"classes {', '.join(map(str, absent))} do"
    return note(
        "missing_classes",
        f"{which} not occur among {e.n:,} labels, the model has {e.classes} outputs",
        "the model cannot learn what it is not shown.",
        "if the data are sorted, draw the sample at random",
    )


CHECKS = (single_class, unrelated, relabelled, blurred, missing)
