"""Predictions take shorter ways than training: no index, and a few images straight to the core. All give one result."""

import copy
import warnings

import numpy as np
import pytest
from cases import ISAS

import mnist_c as mc

RNG = np.random.default_rng(5)
IMAGES = (RNG.integers(1, 256, (40, 28, 28)) * (RNG.random((40, 28, 28)) < 0.2)).astype(np.uint8)
FLOATS = (IMAGES / 255).astype(np.float32)


def make_model(features=(28, 28), units=20, **settings):
    layers = [mc.Flatten(input_shape=features), mc.Dense(units, activation="relu"), mc.Dense(10, activation="softmax")]
    return mc.Sequential(layers, seed=3, **settings)


def slowly(model, x):
    """The same from data with an index, as training makes them."""
    network = model._state.network
    table = model._state.plan.rescaling
    assert table is None
    factors = None if model.scale is None else np.arange(256.0) * model.scale
    flat = np.ascontiguousarray(x.reshape(-1, model._state.plan.inputs))
    return network.predict(mc._core.Data(flat, dtype=model.dtype, table=factors if x.dtype == np.uint8 else None))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n", [1, 2, 15, 16, 40])
@pytest.mark.parametrize("x", [IMAGES, FLOATS, FLOATS.astype(np.float64)], ids=["uint8", "float32", "float64"])
def test_every_way_gives_the_same_bits(x, n, isa):
    model = make_model(isa=isa)
    expected = slowly(model, x[:n])
    for _ in range(2):  # the second call may know more
        np.testing.assert_array_equal(model.predict(x[:n]), expected)
    np.testing.assert_array_equal(model.predict(np.asfortranarray(x[:n])), expected)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 47, 48, 49, 97, 784])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.49, 1.0])
def test_widths_that_are_no_multiple_of_a_vector(width, share):
    pixels = (RNG.integers(1, 256, (20, width)) * (RNG.random((20, width)) < share)).astype(np.uint8)
    model = make_model((width,), units=70)
    for x in (pixels, (pixels / 255).astype(np.float32)):
        np.testing.assert_array_equal(model.predict(x), slowly(model, x))
        np.testing.assert_array_equal(model.predict(x[3]), slowly(model, x[3:4]))


def test_zeros_other_than_plain_ones():
    model = make_model()
    x = FLOATS[:5].copy()
    x[x == 0] = -0.0
    np.testing.assert_array_equal(model.predict(x), model.predict(FLOATS[:5]))
    layers = [mc.Rescaling(-1 / 255, 1.0, input_shape=(28, 28)), mc.Flatten(), mc.Dense(10, activation="softmax")]
    white = mc.Sequential(layers, seed=1)
    inverted = 255 - IMAGES  # most pixels are 255, whose value is zero
    np.testing.assert_array_equal(white.predict(inverted)[:3], white.predict(inverted[:3]))
    dense = white.predict((inverted / 1.0).astype(np.float64))
    np.testing.assert_allclose(white.predict(inverted), dense, atol=1e-6)


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (1, 784), (784,), (28, 28, 1), (1, 28, 28, 1)])
@pytest.mark.parametrize("x", [IMAGES, FLOATS], ids=["uint8", "float32"])
def test_one_image_in_every_shape(x, shape):
    model = make_model()
    expected = model.predict(x)[:1]
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x[0].reshape(shape)), expected)


def test_scale_loss_and_weights_may_change_between_calls():
    model = make_model()
    one = IMAGES[:1]
    first = model.predict(one)
    np.testing.assert_array_equal(model.predict(one), first)
    model.scale = 0.5
    assert not np.array_equal(model.predict(one), first)
    np.testing.assert_array_equal(model.predict(one), slowly(model, one))
    model.scale = None
    np.testing.assert_array_equal(model.predict(one), first)
    twin = copy.deepcopy(model)
    twin.set_weights([2 * w for w in model.get_weights()])
    np.testing.assert_array_equal(twin.predict(one), slowly(twin, one))
    assert not np.array_equal(twin.predict(one), first)


def test_logits_stay_logits():
    model = mc.Sequential([mc.Flatten(input_shape=(28, 28)), mc.Dense(10)], seed=0)
    plain = model.predict(IMAGES[:2])
    model.compile(loss=mc.losses.CategoricalCrossentropy(from_logits=True))
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(IMAGES[:2]), plain)
    model.fit(IMAGES, np.arange(40) % 10, epochs=1, verbose=0)
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(IMAGES[:2]), slowly(model, IMAGES[:2]))


def test_bad_input_gets_its_message_on_the_short_way_too():
    model = make_model()
    model.predict(FLOATS[:1])
    with pytest.raises(ValueError, match="not finite"):
        model.predict(np.full((1, 784), np.nan, np.float32))
    with pytest.raises(ValueError, match="not finite"):
        model.predict(np.full((1, 784), -np.inf, np.float32))
    with pytest.warns(UserWarning, match="float pixels up to 255"):
        model.predict(np.full((1, 784), 255, np.float32))
    with pytest.raises(ValueError, match="expects 784"):
        model.predict(np.zeros((1, 783), np.uint8))
    with pytest.raises(ValueError, match="is empty"):
        model.predict(np.zeros((0, 784), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(np.full((1, 784), 3, np.float32) - 4)


def test_evaluate_equals_validation_during_training():
    labels = np.arange(40) % 10
    model = make_model()
    history = model.fit(IMAGES, labels, validation_data=(FLOATS, labels), epochs=2, verbose=0).history
    loss, accuracy = model.evaluate(FLOATS, labels, verbose=0)
    assert (loss, accuracy) == (history["val_loss"][-1], history["val_accuracy"][-1])
    assert model.evaluate(IMAGES, labels, verbose=0) == (loss, accuracy)
