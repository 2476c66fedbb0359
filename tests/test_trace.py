"""`model.trace`: what it shows is what training computes, to the bit, and the reference's values, within rounding."""

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import reference

_rng = np.random.default_rng(5)
PIXELS = np.where(_rng.random((40, 6, 6)) < 0.4, _rng.integers(1, 256, (40, 6, 6)), 0).astype(np.uint8)
LABELS = _rng.integers(0, 4, 40)


def plain():
    return [mc.Flatten(input_shape=(6, 6)), mc.Dense(9, "relu"), mc.Dense(4, "softmax")]


def everything():
    """Each kind of step, dropout and noise of inputs and of hidden units, penalties, norms, a layer of two steps."""
    return [
        mc.Flatten(input_shape=(6, 6)),
        mc.Dropout(0.1),
        mc.GaussianNoise(0.2),
        mc.Dense(20, use_bias=False, kernel_regularizer=mc.L2(1e-2)),
        mc.BatchNormalization(),
        mc.Activation("relu"),
        mc.Dropout(0.3),
        mc.GaussianNoise(0.1, seed=5),
        mc.Dense(7, "tanh", kernel_regularizer=mc.L1(1e-3), kernel_constraint=mc.MaxNorm(0.5)),
        mc.Dropout(0.2),
        mc.LeakyReLU(0.1),
        mc.Dense(4),
    ]


CASES = {
    "plain, sgd": (plain, mc.SGD(0.1), None),
    "everything, adam": (everything, mc.Adam(1e-2), mc.CategoricalCrossentropy(True, label_smoothing=0.1)),
    "everything, schedule and momentum": (
        everything,
        mc.SGD(mc.StepDecay(0.1, 1, 0.5), momentum=0.9),
        mc.MeanSquaredError(),
    ),
}


def trained(name, dtype="float32", batches=3):
    """A model in the middle of training: moments and counters are not zero."""
    layers, optimizer, loss = CASES[name]
    model = mc.Sequential(layers(), seed=3, dtype=dtype)
    model.compile(optimizer, loss)
    for _ in range(batches):
        model.train_on_batch(PIXELS, LABELS)
    return model


@pytest.mark.parametrize("batches", [0, 3])
@pytest.mark.parametrize("name", CASES)
def test_gradients_and_updates_are_those_of_the_next_step_to_the_bit(name, batches):
    model = trained(name, batches=batches)
    before = model.get_weights(), model._state.network.progress()
    t = model.trace(PIXELS, LABELS)
    assert [a.tobytes() for a in model.get_weights()] == [a.tobytes() for a in before[0]], "the model moved"
    assert model._state.network.progress() == before[1]
    names = [n for n, tensor in zip(model._state.names(), model._state.tensors, strict=True) if tensor[3]]
    for n, gradient in zip(names, model.gradients(PIXELS, LABELS, training=True), strict=True):
        np.testing.assert_array_equal(t[f"{n}/gradient"], gradient, err_msg=n)
    rate = model.optimizer.learning_rate
    assert t.rate == (rate(batches) if callable(rate) else rate)
    loss, _ = model.train_on_batch(PIXELS, LABELS)
    assert t.loss == pytest.approx(loss, rel=1e-6)
    for n, after, old in zip(model._state.names(), model.get_weights(), before[0], strict=True):
        if f"{n}/update" in t:
            np.testing.assert_array_equal(t[f"{n}/update"], after - old, err_msg=n)


@pytest.mark.parametrize("name", CASES)
def test_gradients_follow_from_the_deltas_and_activations_shown_to_the_bit(name):
    """dW = x' delta with x and delta from the trace, by the core's own product, penalties aside."""
    model = trained(name)
    t = model.trace(PIXELS, LABELS)
    below, checked = "input", 0
    for layer in dict.fromkeys(key.split("/")[0] for key in t if key.endswith("/z")):
        if f"{layer}/kernel/gradient" in t:
            dense = next(other for other in model.layers if other.name == layer)
            _, dw, db = mc.ops.dense_backward(t[f"{layer}/delta"], t[below], dense.kernel)
            if not (dense.kernel_regularizer.l1 or dense.kernel_regularizer.l2):
                np.testing.assert_array_equal(t[f"{layer}/kernel/gradient"], dw)
                checked += 1
            if f"{layer}/bias/gradient" in t:
                np.testing.assert_array_equal(t[f"{layer}/bias/gradient"], db)
        below = f"{layer}/a"
    assert checked


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_everything_equals_the_reference(name, training):
    """In float64 both compute the same sums in another order: 1e-12 of the largest value is 4,000 roundings."""
    model = trained(name, dtype="float64")
    t = model.trace(PIXELS, LABELS, training=training)
    feed_head = model._state.head.key
    plan = model._state.plan
    net = reference.Network(
        inputs=plan.inputs,
        layers=plan.steps,
        head=feed_head[0],
        label_smoothing=feed_head[1],
        seed=model.seed,
        **plan.on_inputs,
    )
    net.values, net.step = model.get_weights(), model._state.network.progress()[1]
    x = PIXELS.reshape(len(PIXELS), -1) / 255.0
    _, tapes, _ = net.forward(x, training)
    loss, gradients, _ = net.gradients(x, LABELS, training=training)
    assert t.loss == pytest.approx(loss, rel=1e-12)
    layers = list(dict.fromkeys(key.split("/")[0] for key in t if key.endswith("/z")))
    assert len(layers) == len(tapes)
    close(t["input"], tapes[0].x)
    for s, (layer, tape) in enumerate(zip(layers, tapes, strict=True)):
        close(t["input"] if s == 0 else t[f"{layers[s - 1]}/a"], tape.x)
        close(slope(t, layer, plan.steps[s]), tape.f)
    for n, gradient in zip(model._state.names(), gradients, strict=True):
        if f"{n}/gradient" in t:
            close(t[f"{n}/gradient"], gradient)


def slope(t, layer, step):
    """The derivative of a with respect to z, dropout included, from the z and the mask shown."""
    f = reference.ACTIVATIONS[step["activation"]](t[f"{layer}/z"], step["slope"])[1]
    return f * t[f"{layer}/mask"] if f"{layer}/mask" in t else f


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1.0, float(np.abs(expected).max())))


def test_a_weight_of_zero_leaves_a_row_without_delta():
    model = trained("plain, sgd")
    weights = np.ones(len(PIXELS))
    weights[7] = 0
    delta = model.trace(PIXELS, LABELS, sample_weight=weights)["dense/delta"]
    assert not delta[7].any()
    assert delta[6].any()


def test_masks_hold_two_values_and_only_where_there_is_dropout():
    t = trained("everything, adam").trace(PIXELS, LABELS)
    assert [key for key in t if key.endswith("/mask")] == ["batch_normalization/mask", "dense_1/mask"]
    assert np.unique(t["batch_normalization/mask"]).tolist() == [0, np.float32(1 / 0.7)]
    dropped = t["batch_normalization/mask"] == 0
    np.testing.assert_array_equal(t["batch_normalization/a"][dropped], t["batch_normalization/noise"][dropped])
    assert [key for key in t if key.endswith("/noise")] == ["batch_normalization/noise"]


def test_it_prints_as_a_table_and_names_what_is_not_there():
    t = trained("plain, sgd").trace(PIXELS, LABELS)
    lines = repr(t).splitlines()
    assert lines[0].startswith("one step at rate 0.1, loss ")
    assert len(lines) == 2 + len(t)
    assert "dense/kernel/update" in repr(t)
    assert t._repr_html_().count("<tr>") == 1 + len(t)
    with pytest.raises(KeyError, match=r"dense/weights.*there are input, dense/z"):
        t["dense/weights"]


def test_a_step_that_diverges_is_shown_without_updates():
    model = mc.Sequential([mc.Dense(4, "relu", input_dim=2), mc.Dense(3, "softmax")], seed=0)
    model.compile(mc.SGD(0.1), "categorical_crossentropy")
    model.set_weights([np.full((2, 4), 1e20), np.zeros(4), np.full((4, 3), 1e20), np.zeros(3)])
    before = [w.tobytes() for w in model.get_weights()]
    t = model.trace(np.ones((6, 2), np.float32), np.arange(6) % 3)
    assert t.diverges
    assert "diverges" in repr(t).splitlines()[0]
    assert np.isinf(t["dense_1/z"]).all()
    assert np.isnan(t["dense/kernel/update"]).all()
    assert [w.tobytes() for w in model.get_weights()] == before
