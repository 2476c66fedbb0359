"""scikit-learn's `MLPClassifier`, without the checks of its arguments and without early stopping."""

import warnings
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from works import ADAM, CLASSES, Array, Data, Work, initial_weights

from .peer import Peer, as_floats, thread_counts
from .with_numpy import limit_blas


class Classifier(Peer):
    @classmethod
    def cannot(cls, work: Work) -> str:
        return "has no dropout" if work.dropout else ""

    @classmethod
    def settings(cls, work: Work, threads: int) -> list[dict[str, Any]]:
        return thread_counts(threads)

    def __init__(self, work: Work, data: Data, threads: int = 1) -> None:
        super().__init__(work, data)
        limit_blas(threads)
        sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is asked for few epochs only
        self._x, self._y, *_ = as_floats(work, data)
        self._model = MLPClassifier(
            hidden_layer_sizes=work.layers[1:-1],
            solver=work.optimizer,
            alpha=2 * work.l2 * work.batch_size,  # its penalty is alpha / 2 sum w² / rows of the batch
            batch_size=work.batch_size,
            learning_rate_init=work.rate,
            momentum=0.0,
            nesterovs_momentum=False,
            beta_1=ADAM["beta1"],
            beta_2=ADAM["beta2"],
            epsilon=ADAM["epsilon"],
            shuffle=work.batch is not None,
            max_iter=work.epochs,
            tol=0.0,
            n_iter_no_change=work.epochs + 1,
            warm_start=True,  # `fit` goes on from the weights that `reset` puts in place
            random_state=0,
        )
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        """One step on one image of each class, so that the weights and the list of classes exist."""
        images = np.zeros((CLASSES, self._x.shape[1]), dtype=np.float32)
        self._model.set_params(batch_size=CLASSES, max_iter=1)
        self._model.fit(images, np.arange(CLASSES))
        self._model.set_params(batch_size=self.work.batch_size, max_iter=self.work.epochs)

    def reset(self) -> None:
        weights = initial_weights(self.work)
        self._model.coefs_, self._model.intercepts_ = weights[::2], weights[1::2]

    def train(self) -> float | None:
        self._model.fit(self._x, self._y)
        return None

    def weights(self) -> list[Array]:
        pairs = zip(self._model.coefs_, self._model.intercepts_, strict=True)
        return [array for pair in pairs for array in pair]

    def predict(self) -> Array:
        return self._model.predict_proba(self._x)
