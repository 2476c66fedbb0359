"""A row's prediction has the same bits in any company, and the same pixels the same bits in any form."""

from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import pytest
from strategies import random_network

from mnist_c import _core

ROWS = 157
NETWORKS = cases.NETWORKS | {
    "wide head": cases.network(37, cases.dense(130, "relu"), cases.dense(301)),
    "wide head, logits": cases.network(37, cases.dense(301), outputs_are_logits=True),
}


def scaled(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


def few_zeros(pixels: np.ndarray) -> np.ndarray:
    """The same images with most of their zeros made black ink, so that they are not indexed."""
    return np.where((pixels == 0) & (cases.words(9, *pixels.shape) % 4 > 0), 11, pixels).astype(np.uint8)


def any_floats(pixels: np.ndarray) -> np.ndarray:
    """Floats of many values instead of the pixels, with as many zeros."""
    return (pixels > 0) * cases.inputs("dense", *pixels.shape)


# Name: inputs made of mostly black images, and whether they are indexed.
FORMS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], bool]] = {
    "uint8": (lambda pixels: pixels, True),
    "float32 of 256 values": (scaled, True),
    "float64 of 256 values": (lambda pixels: pixels / 255.0, True),
    "uint8, few zeros": (few_zeros, False),
    "float32 of 256 values, few zeros": (lambda pixels: scaled(few_zeros(pixels)), False),
    "float32": (any_floats, False),
    "float64": (lambda pixels: any_floats(pixels).astype(np.float64) / 3, False),
}


def predict(net: _core.Network, x: np.ndarray) -> np.ndarray:
    return net.predict(_core.Data(np.ascontiguousarray(x), isa=net.isa))


def assert_rows_do_not_depend_on_company(net: _core.Network, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Alone, in any order, repeated, at any place, in batches of any size; returns the predictions."""
    whole = predict(net, x)
    assert np.isfinite(whole).all()
    draw = np.random.default_rng(seed)
    for i in [0, 1, 15, 16, 17, 127, 128, len(x) - 1]:
        assert np.array_equal(predict(net, x[i : i + 1])[0], whole[i]), f"row {i} alone"
    order = draw.permutation(len(x))
    assert np.array_equal(predict(net, x[order]), whole[order]), "in another order"
    for _ in range(4):
        rows = draw.integers(len(x), size=draw.integers(1, len(x)))
        assert np.array_equal(predict(net, x[rows]), whole[rows]), f"rows {rows.tolist()}"
    for first in (1, 55):
        assert np.array_equal(predict(net, x[first:]), whole[first:]), f"without the first {first} rows"
    return whole


# ---------------------------------------------------------------- one row in any company


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_row_has_the_same_bits_alone_and_in_any_batch_at_any_place(name, form, isa):
    """Among the networks: batch normalisation with statistics that have moved, dropout (which predictions ignore)."""
    arguments = NETWORKS[name]
    net = cases.make_core(cases.make_reference(arguments), arguments, isa=isa)
    make, indexed = FORMS[form]
    x = make(cases.images(ROWS, arguments["inputs"]))
    assert _core.Data(x, isa=isa).indexed == indexed
    assert_rows_do_not_depend_on_company(net, x)


@pytest.mark.parametrize("seed", range(40))
def test_a_row_of_a_random_network_has_the_same_bits_in_any_company(seed):
    arguments = random_network(seed)
    net = cases.make_core(cases.make_reference(arguments), arguments, isa=cases.ISAS[seed % len(cases.ISAS)])
    make, _ = list(FORMS.values())[seed % len(FORMS)]
    x = make(cases.images(ROWS, arguments["inputs"], (seed % 5) / 5))
    with cases.threads(1 + seed % 4):
        whole = assert_rows_do_not_depend_on_company(net, x, seed)
    for isa in cases.ISAS:
        other = cases.make_core(cases.make_reference(arguments), arguments, isa=isa)
        assert np.array_equal(predict(other, x), whole), isa


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_a_row_that_is_not_finite_leaves_the_others_as_they_are(bad, isa):
    arguments = NETWORKS["relu, dropout"]
    net = cases.make_core(cases.make_reference(arguments), arguments, isa=isa)
    x = any_floats(cases.images(ROWS, 785))
    whole = predict(net, x)
    x[5::40] = bad
    others = np.arange(ROWS) % 40 != 5
    assert np.array_equal(predict(net, x)[others], whole[others])


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_a_row_has_the_same_bits_for_any_number_of_threads(n):
    arguments = NETWORKS["relu, dropout"]
    net = cases.make_core(cases.make_reference(arguments), arguments)
    x = cases.images(3000, 785)
    with cases.threads(n):
        whole = predict(net, x)
    assert net.counters()["workers"] == n
    assert all(np.array_equal(predict(net, x[i : i + 1])[0], whole[i]) for i in range(0, 3000, 101))


@pytest.mark.parametrize("form", FORMS)
def test_evaluation_gives_the_predictions_and_the_losses_of_the_rows(form):
    arguments = NETWORKS["batch norm, smoothing"]
    net = cases.make_core(cases.make_reference(arguments), arguments)
    x, y = FORMS[form][0](cases.images(ROWS, 130)), cases.classes_of(ROWS, 10)
    loss, right, outputs = net.evaluate(cases.make_data(x, y, 10))
    assert np.array_equal(outputs, predict(net, x))
    assert right == (outputs.argmax(axis=1) == y).sum()
    losses = [net.evaluate(cases.make_data(x[i : i + 1], y[i : i + 1], 10))[0] for i in range(ROWS)]
    assert loss == _core.total(np.array(losses))


# ---------------------------------------------------------------- the same pixels in any form


def with_odd_row(x: np.ndarray) -> np.ndarray:
    """One row more, which has too many different values for a table."""
    return np.concatenate([x, np.linspace(0.1, 0.9, x.shape[1], dtype=x.dtype)[None]])


def with_inked_rows(x: np.ndarray) -> np.ndarray:
    """As many rows more without any zero, so that the images are not indexed."""
    return np.concatenate([x, np.full_like(x, 200)])


def negative_zeros(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, np.float32(-0.0), x)


def raw(pixels: np.ndarray, **more: Any) -> _core.Data:
    """Pixels whose table holds what the core makes of them by default."""
    return _core.Data(pixels, table=(np.arange(256) / 255).astype(np.float32).astype(np.float64), **more)


# Name: the same images as Data, and whether they are indexed (None: if they have at most 256 values with that zero).
# Rows that are added are not used.
SAME: dict[str, tuple[Callable[..., _core.Data], bool | None]] = {
    "x": (lambda x, **more: _core.Data(x, **more), True),
    "x / 255.": (lambda x, **more: _core.Data(x / 255.0, **more), True),
    "x.astype('f4') / 255": (lambda x, **more: _core.Data(scaled(x), **more), True),
    "x with its table": (raw, True),
    "x.astype('f4') / 255, zeros negative": (lambda x, **more: _core.Data(negative_zeros(scaled(x)), **more), None),
    "x, not indexed": (lambda x, **more: _core.Data(with_inked_rows(x), **more), False),
    "x / 255., no table": (lambda x, **more: _core.Data(with_odd_row(x / 255.0), **more), False),
    "x.astype('f4') / 255, no table": (lambda x, **more: _core.Data(with_odd_row(scaled(x)), **more), False),
}


TRAINED = ["relu, dropout", "deep, all penalties, input dropout", "batch norm first", "map first", "squared error"]


def learn(arguments: dict[str, Any], make: Callable[..., _core.Data], isa: str) -> tuple[int, _core.Network, bool]:
    """Two epochs of 203 images; the hash, the network, whether the images were indexed."""
    pixels, outputs = cases.images(203, arguments["inputs"]), cases.outputs_of(arguments)
    rows = make(pixels, isa=isa).rows
    y = np.resize(cases.targets_for(arguments["head"], 203, outputs, "probabilities"), (rows, outputs))
    data = make(pixels, isa=isa, targets=y)
    net = cases.make_core(cases.make_reference(arguments), arguments, isa=isa)
    net.set_optimizer("adam")
    for epoch in range(2):
        net.fit(data, cases.rows_of(203, epoch), 33, np.full(7, 0.01))
    return net.hash(), net, data.indexed


@pytest.mark.parametrize("isa", cases.ISAS)
@pytest.mark.parametrize(
    "name", ["relu, dropout", "deep, all penalties, input dropout", "batch norm first", "map first"]
)
def test_the_same_pixels_train_to_the_same_bits_in_any_form(name, isa):
    arguments = cases.NETWORKS[name]
    hashes, counters = {}, {}
    for form, (make, indexed) in SAME.items():
        hashes[form], net, was_indexed = learn(arguments, make, isa)
        counters[form] = net.counters()
        assert indexed in (was_indexed, None), form
        sparse = was_indexed and arguments["layers"][0]["kind"] == "dense"
        assert (counters[form]["sparse_forward"] > 0) == (counters[form]["sparse_gradient"] > 0) == sparse, form
    assert hashes == dict.fromkeys(hashes, hashes["x"])


@pytest.mark.parametrize("seed", range(30))
def test_the_sparse_and_the_dense_plan_of_a_random_network_train_to_the_same_bits(seed):
    arguments = random_network(1000 + seed)
    isas = cases.ISAS[seed % len(cases.ISAS)], cases.ISAS[(seed // 3) % len(cases.ISAS)]
    sparse, _, _ = learn(arguments, SAME["x"][0], isas[0])
    dense, _, indexed = learn(arguments, SAME["x, not indexed"][0], isas[1])
    assert not indexed
    assert sparse == dense, f"{isas}: {arguments}"


@pytest.mark.parametrize("form", SAME)
def test_the_same_pixels_are_predicted_to_the_same_bits_in_any_form(form):
    arguments = NETWORKS["relu, dropout"]
    net = cases.make_core(cases.make_reference(arguments), arguments)
    pixels = cases.images(ROWS, 785)
    assert np.array_equal(net.predict(SAME[form][0](pixels))[:ROWS], predict(net, pixels))


def test_a_pixel_is_the_float32_nearest_to_its_share_of_255():
    """Not u * (1 / 255), which is another number for every other u. (The gradient of a sum gives the inputs back.)"""
    arguments = cases.network(256, cases.dense(1, use_bias=False), head="inner_product")
    pixels, y = np.arange(256, dtype=np.uint8)[None], np.ones((1, 1))
    net = _core.Network(**arguments)
    net.gradients(_core.Data(pixels, targets=y), np.zeros(1, np.uint32), True, False)
    nearest = (np.arange(256) / 255).astype(np.float32)
    assert np.array_equal(net.get("gradient", 0)[:, 0], nearest)
    assert (np.arange(256, dtype=np.float32) * np.float32(1 / 255) != nearest).sum() == 126


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_float_of_another_value_is_another_number(dtype):
    """One pixel a little lighter, in a table or not, changes the row that it is in and no other."""
    arguments = NETWORKS["relu, dropout"]
    net = cases.make_core(cases.make_reference(arguments), arguments)
    for x in (cases.images(ROWS, 785).astype(dtype) / 255, any_floats(cases.images(ROWS, 785)).astype(dtype)):
        at = np.flatnonzero(x[80])[3]
        lighter = x.copy()
        lighter[80, at] *= 1 + 2.0**-10
        changed = (predict(net, x) != predict(net, lighter)).any(axis=1)
        assert np.flatnonzero(changed).tolist() == [80]
