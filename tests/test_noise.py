"""GaussianNoise: its numbers, what they depend on, and when they are added."""

import cases
import numpy as np
import pytest

import mnist_c as mc
from mnist_c import keras, reference

PIXELS = cases.images(200, 36).reshape(200, 6, 6)
LABELS = cases.classes_of(200, 4)
OFF = (
    5 * 6.77 * 2.0**-24
)  # of float32 noise of deviation 1: 5 r 2^-24 (kernels/math.inc.h), r = sqrt(-2 log 2^-33) at most


def make_model(*layers, seed=1, **more):
    return mc.Sequential([mc.Flatten(input_shape=(6, 6)), *layers, mc.Dense(4, "softmax")], seed=seed, **more)


def fit(model, **more):
    model.fit(PIXELS, LABELS, batch_size=20, optimizer=mc.Adam(1e-2), verbose=0, **{"epochs": 2, **more})
    return model


# ---------------------------------------------------------------- the numbers


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("layer", [0, 1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_that_of_the_reference(dtype, layer, isa):
    seed, step = 2**63 + 9, 2**33 + 5
    x = np.zeros((70, 150), dtype)
    noise = mc.ops.gaussian_noise(x, 1.0, seed=seed, step=step, layer=layer, isa=isa)
    expected = reference.normal_noise(seed, layer, step, 70, 150)
    assert noise.dtype == dtype
    assert np.abs(noise - expected).max() <= (OFF if dtype == np.float32 else 1e-14)
    np.testing.assert_allclose(
        mc.ops.gaussian_noise(x + 2, 0.25, seed=seed, step=step, layer=layer, isa=isa),
        2 + 0.25 * noise,
        atol=3e-7 if dtype == np.float32 else 1e-15,
    )


def test_noise_is_normal_and_independent():
    """Of n numbers, all quantities below have a standard deviation of about (their variance / n)^1/2."""
    rows, units = 500, 640
    x = reference.normal_noise(1, 0, 0, rows, units)
    n = x.size
    shares = {0.5: 0.6914625, 1.0: 0.8413447, 2.0: 0.9772499, 3.0: 0.9986501}
    for z, share in shares.items():
        for side in (x, -x):
            assert abs((side < z).mean() - share) < 5 * (share * (1 - share) / n) ** 0.5
    assert abs(x.mean()) < 5 * n**-0.5
    assert abs((x**2).mean() - 1) < 5 * (2 / n) ** 0.5
    others = {"layer": (1, 1, 0), "step": (1, 0, 1), "seed": (2, 0, 0), "step of 2^32": (1, 0, 2**32)}
    for name, (seed, layer, step) in others.items():
        y = reference.normal_noise(seed, layer, step, rows, units)
        assert abs((x * y).mean()) < 5 * n**-0.5, name
    for shift in (1, 16, 32, 48, 64):  # sixteen apart: the other number of a pair
        assert abs((x[:, shift:] * x[:, :-shift]).mean()) < 5 * x[:, shift:].size ** -0.5, shift
        assert abs((x[:, shift:] ** 2 * x[:, :-shift] ** 2).mean() - 1) < 5 * (8 / x[:, shift:].size) ** 0.5, shift
    assert abs((x[1:] * x[:-1]).mean()) < 5 * x[1:].size ** -0.5


def test_a_row_has_the_same_noise_in_whatever_piece_it_is_computed():
    x = np.zeros((1300, 40), np.float32)
    whole = mc.ops.gaussian_noise(x, 1.0, layer=1)
    for n in (1, 2, 3, 8):
        with cases.threads(n):
            np.testing.assert_array_equal(mc.ops.gaussian_noise(x, 1.0, layer=1), whole)
    np.testing.assert_array_equal(mc.ops.gaussian_noise(x[:7], 1.0, layer=1), whole[:7])


# ---------------------------------------------------------------- in models


def test_noise_is_added_in_training_only_and_to_scaled_pixels():
    model = mc.Sequential([mc.GaussianNoise(0.25, input_shape=(6, 6)), mc.Flatten(), mc.Dense(4)], seed=1)
    kernel, scaled = model.layers[2].kernel.astype(np.float64), PIXELS.reshape(200, 36) / 255.0
    noise = 0.25 * reference.normal_noise(1, 0, 0, 200, 36)
    np.testing.assert_allclose(model.predict(PIXELS), scaled @ kernel, atol=1e-5)
    np.testing.assert_allclose(model(PIXELS, training=True), (scaled + noise) @ kernel, atol=1e-5)
    np.testing.assert_allclose(model.trace(PIXELS, LABELS)["input"], scaled + noise, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_training_with_noise_equals_the_reference(first):
    """In float64. Uint8 pixels, shuffled, several epochs, so that steps go on; noise of inputs, or of hidden units."""
    layers = (
        [mc.GaussianNoise(0.2, seed=3), mc.Dense(9, "tanh")] if first else [mc.Dense(9, "tanh"), mc.GaussianNoise(0.2)]
    )
    model = make_model(*layers, dtype="float64")
    plan = model._state.plan
    net = reference.Network(inputs=36, layers=plan.steps, head="softmax_cross_entropy", seed=1, **plan.on_inputs)
    net.set_optimizer("sgd", momentum=0.9)
    model.fit(PIXELS, LABELS, epochs=2, batch_size=32, optimizer=mc.SGD(0.1, momentum=0.9), verbose=0)
    for epoch in range(2):
        order = reference.permutation(1, epoch, 200)
        net.fit(PIXELS.reshape(200, 36) / 255.0, LABELS, order, 32, [0.1] * 7)
    for w, expected in zip(model.get_weights(), net.values, strict=True):
        np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-12)


def test_the_gradient_passes_unchanged():
    """Of inputs with noise, the gradient is that at the place where the noise has brought them."""
    x = cases.inputs("dense", 30, 36).astype(np.float64)
    y = cases.classes_of(30, 4)
    noisy = cases.network(36, cases.dense(9, "tanh"), cases.dense(4), input_noise=0.5)
    still = cases.network(36, cases.dense(9, "tanh"), cases.dense(4))
    order, found = np.arange(30, dtype=np.uint32), []
    for arguments, inputs in ((noisy, x), (still, x + 0.5 * reference.normal_noise(11, 0, 0, 30, 36))):
        core = cases.make_core(cases.make_reference(arguments, "float64"), arguments, "float64")
        _, dx = core.gradients(cases.make_data(inputs, y, 4, dtype="float64"), order, True, True)
        found.append([dx, core.get("gradient", 0)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-15)


def test_prediction_with_noisy_inputs_still_skips_zeros():
    model = fit(make_model(mc.GaussianNoise(0.1)))
    before = model._state.network.counters()
    model.evaluate(PIXELS, LABELS, verbose=0)
    after = model._state.network.counters()
    assert after["sparse_forward"] > before["sparse_forward"] == 0
    assert before["dense_gradient"] > before["sparse_gradient"] == 0


def test_seeds_of_the_model_and_of_the_layer_both_matter():
    def outputs(seed, layer_seed):
        model = make_model(mc.Dense(9), mc.GaussianNoise(0.5, layer_seed), seed=seed)
        model.set_weights(make_model(mc.Dense(9), mc.GaussianNoise(0.5), seed=0).get_weights())
        return np.asarray(model(PIXELS, training=True)).tobytes()

    assert outputs(1, None) == outputs(1, 0) == outputs(1, None)
    assert len({outputs(1, None), outputs(2, None), outputs(1, 1), outputs(1, 2)}) == 4


def test_training_twice_equals_training_longer():
    layers = [mc.GaussianNoise(0.1), mc.Dense(9, "relu"), mc.GaussianNoise(0.2)]
    once = fit(make_model(*layers), epochs=4)
    twice = make_model(mc.GaussianNoise(0.1), mc.Dense(9, "relu"), mc.GaussianNoise(0.2))
    optimizer = mc.Adam(1e-2)
    for _ in range(2):
        twice.fit(PIXELS, LABELS, batch_size=20, epochs=2, optimizer=optimizer, verbose=0)
    assert once.weights_hash() == twice.weights_hash()


def test_a_run_resumed_in_the_middle_of_an_epoch_ends_in_the_same_bits(tmp_path):
    """With norms of weights, too; on another number of threads and instruction set. 10 batches an epoch."""

    def model(isa=None):
        noisy = [mc.GaussianNoise(0.1), mc.Dense(9, "relu", kernel_constraint=mc.MaxNorm(0.6)), mc.GaussianNoise(0.2)]
        return make_model(*noisy, isa=isa)

    whole = fit(model(), epochs=3).weights_hash()
    path = tmp_path / "run.safetensors"

    def save():
        return [mc.callbacks.ModelCheckpoint(path, save_freq=4)]

    def interrupt(batch, logs):
        if batch == 6:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fit(model(), epochs=3, callbacks=[*save(), mc.callbacks.LambdaCallback(on_train_batch_end=interrupt)])
    resumed, done = model(cases.ISAS[-1]), []
    count = mc.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: done.append(batch))
    with cases.threads(3):
        fit(resumed, epochs=3, callbacks=[*save(), count], resume=path)
    assert len(done) == 26  # of 30: it went on behind the fourth batch
    assert resumed.weights_hash() == whole


def test_it_is_a_layer_without_weights_of_the_name_in_keras():
    model = make_model(keras.layers.GaussianNoise(0.1), mc.Dense(9, "relu"), mc.GaussianNoise(0.2))
    assert [layer.name for layer in model.layers if isinstance(layer, mc.GaussianNoise)] == [
        "gaussian_noise",
        "gaussian_noise_1",
    ]
    shown = []
    model.summary(print_fn=shown.append)
    assert "gaussian_noise_1 (GaussianNoise)" in shown[0]
    assert model.count_params() == 36 * 9 + 9 + 9 * 4 + 4
    assert set(model.layer_outputs(PIXELS)) == {"dense", "dense_1"}
    trace = model.trace(PIXELS, LABELS)
    np.testing.assert_array_equal(
        trace["dense/noise"], mc.ops.gaussian_noise(np.zeros((200, 9), np.float32), 0.2, seed=1, layer=1)
    )


def test_gradient_check_and_check_backprop_know_the_noise():
    layers = [mc.GaussianNoise(0.1), mc.Dense(9, "relu"), mc.GaussianNoise(0.2, seed=4), mc.Dense(5, "relu")]
    model = fit(make_model(*layers))
    check = mc.gradient_check(model, PIXELS[:20], LABELS[:20])
    assert check.passed, check
    network = model._state.twin(model._state.head, "float64")
    data = cases.make_data(PIXELS[:20].reshape(20, 36), LABELS[:20], 4, dtype="float64")
    network.gradients(data, np.arange(20, dtype=np.uint32), True, False)
    mine = [network.get("gradient", i) for i in range(6)]
    assert mc.testing.check_backprop(mine, model, PIXELS[:20], LABELS[:20], training=True).passed
    wrong = mc.testing.check_backprop(
        [mine[0], 2 * mine[1], *mine[2:]], model, PIXELS[:20], LABELS[:20], training=True, raises=False
    )
    assert "factor" in wrong.findings[1].diagnosis or "times" in wrong.findings[1].diagnosis


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mc.GaussianNoise(-0.1), ValueError, "stddev must be a finite number, 0 or more"),
        (lambda: mc.GaussianNoise(float("nan")), ValueError, "stddev must be .*nan"),
        (lambda: mc.GaussianNoise(1e39), ValueError, "stddev must be at most 1e38"),
        (lambda: mc.GaussianNoise("0.1"), TypeError, "stddev"),
        (lambda: mc.GaussianNoise(0.1, seed=-1), ValueError, "seed must be from 0"),
        (lambda: mc.GaussianNoise(0.1, seed=0.5), TypeError, "seed must be a whole number"),
        (lambda: mc.Sequential([mc.Dense(3, "softmax", input_dim=4), mc.GaussianNoise(0.1)]), ValueError, "softmax"),
        (lambda: mc.Sequential([mc.GaussianNoise(0.1, input_shape=4), mc.Rescaling(2.0)]), ValueError, "Rescaling"),
        (lambda: mc.ops.gaussian_noise(np.zeros((2, 2)), -1), ValueError, "stddev"),
    ],
)
def test_bad_arguments_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_noise_behind_probabilities_is_refused():
    model = mc.Sequential([mc.Dense(1, "sigmoid", input_dim=36), mc.GaussianNoise(0.1)], seed=1)
    with pytest.raises(ValueError, match="take out the GaussianNoise"):
        model.fit(PIXELS.reshape(200, 36), LABELS % 2, loss="binary_crossentropy", verbose=0)
