"""The report of a recipe: what was published, what was obtained, and all that is needed to obtain it again.

It is a JSON object with these keys:

    schema         the version of this format, `SCHEMA`
    recipe, title  which system
    published, obtained, weights_hash    of the first variant: the headline; the hash is that of its first seed
    fast           whether the run was a shortened one, whose figures mean little
    seeds          of each variant's runs; of some variants only the first ones are run
    variants       list of `VariantReport`, each with `obtained` (means over the seeds) and `spread` (`_figures.Spread`)
    claims         list of `Claim`
    notes          what a reader must know, list of text
    data           data set -> part -> number of images and SHA-256 (bytes of the images, then of the labels)
    machine, versions    where and with what it ran

`published` and `obtained` have those of the keys train_accuracy, validation_accuracy, test_accuracy, train_loss,
validation_loss, test_loss, loss_gap, accuracy_gap, seconds and per_digit that apply. Accuracies and gaps are shares.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._files import replacing
from .._lookup import unknown
from . import _figures, _render
from ._run import Run

SCHEMA = 1


@dataclass(frozen=True)
class Claim:
    """Something that the author said, or that a reader would ask. holds: None where there is no yes or no."""

    claim: str
    holds: bool | None
    evidence: str


@dataclass(frozen=True)
class VariantReport:
    """The runs of one variant.

    kind: "published", "reading" (another reading of what was published, or an earlier run) or "improved".
    change: what it is, or in what it differs. configuration: its settings in words. published: as in `Report`.
    """

    name: str
    kind: str
    change: str
    dataset: str
    class_names: list[str]
    configuration: dict[str, str]
    published: dict[str, Any]
    runs: list[Run]

    @property
    def spread(self) -> dict[str, _figures.Spread]:
        """Of each figure that all runs have: mean, standard deviation, extremes and, of accuracies, an interval."""
        found = {}
        for key in _figures.FIGURES:
            values = [value for run in self.runs if (value := run.figures.get(key)) is not None]
            if len(values) == len(self.runs):
                part, _, what = key.rpartition("_")
                images = self.runs[0].images.get(part) if what == "accuracy" else None
                found[key] = _figures.spread(values, images)
        return found

    @property
    def obtained(self) -> dict[str, Any]:
        """The mean of each figure, and of the accuracy of each class."""
        per_class = zip(*(run.per_digit for run in self.runs), strict=True)
        means = {key: figure.mean for key, figure in self.spread.items()}
        return {**means, "per_digit": [_mean(values) for values in per_class]}

    @property
    def confusion_matrix(self) -> list[list[int]]:
        """The sum of the confusion matrices of all runs."""
        matrices = [run.confusion_matrix for run in self.runs]
        return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]

    @property
    def weights_hash(self) -> str:
        """That of the first seed."""
        return self.runs[0].weights_hash


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _figures.spread(known, None).mean if len(known) == len(values) else None


@dataclass(frozen=True)
class Report:
    """What `reproduce` returns. Printed, it is a few tables; in Jupyter they are HTML. See the module for its keys."""

    recipe: str
    title: str
    fast: bool
    seeds: list[int]
    variants: list[VariantReport]
    claims: list[Claim]
    notes: list[str]
    data: dict[str, dict[str, dict[str, Any]]]
    machine: dict[str, str]
    versions: dict[str, str]

    @property
    def published(self) -> dict[str, Any]:
        """The published figures of the first variant."""
        return self.variants[0].published

    @property
    def obtained(self) -> dict[str, Any]:
        """What the first variant gave, the mean of its seeds."""
        return self.variants[0].obtained

    @property
    def weights_hash(self) -> str:
        """That of the first variant and seed."""
        return self.variants[0].weights_hash

    def variant(self, name: str) -> VariantReport:
        """The variant of that name. Raises ValueError if it was not run."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise ValueError(unknown("variant", name, [variant.name for variant in self.variants]))

    def __str__(self) -> str:
        return _render.text(self)

    def _repr_html_(self) -> str:
        return _render.html(self)

    def __repr__(self) -> str:
        runs = sum(len(variant.runs) for variant in self.variants)
        return f"<Report of {self.recipe}: {len(self.variants)} variants, {runs} runs{', shortened' * self.fast}>"

    # ------------------------------------------------------------ JSON

    def to_dict(self) -> dict[str, Any]:
        """What `save` writes."""
        body = asdict(self)
        for entry, variant in zip(body["variants"], self.variants, strict=True):
            entry.update(derived_of_variant(variant))
        return {"schema": SCHEMA, **derived_of_report(self), **body}

    def to_json(self) -> str:
        """The report as JSON text, lists of numbers in one line each."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        innermost = re.compile(r"\[\n\s*([^\[\]{}]*?)\n\s*\]")  # line breaks do not occur within JSON's strings
        return innermost.sub(lambda found: "[" + re.sub(r",\n\s*", ",", found[1]) + "]", text) + "\n"

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes the report as JSON, whole or not at all. Raises OSError."""
        with replacing(path) as file:
            file.write(self.to_json().encode())


def derived_of_report(report: Report) -> dict[str, Any]:
    """Entries of the file that follow from the others."""
    return {"published": report.published, "obtained": report.obtained, "weights_hash": report.weights_hash}


def derived_of_variant(variant: VariantReport) -> dict[str, Any]:
    spread = {key: figure._asdict() for key, figure in variant.spread.items()}
    return {"obtained": variant.obtained, "spread": spread}
