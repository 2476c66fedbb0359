"""Ctrl-C within a long batch, an evaluation, a file: it comes through soon, and training goes on to the same bits.

Moments are random, and no test knows how fast the machine is: `scripts/interrupts.py` measures.
"""

import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest

import mnist_c as mc

RNG = np.random.default_rng(11)
IMAGES = (RNG.integers(1, 256, (6000, 28, 28)) * (RNG.random((6000, 28, 28)) < 0.2)).astype(np.uint8)
LABELS = RNG.integers(0, 10, 6000)
ORDER, RATE = np.arange(6000, dtype=np.uint32), np.full(1, 1e-3)
SOON = 1.0  # second: ten times what is promised


def make_model(*units, norm=False):
    layers = [layer for n in units for layer in (mc.Dense(n, "relu"), *([mc.BatchNormalization()] if norm else []))]
    return mc.Sequential([mc.Flatten(input_shape=(28, 28)), *layers, mc.Dense(10, "softmax")], seed=0)


@contextmanager
def alarms(handler, first, interval=0.0):
    """Signals after `first` seconds and then at an interval."""
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, first, interval)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def interrupted(work, after):
    """Runs it with a Ctrl-C so many seconds later. Returns whether that came in time, and checks that it came soon."""
    came = []

    def interrupt(number, frame):
        came.append(time.monotonic())
        raise KeyboardInterrupt

    begun = time.monotonic()
    try:
        with alarms(interrupt, after):
            work()
    except KeyboardInterrupt:
        assert time.monotonic() - begun - after < SOON
    return bool(came)


def network_and_data(norm, units=(512, 512)):
    model = make_model(*units, norm=norm)
    network = model._state.network
    network.set_optimizer("adam")
    data = mc._core.Data(IMAGES.reshape(6000, 784), labels=LABELS.astype(np.int32), classes=10)
    return network, data


@pytest.mark.parametrize("norm", [False, True], ids=["chunks", "one chunk"])
def test_signals_are_looked_at_within_a_batch(norm):
    """If they were only after it, all that came meanwhile would count as one."""
    network, data = network_and_data(norm)
    calls = []
    with alarms(lambda number, frame: calls.append(number), 0.005, 0.005):
        network.fit(data, ORDER, 6000, RATE)
        during = len(calls)
    assert during > 1
    assert network.progress()[1] == 1


@pytest.mark.parametrize("norm", [False, True], ids=["chunks", "one chunk"])
def test_a_batch_that_ctrl_c_ends_changes_nothing(norm):
    network, data = network_and_data(norm)
    before = network.hash()
    assert interrupted(lambda: network.fit(data, ORDER, 6000, RATE), 0.01)
    assert (network.hash(), network.progress()[1], network.totals()) == (before, 0, (0.0, 0, 0))


@pytest.mark.parametrize("batch_size", [6000, 1500])
def test_training_in_large_batches_goes_on_to_the_same_bits(batch_size):
    settings = {"epochs": 2, "batch_size": batch_size, "verbose": 0}
    whole, model, resume, came = make_model(256, 128), make_model(256, 128), False, 0
    whole.fit(IMAGES, LABELS, **settings)
    while model.history is None or model.history.stopped_by != "epochs":
        after = RNG.uniform(0.02, 0.2) if came < 6 else 60
        came += interrupted(lambda resume=resume: model.fit(IMAGES, LABELS, resume=resume, **settings), after)
        resume = model._interrupted is not None
    assert came
    assert model.weights_hash() == whole.weights_hash()
    assert model.history.history == whole.history.history


FLOATS = np.tile((IMAGES.reshape(6000, 784) / 255).astype(np.float32), (8, 1))
SLOTS = {"momentum": 0.9, "centered": True, "use_ema": True, "gradient_accumulation_steps": 2}  # five of them

LONG_CALLS = {
    "Data": lambda network, data: mc._core.Data(FLOATS),
    "gradients": lambda network, data: network.gradients(data, ORDER, True, False),
    "forward_training": lambda network, data: network.forward_training(data, ORDER, True),
    "set_optimizer": lambda network, data: network.set_optimizer("rmsprop", **SLOTS),
}


LONG_NETWORKS = {"set_optimizer": (2500, 2000, 1500)}


@pytest.fixture
def one_thread():
    """With many, calls could be over before the first look at signals."""
    before = mc._core.get_num_threads()
    mc._core.set_num_threads(1)
    yield
    mc._core.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LONG_CALLS)
def test_signals_are_looked_at_within_a_long_call(name):
    network, data = network_and_data(True, LONG_NETWORKS.get(name, (1024, 512)))
    calls = []
    with alarms(lambda number, frame: calls.append(number), 0.005, 0.005):
        LONG_CALLS[name](network, data)
        during = len(calls)
    assert during > 1


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", LONG_CALLS)
def test_a_long_call_that_ctrl_c_ends_changes_nothing(name):
    """Neither the weights nor the moments, with which training goes on to the bits of one that nothing interrupted."""
    units = LONG_NETWORKS.get(name, (1024, 512))
    (network, data), (twin, _) = network_and_data(True, units), network_and_data(True, units)
    for one in (network, twin):
        one.fit(data, ORDER[:64], 64, RATE)
    assert interrupted(lambda: LONG_CALLS[name](network, data), 0.005)
    for one in (network, twin):
        one.fit(data, ORDER[64:128], 64, RATE)
    assert (network.hash(), network.progress()) == (twin.hash(), twin.progress())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_ctrl_c_around_a_change_of_the_optimizer_leaves_no_moments_of_another(after):
    model, adam = make_model(16), mc.optimizers.Adam()
    model.fit(IMAGES[:64], LABELS[:64], optimizer=adam, verbose=0)
    state, network = model._state, model._state.network

    class Interrupted:
        def __getattr__(self, name):
            return getattr(network, name)

        def set_optimizer(self, kind, **hyper):
            if after:
                network.set_optimizer(kind, **hyper)
            raise KeyboardInterrupt

    state.network = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        state.use_optimizer(mc.optimizers.SGD(momentum=0.9))
    assert state.optimizer is (None if after else adam)


WORKS = {
    "predict": lambda model, path: model.predict(np.tile(IMAGES, (4, 1, 1))),
    "evaluate": lambda model, path: model.evaluate(np.tile(IMAGES, (4, 1, 1)), np.tile(LABELS, 4), verbose=0),
    "save": lambda model, path: model.save(path),
    "synthetic": lambda model, path: mc.datasets.synthetic(20_000),
    "build": lambda model, path: make_model(2500, 2000, 1500),
}


@pytest.mark.parametrize("work", WORKS)
def test_ctrl_c_comes_through_soon(work, tmp_path):
    model, path = make_model(1000, 1000), tmp_path / "m"
    model.fit(IMAGES[:100], LABELS[:100], verbose=0)
    model.save(path)
    for _ in range(5):
        interrupted(lambda: WORKS[work](model, path), RNG.uniform(0.005, 0.15))
    assert mc.load_model(path).weights_hash() == model.weights_hash()
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]
