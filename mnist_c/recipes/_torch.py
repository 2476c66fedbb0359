"""The same training in PyTorch: the same initial weights, batches and dropout masks, in float32.

Rounding differs, as PyTorch adds up in another order, and training makes such differences grow. Where both curves stay
together all the same, both programs compute the same thing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from .. import _core, optimizers, schedules
from .._inputs import Transform
from ..plots._style import needs
from ..plots.curves import training_curves
from ..reference import dropout_keep
from . import _data
from ._curves import Curves, rounded
from ._progress import Progress
from ._recipe import Labelled, Network, Variant
from ._registry import get
from ._report import Report


@dataclass(frozen=True)
class Comparison:
    """The curves of one run in mnist_c and in PyTorch, for `mc.plots.training_curves`."""

    variant: str
    seed: int
    ours: Curves
    theirs: Curves

    @property
    def largest_difference(self) -> dict[str, float]:
        """Of each figure the largest difference between both curves."""
        return {name: _largest(self.ours.history[name], values) for name, values in self.theirs.history.items()}

    def __str__(self) -> str:
        differences = ", ".join(f"{name} {value:.2g}" for name, value in self.largest_difference.items())
        return f"{self.variant}, seed {self.seed}, mnist_c against PyTorch: largest difference of {differences}"

    def plot(self, ax: Any = None) -> Any:
        """Draws both runs over one another; as `mc.plots.training_curves`."""
        return training_curves({"mnist_c": self.ours, "PyTorch": self.theirs}, ax=ax)

    def save_figure(self, path: "str | os.PathLike[str]") -> None:
        """Writes the picture of `plot` to a file, in the format that its name says."""
        figure = needs("matplotlib.figure", "drawing", '"mnist-c[plot]"').Figure(figsize=(9, 4), layout="constrained")
        self.plot(figure.subplots(1, 2))
        figure.suptitle(str(self), fontsize="medium")
        figure.savefig(path, dpi=150)


def _largest(a: Sequence[float | None], b: Sequence[float | None]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True) if x is not None and y is not None)


def check_torch(variant: Variant) -> None:
    """Raises ImportError with the command that installs what is missing, ValueError for what cannot be compared."""
    needs("torch", "the comparison", "torch")
    needs("matplotlib.figure", "drawing", '"mnist-c[plot]"')
    plain = isinstance(variant.optimizer, optimizers.SGD) and not variant.optimizer.hyper["momentum"]
    known = {
        "ReLU": variant.network.activation == "relu",
        "no batch normalisation": not variant.network.batch_norm,
        "plain SGD or Adam": plain or isinstance(variant.optimizer, optimizers.Adam),
        "no class weights": variant.class_weight is None,
    }
    if missing := [what for what, there in known.items() if not there]:
        raise ValueError(f"{variant.name} cannot be compared with PyTorch, which needs here: {', '.join(missing)}")


def compare_torch(
    report: Report, *, data_dir: "str | os.PathLike[str] | None" = None, progress: "bool | TextIO" = True
) -> Comparison:
    """Trains the first variant of a report in PyTorch, from its first seed and for as many epochs.

    data_dir, progress: as in `reproduce`. Raises ImportError where PyTorch or matplotlib are missing, ValueError for
    variants with parts that no published system has, such as batch normalisation.
    """
    variant = get(report.recipe).find(report.variants[0].name)[1]
    check_torch(variant)
    ours = report.variants[0].runs[0]
    training = _Training(variant, ours.seed)
    source = _data.load([variant.dataset], data_dir)[variant.dataset]
    parts = _data.prepare(variant, _data.shorten(source) if report.fast else source, ours.seed)
    show = Progress.to(progress)
    show.begin(f"{report.recipe} {variant.name} in PyTorch, seed {ours.seed}", ours.epochs)
    with _one_thread():
        theirs = training.run(parts, ours.curves, ours.epochs, show)
    show.end(f"{ours.epochs} epochs")
    return Comparison(variant.name, ours.seed, ours.curves, theirs)


@contextmanager
def _one_thread() -> Iterator[None]:
    """For PyTorch: such small networks are faster so, most of all where the machine has other work."""
    torch = needs("torch", "the comparison", "torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Training:
    """A network of `torch.nn.Linear`, trained as `Sequential.fit` trains ours."""

    def __init__(self, variant: Variant, seed: int) -> None:
        self._torch: Any = needs("torch", "the comparison", "torch")
        self._variant, self._seed, self._step = variant, seed, 0
        self._linears = [self._linear(*pair) for pair in _pairs(variant.network, seed)]
        parameters = [parameter for linear in self._linears for parameter in linear.parameters()]
        self._optimizer = self._make_optimizer(variant.optimizer, parameters)

    def _linear(self, kernel: Any, bias: Any) -> Any:
        linear = self._torch.nn.Linear(*kernel.shape)
        with self._torch.no_grad():
            linear.weight.copy_(self._torch.from_numpy(kernel.T.copy()))
            linear.bias.copy_(self._torch.from_numpy(bias))
        return linear

    def _make_optimizer(self, ours: optimizers.Optimizer, parameters: list[Any]) -> Any:
        if isinstance(ours, optimizers.Adam):
            betas = (ours.hyper["beta1"], ours.hyper["beta2"])
            return self._torch.optim.Adam(parameters, lr=0.0, betas=betas, eps=ours.hyper["epsilon"])
        return self._torch.optim.SGD(parameters, lr=0.0)

    def _set_rate(self) -> None:
        ours, (group,) = self._variant.optimizer, self._optimizer.param_groups
        group["lr"] = float(schedules.rates(ours.learning_rate, self._step, 1)[0])
        if isinstance(ours, optimizers.Adam):  # ours adds epsilon to the root of the uncorrected second moment
            group["eps"] = ours.hyper["epsilon"] / (1 - ours.hyper["beta2"] ** (self._step + 1)) ** 0.5

    def _inputs(self, images: Any) -> Any:
        table = Transform(self._variant.network.scale, None).table()
        values = (np.arange(256) / 255 if table is None else table).astype(np.float32)
        return self._torch.from_numpy(values[images.reshape(len(images), -1)])

    def _logits(self, x: Any, training: bool) -> Any:
        x = self._drop(x, 0, self._variant.network.input_dropout, training)
        for layer, linear in enumerate(self._linears[:-1], start=1):
            x = self._drop(self._torch.relu(linear(x)), layer, self._variant.network.dropout, training)
        return self._linears[-1](x)

    def _drop(self, x: Any, layer: int, rate: float, training: bool) -> Any:
        if not (training and rate):
            return x
        keep = dropout_keep(self._seed, layer, self._step, len(x), x.shape[1], rate)
        return x * self._torch.from_numpy(keep.astype(np.float32) / np.float32(1 - rate))

    def _loss(self, logits: Any, labels: Any) -> Any:
        smoothing = self._variant.loss.label_smoothing
        loss = self._torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        penalty = sum((linear.weight**2).sum() for linear in self._linears)
        return loss + self._variant.network.l2 * penalty if self._variant.network.l2 else loss

    def run(self, parts: _data.Parts, ours: Curves, epochs: int, show: Progress) -> Curves:
        """The same curves as ours, of that many epochs."""
        curves = Curves([], {name: [] for name in ours.history})
        for epoch in range(epochs):
            logs = self.epoch(epoch, parts.train)
            if epoch in ours.epoch:
                if parts.validation is not None:
                    logs["val_loss"], logs["val_accuracy"] = self.evaluate(parts.validation)
                curves.epoch.append(epoch)
                for name, values in curves.history.items():
                    values.append(rounded(logs[name]))
            show.epoch(epoch, logs)
        return curves

    def epoch(self, epoch: int, part: Labelled) -> dict[str, float]:
        """One pass over the training images; running loss and accuracy, as in `History`."""
        n = len(part.labels)
        size = self._variant.batch_size or n
        order = np.arange(n) if self._variant.batch_size is None else _core.permutation(self._seed, epoch, n)
        loss_sum, correct = 0.0, 0
        for start in range(0, n, size):
            rows = order[start : start + size]
            x, labels = self._inputs(part.images[rows]), self._labels(part.labels[rows])
            logits = self._logits(x, training=True)
            loss = self._loss(logits, labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._set_rate()
            self._optimizer.step()
            self._step += 1
            loss_sum += loss.item() * len(rows)
            correct += int((logits.argmax(dim=1) == labels).sum())
        return {"loss": loss_sum / n, "accuracy": correct / n}

    def evaluate(self, part: Labelled) -> tuple[float, float]:
        with self._torch.no_grad():
            labels = self._labels(part.labels)
            logits = self._logits(self._inputs(part.images), training=False)
            return self._loss(logits, labels).item(), float((logits.argmax(dim=1) == labels).float().mean())

    def _labels(self, labels: Any) -> Any:
        return self._torch.from_numpy(labels.astype(np.int64))


def _pairs(network: Network, seed: int) -> list[Any]:
    """The initial kernels and biases of our model, layer by layer."""
    weights = network.build(seed).get_weights()
    return list(zip(weights[::2], weights[1::2], strict=True))
