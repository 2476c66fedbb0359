"""What is measured: the works as data, the numbers that they are about, and what they cost.

A work says which network is trained (or asked) on how many images, and with what. Every peer starts it from the same
weights (`initial_weights`) and its loss is computed by one function (`score`), so that nobody can win by doing less.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PIXELS, CLASSES = 784, 10
ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}  # Keras's defaults, for all peers


@dataclass(frozen=True, kw_only=True)
class Work:
    """One row of the comparison.

    kind: "train" or "predict". layers: widths from the pixels to the classes; ReLU between them, softmax at the end.
    rows: images that train (or are predicted); validation: images that are evaluated after each epoch.
    batch: images per step; None: all of them, in their order, and an epoch is one iteration. Batches are shuffled.
    optimizer: "sgd" or "adam", with its rate. dropout: after each hidden layer. l2: l2 sum w² of every kernel is part
    of the loss. epochs: of one run. count: a run is so many units, or calls; seconds are given per unit.
    inputs: "scaled" (pixels / 255), "raw" (0 to 255) or "dense" (floats of which none is zero).
    initial: "glorot", or "small" for N(0, 0.01²). against: peers whose ratio gets a row of its own.
    """

    name: str
    title: str
    unit: str
    layers: tuple[int, ...]
    rows: int
    kind: str = "train"
    validation: int = 0
    batch: int | None = None
    optimizer: str = "sgd"
    rate: float = 0.1
    dropout: float = 0.0
    l2: float = 0.0
    epochs: int = 1
    count: int = 1
    inputs: str = "scaled"
    initial: str = "glorot"
    against: tuple[str, ...] = ()

    @property
    def batch_size(self) -> int:
        return self.rows if self.batch is None else min(self.batch, self.rows)

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last batch may be smaller."""
        return math.ceil(self.rows / self.batch_size)

    def shrunk(self, rows: int) -> "Work":
        """The same on at most that many images, with as many for validation as their share says."""
        if rows >= self.rows:
            return self
        return replace(self, rows=rows, validation=self.validation * rows // self.rows)

    def trial(self) -> "Work":
        """A short piece of it, enough to find out which settings are fastest."""
        if self.kind == "predict":
            return replace(self, count=max(1, self.count // 10))
        if self.batch is None:
            return replace(self, epochs=2, count=2)
        return replace(self.shrunk(128 * self.batch), epochs=1, count=1, validation=0)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Work":
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


KERAS_MLP = (PIXELS, 128, 64, CLASSES)
DEEP = (PIXELS, 512, 256, 128, CLASSES)

WORKS = (
    Work(
        name="keras-mlp",
        title="784-128-64-10 with dropout, Adam, batch 32, validation",
        unit="10 epochs",
        layers=KERAS_MLP,
        rows=48_000,
        validation=12_000,
        batch=32,
        optimizer="adam",
        rate=1e-3,
        dropout=0.2,
        epochs=10,
        against=("keras-tensorflow", "keras-published"),
    ),
    Work(
        name="keras-mlp-plain",
        title="784-128-64-10, Adam, batch 32",
        unit="epoch",
        layers=KERAS_MLP,
        rows=48_000,
        batch=32,
        optimizer="adam",
        rate=1e-3,
    ),
    Work(
        name="gd-10k",
        title="784-10-10, full batch",
        unit="iteration",
        layers=(PIXELS, 10, CLASSES),
        rows=41_000,
        rate=0.1,
        epochs=20,
        count=20,
    ),
    Work(
        name="gd-20",
        title="784-128-10, raw pixels, full batch",
        unit="iteration",
        layers=(PIXELS, 128, CLASSES),
        rows=60_000,
        rate=0.001,
        epochs=20,
        count=20,
        inputs="raw",
        initial="small",
    ),
    Work(
        name="deep-l2-sgd",
        title="784-512-256-128-10, L2, SGD, batch 64",
        unit="epoch",
        layers=DEEP,
        rows=56_000,
        batch=64,
        rate=0.064,
        l2=0.0005,
    ),
    Work(
        name="deep-l2-adam",
        title="784-512-256-128-10, L2, Adam, batch 64",
        unit="epoch",
        layers=DEEP,
        rows=56_000,
        batch=64,
        optimizer="adam",
        rate=1e-3,
        l2=0.0005,
    ),
    Work(
        name="one-hidden-sgd",
        title="784-128-10, SGD, batch 32",
        unit="epoch",
        layers=(PIXELS, 128, CLASSES),
        rows=60_000,
        batch=32,
    ),
    Work(
        name="wide-adam",
        title="784-800-10, Adam, batch 128",
        unit="epoch",
        layers=(PIXELS, 800, CLASSES),
        rows=60_000,
        batch=128,
        optimizer="adam",
        rate=1e-3,
    ),
    Work(
        name="huge-adam",
        title="784-2500-2000-1500-1000-500-10, Adam, batch 128",
        unit="epoch",
        layers=(PIXELS, 2500, 2000, 1500, 1000, 500, CLASSES),
        rows=6_400,
        batch=128,
        optimizer="adam",
        rate=1e-4,
    ),
    Work(
        name="dense-inputs",
        title="784-512-256-128-10 on floats without zeros, Adam, batch 128",
        unit="epoch",
        layers=DEEP,
        rows=25_600,
        batch=128,
        optimizer="adam",
        rate=1e-3,
        inputs="dense",
    ),
    Work(
        name="predict-10000",
        title="784-128-64-10, predict 10,000 images",
        unit="call",
        kind="predict",
        layers=KERAS_MLP,
        rows=10_000,
        count=20,
        against=("onnxruntime",),
    ),
    Work(
        name="predict-1",
        title="784-128-64-10, predict one image",
        unit="call",
        kind="predict",
        layers=KERAS_MLP,
        rows=1,
        count=20_000,
        against=("onnxruntime",),
    ),
)


# ------------------------------------------------------------------ numbers


class Data(NamedTuple):
    """x: uint8 (n, 28, 28), or float32 (n, 784) for "dense" inputs; y: uint8 (n,). Validation images come last."""

    x: Array
    y: Array
    source: str


def load(work: Work) -> Data:
    """MNIST, or, where there is none, mnist_c's synthetic digits, as `source` says."""
    import mnist_c as mc

    try:
        (images, labels), source = mc.datasets.load("mnist")[0], "MNIST"
    except mc.datasets.DatasetNotFoundError:
        (images, labels), source = mc.datasets.load("synthetic")[0], "synthetic digits"
    n = work.rows + work.validation
    if n > len(images):  # synthetic digits are fewer, and come again
        images, labels = np.resize(images, (n, 28, 28)), np.resize(labels, n)
    x, y = images[:n], labels[:n]
    return Data(without_zeros(x) if work.inputs == "dense" else x, y, source)


def without_zeros(images: Array) -> Array:
    """Standardised pixels with a little noise, float32 (n, 784): no value is zero, and hardly one comes twice."""
    values = images.reshape(len(images), PIXELS).astype(np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(values.shape, dtype=np.float32)
    values = (values - values.mean()) / values.std() + 0.1 * noise
    values[values == 0] = np.finfo(np.float32).tiny
    return values


def floats(work: Work, data: Data) -> Array:
    """What the first layer sees, float32 (n, 784): the form that peers without uint8 inputs are given."""
    x = data.x.reshape(len(data.x), PIXELS).astype(np.float32)
    return x / np.float32(255) if work.inputs == "scaled" else x


def initial_weights(work: Work) -> list[Array]:
    """Kernel (in, out) and bias (out,) of each layer, float32."""
    rng = np.random.default_rng(0)
    weights: list[Array] = []
    for fan_in, fan_out in zip(work.layers[:-1], work.layers[1:], strict=True):
        if work.initial == "small":
            kernel = 0.01 * rng.standard_normal((fan_in, fan_out))
        else:
            limit = math.sqrt(6 / (fan_in + fan_out))
            kernel = rng.uniform(-limit, limit, (fan_in, fan_out))
        weights += [kernel.astype(np.float32), np.zeros(fan_out, dtype=np.float32)]
    return weights


# ------------------------------------------------------------------ results


def probabilities(weights: list[Array], x: Array) -> Array:
    """What the network gives for float x (n, 784): (n, 10)."""
    a = x
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        a = np.maximum(a @ kernel + bias, 0)
    z = a @ weights[-2] + weights[-1]
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def score(p: Array, labels: Array) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of probabilities (n, 10)."""
    right = p[np.arange(len(labels)), labels].astype(np.float64)
    with np.errstate(divide="ignore"):
        loss = -np.log(right).mean()
    return float(loss), float((p.argmax(axis=1) == labels).mean())


# ------------------------------------------------------------------ cost


class Cost(NamedTuple):
    """Floating-point operations of one unit of a work, a multiplication and an addition being two.

    dense: of its matrix products. executed: the same without products with a pixel that is zero. Activations and the
    optimizer are in neither.
    """

    dense: float
    executed: float


def cost(work: Work, data: Data) -> Cost:
    x = data.x.reshape(len(data.x), -1)
    train, validation = (np.count_nonzero(part) for part in (x[: work.rows], x[work.rows :]))
    executed = _operations(work, train, validation)
    return Cost(_operations(work, work.rows * PIXELS, work.validation * PIXELS), executed)


def _operations(work: Work, train: int, validation: int) -> float:
    """train, validation: how many pixels the first layer multiplies, over all images."""
    later = sum(a * b for a, b in zip(work.layers[1:-1], work.layers[2:], strict=True))
    if work.kind == "predict":
        return 2.0 * (train * work.layers[1] + work.rows * later)
    # Forward and weight gradient in all layers, the gradient of the inputs in all but the first.
    products = 2 * train * work.layers[1] + 3 * work.rows * later
    products += validation * work.layers[1] + work.validation * later
    return 2.0 * products * work.epochs / work.count
