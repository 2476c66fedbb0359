"""Optimizers, schedules, losses and batch normalisation are those of Keras 3 to 1e-12, and SGD is PyTorch's.

Keras's own figures in float64 are committed (tests/data/keras.json, made by make_keras_figures.py beside it). The
reference gives the same bits as Keras on TensorFlow and on JAX; Keras on PyTorch differs from both by up to 1.2e-14,
the C core by its fused multiply-adds.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_keras import STEPS, first_weights, gradients, loss_inputs, network_inputs, network_weight

from mnist_c import _core
from mnist_c import reference as ref

HERE = Path(__file__).resolve().parent
KERAS: dict[str, Any] = json.loads((HERE / "data" / "keras.json").read_text())
TOLERANCE = 1e-12

Trajectory = Iterator[np.ndarray]


def with_reference(kind: str, hyper: dict[str, Any], rates: list[float]) -> Trajectory:
    """The weights after each step, by mnist_c.reference."""
    w = first_weights()
    slots = ref.first_slots(kind, w, **hyper)
    clipping = {name: hyper[name] for name in ref.optimizers.CLIPPING if name in hyper}
    hyper = {name: value for name, value in hyper.items() if name not in clipping}
    for t, (g, rate) in enumerate(zip(gradients(), rates, strict=True), start=1):
        (g,) = ref.clip([g], **clipping)
        w, slots = ref.OPTIMIZERS[kind](w, g, slots, rate, t, **hyper)
        yield w


def with_core(kind: str, hyper: dict[str, Any], rates: list[float]) -> Trajectory:
    """The same by the C core in float64."""
    w = first_weights()
    slots = list(ref.first_slots(kind, w, **hyper))
    assert _core.optimizer_slots(kind, **hyper) == len(slots)
    for t, (g, rate) in enumerate(zip(gradients(), rates, strict=True), start=1):
        _core.optimizer_apply(kind, w, slots, g, rate, t, **hyper)
        yield w


WAYS: dict[str, Callable[[str, dict[str, Any], list[float]], Trajectory]] = {
    "reference": with_reference,
    "core": with_core,
}


def check_trajectory(trajectory: Trajectory, keras: dict[str, Any]) -> None:
    """Compares with the weights of `keras` after each step it has; all of them must be reached."""
    shown = {int(t): np.array(w).reshape(5, 7) for t, w in keras["weights"].items()}
    for t, w in enumerate(trajectory, start=1):
        if t in shown:
            np.testing.assert_allclose(w, shown.pop(t), rtol=TOLERANCE, atol=0, err_msg=f"step {t}")
    assert not shown


def rates_of(case: dict[str, Any]) -> list[float]:
    """The rate of each step: Keras's own where it is scheduled, so that optimizers are compared alone."""
    rate = case["rate"]
    return KERAS["schedules"][rate]["rates"] if isinstance(rate, str) else [rate] * STEPS


def test_the_figures_are_those_of_keras_3_in_full():
    assert KERAS["keras"].startswith("3.")
    assert KERAS["backend"] == "tensorflow"  # the only one that computes everything in float64
    kinds = [case["kind"] for case in KERAS["optimizers"].values()]
    assert {kind: kinds.count(kind) for kind in ref.OPTIMIZERS} == {
        "sgd": 8,
        "rmsprop": 5,
        "adam": 3,
        "adamw": 3,
        "adagrad": 2,
    }
    assert all(list(case["weights"]) == ["1", "2", "3", "10", "31", "100"] for case in KERAS["optimizers"].values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", KERAS["optimizers"])
def test_optimizers_equal_the_figures_of_keras(name, way):
    case = KERAS["optimizers"][name]
    check_trajectory(WAYS[way](case["kind"], case["hyper"], rates_of(case)), case)


def test_the_comparison_tells_float32_from_float64():
    """The smallest mistake of interest: one hyper-parameter rounded to float32."""
    case = KERAS["optimizers"]["momentum"]
    with pytest.raises(AssertionError, match="step"):
        check_trajectory(with_reference("sgd", {"momentum": float(np.float32(0.9))}, rates_of(case)), case)


def test_defaults_are_those_of_keras():
    names = {"beta_1": "beta1", "beta_2": "beta2"}
    for kind, keras in [
        ("sgd", "SGD"),
        ("rmsprop", "RMSprop"),
        ("adam", "Adam"),
        ("adamw", "AdamW"),
        ("adagrad", "Adagrad"),
    ]:
        theirs = {names.get(k, k): v for k, v in KERAS["defaults"][keras].items()}
        ours = {
            k: p.default
            for k, p in inspect.signature(ref.OPTIMIZERS[kind]).parameters.items()
            if p.kind is inspect.Parameter.KEYWORD_ONLY
        }
        assert ours == {k: theirs[k] for k in ours}, kind


@pytest.mark.parametrize("name", KERAS["schedules"])
def test_schedules_equal_the_figures_of_keras(name):
    case = KERAS["schedules"][name]
    for rates in (ref.rates, lambda kind, **arguments: _core.rates(kind, **arguments)):
        # Where cosine decay comes down to 0, the difference of 1 and a cosine has the rounding errors of the initial
        # rate, not of the rate: hence the absolute part, four roundings of it.
        ours = rates(case["kind"], first=0, n=STEPS, **case["arguments"])
        initial = case["arguments"]["initial"]
        np.testing.assert_allclose(ours, case["rates"], rtol=TOLERANCE, atol=4 * 2**-53 * initial)


def test_losses_equal_the_figures_of_keras():
    z, labels, targets, weights = loss_inputs()
    ours = {
        "cross-entropy": ref.softmax_cross_entropy(z, labels),
        "cross-entropy, weights": ref.softmax_cross_entropy(z, labels, weights),
        "cross-entropy, smoothing 0.1": ref.softmax_cross_entropy(z, labels, None, 0.1),
        "cross-entropy, smoothing 0.1, weights": ref.softmax_cross_entropy(z, labels, weights, 0.1),
        "binary, smoothing 0.1": ref.binary_cross_entropy(z, np.abs(targets), None, 0.1),
        "binary, weights": ref.binary_cross_entropy(z, np.abs(targets), weights),
        "squared": ref.mean_squared_error(z, targets),
        "squared, weights": ref.mean_squared_error(z, targets, weights),
    }
    assert {name: loss for name, (loss, _) in ours.items()} == pytest.approx(KERAS["losses"], rel=TOLERANCE, abs=0)


NETWORK: dict[str, Any] = {
    "inputs": 6,
    "layers": [
        {"kind": "dense", "units": 9, "activation": "tanh", "l1": 0.01, "l2": 0.02, "bias_l1": 0.02, "bias_l2": 0.01},
        {"kind": "dense", "units": 8, "use_bias": False},
        {"kind": "norm", "activation": "leaky_relu", "slope": 0.25},
        {"kind": "dense", "units": 7, "activation": "sigmoid"},
        {"kind": "dense", "units": 4, "l2": 0.03},
    ],
    "head": "softmax_cross_entropy",
    "label_smoothing": 0.1,
    "outputs_are_logits": True,
    "dtype": "float64",
}


def check_network(losses: list[float], weights: list[np.ndarray], outputs: np.ndarray) -> None:
    """Five steps of Adam on NETWORK: penalties, batch normalisation with its statistics, smoothing, sample weights."""
    keras = KERAS["network"]
    assert losses == pytest.approx(keras["losses"], rel=TOLERANCE, abs=0)
    for i, (ours, theirs) in enumerate(zip(weights, keras["weights"], strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=0, err_msg=f"tensor {i}")
    np.testing.assert_allclose(outputs, keras["outputs"], rtol=TOLERANCE, atol=0)


def test_training_with_the_reference_equals_the_figures_of_keras():
    x, labels, weights = network_inputs()
    net = ref.Network(**NETWORK)
    net.values = [network_weight(i, t.shape) for i, t in enumerate(net.tensors())]
    net.set_optimizer("adam")
    losses = [net.fit(batch, labels, np.arange(16), 16, [0.01], weights)[0] / 16 for batch in x]
    check_network(losses, net.values, net.predict(x[0]))


def test_training_with_the_core_equals_the_figures_of_keras():
    x, labels, weights = network_inputs()
    net = _core.Network(**NETWORK)
    for i, (_, _, shape, _) in enumerate(net.tensors()):
        net.set("value", i, network_weight(i, shape))
    net.set_optimizer("adam")
    losses = []
    for batch in x:
        data = _core.Data(batch, dtype="float64", labels=labels.astype(np.int32), classes=4, weights=weights)
        losses.append(net.fit(data, np.arange(16, dtype=np.uint32), 16, np.array([0.01]))[0] / 16)
    outputs = net.predict(_core.Data(x[0].copy(), dtype="float64"))
    check_network(losses, [net.get("value", i) for i in range(len(net.tensors()))], outputs)


# ---------------------------------------------------------------- live comparisons

BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Figures of the Keras that is installed, made in a process of its own: floatx and back end are global."""
    if find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    backend = next((name for name in BACKENDS if find_spec(name)), None)
    if backend is None:
        pytest.skip(f"Keras has none of its back ends {', '.join(BACKENDS)}")
    path = tmp_path_factory.mktemp("keras") / "keras.json"
    subprocess.run(
        [sys.executable, HERE / "data" / "make_keras_figures.py", path],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        timeout=300,
    )
    return json.loads(path.read_text())


@pytest.mark.parametrize("way", WAYS)
def test_optimizers_equal_keras_live(live, way):
    assert len(live["optimizers"]) >= 14
    for case in live["optimizers"].values():
        check_trajectory(WAYS[way](case["kind"], case["hyper"], rates_of(case)), case)


def test_the_committed_figures_are_those_of_keras_live(live):
    for part in ("schedules", "losses", "network"):
        if part in live:
            flat = [np.concatenate([np.ravel(leaf) for leaf in leaves(figures[part])]) for figures in (live, KERAS)]
            np.testing.assert_allclose(*flat, rtol=TOLERANCE, atol=1e-16)
    for name, defaults in KERAS["defaults"].items():
        assert live["defaults"][name] == defaults


def leaves(tree: Any) -> Iterator[Any]:
    """The numbers of nested dicts and lists, in order."""
    if isinstance(tree, dict | list):
        for branch in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(branch)
    elif isinstance(tree, float):
        yield tree


SGD = [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hyper", SGD)
def test_sgd_equals_torch(hyper, way):
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.tensor(first_weights()))
    optimizer = torch.optim.SGD([parameter], lr=0.03, **hyper)
    for g, w in zip(gradients(), WAYS[way]("sgd", hyper, [0.03] * STEPS), strict=True):
        parameter.grad = torch.tensor(g)
        optimizer.step()
        np.testing.assert_allclose(w, parameter.detach().numpy(), rtol=TOLERANCE, atol=0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hyper", SGD)
def test_sgd_equals_torchs_formula(hyper, way):
    """v = momentum v + g;  w = w - rate (g + momentum v if nesterov else v), as torch.optim.SGD documents it."""
    w, v, momentum = first_weights(), np.zeros((5, 7)), hyper.get("momentum", 0.0)
    for g, ours in zip(gradients(), WAYS[way]("sgd", hyper, [0.03] * STEPS), strict=True):
        v = momentum * v + g
        w = w - 0.03 * (g + momentum * v if hyper.get("nesterov") else v)
        np.testing.assert_allclose(ours, w, rtol=TOLERANCE, atol=0)
