"""`gradient_check`: right gradients pass within 1e-7, wrong ones fail, kinks are skipped and counted."""

import numpy as np
import pytest

import mnist_c as mc

_rng = np.random.default_rng(3)
X = _rng.normal(size=(24, 12))
Y = _rng.integers(0, 6, 24)
ACTIVATIONS = list(mc.reference.ACTIVATIONS)
SMOOTH = set(ACTIVATIONS) - {"relu", "leaky_relu", "elu", "selu"}


@pytest.mark.parametrize("last", ["softmax", "logits", "mse"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_head_passes(activation, norm, last):
    layers = [
        mc.Dropout(0.1, input_shape=(12,)),
        mc.Dense(10, activation, kernel_regularizer=mc.L1L2(1e-3, 1e-2), bias_regularizer=mc.L2(1e-2)),
        mc.Dropout(0.2),
        *([mc.BatchNormalization(), mc.Activation(activation)] if norm else []),
        mc.Dense(7, activation, bias_initializer=mc.RandomNormal(stddev=0.1), kernel_regularizer=mc.L1(1e-3)),
        mc.Dense(6, {"softmax": "softmax", "mse": "tanh"}.get(last)),
    ]
    model = mc.Sequential(layers, seed=3 if activation == "selu" else 1)  # 1 has a z next to a kink
    losses = {"logits": mc.SparseCategoricalCrossentropy(True, label_smoothing=0.1), "mse": mc.MeanSquaredError()}
    model.compile("adam", losses.get(last, "categorical_crossentropy"))
    result = mc.gradient_check(model, X, Y, max_parameters=None, sample_weight=np.linspace(0.5, 2, 24))
    assert result.passed, result
    assert result.checked + result.skipped == sum(w.size for w in model.gradients(X, Y, training=True))
    if activation in SMOOTH:
        assert result.skipped == 0
    else:
        assert result.skipped < 0.1 * result.checked
    assert mc.gradient_check(model, X, Y, training=False).passed


def test_kinks_are_skipped_where_a_relu_switches_and_only_there():
    model = mc.Sequential([mc.Dense(4, "relu", input_dim=12), mc.Dense(6, "softmax")], seed=0)
    z = X @ model.layers[0].kernel.astype(float)
    model.layers[0].bias = -z[5]  # row 5 now stands on the kink of all four units
    z = z + model.layers[0].bias.astype(float)
    result = mc.gradient_check(model, X, Y, max_parameters=None)
    h = 1e-3
    reach = np.abs(X[:, :, None]) * 2 * h  # how far a change of kernel (k, j) moves unit j of row b
    crossed = (np.abs(z)[:, None, :] < reach).any(axis=0)
    kernel, bias = result.tensors[:2]
    assert kernel.skipped == crossed.sum() >= 40
    assert bias.skipped == 4
    assert [t.skipped for t in result.tensors[2:]] == [0, 0]
    assert result.passed, result


def test_a_kink_in_a_later_layer_counts_as_well():
    layers = [mc.Dense(5, "tanh", input_dim=12), mc.Dense(3, "relu"), mc.Dense(6, "softmax")]
    model = mc.Sequential(layers, seed=0)
    a = np.tanh(X @ model.layers[0].kernel.astype(float))
    model.layers[1].bias = -(a @ model.layers[1].kernel.astype(float))[7]
    result = mc.gradient_check(model, X, Y, max_parameters=None)
    assert result.tensors[0].skipped > 0
    assert result.tensors[3].skipped == 3
    assert result.passed, result


def test_an_l1_penalty_has_its_kink_set_aside():
    model = mc.Sequential([mc.Dense(6, "softmax", kernel_regularizer=mc.L1(0.1), input_dim=12)], seed=0)
    kernel = model.layers[0].kernel
    kernel[:, 0], kernel[:6, 1] = 0, 1e-4
    model.layers[0].kernel = kernel
    result = mc.gradient_check(model, X, Y, max_parameters=None)
    assert result.passed, result
    assert result.skipped == 0


def test_a_wrong_gradient_fails_and_is_shown(monkeypatch):
    model = mc.Sequential([mc.Dense(6, "tanh", input_dim=12), mc.Dense(6, "softmax")], seed=0)
    twin = model._state.twin

    class Wrong:
        def __init__(self, network):
            self.network = network

        def __getattr__(self, name):
            return getattr(self.network, name)

        def get(self, part, i):
            array = self.network.get(part, i)
            if part == "gradient" and i == 0:
                array[2, 3] *= 1.01
            return array

    monkeypatch.setattr(model._state, "twin", lambda *args: Wrong(twin(*args)))
    result = mc.gradient_check(model, X, Y)
    assert not result.passed
    assert result.tensors[0].worst == (2, 3)
    assert result.error == pytest.approx(0.01, rel=0.02)
    assert "FAILED" in repr(result)
    assert "(2, 3)" in repr(result)
    assert [t.error < 1e-7 for t in result.tensors] == [False, True, True, True]


def test_large_models_are_sampled_and_nothing_moves():
    model = mc.Sequential([mc.Flatten(input_shape=(28, 28)), mc.Dense(64, "tanh"), mc.Dense(10, "softmax")], seed=0)
    x, y = _rng.integers(0, 256, (4, 28, 28)).astype(np.uint8), [1, 2, 3, 4]
    before = model.weights_hash(), model._state.network.progress()
    result = mc.gradient_check(model, x, y, max_parameters=200)
    assert result.passed, result
    assert 100 <= result.checked + result.skipped <= 200
    assert (model.weights_hash(), model._state.network.progress()) == before
    again = mc.gradient_check(model, x, y, max_parameters=200)
    assert repr(again) == repr(result)


def test_the_dropout_mask_is_that_of_the_next_step():
    model = mc.Sequential([mc.Dense(9, "tanh", input_dim=12), mc.Dropout(0.5), mc.Dense(6, "softmax")], seed=0)
    model.fit(X, Y, verbose=0)
    result = mc.gradient_check(model, X, Y, max_parameters=None)
    assert result.passed, result
    assert mc.gradient_check(model, X, Y, max_parameters=None, training=False).passed


def test_the_table_names_every_array():
    model = mc.Sequential([mc.Dense(6, "softmax", input_dim=12)], seed=0)
    text = repr(mc.gradient_check(model, X, Y))
    assert text.startswith("gradient check passed: 78 weights, 0 skipped at kinks, largest error ")
    assert "dense/kernel" in text
    assert "dense/bias" in text
    assert len(text.splitlines()) == 4
