"""One model, many threads: predictions at once are those of one after the other, and none sees half of a change."""

import signal
import sys
import threading
import time

import numpy as np
import pytest
from helpers_training import X, Y

import mnist_c as mc

RNG = np.random.default_rng(7)
IMAGES = (RNG.integers(1, 256, (400, 28, 28)) * (RNG.random((400, 28, 28)) < 0.2)).astype(np.uint8)
LABELS = RNG.integers(0, 10, 400)
MANY = np.tile(IMAGES, (25, 1, 1))


def make_model(*units, **settings):
    layers = [mc.Dense(n, activation="relu") for n in units or (32,)]
    return mc.Sequential([mc.Flatten(input_shape=(28, 28)), *layers, mc.Dense(10, activation="softmax")], **settings)


@pytest.fixture(autouse=True)
def many_switches():
    """Python's threads take turns a hundred times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works):
    """Runs them in threads that begin together; raises the first error that one of them did."""
    errors, start = [], threading.Barrier(len(works))

    def run(work):
        try:
            start.wait()
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


# ---------------------------------------------------------------- reading


def test_a_thousand_predictions_in_each_of_16_threads_are_those_of_one_thread():
    model = make_model(seed=1)
    batches = [slice(0, 1), slice(3, 4), slice(10, 25), slice(20, 36), slice(0, 400), slice(7, 240)]
    expected = [model.predict(IMAGES[rows]) for rows in batches]
    singles = np.concatenate([model.predict(image) for image in IMAGES])

    def work(seed):
        order = np.random.default_rng(seed).integers(0, len(IMAGES), 980)
        for k, i in enumerate(order):
            assert np.array_equal(model.predict(IMAGES[i])[0], singles[i])
            if k % 49 == 0:
                which = (seed + k) % len(batches)
                assert np.array_equal(model.predict(IMAGES[batches[which]]), expected[which])

    at_once(*(lambda seed=seed: work(seed) for seed in range(16)))


def test_evaluations_and_predictions_mix():
    model = make_model(64, 32, seed=2)
    loss, accuracy = model.evaluate(MANY, np.tile(LABELS, 25), verbose=0)
    outputs = model.predict(MANY)

    def evaluate():
        for _ in range(5):
            assert model.evaluate(MANY, np.tile(LABELS, 25), verbose=0) == (loss, accuracy)

    def predict():
        for _ in range(5):
            assert np.array_equal(model.predict(MANY), outputs)

    at_once(*[evaluate, predict] * 4)


def test_each_call_has_the_head_that_it_needs():
    """Without a loss, `predict` computes as for squared errors and `evaluate` as for classes."""
    model = mc.Sequential([mc.Dense(8, "relu", input_dim=6), mc.Dense(3)], seed=3)
    outputs, result = model.predict(X), tuple(model.evaluate(X, Y, verbose=0))

    def evaluate():
        for _ in range(100):
            assert model.evaluate(X, Y, verbose=0) == result

    def predict():
        for _ in range(100):
            assert np.array_equal(model.predict(X), outputs)

    at_once(*[evaluate, predict] * 3)


def test_threads_that_predict_first_get_the_same_weights():
    for seed in range(20):
        layers = [mc.Dense(16, activation="relu"), mc.Dense(10, activation="softmax")]
        model, found = mc.Sequential([mc.Flatten(), *layers], seed=seed), []
        at_once(*[lambda model=model, found=found: found.append(model.predict(IMAGES[:20]))] * 6)
        assert all(np.array_equal(outputs, model.predict(IMAGES[:20])) for outputs in found)


# ---------------------------------------------------------------- changing


def test_a_prediction_sees_all_of_a_change_or_nothing():
    model = make_model(300, 300, seed=4)
    sets = [model.get_weights(), make_model(300, 300, seed=5).get_weights()]
    expected = []
    for weights in sets:
        model.set_weights(weights)
        expected.append(model.predict(MANY))
    seen, refused, done = [0, 0], [], threading.Event()

    def predict():
        while not done.is_set():
            try:
                outputs = model.predict(MANY)
            except RuntimeError as error:
                refused.append(str(error))
                continue
            matches = [np.array_equal(outputs, one) for one in expected]
            assert any(matches)
            seen[matches.index(True)] += 1

    def change():
        end, k = time.monotonic() + 10, 0
        while time.monotonic() < end and min(seen) < 10:
            model.set_weights(sets[k % 2])
            k += 1
            time.sleep(0.001)
        done.set()

    at_once(change, predict, predict, predict)
    assert min(seen) > 0
    assert all("in another thread" in message for message in refused)


def test_set_takes_all_arrays_or_none():
    network = make_model(seed=6)._state.network
    kernel, before = network.get("value", 0), network.hash()
    with pytest.raises(ValueError, match="32 elements"):
        network.set("value", 0, kernel + 1, 1, np.zeros(5, np.float32))
    with pytest.raises(TypeError, match="or several of both"):
        network.set("value", 0, kernel + 1, 1)
    assert network.hash() == before
    network.set("value", 0, kernel + 1, 1, np.ones(32, np.float32))
    assert np.array_equal(network.get("value", 0), kernel + 1)
    assert np.array_equal(network.get("value", 1), np.ones(32))


def test_predictions_neither_end_nor_change_a_training():
    """Whatever the moment of a call, it is refused, or sees the weights between two batches."""
    x, y = MANY, np.tile(LABELS, 25)
    alone = make_model(64, seed=7)
    alone.fit(x, y, epochs=2, verbose=0)
    for _ in range(3):
        model, done, refused = make_model(64, seed=7), threading.Event(), []
        model.predict(x[:1])

        def train(model=model, done=done):
            try:
                time.sleep(0.02)
                model.fit(x, y, epochs=2, verbose=0)
            finally:
                done.set()

        def predict(rows, model=model, done=done, refused=refused):
            while not done.is_set():
                try:
                    assert np.isfinite(model.predict(rows)).all()
                    model.evaluate(rows, LABELS[: len(rows)], verbose=0) if len(rows) <= 400 else None
                except RuntimeError as error:
                    refused.append(str(error))
                    time.sleep(0.001)

        at_once(train, lambda: predict(x[:1]), lambda: predict(x[:300]), lambda: predict(x))
        assert model.weights_hash() == alone.weights_hash()
        assert refused
        assert all("in another thread" in message for message in refused)


def test_a_change_waits_for_the_evaluation_under_way():
    model, times = make_model(1000, 1000, seed=8), {}
    model.predict(MANY[:100])
    network, expected = model._state.network, model.predict(MANY)
    data, weights = mc._core.Data(MANY.reshape(len(MANY), -1)), [w * 0 for w in model.get_weights()]

    def evaluate():
        assert np.array_equal(network.predict(data), expected)
        times["evaluated"] = time.monotonic()

    def change():
        time.sleep(0.05)  # the other one has begun, and needs longer
        model.set_weights(weights)
        times["changed"] = time.monotonic()

    at_once(evaluate, change)
    assert not np.array_equal(model.predict(MANY[:100]), expected[:100])
    assert set(times) == {"evaluated", "changed"}


def test_a_signal_handler_may_predict_but_not_change_the_model_that_is_being_evaluated():
    model, outcomes = make_model(1000, 1000, seed=9), []
    expected = model.predict(MANY)

    def handle(number, frame):
        outcomes.append(np.array_equal(model.predict(MANY[:1]), expected[:1]))
        try:
            model.set_weights([w * 0 for w in model.get_weights()])
        except RuntimeError as error:
            outcomes.append(str(error))

    previous = signal.signal(signal.SIGALRM, handle)
    try:
        data = mc._core.Data(MANY.reshape(len(MANY), -1))
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert np.array_equal(model._state.network.predict(data), expected)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert outcomes[0]
    assert "in the middle of a call" in outcomes[1]
    assert np.array_equal(model.predict(MANY[:1]), expected[:1])
