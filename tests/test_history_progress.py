"""What training prints, where, how often; and what its history holds."""

import contextlib
import io
import json
import re
import sys

import numpy as np
import pytest

import mnist_c as mc
from mnist_c import progress

_rng = np.random.default_rng(1)
X = _rng.normal(size=(100, 6))
Y = _rng.integers(0, 3, 100)


def make_model():
    return mc.Sequential([mc.Dense(3, "softmax", input_dim=6)], seed=0)


def printed(model=None, **options):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        (model or make_model()).fit(X, Y, **options)
    return out.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


LINE = r"\d+/\d+ - \d+(\.\d)?(s|ms|us) - \d+(\.\d)?(s|ms|us)/step"


def test_lines_have_the_format_of_keras():
    lines = printed(epochs=3, validation_split=0.2, batch_size=10).splitlines()
    assert len(lines) == 6
    assert lines[0::2] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    value = r"\d\.\d{4}"
    for line in lines[1::2]:
        assert re.fullmatch(
            rf"8/8 - .*/step - loss: {value} - accuracy: {value} - val_loss: {value} - val_accuracy: {value}", line
        )
        assert re.match(LINE, line)


@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
def test_plain_lines_where_the_output_is_no_terminal(verbose):
    text = printed(epochs=4, verbose=verbose)
    assert text.count("\n") == 8
    assert "\r" not in text


@pytest.mark.parametrize("verbose", [0, False])
def test_silence_on_request(verbose, capfd):
    assert printed(epochs=2, verbose=verbose) == ""
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_past_sys_stdout(capfd):
    assert printed(epochs=2, verbose=2)
    assert capfd.readouterr() == ("", "")


def test_ten_thousand_epochs_print_little_and_the_last_one():
    text = printed(epochs=10_000, batch_size=100)
    assert len(text) < 200_000
    lines = text.splitlines()
    assert lines[0] == "Epoch 1/10000"
    assert lines[-2] == "Epoch 10000/10000"
    assert len(lines) % 2 == 0
    assert printed(epochs=150, batch_size=100, verbose=2).count("\n") == 300


def test_small_values_are_printed_with_an_exponent():
    assert progress.format_logs({"loss": 1.2345e-5, "accuracy": 1.0}) == "loss: 1.2345e-05 - accuracy: 1.0000"
    assert progress.format_logs({"loss": 0.0, "accuracy": float("nan")}) == "loss: 0.0000 - accuracy: nan"


@pytest.mark.parametrize(
    ("steps", "seconds", "text"),
    [
        (1200, 12.4, "1200/1200 - 12s - 10ms/step"),
        (10, 1.25, "10/10 - 1.2s - 0.1s/step"),
        (1875, 0.0431, "1875/1875 - 43ms - 23us/step"),
        (1, 30.0, "1/1 - 30s - 30s/step"),
    ],
)
def test_durations_are_short(steps, seconds, text):
    assert progress.format_line(steps, seconds, {"loss": 1.0}) == f"{text} - loss: 1.0000"


def test_evaluate_prints_a_line():
    model, out = make_model(), io.StringIO()
    with contextlib.redirect_stdout(out):
        result = model.evaluate(X, Y, verbose=2)
        model.evaluate(X, Y, verbose=0)
        model.predict(X)
    text = out.getvalue()
    assert re.fullmatch(rf"4/4 - .*/step - loss: {result.loss:.4f} - accuracy: {result.accuracy:.4f}\n", text)


def test_a_terminal_shows_a_bar_that_leaves_the_lines_of_keras(monkeypatch):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    monkeypatch.setattr(progress, "MIN_INTERVAL", 0.0)
    monkeypatch.setattr(progress, "BAR_AFTER", 0.0)
    out = Terminal()
    x, y = np.tile(X, (200, 1)), np.tile(Y, 200)
    with contextlib.redirect_stdout(out):
        make_model().fit(x, y, epochs=2, batch_size=1)
    assert "Epoch 1/2:" in out.getvalue()
    lines = [line.split("\r")[-1] for line in out.getvalue().splitlines()]
    assert [line for line in lines if line.startswith("Epoch ") and ":" not in line] == ["Epoch 1/2", "Epoch 2/2"]
    assert sum(bool(re.match(LINE, line)) for line in lines) == 2


def test_a_terminal_without_tqdm_shows_plain_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    out = Terminal()
    with contextlib.redirect_stdout(out):
        make_model().fit(X, Y, epochs=2)
    assert out.getvalue().count("\n") == 4
    assert "\r" not in out.getvalue()


def test_bars_come_after_a_second_and_move_at_most_five_times_a_second(monkeypatch):
    updates = []

    class Bar:
        def __init__(self, done):
            self.n = done

        def set_postfix_str(self, text, refresh):
            assert re.fullmatch(r"loss: 0.5000 - accuracy: 0.2500", text)

        def update(self, n):
            updates.append(n)
            self.n += n

        def close(self):
            pass

    clock = [100.0]
    monkeypatch.setattr(progress, "_interactive", lambda: True)
    monkeypatch.setattr(progress, "_make_bar", lambda total, done, description: Bar(done))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    bar = progress.Progress(1, 1, 100, "accuracy")
    with contextlib.redirect_stdout(io.StringIO()):
        bar.begin_epoch(0)
        for batch in range(1, 101):
            clock[0] += 0.05
            bar.report(batch, 4.0 * batch, 2 * batch, 8 * batch)
        bar.end_epoch({"loss": 0.5})
    assert 15 <= len(updates) <= 20  # in the four of five seconds for which there is a bar
    assert sum(updates) >= 70


def test_bars_of_runs_with_batch_hooks_show_the_epoch_so_far(monkeypatch):
    shown, seen = [], []
    monkeypatch.setattr(progress.Progress, "report", lambda self, *figures: shown.append(figures))
    hook = mc.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    history = make_model().fit(X, Y, batch_size=30, verbose=0, callbacks=[hook])
    assert [(batches, rows) for batches, _, _, rows in shown] == [(1, 30), (2, 60), (3, 90), (4, 100)]
    assert [loss / rows for _, loss, _, rows in shown] == seen
    assert shown[-1][2] / 100 == history.history["accuracy"][0]


def test_an_interrupt_is_said_and_the_history_kept(monkeypatch):
    epochs = []

    def rate(step):
        if step == 8:
            raise KeyboardInterrupt
        epochs.append(step)
        return 0.1

    model, out = make_model(), io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, optimizer=mc.SGD(rate))
    assert "interrupted in epoch 3" in out.getvalue()
    assert model.history.epoch == [0, 1]
    assert len(model.history.history["loss"]) == 2


def test_history_has_the_share_of_each_class_where_rows_have_weights():
    model = make_model()
    assert model.fit(X, Y, verbose=0).class_shares is None
    counts = np.bincount(Y, minlength=model._state.plan.outputs)
    weights = np.where(np.arange(len(counts)) == 1, 3.0, 1.0)
    shares = weights * counts / (weights * counts).sum()
    np.testing.assert_allclose(model.fit(X, Y, class_weight={1: 3.0}, verbose=0).class_shares, shares)
    np.testing.assert_allclose(model.fit(X, Y, sample_weight=weights[Y], verbose=0).class_shares, shares)
    history = model.fit(X, Y, sample_weight=np.zeros(len(Y)), verbose=0)
    assert history.class_shares == json.loads(history.to_json())["class_shares"] == [0.0] * len(counts)


def test_history_has_a_value_per_epoch_and_what_repeats_the_run():
    model = make_model()
    history = model.fit(X, Y, epochs=3, batch_size=30, validation_split=0.1, verbose=0)
    assert history is model.history
    assert history.model is model
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {len(values) for values in history.history.values()} == {3}
    assert all(isinstance(v, float) for values in history.history.values() for v in values)
    assert history.epoch == [0, 1, 2]
    assert history.seed == 0
    assert history.params == {
        "epochs": 3,
        "steps": 3,
        "batch_size": 30,
        "verbose": 0,
        "shuffle": True,
        "metrics": ["loss", "accuracy", "val_loss", "val_accuracy"],
    }
    assert "3 of 3 epochs" in repr(history)
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "accuracy"]
