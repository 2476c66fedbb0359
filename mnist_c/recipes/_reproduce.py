"""Running recipes, and running them again to see whether the same comes out."""

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TextIO

from .. import _tables
from .._inputs import whole
from .._seeds import check_seed
from ..config import config
from . import _data, _figures
from ._progress import Progress
from ._recipe import Recipe, Variant
from ._registry import get
from ._report import Claim, Report, VariantReport
from ._run import Run, train


def reproduce(
    name: str,
    *,
    seed: int = 0,
    seeds: int = 1,
    fast: bool = False,
    improved: bool = False,
    full: bool = False,
    variants: Sequence[str] | None = None,
    data_dir: "str | os.PathLike[str] | None" = None,
    progress: "bool | TextIO" = True,
) -> Report:
    """Runs a published system and returns its `Report`.

    name: one of `NAMES`. seed: the first seed; seeds: how many, counted up from it.
    fast: a tenth of the images and few epochs; the report says so. improved: also what its author listed as next steps.
    full: also that, and other readings of what was published. variants: only those of these names.
    data_dir: as in `mc.datasets.load`. progress: a line per run to sys.stdout, or to the stream that is given.

    Raises ValueError for unknown names, DatasetNotFoundError where the data are missing.
    """
    recipe = get(name)
    first, count = check_seed(seed), whole("seeds", seeds, 1)
    check_seed(first + count - 1)
    chosen = recipe.select(full=full, improved=improved, names=variants)
    loaded = _data.load((variant.dataset for _, variant in chosen), data_dir)
    show = Progress.to(progress)
    reports = []
    for kind, variant in chosen:
        source = _data.shorten(loaded[variant.dataset]) if fast else loaded[variant.dataset]
        last = first + min(count, variant.most_seeds or count)
        runs = [_one(recipe, variant, source, s, fast, show) for s in range(first, last)]
        reports.append(_variant_report(kind, variant, source, runs, fast))
    return Report(
        recipe=recipe.name,
        title=recipe.title,
        fast=fast,
        seeds=list(range(first, first + count)),
        variants=reports,
        claims=_undecided(recipe.claims(reports)) if fast else recipe.claims(reports),
        notes=[*recipe.notes, *_notes_on_data(loaded)],
        data={name: _data.describe(source) for name, source in loaded.items()},
        machine=_machine(),
        versions=_versions(),
    )


def _one(recipe: Recipe, variant: Variant, source: _data.Source, seed: int, fast: bool, show: Progress) -> Run:
    show.begin(f"{recipe.name} {variant.name}, seed {seed}", variant.fast_epochs if fast else variant.epochs)
    run = train(variant, _data.prepare(variant, source, seed), seed, fast=fast, progress=show)
    figures = (
        f"{_figures.FIGURES[key]} {_figures.number(key, run.figures[key])}"
        for key in ("train_accuracy", "validation_accuracy", "test_accuracy")
        if key in run.figures
    )
    show.end(f"{run.epochs} epochs, {run.figures['seconds']} s, {', '.join(figures)}")
    return run


# ---------------------------------------------------------------- what a report says


def _variant_report(kind: str, variant: Variant, source: _data.Source, runs: list[Run], fast: bool) -> VariantReport:
    epochs = variant.fast_epochs if fast else variant.epochs
    stop = variant.early_stopping
    model = variant.network.build(0)
    batch = "all images, in order" if variant.batch_size is None else f"{variant.batch_size}, shuffled"
    return VariantReport(
        name=variant.name,
        kind=kind,
        change=variant.change,
        dataset=variant.dataset,
        class_names=list(source.class_names),
        configuration={
            "network": str(variant.network),
            "parameters": f"{model.count_params():,}",
            "optimizer": repr(variant.optimizer),
            "loss": repr(variant.loss),
            "batch": batch,
            "epochs": f"{epochs:,}" if stop is None else f"at most {epochs:,}, early stopping: {dict(stop)}",
            "images": str(variant.split),
        },
        published=dict(variant.published),
        runs=runs,
    )


def _undecided(claims: list[Claim]) -> list[Claim]:
    """Without their answers: the figures of a shortened run neither confirm nor refute anything."""
    return [replace(claim, holds=None) for claim in claims]


def _notes_on_data(loaded: dict[str, _data.Source]) -> list[str]:
    notes = []
    for name, source in loaded.items():
        found = len(source.train.labels), len(source.test.labels)
        if found != _data.OFFICIAL:
            notes.append(
                f"The {name} found here has {found[0]:,} training and {found[1]:,} test images, not 60,000 and 10,000: "
                "all parts are smaller in proportion, and the figures cannot be compared with the published ones."
            )
    return notes


def _machine() -> dict[str, str]:
    settings = config()
    return {
        "system": settings["machine"],
        "processor": _processor(),
        "processors": f"{os.cpu_count()} processors",
        "threads": f"{settings['threads']} threads",
        "instruction set": settings["instruction set"].split()[0],
    }


def _processor() -> str:
    """The processor's name; Linux keeps it where Python does not look."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    settings = config()
    return {name: settings[name] for name in ("mnist_c", "arithmetic", "python", "numpy", "compiler")}


# ---------------------------------------------------------------- again


class Repetition(NamedTuple):
    """One run of a report and the same run, made again."""

    variant: str
    seed: int
    expected: str
    found: str

    @property
    def same(self) -> bool:
        return self.expected == self.found


class Verification:
    """What `verify` returns: true if all weights are the same to the bit. Printed, it is a table."""

    def __init__(self, recipe: str, repetitions: list[Repetition]) -> None:
        self.recipe, self.repetitions = recipe, repetitions

    @property
    def ok(self) -> bool:
        return all(repetition.same for repetition in self.repetitions)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        rows = [
            [r.variant, str(r.seed), r.expected[:16], r.found[:16], "same" if r.same else "DIFFERENT"]
            for r in self.repetitions
        ]
        return _tables.as_text(["variant", "seed", "hash in the report", "hash now", ""], [rows], "<><<<")

    def __repr__(self) -> str:
        return (
            f"<Verification of {self.recipe}: {sum(r.same for r in self.repetitions)} of {len(self.repetitions)} same>"
        )


class DataDifferError(ValueError):
    """The data found here are not those that a report was made with."""


def verify(
    report: Report,
    *,
    variants: Sequence[str] | None = None,
    data_dir: "str | os.PathLike[str] | None" = None,
    progress: "bool | TextIO" = True,
) -> Verification:
    """Makes the runs of a report again, and compares the hashes of their weights.

    variants: only those of these names. Raises DataDifferError if the data are others: then the weights must be, too;
    ValueError if this version has no such recipe or variant.
    """
    recipe = get(report.recipe)
    chosen = [report.variant(name) for name in variants] if variants is not None else report.variants
    planned = [recipe.find(variant.name)[1] for variant in chosen]
    loaded = _data.load((variant.dataset for variant in planned), data_dir)
    for name, source in loaded.items():
        if _data.describe(source) != report.data.get(name):
            raise DataDifferError(f"the {name} found here is not the one that the report was made with: see its 'data'")
    show = Progress.to(progress)
    repetitions = []
    for variant, old in zip(planned, chosen, strict=True):
        source = _data.shorten(loaded[variant.dataset]) if report.fast else loaded[variant.dataset]
        for run in old.runs:
            new = _one(recipe, variant, source, run.seed, report.fast, show)
            repetitions.append(Repetition(variant.name, run.seed, run.weights_hash, new.weights_hash))
    return Verification(report.recipe, repetitions)
