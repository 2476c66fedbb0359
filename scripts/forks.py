"""Forks a process before, during and after use of the pool of threads; parent and child both train on.

    python scripts/forks.py [--times 1000] [--when before,after,during] [--seconds 30]

before: nothing has run yet in this process.  after: workers are idle.  during: another Python thread trains, at any
moment of its slices.  The child trains in two threads and must reach the hash of a training that was never forked.
Exit status 0: every child did, none within more than --seconds, which counts as a hang.
"""

import argparse
import os
import signal
import sys
import threading
import time
import warnings

import numpy as np

import mnist_c as mc
from mnist_c import _core

RNG = np.random.default_rng(1)
X, Y = RNG.integers(0, 256, (256, 64), np.uint8), RNG.integers(0, 10, 256)


def make_model():
    return mc.Sequential([mc.Dense(512, activation="relu", input_dim=64), mc.Dense(10, activation="softmax")], seed=1)


def train():
    """The hash of a short training; parts of it take all threads."""
    model = make_model()
    model.fit(X, Y, epochs=2, batch_size=128, verbose=0)
    return model._state.network.hash() ^ hash(model.predict(X).tobytes())


def child_is_right(expected, seconds):
    """Forks; the child trains and tells by its status."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles it: it ends the process
        try:
            os._exit(0 if train() == expected else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def run(when, times, seconds, expected):
    """How many of the children were right."""
    model, done = make_model(), threading.Event()

    def busy():
        while not done.is_set():
            model.fit(X, Y, epochs=20, batch_size=128, verbose=0)

    other = threading.Thread(target=busy)
    if when == "during":
        other.start()
    right = 0
    try:
        for _ in range(times):
            right += child_is_right(expected, seconds)
            if when != "before":
                right -= train() != expected
    finally:
        done.set()
        if when == "during":
            other.join()
    return right


def expected_hash():
    """From a child, so that this process has not run anything."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, repr(train()).encode())
        os._exit(0)
    os.wait()
    return int(os.read(read, 100))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--when", default="before,after,during")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks beside threads, which is what is tested
    _core.set_num_threads(2)
    expected, wrong = expected_hash(), 0
    for when in options.when.split(","):
        begun = time.monotonic()
        right = run(when, options.times, options.seconds, expected)
        wrong += options.times - right
        print(f"{when}: {right} of {options.times} children trained on, {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
