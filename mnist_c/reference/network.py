"""A whole network: the same specification, tensors and methods as the C core's `mnist_c._core.Network`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import layers as ly
from .layers import ACTIVATIONS, Array
from .losses import HEADS, one_hot, smooth_labels, softmax
from .optimizers import CLIPPING, EMA, OPTIMIZERS, clip, first_slots, optimizer_slots
from .randomness import dropout_keep, initial_values, normal_noise

# A layer is a transformation ("dense": x W + b, "norm": batch normalisation, "map": nothing), then an activation,
# then dropout, then noise. Defaults are Keras's: Glorot-uniform kernels, zero biases.
LAYER_DEFAULTS: dict[str, Any] = {
    "units": 0,
    "use_bias": True,
    "kernel_init": ("scaled_uniform", "avg", 1.0, 0.0),
    "bias_init": ("constant", "in", 0.0, 0.0),
    "l1": 0.0,
    "l2": 0.0,
    "bias_l1": 0.0,
    "bias_l2": 0.0,
    "min_norm": 0.0,
    "max_norm": 0.0,
    "bias_min_norm": 0.0,
    "bias_max_norm": 0.0,
    "momentum": 0.99,
    "epsilon": 1e-3,
    "center": True,
    "scale": True,
    "activation": "linear",
    "slope": 0.3,
    "dropout": 0.0,
    "noise": 0.0,
    "noise_seed": 0,
}


class Tensor(NamedTuple):
    """One array of parameters or statistics."""

    layer: int
    role: str
    shape: tuple[int, ...]
    trainable: bool


class Tape(NamedTuple):
    """What the forward pass of one layer leaves for the backward pass."""

    x: Array  # (B, K) input
    normed: tuple[Array, Array] | None  # batch normalisation: xhat (B, N), inv (N,)
    f: Array  # (B, N) derivative of the output with respect to the pre-activation, dropout included


class Network:
    """A multilayer perceptron that computes with NumPy in `dtype`.

    inputs: number of inputs; layers: dicts with a "kind" and any of `LAYER_DEFAULTS`; head: a name of `HEADS`;
    seed: initial values, dropout and noise are functions of it. reduce_rows says where the core cuts its sums over
    rows; it means nothing but rounding, and nothing here.

    `values`, `slots`: lists of arrays in the order of `tensors()`, free to be read and assigned. `step` (steps taken;
    the key of dropout and noise) and `optimizer_step` (steps since `set_optimizer`) are the counters.
    """

    def __init__(
        self,
        *,
        inputs: int,
        layers: Sequence[Mapping[str, Any]],
        head: str,
        dtype: str = "float64",
        input_dropout: float = 0.0,
        input_noise: float = 0.0,
        input_noise_seed: int = 0,
        label_smoothing: float = 0.0,
        outputs_are_logits: bool = False,
        seed: int = 0,
        reduce_rows: int = 512,
    ) -> None:
        self.inputs, self.head, self.dtype, self.seed = inputs, head, np.dtype(dtype), seed
        self.input_dropout, self.label_smoothing = input_dropout, label_smoothing
        self.input_noise, self.input_noise_seed = input_noise, input_noise_seed
        self.outputs_are_logits, self.reduce_rows = outputs_are_logits, reduce_rows
        self.layers = [_with_defaults(layer) for layer in layers]
        self._tensors = _list_tensors(inputs, self.layers)
        self._index = {(t.layer, t.role): i for i, t in enumerate(self._tensors)}
        self.values = [self._initial(i, t) for i, t in enumerate(self._tensors)]
        self.step = 0
        self.set_optimizer("sgd")

    def _initial(self, i: int, tensor: Tensor) -> Array:
        one, zero = ("constant", "in", 1.0, 0.0), ("constant", "in", 0.0, 0.0)
        layer = self.layers[tensor.layer]
        init = {
            "kernel": layer["kernel_init"],
            "bias": layer["bias_init"],
            "gamma": one,
            "beta": zero,
            "moving_mean": zero,
            "moving_variance": one,
        }[tensor.role]
        return initial_values(self.seed, i, tensor.shape, init, self.dtype)

    def tensors(self) -> tuple[Tensor, ...]:
        """(layer, role, shape, trainable) in Keras's order: layer by layer, in each what is trained first."""
        return tuple(self._tensors)

    def value(self, layer: int, role: str, otherwise: float) -> Array | float:
        """A tensor's value, or `otherwise` if that layer has no such tensor."""
        i = self._index.get((layer, role))
        return otherwise if i is None else self.values[i]

    def set_optimizer(self, kind: str, **hyper: Any) -> int:
        """Chooses an optimizer of `OPTIMIZERS`, its slots as they start. Returns the number of slots."""
        self.turns = hyper.pop("gradient_accumulation_steps", 1)
        self.ema = {name: hyper.pop(name) for name in EMA if name in hyper}
        self.clipping = {name: hyper.pop(name) for name in CLIPPING if name in hyper}
        self.optimizer, self.hyper, self.optimizer_step = OPTIMIZERS[kind], hyper, 0
        self.slots: list[tuple[Array, ...]] = [first_slots(kind, v, **hyper) for v in self.values]
        self.totals = [np.zeros_like(v) for v in self.values]  # of the gradients since the last step
        self.averages = [np.zeros_like(v) for v in self.values]
        return optimizer_slots(kind, **hyper)

    # ------------------------------------------------------------ forward

    def _dropout(self, layer: int, rate: float, shape: tuple[int, ...]) -> Array:
        """The mask of the current step.    layer: 0 for the inputs, else 1 + its index -> (B, N)"""
        return ly.dropout_mask(dropout_keep(self.seed, layer, self.step, shape[0], shape[1], rate), rate, self.dtype)

    def _noise(self, layer: int, stddev: float, seed: int, shape: tuple[int, ...]) -> Array:
        """The noise of the current step.    layer, shape as in `_dropout` -> (B, N)"""
        noise = normal_noise(self.seed ^ seed, layer, self.step, shape[0], shape[1])
        return (stddev * noise).astype(self.dtype)

    def _norm(
        self, index: int, layer: dict[str, Any], x: Array, training: bool, update: bool
    ) -> tuple[Array, tuple[Array, Array]]:
        """Batch normalisation; `update` moves the moving statistics.    x (B, N) -> y (B, N), (xhat, inv)"""
        gamma, beta = self.value(index, "gamma", 1.0), self.value(index, "beta", 0.0)
        at_mean, at_variance = self._index[index, "moving_mean"], self._index[index, "moving_variance"]
        if not training:
            y, xhat, inv = ly.batch_norm_inference(
                x, gamma, beta, self.values[at_mean], self.values[at_variance], layer["epsilon"]
            )
            return y, (xhat, inv)
        y, xhat, inv, mean, variance = ly.batch_norm_training(x, gamma, beta, layer["epsilon"])
        if update:
            self.values[at_mean] = ly.moving_average(self.values[at_mean], mean, layer["momentum"])
            self.values[at_variance] = ly.moving_average(self.values[at_variance], variance, layer["momentum"])
        return y, (xhat, inv)

    def forward(self, x: Array, training: bool, update: bool = False) -> tuple[Array, list[Tape], Array | None]:
        """All layers in turn.

        training: dropout and noise of the current step and the batch's statistics, else neither and moving statistics.
        x (B, inputs) -> outputs (B, C), one Tape per layer, the mask of the inputs (B, inputs) or None
        """
        a = np.asarray(x, self.dtype)
        input_mask = self._dropout(0, self.input_dropout, a.shape) if training and self.input_dropout else None
        a = a if input_mask is None else a * input_mask
        if training and self.input_noise:
            a = a + self._noise(0, self.input_noise, self.input_noise_seed, a.shape)
        tapes = []
        for index, layer in enumerate(self.layers):
            z, normed = a, None
            if layer["kind"] == "dense":
                z = ly.dense_forward(a, self.values[self._index[index, "kernel"]], self.value(index, "bias", 0.0))
            elif layer["kind"] == "norm":
                z, normed = self._norm(index, layer, a, training, update)
            y, f = ACTIVATIONS[layer["activation"]](z, layer["slope"])
            if training and layer["dropout"]:
                mask = self._dropout(1 + index, layer["dropout"], y.shape)
                y, f = y * mask, f * mask
            if training and layer["noise"]:
                y = y + self._noise(1 + index, layer["noise"], layer["noise_seed"], y.shape)
            tapes.append(Tape(a, normed, f))
            a = y
        return a, tapes, input_mask

    # ------------------------------------------------------------ backward

    def _backward(self, index: int, tape: Tape, delta: Array, training: bool) -> tuple[Array, dict[str, Array]]:
        """Through the transformation of one layer.    delta (B, N) -> dx (B, K), gradients by role"""
        layer = self.layers[index]
        if layer["kind"] == "dense":
            kernel, bias = self.values[self._index[index, "kernel"]], self.value(index, "bias", 0.0)
            dx, d_kernel, d_bias = ly.dense_backward(tape.x, kernel, delta)
            d_kernel = d_kernel + ly.penalty_gradient(kernel, layer["l1"], layer["l2"])
            d_bias = d_bias + ly.penalty_gradient(bias, layer["bias_l1"], layer["bias_l2"])
            return dx, {"kernel": d_kernel, "bias": d_bias}
        if layer["kind"] == "norm":
            assert tape.normed is not None
            backward = ly.batch_norm_backward if training else ly.batch_norm_backward_inference
            dx, d_gamma, d_beta = backward(*tape.normed, self.value(index, "gamma", 1.0), delta)
            return dx, {"gamma": d_gamma, "beta": d_beta}
        return delta, {}

    def _targets(self, y: Array) -> Array:
        """Labels or targets as the head wants them.    (B,) integers or (B, C) -> (B, C)"""
        y = np.asarray(y)
        if y.ndim == 1:
            y = one_hot(y, self._outputs(), self.dtype)
        y = y.astype(self.dtype)
        if self.head == "binary_cross_entropy":
            return smooth_labels(y, self.label_smoothing, 2)
        return smooth_labels(y, self.label_smoothing) if self.head == "softmax_cross_entropy" else y

    def _outputs(self) -> int:
        """C, the number of outputs."""
        return next((layer["units"] for layer in reversed(self.layers) if layer["kind"] == "dense"), self.inputs)

    def _step_gradients(
        self, x: Array, y: Array, weights: Array | None, training: bool, update: bool
    ) -> tuple[float, list[Array], Array, Array]:
        """Mean loss with penalties, gradients, dx and outputs of one batch; see `gradients`."""
        outputs, tapes, input_mask = self.forward(x, training, update)
        loss, delta = HEADS[self.head](outputs, self._targets(y), weights)
        grads = [np.zeros_like(v) for v in self.values]
        for index in range(len(self.layers) - 1, -1, -1):
            delta, by_role = self._backward(index, tapes[index], delta * tapes[index].f, training)
            for role, gradient in by_role.items():
                if (index, role) in self._index:
                    grads[self._index[index, role]] = gradient
        dx = delta if input_mask is None else delta * input_mask
        return loss + self.penalty(), grads, dx, outputs

    def gradients(
        self, x: Array, y: Array, weights: Array | None = None, training: bool = True
    ) -> tuple[float, list[Array], Array]:
        """Loss and its derivatives by back-propagation. No counter and no moving statistic moves.

        x (B, inputs); y (B,) labels or (B, C) targets; weights (B,); training as in `forward`
        -> mean loss with penalties, one gradient per tensor (zeros for moving statistics), dx (B, inputs)
        """
        loss, grads, dx, _ = self._step_gradients(x, y, weights, training, update=False)
        return loss, grads, dx

    def loss(self, x: Array, y: Array, weights: Array | None = None, training: bool = True) -> float:
        """The loss of `gradients` alone: what finite differences are taken of."""
        outputs = self.forward(x, training)[0]
        return HEADS[self.head](outputs, self._targets(y), weights)[0] + self.penalty()

    def penalty(self) -> float:
        """Sum of the l1 and l2 penalties of all layers."""
        total = 0.0
        for (index, role), i in self._index.items():
            layer = self.layers[index]
            if role == "kernel":
                total += ly.penalty(self.values[i], layer["l1"], layer["l2"])
            elif role == "bias":
                total += ly.penalty(self.values[i], layer["bias_l1"], layer["bias_l2"])
        return total

    # ------------------------------------------------------------ training and use

    def fit(
        self,
        x: Array,
        y: Array,
        order: Array,
        batch_size: int,
        rates: Sequence[float] | Array,
        weights: Array | None = None,
    ) -> tuple[float, int, int]:
        """One pass over the rows `order`, batch_size at a time, rates[i] being the learning rate of the i-th batch.

        Returns the sum over rows of weight * loss (and, of each batch, rows * penalty), the number of rows that were
        right when they were trained on, and the number of rows. The loss is that before each batch's update.
        """
        loss_sum, right = 0.0, 0
        order = np.asarray(order, dtype=np.intp)
        for i, start in enumerate(range(0, len(order), batch_size)):
            rows = order[start : start + batch_size]
            batch_weights = None if weights is None else weights[rows]
            loss, grads, _, outputs = self._step_gradients(x[rows], y[rows], batch_weights, True, update=True)
            loss_sum += loss * len(rows)
            right += self._right(outputs, y[rows])
            self.apply(grads, float(rates[i]))
        return loss_sum, right, len(order)

    def apply(self, grads: Sequence[Array], rate: float) -> None:
        """One batch for the optimizer, and with the last of `turns` a step on every tensor; both counters go on."""
        self.step += 1
        self.optimizer_step += 1
        self.totals = [total + g for total, g in zip(self.totals, grads, strict=True)]
        t, rest = divmod(self.optimizer_step, self.turns)
        if rest:
            return
        trainable = [i for i, tensor in enumerate(self._tensors) if tensor.trainable]
        clipped = clip([self.totals[i] / self.turns for i in trainable], **self.clipping)
        self.totals = [np.zeros_like(total) for total in self.totals]
        for i, g in zip(trainable, clipped, strict=True):
            w, self.slots[i] = self.optimizer(self.values[i], g, self.slots[i], rate, t, **self.hyper)
            self.values[i] = self._constrain(i, w)
            if self.ema.get("use_ema"):
                self._average(i, t)

    def _constrain(self, i: int, w: Array) -> Array:
        """The new weights of a tensor, with norms in the range of its layer."""
        prefix = {"kernel": "", "bias": "bias_"}.get(self._tensors[i].role)
        layer = self.layers[self._tensors[i].layer]
        if prefix is None or not layer[f"{prefix}max_norm"]:
            return w
        return ly.constrain_norm(w, layer[f"{prefix}min_norm"], layer[f"{prefix}max_norm"])

    def _average(self, i: int, t: int) -> None:
        """Moves the average of a tensor towards it; every ema_overwrite_frequency steps it becomes the tensor."""
        momentum = 0.0 if t == 1 else self.ema.get("ema_momentum", 0.99)
        self.averages[i] = ly.moving_average(self.averages[i], self.values[i], momentum)
        if t % (self.ema.get("ema_overwrite_frequency") or t + 1) == 0:
            self.values[i] = self.averages[i].copy()

    def forward_training(self, x: Array, update_statistics: bool) -> Array:
        """The last layer's outputs in training mode.    x (B, inputs) -> (B, C)"""
        return self.forward(x, training=True, update=update_statistics)[0]

    def predict(self, x: Array) -> Array:
        """Probabilities, or the outputs themselves if they are to be logits or there is no softmax.    -> (B, C)"""
        outputs = self.forward(x, training=False)[0]
        if self.outputs_are_logits or self.head not in ("softmax_cross_entropy", "binary_cross_entropy"):
            return outputs
        return softmax(outputs) if self.head == "softmax_cross_entropy" else ly.sigmoid(outputs)

    def evaluate(self, x: Array, y: Array, weights: Array | None = None) -> tuple[float, int, Array]:
        """(sum over rows of weight * loss without penalties, number of right rows, what `predict` gives).

        The loss of a row is that of a batch of one row, which matters to the inner product: that is no mean.
        """
        outputs = self.forward(x, training=False)[0]
        loss, _ = HEADS[self.head](outputs, self._targets(y), weights)
        loss_sum = loss if self.head == "inner_product" else loss * len(outputs)
        return loss_sum, self._right(outputs, y), self.predict(x)

    def _right(self, outputs: Array, y: Array) -> int:
        """Rows whose largest output is where the largest target is (the first one, if several are equal).

        One output of binary cross-entropy is right on the target's side of 1/2.
        """
        y = np.asarray(y)
        if self.head == "binary_cross_entropy" and outputs.shape[1] == 1:
            return int(((outputs > 0) == (y > 0.5)).sum())
        return int((outputs.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))).sum())


def _with_defaults(layer: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(layer) - {"kind", *LAYER_DEFAULTS}
    if unknown or layer["kind"] not in ("dense", "norm", "map"):
        raise ValueError(f"not a layer: {dict(layer)}; unknown: {sorted(unknown)}")
    return {**LAYER_DEFAULTS, **layer}


def _list_tensors(inputs: int, layers: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """The tensors of all layers, layer by layer; a width that a layer does not set is that of the layer before."""
    tensors, width = [], inputs
    for i, layer in enumerate(layers):
        if layer["kind"] == "dense":
            tensors.append(Tensor(i, "kernel", (width, layer["units"]), True))
            width = layer["units"]
            if layer["use_bias"]:
                tensors.append(Tensor(i, "bias", (width,), True))
        elif layer["kind"] == "norm":
            used = [role for role, flag in (("gamma", "scale"), ("beta", "center")) if layer[flag]]
            tensors += [Tensor(i, role, (width,), True) for role in used]
            tensors += [Tensor(i, role, (width,), False) for role in ("moving_mean", "moving_variance")]
    return tensors
