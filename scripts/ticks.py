"""How many ticks a second a Python thread keeps while another one trains.

    python scripts/ticks.py [--seconds 3]

The thread sleeps for a millisecond and counts. Ticks that are lost are those in which it waited for the interpreter, or
for a CPU. Exit status 0: at least 80 % of the rate without training are left in each kind of training.
"""

import argparse
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    least = 1.0
    for name, (units, batch_size) in KINDS.items():
        model, budget = make_model(*units), mc.callbacks.TimeBudget(options.seconds)
        idle = rate(lambda: time.sleep(options.seconds))

        def fit(model=model, budget=budget, batch_size=batch_size):
            model.fit(X, Y, epochs=10**6, batch_size=batch_size, verbose=0, callbacks=[budget])

        busy = rate(fit)
        least = min(least, busy / idle)
        print(f"{name:30}{idle:6.0f} ticks a second alone, {busy:6.0f} beside training: {busy / idle:.0%}")
    return 0 if least >= 0.8 else 1


if __name__ == "__main__":
    sys.exit(main())
