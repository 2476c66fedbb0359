"""A training with everything that a checkpoint must keep, shared by the tests of checkpoints, resuming and stopping."""

import numpy as np

import mnist_c as mc
from mnist_c.callbacks import Callback, EarlyStopping, ReduceLROnPlateau

_draw = np.random.default_rng(5)
X = _draw.normal(size=(90, 6)).astype(np.float32)
Y = _draw.integers(0, 3, 90)
WEIGHTS = _draw.random(90) + 0.5


def make_model(seed=3, units=8):
    layers = [mc.Dense(units, "relu", input_dim=6), mc.Dropout(0.3), mc.BatchNormalization(), mc.Dense(3, "softmax")]
    return mc.Sequential(layers, seed=seed)


def make_callbacks():
    """What reduces the rate in the third epoch, having waited for two, and what keeps the best weights."""
    return [
        ReduceLROnPlateau(patience=2, factor=0.5, min_delta=1.0),
        EarlyStopping(patience=30, restore_best_weights=True),
    ]


def fit(model, callbacks=(), **options):
    """5 epochs of 9 batches."""
    settings = {
        "epochs": 5,
        "batch_size": 8,
        "verbose": 0,
        "validation_split": 0.2,
        "optimizer": mc.Adam(0.01),
        "sample_weight": WEIGHTS,
        "class_weight": {0: 1.0, 1: 2.0, 2: 0.5},
        **options,
    }
    x, y = settings.pop("x", X), settings.pop("y", Y)
    return model.fit(x, y, callbacks=[*callbacks, *make_callbacks()], **settings)


def result(model):
    """Everything that must be the same bits: weights, moments, counters, history without seconds, best weights."""
    state, history = model._state, model.history
    arrays = [state.network.get(*key) for key in state.parts()] + list(history.best_weights or [])
    record = (history.epoch, history.history, history.learning_rate, history.best_epoch)
    return [array.tobytes() for array in arrays], state.network.progress(), repr(record)


class StopAt(Callback):
    """Requests a stop, or does something else, after so many batches."""

    def __init__(self, batches, action=None):
        self.left, self.action = batches, action

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            if self.action is not None:
                self.action()
            self.model.request_stop()
