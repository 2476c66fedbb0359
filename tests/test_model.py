"""`Sequential`: how layers become a network, and what fit, evaluate, predict and the rest promise."""

import contextlib
import copy
import hashlib
import io
import pickle
import signal

import numpy as np
import pytest

import mnist_c as mc

N, FEATURES, CLASSES = 120, 20, 5
_rng = np.random.default_rng(0)
Y = _rng.permutation(np.arange(N) % CLASSES)
X = (_rng.normal(size=(N, FEATURES)) + 2 * np.eye(CLASSES, FEATURES)[Y]).astype(np.float32)


def make_model(seed=0, **options):
    layers = [
        mc.Dense(16, activation="relu", input_shape=(FEATURES,)),
        mc.Dropout(0.2),
        mc.Dense(CLASSES, activation="softmax"),
    ]
    return mc.Sequential(layers, seed=seed, **options)


def fit(model, **options):
    return model.fit(X, Y, **{"batch_size": 16, "epochs": 2, "verbose": 0, **options})


def keras_mlp():
    return mc.Sequential(
        [
            mc.Flatten(input_shape=(28, 28)),
            mc.Dense(128, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(64, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(10, activation="softmax"),
        ],
        seed=0,
    )


# ---------------------------------------------------------------- layers


def steps(*layers, shape=(8,)):
    """The core's steps as "kind activation dropout [noise]", and what is done to the inputs."""
    plan = mc.Sequential([mc.Input(shape), *layers], seed=0)._plan_for(None)
    texts = [
        f"{s['kind']} {s['activation']} {s['dropout']:g}" + f" {s['noise']:g}" * bool(s["noise"]) for s in plan.steps
    ]
    on_inputs = [f"{name.partition('_')[2]} {value:g}" for name, value in plan.on_inputs.items() if "seed" not in name]
    return [f"input {' '.join(on_inputs)}"] * bool(on_inputs) + texts


def test_activations_and_dropout_join_the_step_before_them():
    assert steps(mc.Dense(4, "relu"), mc.Dropout(0.5), mc.Dense(3)) == ["dense relu 0.5", "dense linear 0"]
    assert steps(mc.Dense(4), mc.Activation("tanh"), mc.Dropout(0.5)) == ["dense tanh 0.5"]
    assert steps(mc.Dense(4), mc.BatchNormalization(), mc.ReLU(), mc.Dropout(0.1)) == [
        "dense linear 0",
        "norm relu 0.1",
    ]
    assert steps(mc.Dropout(0.1), mc.Dense(4)) == ["input dropout 0.1", "dense linear 0"]
    assert steps(mc.Dense(4), mc.Dropout(0.0), mc.Activation("linear"), mc.LeakyReLU()) == ["dense leaky_relu 0"]


def test_noise_joins_the_step_before_it_and_what_follows_it_does_not():
    noise = [mc.GaussianNoise(0.5) for _ in range(4)]
    assert steps(mc.Dense(4, "relu"), mc.Dropout(0.2), noise[0]) == ["dense relu 0.2 0.5"]
    assert steps(noise[1], mc.Dense(4)) == ["input noise 0.5", "dense linear 0"]
    assert steps(mc.Dropout(0.1), noise[2], mc.Dropout(0.2), mc.Dense(4), noise[3], mc.GaussianNoise(1), mc.ReLU()) == [
        "input dropout 0.1 noise 0.5",
        "map linear 0.2",
        "dense linear 0 0.5",
        "map linear 0 1",
        "map relu 0",
    ]
    assert steps(mc.GaussianNoise(0.0), mc.Dense(4), mc.GaussianNoise(0), mc.ReLU()) == ["dense relu 0"]


def test_what_cannot_join_becomes_a_step_of_its_own():
    assert steps(mc.Dense(4), mc.Dropout(0.5), mc.ReLU()) == ["dense linear 0.5", "map relu 0"]
    assert steps(mc.Dense(4, "tanh"), mc.ReLU(), mc.Dropout(0.1)) == ["dense tanh 0", "map relu 0.1"]
    assert steps(mc.Dense(4), mc.Dropout(0.5), mc.Dropout(0.2)) == ["dense linear 0.5", "map linear 0.2"]
    assert steps(mc.Dropout(0.1), mc.Dropout(0.2), mc.Dense(4)) == [
        "input dropout 0.1",
        "map linear 0.2",
        "dense linear 0",
    ]
    assert steps(mc.Activation("tanh"), mc.Dense(4)) == ["map tanh 0", "dense linear 0"]
    assert steps(mc.BatchNormalization(), mc.Dense(4)) == ["norm linear 0", "dense linear 0"]


def test_separate_layers_compute_what_joined_ones_do():
    joined = mc.Sequential(
        [mc.Dense(9, "relu", input_dim=FEATURES), mc.Dropout(0.2), mc.Dense(CLASSES, "softmax")], seed=1
    )
    apart = mc.Sequential(
        [
            mc.Input((FEATURES,)),
            mc.Dense(9),
            mc.Activation("relu"),
            mc.Dropout(0.2),
            mc.Dense(CLASSES),
            mc.Softmax(),
        ],
        seed=1,
    )
    fit(joined), fit(apart)
    assert joined.weights_hash() == apart.weights_hash()


def test_names_are_numbered_within_the_model():
    names = [layer.name for layer in keras_mlp().layers]
    assert names == ["flatten", "dense", "dropout", "dense_1", "dropout_1", "dense_2"]
    model = mc.Sequential([mc.Dense(2, name="first", input_dim=3), mc.ReLU(), mc.LeakyReLU(), mc.BatchNormalization()])
    assert [layer.name for layer in model.layers] == ["first", "re_lu", "leaky_re_lu", "batch_normalization"]
    assert model.get_layer("first") is model.get_layer(index=0) is model.layers[0]
    with pytest.raises(ValueError, match="Did you mean 'first'"):
        model.get_layer("frist")
    with pytest.raises(ValueError, match="no layer 9"):
        model.get_layer(index=9)


def test_a_layer_belongs_to_one_model():
    layer = mc.Dense(3, input_dim=2)
    with pytest.raises(ValueError, match="not part of a model"):
        layer.get_weights()
    mc.Sequential([layer])
    with pytest.raises(ValueError, match="belongs to a model"):
        mc.Sequential([layer])


def test_layers_cannot_be_frozen():
    layer = mc.Dense(3)
    assert layer.trainable
    with pytest.raises(NotImplementedError):
        layer.trainable = False


def test_models_cannot_be_frozen():
    model = make_model()
    model.trainable = True
    with pytest.raises(NotImplementedError, match="cannot be frozen"):
        model.trainable = False
    assert model.trainable


def test_layers_can_be_added_after_training():
    model = mc.Sequential(seed=0)
    model.add(mc.Dense(6, "relu", input_dim=FEATURES))
    model.add(mc.Dense(CLASSES))
    fit(model)
    before = model.get_weights()
    model.add(mc.Softmax())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.compile("adam", "categorical_crossentropy")
    fit(model)


def test_build_says_the_shape_where_no_layer_does():
    for shape in ((None, 28, 28), (28, 28)):
        model = mc.Sequential([mc.Flatten(), mc.Dense(3)], seed=0)
        assert not model.built
        model.build(shape)
        assert model.layers[1].kernel.shape == (784, 3)
    with pytest.raises(ValueError, match="input_shape"):
        mc.Sequential([mc.Dense(3)]).build()


# ---------------------------------------------------------------- summary


def test_summary_counts_109386_parameters_as_keras_does():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        keras_mlp().summary()
    text = out.getvalue()
    assert " Total params: 109,386 (427.29 KB)\n Trainable params: 109,386 (427.29 KB)\n" in text
    assert "│ dense (Dense)" in text
    assert "(None, 128)" in text
    assert "100,480" in text
    assert len({len(line) for line in text.splitlines()[1:-3]}) == 1


def test_summary_of_batch_normalisation_has_parameters_that_are_not_trained():
    lines = []
    mc.Sequential([mc.Dense(4, input_dim=3), mc.BatchNormalization()]).summary(print_fn=lines.append)
    assert "Trainable params: 24 (96.00 B)\n Non-trainable params: 8 (32.00 B)" in lines[0]
    mc.Sequential([mc.Dense(4)]).summary(print_fn=lines.append)
    assert "unbuilt" in lines[1]


def test_summary_draws_with_letters_where_the_output_has_no_others():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with contextlib.redirect_stdout(out):
        keras_mlp().summary()
    out.flush()
    assert b"| dense (Dense)" in out.buffer.getvalue()


# ---------------------------------------------------------------- weights


def test_weights_are_new_arrays_in_keras_order():
    model = mc.Sequential([mc.Dense(4, input_dim=3), mc.BatchNormalization(), mc.Dense(2, use_bias=False)], seed=0)
    weights = model.get_weights()
    assert [w.shape for w in weights] == [(3, 4), (4,), (4,), (4,), (4,), (4,), (4, 2)]
    assert {w.dtype for w in weights} == {np.dtype("float32")}
    weights[0][...] = 7
    assert not (model.get_weights()[0] == 7).any()
    dense, norm, last = model.layers
    np.testing.assert_array_equal(dense.kernel, model.get_weights()[0])
    assert [w.shape for w in norm.get_weights()] == [(4,)] * 4
    np.testing.assert_array_equal(norm.gamma, np.ones(4))
    np.testing.assert_array_equal(norm.moving_variance, np.ones(4))
    assert last.bias is None
    assert (dense.count_params(), norm.count_params(), model.count_params()) == (16, 16, 40)


def test_assigned_weights_are_written():
    model = make_model()
    kernel = np.arange(FEATURES * 16.0).reshape(FEATURES, 16)
    model.layers[0].kernel = kernel
    model.layers[0].bias = np.arange(16)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    np.testing.assert_array_equal(model.layers[0].bias, np.arange(16))
    other = make_model(seed=1)
    other.set_weights(model.get_weights())
    assert other.weights_hash() == model.weights_hash()
    other.layers[2].set_weights([np.zeros((16, CLASSES)), np.ones(CLASSES)])
    assert other.layers[2].kernel.any() == False  # noqa: E712
    with pytest.raises(AttributeError, match="no bias"):
        mc.Sequential([mc.Dense(2, use_bias=False, input_dim=2)]).layers[0].bias = [0, 0]


@pytest.mark.parametrize(
    ("change", "exception", "pattern"),
    [
        (lambda w: w[:-1], ValueError, "4 arrays"),
        (lambda w: [*w[:-1], w[-1][:-1]], ValueError, r"dense_1/bias has shape \(5,\), not \(4,\)"),
        (lambda w: [w[0].T, *w[1:]], ValueError, r"\(20, 16\), not \(16, 20\)"),
        (lambda w: [*w[:-1], w[-1].astype(str)], TypeError, "numbers"),
        (lambda w: [*w[:-1], w[-1] * np.nan], ValueError, "dense_1/bias holds values that are not finite"),
        (
            lambda w: [*w[:-1], w[-1].astype(float) + 1e300],
            ValueError,
            "dense_1/bias holds values beyond the range of float32",
        ),
    ],
    ids=["too few", "too short", "transposed", "text", "NaN", "too large"],
)
def test_wrong_weights_are_refused_and_change_nothing(change, exception, pattern):
    model = make_model()
    before = model.weights_hash()
    with pytest.raises(exception, match=pattern):
        model.set_weights(change([w + 1 for w in model.get_weights()]))
    assert model.weights_hash() == before


def test_weights_hash_is_the_sha256_of_all_weights():
    model = make_model()
    data = b"".join(w.astype("<f4").tobytes() for w in model.get_weights())
    assert model.weights_hash() == hashlib.sha256(data).hexdigest()


def test_seed_none_draws_a_seed_and_records_it():
    a, b = make_model(seed=None), make_model(seed=None)
    assert a.seed != b.seed
    assert fit(a).seed == a.seed
    again = make_model(seed=a.seed)
    fit(again)
    assert again.weights_hash() == a.weights_hash() != b.weights_hash()


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        ("glorot_uniform", np.sqrt(2 / 500)),
        ("glorot_normal", np.sqrt(2 / 500)),
        ("he_normal", np.sqrt(2 / 300)),
        ("he_uniform", np.sqrt(2 / 300)),
        ("lecun_normal", np.sqrt(1 / 300)),
        ("lecun_uniform", np.sqrt(1 / 300)),
        ("random_normal", 0.05),
        ("random_uniform", 0.1 / np.sqrt(12)),
        (mc.RandomNormal(1.0, 2.0), 2.0),
        (mc.TruncatedNormal(stddev=1.0), 0.87962566103423978),
        (mc.VarianceScaling(3.0, "fan_out", "uniform"), np.sqrt(3 / 200)),
        ("zeros", 0.0),
        (mc.Constant(0.25), 0.0),
    ],
)
def test_initializers_have_the_spread_of_keras(name, spread):
    kernel = mc.Sequential([mc.Dense(200, kernel_initializer=name, input_dim=300)], seed=0).layers[0].kernel
    assert kernel.std() == pytest.approx(spread, rel=0.02)  # 60,000 values: the standard error is 0.3 %
    mean = {"RandomNormal(normal, fan_in, 1, 2)": 1.0}.get(repr(name), 0.25 if "Constant" in repr(name) else 0.0)
    assert kernel.mean() == pytest.approx(mean, abs=max(0.02 * spread, 1e-12))


# ---------------------------------------------------------------- training


OPTIMIZERS = {
    "nesterov": lambda: mc.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: mc.RMSprop(1e-3, momentum=0.5, centered=True),
    "cosine": lambda: mc.Adam(mc.CosineDecay(1e-2, 40, alpha=0.1)),
    "inverse time": lambda: mc.AdamW(mc.InverseTimeDecay(1e-2, 10, 0.5)),
    "function": lambda: mc.Adam(lambda step: 1e-2 / (1 + step)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_fit_of_two_epochs_twice_equals_fit_of_four(optimizer):
    once, twice = make_model(), make_model()
    whole = fit(once, epochs=4, optimizer=optimizer(), validation_split=0.2)
    first = fit(twice, epochs=2, optimizer=optimizer(), validation_split=0.2)
    second = fit(twice, epochs=2, validation_split=0.2)
    assert twice.weights_hash() == once.weights_hash()
    for name, values in whole.history.items():
        assert values == first.history[name] + second.history[name]


def test_an_epoch_in_batches_equals_fit_without_shuffling():
    whole, parts = make_model(), make_model()
    history = fit(whole, epochs=1, shuffle=False)
    losses = [parts.train_on_batch(X[i : i + 16], Y[i : i + 16])[0] for i in range(0, N, 16)]
    assert parts.weights_hash() == whole.weights_hash()
    sizes = [len(X[i : i + 16]) for i in range(0, N, 16)]
    assert np.average(losses, weights=sizes) == pytest.approx(history.history["loss"][0], rel=1e-12)


def test_initial_epoch_runs_the_rest():
    model = make_model()
    history = fit(model, epochs=5, initial_epoch=3)
    assert history.epoch == [3, 4]
    assert len(history.history["loss"]) == 2
    assert fit(model, epochs=0).history == {}


def test_the_same_optimizer_object_goes_on_and_a_new_one_starts_afresh():
    adam = mc.Adam(1e-2)
    reference = make_model()
    fit(reference, epochs=4, optimizer=adam)
    hashes = {}
    for name, second in {"same": adam, "none": None, "new": mc.Adam(1e-2)}.items():
        model = make_model()
        fit(model, optimizer=adam)
        fit(model, optimizer=second)
        hashes[name] = model.weights_hash()
    assert hashes["same"] == hashes["none"] == reference.weights_hash() != hashes["new"]


def test_the_same_name_of_an_optimizer_goes_on_in_fit_and_starts_afresh_in_compile():
    whole, named, compiled = make_model(), make_model(), make_model()
    fit(whole, epochs=4, optimizer="adam")
    fit(named, optimizer="adam")
    fit(named, optimizer="adam")
    compiled.compile("adam", "categorical_crossentropy")
    fit(compiled)
    compiled.compile("adam", "categorical_crossentropy")
    fit(compiled)
    assert whole.weights_hash() == named.weights_hash() != compiled.weights_hash()
    fit(named, optimizer=mc.SGD(0.1))
    fit(named, optimizer="adam")
    assert isinstance(named.optimizer, mc.Adam)


def test_compile_starts_the_same_optimizer_object_afresh():
    hashes = []
    for second in (None, "same", "new"):
        model, adam = make_model(), mc.Adam(1e-2)
        fit(model, optimizer=adam)
        if second:
            model.compile(adam if second == "same" else mc.Adam(1e-2), "categorical_crossentropy")
        fit(model)
        hashes.append(model.weights_hash())
    assert hashes[0] != hashes[1] == hashes[2]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_and_pickles_train_on_like_the_original(copied):
    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    other = copied(model)
    assert other.weights_hash() == model.weights_hash()
    assert other.layers[0].kernel is not None
    assert other.history.model is other
    expected = fit(model).history
    assert other.weights_hash() != model.weights_hash()
    assert fit(other).history == expected
    assert other.weights_hash() == model.weights_hash()
    assert not copied(mc.Sequential([mc.Dense(3)])).built


def test_only_the_learning_rate_of_an_optimizer_can_change():
    adam = mc.Adam(1e-2)
    adam.learning_rate = 1e-3
    assert adam.learning_rate == 1e-3
    with pytest.raises(AttributeError, match="make a new Adam"):
        adam.epsilon = 1e-8
    with pytest.raises(ValueError, match="0 or more"):
        adam.learning_rate = -1


def test_adam_is_the_default():
    default, given = make_model(), make_model()
    fit(default)
    fit(given, optimizer=mc.Adam(1e-3), loss="sparse_categorical_crossentropy")
    assert default.weights_hash() == given.weights_hash()


def test_rates_follow_the_steps_of_the_optimizer():
    seen = []
    model = make_model()
    optimizer = mc.SGD(lambda step: seen.append(step) or 0.1)
    fit(model, optimizer=optimizer)
    fit(model, epochs=1)
    assert seen == list(range(3 * 8))
    fit(model, epochs=1, optimizer=mc.SGD(lambda step: seen.append(step) or 0.1))
    assert seen[-8:] == list(range(8))


def test_schedules_have_the_formulas_of_keras():
    steps_ = np.arange(50)
    cosine = mc.CosineDecay(0.1, 40, alpha=0.2)
    inverse, stairs = mc.InverseTimeDecay(0.1, 10, 0.5), mc.InverseTimeDecay(0.1, 10, 0.5, staircase=True)
    step = mc.StepDecay(0.1, 10, 0.5)
    np.testing.assert_allclose([inverse(t) for t in steps_], 0.1 / (1 + 0.5 * steps_ / 10), rtol=1e-14)
    np.testing.assert_allclose([stairs(t) for t in steps_], 0.1 / (1 + 0.5 * (steps_ // 10)), rtol=1e-14)
    np.testing.assert_allclose([step(t) for t in steps_], 0.1 * 0.5 ** (steps_ // 10), rtol=1e-14)
    expected = 0.1 * (0.8 * (1 + np.cos(np.pi * np.minimum(steps_, 40) / 40)) / 2 + 0.2)
    np.testing.assert_allclose([cosine(t) for t in steps_], expected, rtol=1e-14)


def test_one_cycle_has_the_formula_of_pytorch():
    """torch.optim.lr_scheduler.OneCycleLR: phases end at steps pct_start total - 1 and total - 1."""
    total, share, high = 100, 0.3, 0.2

    def anneal(start, end, way):
        return end + (start - end) / 2 * (1 + np.cos(np.pi * way))

    peak = share * total - 1
    expected = [
        anneal(high / 25, high, t / peak) if t <= peak else anneal(high, high / 25e4, (t - peak) / (total - 1 - peak))
        for t in range(total)
    ]
    cycle = mc.OneCycle(high, total)
    np.testing.assert_allclose([cycle(t) for t in range(total)], expected, rtol=1e-13, atol=1e-16)
    assert cycle(total + 5) == cycle(total - 1)
    with pytest.raises(ValueError, match="too few"):
        mc.OneCycle(0.1, 3)
    with pytest.raises(ValueError, match="div_factor must be at least 1"):
        mc.OneCycle(0.1, 100, div_factor=0.5)


def test_warm_up_rises_to_where_any_rate_begins():
    for after in (0.8, lambda step: 0.8 / (1 + step), mc.CosineDecay(0.8, 4)):
        begin = after if isinstance(after, float) else after(0)
        follow = after if isinstance(after, float) else after(1)
        warm = mc.WarmUp(after, 4, 0.4)
        assert [warm(t) for t in range(6)] == pytest.approx([0.4, 0.5, 0.6, 0.7, begin, follow], rel=1e-15)
        assert warm.rates(2, 3).tolist() == [warm(t) for t in (2, 3, 4)]
    cosine = mc.CosineDecay(0.4, 4, warmup_target=0.8, warmup_steps=4)
    assert [cosine(t) for t in range(9)] == [mc.WarmUp(mc.CosineDecay(0.8, 4), 4, 0.4)(t) for t in range(9)]
    assert mc.CosineDecay(0.4, 4, warmup_steps=4)(1) == mc.CosineDecay(0.4, 4)(1)  # without a target there is none
    with pytest.raises(ValueError, match="warmup_steps"):
        mc.WarmUp(0.1, 0)
    with pytest.raises(ValueError, match="decay_rate must be positive"):
        mc.ExponentialDecay(0.1, 10, 0)


def test_a_new_loss_keeps_weights_moments_and_counters():
    model = make_model()
    fit(model, optimizer=mc.SGD(0.1, momentum=0.9))
    before, progress = model.weights_hash(), model._state.network.progress()
    moments = model._state.network.get("slot0", 0)
    fit(model, epochs=0, loss=mc.CategoricalCrossentropy(label_smoothing=0.2))
    model.evaluate(X, Y, verbose=0)
    assert model._state.head.key == ("softmax_cross_entropy", 0.2, False)
    assert (model.weights_hash(), model._state.network.progress()) == (before, progress)
    np.testing.assert_array_equal(model._state.network.get("slot0", 0), moments)


def test_logits_and_softmax_train_to_the_same_weights():
    logits = mc.Sequential([mc.Dense(CLASSES, input_dim=FEATURES)], seed=0)
    softmax = mc.Sequential([mc.Dense(CLASSES, "softmax", input_dim=FEATURES)], seed=0)
    fit(logits, loss=mc.SparseCategoricalCrossentropy(from_logits=True)), fit(softmax)
    assert logits.weights_hash() == softmax.weights_hash()
    default = mc.Sequential([mc.Dense(CLASSES, input_dim=FEATURES)], seed=0)
    fit(default)
    assert default.weights_hash() == logits.weights_hash()
    z = logits.predict(X)
    np.testing.assert_allclose(z, X @ logits.layers[0].kernel + logits.layers[0].bias, atol=1e-5)
    np.testing.assert_array_equal(mc.ops.softmax(z), softmax.predict(X))


def test_class_weights_are_sample_weights():
    weights = {0: 0.5, 3: 2.0}
    by_class, by_row, balanced = make_model(), make_model(), make_model()
    rows = np.array([weights.get(label, 1.0) for label in Y])
    fit(by_class, class_weight=weights), fit(by_row, sample_weight=rows)
    assert by_class.weights_hash() == by_row.weights_hash()
    fit(balanced, class_weight="balanced")  # every class is as frequent as the others: all weights are 1
    plain = make_model()
    fit(plain)
    assert balanced.weights_hash() == plain.weights_hash() != by_class.weights_hash()


def test_weights_scale_losses_and_are_divided_by_the_number_of_rows():
    model = make_model()
    plain, double = model.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0, sample_weight=np.full(N, 2.0))
    assert double.loss == pytest.approx(2 * plain.loss, rel=1e-12)
    assert double.accuracy == plain.accuracy
    half = (np.arange(N) < N // 2).astype(float)
    part = model.evaluate(X[: N // 2], Y[: N // 2], verbose=0)
    assert model.evaluate(X, Y, verbose=0, sample_weight=half).loss == pytest.approx(part.loss / 2, rel=1e-6)


def test_class_weights_do_not_count_in_validation_and_sample_weights_do():
    model, other = make_model(), make_model()
    fit(model, class_weight={0: 9.0}, validation_split=0.25)
    assert model.history.history["val_loss"][-1] == model.evaluate(X[90:], Y[90:], verbose=0).loss
    weights = np.linspace(0, 1, N)
    fit(other, sample_weight=weights, validation_split=0.25)
    score = other.evaluate(X[90:], Y[90:], verbose=0, sample_weight=weights[90:])
    assert other.history.history["val_loss"][-1] == score.loss


# ---------------------------------------------------------------- evaluation and prediction


def test_evaluate_gives_loss_and_accuracy_and_more():
    model = make_model()
    fit(model, epochs=5, optimizer=mc.Adam(1e-2))
    result = model.evaluate(X, Y, verbose=0)
    loss, accuracy = result
    assert (result[0], result[1]) == (loss, accuracy) == (result.loss, result.accuracy)
    p = model.predict(X)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert loss == pytest.approx(-np.log(p[np.arange(N), Y].astype(float)).mean(), rel=1e-5)
    assert accuracy == (p.argmax(axis=1) == Y).mean()
    assert result.confusion_matrix.dtype == np.int64
    assert result.confusion_matrix.sum() == N
    for i in range(CLASSES):
        for j in range(CLASSES):
            assert result.confusion_matrix[i, j] == ((i == Y) & (p.argmax(axis=1) == j)).sum()
    np.testing.assert_allclose(result.per_class_accuracy, [(p[i == Y].argmax(1) == i).mean() for i in range(CLASSES)])
    assert np.isnan(model.evaluate(X[Y == 2], Y[Y == 2], verbose=0).per_class_accuracy[0])
    assert repr(result) == f"Evaluation(loss={loss:.4f}, accuracy={accuracy:.4f})"


def test_evaluations_can_be_copied_and_pickled():
    result = make_model().evaluate(X, Y, verbose=0)
    for other in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert other == result
        np.testing.assert_array_equal(other.confusion_matrix, result.confusion_matrix)


def test_penalties_are_part_of_every_loss():
    def model_with(regularizer):
        layers = [
            mc.Dense(
                CLASSES, "softmax", kernel_regularizer=regularizer, bias_regularizer=mc.L2(0.5), input_dim=FEATURES
            )
        ]
        return mc.Sequential(layers, seed=0)

    for regularizer in (mc.L1(1e-2), mc.L2(1e-2), mc.L1L2(1e-2, 1e-3), "l1", "l1_l2"):
        model = model_with(regularizer)
        model.layers[0].bias = np.linspace(-1, 1, CLASSES)
        kernel, bias = model.get_weights()
        penalty = mc.regularizers.get(regularizer)(kernel) + mc.L2(0.5)(bias)
        p = model.predict(X)[np.arange(N), Y].astype(float)
        expected = -np.log(p).mean() + penalty
        assert model.evaluate(X, Y, verbose=0).loss == pytest.approx(expected, rel=1e-5)
        assert model.train_on_batch(X, Y)[0] == pytest.approx(expected, rel=1e-5)
        history = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
        assert history["val_loss"][0] == model.evaluate(X, Y, verbose=0).loss


def test_validation_on_the_training_data_equals_evaluate():
    model = make_model()
    history = fit(model, validation_data=(X, Y)).history
    assert (history["val_loss"][-1], history["val_accuracy"][-1]) == model.evaluate(X, Y, verbose=0)


def test_calling_a_model_gives_an_array_that_has_numpy():
    model = make_model()
    out = model(X[:3])
    np.testing.assert_array_equal(out, model.predict(X[:3]))
    assert type(out.numpy()) is np.ndarray
    dropped = model(X[:3], training=True)
    assert (dropped != out).any()
    np.testing.assert_array_equal(dropped, model(X[:3], training=True))  # nothing moved
    np.testing.assert_allclose(dropped.numpy().sum(axis=1), 1, atol=1e-6)
    plain = mc.Sequential([mc.Dense(4, "relu", input_dim=FEATURES), mc.Dense(CLASSES, "softmax")], seed=0)
    np.testing.assert_array_equal(plain(X[:3], training=True), plain(X[:3]))  # without dropout there is no difference


def test_a_row_has_the_same_bits_in_every_company():
    model = make_model()
    p = model.predict(X)
    order = _rng.permutation(N)
    np.testing.assert_array_equal(model.predict(X[order]), p[order])
    np.testing.assert_array_equal(np.concatenate([model.predict(row[None]) for row in X]), p)


def test_mean_squared_error_learns_numbers():
    target = X @ np.linspace(-1, 1, FEATURES) + 3
    model = mc.Sequential([mc.Dense(1, input_dim=FEATURES)], seed=0)
    for y in (target, target[:, None], target.tolist()):
        model.fit(X, y, epochs=100, optimizer=mc.Adam(mc.CosineDecay(0.1, 400)), loss="mse", verbose=0)
        result = model.evaluate(X, y, verbose=0)
        assert result.loss < 1e-3
        assert np.isnan(result.accuracy)
        assert result.confusion_matrix.shape == (0, 0)


def test_one_output_has_no_accuracy(capsys):
    model = mc.Sequential([mc.Dense(1, input_dim=FEATURES)], seed=0)
    history = model.fit(X, X[:, 0], loss="mse", validation_split=0.2, epochs=1)
    model.evaluate(X, X[:, 0])
    assert list(history.history) == ["loss", "val_loss"]
    assert list(model.evaluate(X, X[:, 0], return_dict=True, verbose=0)) == ["loss"]
    assert "accuracy" not in capsys.readouterr().out


@pytest.mark.parametrize("clipping", [{"clipvalue": 0.01}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1}])
def test_clipped_steps_are_as_short_as_asked(clipping, tmp_path):
    model = make_model()
    before = model.get_weights()
    gradients = model.gradients(X, Y, training=True)
    model.fit(X, Y, batch_size=N, epochs=1, optimizer=mc.SGD(1.0, **clipping), shuffle=False, verbose=0)
    trained = [w for w, (_, trainable) in zip(model.get_weights(), model._state.sizes(), strict=True) if trainable]
    begun = [w for w, (_, trainable) in zip(before, model._state.sizes(), strict=True) if trainable]
    steps_taken = [w - b for w, b in zip(begun, trained, strict=True)]
    for step, g in zip(steps_taken, mc.reference.clip(gradients, **clipping), strict=True):
        np.testing.assert_allclose(step, g, atol=1e-6)
    assert any(np.abs(s - g).max() > 1e-3 for s, g in zip(steps_taken, gradients, strict=True))
    model.save(tmp_path / "m.safetensors")
    assert (
        mc.load_model(tmp_path / "m.safetensors").optimizer.get_config()[next(iter(clipping))]
        == model.optimizer.hyper[next(iter(clipping))]
    )


def test_averages_take_the_place_of_the_weights_in_the_end(tmp_path):
    def train(**ema):
        model = make_model()
        model.fit(X, Y, batch_size=N, epochs=3, optimizer=mc.SGD(0.5, **ema), verbose=0)
        return model

    seen = []
    plain = make_model()
    keep = mc.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(plain.get_weights()))
    plain.fit(X, Y, batch_size=N, epochs=3, optimizer=mc.SGD(0.5), callbacks=[keep], verbose=0)
    model = train(use_ema=True, ema_momentum=0.5)
    for a, first, second, third in zip(model.get_weights(), *seen, strict=True):
        np.testing.assert_allclose(a, 0.25 * first + 0.25 * second + 0.5 * third, rtol=1e-5, atol=1e-7)
    model.save(tmp_path / "m.safetensors")
    again = mc.load_model(tmp_path / "m.safetensors")
    for m in (model, again):
        m.fit(X, Y, batch_size=N, epochs=2, verbose=0)
    assert model.weights_hash() == again.weights_hash()


def test_accumulated_batches_equal_a_larger_batch():
    layers = [mc.Dense(8, "tanh", input_dim=FEATURES), mc.Dense(CLASSES, "softmax")]
    models = [mc.Sequential([type(la).from_config(la.get_config()) for la in layers], seed=3) for _ in range(2)]
    seen = []
    optimizer = mc.Adam(lambda step: seen.append(step) or 0.01, gradient_accumulation_steps=4)
    models[0].fit(X, Y, batch_size=10, epochs=2, shuffle=False, optimizer=optimizer, verbose=0)
    models[1].fit(X, Y, batch_size=40, epochs=2, shuffle=False, optimizer=mc.Adam(0.01), verbose=0)
    assert sorted(set(seen)) == list(range(6))
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        mc.Adam(gradient_accumulation_steps=0)
    with pytest.raises(ValueError, match="means nothing without use_ema"):
        mc.Adam(ema_momentum=0.9)


def test_clipping_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="only one of clipvalue, clipnorm, global_clipnorm"):
        mc.Adam(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="clipnorm must be positive"):
        mc.SGD(clipnorm=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'clip'"):
        mc.SGD(clip=1.0)
    assert "clipnorm" not in mc.Adam(clipnorm=None).get_config()


def test_binary_cross_entropy_learns_yes_and_no(tmp_path):
    y = (X[:, 0] > X[:, 1]).astype(int)
    logits = mc.Sequential([mc.Dense(8, "relu", input_dim=FEATURES), mc.Dense(1)], seed=0)
    logits.fit(X, y, epochs=40, optimizer=mc.Adam(0.02), loss=mc.BinaryCrossentropy(from_logits=True), verbose=0)
    model = mc.Sequential([mc.Dense(8, "relu", input_dim=FEATURES), mc.Dense(1, "sigmoid")], seed=0)
    history = model.fit(
        X, y[:, None], epochs=40, optimizer=mc.Adam(0.02), loss="binary_crossentropy", validation_split=0, verbose=0
    )
    assert model.weights_hash() == logits.weights_hash()
    assert list(history.history) == ["loss", "accuracy"]
    result, p = model.evaluate(X, y, verbose=0), model.predict(X)[:, 0]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-logits.predict(X)[:, 0].astype(float))), rtol=1e-6)
    assert result.accuracy == ((p > 0.5) == y).mean() > 0.95
    assert result.loss == pytest.approx(float(mc.BinaryCrossentropy()(y, p)), rel=1e-5)
    assert result.confusion_matrix.tolist() == [[((p > 0.5) == b)[y == a].sum() for b in (0, 1)] for a in (0, 1)]
    assert logits.evaluate(X, y, verbose=0).confusion_matrix.tolist() == result.confusion_matrix.tolist()
    weighted = model.evaluate(X, y, sample_weight=np.where(y == 1, 3.0, 1.0), verbose=0).loss
    model.fit(X, y, epochs=1, batch_size=len(X), optimizer=mc.SGD(0.0), class_weight={1: 3.0}, verbose=0)
    assert model.history.history["loss"][0] == pytest.approx(weighted, rel=1e-6)
    model.save(tmp_path / "m.safetensors")
    again = mc.load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(X)[:, 0], p)
    assert again.loss == mc.BinaryCrossentropy()
    assert mc.gradient_check(model, X[:9], y[:9]).passed
    assert mc.testing.check_backprop(model.gradients(X[:9], y[:9]), model, X[:9], y[:9]).passed
    trace = model.trace(X[:5], y[:5])
    np.testing.assert_allclose(trace["dense_1/delta"][:, 0], (trace["output"][:, 0] - y[:5]) / 5, rtol=1e-6)


def test_binary_cross_entropy_of_several_outputs_takes_labels_and_rows():
    hashes = set()
    for y in (Y, np.eye(CLASSES)[Y]):
        model = mc.Sequential([mc.Dense(CLASSES, "sigmoid", input_dim=FEATURES)], seed=0)
        model.fit(X, y, loss=mc.BinaryCrossentropy(label_smoothing=0.1), epochs=2, verbose=0)
        hashes.add(model.weights_hash())
    assert len(hashes) == 1
    many = (X[:, :CLASSES] > 0.5).astype(float)  # several yes in a row
    model.fit(X, many, loss=mc.BinaryCrossentropy(), epochs=2, verbose=0)
    p = model.predict(X)
    expected = -(many * np.log(p) + (1 - many) * np.log(1 - p)).mean()
    assert model.evaluate(X, many, verbose=0).loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("layers", "loss", "y", "message"),
    [
        ([mc.Dense(3, "softmax")], "binary_crossentropy", Y % 3, "does not go with softmax"),
        ([mc.Dense(3)], "binary_crossentropy", Y % 3, r"BinaryCrossentropy\(from_logits=True\)"),
        ([mc.Dense(3, "tanh")], "binary_crossentropy", Y % 3, "activation='sigmoid'"),
        ([mc.Dense(3, "sigmoid")], mc.BinaryCrossentropy(from_logits=True), Y % 3, "twice"),
        ([mc.Dense(3, "sigmoid"), mc.Dropout(0.5)], "binary_crossentropy", Y % 3, "Dropout"),
        ([mc.Dense(3, "sigmoid")], "categorical_crossentropy", Y % 3, "softmax"),
        ([mc.Dense(1, "sigmoid")], "binary_crossentropy", Y + 1, "0 or 1"),
        ([mc.Dense(1, "sigmoid")], "categorical_crossentropy", Y % 2, "binary_crossentropy"),
        ([mc.Dense(1, "sigmoid")], None, Y % 2, "binary_crossentropy"),
    ],
)
def test_what_does_not_go_with_binary_cross_entropy_is_refused(layers, loss, y, message):
    model = mc.Sequential([mc.Input((FEATURES,)), *(type(la).from_config(la.get_config()) for la in layers)], seed=0)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, loss=loss, verbose=0)


def test_a_stratified_split_has_the_same_share_of_every_class():
    order = np.argsort(Y, kind="stable")  # all of a class together: the last part would have one class alone
    x, y = X[order], Y[order]
    model = make_model()
    model.fit(x, y, validation_split=0.25, stratify=True, epochs=2, verbose=0)
    trains = np.concatenate([np.flatnonzero(y == c)[: N // CLASSES * 3 // 4] for c in range(CLASSES)])
    rest = np.setdiff1d(np.arange(N), trains)
    by_hand = make_model()
    by_hand.fit(x[trains], y[trains], validation_data=(x[rest], y[rest]), epochs=2, verbose=0)
    assert model.weights_hash() == by_hand.weights_hash()
    assert model.history.history == by_hand.history.history
    few = np.array([0] * 5 + [1] * 3 + [2])  # shares of 2.78, 1.67 and 0.56 rows: the nearest numbers that make 5
    first, last = mc._targets.stratified(mc._targets.Targets(few.astype(np.int32), None), 5, 3, False)
    assert (first.tolist(), last.tolist()) == ([0, 1, 2, 5, 6], [3, 4, 7, 8])
    with pytest.raises(ValueError, match="give validation_split"):
        make_model().fit(x, y, stratify=True)
    with pytest.raises(ValueError, match="needs classes"):
        mc.Sequential([mc.Dense(2)], seed=0).fit(x, x[:, :2], loss="mse", stratify=True, validation_split=0.5)


def test_arguments_of_keras_without_a_meaning_here_are_accepted():
    model = make_model()
    model.compile("adam", "categorical_crossentropy", jit_compile=True, run_eagerly=False)
    fit(model, callbacks=[])
    fit(model, callbacks=None)
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}


@pytest.mark.parametrize("training", [None, False, True])
def test_the_first_prediction_builds_a_model(training):
    model = mc.Sequential([mc.Flatten(), mc.Dense(CLASSES, "softmax")], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        model.predict(np.full((3, 4, 5), np.nan))
    assert not model.built
    x = X.reshape(N, 4, 5)
    outputs = model.predict(x) if training is None else model(x, training=training)
    assert outputs.shape == (N, CLASSES)
    assert model.layers[1].kernel.shape == (FEATURES, CLASSES)


def test_mean_squared_error_of_labels_takes_them_as_one_hot():
    hashes = set()
    for y in (Y, np.eye(CLASSES)[Y], np.eye(CLASSES, dtype=np.float32)[Y]):
        model = mc.Sequential([mc.Dense(CLASSES, "sigmoid", input_dim=FEATURES)], seed=0)
        model.fit(X, y, loss=mc.MeanSquaredError(), epochs=2, verbose=0)
        hashes.add(model.weights_hash())
        difference = model.predict(X) - np.eye(CLASSES)[Y]
        assert model.evaluate(X, y, verbose=0).loss == pytest.approx(np.square(difference).mean(), rel=1e-5)
    assert len(hashes) == 1
    soft = mc.Sequential([mc.Dense(CLASSES, "sigmoid", input_dim=FEATURES)], seed=0)
    soft.fit(X, np.full((N, CLASSES), 0.3), loss="mse", verbose=0)


def test_losses_can_be_called_on_arrays():
    model = mc.Sequential([mc.Dense(CLASSES, input_dim=FEATURES)], seed=0)
    z, p = model.predict(X), mc.ops.softmax(model.predict(X))
    expected = -np.log(p[np.arange(N), Y].astype(float)).mean()
    for y in (Y, Y[:, None], np.eye(CLASSES)[Y]):
        assert mc.SparseCategoricalCrossentropy(from_logits=True)(y, z).numpy() == pytest.approx(expected, rel=1e-5)
        assert mc.CategoricalCrossentropy()(y, p).numpy() == pytest.approx(expected, rel=1e-5)
        smooth = mc.CategoricalCrossentropy(label_smoothing=0.1)(y, p)
        assert smooth == pytest.approx(mc.CategoricalCrossentropy(True, label_smoothing=0.1)(y, z), rel=1e-5)
    weighted = mc.CategoricalCrossentropy(from_logits=True)(Y, z, sample_weight=np.full(N, 3.0))
    assert weighted == pytest.approx(3 * expected, rel=1e-5)
    assert mc.MeanSquaredError()(np.ones((4, 2)), np.zeros((4, 2))).numpy() == 1
    assert mc.MeanSquaredError()(np.ones(4), np.zeros((4, 1))).numpy() == 1
    assert mc.MeanSquaredError()([0, 1, 1, 0], np.zeros((4, 2))).numpy() == 0.5


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize(
    ("y", "pattern"),
    [
        ([0, -1], "-1"),
        ([0, 3], "0 to 3"),
        ([0.5, 1], "fractions"),
        ([0, 1, 2], r"shape \(3,\)"),
        (np.eye(2), r"\(2, 2\)"),
    ],
)
def test_losses_on_arrays_refuse_wrong_labels(logits, y, pattern):
    with pytest.raises(ValueError, match=pattern):
        mc.CategoricalCrossentropy(from_logits=logits)(y, np.full((2, 3), 1 / 3))


def test_losses_on_arrays_compare_shapes():
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        mc.MeanSquaredError()(np.ones((3, 4)), np.ones((4, 3)))
    with pytest.raises(ValueError, match="sample_weight"):
        mc.MeanSquaredError()(np.ones((4, 3)), np.ones((4, 3)), sample_weight=np.ones(3))


# ---------------------------------------------------------------- gradients


def test_gradients_are_those_of_back_propagation_in_numpy():
    model = make_model(dtype="float64")
    w1, b1, w2, b2 = model.get_weights()
    x = X.astype(float)
    z = x @ w1 + b1
    a = np.maximum(z, 0)
    delta = (mc.reference.softmax(a @ w2 + b2) - np.eye(CLASSES)[Y]) / N
    below = (delta @ w2.T) * (z > 0)
    expected = [x.T @ below, below.sum(axis=0), a.T @ delta, delta.sum(axis=0)]
    before = model.weights_hash(), model._state.network.progress()
    for mine, theirs in zip(model.gradients(X, Y), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-14)
    assert (model.weights_hash(), model._state.network.progress()) == before
    assert any((g != h).any() for g, h in zip(model.gradients(X, Y), model.gradients(X, Y, training=True), strict=True))


def test_gradients_leave_out_moving_statistics():
    model = mc.Sequential(
        [mc.Dense(4, input_dim=FEATURES), mc.BatchNormalization(), mc.Dense(CLASSES, "softmax")], seed=0
    )
    assert len(model.get_weights()) == 8
    for training in (False, True):
        assert len(model.gradients(X, Y, training=training)) == 6
    assert [g.shape for g in model.gradients(X, Y, training=True)] == [
        (FEATURES, 4),
        (4,),
        (4,),
        (4,),
        (4, CLASSES),
        (CLASSES,),
    ]


# ---------------------------------------------------------------- what can go wrong on the way


def test_divergence_stops_with_finite_weights_and_says_where():
    model = make_model()
    fit(model, epochs=1)
    with pytest.raises(mc.NotFiniteError, match=r"epoch 1, batch \d+") as caught:
        fit(model, epochs=5, optimizer=mc.SGD(1e30))
    assert caught.value.epoch == 0
    assert str(caught.value).count("batch ") == 2
    assert f"batch {caught.value.batch + 1}: that batch was not applied" in str(caught.value)
    assert isinstance(caught.value.batch, int)
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert model.history.epoch == []


def test_ctrl_c_keeps_weights_and_history():
    model = mc.Sequential([mc.Dense(256, "relu", input_dim=FEATURES), mc.Dense(CLASSES, "softmax")], seed=0)
    x, y = np.tile(X, (50, 1)), np.tile(Y, 50)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, epochs=100_000, verbose=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert len(model.history.epoch) == len(model.history.history["loss"])
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x, y, verbose=0)


def test_an_error_in_a_rate_function_leaves_a_usable_model():
    def rate(step):
        if step == 11:
            raise ZeroDivisionError
        return 0.1

    model = make_model()
    with pytest.raises(ZeroDivisionError):
        fit(model, epochs=3, optimizer=mc.SGD(rate))
    assert model.history.epoch == [0]
    with pytest.raises(ValueError, match=r"learning_rate\(0\)"):
        fit(model, optimizer=mc.SGD(lambda step: -1.0))
    with pytest.raises(TypeError, match="learning_rate"):
        fit(model, optimizer=mc.SGD(lambda step: "0.1"))
    fit(model, optimizer=mc.SGD(0.1))


def test_metrics_only_name_the_accuracy():
    from mnist_c import keras

    model = make_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    assert set(fit(model, validation_split=0.2).history) == {"loss", "acc", "val_loss", "val_acc"}
    with pytest.raises(ValueError, match="Did you mean 'accuracy'"):
        model.compile("adam", "mse", metrics=["acuracy"])
    for other in (np.mean, keras.metrics.CategoricalAccuracy):
        with pytest.raises(TypeError, match="must be 'accuracy' or an object of"):
            model.compile("adam", metrics=["accuracy", other])


def test_threads_can_be_set():
    before = mc.get_num_threads()
    with pytest.raises(ValueError, match="at least 1"):
        mc.set_num_threads(0)
    with pytest.raises(TypeError, match="whole number"):
        mc.set_num_threads(1.5)
    hashes = set()
    try:
        for threads in (1, 2, 3):
            mc.set_num_threads(threads)
            assert mc.get_num_threads() == threads
            model = make_model()
            fit(model)
            hashes.add(model.weights_hash())
    finally:
        mc.set_num_threads(before)
    assert len(hashes) == 1


def test_show_config_prints_what_a_bug_report_needs(capsys):
    mc.show_config()
    out = capsys.readouterr().out
    for piece in (mc.__version__, np.__version__, "instruction set", "threads", "data directory"):
        assert piece in out
