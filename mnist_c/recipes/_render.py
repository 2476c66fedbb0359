"""A report as a few tables, in text and in HTML."""

import textwrap
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from .. import _tables
from . import _figures

if TYPE_CHECKING:
    from ._report import Claim, Report, VariantReport

_ALWAYS = ("train_accuracy", "validation_accuracy", "test_accuracy", "test_loss", "accuracy_gap", "seconds")
_WIDTH = 100  # of paragraphs of text
_TITLES = {"reading": "Published system and other readings", "improved": "Published system and improved variants"}


class Table(NamedTuple):
    title: str
    header: list[str]
    groups: list[list[list[str]]]
    align: str


def text(report: "Report") -> str:
    """The tables, one below the other, and what has to be known with them."""
    parts = [f"{report.recipe}: {report.title}", *(textwrap.fill(remark, _WIDTH) for remark in _remarks(report))]
    parts += [f"{table.title}\n{_tables.as_text(*table[1:])}" for table in tables(report)]
    if report.claims:
        parts.append("\n".join(["What the runs say", *map(_claim, report.claims)]))
    return "\n\n".join([*parts, "\n".join(_origin(report))])


def html(report: "Report") -> str:
    found = tables(report)
    if report.claims:
        rows = [[_ANSWERS[claim.holds], claim.claim, claim.evidence] for claim in report.claims]
        found.append(Table("What the runs say", ["holds", "claim", "figures"], [rows], "<<<"))
    parts = [f"<h3>{escape(report.recipe)}: {escape(report.title)}</h3>"]
    parts += [f"<p>{escape(remark)}</p>" for remark in _remarks(report)]
    parts += [_tables.as_html(*table[1:], caption=table.title) for table in found]
    return "\n".join([*parts, "<p>" + "<br>".join(map(escape, _origin(report))) + "</p>"])


def tables(report: "Report") -> list[Table]:
    """Published against obtained, accuracy per class, other variants: those that have something to say."""
    first = _of_kind(report, "published")
    found = [_headline(report, first)] if first else []
    for dataset in dict.fromkeys(variant.dataset for variant in first):
        found.append(_per_class([variant for variant in first if variant.dataset == dataset]))
    for kind, title in _TITLES.items():
        if others := _of_kind(report, kind):
            found.append(_variants(report, [group for group in (first, others) if group], title))
    return [*found, _legend(report)]


def overview(reports: "list[Report]") -> str:
    """Published against obtained of several reports in one table, each with as many seeds as the first one."""
    groups = [
        [[report.recipe, *row] for row in group]
        for report in reports
        for group in _headline(report, _of_kind(report, "published")).groups
    ]
    table = _tables.as_text(["system", *_HEADLINE], groups, "<" + _HEADLINE_ALIGN)
    shortened = [_SHORTENED] if any(report.fast for report in reports) else []
    return "\n\n".join([*shortened, f"{_title(reports[0])}\n{table}"])


def _of_kind(report: "Report", kind: str) -> "list[VariantReport]":
    return [variant for variant in report.variants if variant.kind == kind]


# ---------------------------------------------------------------- tables

_HEADLINE, _HEADLINE_ALIGN = ["variant", "figure", "published", "obtained", "95 % interval"], "<<>>>"


def _headline(report: "Report", variants: "list[VariantReport]") -> Table:
    """A row for each figure, a group for each variant."""
    groups = []
    for variant in variants:
        spread, rows = variant.spread, []
        for key, title in _figures.FIGURES.items():
            published = variant.published.get(key)
            if key in spread and (published is not None or key in _ALWAYS):
                obtained = _figures.with_spread(key, spread[key], len(variant.runs))
                row = [title, _figures.number(key, published), obtained, _figures.interval(spread[key])]
                rows.append([variant.name, *row])
        groups.append(rows)
    return Table(_title(report), _HEADLINE, groups, _HEADLINE_ALIGN)


def _title(report: "Report") -> str:
    of = "" if len(report.seeds) == 1 else f": mean ± standard deviation (extremes) of {len(report.seeds)} seeds"
    return f"Published against obtained{of}"


def _per_class(variants: "list[VariantReport]") -> Table:
    """The test accuracy of each class; published figures beside those of the variant that has them."""
    main = variants[0]
    header, columns = ["class", "images"], [main.class_names, _images(main)]
    for variant in variants:
        if "per_digit" in variant.published:
            header.append("published")
            columns.append([_percent(value) for value in variant.published["per_digit"]])
        header.append(variant.name if len(variants) > 1 else "obtained")
        columns.append([_percent(value) for value in variant.obtained["per_digit"]])
    header.append("most often taken for" + (f" ({main.name})" if len(variants) > 1 else ""))
    columns.append([_taken_for(main, i) for i in range(len(main.class_names))])
    title = f"Test accuracy of each class, {main.dataset}"
    return Table(
        title, header, [[list(row) for row in zip(*columns, strict=True)]], "<" + ">" * (len(header) - 2) + "<"
    )


def _images(variant: "VariantReport") -> list[str]:
    return [str(sum(row)) for row in variant.runs[0].confusion_matrix]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _taken_for(variant: "VariantReport", i: int) -> str:
    """The wrong answer that class i got most often, with its count per run."""
    row = list(variant.confusion_matrix[i])
    row[i] = 0
    most = max(row)
    return f"{variant.class_names[row.index(most)]} ({most / len(variant.runs):.4g})" if most else ""


def _variants(report: "Report", groups: "list[list[VariantReport]]", title: str) -> Table:
    """A row for each variant. Gaps are shown where they were published."""
    every = [variant for group in groups for variant in group]
    wanted = ["train_accuracy", "validation_accuracy", "test_accuracy", "test_loss", "seconds"]
    if any("loss_gap" in variant.published for variant in every):
        wanted[2:2] = ["loss_gap", "accuracy_gap"]
    keys = [key for key in wanted if any(key in variant.spread for variant in every)]
    titles = [_figures.FIGURES[key].removesuffix(" accuracy") for key in keys]
    rows = [[_variant_row(variant, keys) for variant in group] for group in groups]
    if len(report.seeds) > 1:
        title += f": mean ± standard deviation of {len(report.seeds)} seeds"
        title += "; without ±: of one" if any(len(variant.runs) == 1 for variant in every) else ""
    header = ["variant", *titles, "epochs", "best epoch"]
    return Table(title, header, rows, "<" + ">" * (len(header) - 1))


def _variant_row(variant: "VariantReport", keys: list[str]) -> list[str]:
    spread, runs = variant.spread, len(variant.runs)
    cells = [_figures.short(key, spread[key], runs) if key in spread else "" for key in keys]
    done = _range([run.epochs for run in variant.runs])
    best = _range([run.best_epoch + 1 for run in variant.runs if run.best_epoch is not None])
    return [variant.name, *cells, done, best]


def _legend(report: "Report") -> Table:
    rows = [[variant.name, variant.change] for variant in report.variants]
    return Table("Variants", ["variant", "what it is"], [rows], "<<")


def _range(numbers: list[int]) -> str:
    """10, or 150-180."""
    return "-".join(map(str, dict.fromkeys([min(numbers), max(numbers)]))) if numbers else ""


# ---------------------------------------------------------------- around them

_SHORTENED = "SHORTENED RUN (--fast): few images, few epochs. Its figures say that it works, and nothing else."
_ANSWERS = {True: "yes", False: "no", None: ""}


def _claim(claim: "Claim") -> str:
    """yes  claim, and its figures below."""
    first, below = f"  {_ANSWERS[claim.holds]:4} ", " " * 7
    lines = textwrap.wrap(claim.claim, _WIDTH, initial_indent=first, subsequent_indent=below)
    return "\n".join([*lines, textwrap.fill(claim.evidence, _WIDTH, initial_indent=below, subsequent_indent=below)])


def _remarks(report: "Report") -> list[str]:
    return [*([_SHORTENED] if report.fast else []), *report.notes]


def _origin(report: "Report") -> list[str]:
    seeds = ", ".join(map(str, report.seeds))
    return [
        f"weights hash  {report.weights_hash} ({report.variants[0].name}, seed {report.seeds[0]})",
        f"seeds         {seeds}",
        f"machine       {', '.join(report.machine.values())}",
        f"versions      {', '.join(f'{name} {version}' for name, version in report.versions.items())}",
    ]
