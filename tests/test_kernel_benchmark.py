"""What benchmarks/kernels.py and benchmarks/scaling.py make of measured figures; measuring is not tested here."""

import importlib
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
NAMES = ("fma", "multiply", "fma_chain", "add_chain", "divide", "root", "random", "broadcast", "move")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def bound(name, cycles, size=0):
    return {"bound": name, "bytes": size, "cycles": cycles}


def bounds():
    levels = [(16 << 10, 0.5), (64 << 10, 2.0), (1 << 20, 4.0)]
    cache = [bound(name, cycles, size) for name in ("load", "store") for size, cycles in levels]
    return [*(bound(name, 1.0) for name in NAMES), *cache]


def kernel(size, **operations):
    zeros = dict.fromkeys((*NAMES, "load", "store"), 0)
    return {"set": size, "cycles": 100.0, "operations": zeros | operations}


@pytest.mark.parametrize(
    ("size", "cycles"), [(100, 0.5), (48 << 10, 0.5), (64 << 10, 2.0), (2**20 - 1, 2.0), (2**20, 4.0)]
)
def test_a_working_set_is_served_at_the_speed_of_the_largest_measured_one_that_is_not_larger(load, size, cycles):
    assert load("kernels").cycles_of_one(bounds(), "load", size) == cycles


@pytest.mark.parametrize(
    ("size", "operations", "limit", "cycles"),
    [
        (1 << 10, {"fma": 40, "multiply": 20, "load": 60}, "FMA ports", 60),
        (1 << 10, {"fma": 40, "load": 60, "broadcast": 20}, "load ports", 50),
        (1 << 20, {"fma": 40, "load": 15, "broadcast": 1}, "loads from 1024 KiB", 60),
        (1 << 20, {"load": 15, "store": 20}, "stores to 1024 KiB", 80),
        (1 << 10, {"divide": 25, "root": 25, "store": 20}, "root and division", 50),
        (1 << 10, {"random": 30, "fma": 20}, "32-bit products", 30),
    ],
)
def test_the_bound_is_that_of_the_unit_that_needs_longest(load, size, operations, limit, cycles):
    measured = kernel(size, **operations)
    load("kernels").judge(measured, bounds())
    assert (measured["limit"], measured["bound_cycles"]) == (limit, cycles)
    assert measured["share"] == cycles / 100


def test_chains_are_no_bound_but_are_shown(load):
    measured = kernel(1 << 10, fma=20, fma_chain=70, add_chain=20)
    load("kernels").judge(measured, bounds())
    assert (measured["chains"], measured["bound_cycles"]) == (90, 20)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.8, 1.0])
def test_blanked_and_filled_digits_have_the_density_asked_for(load, share):
    random = np.random.default_rng(1)
    images = random.integers(1, 256, (200, 784)) * (random.random((200, 784)) < 0.3)
    digits = load("trainers").Digits(images.astype(np.uint8), np.zeros(200, np.uint8))
    # n = 156,800 pixels, each decided by itself: the standard deviation of the share is below sqrt(1 / 4 n) = 0.0013
    assert digits.with_density(share).density() == pytest.approx(share, abs=5 * 0.0013)


def test_the_grid_report_names_the_worst_point_and_all_that_are_slower(load):
    ratios = {(8, 1): 1.3, (8, 32): 0.9, (64, 1): 1.11, (64, 32): 1.09}
    points = [{"width": w, "batch": b, "ratio": ratio} for (w, b), ratio in ratios.items()]
    report = load("scaling_checks").grid_report({"threads": 2, "points": points})
    assert "worst: 1.30 at width 8, batch 1; above 1.10: 2 of 4" in report
    assert report.endswith("width 8, batch 1: 1.30\nwidth 64, batch 1: 1.11")


def test_the_steps_report_names_the_largest_step_between_neighbours(load):
    points = [{"width": w, "seconds": [s]} for w, s in ((96, 1.0), (104, 1.4), (112, 1.5))]
    report = load("scaling_checks").steps_report({"points": points})
    assert "largest step: 1.40 from 96 to 104; above 1.3: 1 of 2" in report


@pytest.mark.parametrize(("threads", "cpus", "fair"), [(2, 2, "1.50"), (4, 4, "1.25"), (2, 4, "1.00"), (4, 2, "1.25")])
def test_a_fair_share_beside_one_other_process(load, threads, cpus, fair):
    point = {"width": 128, "batch": 32, "idle": [[1.0], [2.0]], "busy": [[1.5], [2.0]]}
    report = load("scaling_checks").busy_report({"threads": threads, "cpus": cpus, "points": [point]})
    assert f"a fair share of {cpus} CPUs would be {fair}" in report
    assert report.splitlines()[2].split()[-2:] == ["0.75", "1.50"]


def test_settings_of_a_sweep_differ_in_what_it_is_named_after_only(load):
    defaults = load("trainers").Setting(2)
    curves = load("scaling").sweeps(2)
    assert {setting.batch for setting in curves["width"].settings.values()} == {defaults.batch}
    assert {setting.hidden for setting in curves["batch"].settings.values()} == {defaults.hidden}
    assert [setting.threads for setting in curves["threads"].settings.values()] == [1, 2]


def test_trainers_use_whole_batches(load):
    trainers = load("trainers")
    digits = trainers.Digits(np.zeros((100, 784), np.uint8), np.zeros(100, np.uint8))
    assert len(trainers.Trainer(trainers.Setting(1, batch=32), digits, 100).digits.images) == 96
    assert len(trainers.Trainer(trainers.Setting(1, batch=32), digits, 8).digits.images) == 32
