"""The kernels of the core on plain NumPy arrays: to write a training loop of one's own, or to check one's backprop.

Each function runs a network of one layer, so what it computes is what training computes, to the bit. Arrays are float32
or float64 (everything else is converted to float64) and results have that dtype; inputs are not changed, except by the
optimizer steps, which work in place. B rows, K inputs, N outputs, C classes. A backward function takes `upstream`, the
gradient of the loss with respect to the forward function's result. isa: "scalar", "avx2", ...; None: the best there is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, _plan, activations, optimizers
from ._lookup import check_factor, check_share

Array = NDArray[Any]


def _reals(*arrays: ArrayLike) -> list[Array]:
    """Arrays of one dtype: float32 if all are, else float64; C-contiguous."""
    given = [np.asarray(a) for a in arrays]
    for a in given:
        if a.dtype.kind not in "buif":
            raise TypeError(f"expected numbers, not an array of {a.dtype}")
    dtype = np.float32 if all(a.dtype == np.float32 for a in given) else np.float64
    return [np.ascontiguousarray(a, dtype=dtype).reshape(a.shape) for a in given]


def _rows(x: Array, name: str) -> Array:
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"{name} must have two dimensions, (rows, columns), and not be empty; its shape is {x.shape}")
    return x


def _same_shape(a: Array, b: Array, names: str) -> None:
    if a.shape != b.shape:
        raise ValueError(f"{names} must have the same shape, not {a.shape} and {b.shape}")


class _Layer:
    """A network of one layer, or of a few, with given weights."""

    def __init__(
        self,
        x: Array,
        layers: list[dict[str, Any]],
        weights: Sequence[Array],
        head: str,
        isa: str | None,
        **options: Any,
    ) -> None:
        self.dtype, self.isa, self.x = str(x.dtype), isa, x
        self.order = np.arange(len(x), dtype=np.uint32)
        self.network = _core.Network(inputs=x.shape[1], layers=layers, head=head, dtype=self.dtype, isa=isa, **options)
        for i, array in enumerate(weights):
            self.network.set("value", i, array)

    def forward(self) -> Array:
        return self.network.predict(_core.Data(self.x, dtype=self.dtype, isa=self.isa))

    def forward_training(self, update: bool = False) -> Array:
        return self.network.forward_training(_core.Data(self.x, dtype=self.dtype, isa=self.isa), self.order, update)

    def backward(self, training: bool = False, **targets: Any) -> tuple[float, Array, list[Array]]:
        """(loss, dx, gradients of trainable weights)."""
        data = _core.Data(self.x, dtype=self.dtype, isa=self.isa, **targets)
        loss, dx = self.network.gradients(data, self.order, training, True)
        assert dx is not None
        tensors = enumerate(self.network.tensors())
        return loss, dx, [self.network.get("gradient", i) for i, tensor in tensors if tensor[3]]

    def vector_jacobian(self, upstream: Array, training: bool = False) -> tuple[Array, list[Array]]:
        """(dx, gradients) for a given gradient with respect to the outputs."""
        _, dx, gradients = self.backward(training, targets=upstream.astype(np.float64))
        return dx, gradients


_INNER, _MSE = "inner_product", _plan.SQUARED_ERROR


def _function(activation: object) -> dict[str, Any]:
    function = activations.get(activation)
    if function.name == "softmax":
        raise ValueError("softmax works on whole rows: use ops.softmax or ops.softmax_cross_entropy")
    return {"activation": function.name, "slope": function.slope}


# ---------------------------------------------------------------- dense and activations


def _dense(x: Array, w: Array, b: Array | None, activation: object, isa: str | None) -> _Layer:
    if _rows(x, "x").shape[1] != _rows(w, "w").shape[0]:
        raise ValueError(f"x {x.shape} has {x.shape[1]} columns, but w {w.shape} has {w.shape[0]} rows")
    if b is not None and b.shape != w.shape[1:]:
        raise ValueError(f"b must have shape {w.shape[1:]}, not {b.shape}")
    layer = {"kind": "dense", "units": w.shape[1], "use_bias": b is not None, **_function(activation)}
    layer["kernel_init"] = ("constant", "in", 0.0, 0.0)  # cheap, as w takes its place
    return _Layer(x, [layer], [w] if b is None else [w, b], _INNER, isa)


def dense(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None, activation: object = None, *, isa: str | None = None
) -> Array:
    """activation(x w + b).    x (B, K), w (K, N), b (N,) -> (B, N)"""
    x_, w_, *rest = _reals(x, w, *([] if b is None else [b]))
    return _dense(x_, w_, rest[0] if rest else None, activation, isa).forward()


def dense_backward(
    upstream: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    activation: object = None,
    *,
    isa: str | None = None,
) -> tuple[Array, Array, Array]:
    """Gradients through `dense` with respect to x, w and b. With delta = upstream * activation'(x w + b):

        dx = delta w'      dw = x' delta      db = sum over rows of delta

    upstream (B, N), the rest as in `dense` -> dx (B, K), dw (K, N), db (N,), also where b is None
    """
    up, x_, w_, *rest = _reals(upstream, x, w, *([] if b is None else [b]))
    layer = _dense(x_, w_, rest[0] if rest else np.zeros(w_.shape[-1], dtype=w_.dtype), activation, isa)
    if up.shape != (len(x_), w_.shape[1]):
        raise ValueError(f"upstream must have shape {(len(x_), w_.shape[1])}, not {up.shape}")
    dx, (dw, db) = layer.vector_jacobian(up)
    return dx, dw, db


def activation(z: ArrayLike, activation: object, *, isa: str | None = None) -> Array:
    """An elementwise activation of `mnist_c.activations`, such as "relu".    (B, N) -> (B, N)"""
    (z_,) = _reals(z)
    return _Layer(_rows(z_, "z"), [{"kind": "map", **_function(activation)}], [], _INNER, isa).forward()


def activation_backward(upstream: ArrayLike, z: ArrayLike, activation: object, *, isa: str | None = None) -> Array:
    """upstream * activation'(z), where relu'(0) = 0 and leaky_relu'(0) = slope.    (B, N), (B, N) -> (B, N)"""
    up, z_ = _reals(upstream, z)
    _same_shape(up, _rows(z_, "z"), "upstream and z")
    return _Layer(z_, [{"kind": "map", **_function(activation)}], [], _INNER, isa).vector_jacobian(up)[0]


# ---------------------------------------------------------------- losses


_IDENTITY: dict[str, Any] = {"kind": "map"}


def softmax(z: ArrayLike, *, isa: str | None = None) -> Array:
    """e^z_j / sum_k e^z_k in each row.    z (B, C) -> (B, C)"""
    (z_,) = _reals(z)
    return _Layer(_rows(z_, "z"), [_IDENTITY], [], _plan.CROSS_ENTROPY, isa).forward()


def softmax_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    isa: str | None = None,
) -> tuple[float, Array]:
    """Mean over rows of weight * -sum_j y_j log softmax(z)_j, and its gradient with respect to the logits z:

        dz = (softmax(z) - y) weight / B

    z (B, C); y (B,) labels or (B, C) probabilities; sample_weight (B,) -> loss, dz (B, C)
    """
    (z_,) = _reals(z)
    layer = _Layer(_rows(z_, "z"), [_IDENTITY], [], _plan.CROSS_ENTROPY, isa, label_smoothing=label_smoothing)
    loss, dz, _ = layer.backward(**_targets_of(y, z_, _plan.CROSS_ENTROPY, sample_weight))
    return loss, dz


def binary_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    isa: str | None = None,
) -> tuple[float, Array]:
    """Mean over rows and columns of weight * -(y log p + (1 - y) log(1 - p)), p = sigmoid(z), and its gradient:

        dz = (p - y) weight / (B C)

    z, y (B, C) (or y (B,) labels for C > 1); sample_weight (B,) -> loss, dz (B, C)
    """
    (z_,) = _reals(z)
    layer = _Layer(_rows(z_, "z"), [_IDENTITY], [], _plan.BINARY, isa, label_smoothing=label_smoothing)
    loss, dz, _ = layer.backward(**_targets_of(y, z_, _plan.BINARY, sample_weight))
    return loss, dz


def mean_squared_error(
    a: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None, isa: str | None = None
) -> tuple[float, Array]:
    """Mean over rows and columns of weight * (a - y)^2, and its gradient da = 2 (a - y) weight / (B C).

    a, y (B, C) (or y (B,) labels for C > 1); sample_weight (B,) -> loss, da (B, C)
    """
    (a_,) = _reals(a)
    layer = _Layer(_rows(a_, "a"), [_IDENTITY], [], _MSE, isa)
    loss, da, _ = layer.backward(**_targets_of(y, a_, _MSE, sample_weight))
    return loss, da


def _targets_of(y: ArrayLike, z: Array, head: str, sample_weight: ArrayLike | None) -> dict[str, Any]:
    from . import _targets

    targets = _targets.targets(y, n=len(z), outputs=z.shape[1], head=head)
    weights = _targets.weights(sample_weight, None, targets, z.shape[1])
    return {
        "labels": targets.labels,
        "classes": z.shape[1] if targets.labels is not None else 0,
        "targets": targets.values,
        "weights": weights,
    }


# ---------------------------------------------------------------- dropout, noise and batch normalisation


def dropout(
    x: ArrayLike, rate: float, *, seed: int = 0, step: int = 0, layer: int = 0, isa: str | None = None
) -> Array:
    """x / (1 - rate) where kept, else 0.    (B, N) -> (B, N)

    The mask is that of a model with this seed, in its step number `step` (from 0): layer 0 drops inputs, layer l the
    outputs of the l-th of the core's steps. Its gradient is dropout(upstream, ...) with the same arguments.
    """
    return _in_training(x, "dropout", check_share("rate", rate), seed, step, layer, isa)


def gaussian_noise(
    x: ArrayLike, stddev: float, *, seed: int = 0, step: int = 0, layer: int = 0, isa: str | None = None
) -> Array:
    """x + stddev n, n standard normal numbers.    (B, N) -> (B, N)

    They are those of a model with this seed, in its step number `step`, as in `dropout`. The gradient passes unchanged.
    """
    return _in_training(x, "noise", check_factor("stddev", stddev), seed, step, layer, isa)


def _in_training(x: ArrayLike, part: str, value: float, seed: int, step: int, layer: int, isa: str | None) -> Array:
    """What that part of step number layer - 1, or of the inputs, does in training to its inputs."""
    (x_,) = _reals(x)
    if not 0 <= layer < 250:
        raise ValueError(f"layer must be from 0 to 249, not {layer!r}")
    layers = [dict(_IDENTITY) for _ in range(max(layer, 1))]
    if layer:
        layers[-1][part] = value
    on_inputs = {} if layer else {f"input_{part}": value}
    net = _Layer(_rows(x_, "x"), layers, [], _INNER, isa, seed=seed, **on_inputs)
    net.network.set_progress(0, step, 0)
    return net.forward_training()


def _norm(x: Array, gamma: Array, beta: Array, epsilon: float, isa: str | None) -> _Layer:
    for name, array in (("gamma", gamma), ("beta", beta)):
        if array.shape != _rows(x, "x").shape[1:]:
            raise ValueError(f"{name} must have shape {x.shape[1:]}, not {array.shape}")
    return _Layer(x, [{"kind": "norm", "momentum": 0.0, "epsilon": float(epsilon)}], [gamma, beta], _INNER, isa)


def batch_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, epsilon: float = 1e-3, *, isa: str | None = None
) -> tuple[Array, Array, Array]:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta with mean and variance of each column (divided by B).

    x (B, N), gamma, beta (N,) -> y (B, N), mean (N,), variance (N,)
    """
    x_, gamma_, beta_ = _reals(x, gamma, beta)
    net = _norm(x_, gamma_, beta_, epsilon, isa)
    y = net.forward_training(update=True)  # with momentum 0, the moving statistics become the batch's
    return y, net.network.get("value", 2), net.network.get("value", 3)


def batch_norm_inference(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    epsilon: float = 1e-3,
    *,
    isa: str | None = None,
) -> Array:
    """`batch_norm` with given mean and variance (N,): what evaluation and prediction do.    (B, N) -> (B, N)"""
    x_, gamma_, beta_, mean_, variance_ = _reals(x, gamma, beta, mean, variance)
    net = _norm(x_, gamma_, beta_, epsilon, isa)
    _same_shape(mean_, gamma_, "mean and gamma")
    _same_shape(variance_, gamma_, "variance and gamma")
    net.network.set("value", 2, mean_)
    net.network.set("value", 3, variance_)
    return net.forward()


def batch_norm_backward(
    upstream: ArrayLike, x: ArrayLike, gamma: ArrayLike, epsilon: float = 1e-3, *, isa: str | None = None
) -> tuple[Array, Array, Array]:
    """Gradients through `batch_norm`; mean and variance depend on x too.    -> dx (B, N), dgamma (N,), dbeta (N,)"""
    up, x_, gamma_ = _reals(upstream, x, gamma)
    _same_shape(up, x_, "upstream and x")
    net = _norm(x_, gamma_, np.zeros_like(gamma_), epsilon, isa)
    dx, (dgamma, dbeta) = net.vector_jacobian(up, training=True)
    return dx, dgamma, dbeta


# ---------------------------------------------------------------- optimizer steps


def optimizer_slots(optimizer: optimizers.Optimizer, w: Array) -> tuple[Array, ...]:
    """What an optimizer's moments of one weight begin with: zeros, but for `Adagrad`."""
    count, start = _core.optimizer_slots(optimizer.kind, **optimizer.hyper), 0.0
    if isinstance(optimizer, optimizers.Adagrad):
        start = optimizer.hyper["initial_accumulator_value"]
    return tuple(np.full_like(w, start) for _ in range(count))


def optimizer_step(
    optimizer: optimizers.Optimizer,
    w: Array,
    gradient: Array,
    slots: Sequence[Array] = (),
    t: int = 1,
    *,
    isa: str | None = None,
) -> None:
    """One step of any optimizer of `mnist_c.optimizers` on one weight, in place in w and slots.

    w, gradient and slots: C-contiguous arrays of one shape and dtype. t: the number of the step, from 1. The formulas
    are in the optimizers' docstrings.

        adam = mc.Adam(1e-3)
        slots = mc.ops.optimizer_slots(adam, w)
        mc.ops.optimizer_step(adam, w, gradient, slots, t=1)
    """
    from . import schedules

    if optimizer.hyper.get("use_ema") or optimizer.hyper.get("gradient_accumulation_steps", 1) > 1:
        raise ValueError("a single step can neither average weights nor accumulate gradients: do so in your own loop")
    rate = float(schedules.rates(optimizer.learning_rate, t - 1, 1)[0])
    _core.optimizer_apply(optimizer.kind, w, list(slots), gradient, rate, t, isa=isa, **optimizer.hyper)


def sgd_step(
    w: Array,
    gradient: Array,
    slots: Sequence[Array] = (),
    learning_rate: float = 0.01,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    isa: str | None = None,
) -> None:
    """A step of `SGD`, in place. slots: (m,) with momentum, else ()."""
    optimizer_step(optimizers.SGD(learning_rate, momentum, nesterov), w, gradient, slots, isa=isa)


def rmsprop_step(
    w: Array,
    gradient: Array,
    slots: Sequence[Array],
    learning_rate: float = 0.001,
    *,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    centered: bool = False,
    isa: str | None = None,
) -> None:
    """A step of `RMSprop`, in place. slots: v, then m with momentum, then a if centered."""
    optimizer = optimizers.RMSprop(learning_rate, rho, momentum, epsilon, centered)
    optimizer_step(optimizer, w, gradient, slots, isa=isa)


def adam_step(
    w: Array,
    gradient: Array,
    slots: Sequence[Array],
    learning_rate: float = 0.001,
    *,
    t: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    isa: str | None = None,
) -> None:
    """A step of `Adam`, in place. slots: m, v. t: the number of the step, from 1."""
    optimizer_step(optimizers.Adam(learning_rate, beta_1, beta_2, epsilon), w, gradient, slots, t, isa=isa)


def adamw_step(
    w: Array,
    gradient: Array,
    slots: Sequence[Array],
    learning_rate: float = 0.001,
    *,
    t: int,
    weight_decay: float = 0.004,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    isa: str | None = None,
) -> None:
    """A step of `AdamW`, in place. slots: m, v. t: the number of the step, from 1."""
    optimizer = optimizers.AdamW(learning_rate, weight_decay, beta_1, beta_2, epsilon)
    optimizer_step(optimizer, w, gradient, slots, t, isa=isa)


def adagrad_step(
    w: Array,
    gradient: Array,
    slots: Sequence[Array],
    learning_rate: float = 0.001,
    *,
    epsilon: float = 1e-7,
    isa: str | None = None,
) -> None:
    """A step of `Adagrad`, in place. slots: v, which starts as 0.1, not as 0."""
    optimizer_step(optimizers.Adagrad(learning_rate, epsilon=epsilon), w, gradient, slots, isa=isa)
