"""Callbacks: Keras's names, arguments and behaviour; the best weights; what an epoch's record holds."""

import csv
import gc
import math
import sys
import threading

import numpy as np
import pytest

import mnist_c as mc
from mnist_c.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
)

_rng = np.random.default_rng(1)
X = _rng.normal(size=(90, 6))
Y = _rng.integers(0, 3, 90)


def make_model(**options):
    layers = [mc.Dense(8, "relu", input_dim=6), mc.Dropout(0.3), mc.BatchNormalization(), mc.Dense(3, "softmax")]
    return mc.Sequential(layers, seed=3, **options)


def fit(model, callbacks=None, **options):
    settings = {"epochs": 4, "batch_size": 20, "verbose": 0, "validation_split": 0.2, **options}
    return model.fit(X, Y, callbacks=callbacks, **settings)


class Script(Callback):
    """Replaces a figure of each epoch by the next of a list, and keeps the weights after each epoch."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name, self.weights = values, name, []

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.weights.append(self.model.get_weights())


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------- the protocol


def test_hooks_are_called_in_order_with_what_keras_gives_them():
    calls = []

    class Recorder(Callback):
        def on_train_begin(self, logs=None):
            calls.append(("train begin", logs))

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(("begin", epoch))

        def on_train_batch_begin(self, batch, logs=None):
            calls.append(("batch", batch))

        def on_train_batch_end(self, batch, logs=None):
            assert set(logs) == {"loss", "accuracy"}
            calls.append(("batch end", batch))

        def on_epoch_end(self, epoch, logs=None):
            assert list(logs) == ["loss", "accuracy", "val_loss", "val_accuracy"]
            calls.append(("end", epoch))

        def on_train_end(self, logs=None):
            calls.append(("train end", set(logs)))

    recorder, model = Recorder(), make_model()
    history = fit(model, [recorder], epochs=2, batch_size=40)
    epoch = [("batch", 0), ("batch end", 0), ("batch", 1), ("batch end", 1)]
    assert calls == [
        ("train begin", {}),
        ("begin", 0),
        *epoch,
        ("end", 0),
        ("begin", 1),
        *epoch,
        ("end", 1),
        ("train end", {"loss", "accuracy", "val_loss", "val_accuracy"}),
    ]
    assert recorder.model is model
    assert recorder.params == history.params
    assert recorder.params["metrics"] == ["loss", "accuracy", "val_loss", "val_accuracy"]


def test_batch_hooks_change_no_bit():
    whole, by_batch, seen = make_model(), make_model(), []
    expected = fit(whole)
    history = fit(by_batch, [LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append((batch, logs)))])
    assert by_batch.weights_hash() == whole.weights_hash()
    assert history.history == expected.history
    assert [batch for batch, _ in seen] == [0, 1, 2, 3] * 4
    assert seen[3][1]["loss"] == history.history["loss"][0]


def test_the_older_names_of_the_batch_hooks_are_called_too():
    calls = []

    class Losses(Callback):
        def on_batch_begin(self, batch, logs=None):
            calls.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            calls.append(("end", batch, logs["loss"]))

    history = fit(make_model(), [Losses()], epochs=1)
    assert [call[:2] for call in calls] == [(name, batch) for batch in range(4) for name in ("begin", "end")]
    assert calls[-1][2] == history.history["loss"][0]


def test_a_batch_hook_may_compile_the_model_anew():
    def compiled(model):
        model.compile(mc.SGD(0.1), mc.CategoricalCrossentropy(label_smoothing=0.1))

    def anew(batch, logs):
        if batch == 1:
            compiled(model)

    model, by_hand = make_model(), make_model()
    fit(model, [LambdaCallback(on_train_batch_end=anew)], epochs=1, shuffle=False, validation_split=0.0)
    for batch in range(5):
        by_hand.train_on_batch(X[20 * batch : 20 * (batch + 1)], Y[20 * batch : 20 * (batch + 1)])
        if batch == 1:
            compiled(by_hand)
    assert model.weights_hash() == by_hand.weights_hash()
    with pytest.raises(ValueError, match="compile needs both optimizer and loss"):
        fit(model, [LambdaCallback(on_train_batch_end=lambda batch, logs: model.compile("sgd"))])


def test_epoch_hooks_leave_the_epoch_in_one_piece(monkeypatch):
    model, parts = make_model(), []
    monkeypatch.setattr(
        "mnist_c.optimizers.schedules.rates", lambda rate, first, n: parts.append(n) or np.full(n, rate)
    )
    fit(model, [Script([1.0] * 4)])
    assert parts == [4] * 4
    parts.clear()
    fit(model, [LambdaCallback(on_train_batch_begin=lambda batch, logs: None)], epochs=1)
    assert parts == [1] * 4


def test_stop_training_ends_after_the_batch_or_the_epoch():
    model, batches = make_model(), []

    def stop_at_second(batch, logs):
        batches.append(batch)
        model.stop_training = batch == 1

    history = fit(model, [LambdaCallback(on_train_batch_end=stop_at_second)])
    assert batches == [0, 1]
    assert (history.epoch, history.stopped_by) == ([0], "callback")

    def stop_after_first(epoch, logs):
        model.stop_training = True

    assert fit(model, [LambdaCallback(on_epoch_end=stop_after_first)]).epoch == [0]
    assert fit(model).epoch == [0, 1, 2, 3]  # a new call starts afresh


def test_figures_that_callbacks_add_stand_in_the_history():
    def add(epoch, logs):
        if epoch:
            logs["twice"] = 2 * logs["loss"]

    history = fit(make_model(), [LambdaCallback(on_epoch_end=add)])
    assert math.isnan(history.history["twice"][0])
    assert history.history["twice"][1:] == [2 * loss for loss in history.history["loss"][1:]]


def test_figures_of_callbacks_become_floats():
    import json

    values = {"float32": np.float32(0.1), "whole": np.int64(3), "array": np.array(1.5)}
    history = fit(make_model(), [LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(values))], epochs=1)
    record = json.loads(history.to_json())["history"]
    assert [record[name] for name in values] == [[float(np.float32(0.1))], [3.0], [1.5]]
    for wrong in ("0.5", None, [1.0, 2.0]):
        with pytest.raises(TypeError, match=r"logs\['mine'\] must be a number"):
            fit(make_model(), [Script([wrong], "mine")], epochs=1)


def test_an_exception_in_a_callback_comes_out_and_leaves_the_model_usable():
    ended = []

    def fail(epoch, logs):
        if epoch == 1:
            raise RuntimeError("mine")

    model = make_model()
    callbacks = [LambdaCallback(on_epoch_end=fail), LambdaCallback(on_train_end=lambda logs: ended.append(logs))]
    with pytest.raises(RuntimeError, match="mine"):
        fit(model, callbacks)
    assert model.history.stopped_by == "error"
    assert model.history.epoch == [0, 1]
    assert len(ended) == 1
    other = make_model()
    fit(other, epochs=2)
    assert model.weights_hash() == other.weights_hash()
    fit(model, initial_epoch=2)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_batch_end", "on_train_end"])
def test_exceptions_in_callbacks_leak_nothing(hook):
    def fail(*arguments):
        raise RuntimeError("mine")

    def cycle():
        with pytest.raises(RuntimeError, match="mine"):
            fit(model, [LambdaCallback(**{hook: fail})], epochs=1)

    model = make_model()
    for _ in range(5):
        cycle()
    gc.collect()
    blocks, threads = sys.getallocatedblocks(), threading.active_count()
    for _ in range(50):
        cycle()
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 50
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([print], "callbacks must hold objects of mnist_c.callbacks"),
        ([EarlyStopping], r"callbacks holds the class EarlyStopping: make an object, EarlyStopping\(\)"),
        (7, "callbacks must hold"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(given, words):
    model = make_model()
    before = model.weights_hash()
    with pytest.raises(TypeError, match=words):
        fit(model, given)
    assert model.weights_hash() == before


def test_one_callback_needs_no_list():
    assert fit(make_model(), EarlyStopping("loss", min_delta=100)).epoch == [0, 1]


# ---------------------------------------------------------------- early stopping and the best weights


def curve_with_best_at(epoch, of):
    return [1.0 - 0.01 * i if i <= epoch else 2.0 for i in range(of)]


def test_the_best_of_epoch_37_of_40_comes_back_though_patience_never_ran_out():
    script, stop = Script(curve_with_best_at(36, of=40)), EarlyStopping(patience=5, restore_best_weights=True)
    model = make_model()
    history = fit(model, [script, stop], epochs=40)
    assert (history.epoch[-1], history.stopped_by, stop.stopped_epoch) == (39, "epochs", 0)
    assert same(model.get_weights(), script.weights[36])
    assert not same(model.get_weights(), script.weights[39])
    assert stop.best_epoch == 36


def test_early_stopping_waits_for_patience_epochs_and_restores():
    script, stop = Script(curve_with_best_at(3, of=40)), EarlyStopping(patience=5, restore_best_weights=True)
    model = make_model()
    history = fit(model, [script, stop], epochs=40)
    assert history.epoch[-1] == stop.stopped_epoch == 8
    assert history.stopped_by == "callback"
    assert same(model.get_weights(), script.weights[3])


def test_without_restore_the_last_weights_stay_and_the_best_are_in_the_history():
    model, weights = make_model(), []
    history = fit(model, [LambdaCallback(on_epoch_end=lambda e, logs: weights.append(model.get_weights()))], epochs=30)
    assert history.monitor == "val_loss"
    assert history.best_epoch == int(np.argmin(history.history["val_loss"]))
    assert same(history.best_weights, weights[history.best_epoch])
    assert same(model.get_weights(), weights[-1])


def test_history_takes_the_best_by_training_loss_where_nothing_is_validated():
    history = fit(make_model(), validation_split=0.0)
    assert (history.monitor, history.best_epoch) == ("loss", int(np.argmin(history.history["loss"])))


def test_history_takes_the_best_by_what_early_stopping_watches():
    history = fit(make_model(), [EarlyStopping("val_accuracy", patience=99)], epochs=12)
    assert history.monitor == "val_accuracy"
    assert history.best_epoch == int(np.argmax(history.history["val_accuracy"]))


@pytest.mark.parametrize("how", ["interrupt", "error", "not finite"])
def test_restoring_happens_however_training_ended(how):
    model, script = make_model(), Script([0.5, 0.4, 0.6, 0.7, 0.8])

    def end(epoch, logs):
        if epoch == 3:
            if how == "not finite":
                model.optimizer.learning_rate = 1e38
            else:
                raise KeyboardInterrupt if how == "interrupt" else RuntimeError

    error = {"interrupt": KeyboardInterrupt, "error": RuntimeError, "not finite": mc.NotFiniteError}[how]
    callbacks = [script, EarlyStopping(restore_best_weights=True, patience=9), LambdaCallback(on_epoch_end=end)]
    with pytest.raises(error):
        fit(model, callbacks, epochs=5, optimizer=mc.SGD(0.1))
    assert same(model.get_weights(), script.weights[1])


def test_restored_weights_hold_the_moving_statistics():
    script = Script([0.5, 0.4, 0.6])
    model = make_model()
    fit(model, [script, EarlyStopping(restore_best_weights=True, patience=9)], epochs=3)
    index = [name.endswith("moving_mean") for name in model._state.names()].index(True)
    assert np.array_equal(model.get_weights()[index], script.weights[1][index])


@pytest.mark.parametrize(
    ("values", "options", "last"),
    [
        ([1.0, 0.9, 0.85, 0.84, 0.83], {"min_delta": 0.04, "patience": 2}, 4),
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], {"min_delta": 0.2, "patience": 1}, 1),
        ([0.1, 0.2, 0.3, 0.2, 0.1], {"mode": "max", "patience": 1}, 3),
        ([1.0, 2.0, 3.0, 4.0, 5.0], {"patience": 0, "start_from_epoch": 2}, 3),
        ([1.0, 0.9, 0.8, 0.7, 0.6], {"baseline": 0.5, "patience": 2}, 4),
        ([1.0, math.nan, math.nan, 0.5], {"patience": 2}, 2),
        ([1.0, 1.0, 1.0], {"patience": 0}, 1),
    ],
)
def test_early_stopping_counts_as_keras_does(values, options, last):
    padded = [*values, *[values[-1]] * 10]
    history = fit(make_model(), [Script(padded), EarlyStopping(**options)], epochs=len(values))
    assert history.epoch[-1] == last


def test_accuracies_are_to_grow_and_losses_to_shrink():
    assert EarlyStopping("val_accuracy").mode == EarlyStopping("acc").mode == "max"
    assert EarlyStopping("val_loss").mode == EarlyStopping("eval_loss").mode == "min"
    assert EarlyStopping("score", mode="max").mode == "max"
    with pytest.raises(ValueError, match="'score' should grow or shrink cannot be told from its name"):
        EarlyStopping("score")


def test_a_figure_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="watches 'val_loss', but there are no validation data"):
        fit(make_model(), [EarlyStopping()], validation_split=0.0)
    with pytest.raises(ValueError, match="watches 'test_loss', but an epoch has only: loss, accuracy, val_loss"):
        fit(make_model(), [EarlyStopping("test_loss")])


def test_a_figure_of_a_callback_may_have_any_name():
    script, stop = Script([0.5, 0.7, 0.6, 0.8], "val_f1"), EarlyStopping("val_f1", mode="max", patience=1)
    assert fit(make_model(), [script, stop], validation_split=0.0).epoch == [0, 1, 2]


def test_early_stopping_says_what_it_does(capsys):
    fit(make_model(), [Script([1.0, 0.5, 2.0, 2.0]), EarlyStopping(patience=1, verbose=1, restore_best_weights=True)])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 3: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]


# ---------------------------------------------------------------- learning rates


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: rate / 2, lambda epoch: 0.1 / 2 ** (epoch + 1)], ids=["two", "one"]
)
def test_scheduler_sets_the_rate_of_each_epoch(schedule):
    optimizer = mc.SGD(0.1)
    history = fit(make_model(), [LearningRateScheduler(schedule)], optimizer=optimizer)
    expected = [0.05, 0.025, 0.0125, 0.00625]
    assert history.learning_rate == history.history["learning_rate"] == expected
    assert optimizer.learning_rate == expected[-1]
    by_hand = make_model()
    for epoch, rate in enumerate(expected):
        by_hand.optimizer = by_hand.optimizer or mc.SGD(rate)
        by_hand.optimizer.learning_rate = rate
        fit(by_hand, epochs=epoch + 1, initial_epoch=epoch, optimizer=by_hand.optimizer)
    assert by_hand.weights_hash() == history.model.weights_hash()


def test_scheduler_refuses_schedules_and_what_is_no_rate():
    with pytest.raises(TypeError, match="needs an optimizer whose learning_rate is a number"):
        fit(make_model(), [LearningRateScheduler(lambda e: 0.1)], optimizer=mc.SGD(mc.CosineDecay(0.1, 9)))
    with pytest.raises(ValueError, match=r"schedule\(0\) must be"):
        fit(make_model(), [LearningRateScheduler(lambda e: -1.0)])
    with pytest.raises(TypeError, match="schedule must be a function"):
        LearningRateScheduler(0.1)


def test_errors_of_a_schedule_are_its_own():
    def broken(epoch, rate):
        return None + rate

    with pytest.raises(TypeError, match="unsupported operand"):
        fit(make_model(), [LearningRateScheduler(broken)])


def plateau_rates(values, **options):
    callbacks = [Script(values), ReduceLROnPlateau(**options)]
    history = fit(make_model(), callbacks, epochs=len(values), optimizer=mc.SGD(1.0))
    assert history.history["learning_rate"] == history.learning_rate
    return history.learning_rate


def test_plateau_reduces_the_rate():
    assert plateau_rates([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], factor=0.5, patience=2) == [1, 1, 1, 0.5, 0.5, 0.25]
    assert plateau_rates([1.0, 0.9, 0.8, 0.7], factor=0.5, patience=1) == [1, 1, 1, 1]
    assert plateau_rates([1.0, 0.99995, 0.9999, 0.9998], factor=0.5, patience=1) == [1, 1, 0.5, 0.25]


def test_plateau_keeps_a_cooldown_and_a_least_rate():
    assert plateau_rates([1.0] * 7, factor=0.5, patience=1, cooldown=2) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert plateau_rates([1.0] * 5, factor=0.1, patience=1, min_lr=0.05) == [1, 1, 0.1, 0.05, 0.05]


def test_plateau_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match=r"factor must be below 1, not 1\.5"):
        ReduceLROnPlateau(factor=1.5)
    with pytest.raises(ValueError, match="mode must be"):
        ReduceLROnPlateau(mode="up")
    with pytest.raises(TypeError, match="needs an optimizer whose learning_rate is a number"):
        fit(make_model(), [ReduceLROnPlateau()], optimizer=mc.SGD(lambda step: 0.1))


# ---------------------------------------------------------------- records


def test_csv_logger_writes_each_epoch_at_once(tmp_path):
    path, seen = tmp_path / "log.csv", []
    peek = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(len(path.read_text().splitlines())))
    history = fit(make_model(), [CSVLogger(path), peek])
    assert seen == [2, 3, 4, 5]
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [float(row["val_loss"]) for row in rows] == history.history["val_loss"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]


def test_csv_logger_overwrites_or_appends(tmp_path):
    path = tmp_path / "log.csv"
    for append, lines in ((False, 5), (True, 9), (False, 5)):
        fit(make_model(), [CSVLogger(path, separator=";", append=append)])
        text = path.read_text()
        assert len(text.splitlines()) == lines
        assert text.startswith("epoch;accuracy;loss")
        assert text.count("epoch") == 1


def test_csv_loggers_can_be_copied_and_used_again(tmp_path):
    import copy

    logger = CSVLogger(tmp_path / "log.csv", append=True)
    model = make_model()
    fit(model, [logger], epochs=2)
    fit(model, [copy.deepcopy(logger)], epochs=3, initial_epoch=2)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2"]


def test_history_has_rate_and_seconds_of_each_epoch():
    history = fit(make_model(), optimizer=mc.SGD(mc.InverseTimeDecay(1.0, 1, 1)))
    assert history.learning_rate == [1 / 4, 1 / 8, 1 / 12, 1 / 16]
    assert len(history.seconds) == 4
    assert all(seconds > 0 for seconds in history.seconds)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]


def test_training_data_in_evaluation_mode_equal_validation_to_the_bit():
    model = make_model()
    history = fit(model, validation_split=0.0, validation_data=(X, Y), evaluate_training=True).history
    assert list(history) == ["loss", "accuracy", "eval_loss", "eval_accuracy", "val_loss", "val_accuracy"]
    assert history["eval_loss"] == history["val_loss"]
    assert history["eval_accuracy"] == history["val_accuracy"]
    assert history["eval_loss"] != history["loss"]
    assert history["eval_loss"][-1] == model.evaluate(X, Y, verbose=0).loss


def test_history_as_csv_and_json(tmp_path):
    import json

    history = fit(make_model(), [Script([1.0, math.nan, 0.5, 0.25])])
    rows = list(csv.DictReader(history.to_csv(tmp_path / "h.csv").splitlines()))
    assert (tmp_path / "h.csv").read_text() == history.to_csv()
    assert list(rows[0]) == ["epoch", "learning_rate", "seconds", *history.history]
    assert [float(row["loss"]) for row in rows] == history.history["loss"]
    record = json.loads(history.to_json(tmp_path / "h.json"))
    assert (tmp_path / "h.json").read_text() == history.to_json()
    assert record["history"]["val_loss"] == [1.0, None, 0.5, 0.25]
    assert record["history"]["loss"] == history.history["loss"]
    assert (record["seed"], record["stopped_by"], record["monitor"]) == (3, "epochs", "val_loss")


# ---------------------------------------------------------------- layer_outputs


def test_layer_outputs_are_those_of_the_layers():
    model = mc.Sequential(
        [
            mc.Flatten(input_shape=(2, 3)),
            mc.Dense(8, name="first"),
            mc.Activation("relu", name="bend"),
            mc.Dropout(0.5),
            mc.BatchNormalization(name="norm"),
            mc.Dense(3, "softmax", name="last"),
        ],
        seed=1,
    )
    x = X.reshape(-1, 2, 3)
    model.fit(x, Y, epochs=2, verbose=0)
    got = model.layer_outputs(x)
    assert list(got) == ["first", "bend", "norm", "last"]
    first = X.astype(np.float32) @ model.get_layer("first").kernel + model.get_layer("first").bias
    np.testing.assert_allclose(got["first"], first, atol=1e-5)
    assert np.array_equal(got["bend"], np.maximum(got["first"], 0))
    norm = model.get_layer("norm")
    expected = norm.gamma * (got["bend"] - norm.moving_mean) / np.sqrt(norm.moving_variance + 1e-3) + norm.beta
    np.testing.assert_allclose(got["norm"], expected, atol=1e-5)
    assert np.array_equal(got["last"], model.predict(x))
