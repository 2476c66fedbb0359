"""Images, labels and weights in all the forms that people have them in: the right ones train to the same bits, the
wrong ones are refused with a message that says what came, what was expected and what to do, the model untouched."""

import datetime
import warnings

import numpy as np
import pytest

import mnist_c as mc

N, CLASSES = 96, 10
_rng = np.random.default_rng(7)
LABELS = _rng.permutation(np.arange(N) % CLASSES).astype(np.uint8)
IMAGES = _rng.integers(0, 256, (N, 28, 28)).astype(np.uint8) * (_rng.random((N, 28, 28)) < 0.2)
ONE_HOT = np.eye(CLASSES)[LABELS]


def make_model(**options):
    layers = [
        mc.Flatten(input_shape=(28, 28)),
        mc.Dense(12, activation="relu"),
        mc.Dropout(0.2),
        mc.Dense(CLASSES, activation="softmax"),
    ]
    return mc.Sequential(layers, seed=3, **options)


def train(x, y, model=None, **options):
    model = model or make_model()
    model.fit(x, y, epochs=2, batch_size=20, verbose=0, **options)
    return model.weights_hash()


@pytest.fixture(scope="module")
def expected_hash():
    return train(IMAGES, LABELS)


def strided(a):
    """The same values with gaps in memory."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), dtype=a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


class ArrayLike:
    """What a pandas column or a tensor of another library is to NumPy."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.a, dtype=dtype)


RIGHT = {
    "as they are": (IMAGES, LABELS),
    "float64 / 255": (IMAGES / 255.0, LABELS),
    "float32 / 255": (IMAGES.astype("f4") / 255, LABELS),
    "flat": (IMAGES.reshape(N, 784), LABELS),
    "one channel": (IMAGES[..., None], LABELS),
    "channel first": (IMAGES[:, None], LABELS),
    "int64 pixels": (IMAGES.astype(np.int64), LABELS),
    "uint16 pixels": (IMAGES.astype(np.uint16), LABELS),
    "big-endian pixels": (IMAGES.astype(">i2"), LABELS),
    "big-endian floats": ((IMAGES / 255.0).astype(">f8"), LABELS),
    "strided pixels": (strided(IMAGES), LABELS),
    "Fortran order": (np.asfortranarray(IMAGES), LABELS),
    "read-only": (read_only(IMAGES), read_only(LABELS)),
    "nested lists": (IMAGES.tolist(), LABELS.tolist()),
    "tuple of images": (tuple(IMAGES), tuple(LABELS)),
    "array-like": (ArrayLike(IMAGES), ArrayLike(LABELS)),
    "reversed twice": (IMAGES[::-1].copy()[::-1], LABELS[::-1].copy()[::-1]),
    "int8 labels": (IMAGES, LABELS.astype(np.int8)),
    "int64 labels": (IMAGES, LABELS.astype(np.int64)),
    "uint64 labels": (IMAGES, LABELS.astype(np.uint64)),
    "big-endian labels": (IMAGES, LABELS.astype(">i4")),
    "whole float labels": (IMAGES, LABELS.astype(np.float32)),
    "column of labels": (IMAGES, LABELS[:, None]),
    "strided labels": (IMAGES, strided(LABELS)),
    "one-hot float64": (IMAGES, ONE_HOT),
    "one-hot float32": (IMAGES, ONE_HOT.astype(np.float32)),
    "one-hot int": (IMAGES, ONE_HOT.astype(int)),
    "one-hot bool": (IMAGES, ONE_HOT.astype(bool)),
    "one-hot list": (IMAGES, ONE_HOT.tolist()),
    "masked array without masked values": (np.ma.array(IMAGES), LABELS),
}


@pytest.mark.parametrize("form", RIGHT)
def test_every_right_form_trains_to_the_same_bits(form, expected_hash):
    assert train(*RIGHT[form]) == expected_hash


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("y", [LABELS, ONE_HOT])
def test_both_crossentropies_take_both_forms_of_labels(loss, y, expected_hash):
    assert train(IMAGES, y, loss=loss) == expected_hash


def test_weights_of_one_change_nothing(expected_hash):
    assert train(IMAGES, LABELS, sample_weight=np.ones(N)) == expected_hash
    assert train(IMAGES, LABELS, sample_weight=[[1]] * N) == expected_hash
    assert train(IMAGES, LABELS, class_weight={0: 1.0, 3: 1}) == expected_hash


def test_validation_split_is_the_last_part_unshuffled():
    rows = int(N * (1 - 0.25))
    split, given = make_model(), make_model()
    train(IMAGES, LABELS, split, validation_split=0.25)
    train(IMAGES[:rows], LABELS[:rows], given, validation_data=(IMAGES[rows:] / 255.0, ONE_HOT[rows:]))
    assert split.weights_hash() == given.weights_hash()
    assert split.history.history == given.history.history


def test_contiguous_uint8_images_are_not_copied():
    from mnist_c._inputs import Transform, images

    assert np.shares_memory(images(IMAGES, Transform(None, None), features=784), IMAGES)


# ---------------------------------------------------------------- pixels


def test_one_image_is_a_batch_of_one():
    model = make_model()
    rows = model.predict(IMAGES)
    for image in (IMAGES[5], IMAGES[5][None], IMAGES[5].ravel(), IMAGES[5] / 255.0, IMAGES[5][..., None]):
        assert model.predict(image).shape == (1, CLASSES)
        np.testing.assert_array_equal(model.predict(image)[0], rows[5])


def test_bool_images_are_black_and_white():
    x = IMAGES > 128
    assert train(x, LABELS) == train(x.astype(np.float32), LABELS) == train(x.astype(np.uint8) * 255, LABELS)


def test_scale_of_one_takes_raw_pixels():
    raw = train(IMAGES, LABELS, make_model(scale=1.0))
    assert raw == train(IMAGES.astype(np.float32), LABELS, make_model(scale=1.0))
    assert raw == train(IMAGES.astype(np.float32), LABELS, mc.Sequential(_rescaled(1.0), seed=3))
    assert raw != train(IMAGES, LABELS)
    binary = (IMAGES > 128).astype(np.uint8)
    assert train(binary, LABELS, make_model(scale=1.0)) == train(binary.astype("f4"), LABELS)


def _rescaled(scale, offset=0.0):
    return [
        mc.Rescaling(scale, offset, input_shape=(28, 28)),
        mc.Flatten(),
        mc.Dense(12, activation="relu"),
        mc.Dropout(0.2),
        mc.Dense(CLASSES, activation="softmax"),
    ]


def test_rescaling_takes_the_place_of_the_division_by_255():
    hashes = {
        train(x, LABELS, mc.Sequential(_rescaled(1 / 127.5, -1), seed=3))
        for x in (IMAGES, IMAGES.astype(np.float32), IMAGES.astype(np.float64), IMAGES.astype(np.int64))
    }
    by_hand = IMAGES.astype(np.float64) * (1 / 127.5) - 1
    assert hashes == {train(by_hand, LABELS)}


def test_scale_and_rescaling_exclude_each_other():
    train(IMAGES, LABELS, mc.Sequential(_rescaled(1 / 255), seed=3, scale=1.0))
    with pytest.raises(ValueError, match="leave out one"):
        train(IMAGES, LABELS, mc.Sequential(_rescaled(1 / 255), seed=3, scale=0.5))


def test_unscaled_float_pixels_give_one_warning_with_the_cure():
    x = IMAGES.astype(np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(x, LABELS, validation_data=(x, LABELS))
    assert len(caught) == 1
    assert "x / 255" in str(caught[0].message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(x, LABELS, make_model(scale=1.0))
        train((x - 33.3) / 78.6, LABELS)  # standardised pixels reach 2.8


def test_soft_targets_are_probabilities():
    soft = 0.9 * ONE_HOT + 0.01
    smoothing = mc.CategoricalCrossentropy(label_smoothing=0.1)
    a, b = make_model(), make_model()
    train(IMAGES, soft, a, optimizer=mc.SGD(0.1))
    train(IMAGES, LABELS, b, optimizer=mc.SGD(0.1), loss=smoothing)
    for u, v in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(u, v, atol=1e-5)


# ---------------------------------------------------------------- wrong forms

NOT_A_NUMBER = np.where(np.arange(N)[:, None] == 4, np.nan, IMAGES.reshape(N, 784) / 255)
INFINITE = np.where(np.arange(N)[:, None] == 9, np.inf, IMAGES.reshape(N, 784) / 255)
TWO_ONES = ONE_HOT.copy()
TWO_ONES[7] = ONE_HOT[7] + ONE_HOT[8] if LABELS[7] != LABELS[8] else ONE_HOT[7] * 2
DAYS = np.full(N, datetime.date(2024, 1, 1), dtype="M8[D]")

# name -> (x, y, other arguments of fit, exception, pieces of its message)
WRONG = {
    "labels as a row": (IMAGES, LABELS[None], {}, ValueError, ["(1, 96)", "(96,)", "y.ravel()"]),
    "label 10": (IMAGES, LABELS + (LABELS == 9), {}, ValueError, ["0 to 10", "10 outputs", "0 to 9"]),
    "labels from 1": (IMAGES, LABELS + 1, {}, ValueError, ["1 to 10", "y - 1"]),
    "label -1": (IMAGES, LABELS.astype(int) - 1, {}, ValueError, ["-1 to 8", "0 to 9"]),
    "labels as text": (IMAGES, LABELS.astype(str), {}, TypeError, ["text", "y.astype(int)"]),
    "labels as words": (IMAGES, ["cat", "dog"] * 48, {}, TypeError, ["'cat'", "np.unique(y"]),
    "labels as bytes": (IMAGES, LABELS.astype("S1"), {}, TypeError, ["text", "y.astype(int)"]),
    "fractions": (IMAGES, LABELS + 0.5, {}, ValueError, ["fractions", "y.astype(int)"]),
    "NaN labels": (IMAGES, np.where(LABELS == 3, np.nan, LABELS), {}, ValueError, ["y", "not finite", "row"]),
    "too few labels": (IMAGES, LABELS[:-1], {}, ValueError, ["(95,)", "96 rows", "same length"]),
    "too many labels": (IMAGES[:-6], LABELS, {}, ValueError, ["(96,)", "90 rows", "same length"]),
    "no labels": (IMAGES, None, {}, TypeError, ["y is None"]),
    "empty labels": (IMAGES, [], {}, ValueError, ["y is empty"]),
    "one label": (IMAGES, 3, {}, ValueError, ["single number", "(96,)"]),
    "object labels": (IMAGES, np.array([*LABELS[1:], None]), {}, TypeError, ["Python objects"]),
    "complex labels": (IMAGES, LABELS * 1j, {}, TypeError, ["complex128"]),
    "dates as labels": (IMAGES, DAYS, {}, TypeError, ["datetime64"]),
    "one-hot of 9": (IMAGES, np.eye(9)[LABELS % 9], {}, ValueError, ["(96, 9)", "10 outputs"]),
    "one-hot, transposed": (IMAGES, ONE_HOT.T, {}, ValueError, ["(10, 96)", "y.T"]),
    "one-hot with two ones": (IMAGES, TWO_ONES, {}, ValueError, ["row 7", "adds up to 2"]),
    "one-hot times 255": (IMAGES, ONE_HOT * 255, {}, ValueError, ["adds up to 255"]),
    "negative probabilities": (IMAGES, 2 * ONE_HOT - 0.1, {}, ValueError, ["row 0", "-0.1"]),
    "labels with 3 axes": (IMAGES, ONE_HOT[:, None, :], {}, ValueError, ["(96, 1, 10)"]),
    "x and y swapped": (LABELS, IMAGES, {}, ValueError, ["x is a flat", "(96,)"]),
    "NaN pixels": (NOT_A_NUMBER, LABELS, {}, ValueError, ["not finite", "nan", "row 4", "nan_to_num"]),
    "infinite pixels": (INFINITE, LABELS, {}, ValueError, ["not finite", "inf", "row 9"]),
    "object images": (IMAGES.astype(object), LABELS, {}, TypeError, ["Python objects", "np.stack(x)"]),
    "too few features": (IMAGES[:, :27], LABELS, {}, ValueError, ["(96, 27, 28)", "756", "784"]),
    "transposed images": (IMAGES.reshape(N, 784).T, LABELS, {}, ValueError, ["(784, 96)", "x.T"]),
    "rows last": (np.moveaxis(IMAGES, 0, -1), LABELS, {}, ValueError, ["np.moveaxis(x, -1, 0)"]),
    "colour images": (np.stack([IMAGES] * 3, -1), LABELS, {}, ValueError, ["(96, 28, 28, 3)", "784"]),
    "one image for fit": (IMAGES[0], LABELS[:1], {}, ValueError, ["(28, 28)", "x[None]"]),
    "uint8 images of 0 and 1": ((IMAGES > 99).astype("u1"), LABELS, {}, ValueError, ["largest value is 1", "x * 255"]),
    "pixels above 255": (IMAGES.astype(int) * 2, LABELS, {}, ValueError, ["510", "0 to 255", "astype('float32')"]),
    "negative pixels": (IMAGES.astype(int) - 128, LABELS, {}, ValueError, ["-128", "0 to 255"]),
    "empty images": (IMAGES[:0], LABELS[:0], {}, ValueError, ["x is empty", "(0, 28, 28)"]),
    "a number for images": (0.5, LABELS, {}, ValueError, ["single number"]),
    "no images": (None, LABELS, {}, TypeError, ["x is None"]),
    "complex images": (IMAGES * 1j, LABELS, {}, TypeError, ["complex128"]),
    "images as text": (IMAGES.astype(str), LABELS, {}, TypeError, ["numbers"]),
    "a path for images": ("mnist.npz", LABELS, {}, TypeError, ["x is a str"]),
    "ragged images": ([[1, 2], [3]], [0, 1], {}, ValueError, ["ragged", "1, 2"]),
    "masked images": (np.ma.masked_equal(IMAGES, 0), LABELS, {}, ValueError, ["masked", "x.filled(0)"]),
    "weights too few": (IMAGES, LABELS, {"sample_weight": np.ones(N - 1)}, ValueError, ["(95,)", "(96,)"]),
    "negative weight": (IMAGES, LABELS, {"sample_weight": np.arange(N) - 2.0}, ValueError, ["negative", "-2"]),
    "NaN weight": (IMAGES, LABELS, {"sample_weight": np.full(N, np.nan)}, ValueError, ["finite", "row 0"]),
    "weights as text": (IMAGES, LABELS, {"sample_weight": ["1"] * N}, TypeError, ["numbers"]),
    "class_weight list": (IMAGES, LABELS, {"class_weight": [1.0] * 10}, TypeError, ["dict", "balanced"]),
    "class_weight array": (IMAGES, LABELS, {"class_weight": np.ones(10)}, TypeError, ["dict", "balanced"]),
    "class_weight name": (IMAGES, LABELS, {"class_weight": "balance"}, TypeError, ["dict", "'balance'"]),
    "callbacks": (IMAGES, LABELS, {"callbacks": [print]}, TypeError, ["callbacks must hold objects"]),
    "weight of class 10": (IMAGES, LABELS, {"class_weight": {10: 2.0}}, ValueError, ["10", "0 to 9"]),
    "negative class weight": (IMAGES, LABELS, {"class_weight": {1: -1}}, ValueError, ["class_weight[1]"]),
    "split of 1": (IMAGES, LABELS, {"validation_split": 1.0}, ValueError, ["below 1"]),
    "split in per cent": (IMAGES, LABELS, {"validation_split": 20}, ValueError, ["0.2"]),
    "negative split": (IMAGES, LABELS, {"validation_split": -0.1}, ValueError, ["at least 0"]),
    "split as text": (IMAGES, LABELS, {"validation_split": "20%"}, TypeError, ["20%"]),
    "split leaves nothing": (IMAGES, LABELS, {"validation_split": 0.999}, ValueError, ["none for training"]),
    "validation without labels": (IMAGES, LABELS, {"validation_data": IMAGES}, TypeError, ["(x, y)"]),
    "validation of other size": (
        IMAGES,
        LABELS,
        {"validation_data": (IMAGES, LABELS[1:])},
        ValueError,
        ["validation y"],
    ),
    "validation with label 10": (
        IMAGES,
        LABELS,
        {"validation_data": (IMAGES, LABELS + 1)},
        ValueError,
        ["validation y"],
    ),
    "batch_size 0": (IMAGES, LABELS, {"batch_size": 0}, ValueError, ["batch_size", "at least 1"]),
    "negative batch_size": (IMAGES, LABELS, {"batch_size": -32}, ValueError, ["-32"]),
    "float batch_size": (IMAGES, LABELS, {"batch_size": 32.0}, TypeError, ["whole number", "32.0"]),
    "bool batch_size": (IMAGES, LABELS, {"batch_size": True}, TypeError, ["whole number"]),
    "negative epochs": (IMAGES, LABELS, {"epochs": -1}, ValueError, ["epochs", "-1"]),
    "text for epochs": (IMAGES, LABELS, {"epochs": "10"}, TypeError, ["epochs", "'10'"]),
    "shuffle='batch'": (IMAGES, LABELS, {"shuffle": "batch"}, TypeError, ["shuffle"]),
    "verbose=3": (IMAGES, LABELS, {"verbose": 3}, ValueError, ["verbose"]),
    "unknown optimizer": (IMAGES, LABELS, {"optimizer": "adan"}, ValueError, ["'adan'", "Did you mean 'adam'"]),
    "an optimizer's number": (IMAGES, LABELS, {"optimizer": 1e-3}, TypeError, ["optimizer", "Adam(1e-3)"]),
    "unknown loss": (IMAGES, LABELS, {"loss": "categorical_crossentrophy"}, ValueError, ["Did you mean"]),
    "softmax twice": (IMAGES, LABELS, {"loss": mc.CategoricalCrossentropy(from_logits=True)}, ValueError, ["twice"]),
    "softmax and squares": (IMAGES, LABELS, {"loss": "mse"}, ValueError, ["softmax", "categorical_crossentropy"]),
}


def snapshot(model):
    state = model._state
    return (
        model.weights_hash(),
        state.network.progress(),
        model.optimizer,
        model.loss,
        model.history,
        [state.network.get(f"slot{s}", i).tobytes() for s in range(2) for i in range(len(state.tensors))],
    )


@pytest.fixture(scope="module")
def trained():
    model = make_model()
    train(IMAGES, LABELS, model)
    return model


@pytest.mark.parametrize("form", WRONG)
def test_every_wrong_form_is_explained_and_changes_nothing(form, trained):
    x, y, options, exception, pieces = WRONG[form]
    before = snapshot(trained)
    with pytest.raises(exception) as caught:
        trained.fit(x, y, **{"verbose": 0, **options})
    for piece in pieces:
        assert piece in str(caught.value)
    assert snapshot(trained) == before


@pytest.mark.parametrize("form", [name for name, case in WRONG.items() if not case[2]])
@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "gradients"])
def test_other_methods_refuse_the_same_forms(form, method, trained):
    x, y, _, exception, pieces = WRONG[form]
    before = snapshot(trained)
    with pytest.raises(exception) as caught:
        getattr(trained, method)(x, y)
    for piece in pieces:
        assert piece in str(caught.value)
    assert snapshot(trained) == before


def test_a_whole_data_set_in_place_of_arrays_is_explained():
    class Data:
        images, labels = IMAGES, LABELS

    with pytest.raises(TypeError, match=r"fit\(train\.images, train\.labels\)"):
        make_model().fit(Data(), verbose=0)


def test_a_model_of_unknown_shape_stays_unbuilt_when_the_data_are_wrong():
    model = mc.Sequential([mc.Flatten(), mc.Dense(CLASSES, activation="softmax")], seed=0)
    with pytest.raises(ValueError, match="labels from 0 to 10"):
        model.fit(IMAGES, LABELS + (LABELS == 9), verbose=0)
    assert not model.built
    with pytest.raises(ValueError, match="input_shape"):
        model.get_weights()
    model.fit(IMAGES[:, :20], LABELS, verbose=0)
    assert model.layers[1].kernel.shape == (560, CLASSES)


def test_numbers_without_a_loss_are_explained():
    model = mc.Sequential([mc.Dense(3, input_dim=4)], seed=0)
    with pytest.raises(ValueError, match="loss='mse'"):
        model.fit(np.ones((5, 4)), np.linspace(-2, 3, 15).reshape(5, 3), verbose=0)


def test_few_nearly_black_images_can_be_predicted(trained):
    black = np.zeros((16, 28, 28), dtype=np.uint8)
    black[:, 3, 3] = 1
    assert trained.predict(black[0]).shape == (1, CLASSES)
    assert trained.predict(black[:15]).shape == (15, CLASSES)
    with pytest.raises(ValueError, match="largest value is 1"):
        trained.predict(black)
    with pytest.raises(ValueError, match="largest value is 1"):
        trained.evaluate(black[:1], LABELS[:1])


# ---------------------------------------------------------------- models that cannot be

MODELS = {
    "unknown activation": (lambda: mc.Dense(4, activation="relux"), ValueError, "Did you mean 'relu'"),
    "a function as activation": (lambda: mc.Dense(4, activation=np.tanh), TypeError, "tanh"),
    "unknown initializer": (lambda: mc.Dense(4, kernel_initializer="he"), ValueError, "he_normal"),
    "unknown regularizer": (lambda: mc.Dense(4, kernel_regularizer="l3"), ValueError, "l1"),
    "a number as regularizer": (lambda: mc.Dense(4, kernel_regularizer=0.1), TypeError, r"L2\(1e-4\)"),
    "no units": (lambda: mc.Dense(0), ValueError, "positive"),
    "float units": (lambda: mc.Dense(10.0), TypeError, "units must be a positive whole number, not 10.0"),
    "a shape as units": (lambda: mc.Dense((3, 4)), TypeError, "positive whole number"),
    "a list as units": (lambda: mc.Dense([10]), TypeError, "positive whole number"),
    "bool units": (lambda: mc.Dense(True), TypeError, "positive whole number"),
    "dropout of everything": (lambda: mc.Dropout(1.0), ValueError, "below 1"),
    "dropout in per cent": (lambda: mc.Dropout(20), ValueError, "below 1"),
    "negative L2": (lambda: mc.L2(-1e-4), ValueError, "0 or more"),
    "negative rate": (lambda: mc.Adam(-1e-3), ValueError, "0 or more"),
    "rate as text": (lambda: mc.Adam("1e-3"), TypeError, "learning_rate"),
    "momentum of 1": (lambda: mc.SGD(0.1, momentum=1.0), ValueError, "momentum"),
    "no Flatten": (lambda: mc.Sequential([mc.Input((28, 28)), mc.Dense(10)]), ValueError, r"Flatten\(\)"),
    "softmax in the middle": (
        lambda: mc.Sequential([mc.Dense(9, "softmax", input_dim=4), mc.Dense(10)]),
        ValueError,
        "softmax must be the last",
    ),
    "Rescaling in the middle": (
        lambda: mc.Sequential([mc.Dense(9, input_dim=4), mc.Rescaling(2.0)]),
        ValueError,
        "only inputs",
    ),
    "a class, not a layer": (lambda: mc.Sequential([mc.Flatten, mc.Dense(10)]), TypeError, "expected a layer"),
    "two layers of one name": (
        lambda: mc.Sequential([mc.Dense(9, name="a", input_dim=4), mc.Dense(9, name="a")]),
        ValueError,
        "named 'a'",
    ),
    "negative seed": (lambda: mc.Sequential(seed=-1), ValueError, "seed"),
    "seed as text": (lambda: mc.Sequential(seed="0"), TypeError, "seed"),
    "float16": (lambda: mc.Sequential(dtype="float16"), ValueError, "float32"),
    "scale of 0": (lambda: mc.Sequential(scale=0), ValueError, "scale"),
    "no layers": (lambda: mc.Sequential([mc.Input((784,))]).get_weights(), ValueError, "computes nothing"),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_that_cannot_be_are_explained(name):
    make, exception, pattern = MODELS[name]
    with pytest.raises(exception, match=pattern):
        make()


@pytest.mark.parametrize(
    ("last", "loss", "pattern"),
    [
        ({}, "categorical_crossentropy", r"from_logits=True"),
        ({"activation": "tanh"}, "sparse_categorical_crossentropy", r"activation='softmax'"),
        ({"activation": "relu"}, mc.CategoricalCrossentropy(from_logits=True), r"activation='softmax'"),
    ],
)
def test_losses_that_do_not_fit_the_last_layer_are_explained(last, loss, pattern):
    model = mc.Sequential([mc.Dense(CLASSES, input_dim=784, **last)], seed=0)
    with pytest.raises(ValueError, match=pattern):
        model.compile("adam", loss)
    with pytest.raises(ValueError, match=pattern):
        model.fit(IMAGES, LABELS, loss=loss, verbose=0)
    assert model.loss is None


def test_no_loss_for_a_last_layer_that_says_nothing_is_explained():
    model = mc.Sequential([mc.Dense(CLASSES, "tanh", input_dim=784)], seed=0)
    with pytest.raises(ValueError, match="no loss was given"):
        model.fit(IMAGES, LABELS, verbose=0)
