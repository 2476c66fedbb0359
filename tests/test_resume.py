"""Training that was interrupted and resumed ends in the bits of the one that never was."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers_training import WEIGHTS, StopAt, X, Y, fit, make_callbacks, make_model, result

import mnist_c as mc
from mnist_c import _checkpoint
from mnist_c.callbacks import Callback, LambdaCallback, LearningRateScheduler, ModelCheckpoint
from mnist_c.progress import Progress

PROGRAM = Path(__file__).with_name("helpers_process.py")


@pytest.fixture(scope="module")
def whole():
    """The run that was never interrupted."""
    model = make_model()
    fit(model)
    return result(model)


def interrupted_at(batches, **options):
    """A model whose training was stopped after so many of its 45 batches."""
    model = make_model()
    history = fit(model, [StopAt(batches)], **options)
    assert history.stopped_by == "request"
    return model


# ---------------------------------------------------------------- in this process


CHANGES = {
    "set_weights": lambda model: model.set_weights([np.zeros_like(w) for w in model.get_weights()]),
    "kernel": lambda model: setattr(model.layers[0], "kernel", np.zeros((6, 8))),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "compile": lambda model: model.compile(mc.SGD(0.1), "categorical_crossentropy"),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "another head": lambda model: (
        setattr(model, "loss", mc.CategoricalCrossentropy(label_smoothing=0.1)) or model.evaluate(X, Y, verbose=0)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_happens_to_the_model_after_a_stop_does_not_matter(whole, change):
    model = interrupted_at(23)
    CHANGES[change](model)
    fit(model, resume=True, optimizer=mc.Adam(0.01), loss="categorical_crossentropy")
    assert result(model) == whole


@pytest.mark.parametrize("batches", [1, 4, 9, 10, 23, 44])
def test_going_on_after_a_stop_gives_the_bits_of_the_whole_run(whole, batches):
    model = interrupted_at(batches)
    assert result(model) != whole
    history = fit(model, resume=True, optimizer=None)
    assert (history.stopped_by, result(model)) == ("epochs", whole)


def test_a_run_may_be_interrupted_many_times(whole):
    model, resume = make_model(), False
    for _ in range(6):
        fit(model, [StopAt(7)], resume=resume, optimizer=None if resume else mc.Adam(0.01))
        resume = True
    fit(model, resume=True, optimizer=None)
    assert result(model) == whole


class Interrupt(Callback):
    """Ctrl-C within a hook, once, before or after the other callbacks had their turn."""

    def __init__(self, hook, epoch):
        def act(at, logs=None):
            if at == epoch:
                setattr(self, hook, lambda *arguments: None)
                raise KeyboardInterrupt

        setattr(self, hook, act)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end"])
def test_callbacks_that_were_half_done_are_done_again(whole, hook, place):
    model, stop = make_model(), Interrupt(hook, 3)
    settings = {"epochs": 5, "batch_size": 8, "verbose": 0, "validation_split": 0.2, "sample_weight": WEIGHTS}
    settings |= {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}
    callbacks = [stop, *make_callbacks()] if place == "first" else [*make_callbacks(), stop]
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=callbacks, optimizer=mc.Adam(0.01), **settings)
    assert model.history.stopped_by == "interrupt"
    model.fit(X, Y, callbacks=make_callbacks(), resume=True, **settings)
    assert result(model) == whole


def test_a_rate_set_before_an_epoch_is_set_once():
    def halve(epoch, rate):
        return rate / 2

    settings = {"epochs": 4, "batch_size": 10, "verbose": 0}
    one, other = make_model(), make_model()
    one.fit(X, Y, optimizer=mc.SGD(0.5), callbacks=[LearningRateScheduler(halve)], **settings)
    stop = Interrupt("on_epoch_begin", 2)
    with pytest.raises(KeyboardInterrupt):
        other.fit(X, Y, optimizer=mc.SGD(0.5), callbacks=[LearningRateScheduler(halve), stop], **settings)
    other.fit(X, Y, callbacks=[LearningRateScheduler(halve)], resume=True, **settings)
    assert result(one) == result(other)


def test_signals_at_random_moments_of_a_long_slice():
    """Epochs run in one piece in the core here, so that the signal finds a call of it under way."""
    x, y = np.tile(X, (200, 1)), np.tile(Y, 200)
    settings = {"epochs": 4, "batch_size": 16, "verbose": 0, "validation_split": 0.1}
    one, other = make_model(units=128), make_model(units=128)
    start = time.perf_counter()
    one.fit(x, y, optimizer=mc.SGD(0.01), **settings)
    seconds = time.perf_counter() - start

    def interrupt(number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    interrupts, resume, draw = 0, False, np.random.default_rng(1)
    try:
        while other.history is None or other.history.stopped_by != "epochs":
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.02, 0.2) * seconds if interrupts < 8 else 0)
            try:
                other.fit(x, y, resume=resume, optimizer=other.optimizer or mc.SGD(0.01), **settings)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupts += 1
                resume = other._interrupted is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert interrupts  # how many depends on the load; the tests above count batches instead
    assert result(one) == result(other)


def test_a_learning_rate_that_is_a_python_function_may_be_resumed_in_this_process():
    def rate(step):
        return 0.1 / (1 + step)

    one, other = make_model(), make_model()
    fit_without_callbacks = {"epochs": 3, "batch_size": 10, "verbose": 0}
    one.fit(X, Y, optimizer=mc.SGD(rate), **fit_without_callbacks)
    other.fit(X, Y, optimizer=mc.SGD(rate), callbacks=[StopAt(12)], **fit_without_callbacks)
    other.fit(X, Y, resume=True, **fit_without_callbacks)
    assert result(one) == result(other)


def test_nothing_to_resume_is_an_error_and_a_finished_run_leaves_nothing():
    model = make_model()
    with pytest.raises(mc.ResumeError, match="nothing was interrupted"):
        fit(model, resume=True)
    model = interrupted_at(5)
    fit(model, resume=True, optimizer=None)
    with pytest.raises(mc.ResumeError, match="nothing was interrupted"):
        fit(model, resume=True, optimizer=None)


def test_a_new_training_forgets_the_interrupted_one():
    model = interrupted_at(5)
    fit(model, optimizer=None)
    assert len(model.history.epoch) == 5
    with pytest.raises(mc.ResumeError, match="nothing was interrupted"):
        fit(model, resume=True, optimizer=None)


# ---------------------------------------------------------------- interrupts at every place


class Counting(Callback):
    """Counts the calls of its hooks, in lists and dicts that it changes in place; may be interrupted halfway."""

    def __init__(self, hook=None, call=0):
        self.hook, self.call = hook, call

    def on_train_begin(self, logs=None):
        self.counts = {"begins": [], "ends": [], "epochs": []}
        if self.hook == "on_train_begin":
            raise KeyboardInterrupt

    def _count(self, name, hook, number):
        self.counts[name].append(number)
        if self.hook == hook and len(self.counts[name]) == self.call:
            self.hook = None
            raise KeyboardInterrupt

    def on_train_batch_begin(self, batch, logs=None):
        self._count("begins", "on_train_batch_begin", batch)

    def on_train_batch_end(self, batch, logs=None):
        self._count("ends", "on_train_batch_end", batch)

    def on_epoch_end(self, epoch, logs=None):
        self._count("epochs", "on_epoch_end", epoch)

    def get_state(self):
        return self.counts

    def set_state(self, state):
        self.counts = state


ALL_COUNTS = {"begins": [*range(9)] * 5, "ends": [*range(9)] * 5, "epochs": [*range(5)]}


@pytest.fixture
def interrupted_report(monkeypatch):
    """A function: Ctrl-C comes while so-and-so-many-th slice is under way, within the core's report."""

    def at(number):
        report, calls = Progress.report, []

        def interrupt(*arguments):
            calls.append(arguments)
            if len(calls) == number:
                raise KeyboardInterrupt
            report(*arguments)

        monkeypatch.setattr(Progress, "report", interrupt)
        return calls

    return at


@pytest.mark.parametrize("number", [1, 9, 13, 45])
def test_ctrl_c_during_a_batch_neither_loses_nor_repeats_a_hook(whole, interrupted_report, number):
    model = make_model()
    interrupted_report(number)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [Counting()])
    again = Counting()
    fit(model, [again], resume=True, optimizer=None)
    assert again.counts == ALL_COUNTS
    assert result(model) == whole


def test_a_request_before_a_batch_neither_loses_nor_repeats_a_hook(whole):
    model, again = make_model(), Counting()
    request = LambdaCallback(on_train_batch_begin=lambda batch, logs: batch == 5 and model.request_stop())
    fit(model, [Counting(), request])
    fit(model, [again], resume=True, optimizer=None)
    assert again.counts == ALL_COUNTS
    assert result(model) == whole


@pytest.mark.parametrize("call", [1, 5])
@pytest.mark.parametrize("hook", ["on_train_batch_begin", "on_train_batch_end", "on_epoch_end"])
def test_a_hook_that_ctrl_c_left_half_done_starts_from_the_state_before_it(whole, hook, call):
    model, again = make_model(), Counting()
    with pytest.raises(KeyboardInterrupt):
        fit(model, [Counting(hook, call)])
    fit(model, [again], resume=True, optimizer=None)
    assert again.counts == ALL_COUNTS
    assert result(model) == whole


@pytest.mark.parametrize("where", ["first", "last"])
def test_ctrl_c_before_a_resumed_training_begins_leaves_the_place_to_resume(whole, where):
    model, again = make_model(), Counting()
    fit(model, [Counting(), StopAt(23)])
    callbacks = [Counting("on_train_begin"), StopAt(99)]
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks if where == "first" else callbacks[::-1], resume=True, optimizer=None)
    fit(model, [again, StopAt(99)], resume=True, optimizer=None)
    assert again.counts == ALL_COUNTS
    assert result(model) == whole


@pytest.mark.parametrize("save_freq", [4, "epoch"])
@pytest.mark.parametrize("best", [False, True])
def test_a_file_that_ctrl_c_kept_from_being_written_is_written_when_resumed(
    whole, monkeypatch, tmp_path, save_freq, best
):
    saver = ModelCheckpoint(tmp_path / "{epoch}-{batch}", "loss", save_freq=save_freq, save_best_only=best)
    model = make_model()
    fit(model, [saver])
    expected = sorted(path.name for path in tmp_path.iterdir())
    for path in tmp_path.iterdir():
        path.unlink()
    write, calls = _checkpoint.write, []

    def interrupt(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(_checkpoint, "write", interrupt)
    model = make_model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, [saver])
    fit(model, [saver], resume=True, optimizer=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    assert result(model) == whole


def test_ctrl_c_at_the_end_of_a_stretch_does_not_skip_its_file(whole, interrupted_report, tmp_path):
    model, saver = make_model(), ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=4)
    interrupted_report(2)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [saver])
    fit(model, [saver], resume=True, optimizer=None)
    assert len([*tmp_path.iterdir()]) == 45 // 4
    assert result(model) == whole


def stop_training_at(batch):
    """In the third epoch."""

    def stop(at, logs):
        if at == batch and len(callback.model.history.epoch) == 2:
            callback.model.stop_training = True

    callback = LambdaCallback(on_train_batch_end=stop)
    return callback


def test_a_file_of_the_batch_that_ended_training_leads_to_the_end_of_its_epoch(tmp_path):
    one, other = make_model(), make_model()
    history = fit(one, [stop_training_at(4), ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=1)])
    assert (history.stopped_by, history.epoch) == ("callback", [0, 1, 2])
    again = ModelCheckpoint(tmp_path / "other", save_freq=1)
    history = fit(other, [stop_training_at(99), again], resume=tmp_path / "3-5")
    assert history.stopped_by == "callback"
    assert result(other) == result(one)


def test_ctrl_c_in_the_validation_after_stop_training_loses_nothing(monkeypatch):
    one, other = make_model(), make_model()
    fit(one, [stop_training_at(4)])
    score = mc.Sequential._score

    def interrupt(model, data):
        if model.stop_training:
            raise KeyboardInterrupt
        return score(model, data)

    monkeypatch.setattr(mc.Sequential, "_score", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(other, [stop_training_at(4)])
    monkeypatch.undo()
    fit(other, [stop_training_at(4)], resume=True, optimizer=None)
    assert result(other) == result(one)


def test_a_mistake_in_the_next_fit_leaves_the_interrupted_training(whole):
    model = interrupted_at(23)
    history, before = model.history, [w.tobytes() for w in model.get_weights()]
    with pytest.raises(ValueError, match="no validation data"):
        model.fit(X, Y, callbacks=[mc.callbacks.EarlyStopping()], verbose=0)
    assert model.history is history
    assert [w.tobytes() for w in model.get_weights()] == before
    fit(model, resume=True, optimizer=mc.Adam(0.01), loss="categorical_crossentropy")
    assert result(model) == whole


# ---------------------------------------------------------------- from a file


@pytest.mark.parametrize("save_freq", ["epoch", 4, 9, 31])
def test_every_checkpoint_leads_to_the_bits_of_the_whole_run(whole, tmp_path, save_freq):
    name = str(tmp_path / "{epoch}-{batch}.safetensors")
    model = make_model()
    fit(model, [ModelCheckpoint(name, save_freq=save_freq)])
    assert result(model) == whole
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == (5 if save_freq == "epoch" else 45 // save_freq)
    for path in paths:
        resumed = make_model()
        history = fit(resumed, [ModelCheckpoint(tmp_path / "other", save_freq=save_freq)], resume=path)
        assert (history.stopped_by, result(resumed)) == ("epochs", whole), path.name


def test_a_model_loaded_from_the_checkpoint_goes_on_as_well(whole, tmp_path):
    path = tmp_path / "c"
    saver = ModelCheckpoint(path, save_freq=31)
    fit(make_model(), [saver])
    model = mc.load_model(path)
    fit(model, [saver], resume=path, optimizer=None)
    assert result(model) == whole


def test_a_training_that_early_stopping_ended_is_not_trained_on(tmp_path):
    def run(**more):
        model = make_model()
        callbacks = [mc.callbacks.EarlyStopping(patience=1), ModelCheckpoint(tmp_path / "c")]
        model.fit(X, Y, epochs=60, validation_split=0.3, verbose=0, callbacks=callbacks, **more)
        return model

    one = run()
    assert one.history.stopped_by == "callback"
    other = run(resume=tmp_path / "c")
    assert other.history.stopped_by == "callback"
    assert result(one) == result(other)


@pytest.mark.parametrize(
    "change",
    [
        {"threads": "1"},
        {"threads": "3"},
        {"isa": "scalar"},
        {"isa": "avx2", "threads": "2"},
    ],
    ids=str,
)
def test_another_process_with_other_threads_and_instructions_ends_in_the_same_bits(whole, tmp_path, change):
    if change.get("isa", "scalar") not in mc._core.config()["isas"]:
        pytest.skip(f"this CPU has no {change['isa']}")
    path = tmp_path / "c"
    fit(make_model(), [ModelCheckpoint(path, save_freq=22), StopAt(23)])
    environment = {"MNIST_C_ISA": change.get("isa"), "MNIST_C_NUM_THREADS": change.get("threads")}
    done = finish(path, {name: value for name, value in environment.items() if value})
    assert done == repr(whole)


def finish(path, environment):
    """What the program prints that resumes from the file."""
    return subprocess.run(
        [sys.executable, PROGRAM, "finish", path],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("moment", [0.0, 0.011, 0.027])
def test_kill_9_loses_nothing(whole, tmp_path, moment):
    """The program writes a checkpoint after every batch, slowly; it is killed, and another one finishes its work."""
    path = tmp_path / "c"
    with subprocess.Popen([sys.executable, PROGRAM, "train", path], stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # it says when there is a first checkpoint
        threading.Event().wait(moment)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert finish(path, {"MNIST_C_ISA": "scalar", "MNIST_C_NUM_THREADS": "1"}) == repr(whole)


# ---------------------------------------------------------------- what must be the same


def test_other_arguments_are_named(tmp_path):
    path = tmp_path / "c"
    fit(make_model(), [ModelCheckpoint(path)])
    saver = ModelCheckpoint(tmp_path / "other")
    wrong = {
        "batch_size is 16, there 8": {"batch_size": 16},
        "epochs is 6, there 5": {"epochs": 6},
        "shuffle is False, there True": {"shuffle": False},
        "optimizer.config.learning_rate is 0.02, there 0.01": {"optimizer": mc.Adam(0.02)},
        "optimizer.class_name is 'SGD', there 'Adam'": {"optimizer": mc.SGD(0.01)},
        "evaluate_training is True, there False": {"evaluate_training": True},
        "loss.config.label_smoothing is 0.1": {"loss": mc.CategoricalCrossentropy(label_smoothing=0.1)},
    }
    for message, options in wrong.items():
        model = make_model()
        before = [w.tobytes() for w in model.get_weights()]
        with pytest.raises(mc.ResumeError, match="cannot be resumed") as error:
            fit(model, [saver], resume=path, **options)
        assert message in str(error.value)
        assert [w.tobytes() for w in model.get_weights()] == before
        assert model.history is None
    with pytest.raises(mc.ResumeError, match=r"callbacks is .*there"):
        fit(make_model(), resume=path)


@pytest.mark.parametrize("where", ["file", "memory"])
@pytest.mark.parametrize("what", ["x", "y", "sample_weight", "class_weight", "validation_split"])
def test_other_data_are_an_error(tmp_path, what, where):
    changed = {
        "x": X + np.eye(90, 6, dtype=np.float32) * 1e-6,
        "y": np.where(np.arange(90) == 7, (Y + 1) % 3, Y),
        "sample_weight": WEIGHTS * (1 + 1e-12 * (np.arange(90) == 80)),  # a row of validation
        "class_weight": {0: 1.0, 1: 2.0, 2: 0.25},
        "validation_split": 0.21,
    }[what]
    path = tmp_path / "c"
    callbacks = [ModelCheckpoint(path, save_freq=4)] if where == "file" else []
    model = make_model()
    fit(model, [*callbacks, StopAt(5)])
    with pytest.raises(mc.ResumeError, match="the data are others"):
        fit(model, callbacks, resume=path if where == "file" else True, **{"optimizer": None, what: changed})


@pytest.mark.parametrize("different", [{"seed": 4}, {"units": 9}], ids=str)
def test_another_architecture_or_seed_is_an_error(tmp_path, different):
    path = tmp_path / "c"
    saver = ModelCheckpoint(path)
    fit(make_model(), [saver])
    with pytest.raises(mc.ResumeError, match=f"model.*{next(iter(different))}"):
        fit(make_model(**different), [saver], resume=path)


def test_a_model_file_without_the_state_of_a_training_says_so(tmp_path):
    model = make_model()
    model.save(tmp_path / "m")
    with pytest.raises(mc.ResumeError, match="without the state of a training"):
        fit(make_model(), resume=tmp_path / "m")
    with pytest.raises(FileNotFoundError):
        fit(make_model(), resume=tmp_path / "missing")


# ---------------------------------------------------------------- these tests would notice


@pytest.mark.parametrize("fault", ["slots", "cursor", "sums", "callbacks", "counters"])
def test_a_checkpoint_that_lacks_something_ends_in_other_bits(whole, monkeypatch, fault):
    take = _checkpoint.take

    def faulty(*arguments):
        kept = take(*arguments)
        record = dict(kept.record)
        if fault == "slots":
            values = [part for part in kept.arrays.parts if part[0] == "value"]
            return kept._replace(arrays=_checkpoint.Arrays(arguments[0]._state, values))
        if fault == "cursor":
            record["batch"] -= 1
        if fault == "sums":
            record["totals"] = (0.0, 0, 1)
        if fault == "callbacks":
            record["callbacks"] = None
        if fault == "counters":
            record["counters"] = [*record["counters"][:2], 0]
        return kept._replace(record=record)

    monkeypatch.setattr(_checkpoint, "take", faulty)
    model = interrupted_at(23)
    fit(model, resume=True, optimizer=None)
    assert result(model) != whole


def test_hooks_see_the_figures_of_the_epoch_so_far():
    seen, again = [], []
    fit(make_model(), [LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append((batch, *logs.values())))])
    model = make_model()
    keep = LambdaCallback(on_train_batch_end=lambda batch, logs: again.append((batch, *logs.values())))
    fit(model, [keep, StopAt(23)])
    fit(model, [keep], resume=True, optimizer=None)
    assert seen == again
