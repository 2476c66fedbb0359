"""How good answers are: functions on arrays of labels and probabilities, with the names of scikit-learn.

    p = model.predict(test.images)
    mc.metrics.accuracy_score(test.labels, p.argmax(axis=1))
    print(mc.metrics.classification_report(test.labels, p.argmax(axis=1), class_names=test.class_names))

Where scikit-learn 1.9 has a function of that name, the numbers are the same to the last bit. Stricter than there:
probabilities that do not add up to 1, classes out of order and negative weights are errors.

y_true, y_pred: class numbers or names (n,) or (n, 1), or one-hot rows (n, C). labels: the classes, if others than those
that occur are meant. sample_weight: (n,), what each row counts, 0 or more. Wrong input raises ValueError or TypeError.
"""

import math
import warnings
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from . import _metric_inputs
from ._confusion import check_normalize, count_cells, normalized
from ._inputs import Array, whole
from ._lookup import check_number
from ._report import Average, ClassificationReport, Counts

__all__ = [
    "Average",
    "ClassificationReport",
    "accuracy_interval",
    "accuracy_score",
    "classification_report",
    "confusion_matrix",
    "log_loss",
    "per_class_accuracy",
    "top_k_accuracy_score",
]


def accuracy_score(y_true: object, y_pred: object, *, sample_weight: object = None) -> float:
    """The share of rows (of their weight) whose answer is right."""
    given = _metric_inputs.answers(y_true, y_pred, None, sample_weight)
    return float(np.average(given.true == given.predicted, weights=given.weights))


def accuracy_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """(low, high): those true accuracies that fit with `correct` right answers in n rows.

    The Wilson interval (E. B. Wilson, 1927): the shares s with |correct / n - s| <= z sqrt(s (1 - s) / n), z being the
    normal quantile of (1 + confidence) / 2. It stays within 0 to 1 and holds where few or nearly all rows are right.
    """
    n = whole("n", n, 1)
    correct = whole("correct", correct, 0)
    if correct > n:
        raise ValueError(f"correct must be at most n, but {correct} of {n} is more than all")
    level = check_number("confidence", confidence, "a number between 0 and 1")
    if not 0 < level < 1:
        cure = f": {level:g} % is {level / 100:g}" if 1 < level < 100 else ""
        raise ValueError(f"confidence must be between 0 and 1, not {confidence!r}{cure}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    below = 1 + z * z / n
    low, high = (centre - half) / below, (centre + half) / below
    return 0.0 if correct == 0 else low, 1.0 if correct == n else high  # which rounding would miss


def confusion_matrix(
    y_true: object,
    y_pred: object,
    *,
    labels: object = None,
    sample_weight: object = None,
    normalize: str | None = None,
) -> Array:
    """How many rows of each true class (row) were given each answer (column): (C, C).

    int64, or float64 if the weights are floats or it is normalised. Rows and columns are in the order of `labels`; data
    rows whose class or answer is not among them are left out.
    normalize: "true" (each row adds up to 1), "pred" (each column) or "all"; what has nothing to divide by is 0.
    """
    check_normalize(normalize)
    true, predicted, _, classes, weights = _metric_inputs.answers(y_true, y_pred, labels, sample_weight)
    at_true, at_predicted = _metric_inputs.positions(true, classes), _metric_inputs.positions(predicted, classes)
    if (at_true < 0).all():
        raise ValueError(f"none of the labels {classes.tolist()} occurs in y_true, which holds {np.unique(true)}")
    kept = (at_true >= 0) & (at_predicted >= 0)
    cells = count_cells(at_true[kept], at_predicted[kept], len(classes), None if weights is None else weights[kept])
    return normalized(cells, normalize)


def _class_counts(given: _metric_inputs.Answers) -> Counts:
    """The counts of the classes asked for, taken over all rows."""
    known = np.union1d(given.classes, given.present)
    true, predicted, which = (
        _metric_inputs.positions(of, known) for of in (given.true, given.predicted, given.classes)
    )
    return Counts.of(true, predicted, len(known), given.weights).of_classes(which)


def per_class_accuracy(
    y_true: object, y_pred: object, *, labels: object = None, sample_weight: object = None
) -> NDArray[np.float64]:
    """The share of each class that was recognised (its recall), float64 (C,); nan for classes that do not occur."""
    return _class_counts(_metric_inputs.answers(y_true, y_pred, labels, sample_weight)).recall(math.nan)


def classification_report(
    y_true: object,
    y_pred: object,
    *,
    labels: object = None,
    class_names: object = None,
    sample_weight: object = None,
    zero_division: float = 0.0,
) -> ClassificationReport:
    """Precision, recall, F1 and support of each class, with their averages.

    labels: the classes to show; answers and rows of other classes still count as mistakes.
    class_names: what the classes are called, in the order of `labels` (ascending without it).
    zero_division: what 0 / 0 gives, for classes that do not occur or are never answered: 0, 1 or nan, which averages
    leave out.
    """
    if zero_division not in (0, 1) and zero_division == zero_division:  # nan is the number that differs from itself
        raise ValueError(f"zero_division must be 0, 1 or nan, not {zero_division!r}")
    given = _metric_inputs.answers(y_true, y_pred, labels, sample_weight)
    return ClassificationReport(
        given.classes,
        _class_counts(given),
        class_names=class_names,
        zero_division=float(zero_division),
        complete=bool(np.isin(given.present, given.classes).all()),
    )


def log_loss(y_true: object, y_prob: object, *, labels: object = None, sample_weight: object = None) -> float:
    """The mean of -log(probability of the true class): the cross-entropy, without penalties.

    y_prob: probabilities (n, C), a column for each class in ascending order; or (n,), those of the second of
    two classes. They are clipped to epsilon ... 1 - epsilon of their dtype, in which the loss is computed.
    labels: the classes of the columns; needed where not all of them occur in y_true.
    """
    true = _metric_inputs.labels(y_true, "y_true")
    p = _metric_inputs.probabilities(y_prob, len(true.values))
    weights = _metric_inputs.weights(sample_weight, len(true.values))
    columns = _metric_inputs.true_columns(true, labels, p.shape[1], "y_prob")
    epsilon = np.finfo(p.dtype).eps
    of_true = np.clip(p[np.arange(len(p)), columns], epsilon, 1 - epsilon)
    return float(np.average(-np.log(of_true), weights=weights))


def top_k_accuracy_score(
    y_true: object, y_score: object, *, k: int = 2, labels: object = None, sample_weight: object = None
) -> float:
    """The share of rows whose true class is among the k with the highest scores.

    y_score: any finite numbers (n, C), such as probabilities or logits. Of equal scores the later column comes first.
    Or (n,), the scores of the second of two classes, which is the answer above 0.5, or above 0 if some score lies
    outside 0 to 1.
    labels: the classes of the columns, ascending; needed where not all of them occur in y_true.
    If k leaves no class out, the result is 1, and a UserWarning says so.
    """
    k = whole("k", k, 1)
    true = _metric_inputs.labels(y_true, "y_true")
    score = _metric_inputs.scores(y_score, len(true.values), "y_score")
    weights = _metric_inputs.weights(sample_weight, len(true.values))
    classes = 2 if score.ndim == 1 else score.shape[1]
    columns = _metric_inputs.true_columns(true, labels, classes, "y_score")
    if k >= classes:
        warnings.warn(f"k={k} of {classes} classes leaves none out: every row is a hit", UserWarning, stacklevel=2)
        hits = np.ones(len(columns), dtype=bool)
    elif score.ndim == 1:
        threshold = 0.5 if score.min() >= 0 and score.max() <= 1 else 0
        hits = (score > threshold) == (columns == 1)
    else:
        of_true = score[np.arange(len(score)), columns][:, None]
        later = np.arange(classes) > columns[:, None]
        before = (score > of_true) | ((score == of_true) & later)
        hits = before.sum(axis=1) < k
    return float(np.average(hits, weights=weights))
