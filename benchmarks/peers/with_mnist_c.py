"""mnist_c as its users have it: uint8 images, default settings.

All that `fit` does counts: checking the arguments, indexing the images, planning, allocating, training, validating.
"""

from works import Array, Data, Work, initial_weights

import mnist_c as mc

from .peer import Peer


class MnistC(Peer):
    def __init__(self, work: Work, data: Data) -> None:
        super().__init__(work, data)
        layers = [mc.Flatten(input_shape=data.x.shape[1:])]
        for units in work.layers[1:-1]:
            layers.append(self._dense(units, "relu"))
            if work.dropout:
                layers.append(mc.Dropout(work.dropout))
        layers.append(self._dense(work.layers[-1], "softmax"))
        self._model = mc.Sequential(layers, seed=0, scale=1.0 if work.inputs == "raw" else None)
        self._initial = initial_weights(work)
        self.reset()

    def _dense(self, units: int, activation: str) -> mc.Dense:
        l2 = self.work.l2
        return mc.Dense(units, activation, kernel_regularizer=mc.regularizers.L2(l2) if l2 else None)

    def reset(self) -> None:
        rate = self.work.rate
        optimizer = mc.Adam(rate) if self.work.optimizer == "adam" else mc.SGD(rate)
        self._model.compile(optimizer, "sparse_categorical_crossentropy")
        self._model.set_weights(self._initial)

    def train(self) -> float | None:
        work = self.work
        history = self._model.fit(
            self.data.x,
            self.data.y,
            epochs=work.epochs,
            batch_size=work.batch_size,
            validation_split=work.validation / len(self.data.x),
            shuffle=work.batch is not None,
            verbose=0,
        ).history
        return history["val_loss"][-1] if work.validation else None

    def weights(self) -> list[Array]:
        return self._model.get_weights()

    def predict(self) -> Array:
        return self._model.predict(self.data.x)
