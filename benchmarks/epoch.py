"""Seconds of the keras-mlp recipe on MNIST, for each number of threads, and of importing the package.

    python benchmarks/epoch.py [--runs 5] [--threads 1 2]

The recipe: 784-128-64-10, dropout, Adam, batch 32, 10 epochs with validation. Prints minimum and median of several
runs; the runs of different thread counts take turns, so that a busy machine treats them alike. Needs MNIST (see
mnist_c.datasets.load); without it the synthetic digits are used, and that is said.
"""

import argparse
import statistics
import subprocess
import sys
import time

import mnist_c as mc


def digits() -> tuple[mc.datasets.Dataset, str]:
    try:
        train, _ = mc.datasets.load("mnist")
    except mc.datasets.DatasetNotFoundError:
        train, _ = mc.datasets.load("synthetic")
        return train, "synthetic digits (no MNIST here)"
    return train, "MNIST"


def recipe() -> mc.Sequential:
    hidden = [layer for units in (128, 64) for layer in (mc.Dense(units, activation="relu"), mc.Dropout(0.2))]
    return mc.Sequential([mc.Flatten(input_shape=(28, 28)), *hidden, mc.Dense(10, activation="softmax")], seed=0)


def seconds_to_train(train: mc.datasets.Dataset, threads: int) -> float:
    mc.set_num_threads(threads)
    model = recipe()
    start = time.perf_counter()
    model.fit(train.images, train.labels, epochs=10, batch_size=32, validation_split=0.2, verbose=0)
    return time.perf_counter() - start


def seconds_to_import(module: str) -> float:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    train, what = digits()
    mc.show_config()
    times: dict[int, list[float]] = {threads: [] for threads in options.threads}
    for _ in range(options.runs):
        for threads, seconds in times.items():
            seconds.append(seconds_to_train(train, threads))
    print(f"keras-mlp, 10 epochs on {len(train.images)} {what}, {options.runs} runs")
    for threads, seconds in times.items():
        print(f"  {threads} threads: minimum {min(seconds):.3f} s, median {statistics.median(seconds):.3f} s")
    extra = [seconds_to_import("numpy, mnist_c") - seconds_to_import("numpy") for _ in range(2 * options.runs)]
    least, middle = 1e3 * min(extra), 1e3 * statistics.median(extra)
    print(f"import mnist_c beyond NumPy: minimum {least:.1f} ms, median {middle:.1f} ms")


if __name__ == "__main__":
    main()
