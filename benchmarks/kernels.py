"""Cycles of each kernel, per instruction set, beside the bound that limits it.

    python benchmarks/kernels.py [--isa avx512 avx2] [--seconds 0.05] [--json PATH]

Builds benchmarks/kernels.c with the core's own flags, once per instruction set, and runs it on one thread in float32.
Each figure is the fastest of many repeats with warm caches. Cycles are counted by a chain of additions, one cycle each,
timed beside every kernel, so neither the clock's frequency nor its changes matter.

The same program measures what the machine can do at most, in the same vectors of 16 floats: multiply-adds, loads and
stores for several sizes of working set, roots and divisions, and so on. The C code says of each kernel how many of
these operations it cannot do without. Each kind of operation then takes at least

    number of operations * cycles of one,

where loads and broadcasts share ports, multiply-adds and multiplications share ports, roots and divisions share a
unit. The largest of these times is the bound, and `share` is bound / measured: at 100 % only other arithmetic could
make the kernel faster. The bound is a lower one: what is left out (additions, comparisons, integer work, loops) may run
beside, or not. `chains` is the time of the operations that wait for the one before, if no chain ran beside another:
where a kernel takes about as long, latency limits it and not throughput. Shares a little above 100 % come from what a
kernel uses more often than the rest of its working set (pixels in the middle), which stays closer than the rest.

The scalar kernels compute a multiply-add in several operations, whose time depends on the numbers: take their bound as
a hint.

The non-zero pixels are those of the first 1,024 training images of MNIST; where there is no MNIST, of the synthetic
digits, and that is said.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine

import mnist_c as mc
from mnist_c import _core
from mnist_c._tables import as_text

ROOT = Path(__file__).resolve().parent.parent
BUILD = "build/benchmarks"  # apart from the C tests, which are built with assertions
IMAGES = 1024

Figures = dict[str, Any]


def make(*arguments: str) -> str:
    """Runs scripts/core.mk and returns what it prints; ends the program with its errors if it fails."""
    command = ["make", "--no-print-directory", "-f", "scripts/core.mk", *arguments, f"BUILD={BUILD}", "EXTRA=-DNDEBUG"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def images() -> tuple[Any, str]:
    """Training images (1024, 28, 28) uint8, and what they are."""
    try:
        train, _ = mc.datasets.load("mnist")
    except mc.datasets.DatasetNotFoundError:
        train, _ = mc.datasets.load("synthetic")
        return train.images[:IMAGES], "synthetic digits (no MNIST here)"
    return train.images[:IMAGES], "MNIST"


def measure(isa: str, pixels: Path, seconds: float) -> list[Figures]:
    """The objects that kernels.c prints: compiler, bounds, kernels."""
    program = ROOT / BUILD / f"kernels-{isa}"
    done = subprocess.run([program, pixels, str(seconds)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} failed with exit status {done.returncode}:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def cycles_of_one(bounds: list[Figures], name: str, size: int = 0) -> float:
    """Cycles of one operation; of loads and stores, for the largest measured working set that is not above `size`."""
    (first, *others) = [b for b in bounds if b["bound"] == name]
    return max((b for b in others if b["bytes"] <= size), key=lambda b: b["bytes"], default=first)["cycles"]


def limits(kernel: Figures, bounds: list[Figures]) -> dict[str, float]:
    """Cycles that each unit of the CPU needs for the kernel's operations."""
    operations, size = kernel["operations"], kernel["set"]

    def cycles(*names: str, size: int = 0) -> float:
        return sum(operations[name] * cycles_of_one(bounds, name, size) for name in names)

    return {
        "FMA ports": cycles("fma", "multiply"),
        "load ports": cycles("load", "broadcast"),
        "stores": cycles("store"),
        f"loads from {size / 1024:.0f} KiB": cycles("load", size=size),
        f"stores to {size / 1024:.0f} KiB": cycles("store", size=size),
        "root and division": cycles("divide", "root"),
        "32-bit products": cycles("random"),
        "moves one by one": cycles("move"),
    }


def judge(kernel: Figures, bounds: list[Figures]) -> None:
    """Adds to the kernel's figures: its bound, which one that is, the share reached, and the cycles of its chains."""
    times = limits(kernel, bounds)
    kernel["limits"] = times
    kernel["limit"] = max(times, key=lambda name: times[name])
    kernel["bound_cycles"] = times[kernel["limit"]]
    kernel["share"] = kernel["bound_cycles"] / kernel["cycles"]
    kernel["chains"] = sum(
        kernel["operations"][name] * cycles_of_one(bounds, name) for name in ("fma_chain", "add_chain")
    )


def rate(cycles: float, kernel: Figures) -> str:
    """FLOP per cycle of products, cycles per element of other kernels."""
    if kernel["unit"] == "FLOP":
        return f"{kernel['items'] / cycles:.3g} FLOP/c" if cycles else ""
    return f"{cycles / kernel['items']:.3g} c/elem" if cycles else ""


def bounds_table(bounds: list[Figures]) -> str:
    rows = [(b["bound"] + (f", {b['bytes'] // 1024} KiB" if b["bytes"] else ""), f"{b['cycles']:.2f}") for b in bounds]
    return as_text(("one operation on 16 floats", "cycles"), [rows], "<>")


def kernels_table(kernels: list[Figures]) -> str:
    header = ("kernel", "shape", "measured", "bound", "share", "limited by", "chains")
    rows = [
        (
            k["kernel"],
            k["shape"],
            rate(k["cycles"], k),
            rate(k["bound_cycles"], k),
            f"{100 * k['share']:.0f} %",
            k["limit"],
            rate(k["chains"], k),
        )
        for k in kernels
    ]
    return as_text(header, [rows], "<<>>><>")


def formulas(kernels: list[Figures]) -> str:
    """What is counted of each kernel, once."""
    texts = dict.fromkeys(f"  {k['kernel']}: {k['formula']}" for k in kernels)
    return "\n".join(["What a kernel cannot do without:", *texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    available = _core.config()["isas"]
    parser.add_argument("--isa", nargs="+", choices=available, default=list(available))
    parser.add_argument("--seconds", type=float, default=0.05, help="time for each figure (default: 0.05)")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    make("benchmarks", f"ISAS={' '.join(options.isa)}", f"-j{os.cpu_count()}")
    pixels, source = images()
    report: Figures = {
        "machine": machine.describe(),
        "flags": make("flags").strip(),
        "images": source,
        "bounds": [],
        "kernels": [],
    }
    print(f"{report['machine']['cpu']}, one thread, float32; pixels of {source}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pixels")
        path.write_bytes(pixels.tobytes())
        for isa in options.isa:
            (about, *figures) = measure(isa, path, options.seconds)
            report["compiler"] = about["compiler"]
            bounds = [f for f in figures if "bound" in f]
            kernels = [f for f in figures if "kernel" in f]
            for kernel in kernels:
                judge(kernel, bounds)
            report["bounds"] += bounds
            report["kernels"] += kernels
            hertz = sorted(f["hertz"] for f in figures)[len(figures) // 2]
            print(f"\n{isa}, {hertz / 1e9:.2f} GHz\n\n{bounds_table(bounds)}\n\n{kernels_table(kernels)}")
    print(f"\n{formulas(report['kernels'])}\n\ncompiler {report['compiler']}; {report['flags']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
