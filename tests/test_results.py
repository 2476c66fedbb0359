"""What `evaluate` returns, beside the loss and the accuracy."""

import copy
import math
import pickle

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import metrics

CELLS = np.array([[8, 2, 0], [3, 6, 1], [0, 0, 0]])
NAMES = ["shirt", "ankle boot", "<bag>"]


@pytest.fixture
def result():
    return mc.Evaluation(0.25, 0.7, CELLS)


@pytest.fixture
def one_output():
    return mc.Evaluation(0.25, math.nan)


def test_it_is_a_pair(result):
    loss, accuracy = result
    assert (loss, accuracy) == (result.loss, result.accuracy) == (0.25, 0.7)
    assert len(result) == 2
    assert repr(result) == "Evaluation(loss=0.2500, accuracy=0.7000)"


def test_shares_of_classes_are_nan_where_a_class_does_not_occur(result, one_output):
    np.testing.assert_array_equal(result.per_class_accuracy, [0.8, 0.6, math.nan])
    assert one_output.per_class_accuracy.shape == (0,)


def test_the_interval_is_that_of_the_counted_rows(result, one_output):
    assert result.accuracy_interval == metrics.accuracy_interval(14, 20)
    assert np.isnan(one_output.accuracy_interval).all()


def test_the_largest_confusions_come_first(result, one_output):
    assert result.largest_confusions() == [(1, 0, 3), (0, 1, 2), (1, 2, 1)]
    assert result.largest_confusions(1) == [(1, 0, 3)]
    assert result.largest_confusions(9) == result.largest_confusions()  # cells without rows are no confusions
    assert all(type(number) is int for confusion in result.largest_confusions() for number in confusion)
    assert mc.Evaluation(0, 1, np.eye(3, dtype=np.int64)).largest_confusions() == []
    assert one_output.largest_confusions() == []
    with pytest.raises(ValueError, match="n must be at least 1"):
        result.largest_confusions(0)


def test_equal_confusions_come_in_reading_order():
    found = mc.Evaluation(0, 0.1, np.ones((10, 10), dtype=np.int64)).largest_confusions(100)
    assert found == [(true, answer, 1) for true in range(10) for answer in range(10) if true != answer]


def test_the_table_tells_what_each_class_was_taken_for(result):
    assert result.table(NAMES).splitlines() == [
        "class       images  right  accuracy  most often taken for",
        "shirt           10      8    0.8000  ankle boot (2)",
        "ankle boot      10      6    0.6000  shirt (3)",
        "<bag>            0      0       nan",
    ]
    assert result.table().splitlines()[2] == "1          10      6    0.6000  0 (3)"


def test_the_table_needs_a_name_for_each_class(result):
    with pytest.raises(ValueError, match=r"class_names holds 2 names, but there are 3 classes"):
        result.table(["a", "b"])
    with pytest.raises(TypeError, match=r"class_names must be a list of names, not 'abc'"):
        result.table("abc")


def test_the_report_is_that_of_the_rows_behind_it(result):
    true, answers = np.divmod(np.repeat(np.arange(9), CELLS.ravel()), 3)
    expected = metrics.classification_report(true, answers, labels=range(3))
    for name in ("labels", "precision", "recall", "f1", "support", "macro", "weighted", "micro"):
        np.testing.assert_array_equal(getattr(result.report, name), getattr(expected, name))
    assert result.report.accuracy == 0.7
    assert str(result.report) == str(expected)


def test_jupyter_shows_loss_accuracy_and_table(result, one_output):
    page = result._repr_html_()
    low, high = result.accuracy_interval
    assert f"loss 0.2500, accuracy 0.7000 (95 % interval {low:.4f} to {high:.4f})" in page
    assert page.count("<tr>") == 4
    assert one_output._repr_html_() == "<p>loss 0.2500</p>"


@pytest.mark.parametrize("use", [lambda e: e.table(), lambda e: e.report], ids=["table", "report"])
def test_one_output_has_no_classes_to_report(use, one_output):
    with pytest.raises(ValueError, match="a model with one output has no classes"):
        use(one_output)


def test_copies_keep_all(result):
    for other in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert other == result
        assert other.table() == result.table()


def test_the_confusion_matrix_of_a_model_is_that_of_its_answers():
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 5)), rng.integers(0, 3, 60)
    model = mc.Sequential([mc.Dense(4, "softmax", input_dim=5)], seed=0)
    result = model.evaluate(x, y, verbose=0)
    answers = model.predict(x).argmax(axis=1)
    np.testing.assert_array_equal(result.confusion_matrix, metrics.confusion_matrix(y, answers, labels=range(4)))
    assert result.accuracy == metrics.accuracy_score(y, answers) == result.report.accuracy
