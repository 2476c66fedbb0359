"""`Sequential`: a line of layers that can be trained, evaluated and asked, with Keras's names and arguments."""

import copy
import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from . import _checkpoint, _core, _description, _inputs, _plan, losses, optimizers, progress
from ._confusion import count_cells
from ._divergence import not_finite
from ._feed import Feed, head_of
from ._fingerprint import Fingerprint
from ._hooks import Hooks
from ._structure import Structure
from ._training import Run, alone, run, steps_per_epoch
from .history import History
from .layers import Dropout, Flatten, GaussianNoise, InputLayer, Rescaling
from .results import Evaluation, Output, accuracy_name

if TYPE_CHECKING:
    from ._trace import Trace


class Sequential(Structure):
    """A network: the output of each layer is the input of the next.

        model = mc.Sequential([
            mc.Flatten(input_shape=(28, 28)),
            mc.Dense(128, activation="relu"),
            mc.Dropout(0.2),
            mc.Dense(10, activation="softmax"),
        ], seed=0)

    layers: any of `mnist_c.layers`. Where the first does not say its input_shape, the first data do.
    seed: whole number; initial weights, shuffles, dropout and noise are functions of it. None: one is drawn; see
        `model.seed`.
    dtype: "float32", or "float64" (slower; for checking).
    scale: the factor for uint8 pixels. None: they are divided by 255. 1.0: raw pixels.
    reduce_rows: sums over the rows of a batch are cut every so many rows (a multiple of 16; part of the arithmetic).
    isa: "scalar", "avx2", "avx512", ...; None: the best this machine has. All give the same bits.

    Same layers, seed and data give the same weights, bit for bit, for any number of threads. Two calls of `fit` with 2
    epochs equal one with 4.

    Any number of Python threads may call `predict` and `evaluate` of one model at once. While one trains it, calls in
    others raise RuntimeError.
    """

    # ------------------------------------------------------------ training

    def compile(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        metrics: object = None,
        *,
        jit_compile: object = None,
        run_eagerly: object = None,
    ) -> None:
        """Chooses optimizer and loss for `fit` and `evaluate`. Weights stay; the optimizer starts afresh.

        optimizer, loss: names or objects. metrics: accuracy is always measured; the list only chooses the name
        under which it appears ("acc"). jit_compile, run_eagerly: for Keras's sake, without a meaning here.
        """
        self._check_thread()
        metric = accuracy_name(metrics)
        new_optimizer, new_loss = optimizers.get(optimizer), None if loss is None else losses.get(loss)
        if new_loss is not None and self.built:
            Feed(self, self._plan_for(None), new_loss)  # complains if they do not go together
        self.optimizer, self.loss, self.metric = new_optimizer, new_loss, metric
        self._optimizer_name = optimizer if isinstance(optimizer, str) else None
        if self._network_state is not None:
            self._network_state.changing()
            self._network_state.optimizer = None  # no moments, even for the same object

    def fit(
        self,
        x: object,
        y: object = None,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: object = "auto",
        callbacks: object = None,
        *,
        validation_split: float = 0.0,
        validation_data: object = None,
        stratify: bool = False,
        shuffle: bool = True,
        class_weight: object = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        optimizer: object = None,
        loss: object = None,
        evaluate_training: bool = False,
        resume: "bool | str | os.PathLike[str]" = False,
    ) -> History:
        """Trains for epochs - initial_epoch passes over the data and returns their `History`.

        x: images (n, 28, 28), (n, 28, 28, 1) or (n, features); uint8 from 0 to 255, or floats as they are.
        y: class numbers (n,) or (n, 1), one-hot rows or probabilities (n, C); values for mean squared error.
        validation_split: the last part of the data is kept for validation, unshuffled; int(n (1 - split)) rows train.
        validation_data: (x, y) or (x, y, sample_weight) instead.
        stratify: the last part of each class instead of the last part of all, so that every class has the same share.
        class_weight: {class: weight} or "balanced"; sample_weight (n,): the loss is sum(weight loss) / B.
        optimizer, loss: as in `compile`. Without any: Adam(1e-3), and the cross-entropy that fits the last layer. The
        same optimizer object (or name, or none) goes on with its moments, a new object starts afresh.
        verbose: see `mnist_c.progress`. callbacks: objects of `mnist_c.callbacks`, called in that order.
        evaluate_training: after each epoch evaluate the training data, too: "eval_loss" and "eval_accuracy" in the
        history can be compared with "val_loss", while "loss" is measured on the way, with dropout.
        resume: a file of `callbacks.ModelCheckpoint`, or True after Ctrl-C or `request_stop` in this process: weights,
        optimizer, callbacks and history are taken from there, and training goes on, also within an epoch, to the bits
        of the run that was never interrupted, whatever the number of threads or the machine. All other arguments and
        the data must be as they were; `ResumeError` says what is not. Of the callbacks it compares only the classes
        of those that have a state: what they are made with is yours to repeat. With True, data changed in place go
        unnoticed.

        Everything is checked first: on ValueError or TypeError the model is as it was. Ctrl-C raises KeyboardInterrupt;
        the model keeps its weights, `model.history` the epochs so far. NotFiniteError: the loss became infinite or NaN;
        it has `epoch`, `batch`, `layer` and `quantity`, and the weights are those before that batch. RuntimeError: the
        model is in use in another thread.
        """
        with alone(self):
            return self._fit(
                x,
                y,
                {
                    "batch_size": _inputs.whole("batch_size", 32 if batch_size is None else batch_size, 1),
                    "epochs": _inputs.whole("epochs", epochs, 0),
                    "initial_epoch": _inputs.whole("initial_epoch", initial_epoch, 0),
                    "shuffle": _inputs.flag("shuffle", shuffle),
                    "evaluate_training": _inputs.flag("evaluate_training", evaluate_training),
                },
                Hooks(callbacks),
                (sample_weight, class_weight, validation_split, validation_data, _inputs.flag("stratify", stratify)),
                progress.check_verbose(verbose),
                optimizer,
                loss,
                resume,
            )

    def _fit(
        self,
        x: object,
        y: object,
        arguments: dict[str, Any],
        hooks: Hooks,
        rows: tuple[object, object, object, object, bool],
        verbose: int,
        optimizer: object,
        loss: object,
        resume: "bool | str | os.PathLike[str]",
    ) -> History:
        """arguments: those that a checkpoint keeps. rows: those that say which rows train, and how much they count."""
        new_optimizer = self._choose_optimizer(optimizer)
        feed = Feed.choose(self, x, y, loss)
        train, validation = feed.split(x, y, *rows)
        data = Fingerprint(train, validation)
        settings = _checkpoint.settings(self, feed, new_optimizer, hooks, **arguments)
        checkpoint = _checkpoint.chosen(self, resume, settings, data)
        steps = steps_per_epoch(len(train.images), arguments["batch_size"])
        point = None if checkpoint is None else _checkpoint.point_of(checkpoint, arguments["epochs"], steps)
        job = Run(
            train=feed.core_data(train, in_order=_repeats(len(train.images), **arguments)),
            validation=None if validation is None else feed.core_data(validation),
            verbose=verbose,
            hooks=hooks,
            settings=settings if checkpoint is None else checkpoint.settings,
            data=data,
            resume=checkpoint,
            point=point,
            **arguments,
        )
        self._build_for(feed.plan)
        if new_optimizer is not self.optimizer:
            self._optimizer_name = optimizer if isinstance(optimizer, str) else None
        self.loss, self.optimizer = feed.loss, new_optimizer
        return run(self, job)

    def request_stop(self, reason: str = "request") -> bool:
        """Asks the `fit` that is running to end after the batch, slice of 50 ms, validation or file that is under way.

        For other threads and for callbacks. `fit` then returns its history, whose stopped_by is `reason`, and
        fit(..., resume=True) goes on to the same bits. Returns whether there is one; if not, nothing happens.
        """
        running = self._fitting is not None
        if running:
            self._stop_requested = str(reason)
        return running

    def _choose_optimizer(self, optimizer: object) -> optimizers.Optimizer:
        """The optimizer to train with: a new one only if asked for."""
        same_name = isinstance(optimizer, str) and optimizer == self._optimizer_name
        if self.optimizer is not None and (optimizer is None or same_name):
            return self.optimizer
        return optimizers.get("adam" if optimizer is None else optimizer)

    def _trainable_network(self) -> tuple[_core.Network, optimizers.Optimizer]:
        """The core's network with the head of `model.loss` and the moments of `model.optimizer`."""
        if self.loss is None or self.optimizer is None:
            raise ValueError("a callback took the loss away: in training, compile needs both optimizer and loss")
        network = self._use_head(head_of(self._state.plan, self.loss))
        self._state.use_optimizer(self.optimizer)
        return network, self.optimizer

    def train_on_batch(
        self, x: object, y: object = None, sample_weight: object = None, class_weight: object = None
    ) -> tuple[float, float]:
        """One step on all rows of x; returns their (loss, accuracy) before it. The count of epochs does not move."""
        feed = Feed.choose(self, x, y)
        data = feed.data(x, y, sample_weight, class_weight)
        self._check_thread()
        self._build_for(feed.plan)
        self.loss, self.optimizer = feed.loss, self._choose_optimizer(None)
        with self._state.lock:
            self._state.changing()
            network, optimizer = self._trainable_network()
            epoch, _, step = network.progress()
            rates = optimizer.rates(step, 1)
            try:
                loss_sum, correct, rows = network.fit(data, np.arange(data.rows, dtype=np.uint32), data.rows, rates)
            except _core.NotFiniteError:
                order = np.arange(data.rows, dtype=np.uint32)
                raise not_finite(self, epoch, 0, feed.images(x, warn=False), data, order) from None
        return loss_sum / rows, self._share(correct, rows)

    def gradients(
        self, x: object, y: object, sample_weight: object = None, training: bool = False
    ) -> list[NDArray[Any]]:
        """Gradients of the mean loss, penalties included, over all rows of x; nothing is changed.

        One array per trainable weight, in the order of `get_weights()`, which has the moving statistics of batch
        normalisation as well. training: with the dropout masks of the next training step, and batch statistics.
        """
        feed = Feed.choose(self, x, y)
        data = feed.data(x, y, sample_weight)
        self._check_thread()
        self._build_for(feed.plan)
        with self._state.lock:
            network = self._use_head(feed.head)
            network.gradients(data, np.arange(data.rows, dtype=np.uint32), _inputs.flag("training", training), False)
            return [network.get("gradient", i) for i, tensor in enumerate(self._state.tensors) if tensor[3]]

    def trace(self, x: object, y: object, sample_weight: object = None, training: bool = True) -> "Trace":
        """One step on all rows of x with everything in between, as named arrays; nothing is changed.

        Pre-activations, dropout masks, activations, deltas, gradients and updates; `print` shows a table of them. They
        are those of `train_on_batch(x, y)`, to the bit. training: False leaves dropout out and takes the moving
        statistics of batch normalisation, as `gradients` does by default; the updates remain those of training.
        """
        from ._trace import trace

        self._check_thread()
        return trace(self, x, y, sample_weight, training)

    # ------------------------------------------------------------ use

    @overload
    def evaluate(
        self,
        x: object,
        y: object = ...,
        batch_size: int | None = ...,
        verbose: object = ...,
        sample_weight: object = ...,
        return_dict: Literal[False] = ...,
    ) -> Evaluation: ...
    @overload
    def evaluate(
        self,
        x: object,
        y: object = ...,
        batch_size: int | None = ...,
        verbose: object = ...,
        sample_weight: object = ...,
        *,
        return_dict: Literal[True],
    ) -> dict[str, float]: ...
    def evaluate(
        self,
        x: object,
        y: object = None,
        batch_size: int | None = 32,
        verbose: object = "auto",
        sample_weight: object = None,
        return_dict: bool = False,
    ) -> Evaluation | dict[str, float]:
        """(loss, accuracy) without dropout; see `Evaluation` for the confusion matrix and the accuracy per class.

        x, y, sample_weight: as in `fit`. batch_size: only for the number of steps that is printed.
        return_dict: {"loss": loss, "accuracy": accuracy} instead.
        """
        size = _inputs.whole("batch_size", 32 if batch_size is None else batch_size, 1)
        shown = progress.check_verbose(verbose)
        feed = Feed.choose(self, x, y)
        self._check_thread()
        start = time.perf_counter()
        data, targets = feed.data_and_targets(x, y, sample_weight, view=True)
        self._build_for(feed.plan)
        loss, accuracy, outputs = self._score(data, self._use_head(feed.head))
        if feed.plan.outputs == 1 and feed.binary:  # no and yes
            middle = 0.0 if feed.head.key[2] else 0.5
            targets, outputs = targets.yes_or_no(), np.hstack([np.full_like(outputs, middle), outputs])
        if shown:
            seconds = time.perf_counter() - start
            print(progress.format_line(-(-data.rows // size), seconds, self._logs(loss, accuracy)))
        if return_dict:
            return self._logs(loss, accuracy)
        classes = outputs.shape[1]
        cells = count_cells(targets.classes(), outputs.argmax(axis=1), classes) if classes > 1 else None
        return Evaluation(loss, accuracy, cells)

    def _logs(self, loss: float, accuracy: float) -> dict[str, float]:
        """What is printed and recorded; with one output there is no accuracy."""
        return {"loss": loss} if math.isnan(accuracy) else {"loss": loss, self.metric: accuracy}

    def _score(self, data: _core.Data, network: _core.Network | None = None) -> tuple[float, float, NDArray[Any]]:
        """Mean loss with penalties, accuracy and outputs of data that are ready for the core."""
        network = network or self._state.network
        total, correct, outputs = network.evaluate(data)
        return total / data.rows + network.penalty(), self._share(correct, data.rows), outputs

    def _share(self, correct: int, rows: int) -> float:
        """The accuracy; nan where one output leaves nothing to choose."""
        return correct / rows if self._has_accuracy else math.nan

    @property
    def _has_accuracy(self) -> bool:
        return self._state.plan.outputs > 1 or (self.loss is not None and self.loss.head == _plan.BINARY)

    def predict(self, x: object, batch_size: int | None = None, verbose: object = 0) -> NDArray[Any]:
        """What the last layer gives, without dropout: probabilities (n, C) after a softmax. dtype is the model's.

        x: as in `fit`; one image (28, 28) counts as (1, 28, 28). A row's result does not depend on the other rows.
        batch_size, verbose: for Keras's sake.
        """
        state = self._network_state
        if state and self._fitting is None and state.short_way and state.short_way == (self.loss, self.scale):
            few = state.network.predict_few(x)
            if few is not None:
                return few
        network, data = self._ready(x)
        if self._state.plan.rescaling is None and self.scale is None:
            self._state.short_way = (copy.copy(self.loss), self.scale)
        return network.predict(data)

    def _ready(self, x: object) -> tuple[_core.Network, _core.Data]:
        """The network and its inputs; a model of unknown shape is built for them."""
        self._check_thread()
        feed = Feed(self, self._plan_for(None if self.built else _inputs.row_shape(x, "x")), self.loss)
        data = feed.inputs(x)
        self._build_for(feed.plan)
        return self._use_head(feed.head), data

    def layer_outputs(self, x: object) -> dict[str, NDArray[Any]]:
        """What each layer gives for x, without dropout: layer name -> (n, units). For pictures and embeddings.

        Layers that compute nothing then (Input, Flatten, Rescaling, Dropout, GaussianNoise) are left out.
        """
        network, data = self._ready(x)
        shape, outputs = self._state.plan.input_shape, {}
        for count, layer in enumerate(self._layers, start=1):
            if not isinstance(layer, (InputLayer, Flatten, Rescaling, Dropout, GaussianNoise)):
                plan = _plan.build(self._layers[:count], shape)
                part = _plan.create_network(plan, head_of(plan, None), **self._settings)
                _plan.copy_values(network, part)
                outputs[layer.name] = part.predict(data)
        return outputs

    def __call__(self, x: object, training: bool = False) -> Output:
        """`predict`, as an array with `.numpy()`. training: with the dropout masks of the next training step."""
        if not _inputs.flag("training", training):
            return Output.of(self.predict(x))
        network, data = self._ready(x)
        return Output.of(network.forward_training(data, np.arange(data.rows, dtype=np.uint32), False))

    # ------------------------------------------------------------ files

    def save(self, path: "str | os.PathLike[str]", overwrite: bool = True, *, include_optimizer: bool = True) -> None:
        """Writes the model to one file: weights, layers, transform of the inputs, loss, optimizer with its moments.

        `mnist_c.load_model` reads it; training then goes on as if it had not been interrupted. The format is
        safetensors, whatever the ending of the name, so that other programs can read the weights. The file appears
        whole or not at all. Raises FileExistsError for a file that is there and may not be overwritten.
        """
        from .saving import save_model

        self._check_thread()
        save_model(self, path, overwrite, include_optimizer=include_optimizer)

    def save_weights(self, path: "str | os.PathLike[str]") -> None:
        """Writes `get_weights()` under their names ("dense/kernel", ...) to a safetensors file."""
        from .saving import save_weights

        self._check_thread()
        save_weights(self, path)

    def load_weights(self, path: "str | os.PathLike[str]") -> None:
        """Reads what `save_weights` wrote for a model with the same layers. Raises ModelFileError, changing nothing."""
        from .saving import load_weights

        self._check_thread()
        load_weights(self, path)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes the same untrained model of: plain data, fit for JSON."""
        return _description.get_config(self)

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> "Sequential":
        """A new model, with initial weights, from what `get_config` gave."""
        return _description.from_config(config)

    def __repr__(self) -> str:
        return f"<Sequential {self.name!r}: {', '.join(map(str, self.layers)) or 'no layers'}; seed {self.seed}>"


def _repeats(rows: int, *, batch_size: int, epochs: int, initial_epoch: int, shuffle: bool, **_: object) -> bool:
    """Whether a fit sees the same long batches so often that it pays to prepare them."""
    return not shuffle and epochs - initial_epoch > 2 and (batch_size >= rows or batch_size % 256 == 0)
