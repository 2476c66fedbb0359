"""Why does it not learn? `diagnose` looks at a model, its run and its data, and says what is wrong, with the fix.

    print(mc.diagnose(model, history, x, y))

Alarms, by the names that stay the same:

    images    constant_features, blank_images, unscaled_pixels, pixels_too_small, inverted_images
    labels    one_class, labels_unrelated, labels_off_by_one, labels_permuted, softmax_twice
    network   symmetric_weights, initial_weights_too_large, vanishing_gradients, too_much_penalty, too_much_dropout
    run       sorted_not_shuffled, unequal_weights, rate_too_high, rate_too_low, too_few_steps, few_images
    symptoms  constant_answers, dead_units, saturated_units

Notes, on runs that may be fine: inverted_images, missing_classes, still_falling, overfitting, few_images, dead_units,
saturated_units, poor_accuracy, untrained. A softmax after a softmax, and from_logits=True after one, are refused by
`fit` already; softmax_twice is about targets that went through one. Labels that were all renamed in the same way, in
training and here, are noticed on images of digits only: it takes somebody who can read them.
"""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from ..history import History
from . import _images, _labels, _network, _rates, _run
from ._evidence import Evidence
from ._report import Diagnosis, Finding, note

if TYPE_CHECKING:
    from ..model import Sequential

_Check: TypeAlias = Callable[[Evidence], Finding | None]

__all__ = ["Diagnosis", "Finding", "diagnose"]


def diagnose(model: "Sequential", history: History | None = None, x: object = None, y: object = None) -> Diagnosis:
    """Looks for what keeps a classifier from learning. Healthy runs raise no alarm; the model is not changed.

    history: what `fit` returned; None: that of the model's last `fit`. x, y: the data that it was trained on, or others
    of the same kind, as in `fit`; at most 2,000 images, drawn evenly, are looked at closely.

    It costs nothing while `fit` runs, which notes for it only whether it shuffled and what weights make each class
    count. A report takes about a quarter of an epoch of keras-mlp on 60,000 images, however many there are; the first
    one of a process half a second more, in which it learns to read digits. Where no cause is found, copies of the model
    are trained on those images: two for 480 steps if penalties are a third of the loss or more; and where it is much
    worse than a nearest neighbour, or units are stuck, at up to twenty learning rates, without dropout and with other
    usual settings, at most 22 for 96 steps and 8 for 480 in all: one or two seconds for a small network.

    Raises ValueError or TypeError for data that do not go with the model, as `fit` does.
    """
    if history is not None and not isinstance(history, History):
        raise TypeError(
            f"history is a {type(history).__name__}: expected what fit returned, or None, as in "
            "diagnose(model, history, x, y)"
        )
    e = Evidence(model, history, x, y)
    if not e.steps and (e.history is None or e.history.stopped_by != "error"):
        return Diagnosis([_untrained()], _summary(e))
    causes = _found(e, (_rates.zero, *_images.CHECKS, *_labels.CHECKS, *_run.CAUSES, *_network.CAUSES))
    if not _alarming(causes):
        causes += _found(e, (_network.penalty_tried,))
    symptoms = _found(e, _network.SYMPTOMS)
    if not _alarming(causes) and (e.poor or _alarming(symptoms)):
        last = (_run.other_data,) if not _alarming(symptoms, but="constant_answers") else ()
        causes += _first(e, (_images.other_preparation, *_rates.CHECKS, *_EXPERIMENTS, *last))
    found = causes + symptoms
    if e.failing and not _alarming(found):
        found = [f._replace(severity="alarm") if f.name == "saturated_units" else f for f in found]
    if _alarming(found):
        return Diagnosis([_behind_causes(f, found) for f in found], _summary(e))
    return Diagnosis(found + _found(e, _run.NOTES), _summary(e))


_EXPERIMENTS = (_run.not_shuffled, _run.weighted, _network.dropout_of_many, _rates.too_high_later)


def _alarming(findings: list[Finding], but: str = "") -> bool:
    return any(finding.severity == "alarm" and finding.name != but for finding in findings)


def _behind_causes(finding: Finding, found: list[Finding]) -> Finding:
    """A symptom's fix follows that of its cause, or, of constant answers, that of the units that are stuck."""
    others = [f.name for f in found if f.severity == "alarm" and f.name != "constant_answers"]
    if finding.name == "constant_answers" and others:
        return finding._replace(fix=f"that of {others[0]}")
    if finding.name in ("dead_units", "saturated_units") and set(others) - {"dead_units", "saturated_units"}:
        return finding._replace(fix=f"that of {others[0]}; if units are still stuck, {finding.fix}")
    return finding


def _found(e: Evidence, checks: tuple[_Check, ...]) -> list[Finding]:
    return [finding for check in checks if (finding := check(e)) is not None]


def _first(e: Evidence, checks: tuple[_Check, ...]) -> list[Finding]:
    """The finding of the first check that has one. Those after it, which take time, are not made."""
    return list(islice((finding for check in checks if (finding := check(e)) is not None), 1))


def _untrained() -> Finding:
    return note(
        "untrained",
        "the model has made no training step",
        "its weights are the initial ones.",
        "model.fit(x, y) first",
    )


def _summary(e: Evidence) -> str:
    return (
        f"accuracy {100 * e.accuracy:.2f} % on {len(e.y):,} of {e.n:,} images after {e.steps:,} steps; the nearest "
        f"other image gives {100 * e.neighbours:.2f} %, always the same answer {100 * e.chance:.2f} %"
    )
