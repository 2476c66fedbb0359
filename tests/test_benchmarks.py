"""The comparison with other libraries: its works, its arithmetic, and that two peers do the same work."""

import json
import math
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mnist_c as mc

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import compare
import comparison
import works
from peers import OURS, PEERS
from peers.with_mnist_c import MnistC
from peers.with_numpy import Trainer
from peers.worker import timed

NAMES = [work.name for work in works.WORKS]
BY_NAME = dict(zip(NAMES, works.WORKS, strict=True))


@pytest.fixture(scope="module")
def digits():
    return works.Data(*mc.datasets.synthetic(250, seed=0), "synthetic digits")


def small(name):
    """A work on 200 images, with narrower layers, which takes milliseconds."""
    work = BY_NAME[name]
    layers = (work.layers[0], *(min(width, 24) for width in work.layers[1:-1]), work.layers[-1])
    return replace(work.shrunk(200), layers=layers, epochs=2, count=1, dropout=0.0)


# ------------------------------------------------------------------ works


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("keras-mlp", "keras-mlp"), ("gd-10k", "gd-10k"), ("gd-20", "gd-20"), ("deep-l2-sgd", "deep-l2")],
)
def test_works_that_are_named_after_a_recipe_have_its_sizes(name, recipe):
    work, variant = BY_NAME[name], mc.recipes.get(recipe).variants[0]
    assert work.layers == (784, *variant.network.hidden, 10)
    assert (work.rows, work.batch) == (variant.split.train, variant.batch_size)
    assert (work.dropout, work.l2) == (variant.network.dropout, variant.network.l2)
    assert (work.inputs == "raw") == (variant.network.scale == 1.0)


def test_works_survive_the_way_to_a_worker():
    assert [works.Work.from_json(work.to_json()) for work in works.WORKS] == list(works.WORKS)
    assert len(set(NAMES)) == len(NAMES)


def test_operations_are_counted_with_and_without_zero_pixels():
    images = np.zeros((3, 28, 28), dtype=np.uint8)
    images[0, 0, :5] = images[2, 0, :7] = 1  # the last one is for validation
    work = works.Work(
        name="w", title="w", unit="epoch", layers=(784, 4, 10), rows=2, validation=1, batch=2, epochs=6, count=3
    )
    dense, executed = works.cost(work, works.Data(images, np.zeros(3, dtype=np.uint8), "made up"))
    # Two epochs a unit: forward and weight gradient of 2 images, forward of 1; then three products of 4 x 10, and one.
    assert dense == 2 * 2 * (2 * 2 * 784 * 4 + 784 * 4 + 3 * 2 * 40 + 40)
    assert executed == 2 * 2 * (2 * 5 * 4 + 7 * 4 + 3 * 2 * 40 + 40)


def test_dense_inputs_have_no_zeros_and_many_values(digits):
    values = works.without_zeros(digits.x)
    assert values.all()
    assert len(np.unique(values)) > 256


# ------------------------------------------------------------------ peers


@pytest.mark.parametrize("name", [work.name for work in works.WORKS if work.kind == "train"])
def test_mnist_c_and_numpy_do_the_same_work(name, digits):
    """Batches of all images leave no choice of order: only rounding may differ."""
    work = replace(small(name), batch=None)
    data = digits._replace(x=works.without_zeros(digits.x)) if work.inputs == "dense" else digits
    data = data._replace(x=data.x[: work.rows + work.validation], y=data.y[: work.rows + work.validation])
    x, labels = works.floats(work, data)[: work.rows], data.y[: work.rows]
    before, _ = works.score(works.probabilities(works.initial_weights(work), x), labels)
    losses = []
    for kind in (MnistC, Trainer):
        peer = kind(work, data)
        _, validation_loss = timed(peer)
        assert (validation_loss is not None) == (work.validation > 0)
        loss, _ = works.score(works.probabilities(peer.weights(), x), labels)
        losses.append([loss, validation_loss or 0.0])
    assert losses[0][0] < before
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_every_run_starts_from_the_same_state(digits):
    work = replace(small("deep-l2-adam"), batch=None)
    for kind in (MnistC, Trainer):
        peer = kind(work, digits._replace(x=digits.x[: work.rows], y=digits.y[: work.rows]))
        timed(peer)
        first = [np.copy(w) for w in peer.weights()]
        timed(peer)
        for again, w in zip(peer.weights(), first, strict=True):
            np.testing.assert_array_equal(again, w)


def test_mnist_c_and_numpy_predict_the_same(digits):
    work = small("predict-10000")
    data = digits._replace(x=digits.x[:200])
    np.testing.assert_allclose(MnistC(work, data).predict(), Trainer(work, data).predict(), rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------ results


def peer(seconds, loss=0.1, validation_loss=0.2):
    n = len(seconds)
    runs = {"seconds": seconds, "loss": n * [loss], "accuracy": n * [0.9], "validation_loss": n * [validation_loss]}
    return {**runs, "setting": {}, "slow": False}


@pytest.fixture
def result():
    """JAX is the best; NumPy is faster, but its loss says that it did not do the work; PyTorch is not there."""
    peers = {
        OURS: peer([1.0, 0.5]),
        "jax": peer([3.0, 2.0]),
        "keras-tensorflow": peer([20.0]),
        "numpy": peer([0.1], loss=2.3),
        "torch": {"absent": "No module named 'torch'"},
    }
    entry = {
        "work": BY_NAME["keras-mlp"].to_json(),
        "data": "MNIST",
        "cost": {"dense": 4e9, "executed": 1e9},
        "peers": peers,
    }
    return {
        "date": "2000-01-01T00:00:00+00:00",
        "machine": {"cpu": "CPU", "cores": 2},
        "settings": {"rounds": 5, "threads": 2, "isa": None, "rows": None},
        "build": {"instruction set": "avx2", "compiler": "gcc"},
        "peak": [{"gflops": 100.0}, {"gflops": 90.0}],
        "works": [entry],
    }


def test_ratio_is_of_the_best_peers_minimum_to_ours(result):
    (record,) = comparison.records(result)
    assert record.best_peer() == "jax"
    assert record.ratio("jax") == 4.0
    assert [name for name, _ in record.rivals()] == ["jax", "keras-tensorflow"]
    assert record.median(OURS) == 0.75
    assert (record.rate(OURS), record.rate(OURS, "executed")) == (8.0, 2.0)


def test_results_of_one_machine_are_taken_together(result):
    another = deepcopy(result)
    another["works"][0]["peers"] |= {OURS: peer([0.25]), "torch": peer([4.0])}
    both = comparison.together([result, another])
    (record,) = comparison.records(both)
    assert record.peers[OURS]["seconds"] == [1.0, 0.5, 0.25]
    assert (record.ratio("jax"), record.ratio("torch")) == (8.0, 16.0)
    assert both["settings"]["rounds"] == 10
    assert "; 4 rounds, " in comparison.machine_line(both)
    assert "; no rounds, " in comparison.machine_line({**both, "works": []})
    another["machine"]["cpu"] = "another"
    with pytest.raises(ValueError, match="different machine"):
        comparison.together([both, another])


def test_results_that_cannot_be_taken_together_end_with_a_line(result, tmp_path, monkeypatch):
    another = deepcopy(result)
    another["machine"]["cpu"] = "another"
    files = [tmp_path / name for name in ("one.json", "another.json", "absent.json")]
    for file, content in zip(files, (result, another), strict=False):
        file.write_text(json.dumps(content))
    for other, message in ((files[1], "different machine"), (files[2], "No such file")):
        monkeypatch.setattr(sys, "argv", ["compare.py", "--from", str(files[0]), str(other)])
        with pytest.raises(SystemExit, match=message):
            compare.main()


@pytest.mark.parametrize("loss", [2.3, math.nan, math.inf, None])
def test_a_peer_whose_loss_is_out_of_line_is_marked(result, loss):
    result["works"][0]["peers"]["numpy"]["loss"] = [loss]
    (record,) = comparison.records(result)
    assert [name for name in record.peers if record.out_of_line(name)] == ["numpy"]


def test_of_two_peers_the_one_that_does_less_is_marked(result):
    peers = result["works"][0]["peers"]
    result["works"][0]["peers"] = {name: peers[name] for name in (OURS, "jax")}
    peers["jax"]["loss"] = [1.6 * loss for loss in peers[OURS]["loss"]]
    (record,) = comparison.records(result)
    assert (record.out_of_line(OURS), record.out_of_line("jax")) == (False, True)


def test_a_peer_that_skips_validation_is_marked(result):
    result["works"][0]["peers"]["jax"]["validation_loss"] = [None, None]
    (record,) = comparison.records(result)
    assert record.out_of_line("jax")
    assert record.best_peer() == "keras-tensorflow"


def test_report_shows_every_peer_and_why_others_are_missing(result):
    text = comparison.report(result)
    assert all(PEERS[name].title in text for name in result["works"][0]["peers"])
    assert "absent: No module named 'torch'" in text
    assert "4.00 x" in text
    assert "40.00 x" in text
    assert "2.3!" in text


def test_markdown_has_minima_and_the_ratio(result):
    header, _, row = comparison.markdown(result).split("\n\n")[0].splitlines()
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["mnist_c"] == "500 ms"
    assert cells["JAX"] == "**2.00 s**"
    assert cells["NumPy"] == "100 ms \\!"
    assert cells["best peer / mnist_c |"] == "4.00 x |"


def test_shortened_and_limited_runs_say_so(result):
    result["settings"] |= {"rows": 640, "isa": "avx2", "rounds": 1}
    assert [word in comparison.markdown(result) for word in ("640 images", "limited to avx2", "1 rounds")] == 3 * [True]


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (0.5, "500 ms"), (123.4, "123 s"), (1.1e-5, "11.0 µs")]
)
def test_durations_have_three_digits(seconds, text):
    assert comparison.duration(seconds) == text


def test_picture_is_drawn(result, tmp_path):
    pytest.importorskip("matplotlib")
    comparison.draw(result, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000
