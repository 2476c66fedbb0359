"""Epoch time against width, batch size, depth, threads and pixel density; and checks that no setting falls out of line.

    python benchmarks/scaling.py [--sweep width density] [--runs 5] [--json PATH] [--plot PATH]
    python benchmarks/scaling.py --grid --steps --busy [--runs 9] [--json PATH]

What is timed is said in trainers.py; the checks are in scaling_checks.py. The settings of one comparison take turns, so
that a busy moment meets all of them; figures are medians over the runs. The images are the synthetic digits of
`mnist_c.datasets`. Seconds per epoch are given for 60,000 images, computed from fewer.

--grid: default threads against one thread at 40 points. --steps: epoch times of neighbouring widths from 96 to 2,500.
--busy: the same two thread counts while another process keeps one core busy. --quick: little of everything, to see that
it works; its figures mean nothing.
"""

import argparse
import json
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import machine
import numpy as np
from scaling_checks import CHECKS, Json
from trainers import Digits, Setting, Trainer, load, take_turns

import mnist_c as mc
from mnist_c._tables import as_text
from mnist_c.config import config

WIDTHS = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
DEPTHS = (1, 2, 3, 4, 6, 8)
DENSITIES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.45, 0.55, 0.6, 0.8, 1.0)

# ------------------------------------------------------------ sweeps


@dataclass(frozen=True)
class Sweep:
    """One curve: settings by the value that they differ in. scale: of the horizontal axis in the plot."""

    title: str
    axis: str
    scale: str
    settings: dict[float, Setting]


def sweeps(threads: int) -> dict[str, Sweep]:
    base = Setting(threads)
    return {
        "width": Sweep(
            "784-width-10, batch 128", "width (units)", "log", {w: replace(base, hidden=(w,)) for w in WIDTHS}
        ),
        "batch": Sweep("784-128-10", "batch size (rows)", "log", {b: replace(base, batch=b) for b in BATCHES}),
        "depth": Sweep(
            "784-128-...-128-10, batch 128",
            "hidden layers of 128 units",
            "linear",
            {d: replace(base, hidden=(128,) * d) for d in DEPTHS},
        ),
        "threads": Sweep(
            "784-512-10, batch 128",
            "threads",
            "linear",
            {t: replace(base, hidden=(512,), threads=t) for t in range(1, threads + 1)},
        ),
        "density": Sweep(
            "784-128-10, batch 128",
            "pixels that are not zero (%)",
            "linear",
            {100 * d: replace(base, density=d) for d in DENSITIES},
        ),
    }


def run_sweep(sweep: Sweep, digits: Digits, options: argparse.Namespace) -> Json:
    settings = sweep.settings
    if options.quick:
        settings = {value: settings[value] for value in sorted({min(settings), max(settings)})}
    trainers = [Trainer(setting, digits) for setting in settings.values()]
    times = take_turns(trainers, options.runs)
    points = [
        {"value": value, "seconds": [trainer.for_mnist(s) for s in seconds]}
        for value, trainer, seconds in zip(settings, trainers, times, strict=True)
    ]
    return {"title": sweep.title, "axis": sweep.axis, "scale": sweep.scale, "points": points}


def sweep_table(result: Json) -> str:
    header = (result["axis"], "median", "minimum", "maximum")
    rows = [
        (f"{p['value']:g}", *(f"{f(p['seconds']):.4f}" for f in (statistics.median, min, max)))
        for p in result["points"]
    ]
    return f"{result['title']}: seconds for 60,000 images\n" + as_text(header, [rows], ">>>>")


def draw(results: dict[str, Json], path: Path) -> None:
    """A panel for each sweep: medians, with bars from the fastest run to the slowest."""
    from matplotlib.figure import Figure

    columns = min(len(results), 3)
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, result in zip(panels, results.values(), strict=False):
        values = [p["value"] for p in result["points"]]
        median, least, most = (
            np.array([f(p["seconds"]) for p in result["points"]]) for f in (statistics.median, min, max)
        )
        axes.errorbar(values, median, yerr=(median - least, most - median), color="#0072B2", marker="o", capsize=2)
        set_scale(axes, result["scale"])
        axes.set_xlabel(result["axis"])
        axes.set_ylabel("s for 60,000 images")
        axes.set_title(result["title"], fontsize="medium")
        axes.grid(alpha=0.3)
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=150)


def set_scale(axes: Any, scale: str) -> None:
    """Logarithmic axes with plain numbers: powers of two across, 1, 2, 5, 10, ... upwards; or linear ones from 0."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    if scale == "linear":
        axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        return
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")


# ------------------------------------------------------------ program


def arguments() -> argparse.Namespace:
    threads = mc.get_num_threads()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", nargs="+", choices=list(sweeps(threads)), help="which curves (default: all)")
    for name, what in (("grid", "threads at 40 points"), ("steps", "neighbouring widths"), ("busy", "a busy core")):
        parser.add_argument(f"--{name}", action="store_true", help=f"check {what}; without --sweep no curves then")
    parser.add_argument("--runs", type=int, help="default: 5; for checks 9")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--plot", type=Path, help="where to draw the curves (needs matplotlib)")
    parser.add_argument("--quick", action="store_true", help="one run of little, to see that it works")
    options = parser.parse_args()
    options.threads, checks = threads, options.grid or options.steps or options.busy
    if checks and threads == 1:
        parser.error("the checks compare several threads with one, but only one may be used here (MNIST_C_NUM_THREADS)")
    options.sweep = options.sweep or ([] if checks else list(sweeps(threads)))
    options.runs = options.runs or (1 if options.quick else 9 if checks else 5)
    if options.plot and not options.sweep:
        parser.error("--plot draws curves, and none were asked for: add --sweep")
    return options


def main() -> None:
    options, digits = arguments(), load()
    about = {name: value for name, value in config().items() if name not in ("data directory", "extension")}
    result: Json = {"machine": machine.describe(), "config": about, "runs": options.runs, "sweeps": {}}
    print(f"{result['machine']['cpu']}, {options.threads} threads, {result['config']['instruction set']}")
    print(f"synthetic digits, {100 * digits.density():.0f} % of the pixels not zero; {options.runs} runs")
    for name in options.sweep:
        result["sweeps"][name] = run_sweep(sweeps(options.threads)[name], digits, options)
        print(f"\n{sweep_table(result['sweeps'][name])}", flush=True)
    for name, (run, report) in CHECKS.items():
        if getattr(options, name):
            result[name] = run(digits, options)
            print(f"\n{report(result[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        draw(result["sweeps"], options.plot)


if __name__ == "__main__":
    main()
