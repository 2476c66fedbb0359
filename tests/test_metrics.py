"""Metrics against scikit-learn, to the last bit, and against what the definitions say."""

import html.parser
import math
import warnings

import numpy as np
import pytest

import mnist_c.metrics as m

CASES = 1000


@pytest.fixture(scope="module")
def sk():
    """scikit-learn's metrics. Before 1.9 they took logarithms from SciPy, which may differ in the last bit."""
    pytest.importorskip("sklearn", minversion="1.9", reason="needs scikit-learn 1.9 or newer")
    import sklearn.metrics

    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):  # for speed
        yield sklearn.metrics


# ---------------------------------------------------------------- random cases


class Case:
    """Labels, answers, weights and scores, drawn so that every kind of input meets every other."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.count = int(rng.integers(2, 12))
        n = int(rng.integers(1, 200))
        self.classes = self._classes()
        # Squared uniforms crowd the low classes, so that the last ones are often missing from one side or both.
        true = (rng.random(n) ** 2 * self.count).astype(int)
        answers = np.where(rng.random(n) < rng.random(), true, rng.integers(0, self.count, n))
        self.true, self.predicted = self.classes[true], self.classes[answers]
        self.weights = self._weights(n)
        self.labels = self._labels()
        self.scores = self._scores(true)

    def _classes(self):
        """Ascending: 0 to C - 1, other numbers, floats or text."""
        kind = self.rng.integers(4)
        if kind == 0:
            return np.arange(self.count)
        numbers = np.sort(self.rng.choice(np.arange(-20, 20), self.count, replace=False))
        if kind == 1:
            return numbers.astype(float)
        return numbers if kind == 2 else np.sort(np.array([f"class {i}" for i in numbers]))

    def _weights(self, n):
        kind = self.rng.integers(5)
        if kind == 0:
            return None
        if kind == 1:
            return self.rng.integers(0, 3, n) + (np.arange(n) == 0)
        weights = self.rng.random(n) * self.rng.choice([0, 1, 1, 1e3], n)
        weights[0] += 0.1
        return weights.astype(np.float32) if kind == 2 else weights

    def _labels(self):
        """None, all classes, or some of them in any order; one of them occurs in the true labels."""
        kind = self.rng.integers(3)
        if kind == 0:
            return None
        if kind == 1:
            return self.classes
        some = self.rng.choice(self.classes, int(self.rng.integers(1, self.count + 1)), replace=False)
        return some if np.isin(some, self.true).any() else np.append(some, self.true[0])

    def _scores(self, true):
        """Scores (n, C), float32 or float64, better than chance; every other case has many ties."""
        scores = self.rng.normal(size=(len(true), self.count)) + 2 * (np.arange(self.count) == true[:, None])
        if self.rng.random() < 0.5:
            scores = np.round(scores)
        return scores.astype(self.rng.choice([np.float32, np.float64]))

    def probabilities(self):
        """The softmax of the scores; some of them exactly 0 and 1."""
        z = (self.scores - self.scores.max(axis=1, keepdims=True)) * self.scores.dtype.type(self.rng.choice([1, 500]))
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def assert_same(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.array_equal(ours, theirs, equal_nan=True), (ours, theirs)


@pytest.fixture(scope="module")
def cases():
    return [Case(seed) for seed in range(CASES)]


def test_the_cases_hold_what_they_should(cases):
    assert sum(len(np.unique(c.true)) < c.count for c in cases) > 100  # missing classes
    assert sum(c.labels is not None and not np.isin(c.true, c.labels).all() for c in cases) > 100
    assert sum((np.sort(c.scores)[:, 1:] == np.sort(c.scores)[:, :-1]).any() for c in cases) > 300  # ties
    for dtype in (np.float32, np.float64):
        assert sum(c.scores.dtype == dtype for c in cases) > 300
        assert sum(c.weights is not None and c.weights.dtype == dtype for c in cases) > 100
    assert sum((c.probabilities() == 0).any() for c in cases) > 100


# ---------------------------------------------------------------- equal to scikit-learn


def test_accuracy_equals_scikit_learns(sk, cases):
    for c in cases:
        assert m.accuracy_score(c.true, c.predicted, sample_weight=c.weights) == sk.accuracy_score(
            c.true, c.predicted, sample_weight=c.weights
        )


def test_confusion_matrix_equals_scikit_learns(sk, cases):
    for i, c in enumerate(cases):
        arguments = {
            "labels": c.labels,
            "sample_weight": c.weights,
            "normalize": (None, "true", "pred", "all")[i % 4],
        }
        ours = m.confusion_matrix(c.true, c.predicted, **arguments)
        theirs = quiet(sk.confusion_matrix, c.true, c.predicted, **arguments)
        assert ours.dtype == theirs.dtype
        assert_same(ours, theirs)


def test_scores_of_classes_and_averages_equal_scikit_learns(sk, cases):
    undefined = 0
    for i, c in enumerate(cases):
        arguments = {
            "labels": c.labels,
            "sample_weight": c.weights,
            "zero_division": (0.0, 1.0, math.nan)[i % 3],
        }
        report = m.classification_report(c.true, c.predicted, **arguments)
        ours = report.precision, report.recall, report.f1, report.support
        theirs = sk.precision_recall_fscore_support(c.true, c.predicted, average=None, **arguments)
        assert_same(ours, theirs)
        _, recall, _, support = theirs
        shares = m.per_class_accuracy(c.true, c.predicted, labels=c.labels, sample_weight=c.weights)
        assert_same(shares, np.where(support == 0, math.nan, recall))
        average = ("macro", "weighted", "micro")[i // 3 % 3]
        theirs = sk.precision_recall_fscore_support(c.true, c.predicted, average=average, **arguments)
        assert_same(getattr(report, average), theirs[:3])
        undefined += (report.support == 0).any()
    assert undefined > 100


def test_report_equals_scikit_learns(sk, cases):
    partial = 0
    for c in cases[:200]:
        arguments = {"labels": c.labels, "sample_weight": c.weights, "zero_division": 0.0}
        ours = m.classification_report(c.true, c.predicted, **arguments)
        theirs = sk.classification_report(c.true, c.predicted, output_dict=True, **arguments)
        averages = [(ours.macro, theirs.pop("macro avg")), (ours.weighted, theirs.pop("weighted avg"))]
        if "accuracy" in theirs:
            assert ours.accuracy == theirs.pop("accuracy")
        else:
            partial += 1
            assert math.isnan(ours.accuracy)
            averages.append((ours.micro, theirs.pop("micro avg")))
        for mine, average in averages:
            assert_same(mine, [average["precision"], average["recall"], average["f1-score"]])
        assert list(theirs) == [str(label) for label in ours.labels.astype(c.true.dtype)]
        for row, *mine in zip(theirs.values(), ours.precision, ours.recall, ours.f1, ours.support, strict=True):
            assert_same(mine, list(row.values()))
    assert partial > 20


def test_log_loss_equals_scikit_learns(sk, cases):
    for i, c in enumerate(cases):
        p = c.probabilities()
        labels = None if len(np.unique(c.true)) == c.count and i % 2 else c.classes
        arguments = {"labels": labels, "sample_weight": c.weights}
        assert m.log_loss(c.true, p, **arguments) == quiet(sk.log_loss, c.true, p, **arguments)


def test_log_loss_of_two_classes_equals_scikit_learns(sk, cases):
    for c in cases[:200]:
        labels, p = c.classes[:2], c.probabilities()[:, 0]
        true = np.where(c.true == labels[0], *labels)
        for given in (p, p[:, None]):
            arguments = {"labels": labels, "sample_weight": c.weights}
            assert m.log_loss(true, given, **arguments) == quiet(sk.log_loss, true, given, **arguments)


def test_top_k_accuracy_equals_scikit_learns(sk, cases):
    compared = 0
    for c in cases:
        if c.count == 2:
            continue  # scikit-learn takes no two columns
        k = int(c.rng.integers(1, c.count))
        arguments = {"k": k, "labels": c.classes, "sample_weight": c.weights}
        assert m.top_k_accuracy_score(c.true, c.scores, **arguments) == sk.top_k_accuracy_score(
            c.true, c.scores, **arguments
        )
        compared += 1
    assert compared > 800


def test_top_1_accuracy_of_two_classes_equals_scikit_learns(sk, cases):
    for c in cases[:200]:
        labels = c.classes[:2]
        true = np.where(c.true == labels[0], *labels)
        for scores in (c.scores[:, 0], c.probabilities()[:, 0], np.round(c.probabilities()[:, :1] * 2) / 2):
            arguments = {"k": 1, "labels": labels, "sample_weight": c.weights}
            assert m.top_k_accuracy_score(true, scores, **arguments) == sk.top_k_accuracy_score(
                true, scores, **arguments
            )


def test_interval_equals_scipys():
    binomtest = pytest.importorskip("scipy.stats", reason="needs SciPy").binomtest
    for correct, n in [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (9746, 10_000), (59_999, 60_000)]:
        for confidence in (0.5, 0.95, 0.999):
            theirs = binomtest(correct, n).proportion_ci(confidence, method="wilson")
            # An end is a difference of numbers below 1, each rounded a few times.
            np.testing.assert_allclose(m.accuracy_interval(correct, n, confidence), theirs, rtol=0, atol=1e-14)


# ---------------------------------------------------------------- by definition

TRUE = [0, 0, 0, 1, 1, 2]
ANSWERS = [0, 0, 1, 1, 2, 0]


def test_a_small_case_by_hand():
    assert m.accuracy_score(TRUE, ANSWERS) == 0.5
    assert m.confusion_matrix(TRUE, ANSWERS).tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 0]]
    np.testing.assert_array_equal(m.per_class_accuracy(TRUE, ANSWERS, labels=range(4)), [2 / 3, 0.5, 0, math.nan])
    report = m.classification_report(TRUE, ANSWERS)
    assert report.precision.tolist() == [2 / 3, 1 / 2, 0]
    assert report.recall.tolist() == [2 / 3, 1 / 2, 0]
    assert report.f1.tolist() == [2 / 3, 1 / 2, 0]
    assert report.support.tolist() == [3, 2, 1]
    assert report.support.dtype == np.int64
    assert report.accuracy == 0.5
    assert report.macro.f1 == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert report.weighted.recall == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 6)
    p = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]
    assert m.log_loss([0, 1], p, labels=range(3)) == pytest.approx(-(math.log(0.7) + math.log(0.1)) / 2)
    assert m.top_k_accuracy_score([0, 1], p, labels=range(3), k=1) == 0.5
    assert m.top_k_accuracy_score([1, 0], p, labels=range(3), k=2) == 0.5  # of equal scores the later column is first


def test_the_interval_holds_what_fits_with_the_count():
    z = 1.959963984540054
    for correct, n in [(1, 3), (97, 100), (9746, 10_000)]:
        for end in m.accuracy_interval(correct, n):
            assert abs(correct / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-9)
    assert m.accuracy_interval(0, 10)[0] == 0
    assert m.accuracy_interval(10, 10)[1] == 1
    narrow, wide = m.accuracy_interval(90, 100, 0.5), m.accuracy_interval(90, 100, 0.99)
    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]
    assert m.accuracy_interval(np.int64(90), np.int32(100)) == m.accuracy_interval(90, 100)


def test_a_weight_counts_as_so_many_rows():
    weights = [1, 2, 0, 3, 1, 2]
    true, answers = np.repeat(TRUE, weights), np.repeat(ANSWERS, weights)
    weighted = m.confusion_matrix(TRUE, ANSWERS, sample_weight=weights)
    assert weighted.dtype == np.int64
    np.testing.assert_array_equal(weighted, m.confusion_matrix(true, answers))
    assert m.accuracy_score(TRUE, ANSWERS, sample_weight=weights) == m.accuracy_score(true, answers)
    many = m.classification_report(true, answers)
    np.testing.assert_array_equal(m.classification_report(TRUE, ANSWERS, sample_weight=weights).f1, many.f1)


def test_labels_come_as_columns_lists_floats_or_one_hot_rows():
    expected = m.confusion_matrix(TRUE, ANSWERS)
    hot = np.eye(3)[TRUE]
    for true in (np.array(TRUE)[:, None], np.array(TRUE, dtype=np.uint8), np.array(TRUE, dtype=np.float32), hot):
        np.testing.assert_array_equal(m.confusion_matrix(true, ANSWERS), expected)
    np.testing.assert_array_equal(m.confusion_matrix(hot.astype(bool), np.eye(3, dtype=int)[ANSWERS]), expected)


def test_one_hot_rows_name_classes_that_do_not_occur():
    hot = np.eye(5)[TRUE]
    assert m.confusion_matrix(hot, ANSWERS).shape == (5, 5)
    p = np.full((6, 5), 0.2)
    assert m.log_loss(hot, p) == m.log_loss(TRUE, p, labels=range(5)) == pytest.approx(math.log(5))


def test_float64_copies_of_float32_probabilities_are_fine():
    rng = np.random.default_rng(0)
    p = rng.random((1000, 10)).astype(np.float32)
    p /= p.sum(axis=1, keepdims=True)
    labels = rng.integers(0, 10, 1000)
    assert (p.astype(np.float64).sum(axis=1) != 1).any()
    # 1,000 logarithms around 2.7, each rounded to 2^-24 of itself, and their float32 sum in pairs
    assert m.log_loss(labels, p.astype(np.float64)) == pytest.approx(m.log_loss(labels, p), rel=1e-6)


# ---------------------------------------------------------------- wrong input

P = np.array([[0.5, 0.5], [0.1, 0.9]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: m.accuracy_score([0, 1], [0]), ValueError, r"y_true has 2 labels, but y_pred has 1"),
        (lambda: m.accuracy_score([], []), ValueError, r"y_true is empty"),
        (lambda: m.accuracy_score(1, 1), ValueError, r"y_true is a single value"),
        (lambda: m.accuracy_score(None, [0]), TypeError, r"y_true is None"),
        (lambda: m.accuracy_score(["a"], [0]), TypeError, r"y_true holds text and y_pred numbers"),
        (lambda: m.accuracy_score([b"a"], [b"a"]), TypeError, r"y_true\.astype\(str\)"),
        (lambda: m.accuracy_score([1j], [1]), TypeError, r"expected class numbers or names"),
        (lambda: m.accuracy_score([0, math.nan], [0, 1]), ValueError, r"not finite, the first \(nan\) in row 1"),
        (lambda: m.accuracy_score([0, 1], [0.1, 0.9]), ValueError, r"\(y_pred > 0\.5\)\.astype\(int\)"),
        (lambda: m.accuracy_score([0, 1], P), ValueError, r"y_pred\.argmax\(axis=1\)"),
        (lambda: m.accuracy_score([0, 1], [[1, 1], [0, 1]]), ValueError, r"one-hot rows \(n, classes\)"),
        (lambda: m.accuracy_score([[0, 1]], [[0, 1]]), ValueError, r"2 labels or one one-hot row: pass y_true\.ravel"),
        (lambda: m.accuracy_score(np.zeros((1, 1, 1)), [0]), ValueError, r"expected class numbers \(n,\)"),
        (lambda: m.accuracy_score([0], [0], sample_weight=[1, 2]), ValueError, r"one weight per row, shape \(1,\)"),
        (lambda: m.accuracy_score([0], [0], sample_weight=["1"]), TypeError, r"sample_weight .* expected numbers"),
        (lambda: m.accuracy_score([0, 1], [0, 1], sample_weight=[1, -1]), ValueError, r"row 1 is -1"),
        (lambda: m.accuracy_score([0, 1], [0, 1], sample_weight=[1, math.nan]), ValueError, r"row 1 is nan"),
        (lambda: m.accuracy_score([0, 1], [0, 1], sample_weight=[0, 0]), ValueError, r"0 in all rows"),
        (lambda: m.confusion_matrix([0], [0], normalize="rows"), ValueError, r"unknown normalize 'rows'"),
        (lambda: m.confusion_matrix([0], [0], labels=[1, 2]), ValueError, r"none of the labels \[1, 2\] occurs"),
        (lambda: m.confusion_matrix([0], [0], labels=[0, 0]), ValueError, r"the class 0 more than once"),
        (lambda: m.confusion_matrix([0], [0], labels=[]), ValueError, r"such as range\(10\)"),
        (lambda: m.confusion_matrix([0], [0], labels=["0"]), TypeError, r"labels holds text and y_true numbers"),
        (lambda: m.classification_report([0], [0], class_names=["a", "b"]), ValueError, r"2 names, but there are 1"),
        (lambda: m.classification_report([0], [0], class_names="a"), TypeError, r"must be a list of names"),
        (lambda: m.classification_report([0], [0], zero_division=2), ValueError, r"must be 0, 1 or nan, not 2"),
        (lambda: m.classification_report([0], [0], zero_division="warn"), ValueError, r"0, 1 or nan, not 'warn'"),
        (lambda: m.log_loss([0, 1], P + 0.05), ValueError, r"row 0 adds up to 1\.1"),
        (lambda: m.log_loss([0, 1], P * [1, -1]), ValueError, r"outside 0 to 1, the first \(-0\.5\) in row 0"),
        (lambda: m.log_loss([0, 1], [0.5, 1.5]), ValueError, r"outside 0 to 1, the first \(1\.5\) in row 1"),
        (lambda: m.log_loss([0, 1], P * [1, math.nan]), ValueError, r"not finite, the first in row 0"),
        (lambda: m.log_loss([0, 1, 1], P), ValueError, r"y_true has 3 labels, but y_prob has 2 rows"),
        (lambda: m.log_loss([0, 0], P), ValueError, r"1 classes, but y_prob has 2 columns.*labels=range\(2\)"),
        (lambda: m.log_loss([0, 2], P, labels=[0, 1]), ValueError, r"class 2 in row 1, which labels does not name"),
        (lambda: m.log_loss([0, 1], P, labels=[1, 0]), ValueError, r"ascending order.*\[0, 1\]"),
        (lambda: m.log_loss([0, 1], P, labels=[0, 1, 2]), ValueError, r"labels names 3 classes"),
        (lambda: m.log_loss([0, 1], [["a"], ["b"]]), TypeError, r"y_prob .* expected numbers"),
        (lambda: m.log_loss([0], np.zeros((1, 0))), ValueError, r"y_prob is empty"),
        (lambda: m.log_loss([0], np.zeros((1, 2, 2))), ValueError, r"one column per class"),
        (lambda: m.top_k_accuracy_score([0, 1], P, k=0), ValueError, r"k must be at least 1"),
        (lambda: m.top_k_accuracy_score([0, 1], P, k=1.0), TypeError, r"k must be a whole number"),
        (lambda: m.top_k_accuracy_score([0, 1, 2], [1, 2, 3], k=1), ValueError, r"3 classes, but y_score has 2"),
        (lambda: m.accuracy_interval(3, 2), ValueError, r"correct must be at most n"),
        (lambda: m.accuracy_interval(0, 0), ValueError, r"n must be at least 1"),
        (lambda: m.accuracy_interval(0.97, 100), TypeError, r"correct must be a whole number"),
        (lambda: m.accuracy_interval(1, 2, 95), ValueError, r"between 0 and 1, not 95: 95 % is 0\.95"),
    ],
)
def test_wrong_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_k_that_leaves_no_class_out_warns():
    with pytest.warns(UserWarning, match="k=2 of 2 classes leaves none out"):
        assert m.top_k_accuracy_score([0, 1], P) == 1.0


# ---------------------------------------------------------------- reports as people see them


def test_a_report_prints_as_an_aligned_table():
    text = str(m.classification_report(TRUE, ANSWERS, class_names=["shirt", "ankle boot", "bag"]))
    assert text.splitlines() == [
        "class             precision  recall      f1  support",
        "shirt                0.6667  0.6667  0.6667        3",
        "ankle boot           0.5000  0.5000  0.5000        2",
        "bag                  0.0000  0.0000  0.0000        1",
        "",
        "accuracy                             0.5000        6",
        "macro average        0.3889  0.3889  0.3889        6",
        "weighted average     0.5000  0.5000  0.5000        6",
        "",
        "The recall of a class is its accuracy.",
    ]


def test_a_report_on_some_classes_shows_no_accuracy():
    report = m.classification_report(TRUE, ANSWERS, labels=[0, 1])
    assert "accuracy  " not in str(report)
    assert "micro average        0.6000  0.6000  0.6000        5" in str(report).splitlines()
    assert repr(report) == "<ClassificationReport: 2 classes, macro f1 0.5833>"


def test_weights_are_shown_with_decimals():
    assert "1.50" in str(m.classification_report([0, 1], [0, 1], sample_weight=[1.5, 0.25]))


class Cells(html.parser.HTMLParser):
    """The texts of a table's cells; fails where tags do not match."""

    def __init__(self, source):
        super().__init__()
        self.open, self.rows = [], []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] in (["td"], ["th"]):
            self.rows[-1][-1] += data


def test_a_report_is_an_html_table_with_escaped_names():
    names = ["<script>alert(1)</script>", 'a "bag" & more', "x"]
    rows = Cells(m.classification_report(TRUE, ANSWERS, class_names=names)._repr_html_()).rows
    assert rows[0] == ["class", "precision", "recall", "f1", "support"]
    assert [row[0] for row in rows[1:]] == [*names, "accuracy", "macro average", "weighted average"]
    assert rows[2] == [names[1], "0.5000", "0.5000", "0.5000", "2"]
