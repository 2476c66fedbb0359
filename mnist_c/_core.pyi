"""Type stubs of the C extension. It is the strict layer: arrays must already have the stated dtype, rank and be
C-contiguous; `mnist_c` is the friendly layer that sees to it."""

from collections.abc import Callable, Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]

CONTRACT_VERSION: Final[int]

class NotFiniteError(ArithmeticError):
    batch: int | None

def config() -> dict[str, Any]:
    """isa (str), isas (tuple, best first), threads (int), max_threads (int), compiler (str), contract_version (int),
    numpy_api (str: the oldest NumPy that this build works with)."""

def get_num_threads() -> int: ...
def set_num_threads(threads: int, /) -> None: ...
def stop_workers() -> None:
    """Join all worker threads (they start again when needed); called before a fork."""

def permutation(seed: int, epoch: int, n: int, /) -> NDArray[np.uint32]: ...
def rates(
    kind: str,
    /,
    first: int,
    n: int,
    initial: float,
    decay: float = ...,
    alpha: float = ...,
    steps: float = ...,
    staircase: bool = ...,
    warmup_steps: float = ...,
    warmup_from: float = ...,
) -> NDArray[np.float64]:
    """kind: "constant", "step", "inverse_time", "cosine", "exponential", "one_cycle"; see mnc.h, mnc_rates."""

def total(x: NDArray[np.float64], /) -> float:
    """The contract's sum of a 1-d float64 array."""

def optimizer_slots(kind: str, /, **hyper: Any) -> int: ...
def optimizer_apply(
    kind: str,
    w: _Array,
    slots: Sequence[_Array],
    gradient: _Array,
    rate: float,
    t: int,
    /,
    *,
    isa: str | None = ...,
    **hyper: Any,
) -> None:
    """In place on writable C-contiguous float32 or float64 arrays of one shape. hyper: momentum, nesterov, rho,
    centered, beta1, beta2, epsilon, weight_decay, initial_accumulator_value, clipvalue, clipnorm,
    global_clipnorm; kind: "sgd", "rmsprop", "adam", "adamw", "adagrad"."""

@final
class Data:
    """Inputs with optional labels or targets and weights. x: uint8, float32 or float64 (n, features).

    view: x is used once, so that an index of its non-zero elements would not pay. units: if not 0, networks with so
    many units in the first layer will train on all rows in order, more than once, in long batches."""

    def __new__(
        cls,
        x: _Array,
        *,
        dtype: str = ...,
        table: NDArray[np.float64] | None = ...,
        labels: NDArray[np.int32] | None = ...,
        classes: int = ...,
        targets: NDArray[np.float64] | None = ...,
        weights: NDArray[np.float64] | None = ...,
        isa: str | None = ...,
        view: bool = ...,
        units: int = ...,
    ) -> Data: ...
    @property
    def rows(self) -> int: ...
    @property
    def indexed(self) -> bool: ...
    @property
    def nonzeros(self) -> int: ...

@final
class Network:
    """layers: a sequence of dicts with the fields of mnc_layer: kind ("dense", "norm", "map"), units, use_bias,
    kernel_init and bias_init (tuples (kind, fan, a, b); kind "constant", "uniform", "normal", "truncated_normal",
    "scaled_uniform", "scaled_normal"; fan "in", "out", "avg"), l1, l2, bias_l1, bias_l2, min_norm, max_norm,
    bias_min_norm, bias_max_norm, momentum, epsilon, center, scale, activation ("linear", "relu" and so on, see mnc.h),
    slope, dropout, noise, noise_seed. head: "softmax_cross_entropy", "mean_squared_error", "inner_product",
    "binary_cross_entropy".

    Any number of threads may call `evaluate`, `predict`, `get` and what else only reads, at once. Whoever changes a
    network waits until they are done, and has it to itself meanwhile: other calls raise RuntimeError."""

    def __new__(
        cls,
        *,
        inputs: int,
        layers: Sequence[dict[str, Any]],
        head: str,
        dtype: str = ...,
        input_dropout: float = ...,
        input_noise: float = ...,
        input_noise_seed: int = ...,
        label_smoothing: float = ...,
        outputs_are_logits: bool = ...,
        seed: int = ...,
        reduce_rows: int = ...,
        isa: str | None = ...,
    ) -> Network: ...
    @property
    def isa(self) -> str: ...
    def tensors(self) -> tuple[tuple[int, str, tuple[int, ...], bool], ...]:
        """(layer, role, shape, trainable) in Keras's order; role "kernel", "bias", "gamma", "beta", "moving_mean",
        "moving_variance"."""

    def get(self, part: str, index: int, /) -> _Array:
        """part: "value", "gradient", "slot0" ... "slot4". A new array of the network's dtype."""

    def set(self, part: str, index: int, array: _Array, /, *more: int | _Array) -> None:
        """more: index, array, index, array, ... No `evaluate` or `predict` sees only some of the changes."""

    def set_optimizer(self, kind: str, /, **hyper: Any) -> int:
        """Returns the number of slots, all zeroed."""

    def progress(self) -> tuple[int, int, int]:
        """(epoch, step, optimizer_step)."""

    def set_progress(self, epoch: int, step: int, optimizer_step: int, /) -> None: ...
    def fit(
        self,
        data: Data,
        order: NDArray[np.uint32],
        batch_size: int,
        rates: NDArray[np.float64],
        report: Callable[[int, float, int, int], object] | None = ...,
        totals: tuple[float, int, int] = ...,
        /,
    ) -> tuple[float, int, int]:
        """Trains one pass over `order` with the GIL released, polling signals every 50 ms. report(batches_done,
        loss_sum, correct, rows_done) is called then; an exception that it raises ends the call between two batches.
        Returns (loss_sum, correct, rows_done), added batch by batch to `totals`, the same of the epoch so far. Raises
        NotFiniteError with the attribute batch (int); the weights are those before that batch."""

    def totals(self) -> tuple[float, int, int]:
        """(loss_sum, correct, rows_done) after the last batch that `fit` trained, however it ended."""

    def gradients(
        self, data: Data, order: NDArray[np.uint32], training: bool, input_gradient: bool, /
    ) -> tuple[float, _Array | None]:
        """(loss with penalties, dx or None); then get("gradient", i)."""

    def forward_training(self, data: Data, order: NDArray[np.uint32], update_statistics: bool, /) -> _Array: ...
    def evaluate(self, data: Data, /) -> tuple[float, int, _Array]:
        """(sum of weight * loss over the rows, number right, outputs (n, C))."""

    def predict_few(self, x: object, /) -> NDArray[np.float32] | None:
        """What `predict` gives for up to 15 images as they are: uint8, divided by 255, or float32; C-contiguous.

        None if x is not that or holds floats that are above 2 or not finite, and for networks of float64.
        """

    def predict(self, data: Data, /) -> _Array: ...
    def penalty(self) -> float: ...
    def hash(self) -> int: ...
    def counters(self) -> dict[str, Any]: ...
