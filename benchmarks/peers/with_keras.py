"""Keras: `compile` and `fit`, on TensorFlow and on JAX, whichever $KERAS_BACKEND says."""

from typing import Any

import keras
import numpy as np
from works import ADAM, Array, Data, Work, initial_weights

from .peer import Peer, as_floats

STEPS_PER_EXECUTION = 64


class OnTensorFlow(Peer):
    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        """With and without XLA; batch by batch, which is the default, and many batches a call."""
        if work.kind == "predict" or work.batch is None:
            return [{"jit_compile": jit} for jit in (False, "auto")]
        several = min(STEPS_PER_EXECUTION, work.steps)
        return [{"jit_compile": jit, "steps": steps} for jit in (False, "auto") for steps in (1, several)]

    def __init__(self, work: Work, data: Data, jit_compile: bool | str = "auto", steps: int = 1) -> None:
        super().__init__(work, data)
        self._x, self._y, x_val, y_val = as_floats(work, data)
        self._validation = (x_val, y_val) if work.validation else None
        self._model = network(work)
        self._model.compile(
            optimizer=optimizer(work),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"] if work.validation else None,
            jit_compile=jit_compile,
            steps_per_execution=steps,
        )
        self._model.optimizer.build(self._model.trainable_variables)
        self._fresh = [np.array(variable) for variable in self._model.optimizer.variables]
        self.reset()

    def reset(self) -> None:
        self._model.set_weights(initial_weights(self.work))
        for variable, value in zip(self._model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def train(self) -> float | None:
        work = self.work
        history = self._model.fit(
            self._x,
            self._y,
            batch_size=work.batch_size,
            epochs=work.epochs,
            validation_data=self._validation,
            shuffle=work.batch is not None,
            verbose=0,
        ).history
        return history["val_loss"][-1] if work.validation else None

    def weights(self) -> list[Array]:
        return self._model.get_weights()

    def predict(self) -> Array:
        return np.asarray(self._model.predict_on_batch(self._x))


class AsPublished(OnTensorFlow):
    """On TensorFlow as tutorials use it: `compile` and `fit` with their defaults, so one batch a call."""

    @classmethod
    def cannot(cls, work: Work) -> str:
        return "" if "keras-published" in work.against else "only where somebody published it so"

    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        return [{"jit_compile": "auto", "steps": 1}]


class OnJax(OnTensorFlow):
    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        """Without XLA it would be slower by orders of magnitude."""
        return [setting for setting in super().settings(work, threads) if setting["jit_compile"]]


def network(work: Work) -> Any:
    def dense(units: int, activation: str) -> Any:
        penalty = keras.regularizers.L2(work.l2) if work.l2 else None
        return keras.layers.Dense(units, activation=activation, kernel_regularizer=penalty)

    layers: list[Any] = [keras.Input((work.layers[0],))]
    for units in work.layers[1:-1]:
        layers.append(dense(units, "relu"))
        if work.dropout:
            layers.append(keras.layers.Dropout(work.dropout))
    return keras.Sequential([*layers, dense(work.layers[-1], "softmax")])


def optimizer(work: Work) -> Any:
    if work.optimizer == "sgd":
        return keras.optimizers.SGD(work.rate)
    return keras.optimizers.Adam(work.rate, beta_1=ADAM["beta1"], beta_2=ADAM["beta2"], epsilon=ADAM["epsilon"])
