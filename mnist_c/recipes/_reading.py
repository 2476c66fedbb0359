"""Reading a report from its file, strictly: a report that was edited or damaged is refused, with what is wrong."""

import json
import math
import os
import types
from dataclasses import is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from ._figures import FIGURES
from ._recipe import KINDS
from ._report import SCHEMA, Report, VariantReport, derived_of_report, derived_of_variant
from ._run import Run

_LARGEST = 1e100  # of the numbers in a report; sums of larger ones and of their squares might overflow


class ReportError(ValueError):
    """A file is no report that this version understands; the message says where and why."""


def load_report(path: "str | os.PathLike[str]") -> Report:
    """Reads what `Report.save` wrote. Raises ReportError for anything else, OSError if there is no such file."""
    with open(path, encoding="utf-8") as file:
        try:
            return from_json(file.read())
        except ReportError as error:
            raise ReportError(f"{os.fspath(path)} is not a report: {error}") from None
        except UnicodeDecodeError:
            raise ReportError(f"{os.fspath(path)} is not a report: it is not text in UTF-8") from None


def from_json(text: str) -> Report:
    """The inverse of `Report.to_json`. Raises ReportError."""
    try:
        body = json.loads(text, parse_constant=_refuse_constant, parse_float=_number, parse_int=_whole)
    except RecursionError:
        raise ReportError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ReportError(f"it is no JSON ({error})") from None
    if not isinstance(body, dict) or "schema" not in body:
        raise ReportError('it is no JSON object with a "schema"')
    if (schema := body.pop("schema")) != SCHEMA:
        raise ReportError(f"its schema is version {schema!r}, this mnist_c reads version {SCHEMA}")
    given = _take(body, ("published", "obtained", "weights_hash"), "")
    of_variants = []
    for i, entry in enumerate(_list(body.get("variants"), "variants")):
        of_variants.append(_take(entry, ("obtained", "spread"), f"variants[{i}]"))
    report: Report = _read(Report, body, "")
    _check(report)
    for i, (variant, found) in enumerate(zip(report.variants, of_variants, strict=True)):
        _compare(derived_of_variant(variant), found, f"variants[{i}].")
    _compare(derived_of_report(report), given, "")
    return report


def _refuse_constant(name: str) -> Any:
    raise ReportError(f"it holds {name}, which is no number in JSON")


def _number(text: str) -> float:
    value = float(text)
    if not abs(value) <= _LARGEST:
        raise ReportError(f"it holds {text[:20]}, which is larger than any number in a report")
    return value


def _whole(text: str) -> int:
    _number(text)
    return int(text)


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ReportError(f"{where} must be a list")
    return value


def _take(entry: object, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    """Removes those entries and returns them."""
    if not isinstance(entry, dict):
        raise ReportError(f"{where} must be an object")
    if missing := [key for key in keys if key not in entry]:
        raise ReportError(f"{where or 'it'} has no {missing[0]!r}")
    return {key: entry.pop(key) for key in keys}


def _compare(computed: dict[str, Any], found: dict[str, Any], where: str) -> None:
    for key, value in computed.items():
        if not _same(value, found[key]):
            raise ReportError(f"{where}{key} does not follow from the runs: the file was changed or damaged")


def _same(a: Any, b: Any) -> bool:
    """Equal, numbers up to the rounding of another machine's mathematics library."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)


# ---------------------------------------------------------------- types


def _read(expected: Any, value: Any, where: str) -> Any:
    """The value as what a type hint says. Raises ReportError that names the place."""
    origin, arguments = get_origin(expected), get_args(expected)
    if expected is Any:
        return value
    if is_dataclass(expected):
        return _read_object(expected, value, where)
    if origin in (Union, types.UnionType):
        (inner,) = (kind for kind in arguments if kind is not type(None))
        return None if value is None else _read(inner, value, where)
    if origin is list and isinstance(value, list):
        return [_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {_read(str, key, where): _read(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    allowed = (int, float) if expected is float else expected
    if origin is None and isinstance(value, allowed) and (expected is bool or not isinstance(value, bool)):
        if isinstance(value, str) and not value.isprintable():
            raise ReportError(f"{where} has characters that cannot be printed: {value!r}")
        return value
    name = getattr(origin or expected, "__name__", str(expected))
    raise ReportError(f"{where} must be of type {name}, not {type(value).__name__}")


def _read_object(expected: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ReportError(f"{where} must be an object, not {type(value).__name__}")
    hints = get_type_hints(expected)
    fields = {name: hints[name] for name in expected.__dataclass_fields__}
    for problem, keys in (("has no", fields.keys() - value.keys()), ("has an unknown", value.keys() - fields.keys())):
        if keys:
            raise ReportError(f"{where or 'it'} {problem} {min(keys)!r}")
    prefix = f"{where}." if where else ""
    return expected(**{name: _read(hint, value[name], prefix + name) for name, hint in fields.items()})


# ---------------------------------------------------------------- content


def _check(report: Report) -> None:
    """What types cannot say."""
    if not report.variants:
        raise ReportError("it has no variants")
    for i, variant in enumerate(report.variants):
        try:
            _check_variant(variant, report)
        except ReportError as error:
            raise ReportError(f"variants[{i}] {error}") from None


def _check_variant(variant: VariantReport, report: Report) -> None:
    if variant.kind not in KINDS:
        raise ReportError(f"is of kind {variant.kind!r}, expected one of {', '.join(KINDS)}")
    seeds = [run.seed for run in variant.runs]
    if not seeds or seeds != report.seeds[: len(seeds)]:
        raise ReportError(f"has not the runs of the seeds {report.seeds}, or of the first of them")
    if variant.dataset not in report.data:
        raise ReportError(f"was run on {variant.dataset!r}, of which data says nothing")
    classes = len(variant.class_names)
    _check_published(variant.published, classes)
    for run in variant.runs:
        where = f"with seed {run.seed}"
        _check_figures(run, where)
        _check_cells(run, classes, where)
        if any(len(curve) != len(run.curves.epoch) for curve in run.curves.history.values()):
            raise ReportError(f"{where} has curves that differ in length")
        if len(run.weights_hash) != 64 or set(run.weights_hash) - set("0123456789abcdef"):
            raise ReportError(f"{where} has a weights_hash that is no SHA-256 in hexadecimal")


def _check_published(published: dict[str, Any], classes: int) -> None:
    if unknown_keys := published.keys() - {*FIGURES, "per_digit"}:
        raise ReportError(f"publishes an unknown figure {min(unknown_keys)!r}")
    for key, value in published.items():
        if key != "per_digit":
            _read(float, value, f"published.{key}")
        elif len(_read(list[float], value, "published.per_digit")) != classes:
            raise ReportError(f"publishes {len(value)} accuracies per digit of {classes} classes")


def _check_cells(run: Run, classes: int, where: str) -> None:
    """The confusion matrix, and what follows from it."""
    shape = [len(row) for row in run.confusion_matrix]
    if not classes or shape != [classes] * classes:
        raise ReportError(f"{where} has no {classes} by {classes} confusion_matrix")
    images = sum(map(sum, run.confusion_matrix))
    if min(map(min, run.confusion_matrix)) < 0 or images != run.images.get("test") or not images:
        raise ReportError(f"{where} has a confusion_matrix that is not one of its test images")
    right = sum(row[i] for i, row in enumerate(run.confusion_matrix))
    if not _same(right / images, run.figures.get("test_accuracy")):
        raise ReportError(f"{where} has a test_accuracy that does not follow from its confusion_matrix")


def _check_figures(run: Run, where: str) -> None:
    if unknown_keys := run.figures.keys() - FIGURES.keys():
        raise ReportError(f"{where} has an unknown figure {min(unknown_keys)!r}")
    for key, value in run.figures.items():
        part, _, what = key.rpartition("_")
        if what == "accuracy" and value is not None and not (0 <= value <= 1 and run.images.get(part, 0) > 0):
            raise ReportError(f"{where} has a {key} that is no share of its images")
