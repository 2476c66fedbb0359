"""ModelCheckpoint: which files it writes, when, what is in them, and that an old one stays until the new one lasts."""

import errno
import os
from contextlib import contextmanager

import numpy as np
import pytest
from helpers_training import X, Y, fit, make_model

import mnist_c as mc
from mnist_c import _files, saving
from mnist_c._checkpoint import read, write
from mnist_c._packing import pack, unpack
from mnist_c.callbacks import Callback, LambdaCallback, ModelCheckpoint


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ---------------------------------------------------------------- which files, and when


def test_names_are_filled_in_as_in_keras(tmp_path):
    model = make_model()
    history = fit(model, [ModelCheckpoint(tmp_path / "m-{epoch:02d}-{val_loss:.3f}.safetensors")], epochs=3)
    assert names(tmp_path) == [f"m-{e + 1:02d}-{v:.3f}.safetensors" for e, v in enumerate(history.history["val_loss"])]


def test_a_name_with_a_figure_that_is_not_there_says_which_are(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be filled in.*there are epoch, batch, loss, accuracy$"):
        fit(make_model(), [ModelCheckpoint(tmp_path / "{val_loss}", save_freq=2)])


@pytest.mark.parametrize("wrong", [{"filepath": "{val_loss}"}, {"filepath": "c", "save_best_only": True}], ids=str)
def test_figures_that_batches_do_not_have_are_an_error_before_training(wrong):
    model = make_model()
    with pytest.raises(ValueError, match=r"there are.*loss, accuracy"):
        fit(model, [ModelCheckpoint(**wrong, save_freq=2)])
    assert model._state.network.progress()[1] == 0


def test_a_missing_folder_is_created(tmp_path):
    fit(make_model(), [ModelCheckpoint(tmp_path / "a" / "{epoch}" / "c")], epochs=1)
    assert (tmp_path / "a" / "1" / "c").exists()


def test_only_the_best_are_kept_if_asked_for(tmp_path):
    values = [0.5, 0.6, 0.4, 0.4, 0.3]
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(figure=values[epoch]))
    saver = ModelCheckpoint(tmp_path / "{epoch}", "figure", save_best_only=True, mode="min")
    fit(make_model(), [script, saver])
    assert names(tmp_path) == ["1", "3", "5"]
    saver = ModelCheckpoint(
        tmp_path / "t{epoch}", "figure", save_best_only=True, mode="max", initial_value_threshold=0.55
    )
    fit(make_model(), [script, saver])
    assert [name for name in names(tmp_path) if name.startswith("t")] == ["t2"]


def test_batches_are_counted_from_the_beginning_of_the_training(tmp_path):
    fit(make_model(), [ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=4)], epochs=2)
    assert names(tmp_path) == ["1-4", "1-8", "2-3", "2-7"]


def test_a_checkpoint_within_an_epoch_does_not_change_the_training(tmp_path):
    one, other = make_model(), make_model()
    assert fit(one).history == fit(other, [ModelCheckpoint(tmp_path / "c", save_freq=2)]).history
    assert same(one.get_weights(), other.get_weights())


def test_a_checkpoint_is_a_model_file_and_a_file_of_weights(tmp_path):
    model, after = make_model(), []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(model.get_weights()))
    fit(model, [ModelCheckpoint(tmp_path / "{epoch}"), keep], epochs=2)
    loaded = mc.load_model(tmp_path / "1")
    assert same(loaded.get_weights(), after[0])
    assert isinstance(loaded.optimizer, mc.Adam)
    other = make_model(seed=9)
    other.load_weights(tmp_path / "1")
    assert same(other.get_weights(), after[0])


def test_weights_alone_are_smaller_and_cannot_be_resumed_from(tmp_path):
    rate = mc.SGD(lambda step: 0.1)  # a checkpoint could not hold it
    saver = ModelCheckpoint(tmp_path / "w", save_weights_only=True)
    settings = {"epochs": 2, "verbose": 0, "optimizer": rate}
    model = make_model()
    model.fit(X, Y, callbacks=[saver], **settings)
    other = make_model(seed=9)
    other.load_weights(tmp_path / "w")
    assert same(other.get_weights(), model.get_weights())
    with pytest.raises(mc.ModelFileError, match="weights alone"):
        make_model().fit(X, Y, callbacks=[saver], resume=tmp_path / "w", **settings)


def test_an_optimizer_that_no_file_can_hold_is_an_error_before_training(tmp_path):
    model = make_model()
    with pytest.raises(TypeError, match="a checkpoint cannot hold this optimizer"):
        model.fit(X, Y, optimizer=mc.SGD(lambda step: 0.1), callbacks=[ModelCheckpoint(tmp_path / "c")], verbose=0)
    assert names(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"save_freq": 0}, {"save_freq": "batch"}, {"mode": "best"}, {"save_best_only": 2}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        ModelCheckpoint("c", **wrong)


def test_best_of_a_figure_that_is_not_measured_is_an_error():
    with pytest.raises(ValueError, match="no validation data"):
        make_model().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint("c", save_best_only=True)])


# ---------------------------------------------------------------- states


class Counts(Callback):
    """A callback of a user's own, with a state of every kind."""

    def on_train_begin(self, logs=None):
        self.state = {"epochs": 0, "worst": -np.inf, "none": None, "texts": ["a"], "arrays": [np.arange(3)]}

    def on_epoch_end(self, epoch, logs=None):
        self.state = {**self.state, "epochs": self.state["epochs"] + 1}

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def test_the_state_of_a_users_callback_comes_back(tmp_path):
    fit(make_model(), [Counts(), ModelCheckpoint(tmp_path / "{epoch}")])
    counts = Counts()
    fit(make_model(), [counts, ModelCheckpoint(tmp_path / "{epoch}")], resume=tmp_path / "3")
    assert counts.state["epochs"] == 5
    assert (counts.state["worst"], counts.state["none"], counts.state["texts"]) == (-np.inf, None, ["a"])
    assert np.array_equal(counts.state["arrays"][0], np.arange(3))


def test_packing_keeps_every_kind_of_value():
    tensors = {}
    value = {"a": [1, 2.5, -np.inf, True, None, "nan", {"array": "b"}], "b": np.arange(6).reshape(2, 3)}
    back = unpack(pack(value, "p/", tensors), tensors)
    assert back["a"] == value["a"]
    assert np.array_equal(back["b"], value["b"])
    with pytest.raises(TypeError, match="numbers, texts"):
        pack({"f": print}, "p/", tensors)
    with pytest.raises(TypeError, match="a name in the state"):
        pack({1: 2}, "p/", tensors)
    with pytest.raises(ValueError, match="kind of value"):
        unpack({"array": "missing"}, tensors)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 99},
        {"epoch": -1},
        {"epoch": 1.5},
        {"batch": 10},
        {"phase": "middle"},
        {"totals": [0.0]},
        {"totals": 3},
        {"counters": [1, 2]},
        {"learning_rate": "high"},
        {"learning_rate": -0.1},
        {"history": {}},
        {"history": {"epoch": [0], "learning_rate": [], "seconds": [], "history": {}, "best": [None, None, None]}},
        {"more": 1},
        {"begun": 2**60},
        {"counters": [1, 2**64, 0]},
        {"phase": "train", "totals": [0.0, 0, 0], "batch": 3},
        {"phase": "end", "totals": [0.0, 0, 0], "batch": 0},
        {"callbacks": []},
    ],
    ids=str,
)
def test_a_file_that_tells_nonsense_is_refused_and_the_model_is_as_it_was(tmp_path, wrong):
    path = tmp_path / "c"
    model, saver = make_model(), ModelCheckpoint(path)
    fit(model, [saver])
    kept = read(path)
    write(path, model, kept._replace(record={**kept.record, **wrong}))
    other = make_model()
    before = [w.tobytes() for w in other.get_weights()]
    with pytest.raises(mc.ResumeError):
        fit(other, [saver], resume=path)
    assert [w.tobytes() for w in other.get_weights()] == before
    assert other.history is other.optimizer is other.loss is None


def test_a_state_may_hold_infinite_arrays(tmp_path):
    class Extremes(Counts):
        def on_train_begin(self, logs=None):
            self.state = {"epochs": 0, "largest": np.full(3, -np.inf)}

    fit(make_model(), [Extremes(), ModelCheckpoint(tmp_path / "{epoch}")])
    again = Extremes()
    fit(make_model(), [again, ModelCheckpoint(tmp_path / "{epoch}")], resume=tmp_path / "3")
    assert again.state["epochs"] == 5
    assert np.array_equal(again.state["largest"], np.full(3, -np.inf))


def test_a_layer_whose_name_a_checkpoint_needs_says_so(tmp_path):
    model = mc.Sequential([mc.Dense(3, "softmax", input_dim=6, name="checkpoint")])
    with pytest.raises(ValueError, match="call it otherwise"):
        model.fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "c")])


# ---------------------------------------------------------------- an old one stays until the new one lasts


@contextmanager
def in_place(path):
    """What must not be used: writes over the old file."""
    with open(path, "wb") as file:
        yield file


def survives(monkeypatch, folder, failing, writer=_files.replacing):
    """Whether the checkpoint of the first epoch can be read after the second one failed in a system call."""
    path = folder / f"{failing}-{writer.__name__}"
    real = {"fsync": os.fsync, "replace": os.replace}

    def fail(*arguments):
        raise OSError(errno.EIO, "simulated")

    @contextmanager
    def torn(target):
        first = not path.exists()
        with writer(target) as file:
            if first or failing != "write":
                yield file
                return

            class Half:
                parts = 0

                def write(self, content):
                    self.parts += 1
                    if self.parts < 3:  # those before the tensors
                        return file.write(content)
                    file.write(content[: len(content) // 2])
                    file.flush()
                    raise OSError(errno.ENOSPC, "simulated")

            yield Half()

    def from_now_on(epoch, logs):
        if epoch == 1 and failing in real:
            monkeypatch.setattr(os, failing, fail)

    monkeypatch.setattr(saving, "replacing", torn)
    saver = ModelCheckpoint(path)
    with pytest.raises(OSError, match="simulated"):
        fit(make_model(), [saver, LambdaCallback(on_epoch_begin=from_now_on)])
    for name, function in real.items():
        monkeypatch.setattr(os, name, function)
    try:
        return read(path).record["epoch"] == 1
    except (mc.ModelFileError, mc.ResumeError):
        return False


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_failure_while_saving_leaves_the_old_checkpoint(monkeypatch, tmp_path, failing):
    assert survives(monkeypatch, tmp_path, failing)
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


def test_without_renaming_the_old_checkpoint_would_be_lost(monkeypatch, tmp_path):
    """The check above can fail."""
    assert not survives(monkeypatch, tmp_path, "write", in_place)


def lasts_through_a_power_failure(monkeypatch, path, fsync):
    """Whether all bytes of the checkpoint were synced before it got its name, and the folder after that."""
    log = []
    replace = os.replace

    def synced(descriptor):
        status = os.fstat(descriptor)
        log.append(("synced", status.st_ino, status.st_size))
        fsync(descriptor)

    def renamed(source, target):
        status = os.stat(source)
        log.append(("renamed", status.st_ino, status.st_size))
        replace(source, target)

    if fsync is not None:
        monkeypatch.setattr(os, "fsync", synced)
    else:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "replace", renamed)
    fit(make_model(), [ModelCheckpoint(path)], epochs=1)
    _, file, size = log[[entry[0] for entry in log].index("renamed")]
    folder = os.stat(path.parent).st_ino
    before = log[: log.index(("renamed", file, size))]
    after = log[len(before) + 1 :]
    return ("synced", file, size) in before and any(entry[:2] == ("synced", folder) for entry in after)


def test_a_checkpoint_lasts_through_a_power_failure(monkeypatch, tmp_path):
    assert lasts_through_a_power_failure(monkeypatch, tmp_path / "c", os.fsync)


def test_without_fsync_it_would_not(monkeypatch, tmp_path):
    """The check above can fail."""
    assert not lasts_through_a_power_failure(monkeypatch, tmp_path / "c", None)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_a_changed_or_shortened_checkpoint_is_refused(tmp_path, place):
    path = tmp_path / "c"
    saver = ModelCheckpoint(path)
    fit(make_model(), [saver], epochs=1)
    content = path.read_bytes()
    at = int(len(content) * place)
    for damaged in (content[:at], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(mc.ModelFileError, match="c: "):
            fit(make_model(), [saver], epochs=1, resume=path)
