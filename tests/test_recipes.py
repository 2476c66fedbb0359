"""The recipes: that they are the systems of their authors, and that their runs are what one would write by hand."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_recipes import TEST, TRAIN, digits, write_data

import mnist_c as mc
from mnist_c._synthetic import Random as Random
from mnist_c.recipes import Network, Split, _augment, _curves, _data, _figures, _mess
from mnist_c.recipes._recipe import Labelled

TEST_COUNTS = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])  # of each digit in MNIST's test part


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def source():
    x_train, y_train, x_test, y_test = digits()
    return _data.Source(Labelled(x_train, y_train), Labelled(x_test, y_test), tuple("0123456789"))


def every_variant():
    for name in mc.recipes.NAMES:
        for kind, variants in mc.recipes.get(name).groups().items():
            for variant in variants:
                yield pytest.param(kind, variant, id=f"{name} {variant.name}")


def reproduce(folder, name, **arguments):
    return mc.recipes.reproduce(name, data_dir=folder, progress=False, **arguments)


# ---------------------------------------------------------------- the systems


def test_the_five_systems_have_their_published_sizes_and_figures():
    assert mc.recipes.NAMES == ("gd-10k", "keras-mlp", "deep-l2", "gd-20", "sgd-2epochs")
    parameters = {name: mc.recipes.get(name).variants[0].network.build(0).count_params() for name in mc.recipes.NAMES}
    assert parameters == {
        "gd-10k": 784 * 10 + 10 + 10 * 10 + 10,
        "keras-mlp": 109_386,
        "deep-l2": 784 * 512 + 512 + 512 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10,
        "gd-20": 784 * 128 + 128 + 128 * 10 + 10,
        "sgd-2epochs": 784 * 128 + 128 + 128 * 10 + 10,
    }
    published = {name: [dict(v.published) for v in mc.recipes.get(name).variants] for name in mc.recipes.NAMES}
    keras = published.pop("keras-mlp")[0]
    assert {key: keras[key] for key in ("test_accuracy", "test_loss", "seconds")} == {
        "test_accuracy": 0.9746,
        "test_loss": 0.0834,
        "seconds": 20.3,
    }
    assert published == {
        "gd-10k": [{"train_accuracy": 0.9086}] * 2,
        "deep-l2": [
            {"train_accuracy": 0.9997, "validation_accuracy": 0.9794, "loss_gap": 0.606},
            {"validation_accuracy": 0.9769, "loss_gap": 1.118},
            {"validation_accuracy": 0.9763, "loss_gap": 0.770},
        ],
        "gd-20": [{"test_accuracy": 0.8057}],
        "sgd-2epochs": [{"test_accuracy": 0.90}, {"test_accuracy": 0.85}],
    }


def test_the_published_accuracies_per_digit_are_not_those_of_the_headline():
    per_digit = mc.recipes.get("keras-mlp").variants[0].published["per_digit"]
    mean = float(TEST_COUNTS @ per_digit / TEST_COUNTS.sum())
    assert f"average {100 * mean:.2f} %" in mc.recipes.get("keras-mlp").notes[0]
    assert np.argmax(per_digit) == 1
    assert np.argmin(per_digit) == 8


@pytest.mark.parametrize(("kind", "variant"), list(every_variant()))
def test_each_variant_is_documented_and_can_be_built(kind, variant):
    assert variant.change
    assert variant.epochs >= variant.fast_epochs >= 1
    assert variant.split.train + variant.split.validation <= (70_000 if variant.split.pooled else 60_000)
    assert not variant.published or kind != "improved"
    assert variant.network.build(0).layers[-1].units == 10


@pytest.mark.parametrize("name", mc.recipes.NAMES)
def test_names_of_variants_are_unique(name):
    recipe = mc.recipes.get(name)
    names = [variant.name for variants in recipe.groups().values() for variant in variants]
    assert len(set(names)) == len(names)
    for variant_name in names:
        assert recipe.find(variant_name)[1].name == variant_name
    assert recipe.story.startswith(f"{name}: ")


def test_initial_weights_are_those_of_the_recipe():
    _, uniform = mc.recipes.get("gd-10k").variants
    for array in uniform.network.build(3).get_weights():
        assert -0.5 <= array.min() < -0.3 < 0.3 < array.max() <= 0.5
    kernel, bias, *_ = mc.recipes.get("gd-20").variants[0].network.build(3).get_weights()
    assert kernel.std() == pytest.approx(0.01, rel=0.02)
    assert kernel.mean() == pytest.approx(0, abs=2e-4)
    assert not bias.any()
    kernel = mc.recipes.get("deep-l2").variants[0].network.build(3).get_weights()[2]
    assert kernel.std() == pytest.approx((2 / 512) ** 0.5, rel=0.02)


def test_a_network_is_the_sequential_model_of_its_words():
    network = Network(hidden=(5, 4), activation="tanh", dropout=0.25, input_dropout=0.1, batch_norm=True, scale=1.0)
    model = network.build(7)
    kinds = ["Flatten", "Dropout"] + ["Dense", "BatchNormalization", "Activation", "Dropout"] * 2 + ["Dense"]
    assert [type(layer).__name__ for layer in model.layers] == kinds
    assert (model.seed, model.scale) == (7, 1.0)
    assert [layer.bias is None for layer in model.layers if isinstance(layer, mc.layers.Dense)] == [True, True, False]
    assert str(network) == "784-5-4-10, activation tanh, dropout 0.25, input_dropout 0.1, batch_norm, scale 1.0"
    assert Network(hidden=(3,), l2=0.5).build(0).layers[-1].kernel_regularizer == mc.L2(0.5)
    other = Network(hidden=(3,), initializer="ones", output_initializer="zeros").build(0)
    assert [layer.kernel.max() for layer in other.layers[1:]] == [1, 0]


def test_a_variant_with_a_change_keeps_the_rest():
    published = mc.recipes.get("keras-mlp").variants[0]
    changed = published.but("new", "less dropout", dropout=0.1, epochs=3)
    assert changed == replace(
        published,
        name="new",
        change="less dropout",
        epochs=3,
        published={},
        network=Network(hidden=(128, 64), dropout=0.1),
    )


# ---------------------------------------------------------------- the data


def test_training_images_come_from_the_beginning_and_validation_images_from_the_end(source):
    parts = _data.divide(Split(train=41_000, validation=10_000), source, seed=0)
    np.testing.assert_array_equal(parts.train.images, source.train.images[:410])
    np.testing.assert_array_equal(parts.validation.images, source.train.images[-100:])
    np.testing.assert_array_equal(parts.validation.labels, source.train.labels[-100:])
    np.testing.assert_array_equal(parts.test.images, source.test.images)
    assert _data.divide(Split(train=60_000), source, seed=0).validation is None


def test_a_pooled_split_shuffles_all_images_once(source):
    parts = _data.divide(Split(train=56_000, validation=7_000, pooled=True), source, seed=5)
    assert [len(part.labels) for part in parts] == [560, 70, 70]
    pool = np.concatenate([source.train.images, source.test.images]).reshape(TRAIN + TEST, -1)
    shuffled = np.concatenate([part.images for part in parts]).reshape(TRAIN + TEST, -1)
    np.testing.assert_array_equal(np.sort(pool.view("V784"), axis=0), np.sort(shuffled.view("V784"), axis=0))
    order = mc.reference.permutation(5, 0, TRAIN + TEST)
    np.testing.assert_array_equal(shuffled, pool[order])


def test_a_shortened_source_has_the_first_tenth(source):
    short = _data.shorten(source)
    np.testing.assert_array_equal(short.train.images, source.train.images[: TRAIN // 10])
    np.testing.assert_array_equal(short.test.labels, source.test.labels[: TEST // 10])


def test_alterations_leave_the_images_alone_and_repeat_with_the_seed(source):
    for alter in (_mess.missing_pixels, _mess.imbalanced, _mess.wrong_labels, _augment.with_copies):
        before = [array.copy() for array in source.train]
        results = [alter(source.train, Random(seed, 0)) for seed in (1, 1, 2)]
        for array, old in zip(source.train, before, strict=True):
            np.testing.assert_array_equal(array, old)
        same = [all(map(np.array_equal, results[0], other)) for other in results[1:]]
        assert same == [True, False], alter


def test_messy_data_are_as_messy_as_they_say(source):
    images, labels = source.train
    spoiled = _mess.missing_pixels(source.train, Random(0, 0))
    ink = images > 0
    assert (spoiled.images[ink] == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(spoiled.images[spoiled.images > 0], images[spoiled.images > 0])
    rare = np.bincount(_mess.imbalanced(source.train, Random(0, 0)).labels, minlength=10) / np.bincount(labels)
    assert (rare[:5] == 1).all()
    assert rare[5:].mean() == pytest.approx(0.1, abs=0.05)
    wrong = _mess.wrong_labels(Labelled(images, np.zeros(TRAIN, np.uint8)), Random(0, 0)).labels
    counts = np.bincount(wrong, minlength=10)
    assert counts[0] / TRAIN == pytest.approx(0.8, abs=0.05)
    assert counts[1:].min() > 0


def test_a_warp_turns_and_stretches_about_the_centre():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 6:20, 9:14] = 200
    image[0, 7, 10] = 50
    quarter = np.array([[[0.0, 1.0], [-1.0, 0.0]]])
    np.testing.assert_array_equal(_augment.warp(image, np.eye(2)[None]), image)
    np.testing.assert_array_equal(_augment.warp(image, quarter), np.rot90(image, axes=(1, 2)))
    half = _augment.warp(image, 2 * np.eye(2)[None])  # pixel p is that of place 2 p: half as large
    assert half.sum() == pytest.approx(image.sum() / 4, rel=0.02)
    shifted = _augment.warp(np.full((1, 28, 28), 100, np.uint8), np.array([[[1.0, 0.0], [0.0, 1.0 + 1 / 27]]]))
    assert (shifted[0, 5, 1:-1] == 100).all()  # 100 between equal pixels, and half of it where the image ends
    assert shifted[0, 5, [0, -1]].tolist() == [50, 50]


def test_copies_are_rotated_scaled_and_noisy(source):
    n = 200
    part = Labelled(source.train.images[:n], source.train.labels[:n])
    images, labels = _augment.with_copies(part, Random(0, 0))
    assert images.shape == (4 * n, 28, 28)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.tile(part.labels, 4))
    np.testing.assert_array_equal(images[:n], part.images)
    ink = images.reshape(4, n, -1).sum(axis=2, dtype=np.int64) / part.images.sum(axis=(1, 2), dtype=np.int64)
    assert np.abs(ink[1] - 1).max() < 0.05  # a rotation keeps the ink
    # Stretching by f keeps f^2 of it; the digits are within the image whichever f it is.
    assert ink[2].min() == pytest.approx(0.85**2, abs=0.04)
    assert ink[2].max() == pytest.approx(1.15**2, abs=0.04)
    noise = images[3 * n :] != part.images
    assert noise.mean() == pytest.approx(0.1, abs=0.005)


# ---------------------------------------------------------------- the runs


def test_keras_mlp_is_the_program_that_one_would_write(folder):
    x_train, y_train, x_test, y_test = digits()
    model = mc.Sequential(
        [
            mc.Flatten(input_shape=(28, 28)),
            mc.Dense(128, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(64, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(10, activation="softmax"),
        ],
        seed=5,
    )
    model.compile(optimizer=mc.Adam(0.001), loss="categorical_crossentropy")
    one_hot = np.eye(10)[y_train]
    history = model.fit(x_train, one_hot, batch_size=32, epochs=10, validation_split=0.2, verbose=0)
    result = model.evaluate(x_test, y_test, verbose=0)

    report = reproduce(folder, "keras-mlp", seed=5)
    (run,) = report.variants[0].runs
    assert run.weights_hash == model.weights_hash() == report.weights_hash
    assert (run.figures["test_loss"], run.figures["test_accuracy"]) == result
    assert run.confusion_matrix == result.confusion_matrix.tolist()
    assert run.per_digit == result.per_class_accuracy.tolist()
    assert run.curves.history["val_loss"] == pytest.approx(history.history["val_loss"], rel=1e-6)
    assert report.obtained["test_accuracy"] == result.accuracy
    train = model.evaluate(x_train[:480], y_train[:480], verbose=0)  # in evaluation mode
    assert (run.figures["train_loss"], run.figures["train_accuracy"]) == train


def relu_network(x, weights):
    """Activations of all layers, and the logits."""
    activations = [x]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        activations.append(np.maximum(activations[-1] @ kernel + bias, 0))
    return activations, activations[-1] @ weights[-2] + weights[-1]


def gradients(x, labels, weights):
    """Of the mean cross-entropy, in float64: kernel, bias, kernel, bias, ..."""
    activations, logits = relu_network(x, weights)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    delta = (p / p.sum(axis=1, keepdims=True) - np.eye(10)[labels]) / len(x)
    found = []
    for i in range(len(activations) - 1, -1, -1):
        found = [activations[i].T @ delta, delta.sum(axis=0), *found]
        delta = delta @ weights[2 * i].T * (activations[i] > 0)
    return found


def test_gd_20_is_gradient_descent_on_all_raw_pixels_at_once(folder):
    x_train, y_train, x_test, y_test = digits()
    variant = mc.recipes.get("gd-20").variants[0]
    weights = [w.astype(np.float64) for w in variant.network.build(1).get_weights()]
    x = x_train.reshape(TRAIN, -1).astype(np.float64)
    for _ in range(20):
        weights = [w - 0.001 * g for w, g in zip(weights, gradients(x, y_train, weights), strict=True)]
    _, logits = relu_network(x_test.reshape(TEST, -1).astype(np.float64), weights)
    report = reproduce(folder, "gd-20", seed=1)
    assert report.obtained["test_accuracy"] == pytest.approx((logits.argmax(axis=1) == y_test).mean(), abs=0.011)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    loss = -np.log(p / p.sum(axis=1, keepdims=True))[np.arange(TEST), y_test].mean()
    assert report.obtained["test_loss"] == pytest.approx(loss, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "rate", "strength"),
    [
        ("lambda-0.001", 0.064, 0.001),
        ("lambda-0.00005", 0.064, 0.00005),
        ("lambda-0.001-mean", 0.001, 0.001),
        ("lambda-0.001-mean-m", 0.001, 0.001 / 64),
    ],
)
def test_a_step_of_deep_l2_is_that_of_its_reading(name, rate, strength):
    """W -= rate (gradient of the mean cross-entropy + lambda W), and no penalty on biases."""
    x_train, y_train, *_ = digits()
    variant = mc.recipes.get("deep-l2").find(name)[1]
    model = variant.network.build(2)
    before = [w.astype(np.float64) for w in model.get_weights()]
    model.fit(x_train[:64], y_train[:64], batch_size=64, shuffle=False, optimizer=variant.fresh_optimizer(), verbose=0)
    pixels = x_train[:64].reshape(64, -1) / 255.0
    for i, g in enumerate(gradients(pixels, y_train[:64], before)):
        step = rate * (g + strength * before[i] if i % 2 == 0 else g)
        np.testing.assert_allclose(before[i] - model.get_weights()[i], step, atol=2e-7)
    penalty = strength / 2 * sum((w**2).sum() for w in before[::2])
    networks = (variant.network, replace(variant.network, l2=0.0))
    with_penalty, without = (network.build(2).evaluate(x_train, y_train, verbose=0).loss for network in networks)
    assert with_penalty - without == pytest.approx(penalty, rel=1e-3)


def test_early_stopping_ends_with_the_weights_of_the_best_epoch(folder, monkeypatch):
    recipe = mc.recipes.get("deep-l2")
    short = replace(recipe.variants[0], epochs=40, early_stopping={"monitor": "val_loss", "patience": 3})
    monkeypatch.setitem(mc.recipes._registry.RECIPES, "deep-l2", replace(recipe, variants=(short,)))
    (run,) = reproduce(folder, "deep-l2").variants[0].runs
    losses = run.curves.history["val_loss"]
    assert run.stopped_by == "callback"
    assert run.best_epoch == np.argmin(losses) == run.epochs - 4
    assert run.figures["validation_loss"] == pytest.approx(min(losses), rel=1e-6)
    gap = run.figures["validation_loss"] / run.figures["train_loss"] - 1
    assert run.figures["loss_gap"] == pytest.approx(gap)
    difference = run.figures["train_accuracy"] - run.figures["validation_accuracy"]
    assert run.figures["accuracy_gap"] == pytest.approx(difference)


def test_validating_now_and_then_changes_nothing_but_the_curves(folder, monkeypatch):
    recipe = mc.recipes.get("gd-10k")
    short = replace(recipe.variants[0], epochs=60)
    both = (short, replace(short, name="each", every_epoch=True))
    monkeypatch.setitem(mc.recipes._registry.RECIPES, "gd-10k", replace(recipe, variants=both))
    sometimes, always = (variant.runs[0] for variant in reproduce(folder, "gd-10k").variants)
    assert sometimes.weights_hash == always.weights_hash
    assert sometimes.curves == always.curves
    assert [epoch + 1 for epoch in sometimes.curves.epoch] == [*range(1, 11), *range(12, 21, 2), *range(25, 51, 5), 60]


def test_seeds_are_counted_up_and_each_is_a_run_of_its_own(folder):
    together = reproduce(folder, "keras-mlp", seed=3, seeds=2, fast=True)
    assert together.seeds == [3, 4]
    alone = [reproduce(folder, "keras-mlp", seed=seed, fast=True).variants[0].runs[0] for seed in (3, 4)]
    hashes = [run.weights_hash for run in alone]
    assert [run.weights_hash for run in together.variants[0].runs] == hashes
    assert hashes[0] != hashes[1]
    mean = np.mean([run.figures["test_accuracy"] for run in alone])
    assert together.obtained["test_accuracy"] == pytest.approx(mean)


def test_readings_that_take_minutes_are_run_once_whatever_the_number_of_seeds(folder):
    report = reproduce(folder, "deep-l2", seeds=2, fast=True, variants=["lambda-0.001", "lambda-0.001-mean"])
    assert [[run.seed for run in variant.runs] for variant in report.variants] == [[0, 1], [0]]
    assert "without ±: of one" in str(report)


def test_a_shortened_run_takes_few_images_and_epochs_and_says_so(folder):
    report = reproduce(folder, "keras-mlp", fast=True)
    (run,) = report.variants[0].runs
    assert run.images == {"train": 48, "validation": 12, "test": 10}
    assert run.epochs == 2
    assert "SHORTENED RUN" in str(report)
    whole = reproduce(folder, "gd-20")
    assert "SHORTENED RUN" not in str(whole)
    # Its figures say nothing about the author's claims.
    assert [claim.holds for claim in report.claims] == [None] * len(report.claims) != []
    assert None not in [claim.holds for claim in whole.claims]


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        ({}, ("published",)),
        ({"improved": True}, ("published", "improved")),
        ({"full": True}, ("published", "reading", "improved")),
    ],
)
def test_the_kinds_of_variants_that_are_run_can_be_chosen(folder, arguments, kinds):
    report = reproduce(folder, "gd-20", fast=True, **arguments)
    groups = mc.recipes.get("gd-20").groups()
    expected = [(kind, variant.name) for kind in kinds for variant in groups[kind]]
    assert [(variant.kind, variant.name) for variant in report.variants] == expected


def test_single_variants_can_be_chosen(folder):
    report = reproduce(folder, "keras-mlp", fast=True, variants=["tanh", "no-dropout", "tanh"])
    assert [(variant.kind, variant.name) for variant in report.variants] == [
        ("improved", "tanh"),
        ("reading", "no-dropout"),
    ]


@pytest.mark.parametrize("name", ["gd-10k", "keras-mlp", "gd-20", "sgd-2epochs"])
def test_every_variant_runs(folder, name):
    report = reproduce(folder, name, fast=True, full=True)
    assert report.claims
    for variant in report.variants:
        assert variant.runs[0].stopped_by == "epochs"
        assert sum(map(sum, variant.runs[0].confusion_matrix)) == TEST // 10


def test_fashion_mnist_is_named_by_its_classes(folder):
    report = reproduce(folder, "sgd-2epochs", fast=True)
    assert "Ankle boot" in str(report)
    assert report.variant("fashion").dataset == "fashion-mnist"
    assert set(report.data) == {"mnist", "fashion-mnist"}


def test_fewer_images_than_the_official_ones_are_mentioned(folder):
    assert "600 training and 100 test images" in " ".join(reproduce(folder, "gd-20", fast=True).notes)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "keras-mpl"}, ValueError, "Did you mean 'keras-mlp'"),
        ({"variants": ["tahn"]}, ValueError, "Did you mean 'tanh'"),
        ({"variants": "tanh"}, ValueError, "list of names"),
        ({"variants": []}, ValueError, "list of names"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1"),
        ({"seeds": 1.5}, TypeError, "seeds must be a whole number"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
        ({"seed": 2**64 - 1, "seeds": 2}, ValueError, "seed must be from 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(folder, arguments, error, words):
    with pytest.raises(error, match=words):
        reproduce(folder, **{"name": "keras-mlp", **arguments})


def test_missing_data_are_an_error(tmp_path):
    with pytest.raises(mc.datasets.DatasetNotFoundError, match="mnist is not in the data_dir"):
        reproduce(tmp_path, "gd-20")


# ---------------------------------------------------------------- figures


def test_a_spread_is_that_of_numpy_and_the_interval_that_of_one_test_set():
    values = [0.97, 0.98, 0.976]
    figure = _figures.spread(values, 10_000)
    assert figure[:4] == pytest.approx((np.mean(values), np.std(values, ddof=1), 0.97, 0.98))
    assert (figure.low, figure.high) == mc.metrics.accuracy_interval(round(np.mean(values) * 10_000), 10_000)
    assert _figures.spread([3.0], None) == (3.0, 0.0, 3.0, 3.0, None, None)


def test_figures_are_printed_in_percent_with_their_spread():
    figure = _figures.spread([0.9746, 0.9766], 10_000)
    assert _figures.with_spread("test_accuracy", figure, 2) == "97.56 ± 0.14 % (97.46 to 97.66)"
    assert _figures.short("test_accuracy", figure, 2) == "97.56 ± 0.14 %"
    assert _figures.with_spread("test_loss", _figures.spread([0.0834], None), 1) == "0.0834"
    assert _figures.number("loss_gap", 0.606) == "60.60 %"


def test_kept_epochs_do_not_depend_on_where_a_run_stops():
    kept = [epoch + 1 for epoch in range(10_000) if _curves.shown(epoch, 10_000)]
    assert kept[:16] == [*range(1, 11), 12, 14, 16, 18, 20, 25]
    assert kept[-3:] == [8000, 9000, 10_000]
    assert {100, 200, 500, 1000, 3000} <= set(kept)
    assert len(kept) < 60
    assert all(_curves.shown(epoch, 50) for epoch in range(50))


# ---------------------------------------------------------------- real data

needs_mnist = pytest.mark.skipif(
    not Path(os.environ.get("MNIST_C_DATA", ""), "mnist").is_dir(),
    reason="needs the real data: set MNIST_C_DATA to the folder that holds mnist/ and fashion-mnist/",
)


@needs_mnist
def test_gd_20_gives_its_published_figure():
    assert mc.recipes.reproduce("gd-20", progress=False).obtained["test_accuracy"] > 0.80


@needs_mnist
def test_sgd_2epochs_gives_its_published_figure():
    report = mc.recipes.reproduce("sgd-2epochs", variants=["mnist"], progress=False)
    assert report.obtained["test_accuracy"] > 0.95
