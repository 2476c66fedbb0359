"""`mnist_c.testing.check_backprop` finds what is wrong with somebody's own back-propagation, and says what."""

import numpy as np
import pytest

import mnist_c as mc
from mnist_c.testing import check_backprop

B, K, H, C = 24, 12, 9, 5
_rng = np.random.default_rng(2)
X = _rng.normal(size=(B, K))
Y = _rng.integers(0, C, B)
ONE_HOT = np.eye(C)[Y]


def make_model(activation="relu", **options):
    layers = [mc.Dense(H, activation, input_dim=K, **options), mc.Dense(C, "softmax")]
    model = mc.Sequential(layers, seed=4)
    model.layers[0].bias = _rng.normal(size=H) / 4
    return model


def my_backprop(model, *, wrong="", x=X, y=ONE_HOT, l2=0.0):
    """A student's network 12-9-5, right or with one of the usual mistakes."""
    w1, b1, w2, b2 = (w.astype(float) for w in model.get_weights())
    z = x @ w1 + b1
    a = np.maximum(z, 0)
    logits = a @ w2 + b2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    delta = {"no labels": p, "flipped": y - p}.get(wrong, p - y)
    if wrong == "softmax twice":
        delta = delta * p * (1 - p)
    if wrong == "jacobian twice":
        delta = p * (delta - (p * delta).sum(axis=1, keepdims=True))
    delta = delta / {"not divided": 1, "divided twice": B**2}.get(wrong, B)
    if wrong == "overwritten":
        keep = np.zeros((B, 1))
        keep[-1] = 1
        delta = delta * keep
    below = delta @ w2.T
    if wrong != "no mask":
        below = below * (z > 0)
    penalty = {"no penalty": 0.0, "half penalty": l2, "penalty over batch": 2 * l2 / B}.get(wrong, 2 * l2)
    axis = 1 if wrong == "wrong axis" else 0
    dw1, dw2 = x.T @ below + penalty * w1, (z if wrong == "z for a" else a).T @ delta
    db1, db2 = below.sum(axis=axis), delta.sum(axis=axis)
    if wrong == "transposed":
        dw1, dw2 = dw1.T, dw2.T
    if wrong == "not summed":
        db1 = below
    if wrong == "zeros":
        db1 = np.zeros_like(db1)
    if wrong == "raw pixels":
        dw1 = dw1 * 255
    return [dw1, db1, dw2, db2]


def test_right_gradients_pass_in_every_form():
    model = make_model()
    right = my_backprop(model)
    assert check_backprop(right, model, X, Y).passed
    assert check_backprop(tuple(right), model, X, ONE_HOT).passed
    assert check_backprop([g.astype(np.float32) for g in right], model, X, Y).passed
    assert check_backprop([g.tolist() for g in right], model, X, Y).passed
    assert check_backprop([right[0], right[1][None], right[2], right[3][:, None]], model, X, Y).passed
    assert check_backprop(model.gradients(X, Y), model, X, Y, tolerance=1e-5).passed
    named = {"W1": right[0], "db1": right[1], "dW2": right[2], "dense_1/bias": right[3]}
    assert check_backprop(named, model, X, Y).passed
    report = check_backprop({"b2": right[3]}, model, X, Y)
    assert [f.name for f in report.findings] == ["dense_1/bias"]
    assert "all gradients are right" in repr(report)


# mistake -> (pieces of the message, arrays that it makes wrong)
MISTAKES = {
    "not divided": (["24 times", "not divided by the batch size (24 rows)"], [0, 1, 2, 3]),
    "divided twice": (["divided by the batch size (24 rows) twice"], [0, 1, 2, 3]),
    "flipped": (["-1 times", "sign is flipped"], [0, 1, 2, 3]),
    "transposed": (["transposed"], [0, 2]),
    "no mask": (["derivative of the activation is missing", "z > 0"], [0, 1]),
    "softmax twice": (["softmax is applied twice"], [0, 1, 2, 3]),
    "jacobian twice": (["softmax is applied twice"], [0, 1, 2, 3]),
    "wrong axis": (["summed over the wrong axis"], [1, 3]),
    "not summed": (["not summed over the batch"], [1]),
    "no labels": (["labels are missing"], [0, 1, 2, 3]),
    "overwritten": (["only the last row"], [0, 1, 2, 3]),
    "z for a": (["before its activation"], [2]),
    "zeros": (["all zeros"], [1]),
    "raw pixels": (["255 times", "not divided by 255"], [0]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_named(mistake):
    model = make_model()
    pieces, wrong = MISTAKES[mistake]
    report = check_backprop(my_backprop(model, wrong=mistake), model, X, Y, raises=False)
    assert [i for i, f in enumerate(report.findings) if not f.right] == wrong
    for i in wrong:
        for piece in pieces:
            assert piece in report.findings[i].diagnosis
    with pytest.raises(AssertionError, match="wrong"):
        check_backprop(my_backprop(model, wrong=mistake), model, X, Y)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named_in_float32_as_well(mistake):
    model = make_model()
    yours = [g.astype(np.float32) for g in my_backprop(model, wrong=mistake)]
    report = check_backprop(yours, model, X, Y, raises=False)
    pieces, wrong = MISTAKES[mistake]
    assert [i for i, f in enumerate(report.findings) if not f.right] == wrong
    assert all(piece in report.findings[i].diagnosis for i in wrong for piece in pieces)


@pytest.mark.parametrize(
    ("mistake", "piece"),
    [
        ("no penalty", "2 l2 w, is missing"),
        ("half penalty", "yours is 0.5 times that"),
        ("penalty over batch", "divided by the batch size"),
    ],
)
def test_mistakes_of_penalties_are_named(mistake, piece):
    model = make_model(kernel_regularizer=mc.L2(0.02))
    assert check_backprop(my_backprop(model, l2=0.02), model, X, Y).passed
    report = check_backprop(my_backprop(model, wrong=mistake, l2=0.02), model, X, Y, raises=False)
    assert [f.right for f in report.findings] == [False, True, True, True]
    assert piece in report.findings[0].diagnosis


def test_a_penalty_does_not_hide_another_mistake():
    model = make_model(kernel_regularizer=mc.L2(0.02))
    for mistake in ("not divided", "flipped", "no mask", "softmax twice"):
        report = check_backprop(my_backprop(model, wrong=mistake, l2=0.02), model, X, Y, raises=False)
        assert MISTAKES[mistake][0][-1] in repr(report.findings[0].diagnosis), mistake


def test_two_mistakes_at_once_are_both_named():
    model = make_model()
    yours = [g * B for g in my_backprop(model, wrong="no mask")]
    diagnosis = check_backprop(yours, model, X, Y, raises=False).findings[0].diagnosis
    assert "activation is missing" in diagnosis
    assert "not divided by the batch size" in diagnosis
    yours = [-g.T for g in my_backprop(model)]
    diagnosis = check_backprop(yours, model, X, Y, raises=False).findings[0].diagnosis
    assert "transposed" in diagnosis
    assert "sign is flipped" in diagnosis


def test_the_derivative_of_tanh_at_the_wrong_place_is_named():
    model = make_model("tanh")
    w1, b1, w2, b2 = (w.astype(float) for w in model.get_weights())
    a = np.tanh(X @ w1 + b1)
    delta = (mc.reference.softmax(a @ w2 + b2) - ONE_HOT) / B
    for argument, right in ((np.arctanh(a), True), (a, False)):
        below = (delta @ w2.T) * (1 - np.tanh(argument) ** 2)
        report = check_backprop(
            [X.T @ below, below.sum(axis=0), a.T @ delta, delta.sum(axis=0)], model, X, Y, raises=False
        )
        assert report.passed is right
        assert right or "not at the pre-activation z" in report.findings[0].diagnosis


def test_a_mask_forgotten_in_the_backward_pass_of_dropout_is_named():
    layers = [mc.Dense(H, "relu", input_dim=K), mc.Dropout(0.5), mc.Dense(C, "softmax")]
    model = mc.Sequential(layers, seed=1)
    w1, b1, w2, b2 = (w.astype(float) for w in model.get_weights())
    z = X @ w1 + b1
    mask = mc.ops.dropout(np.ones((B, H)), 0.5, seed=1, step=0, layer=1)
    a = np.maximum(z, 0) * mask
    delta = (mc.reference.softmax(a @ w2 + b2) - ONE_HOT) / B
    for m, text in ((mask, ""), (1, "dropout mask is missing"), (mask > 0, "factor 1 / (1 - rate)")):
        below = (delta @ w2.T) * (z > 0) * m
        yours = [X.T @ below, below.sum(axis=0), a.T @ delta, delta.sum(axis=0)]
        report = check_backprop(yours, model, X, Y, training=True, raises=False)
        assert report.passed is (not text)
        assert text in report.findings[0].diagnosis or report.passed


def test_forgotten_sample_weights_and_smoothing_are_named():
    model = make_model()
    weights = np.linspace(0, 2, B)
    report = check_backprop(my_backprop(model), model, X, Y, sample_weight=weights, raises=False)
    assert "sample weights are missing" in report.findings[0].diagnosis
    model.compile("adam", mc.CategoricalCrossentropy(label_smoothing=0.1))
    report = check_backprop(my_backprop(model), model, X, Y, raises=False)
    assert "label smoothing is missing" in report.findings[0].diagnosis
    assert check_backprop(my_backprop(model, y=0.9 * ONE_HOT + 0.1 / C), model, X, Y).passed


def test_mean_squared_error_and_batch_normalisation_are_compared_too():
    layers = [mc.Dense(H, "tanh", input_dim=K), mc.BatchNormalization(), mc.Dense(C)]
    model = mc.Sequential(layers, seed=1, dtype="float64")
    model.compile("sgd", "mse")
    right = model.gradients(X, ONE_HOT, training=True)
    assert check_backprop(right, model, X, ONE_HOT, training=True).passed
    half = [g / 2 for g in right]
    report = check_backprop(half, model, X, ONE_HOT, training=True, raises=False)
    assert all("factor 2 is missing" in f.diagnosis or not right[i].any() for i, f in enumerate(report.findings))


def test_what_no_mistake_explains_is_said_to_be_unexplained():
    model = make_model()
    yours = my_backprop(model)
    yours[2][3, 1] += 1
    report = check_backprop(yours, model, X, Y, raises=False)
    assert "no known mistake" in report.findings[2].diagnosis
    assert "(3, 1)" in report.findings[2].diagnosis
    yours[2] = yours[2][:, :4]
    assert "shape is (9, 4)" in check_backprop(yours, model, X, Y, raises=False).findings[2].diagnosis
    yours[2] = np.full((H, C), np.nan)
    assert "not finite" in check_backprop(yours, model, X, Y, raises=False).findings[2].diagnosis


def test_wrong_numbers_and_names_are_explained():
    model = make_model()
    with pytest.raises(ValueError, match="expected 4 gradients"):
        check_backprop(my_backprop(model)[:3], model, X, Y)
    with pytest.raises(ValueError, match="unknown gradient 'W3'"):
        check_backprop({"W3": np.zeros(1)}, model, X, Y)


def test_nothing_moves():
    model = make_model()
    before = model.weights_hash(), model._state.network.progress()
    check_backprop(my_backprop(model), model, X, Y)
    assert (model.weights_hash(), model._state.network.progress()) == before
