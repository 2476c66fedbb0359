"""How many ticks a second a Python thread keeps while another one trains.

    python scripts/ticks.py [--seconds 3] [--least 0.8]

The thread sleeps for a millisecond and counts. It loses ticks in which it waits for a CPU, as it does beside another
process that trains, and those in which it waits for the interpreter. Exit status 0: a training in this process leaves
at least 80 % (--least) of the ticks that one in another process leaves.
"""

import argparse
import subprocess
import sys
import threading
import time

import numpy as np

import mnist_c as mc

RNG = np.random.default_rng(1)
X, Y = (RNG.integers(0, 256, (6000, 784)) * (RNG.random((6000, 784)) < 0.2)).astype(np.uint8), RNG.integers(0, 10, 6000)


def make_model(*units):
    return mc.Sequential(
        [mc.Dense(units[0], "relu", input_dim=784), *[mc.Dense(n, "relu") for n in units[1:]], mc.Dense(10, "softmax")]
    )


KINDS = {
    "784-128-10, batch 32": ((128,), 32),
    "784-128-10, batch 6000": ((128,), 6000),
    "784-1000-1000-10, batch 128": ((1000, 1000), 128),
}


def rate(work):
    """Ticks a second while it runs."""
    ticks, done = [0], threading.Event()

    def tick():
        while not done.is_set():
            time.sleep(0.001)
            ticks[0] += 1

    thread = threading.Thread(target=tick)
    thread.start()
    begun, before = time.perf_counter(), ticks[0]
    work()
    per_second = (ticks[0] - before) / (time.perf_counter() - begun)
    done.set()
    thread.join()
    return per_second


def train(name, seconds):
    units, batch_size = KINDS[name]
    budget = mc.callbacks.TimeBudget(seconds)
    make_model(*units).fit(X, Y, epochs=10**6, batch_size=batch_size, verbose=0, callbacks=[budget])


def beside_process(name, seconds):
    """Ticks a second while another process trains, which takes CPUs but no interpreter."""
    command = [sys.executable, __file__, "--train", name, "--seconds", str(seconds + 1)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = rate(lambda: time.sleep(seconds))
        process.kill()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--least", type=float, default=0.8)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print("begins", flush=True)
        return train(options.train, options.seconds)
    least = 1.0
    print("ticks a second:               alone  beside a process  beside a thread that trains")
    for name in KINDS:
        alone = rate(lambda: time.sleep(options.seconds))
        process = beside_process(name, options.seconds)
        thread = rate(lambda name=name: train(name, options.seconds))
        least = min(least, thread / min(alone, process))
        print(f"{name:28}{alone:7.0f}{process:18.0f}{thread:12.0f}", flush=True)
    print(f"at least {least:.0%} of the rate beside a process were left")
    return 0 if least >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
