"""Models in files: what was saved comes back to the bit and trains on to the bit; what was changed is refused."""

import copy
import json
import os
import pickle
import resource
import sys
import warnings
from pathlib import Path

import helpers_saving as zoo
import numpy as np
import pytest
from helpers_saving import FLOATS, LABELS, PIXELS, encode, fit, make_model

import mnist_c as mc
from mnist_c import _core, _description, saving
from mnist_c._safetensors import decode
from mnist_c.saving import ModelFileError, load_model, load_weights, save_model, save_weights


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def reload(model, path, **options):
    save_model(model, path, **options)
    return load_model(path)


def contents(path):
    return decode(path.read_bytes())


def optimizer_state(model):
    state = model._state
    return {(part, i): state.network.get(part, i).tobytes() for part, i in state.parts()}, state.network.progress()


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("name", zoo.MODELS)
def test_loaded_model_is_the_saved_one(name, path):
    model = make_model(name)
    fit(model, name, mc.Adam(1e-2))
    again = reload(model, path)
    assert again.weights_hash() == model.weights_hash()
    assert _description.get_config(again) == _description.get_config(model)
    assert [str(layer) for layer in again.layers] == [str(layer) for layer in model.layers]
    assert (again.seed, again.dtype, again.scale, again.name) == (model.seed, model.dtype, model.scale, model.name)
    assert again.loss == model.loss
    for x in (PIXELS, FLOATS):
        assert again.predict(x).tobytes() == model.predict(x).tobytes()
    found, expected = again.evaluate(PIXELS, LABELS, verbose=0), model.evaluate(PIXELS, LABELS, verbose=0)
    assert tuple(found) == tuple(expected)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_training_goes_on_to_the_bits_of_the_run_that_was_never_saved(name, path):
    model, other = make_model(name), make_model(name)
    fit(model, name, mc.Adam(1e-2))
    fit(other, name, mc.Adam(1e-2))
    again = reload(model, path)
    assert fit(again, name) == fit(other, name)
    assert again.weights_hash() == other.weights_hash() != model.weights_hash()
    assert optimizer_state(again) == optimizer_state(other)


@pytest.mark.parametrize("optimizer", zoo.OPTIMIZERS)
def test_every_optimizer_goes_on_with_its_moments_and_its_schedule(optimizer, path):
    model, other = make_model(), make_model()
    for each in (model, other):
        fit(each, optimizer=zoo.OPTIMIZERS[optimizer]())
    again = reload(model, path)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert optimizer_state(again) == optimizer_state(model)
    assert fit(again) == fit(other)
    assert again.weights_hash() == other.weights_hash()
    assert optimizer_state(again) == optimizer_state(other)


def test_training_goes_on_through_many_saved_files(path):
    whole, parts = make_model(), make_model()
    history = fit(whole, optimizer=mc.Adam(1e-2), epochs=4)
    losses = []
    for epoch in range(4):
        losses += fit(parts, optimizer=None if epoch else mc.Adam(1e-2), epochs=1)["loss"]
        parts = reload(parts, path)
    assert losses == history["loss"]
    assert parts.weights_hash() == whole.weights_hash()


def test_number_of_threads_does_not_matter_to_a_loaded_model(path):
    model, other = make_model(), make_model()
    for each in (model, other):
        fit(each, optimizer=mc.Adam(1e-2))
    again = reload(model, path)
    fit(other)
    before = mc.get_num_threads()
    try:
        mc.set_num_threads(1 if before > 1 else 2)
        fit(again)
    finally:
        mc.set_num_threads(before)
    assert again.weights_hash() == other.weights_hash()


def test_optimizer_by_name_goes_on_where_the_same_name_is_given_again(path):
    model, other = make_model(), make_model()
    for each in (model, other):
        fit(each, optimizer="adam")
    again = reload(model, path)
    fit(again, optimizer="adam")
    fit(other, optimizer="adam")
    assert again.weights_hash() == other.weights_hash()
    fit(again, optimizer="sgd")
    assert isinstance(again.optimizer, mc.SGD)


@pytest.mark.parametrize("trained", [False, True])
def test_compiled_model_begins_with_a_fresh_optimizer_as_without_a_file(trained, path):
    model, other = make_model(), make_model()
    for each in (model, other):
        if trained:
            fit(each, optimizer=mc.Adam(1e-2))
        each.compile(mc.SGD(0.1, momentum=0.9), mc.CategoricalCrossentropy(label_smoothing=0.1), metrics=["acc"])
    again = reload(model, path)
    assert again.metric == "acc"
    assert fit(again) == fit(other)
    assert again.weights_hash() == other.weights_hash()


def test_new_optimizer_that_has_not_stepped_yet_begins_afresh(path):
    models = make_model(), make_model()
    for each in models:
        fit(each, optimizer=mc.Adam(1e-2))
        fit(each, optimizer=mc.SGD(0.1, momentum=0.9), epochs=0)
    again = reload(models[0], path)
    fit(again)
    fit(models[1])
    assert again.weights_hash() == models[1].weights_hash()


def test_untrained_model_comes_back_untrained(path):
    model = make_model()
    again = reload(model, path)
    assert (again.optimizer, again.loss, again.history) == (None, None, None)
    fit(model)
    fit(again)
    assert again.weights_hash() == model.weights_hash()


def test_without_the_optimizer_training_begins_with_a_new_one(path):
    model = make_model()
    fit(model, optimizer=mc.SGD(0.1, momentum=0.9))
    again = reload(model, path, include_optimizer=False)
    assert again.optimizer is None
    assert again.loss == model.loss
    assert all("slot" not in name for name in contents(path)[0])
    fit(model, optimizer=mc.Adam(1e-2))
    fit(again, optimizer=mc.Adam(1e-2))
    assert again.weights_hash() == model.weights_hash()  # shuffles and dropout go on


def test_learning_rate_that_is_a_function_cannot_be_saved_and_that_is_said(path):
    model = make_model()
    fit(model, optimizer=mc.SGD(lambda step: 0.1 / (step + 1)))
    with pytest.warns(UserWarning, match="optimizer is left out of the file.*function") as caught:
        save_model(model, path)
    assert caught[0].filename == __file__
    again = load_model(path)
    assert again.optimizer is None
    assert again.weights_hash() == model.weights_hash()

    class MySchedule(mc.schedules.LearningRateSchedule):
        def __init__(self, start):
            self._start = start

        def __call__(self, step):
            return self._start

    model.optimizer.learning_rate = MySchedule(0.1)
    with pytest.warns(UserWarning, match="MySchedule"):
        save_model(model, path)


def test_class_names_are_kept(path):
    model = make_model()
    for names in (["zero", "eins", "二"], ("zero", "eins", "二")):
        model.class_names = names
        assert reload(model, path).class_names == ["zero", "eins", "二"]
    for wrong in (["a", "b"], ["a", "b", 3], "abc"):
        model.class_names = wrong
        with pytest.raises(ValueError, match="class"):
            save_model(model, path)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_loaded_models_can_be_copied(copied, path):
    model = make_model("every activation")
    fit(model, "every activation", mc.Adam(1e-2))
    again = copied(reload(model, path))
    assert reload(again, path).weights_hash() == model.weights_hash()
    fit(model, "every activation")
    fit(again, "every activation")
    assert again.weights_hash() == model.weights_hash()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_compiled_anew_after_training_can_be_copied(copied):
    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    model.compile("adam", mc.CategoricalCrossentropy(label_smoothing=0.1))
    other = copied(model)
    fit(model)
    fit(other)
    assert other.weights_hash() == model.weights_hash()


# ---------------------------------------------------------------- the file


def test_file_says_what_other_readers_want_to_know(path):
    library = pytest.importorskip("safetensors", reason="needs the safetensors library")
    from safetensors.numpy import load_file

    model = make_model("rescaling")
    model.class_names = ["a", "b", "c"]
    fit(model, "rescaling", mc.SGD(0.1, momentum=0.9))
    save_model(model, path)
    tensors = load_file(path)
    dense = model.layers[2]
    assert set(tensors) == {"dense/kernel", "dense/bias", "dense/kernel/slot0", "dense/bias/slot0"}
    np.testing.assert_array_equal(tensors["dense/kernel"], dense.kernel, strict=True)
    np.testing.assert_array_equal(tensors["dense/bias"], dense.bias, strict=True)
    with library.safe_open(path, "np") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["format_version"]) == ("mnist_c.model", "1")
    assert metadata["written_by"] == f"mnist_c {mc.__version__}"
    assert metadata["contract_version"] == str(_core.CONTRACT_VERSION)
    assert json.loads(metadata["input"]) == {"shape": [4, 4], "scale": None, "rescaling": [1 / 127.5, -1]}
    assert json.loads(metadata["classes"]) == {"count": 3, "names": ["a", "b", "c"]}
    assert [layer["class_name"] for layer in json.loads(metadata["model"])["layers"]] == [
        "Rescaling",
        "Flatten",
        "Dense",
    ]
    assert json.loads(metadata["training"])["progress"] == {"epoch": 2, "step": 12, "optimizer_step": 12}


def test_file_rewritten_by_the_safetensors_library_is_the_same_model(path):
    library = pytest.importorskip("safetensors", reason="needs the safetensors library")
    from safetensors.numpy import load_file, save_file

    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    save_model(model, path)
    with library.safe_open(path, "np") as file:
        metadata = file.metadata()
    save_file(load_file(path), path, metadata)
    again = load_model(path)
    assert optimizer_state(again) == optimizer_state(model)


def test_same_model_gives_the_same_bytes(path, tmp_path):
    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    save_model(model, path)
    save_model(load_model(path), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_saving_changes_nothing(path):
    model, other = make_model(), make_model()
    for each in (model, other):
        fit(each, optimizer=mc.Adam(1e-2))
    save_model(model, path)
    fit(model)
    fit(other)
    assert model.weights_hash() == other.weights_hash()


def test_files_that_may_not_be_overwritten_stay(path):
    model = make_model()
    save_model(model, path, overwrite=False)
    before = path.read_bytes()
    fit(model)
    for save in (lambda: model.save(path, overwrite=False), lambda: save_model(model, path, False)):
        with pytest.raises(FileExistsError, match="exists: choose another name"):
            save()
    assert path.read_bytes() == before


def test_failed_save_leaves_the_old_file(path, monkeypatch):
    model = make_model()
    save_model(model, path)
    before = path.read_bytes()
    fit(model)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_models_that_no_file_can_describe_are_refused_and_nothing_is_written(path):
    class MyDense(mc.Dense):
        pass

    class MyLoss(mc.MeanSquaredError):
        pass

    own_layer = mc.Sequential([MyDense(3, input_shape=(4,))])
    own_loss = mc.Sequential([mc.Dense(3, input_shape=(4,))])
    own_loss.compile("sgd", MyLoss())
    own_initializer = mc.Sequential([mc.Dense(3, input_shape=(4,), kernel_initializer=type("Mine", (mc.Ones,), {})())])
    too_long = mc.Sequential([mc.Dense(2, input_shape=(2,)), *(mc.Flatten() for _ in range(1000))])
    for model, message in (
        (own_layer, "MyDense is not a class of mnist_c"),
        (own_loss, "MyLoss is not a class of mnist_c"),
        (own_initializer, "Mine is not a class of mnist_c"),
        (too_long, "at most 1000"),
        (mc.Sequential([mc.Dense(3)]), "no weights yet"),
    ):
        with pytest.raises(ValueError, match=message):
            save_model(model, path)
    assert list(path.parent.iterdir()) == []


def test_values_that_are_not_finite_are_not_saved(path):
    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    for part, name in (("value", "dense/kernel holds"), ("slot1", "dense/kernel/slot1 holds")):
        network = model._state.network
        array = network.get(part, 0)
        network.set(part, 0, np.full_like(array, np.inf))
        with pytest.raises(ValueError, match=f"{name}.*not finite"):
            save_model(model, path)
        network.set(part, 0, array)
    assert list(path.parent.iterdir()) == []


def test_shapes_known_before_loading_are_those_of_the_core():
    for name in zoo.MODELS:
        model = make_model(name)
        model.build((4, 4))
        state = model._state
        for optimizer, slots in ((mc.SGD(), 0), (mc.Adam(), 2), (mc.RMSprop(momentum=0.5, centered=True), 3)):
            state.use_optimizer(optimizer)
            held = {saving._names(state)[part, i]: state.network.get(part, i).shape for part, i in state.parts()}
            assert saving._shapes(state.plan, slots) == held


# ---------------------------------------------------------------- weights alone


def test_weights_go_from_one_model_to_another(path):
    model, other = make_model("batch normalisation"), make_model("batch normalisation")
    fit(model, "batch normalisation", mc.Adam(1e-2))
    fit(other, "batch normalisation", mc.SGD(0.1, momentum=0.9), epochs=1)
    moments = {key: value for key, value in optimizer_state(other)[0].items() if key[0] != "value"}
    for save in (save_weights, save_model):
        other.set_weights([0 * w for w in other.get_weights()])
        save(model, path)
        load_weights(other, path)
        assert other.weights_hash() == model.weights_hash()
        after, progress = optimizer_state(other)
        assert {key: value for key, value in after.items() if key[0] != "value"} == moments
        assert progress[0] == 1


def test_weights_of_other_libraries_can_be_loaded(path):
    model = mc.Sequential([mc.Dense(3, "softmax", input_shape=(4,))], seed=1)
    kernel, bias = np.arange(12).reshape(4, 3) / 16, np.arange(3) / 4
    for dtype in ("float16", "float32", "float64"):
        path.write_bytes(encode({"dense/kernel": kernel.astype(dtype), "dense/bias": bias.astype(dtype)}, {"a": "b"}))
        model.set_weights([0 * kernel, 0 * bias])
        load_weights(model, path)
        np.testing.assert_array_equal(model.layers[0].kernel, kernel.astype("float32"), strict=True)
        np.testing.assert_array_equal(model.layers[0].bias, bias.astype("float32"), strict=True)


def test_weights_that_do_not_fit_change_nothing(path):
    model = mc.Sequential([mc.Dense(3, "softmax", input_shape=(4,))], seed=1)
    before = model.weights_hash()
    kernel, bias = np.zeros((4, 3), np.float32), np.zeros(3, np.float32)
    bad = np.full(3, np.nan, np.float32)
    for tensors, message in (
        ({"dense/kernel": kernel}, "lacks 'dense/bias'"),
        ({"dense/kernel": kernel, "dense/bias": bias, "more": bias}, "has 'more'"),
        ({"dense_1/kernel": kernel, "dense_1/bias": bias}, "lacks 'dense/kernel' and has 'dense_1/"),
        ({"dense/kernel": kernel.T, "dense/bias": bias}, r"shape \(3, 4\), but the model's has \(4, 3\)"),
        ({"dense/kernel": kernel, "dense/bias": bias.astype(int)}, "int64, not of floats"),
        ({"dense/kernel": kernel, "dense/bias": bad}, "not finite"),
        ({"dense/kernel": kernel, "dense/bias": np.array([0, 0, 1e300])}, "beyond the range of float32"),
    ):
        path.write_bytes(encode(tensors, {}))
        with pytest.raises(ModelFileError, match=message) as caught:
            load_weights(model, path)
        assert str(path) in str(caught.value)
        assert model.weights_hash() == before


def test_damaged_weights_are_noticed(path):
    model = make_model()
    save_weights(model, path)
    file = bytearray(path.read_bytes())
    file[-5] ^= 1
    path.write_bytes(file)
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_weights(model, path)


# ---------------------------------------------------------------- files that are refused


def test_what_is_no_file_is_an_os_error(tmp_path):
    for load in (load_model, lambda path: load_weights(make_model(), path)):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "missing")
        with pytest.raises(IsADirectoryError):
            load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="pipe is no regular file"):
        load_model(tmp_path / "pipe")


def test_files_of_other_kinds_are_named(path):
    model = make_model()
    save_weights(model, path)
    with pytest.raises(ModelFileError, match="weights alone"):
        load_model(path)
    path.write_bytes(encode({"w": np.zeros(3)}, {"format": "pt"}))
    with pytest.raises(ModelFileError, match="not written by mnist_c: its format is 'pt'"):
        load_model(path)
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    with pytest.raises(ModelFileError, match=r"model\.npz: this is not a safetensors file but a zip archive"):
        load_model(path.with_suffix(".npz"))


def reseal(path, change_metadata=None, change_tensors=None):
    """Changes a file as somebody would who knows the format: with the checksum that belongs to the new content."""
    tensors, metadata = contents(path)
    tensors = {name: array.copy() for name, array in tensors.items()}
    del metadata["sha256"]
    if change_metadata:
        change_metadata(metadata)
    if change_tensors:
        change_tensors(tensors)
    metadata["sha256"] = saving._digest(tensors, metadata)
    path.write_bytes(encode(tensors, metadata))


def edit(part, change):
    """A change of one of the JSON texts."""

    def apply(metadata):
        value = json.loads(metadata[part])
        change(value)
        metadata[part] = json.dumps(value)

    return apply


def setting(*keys, to):
    """Sets value[key][key]... = to."""

    def apply(value):
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = to

    return apply


def layer(index, **config):
    return edit("model", lambda value: value["layers"][index]["config"].update(config))


NOTHING_ELSE = "and nothing else"
# What is changed in a file of "regularizers and dropout", trained with Adam -> what the error says.
EDITED = {
    "newer version": (lambda m: m.update(format_version="2"), "format version '2'.*reads version 1"),
    "no version": (lambda m: m.pop("format_version"), "format version None"),
    "unknown format": (lambda m: m.update(format="mnist_c.modle"), "format is 'mnist_c.modle'"),
    "more metadata": (lambda m: m.update(more="1"), "more"),
    "less metadata": (lambda m: m.pop("training"), "training"),
    "no contract": (lambda m: m.update(contract_version="one"), "contract_version"),
    "model is no JSON": (lambda m: m.update(model="{"), "'model' is not valid JSON"),
    "model is a list": (lambda m: m.update(model="[]"), "configuration of a model must have"),
    "training is a number": (lambda m: m.update(training="5"), NOTHING_ELSE),
    "NaN": (lambda m: m.update(training='{"loss": NaN}'), "NaN"),
    "the same key twice": (lambda m: m.update(classes='{"count": 3, "count": 3, "names": null}'), "'count' twice"),
    "deep": (lambda m: m.update(model="[" * 100_000), "nested"),
    "layers missing": (edit("model", lambda v: v.pop("layers")), NOTHING_ELSE),
    "layers are a dict": (edit("model", setting("layers", to={})), "list"),
    "no layers": (edit("model", setting("layers", to=[])), "computes nothing"),
    "too many layers": (edit("model", setting("layers", to=[{}] * 1001)), "1000"),
    "layer is a text": (edit("model", setting("layers", 1, to="Flatten")), "class_name"),
    "unknown layer": (edit("model", setting("layers", 1, "class_name", to="Conv2D")), "unknown layer 'Conv2D'"),
    "layer of Python": (edit("model", setting("layers", 1, "class_name", to="os.system")), "unknown layer"),
    "unknown argument": (layer(3, groups=2), "groups"),
    "argument of the base": (layer(1, declared_shape=[4]), "declared_shape"),
    "the same name twice": (layer(4, name="dense"), "named 'dense' already"),
    "name is a number": (layer(3, name=7), "name must be a text"),
    "name is half a surrogate": (layer(3, name="\ud800"), "no valid text"),
    "other name": (layer(3, name="other"), "lacks 'other/kernel' and has 'dense/kernel'"),
    "more units": (layer(3, units=7), r"shape \(16, 6\), but the model's has \(16, 7\)"),
    "2^40 units": (layer(3, units=2**40), "1099511627776"),
    "2^63 units": (layer(3, units=2**63), "shape"),
    "units of text": (layer(3, units="6"), "units must be"),
    "units true": (layer(3, units=True), "units must be"),
    "flag of text": (layer(3, use_bias="true"), r"layers\[3\]\.config\.use_bias has no known meaning"),
    "argument without a meaning": (layer(3, input_dim=None), r"input_dim has no known meaning"),
    "flag is 1": (layer(3, use_bias=1), r"use_bias has no known meaning"),
    "unknown activation": (layer(3, activation="mish"), "unknown activation 'mish'"),
    "activation of another kind": (layer(3, activation={"class_name": "Dense", "config": {}}), "unknown activation"),
    "short description": (layer(3, kernel_initializer="glorot_uniform"), r"kernel_initializer has no known meaning"),
    "deep initializer": (
        layer(3, kernel_initializer={"class_name": "Constant", "config": {"value": {"class_name": "Ones"}}}),
        "value must be a finite number",
    ),
    "dropout of 1": (layer(2, rate=1.0), "rate must be at least 0"),
    "negative penalty": (layer(3, bias_regularizer={"class_name": "L2", "config": {"l2": -1.0}}), "l2"),
    "softmax in the middle": (layer(3, activation="softmax"), "softmax must be the last"),
    "other shape": (edit("model", setting("input_shape", to=[4, 5])), r"input_shape\[1\] has no known meaning"),
    "shape of 2^50": (layer(0, input_shape=[2**25, 2**25]), r"shape \(16, 6\), but the model's has"),
    "shape of 10,000 axes": (layer(0, input_shape=[1] * 10_000), "10000 axes"),
    "seed is negative": (edit("model", setting("seed", to=-1)), "seed must be"),
    "seed is null": (edit("model", setting("seed", to=None)), "seed has no known meaning"),
    "seed of 2^64": (edit("model", setting("seed", to=2**64)), "seed must be"),
    "dtype": (edit("model", setting("dtype", to="float16")), "dtype must be"),
    "dtype that only NumPy knows": (edit("model", setting("dtype", to="f4")), "dtype must be"),
    "other dtype": (edit("model", setting("dtype", to="float64")), "array of float32, not of float64"),
    "scale 0": (edit("model", setting("scale", to=0)), "scale must be positive"),
    "other scale": (edit("model", setting("scale", to=1.0)), "input.scale has no known meaning"),
    "reduce_rows 17": (edit("model", setting("reduce_rows", to=17)), "reduce_rows"),
    "reduce_rows of 2^64": (edit("model", setting("reduce_rows", to=2**64)), "describes no valid model"),
    "reduce_rows of text": (edit("model", setting("reduce_rows", to="16")), "describes no valid model"),
    "isa": (edit("model", setting("isa", to="scalar")), NOTHING_ELSE),
    "4 classes": (edit("classes", setting("count", to=4)), "classes.count has no known meaning"),
    "two names": (edit("classes", setting("names", to=["a", "b"])), "2 class names, but the model has 3"),
    "names are numbers": (edit("classes", setting("names", to=[1, 2, 3])), "class_names"),
    "input is empty": (lambda m: m.update(input="{}"), "input must have"),
    "loss by name": (edit("training", setting("loss", to="mse")), "MeanSquaredError does not go with softmax"),
    "loss that does not fit": (
        edit("training", setting("loss", to={"class_name": "MeanSquaredError", "config": {}})),
        "does not go with softmax",
    ),
    "metric is a list": (edit("training", setting("metric", to=[])), "metric"),
    "unknown optimizer": (
        edit("training", setting("optimizer", "class_name", to="Lion")),
        "unknown optimizer 'Lion'",
    ),
    "other optimizer": (
        edit("training", setting("optimizer", to={"class_name": "SGD", "config": {}})),
        "slots must be null or 0",
    ),
    "no optimizer": (edit("training", setting("optimizer", to=None)), "slots must be null or None"),
    "more slots": (edit("training", setting("slots", to=3)), "slots must be null or 2"),
    "slots left out": (edit("training", setting("slots", to=None)), "has 'dense/kernel/slot0'"),
    "beta_1 of 1": (edit("training", setting("optimizer", "config", "beta_1", to=1)), "beta_1"),
    "epsilon that the core refuses": (
        edit("training", setting("optimizer", "config", "epsilon", to=1e-300)),
        "epsilon",
    ),
    "learning rate of text": (
        edit("training", setting("optimizer", "config", "learning_rate", to="1")),
        "learning_rate",
    ),
    "learning rate of another kind": (
        edit("training", setting("optimizer", "config", "learning_rate", to={"class_name": "Adam", "config": {}})),
        "unknown schedule",
    ),
    "optimizer_name is a number": (edit("training", setting("optimizer_name", to=5)), "optimizer_name"),
    "progress is a list": (edit("training", setting("progress", to=[1, 2, 3])), "progress must have"),
    "progress is negative": (edit("training", setting("progress", "step", to=-1)), "progress must hold"),
    "progress is 2^64": (edit("training", setting("progress", "step", to=2**64)), "progress must hold"),
    "progress is a float": (edit("training", setting("progress", "epoch", to=2.0)), "progress must hold"),
    "progress is true": (edit("training", setting("progress", "epoch", to=True)), "progress must hold"),
}


@pytest.fixture(scope="module")
def trained():
    model = make_model()
    fit(model, optimizer=mc.Adam(1e-2))
    return model


@pytest.mark.parametrize("name", EDITED)
def test_descriptions_that_are_not_understood_are_refused(name, trained, path):
    change, message = EDITED[name]
    save_model(trained, path)
    reseal(path, change)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 800


def test_a_layer_without_a_later_argument_is_understood(trained, path):
    """A version that gives a layer one more argument must go on reading the files of this one."""
    save_model(trained, path)
    reseal(path, edit("model", lambda value: value["layers"][3]["config"].pop("use_bias")))
    assert load_model(path).weights_hash() == trained.weights_hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("dense/bias"), "lacks 'dense/bias'"),
        (lambda t: t.pop("dense/bias/slot1"), "lacks 'dense/bias/slot1'"),
        (lambda t: t.update(more=np.zeros(1, np.float32)), "has 'more'"),
        (lambda t: t.update({"dense/bias": t["dense/bias"][:, None]}), "shape"),
        (lambda t: t.update({"dense/bias": t["dense/bias"].astype("float64")}), "float64, not of float32"),
        (lambda t: t["dense/kernel"].__setitem__((3, 2), np.nan), "'dense/kernel' holds values that are not finite"),
        (lambda t: t["dense/kernel/slot1"].__setitem__((3, 2), np.inf), "slot1' holds values that are not finite"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change, message, trained, path):
    save_model(trained, path)
    reseal(path, None, change)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_changed_byte_anywhere_is_noticed(trained, path):
    save_model(trained, path)
    file = path.read_bytes()
    start = 8 + int.from_bytes(file[:8], "little")
    for position in range(start, len(file), 97):
        path.write_bytes(file[:position] + bytes([file[position] ^ 1]) + file[position + 1 :])
        with pytest.raises(ModelFileError, match="SHA-256"):
            load_model(path)


def test_network_that_a_file_only_claims_takes_no_memory(trained, path):
    save_model(trained, path)
    reseal(path, layer(3, units=2**24))  # as many as the core makes: 1 GiB with the 16 inputs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFileError, match="16777216"):
        load_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 14  # KiB, on macOS bytes


def test_other_arithmetic_is_a_warning(trained, path):
    save_model(trained, path)
    reseal(path, lambda metadata: metadata.update(contract_version="999"))
    with pytest.warns(UserWarning, match="version 999 of the arithmetic") as caught:
        model = load_model(path)
    assert caught[0].filename == __file__
    assert model.weights_hash() == trained.weights_hash()


def test_loading_executes_nothing_and_opens_nothing_else(trained, path):
    save_model(trained, path)
    load_model(path)  # whatever is imported late is there now
    events, listening = [], [True]

    def listen(event, arguments):
        if listening[0] and event not in ("builtins.id", "object.__getattr__", "sys._getframe"):
            events.append((event, str(arguments[0]) if arguments else ""))

    sys.addaudithook(listen)
    try:
        load_model(path)
        for change, _ in list(EDITED.values())[:30]:
            listening[0] = False
            save_model(trained, path)
            reseal(path, change)
            listening[0] = True
            with pytest.raises(ModelFileError):
                load_model(path)
    finally:
        listening[0] = False
    assert set(events) == {("open", str(path))}


# ---------------------------------------------------------------- the file of version 1


def test_file_of_the_first_version_is_read_for_ever():
    """tests/data/make_model_v1.py wrote it; neither the file nor the figures are ever renewed."""
    folder = Path(__file__).parent / "data"
    expected = json.loads((folder / "model-v1.json").read_text(encoding="utf-8"))
    with warnings.catch_warnings():  # a later version of the arithmetic may round otherwise
        warnings.filterwarnings("ignore", ".*of the arithmetic", UserWarning)
        model = load_model(folder / "model-v1.safetensors")
    assert model.weights_hash() == expected["weights_hash"]
    pixels = np.array(expected["pixels"], np.uint8)
    np.testing.assert_allclose(model.predict(pixels), expected["probabilities"], rtol=2e-6)
    assert [str(layer) for layer in model.layers] == expected["layers"]
    assert model.seed == expected["seed"]
    assert expected["optimizer"].items() <= model.optimizer.get_config().items()
    assert expected["loss"].items() <= model.loss.get_config().items()
    assert model.class_names == expected["class_names"]
    assert list(model._state.network.progress()) == expected["progress"]
    fit = model.fit(pixels, np.arange(4) % 3, epochs=1, verbose=0)
    assert np.isfinite(fit.history["loss"]).all()
