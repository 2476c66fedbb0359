"""`mnist_c.ops`: every kernel on plain arrays equals its formula in NumPy, and refuses what cannot be."""

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import ops, reference

_rng = np.random.default_rng(5)
# float64: the core sums in another order; float32: K, B <= 40 terms of size about 1, each rounded to 2^-24
TOLERANCE = {"float64": 1e-13, "float32": 1e-5}
ACTIVATIONS = list(reference.ACTIVATIONS)
SHAPES = [(1, 1, 1), (3, 5, 7), (16, 16, 16), (33, 40, 17)]


def normal(dtype, *shape):
    return _rng.normal(size=shape).astype(dtype)


def close(actual, expected, dtype):
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def f(activation, z):
    """(a, da/dz)"""
    return reference.ACTIVATIONS[activation](z.astype(float), 1.0 if activation == "elu" else 0.2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense(activation, shape, dtype):
    rows, k, n = shape
    x, w, b, up = normal(dtype, rows, k), normal(dtype, k, n), normal(dtype, n), normal(dtype, rows, n)
    for bias in (b, None):
        z = x.astype(float) @ w + (0 if bias is None else bias)
        a, slope = f(activation, z)
        close(ops.dense(x, w, bias, activation), a, dtype)
        delta = up * slope
        dx, dw, db = ops.dense_backward(up, x, w, bias, activation)
        close(dx, delta @ w.T, dtype)
        close(dw, x.T @ delta, dtype)
        close(db, delta.sum(axis=0), dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(activation, dtype):
    z, up = normal(dtype, 9, 21) * 3, normal(dtype, 9, 21)
    z[0, :2] = 0, -0.0
    a, slope = f(activation, z)
    close(ops.activation(z, activation), a, dtype)
    close(ops.activation_backward(up, z, activation), up * slope, dtype)


def test_leaky_relu_of_a_given_slope(dtype):
    z = normal(dtype, 4, 4)
    close(ops.activation(z, mc.LeakyReLU(0.05)), np.where(z < 0, 0.05 * z, z), dtype)


def test_activations_can_be_called_on_arrays_of_any_shape():
    relu, softmax = mc.keras.activations.relu, mc.keras.activations.softmax
    x = normal("float32", 2, 3, 4)
    np.testing.assert_array_equal(relu(x), np.maximum(x, 0))
    np.testing.assert_allclose(softmax(x).numpy().sum(axis=-1), 1, atol=1e-6)
    assert relu([-1, 2]).tolist() == [0, 2]
    assert relu(-3.0) == 0


def test_softmax(dtype):
    z = normal(dtype, 11, 10) * 4
    close(ops.softmax(z), reference.softmax(z.astype(float)), dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy(smoothing, dtype):
    z, y, w = normal(dtype, 11, 5) * 4, np.abs(normal(dtype, 11, 5)) % 1, np.linspace(0.5, 2, 11)
    loss, dz = ops.binary_cross_entropy(z, y, label_smoothing=smoothing, sample_weight=w)
    expected_loss, expected = reference.binary_cross_entropy(z.astype(float), y.astype(float), w, smoothing)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
    close(dz, expected, dtype)


@pytest.mark.parametrize("size", [0.0, 88.0, 104.0, 1e4])
def test_softmax_does_not_overflow(size, dtype):
    z = np.array([[size, 0, -size], [-size, -size, size]], dtype=dtype)
    loss, dz = ops.softmax_cross_entropy(z, [2, 0])
    assert np.isfinite(loss)
    assert np.isfinite(dz).all()
    np.testing.assert_allclose(ops.softmax(z).sum(axis=1), 1, atol=1e-6)
    log_p = z.astype(float) - z.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    assert loss == pytest.approx(-(log_p[0, 2] + log_p[1, 0]) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy(smoothing, weighted, dtype):
    z, y = normal(dtype, 12, 10) * 2, _rng.integers(0, 10, 12)
    w = _rng.random(12) if weighted else None
    expected_loss, expected = reference.softmax_cross_entropy(z.astype(float), y, w, smoothing)
    soft = reference.smooth_labels(np.eye(10)[y], 0.05)
    for labels in (y, y[:, None], np.eye(10)[y], y.astype(np.uint8)):
        loss, dz = ops.softmax_cross_entropy(z, labels, label_smoothing=smoothing, sample_weight=w)
        assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
        close(dz, expected, dtype)
    expected_loss, expected = reference.softmax_cross_entropy(z.astype(float), soft, w, smoothing)
    loss, dz = ops.softmax_cross_entropy(z, soft, label_smoothing=smoothing, sample_weight=w)
    assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
    close(dz, expected, dtype)


def test_mean_squared_error(dtype):
    a, y, w = normal(dtype, 12, 3), normal("float64", 12, 3), _rng.random(12)
    for weights in (None, w):
        expected_loss, expected = reference.mean_squared_error(a.astype(float), y, weights)
        loss, da = ops.mean_squared_error(a, y, sample_weight=weights)
        assert loss == pytest.approx(expected_loss, rel=TOLERANCE[dtype])
        close(da, expected, dtype)


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_dropout_masks_are_those_of_the_reference(layer, dtype):
    x = np.abs(normal(dtype, 10, 100)) + 1
    y = ops.dropout(x, 0.3, seed=11, step=5, layer=layer)
    keep = reference.dropout_keep(11, layer, 5, 10, 100, 0.3)
    np.testing.assert_array_equal(y != 0, keep)
    close(y, x * reference.dropout_mask(keep, 0.3), dtype)
    assert (ops.dropout(x, 0.3, seed=11, step=6, layer=layer) != y).any()
    np.testing.assert_array_equal(ops.dropout(x, 0.0, layer=layer), x)


def test_dropout_masks_are_those_of_a_model():
    x = np.ones((6, 50), dtype=np.float32)
    inputs = mc.Sequential([mc.Dropout(0.4, input_shape=(50,)), mc.ReLU()], seed=9)
    np.testing.assert_array_equal(inputs(x, training=True), ops.dropout(x, 0.4, seed=9, step=0, layer=0))
    hidden = mc.Sequential([mc.ReLU(input_shape=(50,)), mc.Dropout(0.4)], seed=9)
    np.testing.assert_array_equal(hidden(x, training=True), ops.dropout(x, 0.4, seed=9, step=0, layer=1))


def test_batch_norm(dtype):
    x, gamma, beta, up = normal(dtype, 20, 7) * 3 + 1, normal(dtype, 7), normal(dtype, 7), normal(dtype, 20, 7)
    y, xhat, inv, mean, variance = reference.batch_norm_training(*(a.astype(float) for a in (x, gamma, beta)))
    for actual, expected in zip(ops.batch_norm(x, gamma, beta), (y, mean, variance), strict=True):
        close(actual, expected, dtype)
    dx, dgamma, dbeta = reference.batch_norm_backward(xhat, inv, gamma.astype(float), up.astype(float))
    for actual, expected in zip(ops.batch_norm_backward(up, x, gamma), (dx, dgamma, dbeta), strict=True):
        close(actual, expected, dtype)
    given = ops.batch_norm_inference(x, gamma, beta, mean.astype(dtype), variance.astype(dtype))
    close(given, y, dtype)


STEPS = {
    "sgd": (ops.sgd_step, {}, mc.SGD()),
    "momentum": (ops.sgd_step, {"momentum": 0.9}, mc.SGD(momentum=0.9)),
    "nesterov": (ops.sgd_step, {"momentum": 0.9, "nesterov": True}, mc.SGD(0.01, 0.9, True)),
    "rmsprop": (ops.rmsprop_step, {}, mc.RMSprop()),
    "rmsprop all": (ops.rmsprop_step, {"momentum": 0.5, "centered": True}, mc.RMSprop(momentum=0.5, centered=True)),
    "adam": (ops.adam_step, {"beta_1": 0.8}, mc.Adam(beta_1=0.8)),
    "adamw": (ops.adamw_step, {"weight_decay": 0.1}, mc.AdamW(weight_decay=0.1)),
    "adagrad": (ops.adagrad_step, {"epsilon": 1e-3}, mc.Adagrad(epsilon=1e-3)),
}


@pytest.mark.parametrize("name", STEPS)
def test_optimizer_steps_work_in_place_and_equal_the_reference(name, dtype):
    step, arguments, optimizer = STEPS[name]
    w = normal(dtype, 13, 5)
    slots = ops.optimizer_slots(optimizer, w)
    expected, expected_slots = (
        w.astype(float),
        reference.first_slots(optimizer.kind, w.astype(float), **optimizer.hyper),
    )
    for t in range(1, 6):
        g = normal(dtype, 13, 5)
        counted = {"t": t} if "adam" in name else {}
        step(w, g, slots, optimizer.learning_rate, **counted, **arguments)
        expected, expected_slots = reference.OPTIMIZERS[optimizer.kind](
            expected, g.astype(float), expected_slots, optimizer.learning_rate, t, **optimizer.hyper
        )
    close(w, expected, dtype)
    for actual, right in zip(slots, expected_slots, strict=True):
        close(actual, right, dtype)


def test_optimizer_steps_follow_a_schedule():
    optimizer = mc.SGD(mc.StepDecay(0.5, 1, 0.5))
    w = np.zeros(3)
    for t in (1, 2, 3):
        ops.optimizer_step(optimizer, w, np.ones(3), t=t)
    np.testing.assert_array_equal(w, -0.5 - 0.25 - 0.125)


def test_a_training_loop_of_ones_own_takes_the_steps_of_fit():
    x, y = normal("float32", 64, 12), _rng.integers(0, 4, 64)
    model = mc.Sequential([mc.Dense(8, "relu", input_dim=12), mc.Dense(4, "softmax")], seed=0)
    weights = model.get_weights()
    adam = mc.Adam(1e-2)
    slots = [ops.optimizer_slots(adam, w) for w in weights]
    for t in range(1, 6):
        w1, b1, w2, b2 = weights
        hidden = ops.dense(x, w1, b1, "relu")
        _, dz = ops.softmax_cross_entropy(ops.dense(hidden, w2, b2), y)
        da, dw2, db2 = ops.dense_backward(dz, hidden, w2, b2)
        _, dw1, db1 = ops.dense_backward(da, x, w1, b1, "relu")
        for w, g, s in zip(weights, (dw1, db1, dw2, db2), slots, strict=True):
            ops.optimizer_step(adam, w, g, s, t)
    model.fit(x, y, batch_size=64, epochs=5, shuffle=False, optimizer=mc.Adam(1e-2), verbose=0)
    for mine, theirs in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_float32_and_float64_give_float64():
    x, w = normal("float32", 3, 4), normal("float64", 4, 2)
    assert ops.dense(x, w).dtype == np.float64
    assert ops.dense([[1, 2]], [[1], [1]]).tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("call", "exception", "pattern"),
    [
        (lambda: ops.dense(np.ones((2, 3)), np.ones((4, 2))), ValueError, "3 columns, but w .* has 4 rows"),
        (lambda: ops.dense(np.ones(3), np.ones((3, 2))), ValueError, "two dimensions"),
        (lambda: ops.dense(np.ones((2, 3)), np.ones((3, 2)), np.ones(3)), ValueError, r"b must have shape \(2,\)"),
        (lambda: ops.dense(np.ones((2, 3)), np.ones((3, 2)), None, "softmax"), ValueError, "ops.softmax"),
        (lambda: ops.dense(np.ones((0, 3)), np.ones((3, 2))), ValueError, "empty"),
        (lambda: ops.dense_backward(np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 2))), ValueError, "upstream"),
        (lambda: ops.activation(np.ones((2, 2)) * 1j, "relu"), TypeError, "complex"),
        (lambda: ops.activation_backward(np.ones((2, 1)), np.ones((2, 2)), "relu"), ValueError, "same shape"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), [0, 3]), ValueError, "0 to 3"),
        (lambda: ops.mean_squared_error(np.ones((2, 3)), np.ones((2, 2))), ValueError, r"\(2, 2\)"),
        (lambda: ops.dropout(np.ones((2, 3)), 1.0), ValueError, "rate must be"),
        (lambda: ops.dropout(np.ones((2, 3)), 0.5, layer=-1), ValueError, "layer"),
        (lambda: ops.batch_norm(np.ones((2, 3)), np.ones(2), np.ones(3)), ValueError, "gamma"),
        (lambda: ops.adam_step(np.ones(3), np.ones(2), (np.ones(3),) * 2, t=1), ValueError, "shape|elements"),
        (lambda: ops.sgd_step([1.0], np.ones(1)), TypeError, "ndarray"),
    ],
    ids=range(15),
)
def test_what_cannot_be_is_explained(call, exception, pattern):
    with pytest.raises(exception, match=pattern):
        call()
