"""Sends Ctrl-C at random moments of long calls and reports how long it takes until they end with KeyboardInterrupt.

    python scripts/interrupts.py [--moments 200] [--works fit-largest,save] [--most 0.15] [--seed 0]

Each kind of work is done again and again in a process of its own, on the largest network that the project reproduces or
on all of MNIST in one batch. Exit status 0: every Ctrl-C came through, and none took longer than --most seconds. On a
machine that others use as well, what is measured is an upper bound: on Linux the time is not counted that the main
thread waited for a CPU (the column "waits" has the longest), but that of the other threads is. What others do hardly
touches the column "works": the most CPU time that the main thread spent between two looks at signals, which an alarm
asks for all the time.
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
ALARM = 0.005  # seconds between alarms
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

    def fit(units, batch_size, floats=False, new=False):
        """new: another model each time, which has neither weights nor an optimizer yet."""
        model, train = make_model(units), data()
        images = train.images / 255 if floats else train.images
        settings = {"batch_size": batch_size, "epochs": 10**6, "verbose": 0}
        return lambda: (make_model(units) if new else model).fit(images, train.labels, **settings)

    def gradients(rows):
        model, train = make_model(LARGEST), data()
        return repeat(model.gradients, train.images[:rows], train.labels[:rows])

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
        "fit-largest-512": lambda: fit(LARGEST, 512),
        "fit-largest-new": lambda: fit(LARGEST, 128, new=True),
        "fit-floats": lambda: fit((128, 64), 32, floats=True),
        "gradients-largest": lambda: gradients(2048),
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


class Looks:
    """The most CPU time of the main thread between two looks at signals."""

    def __init__(self):
        self.most, self.last = 0.0, time.thread_time()
        signal.signal(signal.SIGALRM, self.look)
        signal.setitimer(signal.ITIMER_REAL, ALARM, ALARM)

    def look(self, number, frame):
        now = time.thread_time()
        self.most, self.last = max(self.most, now - self.last), now

    def end(self):
        signal.setitimer(signal.ITIMER_REAL, 0)
        return self.most


def work(name, moments):
    """In the process that is interrupted: says when it is about to begin, and when it was interrupted, and where."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        call = works(Path(folder))[name]()
        for _ in range(moments):
            looks = Looks()
            try:
                print("begin", flush=True)
                call()
            except KeyboardInterrupt as interrupt:
                came, at, wait, most = time.monotonic(), interrupt.__traceback__, waited("self"), looks.end()
                while at.tb_next is not None:
                    at = at.tb_next
                code = at.tb_frame.f_code
                where = f"{Path(code.co_filename).name}, {code.co_name}, line {at.tb_lineno}"
                print(came, wait, most, where, flush=True)


def measure(name, moments, draw):
    """(seconds without waiting for a CPU, seconds of waiting, CPU seconds between looks, where) of each interrupt."""
    command = [sys.executable, __file__, "--work", name, "--moments", str(moments)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(moments):
            if process.stdout.readline().strip() != "begin":
                raise SystemExit(f"{name} failed")
            time.sleep(draw.uniform(0.02, 0.6))
            sent, before = time.monotonic(), waited(process.pid)
            process.send_signal(signal.SIGINT)
            came, after, most, where = process.stdout.readline().strip().split(" ", 3)
            wait = min(float(after) - before, float(came) - sent)
            found.append((float(came) - sent - wait, wait, float(most), where))
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
    print(f"{'work':18}{'moments':>8}{'median':>8}{'p99':>8}{'max':>8}{'waits':>8}{'works':>8}  slowest")
    for name in names:
        found = measure(name, options.moments, draw)
        ms, waits, between = ([1000 * one[i] for one in found] for i in range(3))
        figures = (ms[len(ms) // 2], ms[len(ms) * 99 // 100], ms[-1], max(waits), max(between))
        numbers = "".join(f"{figure:8.0f}" for figure in figures)
        print(f"{name:18}{len(ms):8}{numbers}  {found[-1][3]}", flush=True)
        late += sum(one[0] > options.most for one in found)
    print(f"{late} took longer than {1000 * options.most:.0f} ms; load {os.getloadavg()[0]:.1f}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
