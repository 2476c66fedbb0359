"""Constraints on weights: what they do, when they do it, and that nothing else does."""

import cases
import numpy as np
import pytest

import mnist_c as mc
from mnist_c import _core, keras, reference

PIXELS = cases.images(200, 36).reshape(200, 6, 6)
LABELS = cases.classes_of(200, 4)
ROUNDING = 1e-5  # of a norm: 37 weights, each rounded at 2^-24 of itself


def make_model(**constraints):
    layers = [mc.Flatten(input_shape=(6, 6)), mc.Dense(37, "relu", **constraints), mc.Dense(4, "softmax")]
    return mc.Sequential(layers, seed=1)


def fit(model, epochs=2, optimizer=None, **more):
    model.fit(PIXELS, LABELS, epochs=epochs, batch_size=20, optimizer=optimizer or mc.SGD(0.5), verbose=0, **more)
    return model


def norms(w):
    return np.sqrt(np.square(w, dtype=np.float64).sum(axis=0))


# ---------------------------------------------------------------- as functions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("constraint", [mc.MaxNorm(), mc.MaxNorm(0.7), mc.UnitNorm()], ids=repr)
def test_a_constraint_computes_what_keras_states(constraint, dtype):
    """keras.constraints: w * (clip(norms, 0, max_value) / (1e-7 + norms)), w / (1e-7 + norms)."""
    w = np.array([[3.0, 0.3, 0.0], [4.0, 0.4, 0.0]], dtype)
    lengths = np.array([5.0, 0.5, 0.0])
    wanted = np.ones(3) if isinstance(constraint, mc.UnitNorm) else np.minimum(lengths, constraint.max_value)
    result = constraint(w)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, w * wanted / (1e-7 + lengths), rtol=1e-6 if dtype == np.float32 else 1e-15)
    np.testing.assert_allclose(constraint(w[:, 0]), w[:, 0] * wanted[0] / (1e-7 + 5), rtol=1e-6)
    np.testing.assert_array_equal(result, reference.constrain_norm(w, *constraint.core))


def test_defaults_and_names_are_those_of_keras():
    assert (mc.MaxNorm().max_value, mc.MaxNorm().axis) == (2, 0)
    for name, kind in (("max_norm", mc.MaxNorm), ("MaxNorm", mc.MaxNorm), ("unit_norm", mc.UnitNorm)):
        assert type(mc.constraints.get(name)) is kind
        assert mc.constraints.get(name) == kind()
    assert keras.constraints.MaxNorm is keras.constraints.max_norm is mc.MaxNorm
    assert keras.constraints.unit_norm is mc.UnitNorm
    assert mc.constraints.get(None) is None
    assert repr(mc.MaxNorm(3)) == "MaxNorm(max_value=3, axis=0)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mc.MaxNorm(0), ValueError, "max_value must be positive"),
        (lambda: mc.MaxNorm(-1), ValueError, "0 or more"),
        (lambda: mc.MaxNorm(float("inf")), ValueError, "finite"),
        (lambda: mc.MaxNorm("2"), TypeError, "max_value"),
        (lambda: mc.MaxNorm(2, axis=1), ValueError, "axis must be 0, .* not 1"),
        (lambda: mc.UnitNorm(axis=None), ValueError, "axis must be 0, .* not None"),
        (lambda: mc.Dense(3, kernel_constraint="max_nrom"), ValueError, "Did you mean 'max_norm'"),
        (lambda: mc.Dense(3, bias_constraint=2.0), TypeError, "constraint must be a name"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ---------------------------------------------------------------- in training


def test_norms_stay_within_the_range_and_would_not_without_it():
    free, bound = (
        fit(make_model()),
        fit(make_model(kernel_constraint=mc.MaxNorm(0.8), bias_constraint=mc.MaxNorm(0.02))),
    )
    assert norms(free.layers[1].kernel).max() > 1
    lengths = norms(bound.layers[1].kernel)
    assert lengths.max() <= 0.8 * (1 + ROUNDING)
    assert lengths.min() < 0.79  # a unit that is short enough is left alone
    assert norms(bound.layers[1].bias) == pytest.approx(0.02, rel=1e-4)  # one norm of all
    unit = fit(make_model(kernel_constraint="unit_norm"))
    np.testing.assert_allclose(norms(unit.layers[1].kernel), 1, rtol=ROUNDING)


def test_initial_weights_are_as_drawn():
    model = make_model(kernel_constraint=mc.MaxNorm(0.1))
    assert model.weights_hash() == make_model().weights_hash()


def test_only_the_batch_that_ends_a_step_constrains():
    model = make_model(kernel_constraint=mc.MaxNorm(0.1))
    before = model.weights_hash()
    optimizer = mc.SGD(0.1, gradient_accumulation_steps=2)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.train_on_batch(PIXELS[:20], LABELS[:20])
    assert model.weights_hash() == before
    model.train_on_batch(PIXELS[20:40], LABELS[20:40])
    assert norms(model.layers[1].kernel).max() <= 0.1 * (1 + ROUNDING)


@pytest.mark.parametrize("frequency", [None, 3])
def test_averages_are_of_constrained_weights(frequency):
    """So they are within the range themselves, in training and once `fit` has put them in place of the weights."""
    optimizer = mc.SGD(0.5, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=frequency)
    model = fit(make_model(kernel_constraint=mc.MaxNorm(0.8)), optimizer=optimizer)
    state = model._state
    for part in ("value", f"slot{state.slots - 1}"):
        assert 0.5 < norms(state.network.get(part, 0)).max() <= 0.8 * (1 + ROUNDING)


def test_a_constraint_that_does_not_bind_changes_weights_by_its_ten_millionth_alone():
    """Keras's formula multiplies what may stay by |w| / (|w| + 1e-7)."""
    free, loose = fit(make_model(), 1), fit(make_model(kernel_constraint=mc.MaxNorm(1e6)), 1)
    assert free.weights_hash() != loose.weights_hash()
    np.testing.assert_allclose(loose.layers[1].kernel, free.layers[1].kernel, atol=1e-4)


def test_units_without_weights_stay_zero():
    model = make_model(kernel_constraint="unit_norm", kernel_initializer="zeros")
    fit(model, 1, mc.SGD(0.0))
    assert not model.layers[1].kernel.any()


@pytest.mark.parametrize("isa", cases.ISAS)
def test_a_wide_layer_is_constrained_by_all_threads_alike(isa):
    """More panels than threads, and a bias longer than a block of the contract's sums."""
    arguments = cases.network(20, cases.dense(4100, "relu", max_norm=0.05, bias_max_norm=0.01), cases.dense(3))
    found = set()
    for n in (1, 2, 3, 8):
        net = _core.Network(**arguments, isa=isa)
        net.set_optimizer("sgd", momentum=0.9)
        data = cases.make_data(cases.inputs("dense", 90, 20), cases.classes_of(90, 3), 3, isa=isa)
        with cases.threads(n):
            net.fit(data, cases.rows_of(90), 30, np.full(3, 0.5))
        assert norms(net.get("value", 0)).max() <= 0.05 * (1 + ROUNDING)
        assert norms(net.get("value", 1)) == pytest.approx(0.01, rel=1e-4)
        found.add(net.hash())
    assert len(found) == 1
