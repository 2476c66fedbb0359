"""What a recipe is made of: networks, splits and variants, all of them plain data."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._lookup import unknown
from .._synthetic import Random
from ..callbacks import EarlyStopping
from ..initializers import Initializer
from ..layers import Activation, BatchNormalization, Dense, Dropout, Flatten, Layer
from ..losses import CategoricalCrossentropy, Loss
from ..model import Sequential
from ..optimizers import Optimizer
from ..regularizers import L2

if TYPE_CHECKING:
    from ._report import Claim, VariantReport

KINDS = ("published", "reading", "improved")

Figures = Mapping[str, Any]  # the keys are those of _figures.FIGURES, and "per_digit": one accuracy per class


class Labelled(NamedTuple):
    """images: uint8 (n, 28, 28). labels: uint8 (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


# (images, random numbers of the run) -> what takes their place
Alteration = Callable[[Labelled, Random], Labelled]


@dataclass(frozen=True, kw_only=True)
class Network:
    """784 - hidden - 10 with a softmax at the end.

    hidden: the widths of the hidden layers. activation, initializer, bias_initializer: as those of `mc.Dense`; the
    initializers are those of all layers, but for the kernel of the last one where output_initializer says otherwise.
    l2: every kernel adds l2 sum w^2 to the loss. dropout: of the outputs of each hidden layer; input_dropout: of the
    pixels. batch_norm: between each hidden layer, then without a bias, and its activation.
    scale: the factor for pixels; None: they are divided by 255.
    """

    hidden: tuple[int, ...]
    activation: str = "relu"
    initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    output_initializer: str | Initializer | None = None
    dropout: float = 0.0
    input_dropout: float = 0.0
    batch_norm: bool = False
    l2: float = 0.0
    scale: float | None = None

    def __str__(self) -> str:
        """784-128-64-10, activation relu, dropout 0.2: the widths, and what is not the default."""
        words = ["-".join(map(str, (784, *self.hidden, 10))), f"activation {self.activation}"]
        for field_ in fields(self):
            value = getattr(self, field_.name)
            if field_.name not in ("hidden", "activation") and value != field_.default:
                words.append(field_.name if value is True else f"{field_.name} {value}")
        return ", ".join(words)

    def build(self, seed: int) -> Sequential:
        """An untrained model."""
        layers: list[Layer] = [Flatten(input_shape=(28, 28))]
        if self.input_dropout:
            layers.append(Dropout(self.input_dropout))
        for units in self.hidden:
            layers += self._hidden(units)
        layers.append(self._dense(10, "softmax", initializer=self.output_initializer or self.initializer))
        return Sequential(layers, seed=seed, scale=self.scale)

    def _hidden(self, units: int) -> list[Layer]:
        if self.batch_norm:
            layers: list[Layer] = [self._dense(units, None), BatchNormalization(), Activation(self.activation)]
        else:
            layers = [self._dense(units, self.activation)]
        return [*layers, Dropout(self.dropout)] if self.dropout else layers

    def _dense(self, units: int, activation: str | None, initializer: str | Initializer | None = None) -> Dense:
        return Dense(
            units,
            activation,
            use_bias=activation is not None,  # batch normalisation follows, and has one
            kernel_initializer=initializer or self.initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=L2(self.l2) if self.l2 else None,
        )


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which images train, validate and test.

    train: that many images from the beginning of the training part. validation: that many from its end, which is
    contiguous on purpose: neighbours were written by the same people. The test part tests.
    pooled: training and test part are put together and shuffled, for each seed in another way; what is left after
    training and validation tests.
    """

    train: int
    validation: int = 0
    pooled: bool = False

    def __str__(self) -> str:
        where = "70,000 images shuffled: " if self.pooled else ""
        return f"{where}{self.train:,} train" + (f", {self.validation:,} validate" if self.validation else "")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One system to train.

    name: unique in its recipe. change: what it is, or in what it differs from another variant.
    published: the figures that its author published. dataset: a name of `mc.datasets`.
    batch_size: None for full-batch descent: all images, in their order, make one step, and an epoch is an iteration.
    fast_epochs: the epochs of a shortened run.
    most_seeds: at most so many seeds are run; None: as many as are asked for. Readings that take minutes are run once.
    early_stopping: the arguments of `EarlyStopping`; the best weights are always put back.
    every_epoch: validate after every epoch. Where epochs are many and short that would take most of the time; False:
    only after those epochs that a report shows.
    alter_training: what is done to the training images first. alter_use: what is done to validation and test images.
    """

    name: str
    change: str
    network: Network
    optimizer: Optimizer
    epochs: int
    batch_size: int | None
    split: Split
    fast_epochs: int
    published: Figures = field(default_factory=dict)
    dataset: str = "mnist"
    most_seeds: int | None = None
    loss: Loss = field(default_factory=CategoricalCrossentropy)
    early_stopping: Mapping[str, Any] | None = None
    class_weight: str | None = None
    every_epoch: bool = True
    alter_training: Alteration | None = None
    alter_use: Alteration | None = None

    def but(self, name: str, change: str, **changes: Any) -> "Variant":
        """The same with something changed: fields of this variant, or of its network. What it published is left out."""
        of_network = {key: changes.pop(key) for key in list(changes) if key in Network.__dataclass_fields__}
        network = replace(self.network, **of_network)
        return replace(self, name=name, change=change, **{"network": network, "published": {}, **changes})

    def fresh_optimizer(self) -> Optimizer:
        """One of its own for each run, as callbacks may change its learning rate."""
        return copy.copy(self.optimizer)

    def fresh_callbacks(self) -> list[EarlyStopping]:
        arguments = self.early_stopping
        return [] if arguments is None else [EarlyStopping(**arguments, restore_best_weights=True)]


def no_claims(_: "Sequence[VariantReport]") -> "list[Claim]":
    return []


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A published system.

    story: what its author did and what had to be guessed. notes: what a reader of the figures must know.
    variants: the system as published; the first is the one that a report's headline is about.
    readings: other readings of what was published, and earlier runs. improved: the steps that its author listed as
    next. claims: what the runs say about what the author claims; it gets the variants that were run.
    """

    name: str
    title: str
    story: str
    variants: tuple[Variant, ...]
    readings: tuple[Variant, ...] = ()
    improved: tuple[Variant, ...] = ()
    notes: tuple[str, ...] = ()
    claims: "Callable[[Sequence[VariantReport]], list[Claim]]" = no_claims

    def groups(self) -> dict[str, tuple[Variant, ...]]:
        """The variants of each of `KINDS`."""
        return dict(zip(KINDS, (self.variants, self.readings, self.improved), strict=True))

    def find(self, name: str) -> tuple[str, Variant]:
        """The kind and the variant of that name. Raises ValueError if there is none."""
        for kind, variants in self.groups().items():
            for variant in variants:
                if variant.name == name:
                    return kind, variant
        names = [variant.name for variants in self.groups().values() for variant in variants]
        raise ValueError(unknown(f"variant of {self.name}", name, names))

    def select(self, *, full: bool, improved: bool, names: Sequence[str] | None) -> list[tuple[str, Variant]]:
        """What is to be run: the variants of those names, or all that belong to the kinds asked for."""
        if names is not None:
            if isinstance(names, str) or not names:
                raise ValueError(f"variants must be a list of names, not {names!r}")
            return [self.find(name) for name in dict.fromkeys(names)]
        wanted = {"published": True, "reading": full, "improved": full or improved}
        return [(kind, variant) for kind, variants in self.groups().items() if wanted[kind] for variant in variants]
