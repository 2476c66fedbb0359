"""Sends Ctrl-C at random moments of long calls and reports how long it takes until they end with KeyboardInterrupt.

    python scripts/interrupts.py [--moments 200] [--works fit-largest,save] [--most 0.15] [--seed 0]

Each kind of work is done again and again in a process of its own, on the largest network that the project reproduces or
on all of MNIST in one batch. Exit status 0: every Ctrl-C came through, and none took longer than --most seconds. On a
machine that others use as well, what is measured is an upper bound: on Linux the time is not counted that the main
thread waited for a CPU (the column "waits" has the longest), but that of the other threads is.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LARGEST = (2500, 2000, 1500, 1000, 500)
STARTING = 60  # seconds that a process may take until it begins


def make_model(units):
    import mnist_c as mc

    layers = [mc.Dense(n, activation="relu") for n in units]
    return mc.Sequential([mc.Flatten(input_shape=(28, 28)), *layers, mc.Dense(10, activation="softmax")], seed=0)


def works(folder):
    """Name -> a function that makes the work to be interrupted: a function that takes longer than any moment."""
    import mnist_c as mc

    def data():
        return mc.datasets.load("mnist")[0]

    def fit(units, batch_size):
        model, train = make_model(units), data()
        return lambda: model.fit(train.images, train.labels, batch_size=batch_size, epochs=10**6, verbose=0)

    def repeat(call, *arguments):
        return lambda: [call(*arguments) for _ in range(10**6)]

    def save():
        model, train = make_model(LARGEST), data()
        model.fit(train.images[:128], train.labels[:128], verbose=0)  # with the moments of the optimizer
        return repeat(model.save, folder / "model")

    def predict():
        model, train = make_model(LARGEST), data()
        return repeat(model.predict, train.images)

    def evaluate():
        model, train = make_model(LARGEST), data()
        return repeat(lambda: model.evaluate(train.images, train.labels, verbose=0))

    return {
        "fit-largest": lambda: fit(LARGEST, 128),
        "fit-full-batch": lambda: fit((128,), 60_000),
        "fit-small": lambda: fit((128, 64), 32),
        "predict-largest": predict,
        "evaluate-largest": evaluate,
        "build-largest": lambda: repeat(lambda: make_model(LARGEST).build()),
        "load": lambda: repeat(data),
        "synthetic": lambda: repeat(mc.datasets.synthetic, 20_000),
        "save-largest": save,
    }


def waited(pid):
    """Seconds that the main thread of a process has waited for a CPU, where the kernel says so."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def work(name, moments):
    """In the process that is interrupted: says when it is about to begin, and when it was interrupted, and where."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        call = works(Path(folder))[name]()
        for _ in range(moments):
            try:
                print("begin", flush=True)
                call()
            except KeyboardInterrupt as interrupt:
                came, at, wait = time.monotonic(), interrupt.__traceback__, waited("self")
                while at.tb_next is not None:
                    at = at.tb_next
                code = at.tb_frame.f_code
                print(came, wait, f"{Path(code.co_filename).name}, {code.co_name}, line {at.tb_lineno}", flush=True)


def measure(name, moments, draw):
    """(seconds without waiting for a CPU, seconds of waiting, where) of each interrupt."""
    command = [sys.executable, __file__, "--work", name, "--moments", str(moments)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(moments):
            if process.stdout.readline().strip() != "begin":
                raise SystemExit(f"{name} failed")
            time.sleep(draw.uniform(0.02, 0.6))
            sent, before = time.monotonic(), waited(process.pid)
            process.send_signal(signal.SIGINT)
            came, after, where = process.stdout.readline().strip().split(" ", 2)
            wait = min(float(after) - before, float(came) - sent)
            found.append((float(came) - sent - wait, wait, where))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--works", help="names with commas between them")
    parser.add_argument("--most", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return work(options.work, options.moments)
    draw, late = random.Random(options.seed), 0
    names = options.works.split(",") if options.works else list(works(Path()))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; milliseconds")
    print(f"{'work':18}{'moments':>8}{'median':>8}{'p99':>8}{'max':>8}{'waits':>8}  slowest")
    for name in names:
        found = measure(name, options.moments, draw)
        ms = [1000 * seconds for seconds, _, _ in found]
        figures = (ms[len(ms) // 2], ms[len(ms) * 99 // 100], ms[-1], 1000 * max(wait for _, wait, _ in found))
        numbers = "".join(f"{figure:8.0f}" for figure in figures)
        print(f"{name:18}{len(ms):8}{numbers}  {found[-1][2]}", flush=True)
        late += sum(seconds > options.most for seconds, _, _ in found)
    print(f"{late} took longer than {1000 * options.most:.0f} ms; load {os.getloadavg()[0]:.1f}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
