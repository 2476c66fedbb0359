"""The float32 path that `fit` uses: it equals its parts to the bit, and float64 arithmetic within derived bounds."""

import copy
from functools import cache
from typing import Any

import cases
import numpy as np
import pytest
from helpers_bounds import SMALLEST, Bounded, U, bounded_gradients, gamma
from strategies import random_network

from mnist_c import _core, reference

KINDS = ("sparse", "dense")


def take_step_by_parts(
    net: _core.Network,
    data: _core.Data,
    order: np.ndarray,
    rate: float,
    kind: str,
    hyper: dict[str, Any],
    slots: int,
    ranges: list[tuple[float, float]],
) -> None:
    """What one batch of `fit` does: gradients into memory, moving statistics, the optimizer on each tensor, norms."""
    epoch, step, t = net.progress()
    net.gradients(data, order, True, False)
    net.forward_training(data, order, True)
    if "global_clipnorm" in hyper:
        clip_together(net, hyper["global_clipnorm"])
        hyper = {name: value for name, value in hyper.items() if name != "global_clipnorm"}
    for i, (_, _, _, trainable) in enumerate(net.tensors()):
        if trainable:
            parts = ["value", *(f"slot{k}" for k in range(slots))]
            w, *carried = (net.get(part, i) for part in parts)
            _core.optimizer_apply(kind, w, carried, net.get("gradient", i), rate, t + 1, isa=net.isa, **hyper)
            for part, array in zip(parts, (constrained(w, *ranges[i]), *carried), strict=True):
                net.set(part, i, array)
    net.set_progress(epoch, step + 1, t + 1)


def ranges_of(arguments: dict[str, Any], net: _core.Network) -> list[tuple[float, float]]:
    """The smallest and the largest norm of each tensor's columns; (0, 0): any."""
    prefixes, found = {"kernel": "", "bias": "bias_"}, []
    for layer, role, _, _ in net.tensors():
        names = [f"{prefixes[role]}{end}_norm" for end in ("min", "max")] if role in prefixes else []
        found.append(tuple(arguments["layers"][layer].get(name, 0.0) for name in names) or (0.0, 0.0))
    return found


def constrained(w: np.ndarray, least: float, most: float) -> np.ndarray:
    """By the rule of mnc.h: squares of a column are added from first to last, those of a bias as in contract_sum."""
    if most == 0:
        return w
    squares = w.astype(np.float64) ** 2
    norms = np.sqrt(np.cumsum(squares, axis=0)[-1] if w.ndim == 2 else contract_sum(squares))
    return w * (np.clip(norms, least, most) / (1e-7 + norms)).astype(np.float32)


def contract_sum(x: np.ndarray) -> float:
    """Of float64 numbers: lanes i mod 16, blocks of 4,096, which _core.total sums."""
    return float(_core.total(np.ascontiguousarray(x.ravel(), np.float64)))


def clip_together(net: _core.Network, most: float) -> None:
    """Makes the stored gradients shorter by the rule of global_clipnorm."""
    trainable = [i for i, tensor in enumerate(net.tensors()) if tensor[3]]
    grads = [net.get("gradient", i) for i in trainable]
    norm = np.sqrt(sum(contract_sum(g.astype(np.float64) ** 2) for g in grads))
    for i, g in zip(trainable, grads, strict=True):
        net.set("gradient", i, g * np.float32(most / norm if norm > most else 1))


def assert_fused_step_equals_its_parts(
    arguments: dict[str, Any], kind: str, isa: str, batches: list[int], optimizers: list[str]
) -> None:
    rows = max(batches)
    outputs = cases.outputs_of(arguments)
    y = cases.targets_for(arguments["head"], rows, outputs, "probabilities")
    data = cases.make_data(cases.inputs(kind, rows, arguments["inputs"]), y, outputs, cases.weights_for(rows), isa=isa)
    start = cases.make_reference(arguments)
    for optimizer in optimizers:
        rule, hyper = cases.OPTIMIZERS[optimizer]
        fused, parts = (cases.make_core(start, arguments, isa=isa) for _ in range(2))
        slots = fused.set_optimizer(rule, **hyper)
        assert parts.set_optimizer(rule, **hyper) == slots == reference.optimizer_slots(rule, **hyper)
        for step, batch in enumerate(batches):
            order, rate = cases.rows_of(rows, step)[:batch], 0.01 / (1 + step)
            fused.fit(data, order, batch, np.array([rate]))
            take_step_by_parts(parts, data, order, rate, rule, hyper, slots, ranges_of(arguments, parts))
            assert fused.progress() == parts.progress() == (0, step + 1, step + 1)
            wrong = cases.different(cases.everything(fused, slots), cases.everything(parts, slots))
            assert not wrong, f"{optimizer}, step {step} of {batch} rows: {wrong}"
            assert fused.counters()["updates"] > 0


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", cases.NETWORKS)
def test_the_fused_step_equals_gradients_followed_by_the_optimizer(name, kind, isa):
    assert_fused_step_equals_its_parts(cases.NETWORKS[name], kind, isa, [37, 16, 1], list(cases.OPTIMIZERS))


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["deep, all penalties, input dropout", "batch norm, smoothing", "inner product", "norms of weights"]
)
def test_the_fused_step_of_a_batch_of_several_chains_equals_its_parts(name, kind, isa):
    several = ["nesterov", "rmsprop momentum centered", "adamw"]
    assert_fused_step_equals_its_parts(cases.NETWORKS[name], kind, isa, [530, 521], several)


@pytest.mark.parametrize("seed", range(40))
def test_the_fused_step_of_a_random_network_equals_its_parts(seed):
    optimizer = list(cases.OPTIMIZERS)[seed % len(cases.OPTIMIZERS)]
    isa = cases.ISAS[seed % len(cases.ISAS)]
    assert_fused_step_equals_its_parts(random_network(seed), KINDS[seed // 2 % 2], isa, [50, 97], [optimizer])


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_several_batches_takes_the_mean_of_their_gradients(kind, isa):
    arguments = cases.network(130, cases.dense(37, "relu", dropout=0.2), cases.norm("tanh"), cases.dense(10))
    data = cases.make_data(cases.inputs(kind, 90, 130), cases.classes_of(90, 10), 10, isa=isa)
    fused, parts = (_core.Network(**arguments, isa=isa) for _ in range(2))
    assert fused.set_optimizer("adam", gradient_accumulation_steps=3, use_ema=True, ema_momentum=0.75) == 4
    parts.set_optimizer("adam")
    orders = cases.rows_of(90).reshape(9, 10)
    last: dict[int, np.ndarray] = {}
    for t in range(1, 4):
        totals = [np.float32(0)] * len(parts.tensors())
        before = cases.everything(fused)
        for order in orders[3 * t - 3 : 3 * t]:
            fused.fit(data, order, 10, np.array([0.01]))
            parts.gradients(data, order, True, False)
            parts.forward_training(data, order, True)
            totals = [total + parts.get("gradient", i) for i, total in enumerate(totals)]
            epoch, step, optimizer_step = parts.progress()
            parts.set_progress(epoch, step + 1, optimizer_step)
        for i, (_, _, _, trainable) in enumerate(parts.tensors()):
            if trainable:
                w, *slots = (parts.get(part, i) for part in ("value", "slot0", "slot1"))
                _core.optimizer_apply("adam", w, slots, totals[i] * np.float32(1 / 3), 0.01, t, isa=isa)
                for part, array in zip(("value", "slot0", "slot1"), (w, *slots), strict=True):
                    parts.set(part, i, array)
        assert not cases.different(cases.everything(fused, 2), cases.everything(parts, 2)), f"step {t}"
        for i, (layer, role, _, trainable) in enumerate(fused.tensors()):
            if trainable:
                w, average = fused.get("value", i), fused.get("slot3", i)
                assert np.array_equal(fused.get("slot2", i), totals[i] * np.float32(1 / 3))
                assert (w != before[f"value of layer {layer} {role}"]).any()
                if t == 1:
                    assert np.array_equal(average, w)
                else:
                    np.testing.assert_allclose(average, 0.75 * last[i] + 0.25 * w, rtol=1e-6, atol=1e-9)
        last = {i: fused.get("slot3", i) for i, tensor in enumerate(fused.tensors()) if tensor[3]}


FLOAT64 = {
    "penalties": cases.network(
        30, cases.dense(17, "gelu", l2=1e-3, bias_l1=1e-3), cases.norm("elu", dropout=0.2), cases.dense(5)
    ),
    "norms": cases.network(
        30,
        cases.dense(17, "gelu", max_norm=0.9, bias_max_norm=0.4),
        cases.norm("elu", dropout=0.2),
        cases.dense(5, min_norm=1.0, max_norm=1.0),
    ),
}


@pytest.mark.parametrize("arguments", FLOAT64.values(), ids=list(FLOAT64))
@pytest.mark.parametrize("trainer", cases.TRAINERS)
def test_training_in_float64_equals_the_reference(trainer, arguments):
    kind, hyper = cases.TRAINERS[trainer]
    net = cases.make_reference(arguments, "float64")
    core = cases.make_core(net, arguments, "float64")
    assert net.set_optimizer(kind, **hyper) <= core.set_optimizer(kind, **hyper)
    x, y = cases.inputs("dense", 80, 30).astype(np.float64), cases.classes_of(80, 5)
    order, rates = cases.rows_of(80), np.linspace(0.01, 0.02, 10)
    net.fit(x, y, order, 8, rates)
    core.fit(cases.make_data(x, y, 5, dtype="float64"), order, 8, rates)
    for i, value in enumerate(net.values):
        np.testing.assert_allclose(core.get("value", i), value, rtol=1e-9, atol=1e-12, err_msg=str(net.tensors()[i]))


# ---------------------------------------------------------------- gradients within the derived bound


class Problem:
    """One batch of a network of cases.NETWORKS, with what its gradients must be and how far off they may be."""

    def __init__(self, name: str, kind: str, rows: int) -> None:
        self.arguments = arguments = cases.NETWORKS[name]
        self.outputs, self.rows = cases.outputs_of(arguments), rows
        self.x = cases.inputs(kind, rows, arguments["inputs"])
        self.y = cases.targets_for(arguments["head"], rows, self.outputs, "probabilities")
        self.weights = cases.weights_for(rows)
        self.net = cases.make_reference(arguments)
        self.net.step = 3
        self.bounds = bounded_gradients(self.net, cases.values(self.x), self.y, self.weights)

    def computed(self, isa: str) -> dict[str, np.ndarray]:
        """Gradients of the core, under the names of the bounds."""
        core = cases.make_core(self.net, self.arguments, isa=isa)
        data = cases.make_data(self.x, self.y, self.outputs, self.weights, isa=isa)
        dx = core.gradients(data, np.arange(self.rows, dtype=np.uint32), True, True)[1]
        tensors = enumerate(core.tensors())
        return {"x": dx} | {f"{layer} {role}": core.get("gradient", i) for i, (layer, role, _, used) in tensors if used}


problem = cache(Problem)


def beyond(g: np.ndarray, bounded: Bounded) -> np.ndarray:
    """The error of every element as a share of its bound."""
    shape = bounded.value.shape
    return np.abs(g.reshape(shape).astype(np.float64) - bounded.value) / np.maximum(bounded.error, SMALLEST)


@pytest.mark.parametrize("rows", [37, 530])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", cases.NETWORKS)
def test_the_bounds_are_about_the_gradients_of_the_reference_and_say_something(name, kind, rows):
    p = problem(name, kind, rows)
    _, grads, dx = p.net.gradients(cases.values(p.x), p.y, p.weights)
    tensors = zip(p.net.tensors(), grads, strict=True)
    expected = {"x": dx} | {f"{t.layer} {t.role}": g for t, g in tensors if t.trainable}
    assert expected.keys() == p.bounds.keys()
    largest = max(np.abs(g).max() for g in grads)
    for part, g in expected.items():
        bounded = p.bounds[part]
        np.testing.assert_allclose(bounded.value.reshape(g.shape), g, rtol=0, atol=1e-13 * largest, err_msg=part)
        if np.abs(g).max() > 1e-10 * largest:  # else it is 0 but for rounding
            assert np.median(bounded.error) < np.abs(g).max() / 4, f"the bound of {part} says little"


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("rows", [37, 530])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", cases.NETWORKS)
def test_float32_gradients_are_within_the_derived_bound(name, kind, rows, isa):
    p = problem(name, kind, rows)
    for part, g in p.computed(isa).items():
        worst = beyond(g, p.bounds[part]).max()
        assert worst <= 1, f"the gradient of {part} is off by {worst:.3g} times what rounding can do"


@pytest.mark.parametrize("kind", KINDS)
def test_of_one_layer_the_bound_is_that_of_a_product_and_not_far_above_the_error(kind):
    """g = x' y + 2 l2 w and dx = y w': one product each, so that their bounds are at most gamma_n |A||B|, n counting
    terms that are not 0."""
    p = problem("one layer, inner product", kind, 530)
    x, y, w = cases.values(p.x), p.y * p.weights[:, None], p.net.values[0]
    chain = gamma(np.minimum((x != 0).sum(axis=0), 512) + 4)[:, None]  # an addition of chunks, y * weight, the penalty
    textbook = chain * (np.abs(x).T @ np.abs(y) + np.abs(2e-3 * w))
    g = p.computed(_core.config()["isa"])
    assert (p.bounds["0 kernel"].error <= textbook + 700 * SMALLEST).all()
    assert (p.bounds["x"].error <= gamma(20) * (np.abs(y) @ np.abs(w).T) + 20 * SMALLEST).all()
    for part in ("0 kernel", "x"):
        assert 0.05 < beyond(g[part], p.bounds[part]).max() <= 1


@pytest.mark.parametrize("name", ["softmax regression", "map first", "squared error", "inner product"])
def test_gradients_wrong_by_a_hundredth_are_beyond_the_bound(name):
    p = problem(name, "sparse", 37)
    for part, g in p.computed(_core.config()["isa"]).items():
        assert beyond(g * np.float32(1.01), p.bounds[part]).max() > 1, part


# ---------------------------------------------------------------- twenty steps

STEPS, BATCH, ROWS = 20, 33, 203
TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "dropout, sparse": (
        "sparse",
        cases.network(
            130,
            cases.dense(37, "relu", dropout=0.2, l2=1e-3),
            cases.dense(19, "tanh"),
            cases.dense(10),
            input_dropout=0.1,
            label_smoothing=0.1,
        ),
    ),
    "batch norm, dense": (
        "dense",
        cases.network(130, cases.dense(37, use_bias=False), cases.norm("relu", dropout=0.2), cases.dense(10, l1=1e-4)),
    ),
}
RATES = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02}  # others: 0.001
MARGIN = 4  # float32 in the core's order of additions against float32 in NumPy's


def train_with_errors(net: cases.Reference, x: np.ndarray, y: np.ndarray, order: np.ndarray, rate: float) -> None:
    """Float64 training in which every gradient is moved by its derived bound and every value by half a unit of its last
    float32 place, up or down at random: what rounding may do at every single step, and what training makes of it."""
    signs = np.random.default_rng(0)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH].astype(np.intp)
        now = copy.copy(net)
        now.values = [value.astype(np.float32).astype(np.float64) for value in net.values]
        bounds = bounded_gradients(now, x[rows], y[rows], np.ones(len(rows)))
        _, grads, _, _ = net._step_gradients(x[rows], y[rows], None, training=True, update=True)
        for i, tensor in enumerate(net.tensors()):
            if tensor.trainable:
                error = bounds[f"{tensor.layer} {tensor.role}"].error.reshape(tensor.shape)
                grads[i] = grads[i] + error * signs.choice([-1, 1], tensor.shape)
        net.apply(grads, rate)
        net.values = [value * (1 + U * signs.choice([-1, 1], value.shape)) for value in net.values]


def rms(x: np.ndarray) -> float:
    return float(np.sqrt((x.astype(np.float64) ** 2).mean()))


@pytest.mark.parametrize("optimizer", cases.OPTIMIZERS)
@pytest.mark.parametrize("trained", TRAINED)
def test_weights_after_twenty_steps_are_within_the_bound(trained, optimizer):
    """Float32 training may differ from float64 training by no more than the latter with errors of the derived size does
    (largest difference), and by no more than MARGIN times what float32 in NumPy does (root mean square)."""
    kind, arguments = TRAINED[trained]
    rule, hyper = cases.OPTIMIZERS[optimizer]
    outputs, rate = cases.outputs_of(arguments), RATES.get(optimizer, 1e-3)
    pixels, y = cases.inputs(kind, ROWS, arguments["inputs"]), cases.classes_of(ROWS, outputs)
    x, rates = cases.values(pixels), np.full(STEPS, rate)
    order = np.concatenate([cases.rows_of(ROWS, seed) for seed in range(4)])[: STEPS * BATCH - 7]

    start, exact, erring = (cases.make_reference(arguments) for _ in range(3))
    numpy32 = reference.Network(**arguments, dtype="float32")
    numpy32.values = [value.astype(np.float32) for value in start.values]
    for net in (exact, erring, numpy32):
        net.set_optimizer(rule, **hyper)
    exact.fit(x, y, order, BATCH, rates)
    numpy32.fit(x, y, order, BATCH, rates)
    train_with_errors(erring, x, y, order, rate)

    for isa in cases.ISAS:
        core = cases.make_core(start, arguments, isa=isa)
        core.set_optimizer(rule, **hyper)
        core.fit(cases.make_data(pixels, y, outputs, isa=isa), order, BATCH, rates)
        for i, tensor in enumerate(exact.tensors()):
            error = core.get("value", i) - exact.values[i]
            largest = np.abs(erring.values[i] - exact.values[i]).max()
            assert np.abs(error).max() <= largest, f"{isa}: {tensor} is off by {np.abs(error).max()}, not {largest}"
            usual = max(rms(numpy32.values[i] - exact.values[i]), U * rms(exact.values[i]))
            assert rms(error) <= MARGIN * usual, f"{isa}: {tensor} is off by {rms(error)}, NumPy by {usual}"
            moved = np.abs(exact.values[i] - start.values[i]).max()
            assert largest < moved / 4, f"{tensor} has moved by {moved} only: the bound of {largest} says little"


# ---------------------------------------------------------------- what really ran

NETWORK = cases.network(130, cases.dense(37, "relu", dropout=0.2), cases.dense(10))


def counted(kind: str, isa: str, rows: int, batch: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counters after one pass of `fit` on one thread, and after `gradients` besides."""
    net = _core.Network(**NETWORK, isa=isa)
    net.set_optimizer("adam")
    assert net.isa == isa
    data = cases.make_data(cases.inputs(kind, rows, 130), cases.classes_of(rows, 10), 10, isa=isa)
    assert data.indexed == (kind == "sparse")
    order = cases.rows_of(rows)
    with cases.threads(1):
        net.fit(data, order, batch, np.full(-(-rows // batch), 0.01))
        trained = net.counters()
        net.gradients(data, order, True, False)
    return trained, net.counters()


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_counters_name_the_kernels_that_ran(kind, isa):
    batches = 3
    trained, after = counted(kind, isa, 90, 33)
    sparse = kind == "sparse"
    assert trained["sparse_forward"] == (batches if sparse else 0)
    assert trained["dense_forward"] == (batches if sparse else 2 * batches)  # one for each layer
    assert trained["dense_delta"] == batches  # none for the inputs
    assert (trained["sparse_gradient"] > 0) == sparse
    assert trained["dense_gradient"] > 0
    assert trained["updates"] > 0
    assert trained["stores"] == 0, "a small batch is updated straight from its gradient"
    assert trained["workers"] == 1
    assert after["updates"] == trained["updates"]
    assert after["stores"] == trained["updates"] / batches, "gradients() stores the blocks that fit updates"


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_several_chains_are_stored_until_the_last(kind, isa):
    one, _ = counted(kind, isa, 37, 37)
    trained, _ = counted(kind, isa, 1100, 1100)
    assert trained["updates"] == one["updates"]
    assert trained["stores"] == 2 * one["updates"], "three chains of at most 512 rows"


@pytest.mark.parametrize("isa", cases.ISAS)
def test_counters_name_the_threads_that_worked(isa):
    net = _core.Network(**cases.network(130, cases.dense(130, "relu"), cases.dense(10)), isa=isa)
    net.set_optimizer("sgd")
    data = cases.make_data(cases.inputs("dense", 200, 130), cases.classes_of(200, 10), 10, isa=isa)
    for n in (1, 2, 3):
        with cases.threads(n):
            net.fit(data, cases.rows_of(200), 100, np.full(2, 0.01))
        counters = net.counters()
        assert counters["workers"] == n
        assert all(chunks > 0 for chunks in counters["chunks"][:n]), "a thread did nothing"
