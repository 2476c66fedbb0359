"""Curves: training epoch by epoch, and the outcome over a strength of regularisation."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._lookup import unknown, wrong_type
from . import _checks, _runs, _style


class _Look(NamedTuple):
    """How a line is drawn. prefix: of the figure's name in a history."""

    prefix: str
    name: str
    style: str
    marker: str
    colour: str


_TRAINING = _Look("", "training", "-", "o", _style.BLUE)
_VALIDATION = _Look("val_", "validation", "--", "s", _style.VERMILLION)
_EVALUATED = _Look("eval_", "training, without dropout", ":", "^", _style.BLACK)
_PARTS = (_TRAINING, _VALIDATION, _EVALUATED)
_GAP = _Look("", "gap", "-", "D", _style.BLACK)


def _percent(metric: str) -> float:
    """The factor with which a figure is drawn: accuracies are shares, drawn in percent."""
    return 100.0 if "acc" in metric else 1.0


# ---------------------------------------------------------------- training curves


def training_curves(history: object, *, metrics: Sequence[str] = ("loss", "accuracy"), ax: Any = None) -> NDArray[Any]:
    """Draws figures epoch by epoch, one panel for each of `metrics`; returns the axes as an array.

    history: what `fit` returned (anything with `.history` and `.epoch`); a mapping name -> one number per epoch; a list
    of those, the same run with several seeds; or a mapping label -> any of these, which are drawn over one another.
    Of a list the mean is drawn, in a band from the lowest to the highest run, up to the last epoch of the shortest one.

    Solid lines are training, as measured on the way, with dropout; dashed ones validation ("val_loss"); dotted ones the
    training data in evaluation mode ("eval_loss"), where these are in the history. Epochs count from 1.
    The star marks the best epoch: `best_epoch` of a History; else that of the lowest (mean) validation loss, or of the
    lowest training loss without validation.
    """
    groups = _runs.read(history)
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError("metrics is empty: expected names such as ('loss', 'accuracy')")
    for label, group in groups.items():
        known = {key.removeprefix("val_").removeprefix("eval_") for key in group.values}
        for name in names:
            if name not in known:
                raise ValueError(unknown(f"metric in {label}" if label else "metric", name, known))
    axes = _style.several_axes(ax, names, (4.5 * len(names), 4.0))
    for panel, name in zip(axes, names, strict=True):
        for i, group in enumerate(groups.values()):
            _draw_group(panel, name, group, None if len(groups) == 1 else i)
        _finish_panel(panel, name, groups)
    _legends(axes, names, groups)
    return axes


def _draw_group(ax: Any, metric: str, group: _runs.Group, i: int | None) -> None:
    """The lines of one figure. i: the number of the group among several, which then gives colour and marker."""
    for part in _PARTS:
        if part.prefix + metric not in group.values:
            continue
        colour, marker = (part.colour, part.marker) if i is None else (_style.colour(i), _style.marker(i))
        curves = _percent(metric) * group.values[part.prefix + metric]
        look = {"color": colour, "marker": marker, "markersize": 5, "markevery": max(1, len(group.epochs) // 10)}
        ax.plot(group.epochs, curves.mean(axis=0), part.style, **look)
        if group.runs > 1:
            ax.fill_between(group.epochs, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    if group.best is not None:
        ax.plot(group.best[0], _at_best(metric, group), **_star("white" if i is None else _style.colour(i)))


def _star(face: str) -> dict[str, Any]:
    edge = {"markerfacecolor": face, "markeredgecolor": _style.BLACK}
    return {"marker": "*", "markersize": 14, "linestyle": "none", "zorder": 5, **edge}


def _at_best(metric: str, group: _runs.Group) -> float:
    """The (mean) figure in the best epoch, on validation data where there are such."""
    assert group.best is not None
    name = next(p.prefix + metric for p in (_VALIDATION, _TRAINING, _EVALUATED) if p.prefix + metric in group.values)
    at = int(np.flatnonzero(group.epochs == group.best[0])[0])
    return float(_percent(metric) * group.values[name][:, at].mean())


def _finish_panel(ax: Any, metric: str, groups: Mapping[str, _runs.Group]) -> None:
    """Labels, and a title that says the outcome."""
    _style.plain_axes(ax)
    unit = " (%)" if _percent(metric) != 1 else ""
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric.replace("_", " ") + unit)
    ax.xaxis.set_major_locator(_style.matplotlib("ticker").MaxNLocator(integer=True, min_n_ticks=1))
    title = metric.replace("_", " ").capitalize()
    (label, group), *more = groups.items()
    if more:
        title += f" of {len(groups)} configurations"
    elif group.best is not None:
        value = f"{_at_best(metric, group):.2f} %" if unit else f"{_at_best(metric, group):.4g}"
        part = "validation" if "val_" + metric in group.values else "training"
        title += f": {value} on {part} in epoch {group.best[0]}"
    _style.title(ax, title if more or not label else f"{label}. {title}")


_Entry = tuple[str, dict[str, Any]]  # of a legend: the text, and how the line beside it looks


def _legends(axes: NDArray[Any], metrics: Sequence[str], groups: Mapping[str, _runs.Group]) -> None:
    """What colours, lines, bands and stars mean.

    One group: colours are parts. Several: colours are groups, as the first panel says; the last has the line styles.
    """
    styles = _styles(metrics, list(groups.values()))
    if len(groups) == 1:
        _legend(axes[0], styles)
        return
    entries = []
    for i, (label, group) in enumerate(groups.items()):
        best = [f"best epoch {group.best[0]}"] if group.best else []
        look = {"color": _style.colour(i), "marker": _style.marker(i)}
        entries.append((", ".join([label, *_about(group), *best]), look))
    if len(axes) == 1:
        _legend(axes[0], entries + styles)
    else:
        _legend(axes[0], entries)
        _legend(axes[-1], styles)


def _styles(metrics: Sequence[str], groups: Sequence[_runs.Group]) -> list[_Entry]:
    """Line styles and the band, as far as they occur; of one group also the best epoch."""
    one, entries = groups[0] if len(groups) == 1 else None, []
    for part in _PARTS:
        if any(part.prefix + metric in group.values for metric in metrics for group in groups):
            look: dict[str, Any] = {"color": part.colour, "marker": part.marker} if one else {"color": "grey"}
            entries.append((part.name, {"linestyle": part.style, **look}))
    if any(group.runs > 1 for group in groups):
        text = ", ".join([*(_about(one) if one else []), "lowest to highest run"])
        entries.append((text, {"color": _style.GREY, "linewidth": 8}))
    if one and one.best:
        entries.append((f"best epoch: {one.best[0]} (by {one.best[1]})", _star("white")))
    return entries


def _about(group: _runs.Group) -> list[str]:
    """How many runs a mean is of, and what was cut off."""
    if group.runs == 1:
        return []
    cut = "" if len(group.epochs) == group.longest else f" to epoch {group.epochs[-1]} (one went on)"
    return [f"mean of {group.runs} runs{cut}"]


def _legend(ax: Any, entries: Sequence[_Entry]) -> None:
    Line2D = _style.matplotlib("lines").Line2D
    handles = [Line2D([], [], label=_style.legend_entry(ax, text), **look) for text, look in entries]
    ax.legend(handles=handles, **_style.LEGEND)


# ---------------------------------------------------------------- sweep

_FIGURES = ("train_accuracy", "validation_accuracy", "train_loss", "validation_loss")


def sweep(
    strengths: Sequence[float],
    runs: Sequence[Mapping[str, float] | Sequence[Mapping[str, float]]],
    *,
    name: str = "strength of the L2 penalty, λ",
    ax: Any = None,
) -> NDArray[Any]:
    """Draws what a strength of regularisation does, in three panels; returns their axes as an array.

    strengths: different numbers, 0 or more, in any order. The axis is logarithmic; a 0 stands at its left end.
    runs: for each strength one mapping with "train_accuracy", "validation_accuracy" (shares), "train_loss" and
    "validation_loss", or a list of such mappings, one per seed; then the mean is drawn with a bar from the lowest to
    the highest. name: what the strengths are, for the axis.

    Panels: both accuracies; the loss gap, 100 (validation loss - training loss) / training loss, in percent; the
    accuracy gap, 100 (training accuracy - validation accuracy), in points.
    """
    x = _checks.finite(strengths, "strengths").astype(np.float64)
    if x.ndim != 1 or x.min() < 0 or len(np.unique(x)) != len(x):
        raise ValueError(f"strengths must be different numbers, 0 or more, in one list, not {strengths!r}")
    if not isinstance(runs, (list, tuple)):
        raise wrong_type("runs", runs, "a list with one entry for each strength")
    if len(runs) != len(x):
        raise ValueError(f"runs holds {len(runs)} entries, but there are {len(x)} strengths: expected one for each")
    order = np.argsort(x)
    x = x[order]
    train_accuracy, accuracy, train_loss, loss = (_figures(key, runs)[order] for key in _FIGURES)
    if np.nanmin(train_loss) <= 0:
        raise ValueError(f"a train_loss is {np.nanmin(train_loss):g}: the loss gap needs one above 0 to be a share of")

    axes = _style.several_axes(ax, ["accuracy", "loss gap", "accuracy gap"], (11.0, 3.8))
    _draw_strengths(axes[0], x, 100 * train_accuracy, _TRAINING)
    _draw_strengths(axes[0], x, 100 * accuracy, _VALIDATION)
    _draw_strengths(axes[1], x, 100 * (loss - train_loss) / train_loss, _GAP)
    _draw_strengths(axes[2], x, 100 * (train_accuracy - accuracy), _GAP)
    best = x[np.nanmean(accuracy, axis=1).argmax()]
    for panel, title, label in (
        (axes[0], f"Accuracy: best on validation at {best:g}", "accuracy (%)"),
        (axes[1], "Loss gap: validation above training", "loss gap (% of training loss)"),
        (axes[2], "Accuracy gap: training above validation", "accuracy gap (points)"),
    ):
        _strength_axis(panel, x)
        panel.set(xlabel=name, ylabel=label)
        _style.title(panel, title)
    axes[0].legend(**_style.LEGEND)
    return axes


def _figures(key: str, runs: Sequence[Any]) -> NDArray[np.float64]:
    """One figure of all runs, (strengths, runs of the strength that has most), nan where a strength has fewer."""
    rows = [[runs_of_one] if isinstance(runs_of_one, Mapping) else runs_of_one for runs_of_one in runs]
    for i, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or not all(isinstance(figures, Mapping) for figures in row):
            raise wrong_type(f"runs[{i}]", row, "a mapping of figures or a list of those, one per seed")
        if not row:
            raise ValueError(f"runs[{i}] is empty: expected a mapping of figures or a list of those, one per seed")
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for i, row in enumerate(rows):
        for j, figures in enumerate(row):
            if key not in figures:
                raise ValueError(f"runs[{i}] lacks {key!r}; it has {', '.join(map(str, figures))}")
            value = _checks.finite([figures[key]], f"runs[{i}][{key!r}]")
            table[i, j] = (_checks.shares(value, f"runs[{i}][{key!r}]") if "accuracy" in key else value)[0]
    return table


def _draw_strengths(ax: Any, x: NDArray[np.float64], values: NDArray[np.float64], look: _Look) -> None:
    """A line through the means of (strengths, runs); bars from the lowest to the highest run."""
    mean, low, high = np.nanmean(values, axis=1), np.nanmin(values, axis=1), np.nanmax(values, axis=1)
    runs = values.shape[1]
    label = look.name if runs == 1 else _style.legend_entry(ax, f"{look.name}, mean and range of {runs} runs")
    bars = None if runs == 1 else [mean - low, high - mean]
    ax.errorbar(x, mean, bars, linestyle=look.style, marker=look.marker, color=look.colour, capsize=4, label=label)


def _strength_axis(ax: Any, x: NDArray[np.float64]) -> None:
    """A logarithmic axis whose ticks are the strengths; linear from 0 to the smallest of the others."""
    if x[0] > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=x[1] if len(x) > 1 else 1.0, linscale=0.5)
    ax.xaxis.set_minor_locator(_style.matplotlib("ticker").NullLocator())
    ax.set_xticks(x, labels=[f"{value:g}" for value in x], rotation=30, fontsize=_style.TEXT_SIZE)
    _style.plain_axes(ax)
