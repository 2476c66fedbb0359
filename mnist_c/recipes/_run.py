"""One variant, one seed: train it, measure it."""

import time
from dataclasses import dataclass
from typing import Any

from ..callbacks import Callback, Logs
from ..model import Sequential
from . import _figures
from ._curves import Curves, shown
from ._data import Parts
from ._progress import Progress
from ._recipe import Labelled, Variant


@dataclass(frozen=True)
class Run:
    """What one training run gave.

    figures: the keys of `_figures.FIGURES` that apply, all measured in evaluation mode, on the weights in the end.
    confusion_matrix: of the test images, rows are true classes. images: how many each part had. epochs: how many were
    done; best_epoch: the number of the best one, from 0; stopped_by: as in `History`.
    """

    seed: int
    figures: dict[str, float | None]
    confusion_matrix: list[list[int]]
    images: dict[str, int]
    epochs: int
    best_epoch: int | None
    stopped_by: str
    weights_hash: str
    curves: Curves

    @property
    def per_digit(self) -> list[float | None]:
        """Of each class the share of its test images that was recognised; None where there are none."""
        rows = enumerate(self.confusion_matrix)
        return [row[i] / total if (total := sum(row)) else None for i, row in rows]


def train(variant: Variant, parts: Parts, seed: int, *, fast: bool, progress: Progress) -> Run:
    """Trains the variant from that seed, then opens the test set once."""
    epochs = variant.fast_epochs if fast else variant.epochs
    model = variant.network.build(seed)
    start = time.perf_counter()
    history = model.fit(
        *parts.train,
        batch_size=variant.batch_size or len(parts.train.labels),
        epochs=epochs,
        shuffle=variant.batch_size is not None,
        optimizer=variant.fresh_optimizer(),
        loss=variant.loss,
        class_weight=variant.class_weight,
        validation_data=parts.validation if variant.every_epoch else None,
        callbacks=[*_look(variant, parts, epochs), *variant.fresh_callbacks(), progress.callback()],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    figures, cells = _measure(model, parts)
    assert history.stopped_by is not None
    return Run(
        seed=seed,
        figures={key: _figures.plain(value) for key, value in {**figures, "seconds": round(seconds, 2)}.items()},
        confusion_matrix=cells,
        images={name: len(part.labels) for name, part in parts._asdict().items() if part is not None},
        epochs=len(history.epoch),
        best_epoch=history.best_epoch,
        stopped_by=history.stopped_by,
        weights_hash=model.weights_hash(),
        curves=Curves.of(history),
    )


def _measure(model: Sequential, parts: Parts) -> tuple[dict[str, float], list[list[int]]]:
    """Losses and accuracies of all parts, without dropout and with penalties; the test part's confusion matrix."""
    results = {
        name: model.evaluate(part.images, part.labels, verbose=0)
        for name, part in parts._asdict().items()
        if part is not None
    }
    figures = {f"{name}_accuracy": result.accuracy for name, result in results.items()}
    figures |= {f"{name}_loss": result.loss for name, result in results.items()}
    return {**figures, **_figures.gaps(figures)}, results["test"].confusion_matrix.tolist()


class _ValidateSometimes(Callback):
    """Measures the validation images after the epochs that a report shows."""

    def __init__(self, part: Labelled, epochs: int) -> None:
        self._part, self._epochs = part, epochs

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None and shown(epoch, self._epochs):
            loss, accuracy = self.model.evaluate(*self._part, verbose=0)
            logs.update(val_loss=loss, val_accuracy=accuracy)


def _look(variant: Variant, parts: Parts, epochs: int) -> list[Any]:
    if variant.every_epoch or parts.validation is None:
        return []
    return [_ValidateSometimes(parts.validation, epochs)]
