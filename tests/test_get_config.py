"""get_config and from_config: everything that a layer, an optimizer or a loss was made with, in JSON and back."""

import inspect
import json

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import (
    _description,
    activations,
    constraints,
    initializers,
    layers,
    losses,
    optimizers,
    regularizers,
    schedules,
)
from mnist_c._config import public_subclasses

# One of each class at least, with no argument at its default but in PLAIN.
EXAMPLES = {
    initializers: [
        mc.VarianceScaling(0.5, "fan_avg", "uniform"),
        mc.GlorotUniform(),
        mc.GlorotNormal(),
        mc.HeUniform(),
        mc.HeNormal(),
        mc.LecunUniform(),
        mc.LecunNormal(),
        mc.RandomUniform(-0.1, 0.3),
        mc.RandomNormal(0.1, 0.2),
        mc.TruncatedNormal(0.1, 0.2),
        mc.Constant(0.25),
        mc.Zeros(),
        mc.Ones(),
    ],
    regularizers: [mc.L1(1e-3), mc.L2(1e-4), mc.L1L2(1e-3, 1e-4)],
    constraints: [mc.MaxNorm(1.5), mc.UnitNorm()],
    schedules: [
        mc.StepDecay(0.1, 30, 0.5),
        mc.InverseTimeDecay(0.1, 30, 0.5, staircase=True),
        mc.ExponentialDecay(0.1, 30, 0.5, staircase=True),
        mc.CosineDecay(0.1, 30, alpha=0.1, warmup_target=0.2, warmup_steps=5),
        mc.OneCycle(0.1, 100, 0.25, 10.0, 100.0),
        mc.WarmUp(mc.CosineDecay(0.1, 30), 7, 0.01),
    ],
    optimizers: [
        mc.SGD(0.1, momentum=0.9, nesterov=True),
        mc.RMSprop(0.1, 0.8, 0.7, 1e-6, centered=True),
        mc.Adam(mc.CosineDecay(0.1, 30), 0.8, 0.99, 1e-6),
        mc.AdamW(0.1, 0.01, 0.8, 0.99, 1e-6, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3),
        mc.Adagrad(0.1, 0.2, 1e-6, global_clipnorm=1.5),
    ],
    losses: [
        mc.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        mc.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        mc.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        mc.MeanSquaredError(),
    ],
    layers: [
        layers.InputLayer((28, 28), name="in"),
        mc.Rescaling(0.5, offset=-1, name="r"),
        mc.Flatten(input_shape=(4, 4, 1), name="f"),
        mc.Dense(
            *(3, "tanh", False, mc.HeNormal(), mc.Ones(), mc.L1(1e-3), mc.L2(1e-4)),
            kernel_constraint=mc.MaxNorm(3),
            bias_constraint="unit_norm",
            input_dim=5,
            name="d",
        ),
        mc.Dense(3, mc.LeakyReLU(0.1), name="e"),
        mc.Activation("sigmoid", name="a"),
        mc.Activation(mc.LeakyReLU(0.1), name="b"),
        mc.ReLU(0.1, name="re"),
        mc.LeakyReLU(0.1, name="le"),
        mc.ELU(0.1, name="elu"),
        mc.Softmax(name="s"),
        mc.Dropout(0.3, name="dr"),
        mc.GaussianNoise(0.3, 2**64 - 1, name="gn"),
        mc.BatchNormalization(-1, 0.9, 1e-4, False, False, name="bn"),
    ],
}
BASES = {
    initializers: initializers.Initializer,
    regularizers: regularizers.L1L2,
    constraints: constraints.Constraint,
    schedules: schedules.LearningRateSchedule,
    optimizers: optimizers.Optimizer,
    losses: losses.Loss,
    layers: layers.Layer,
}
PLAIN = [layer for layer in EXAMPLES[layers] if layer.name == "e"]
ALL = [example for examples in EXAMPLES.values() for example in examples]


def name_of(example):
    named = f" {example.name}" if isinstance(example, layers.Layer) else ""
    return type(example).__name__ + named


@pytest.mark.parametrize("module", EXAMPLES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_class_has_an_example(module):
    assert {type(example) for example in EXAMPLES[module]} >= set(public_subclasses(BASES[module]).values())


@pytest.mark.parametrize("example", ALL, ids=name_of)
def test_configuration_makes_the_same_object_again(example):
    config = example.get_config()
    text = json.dumps(config, allow_nan=False)
    again = type(example).from_config(json.loads(text))
    assert type(again) is type(example)
    assert again.get_config() == config
    assert json.dumps(again.get_config()) == text
    if not isinstance(example, (layers.Layer, optimizers.Optimizer, schedules.LearningRateSchedule)):
        assert again == example


@pytest.mark.parametrize("example", [e for e in ALL if e not in PLAIN], ids=name_of)
def test_configuration_holds_every_argument_that_was_given(example):
    config = example.get_config()
    for name, parameter in inspect.signature(type(example)).parameters.items():
        if name in ("shape", "input_dim"):
            assert "input_shape" in config or example.declared_shape is None
        elif parameter.kind is parameter.VAR_KEYWORD:
            assert name == "shared"
        elif name == "input_shape":
            assert config.get(name) == (example.declared_shape and list(example.declared_shape))
        else:
            assert name in config
            assert config[name] != parameter.default or name == "axis"


@pytest.mark.parametrize("example", EXAMPLES[layers], ids=name_of)
def test_layers_made_from_a_configuration_do_the_same(example):
    def steps(layer):
        front = [] if isinstance(layer, layers.InputLayer) else [mc.Input((4, 4, 1)), mc.Flatten()]
        if isinstance(layer, (mc.Flatten, mc.Rescaling)):
            front = [mc.Input((4, 4, 1))]
        if layer.declared_shape == (5,):
            front = []
        end = [] if isinstance(layer, mc.Softmax) else [mc.Flatten(), mc.Dense(2)]
        model = mc.Sequential([*front, layer, *end], seed=1)
        plan = model._state.plan
        return plan.steps, plan.rescaling, plan.on_inputs, plan.softmax, plan.shape

    again = layers.deserialize({"class_name": type(example).__name__, "config": example.get_config()})
    assert again is not example
    if isinstance(example, mc.Softmax):
        assert again.activation.name == "softmax"
    else:
        assert steps(again) == steps(example)


def test_names_are_those_of_keras():
    config = mc.Dense(3, activation="relu", kernel_regularizer="l2").get_config()
    assert config == {
        "name": "",
        "units": 3,
        "activation": "relu",
        "use_bias": True,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {}},
        "bias_initializer": {"class_name": "Zeros", "config": {}},
        "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
        "bias_regularizer": None,
        "kernel_constraint": None,
        "bias_constraint": None,
    }
    config = mc.Dense(3, kernel_constraint="max_norm").get_config()
    assert config["kernel_constraint"] == {"class_name": "MaxNorm", "config": {"max_value": 2, "axis": 0}}
    assert mc.Adam(mc.StepDecay(0.1, 10, 0.5)).get_config() == {
        "learning_rate": {
            "class_name": "StepDecay",
            "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        },
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-7,
    }


def test_arguments_can_be_read_as_attributes():
    assert mc.Dense(3, "relu").activation.name == "relu"
    assert mc.Adam(beta_1=0.5).beta_1 == 0.5
    assert mc.CosineDecay(0.1, 10).decay_steps == 10
    assert mc.RandomNormal(stddev=0.5).stddev == 0.5


def test_assigned_learning_rate_is_the_one_described():
    adam = mc.Adam(1e-2)
    adam.learning_rate = np.float32(0.5)
    assert adam.get_config()["learning_rate"] == 0.5


def test_descriptions_are_taken_where_names_are():
    dense = mc.Dense(
        3,
        activation={"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}},
        kernel_initializer={"class_name": "RandomNormal", "config": {"stddev": 0.5}},
        kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.5}},
    )
    assert (dense.activation.name, dense.activation.slope) == ("leaky_relu", 0.1)
    assert dense.kernel_initializer == mc.RandomNormal(stddev=0.5)
    assert dense.kernel_regularizer == mc.L1L2(l1=0.5)
    assert isinstance(losses.get({"class_name": "MeanSquaredError", "config": {}}), mc.MeanSquaredError)
    assert optimizers.get({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum == 0.5


@pytest.mark.parametrize(
    ("get", "description", "error", "message"),
    [
        (initializers.get, {"class_name": "HeNorml", "config": {}}, ValueError, "unknown initializer 'HeNorml'"),
        (initializers.get, {"class_name": "he_normal", "config": {}}, ValueError, "unknown initializer"),
        (initializers.get, {"class_name": "Initializer", "config": {}}, ValueError, "unknown initializer"),
        (initializers.get, {"class_name": "HeNormal"}, TypeError, "class_name"),
        (initializers.get, {"class_name": ["HeNormal"], "config": {}}, TypeError, "class_name"),
        (initializers.get, {"class_name": "HeNormal", "config": 5}, TypeError, "config"),
        (initializers.get, {"class_name": "HeNormal", "config": {}, "module": "os"}, TypeError, "class_name"),
        (initializers.get, {"class_name": "HeNormal", "config": {"gain": 2}}, TypeError, "gain"),
        (initializers.get, {"class_name": "VarianceScaling", "config": {"mode": None}}, TypeError, "mode"),
        (initializers.get, {"class_name": "VarianceScaling", "config": {"scale": "1"}}, TypeError, "scale"),
        (initializers.get, {"class_name": "RandomUniform", "config": {"minval": []}}, TypeError, "minval"),
        (regularizers.get, {"class_name": "L3", "config": {}}, ValueError, "L1L2"),
        (regularizers.get, {"class_name": "L1", "config": {"l1": -1}}, ValueError, "l1"),
        (constraints.get, {"class_name": "Constraint", "config": {"least": 1, "most": 2}}, ValueError, "MaxNorm"),
        (constraints.get, {"class_name": "MaxNorm", "config": {"max_value": -1}}, ValueError, "max_value"),
        (activations.get, {"class_name": "Dense", "config": {"units": 3}}, ValueError, "LeakyReLU"),
        (losses.get, {"class_name": "Loss", "config": {}}, ValueError, "unknown loss"),
        (optimizers.get, {"class_name": "Optimizer", "config": {"learning_rate": 1}}, ValueError, "unknown optimizer"),
        (optimizers.get, {"class_name": "Adam", "config": {"beta1": 0.5}}, TypeError, "beta1"),
        (schedules.check, {"class_name": "_CoreSchedule", "config": {}}, ValueError, "unknown schedule"),
        (layers.deserialize, {"class_name": "Layer", "config": {}}, ValueError, "unknown layer"),
        (layers.deserialize, {"class_name": "Dense", "config": {"units": 3, "name": 5}}, TypeError, "name"),
        (layers.deserialize, {"class_name": "Flatten", "config": {"input_shape": [2] * 4}}, ValueError, "4 axes"),
    ],
)
def test_descriptions_of_what_is_not_there_are_refused(get, description, error, message):
    with pytest.raises(error, match=message):
        get(description)


def test_python_functions_and_classes_of_ones_own_cannot_be_described():
    class Mine(mc.HeNormal):
        pass

    with pytest.raises(TypeError, match="of type function cannot be described"):
        mc.SGD(lambda step: 0.1).get_config()
    with pytest.raises(TypeError, match="Mine is not a class of mnist_c"):
        mc.Dense(3, kernel_initializer=Mine()).get_config()


# ---------------------------------------------------------------- models


def make_model(**settings):
    return mc.Sequential(
        [mc.Input((4, 4)), mc.Flatten(), mc.Dense(3, "relu"), mc.Dropout(0.1), mc.Dense(2, "softmax")], **settings
    )


def test_models_made_from_a_configuration_have_the_same_initial_weights():
    model = make_model(seed=2**64 - 1, dtype="float64", scale=0.5, name="mine", reduce_rows=np.int64(64))
    config = json.loads(json.dumps(_description.get_config(model)))
    again = _description.from_config(config)
    assert _description.get_config(again) == config
    assert again.weights_hash() == model.weights_hash()
    assert [layer.name for layer in again.layers] == ["flatten", "dense", "dropout", "dense_1"]
    assert (again.name, again.dtype, again.scale) == ("mine", "float64", 0.5)
    other = _description.from_config({**config, "seed": 1})
    assert other.weights_hash() != model.weights_hash()


def test_shape_that_only_the_data_told_is_part_of_the_configuration():
    model = mc.Sequential([mc.Dense(3)], seed=1)
    unbuilt = _description.get_config(model)
    assert unbuilt["input_shape"] is None
    assert not _description.from_config(unbuilt).built
    model.build((None, 7))
    again = _description.from_config(_description.get_config(model))
    assert again.get_weights()[0].shape == (7, 3)
    assert again.weights_hash() == model.weights_hash()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layers": None}, ValueError, "list"),
        ({"layers": [{}] * 1001}, ValueError, "1000"),
        ({"layers": [5]}, TypeError, "class_name"),
        ({"dtype": "float16"}, ValueError, "float16"),
        ({"dtype": None}, TypeError, "dtype"),
        ({"name": 5}, TypeError, "name"),
        ({"isa": "scalar"}, ValueError, "nothing else"),
        ({"seed": -1}, ValueError, "seed"),
        ({"reduce_rows": 17}, ValueError, "reduce_rows"),
    ],
)
def test_configurations_of_no_model_are_refused(change, error, message):
    config = {**_description.get_config(make_model(seed=1)), **change}
    with pytest.raises(error, match=message):
        _description.from_config(config).get_weights()
