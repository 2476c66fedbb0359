"""Checks that no setting falls out of line: more threads are never slower, widths have no steps, a busy core costs no
more than its share.

Each check has two functions: one measures and returns what goes into the JSON file, one turns that into text.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import machine
from trainers import Digits, Setting, Trainer, take_turns

from mnist_c._tables import as_text

Json = dict[str, Any]

GRID_WIDTHS = (8, 16, 32, 64, 128, 256, 800, 2500)
GRID_BATCHES = (1, 16, 128, 1024, 4096)
GRID_SECONDS = 0.02  # of an epoch, if that is possible with three batches or more
SLOWER = 1.10  # more than that and more threads were slower

STEP_WIDTHS = (
    *range(96, 256, 8),
    *range(256, 512, 32),
    *range(512, 1024, 64),
    *range(1024, 2048, 128),
    2048,
    2272,
    2500,
)
STEP_ROWS = 4096
STEP = 1.3  # more than that and a neighbour is out of line

BUSY_EPOCHS = 20


def rows_of(setting: Setting, digits: Digits) -> int:
    """Rows whose epoch takes about GRID_SECONDS: three batches or more, but not more images than there are."""
    least = 3 * setting.batch
    pilot = Trainer(setting, digits, max(least, 64))
    seconds = pilot.seconds(1) / len(pilot.digits.images)
    return min(max(least, int(GRID_SECONDS / seconds)), len(digits.images))


def run_grid(digits: Digits, options: argparse.Namespace) -> Json:
    """Default threads against one thread."""
    points = []
    for width in GRID_WIDTHS[:: 4 if options.quick else 1]:
        for batch in GRID_BATCHES[:: 2 if options.quick else 1]:
            alone = Setting(1, (width,), batch)
            rows = rows_of(alone, digits)
            trainers = [Trainer(replace(alone, threads=t), digits, rows) for t in (options.threads, 1)]
            rows = len(trainers[0].digits.images)  # whole batches
            many, one = take_turns(trainers, options.runs)
            ratio = statistics.median(many) / statistics.median(one)
            points.append(
                {"width": width, "batch": batch, "rows": rows, "threads": many, "one thread": one, "ratio": ratio}
            )
    return {"threads": options.threads, "points": points}


def grid_report(grid: Json) -> str:
    points = {(p["width"], p["batch"]): p["ratio"] for p in grid["points"]}
    batches = sorted({batch for _, batch in points})
    widths = sorted({width for width, _ in points})
    rows = [(str(width), *(f"{points[width, batch]:.2f}" for batch in batches)) for width in widths]
    (width, batch), worst = max(points.items(), key=lambda item: item[1])
    slower = [f"width {w}, batch {b}: {ratio:.2f}" for (w, b), ratio in points.items() if ratio > SLOWER]
    return "\n".join(
        [
            f"{grid['threads']} threads against one: ratio of the medians (below 1: more threads are faster)",
            as_text(("width \\ batch", *map(str, batches)), [rows], ">" * (1 + len(batches))),
            f"worst: {worst:.2f} at width {width}, batch {batch}; above {SLOWER:.2f}: {len(slower)} of {len(points)}",
            *slower,
        ]
    )


def run_steps(digits: Digits, options: argparse.Namespace) -> Json:
    widths = STEP_WIDTHS[:: 12 if options.quick else 1]
    trainers = [Trainer(Setting(options.threads, (width,)), digits, STEP_ROWS) for width in widths]
    times = take_turns(trainers, options.runs)
    return {"points": [{"width": w, "seconds": seconds} for w, seconds in zip(widths, times, strict=True)]}


def steps_report(steps: Json) -> str:
    medians = [(p["width"], statistics.median(p["seconds"])) for p in steps["points"]]
    ratios = [(b / a, narrow, wide) for (narrow, a), (wide, b) in pairwise(medians)]
    rows = [(f"{n} -> {w}", f"{w / n:.2f}", f"{ratio:.2f}") for ratio, n, w in ratios]
    largest, narrow, wide = max(ratios)
    beyond = sum(ratio > STEP for ratio, _, _ in ratios)
    return "\n".join(
        [
            "epoch time of neighbouring widths, 784-width-10, batch 128",
            as_text(("widths", "of the widths", "of the times"), [rows], "<>>"),
            f"largest step: {largest:.2f} from {narrow} to {wide}; above {STEP}: {beyond} of {len(ratios)}",
        ]
    )


@contextmanager
def busy_core() -> Iterator[None]:
    """Another process computes meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)  # until it has started
        yield
    finally:
        process.kill()
        process.wait()


def run_busy(digits: Digits, options: argparse.Namespace) -> Json:
    """Both thread counts, with and without the other process; each of the four trains models of its own, since the core
    remembers for a while whether threads paid."""
    points = []
    for width, batch in ((128, 32), (512, 128)):
        settings = [Setting(threads, (width,), batch) for threads in (options.threads, 1)]
        idle, busy = ([Trainer(setting, digits) for setting in settings] for _ in range(2))
        times: dict[str, list[list[float]]] = {"idle": [[], []], "busy": [[], []]}
        for _ in range(options.runs):
            for name, trainers in (("idle", idle), ("busy", busy)):
                with busy_core() if name == "busy" else nullcontext():
                    run = take_turns(trainers, 1, 3 if options.quick else BUSY_EPOCHS)
                for seconds, new in zip(times[name], run, strict=True):
                    seconds += new
        points.append({"width": width, "batch": batch, **times})
    return {"threads": options.threads, "cpus": len(machine.usable_cpus()), "points": points}


def busy_report(busy: Json) -> str:
    """A fair scheduler gives T threads beside one other process T / (T + 1) of C CPUs, at most one each: they then take
    max(1, (T + 1) / max(T, C)) times as long."""
    threads, cpus = busy["threads"], busy["cpus"]
    fair = max(1.0, (threads + 1) / max(threads, cpus))
    rows = []
    for p in busy["points"]:
        idle, busy_many, busy_one = (
            statistics.median(seconds) for seconds in (p["idle"][0], p["busy"][0], p["busy"][1])
        )
        rows.append(
            (f"784-{p['width']}-10, batch {p['batch']}", f"{busy_many / busy_one:.2f}", f"{busy_many / idle:.2f}")
        )
    header = ("network", f"{threads} threads / one, both beside it", f"{threads} threads beside it / without it")
    return "\n".join(
        [
            "another process keeps one core busy: ratios of the medians of epoch times",
            as_text(header, [rows], "<>>"),
            f"a fair share of {cpus} CPUs would be {fair:.2f} in the last column",
        ]
    )


CHECKS = {"grid": (run_grid, grid_report), "steps": (run_steps, steps_report), "busy": (run_busy, busy_report)}
