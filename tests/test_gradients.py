"""float64 gradients of the core: against four-point differences of its own loss, and against the reference."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest
from helpers_reference import LARGEST_ERROR, away_from_zero, exact, four_point, outputs_of_layers
from strategies import random_network

from mnist_c import _core, reference

ROWS, INPUTS, OUTPUTS = 7, 4, 3
STEP = 2**33 + 5  # beyond 32 bits, so that all of the dropout counter is used
PENALTIES: dict[str, dict[str, float]] = {
    "no penalty": {},
    "l1": {"l1": 0.03},
    "l2": {"l2": 0.05},
    "all penalties": {"l1": 0.02, "l2": 0.04, "bias_l1": 0.05, "bias_l2": 0.03},
}

# Name: what precedes the last dense layer; a: the activation under test, p: penalties.
HIDDEN: dict[str, Callable[[str, dict[str, float]], list[dict[str, Any]]]] = {
    "shallow": lambda a, p: [],
    "dense": lambda a, p: [cases.dense(5, a, **p)],
    "dense without bias": lambda a, p: [cases.dense(5, a, use_bias=False, **p)],
    "dropout": lambda a, p: [cases.dense(5, a, dropout=0.3, **p)],
    "batch norm": lambda a, p: [cases.dense(5, use_bias=False, **p), cases.norm(a)],
    "batch norm without scale": lambda a, p: [cases.dense(5, **p), cases.norm(a, scale=False)],
    "batch norm without center": lambda a, p: [cases.norm(a, center=False, epsilon=0.1)],
    "batch norm, dropout": lambda a, p: [cases.dense(5, "tanh", **p), cases.norm(a, dropout=0.4)],
    "noise": lambda a, p: [cases.dense(5, a, noise=0.3, dropout=0.2, **p)],
    "map": lambda a, p: [cases.dense(5, **p), {"kind": "map", "activation": a, "slope": 0.2, "dropout": 0.25}],
}


class Differences(NamedTuple):
    """Derivatives of the loss with respect to one tensor, or to the inputs."""

    name: str
    analytic: np.ndarray
    numeric: np.ndarray
    kinked: np.ndarray  # true where the mask of a ReLU changes between the points: no derivative to compare with

    def errors(self, largest: float) -> np.ndarray:
        a, n = self.analytic, self.numeric
        error = np.abs(a - n) / np.maximum(np.maximum(np.abs(a), np.abs(n)), 1e-3 * largest)
        return np.where(self.kinked, 0, error)


def largest_gradient(all_differences: list[Differences]) -> float:
    return max(float(np.abs(d.analytic).max()) for d in all_differences)


def assert_right(all_differences: list[Differences], what: str = "") -> None:
    largest = largest_gradient(all_differences)
    for d in all_differences:
        errors = d.errors(largest)
        i = int(errors.argmax())
        assert errors.flat[i] <= LARGEST_ERROR, (
            f"{what}: {d.name}[{i}] is {d.analytic.flat[i]!r} by back-propagation, {d.numeric.flat[i]!r} by differences"
        )


def gradients(core: _core.Network, data: _core.Data, order: np.ndarray, training: bool) -> list[np.ndarray]:
    """dx, then the gradient of each tensor."""
    dx = core.gradients(data, order, training, True)[1]
    return [dx, *(core.get("gradient", i) for i in range(len(core.tensors())))]


def differences(
    net: cases.Reference,
    core: _core.Network,
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray | None = None,
    training: bool = True,
) -> list[Differences]:
    """For the inputs and every trainable tensor. The losses are the core's; `net`, which has the same values, is asked
    only which side of their kinks its activations are on."""
    order, outputs = np.arange(len(x), dtype=np.uint32), cases.outputs_of({"layers": net.layers})
    kinks = [i for i, layer in enumerate(net.layers) if layer["activation"] in cases.KINKED]

    def point() -> tuple[float, list[np.ndarray]]:
        for i, value in enumerate(net.values):
            core.set("value", i, value)
        data = cases.make_data(x, y, outputs, weights, "float64")
        loss, _ = core.gradients(data, order, training, False)
        return loss, [a > 0 for a in outputs_of_layers(net, x, training, kinks)]

    data = cases.make_data(x, y, outputs, weights, "float64")
    dx, *grads = gradients(core, data, order, training)
    arrays = [("x", x, dx)]
    for i, (layer, role, _, trainable) in enumerate(net.tensors()):
        arrays += [(f"layer {layer} {role}", net.values[i], grads[i])] if trainable else []
    found = []
    for name, array, analytic in arrays:
        numeric, kinked = np.zeros(array.size), np.zeros(array.size, bool)
        for i in range(array.size):
            numeric[i], points = four_point(point, array, i)
            kinked[i] = any(
                not np.array_equal(f, g) for _, masks in points for f, g in zip(masks, points[0][1], strict=True)
            )
        found.append(Differences(name, analytic, numeric.reshape(array.shape), kinked.reshape(array.shape)))
    return found


def away_from_kinks(net: cases.Reference, x: np.ndarray, training: bool) -> None:
    """Moves the biases of ReLUs so that 0 is in the widest middle gap between a unit's pre-activations: some rows
    are on each side of the kink, and none so close that the points of a difference are not all on one side."""
    middle = len(x) // 2
    for i, layer in enumerate(net.layers):
        tensors = [t for t, tensor in enumerate(net.tensors()) if tensor[:2] in ((i, "bias"), (i, "beta"))]
        if layer["activation"] not in cases.KINKED or not tensors:
            continue
        kept = dict(layer)
        layer |= {"activation": "linear", "dropout": 0.0, "noise": 0.0}
        outputs, tapes, _ = net.forward(x, training)
        layer |= kept
        z = np.sort(tapes[i + 1].x if i + 1 < len(tapes) else outputs, axis=0)[middle - 3 : middle + 3]
        gap = np.diff(z, axis=0).argmax(axis=0)[None]
        width = np.take_along_axis(np.diff(z, axis=0), gap, axis=0)[0]
        between = np.take_along_axis((z[1:] + z[:-1]) / 2, gap, axis=0)[0]
        net.values[tensors[0]] -= np.where(width > 0.05, between, z[0] - 0.5)


def pair(arguments: dict[str, Any], x: np.ndarray, training: bool = True) -> tuple[cases.Reference, _core.Network]:
    net = cases.make_reference(arguments, "float64")
    net.step = STEP
    away_from_zero(net)  # where |w| has a kink
    away_from_kinks(net, x, training)
    away_from_zero(net)  # of the biases that this has moved
    return net, cases.make_core(net, arguments, "float64")


def share_skipped(all_differences: list[Differences]) -> tuple[int, int]:
    return sum(int(d.kinked.sum()) for d in all_differences), sum(d.kinked.size for d in all_differences)


def small_networks(hidden: str, activation: str) -> Iterator[tuple[str, dict[str, Any], np.ndarray, Any]]:
    """Every head with every penalty; labels and soft targets, smoothing, sample weights by turns."""
    for i, (head, (penalty, factors)) in enumerate((h, p) for h in reference.HEADS for p in PENALTIES.items()):
        crossed = head in cases.OF_LOGITS
        last = cases.dense(OUTPUTS, "linear" if crossed else activation, **factors)
        arguments = cases.network(INPUTS, *HIDDEN[hidden](activation, factors), last, head=head)
        if crossed and i % 2:
            arguments["label_smoothing"] = 0.1
        if hidden == "dropout":
            arguments["input_dropout"] = 0.2
        if hidden == "noise":
            arguments |= {"input_noise": 0.3, "input_noise_seed": 9}
        y = cases.targets_for(head, ROWS, OUTPUTS, "labels" if i < 2 else "probabilities")
        yield f"{head}, {penalty}", arguments, y, cases.weights_for(ROWS) if i % 3 else None


# ---------------------------------------------------------------- against differences


@pytest.mark.parametrize("activation", cases.ACTIVATIONS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_equal_four_point_differences(hidden, activation):
    """Each head with one penalty, another one for each activation: penalties do not see them."""
    skipped = of = 0
    x = 1.5 * exact(21, ROWS, INPUTS)
    turn, networks = list(cases.ACTIVATIONS).index(activation), list(small_networks(hidden, activation))
    for i in range(len(reference.HEADS)):
        name, arguments, y, weights = networks[len(PENALTIES) * i + (i + turn) % len(PENALTIES)]
        for training in (True, False) if "norm" in hidden else (True,):
            net, core = pair(arguments, x, training)
            found = differences(net, core, x, y, weights, training)
            assert_right(found, f"{name}, training {training}")
            skipped, of = (n + m for n, m in zip((skipped, of), share_skipped(found), strict=True))
    assert of > 150
    assert skipped <= (of / 100 if activation in cases.KINKED else 0), f"{skipped} of {of} skipped"


@pytest.mark.parametrize(
    ("activation", "head"), list(zip(cases.ACTIVATIONS, itertools.cycle(reference.HEADS), strict=False))
)
def test_gradients_of_a_deep_network_of_odd_widths_equal_four_point_differences(activation, head):
    last = "linear" if head in cases.OF_LOGITS else activation
    arguments = cases.network(
        9,
        cases.dense(17, activation, l2=1e-3),
        cases.dense(15, activation, dropout=0.2, bias_l1=1e-3),
        cases.norm(activation, epsilon=0.1),
        cases.dense(7, activation, l1=1e-3),
        cases.dense(OUTPUTS, last),
        head=head,
        input_dropout=0.1,
    )
    x = exact(21, 8, 9)
    net, core = pair(arguments, x)
    found = differences(net, core, x, cases.targets_for(head, 8, OUTPUTS), cases.weights_for(8))
    assert_right(found)
    skipped, of = share_skipped(found)
    assert of > 600
    assert skipped <= (of / 100 if activation in cases.KINKED else 0), f"{skipped} of {of} skipped"


# ---------------------------------------------------------------- the check itself


@pytest.fixture(scope="module")
def checked():
    """Differences of a network with everything in it, found to be right."""
    arguments = list(small_networks("batch norm, dropout", "tanh"))[3][1]
    x = exact(21, ROWS, INPUTS)
    net, core = pair(arguments, x)
    found = differences(net, core, x, cases.classes_of(ROWS, OUTPUTS))
    assert_right(found)
    return found


def test_one_derivative_wrong_by_a_millionth_is_found(checked):
    planted = 0
    for t, d in enumerate(checked):
        for i in np.flatnonzero(np.abs(d.analytic) > 1e-3 * largest_gradient(checked)):
            wrong = d.analytic.copy()
            wrong.flat[i] *= 1 + 1e-6
            with pytest.raises(AssertionError, match="by back-propagation"):
                assert_right([*checked[:t], d._replace(analytic=wrong), *checked[t + 1 :]])
            planted += 1
    assert planted > 50


@pytest.mark.parametrize(
    "mistake",
    [
        lambda a: a["layers"][0].update(l2=a["layers"][0]["l2"] * (1 + 1e-4)),
        lambda a: a["layers"][1].update(epsilon=1.001e-3),
        lambda a: a["layers"][1].update(dropout=0.4001),
        lambda a: a.update(label_smoothing=0.1001),
        lambda a: a.update(seed=12),
    ],
    ids=["penalty", "epsilon", "dropout rate", "smoothing", "another dropout mask"],
)
def test_gradients_of_a_slightly_different_network_are_found(checked, mistake):
    x, y = exact(21, ROWS, INPUTS), cases.classes_of(ROWS, OUTPUTS)
    arguments = list(small_networks("batch norm, dropout", "tanh"))[3][1]
    net, _ = pair(arguments, x)
    mistake(arguments)
    core = cases.make_core(net, arguments, "float64")
    found = gradients(core, cases.make_data(x, y, OUTPUTS, dtype="float64"), np.arange(ROWS, dtype=np.uint32), True)
    trainable = [found[0], *(g for g, tensor in zip(found[1:], net.tensors(), strict=True) if tensor.trainable)]
    with pytest.raises(AssertionError, match="by back-propagation"):
        assert_right([d._replace(analytic=g) for d, g in zip(checked, trainable, strict=True)])


def test_a_parameter_at_a_kink_is_skipped_and_its_neighbours_are_not():
    arguments = cases.network(2, cases.dense(2, "relu"), cases.dense(2))
    net = cases.make_reference(arguments, "float64")
    net.values[0][:], net.values[1][:] = [[1, 0.5], [0.5, 1]], [0, -1]
    core, x = cases.make_core(net, arguments, "float64"), np.array([[0.7, -1.399], [0.3, 0.2]])  # z = 0.0005 at [0, 0]
    found = differences(net, core, x, np.array([0, 1], np.int32))
    assert_right(found)
    assert {d.name: d.kinked.tolist() for d in found[:3]} == {
        "x": [[True, True], [False, False]],
        "layer 0 kernel": [[True, False], [True, False]],
        "layer 0 bias": [True, False],
    }
    with pytest.raises(AssertionError, match="by back-propagation"):
        assert_right([d._replace(kinked=np.zeros_like(d.kinked)) for d in found])


# ---------------------------------------------------------------- against the reference


def scales(net: cases.Reference, grads: list[np.ndarray], training: bool) -> list[float]:
    """The largest |g| of each tensor. A bias that batch normalisation takes away again has a gradient of 0, of which
    rounding makes something: its scale is that of its layer's kernel."""
    found = [float(np.abs(g).max()) for g in grads]
    for i, (layer, role, _, _) in enumerate(net.tensors()):
        kinds = [later["kind"] for later in net.layers[layer : layer + 2]]
        plain = net.layers[layer]["activation"] == "linear" and not net.layers[layer]["dropout"]
        if role == "bias" and kinds == ["dense", "norm"] and plain and training:
            found[i] = max(found[i - 1], found[i])
    return found


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("name", cases.NETWORKS)
def test_gradients_equal_the_reference(name, kind):
    """Odd widths, odd tails of rows, more rows than one chain takes, rows in any order and repeated."""
    arguments = cases.NETWORKS[name]
    outputs = cases.outputs_of(arguments)
    for rows, training in itertools.product((37, 530), (True, False)):
        x = cases.inputs(kind, rows, arguments["inputs"])
        y = cases.targets_for(arguments["head"], rows, outputs, "labels" if rows == 37 else "probabilities")
        weights = cases.weights_for(rows)
        order = (cases.words(3, rows) % rows).astype(np.uint32)
        net = cases.make_reference(arguments, "float64")
        net.step = 3
        x64 = x / 255.0 if x.dtype == np.uint8 else x.astype(np.float64)
        loss, grads, dx = net.gradients(x64[order], y[order], weights[order], training)
        for isa in cases.ISAS:
            core = cases.make_core(net, arguments, "float64", isa)
            data = cases.make_data(x, y, outputs, weights, "float64", isa)
            core_loss, core_dx = core.gradients(data, order, training, True)
            where = f"{isa}, {rows} rows, training {training}"
            assert core_loss == pytest.approx(loss, rel=1e-12)
            assert np.abs(core_dx - dx).max() <= 1e-12 * np.abs(dx).max(), f"{where}: x"
            for i, (g, scale) in enumerate(zip(grads, scales(net, grads, training), strict=True)):
                error = np.abs(core.get("gradient", i) - g).max()
                assert error <= 1e-12 * scale, f"{where}: {net.tensors()[i]} is off by {error}"


@pytest.mark.parametrize("seed", range(60))
def test_gradients_of_a_random_network_equal_the_reference(seed):
    arguments = random_network(seed)
    outputs, rows = cases.outputs_of(arguments), 70
    x = cases.inputs(("sparse", "dense")[seed % 2], rows, arguments["inputs"])
    y, weights = cases.targets_for(arguments["head"], rows, outputs), cases.weights_for(rows)
    net = cases.make_reference(arguments, "float64")
    core = cases.make_core(net, arguments, "float64", cases.ISAS[seed % len(cases.ISAS)])
    data = cases.make_data(x, y, outputs, weights, "float64", core.isa)
    x64 = x / 255.0 if x.dtype == np.uint8 else x.astype(np.float64)
    for training in (True, False):
        loss, grads, dx = net.gradients(x64, y, weights, training)
        assert core.gradients(data, np.arange(rows, dtype=np.uint32), training, False)[0] == pytest.approx(
            loss, rel=1e-12
        )
        found = gradients(core, data, np.arange(rows, dtype=np.uint32), training)
        largest = max(np.abs(g).max() for g in (dx, *grads))
        for part, a, b in zip(("x", *net.tensors()), found, (dx, *grads), strict=True):
            assert np.abs(a - b).max() <= 1e-12 * largest, f"training {training}: {part}"


@pytest.mark.parametrize("part", [{"dropout": 0.5}, {"noise": 0.5}, {"noise": 0.5, "noise_seed": 2**40}], ids=str)
def test_dropout_and_noise_are_frozen_until_a_step_is_taken(part):
    on_inputs = {f"input_{name}": value for name, value in part.items()}
    arguments = cases.network(20, cases.dense(70, "relu", **part), cases.dense(3), **on_inputs)
    net = cases.make_reference(arguments, "float64")
    core, x, y = cases.make_core(net, arguments, "float64"), exact(1, 9, 20), cases.classes_of(9, 3)
    data, order = cases.make_data(x, y, 3, dtype="float64"), np.arange(9, dtype=np.uint32)
    of_step = {}
    for step in (0, 1, 2**32, STEP):
        core.set_progress(0, step, 0)
        first, second = (gradients(core, data, order, True) for _ in range(2))
        assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
        assert core.progress() == (0, step, 0)
        net.step = step
        np.testing.assert_allclose(first[1], net.gradients(x, y)[1][0], atol=1e-15)
        of_step[step] = first[1].tobytes()
    assert len(set(of_step.values())) == 4
