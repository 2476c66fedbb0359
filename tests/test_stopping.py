"""Ends of a training before its last epoch: requests, budgets, targets, divergence; and two trainings at once."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest
from helpers_training import StopAt, X, Y, fit, make_model

import mnist_c as mc
from mnist_c.callbacks import LambdaCallback, TargetAccuracy, TimeBudget

LONG_X, LONG_Y = np.tile(X, (200, 1)), np.tile(Y, 200)


def start(model, **options):
    """A long training in another thread, when it has begun; its history comes into the list."""
    histories, begun = [], threading.Event()
    hook = LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.set())

    def work():
        histories.append(model.fit(LONG_X, LONG_Y, epochs=100_000, verbose=0, callbacks=[hook], **options))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(10)
    return thread, histories


# ---------------------------------------------------------------- requests


def test_another_thread_can_end_a_training():
    model = make_model(units=64)
    thread, histories = start(model)
    assert model.request_stop()
    thread.join(10)
    assert not thread.is_alive()
    assert histories[0].stopped_by == "request"
    assert model.history is histories[0]
    assert len(model.history.epoch) == len(model.history.history.get("loss", []))
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_a_request_without_a_training_does_nothing():
    model = make_model()
    assert not model.request_stop()
    assert fit(model).stopped_by == "epochs"


def test_a_stopped_epoch_is_not_in_the_history():
    model = make_model()
    history = fit(model, [StopAt(13)])
    assert (history.stopped_by, history.epoch, model._state.network.progress()[1]) == ("request", [0], 13)


def test_the_reason_of_a_request_stands_in_the_history():
    model = make_model()
    history = fit(model, [LambdaCallback(on_epoch_end=lambda epoch, logs: model.request_stop("enough"))])
    assert (history.stopped_by, history.epoch) == ("enough", [0])


# ---------------------------------------------------------------- budgets and targets


def test_a_time_budget_ends_training_within_an_epoch():
    model, threads = make_model(units=64), threading.active_count()  # a progress bar may have left one
    begun = time.perf_counter()
    history = model.fit(LONG_X, LONG_Y, epochs=100_000, verbose=0, callbacks=[TimeBudget(0.3)])
    assert 0.3 <= time.perf_counter() - begun < 5  # no promise on a busy machine
    assert history.stopped_by == "time budget"
    assert threading.active_count() == threads


def test_a_budget_that_is_not_used_up_stops_nothing():
    model, threads = make_model(), threading.active_count()
    assert fit(model, [TimeBudget(600)]).stopped_by == "epochs"
    assert threading.active_count() == threads


def test_a_target_ends_training_after_the_epoch_that_reaches_it():
    values = [0.5, 0.97, 0.98, 0.99]
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_accuracy=values[epoch]))
    history = fit(make_model(), [script, TargetAccuracy(0.98)], epochs=4)
    assert (history.stopped_by, history.epoch) == ("callback", [0, 1, 2])


@pytest.mark.parametrize("target", [0, 98, -1, float("nan")])
def test_a_target_that_is_no_share_is_refused(target):
    with pytest.raises(ValueError, match="target"):
        TargetAccuracy(target)


def test_a_target_without_validation_data_is_an_error():
    with pytest.raises(ValueError, match="no validation data"):
        make_model().fit(X, Y, verbose=0, callbacks=[TargetAccuracy(0.9)])


# ---------------------------------------------------------------- divergence


def diverging(quantity):
    """A model whose first batch first leaves the finite numbers at that quantity of the layer "b"."""
    activation = "relu" if quantity == "pre-activations" else "tanh"
    layers = [
        mc.Dense(4, "relu", input_dim=2, name="a"),
        mc.Dense(4, activation, name="b"),
        mc.Dense(3, "softmax", name="c"),
    ]
    model = mc.Sequential(layers, seed=0)
    a, a_bias, b, b_bias, c, c_bias = (np.zeros_like(w) for w in model.get_weights())
    if quantity == "pre-activations":
        a[:], b[:] = 1e20, 1e20  # 2e20, then 8e40
    else:
        a[:], c[:] = 1, [3.4e38, -3.4e38, -3.4e38]  # all z are 0; the delta is their sum times -2/3, 1/3, 1/3
    model.set_weights([a, a_bias, b, b_bias, c, c_bias])
    return model


ONES, CLASSES = np.ones((12, 2), np.float32), np.arange(12) % 3


def test_the_error_names_layer_and_quantity_of_the_first_value_that_is_not_finite():
    model = diverging("pre-activations")
    with pytest.raises(mc.NotFiniteError, match="the pre-activations of layer 'b'") as error:
        model.fit(ONES, CLASSES, batch_size=4, verbose=0)
    assert (error.value.epoch, error.value.batch, error.value.layer) == (0, 0, "b")
    assert error.value.quantity == "pre-activations"
    assert model.history.stopped_by == "error"


def test_deltas_that_overflow_are_found():
    model = diverging("deltas")
    before = [w.tobytes() for w in model.get_weights()]
    with pytest.raises(mc.NotFiniteError, match="the deltas, or the gradient of its bias, of layer 'b'") as error:
        model.fit(ONES, CLASSES, batch_size=1, shuffle=False, verbose=0, optimizer=mc.SGD(0.1))
    assert (error.value.batch, error.value.quantity) == (0, "deltas, or the gradient of its bias")
    assert [w.tobytes() for w in model.get_weights()] == before


@pytest.mark.parametrize("by_batch", [False, True])
def test_the_batch_that_is_named_is_the_one_that_diverges(by_batch):
    model = make_model()
    hooks = [LambdaCallback(on_train_batch_end=lambda batch, logs: None)] if by_batch else []
    x = np.ones((40, 6), np.float32)
    x[27] = 3e38
    with pytest.raises(mc.NotFiniteError) as error, pytest.warns(UserWarning, match="pixels"):
        model.fit(x, np.arange(40) % 3, batch_size=4, shuffle=False, verbose=0, callbacks=hooks)
    assert (error.value.batch, error.value.layer, error.value.quantity) == (6, "dense", "pre-activations")
    assert model._state.network.progress()[1] == 6


def test_a_step_of_ones_own_names_them_too():
    with pytest.raises(mc.NotFiniteError, match="the pre-activations of layer 'b'"):
        diverging("pre-activations").train_on_batch(ONES, CLASSES)


# ---------------------------------------------------------------- two at once


def test_a_second_fit_is_refused_and_changes_nothing():
    model = make_model(units=64)
    thread, histories = start(model)
    try:
        running, optimizer = model.history, model.optimizer
        with pytest.raises(RuntimeError, match="is being trained"):
            model.fit(X, Y, verbose=0, optimizer=mc.SGD(0.1))
        assert model.history is running
        assert model.optimizer is optimizer
        assert not model.stop_training
    finally:
        model.request_stop()
        thread.join(10)
    assert histories[0].stopped_by == "request"
    assert fit(model, epochs=1, optimizer=mc.SGD(0.1)).stopped_by == "epochs"


def test_predictions_in_another_thread_are_refused_and_do_not_end_the_training():
    model = make_model(units=64)
    thread, histories = start(model)
    try:
        for _ in range(200):
            with pytest.raises(RuntimeError, match="trained in another thread"):
                model.predict(LONG_X)
            with pytest.raises(RuntimeError, match="trained in another thread"):
                model.evaluate(X, Y, verbose=0)
        calls = {
            "compile": lambda: model.compile("sgd", "categorical_crossentropy"),
            "train_on_batch": lambda: model.train_on_batch(X, Y),
            "trace": lambda: model.trace(X, Y),
            "diagnose": lambda: mc.diagnose(model, None, X, Y),
            "save": lambda: model.save("unused"),
            "save_weights": lambda: model.save_weights("unused"),
            "load_weights": lambda: model.load_weights("unused"),
            "set_weights": lambda: model.set_weights([]),
        }
        for call in calls.values():
            with pytest.raises(RuntimeError, match="trained in another thread"):
                call()
    finally:
        model.request_stop()
        thread.join(10)
    assert histories[0].stopped_by == "request"
    assert model.predict(X).shape == (90, 3)


def test_a_fit_within_a_callback_of_fit_is_refused():
    model = make_model()
    with pytest.raises(RuntimeError, match="is being trained"):
        fit(model, [LambdaCallback(on_epoch_end=lambda epoch, logs: fit(model))])
    assert fit(model).stopped_by == "epochs"


def test_a_copy_made_in_training_can_be_trained():
    model, copies = make_model(), []

    def keep(epoch, logs):
        copies.extend([copy.deepcopy(model), pickle.loads(pickle.dumps(model.get_weights()))])

    model.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_begin=keep)])
    assert fit(copies[0], epochs=1).stopped_by == "epochs"


def test_the_core_tells_what_it_did_until_an_error_ended_it():
    """And sums that go on from earlier ones are those of a training in one piece."""
    model = make_model()
    model.fit(X, Y, epochs=0, verbose=0, optimizer=mc.SGD(0.1))
    network, _ = model._trainable_network()
    other = copy.deepcopy(model)._trainable_network()[0]
    data = mc._core.Data(X, labels=Y.astype(np.int32), classes=3)
    order, rates = np.arange(90, dtype=np.uint32), np.full(9, 0.1)
    totals = (0.0, 0, 0)
    for batch in range(9):
        part = order[batch * 10 : (batch + 1) * 10]
        totals = network.fit(data, part, 10, rates[:1], None, totals)
        assert network.totals() == totals

    def fail(*arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        other.fit(data, order, 10, rates, fail)
    assert other.totals() == totals
