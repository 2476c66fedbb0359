"""What happens class by class: confusions, accuracies, and how often each class occurs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._confusion import normalized
from .._inputs import Array, describe, flag, whole
from ..metrics import accuracy_interval
from . import _checks, _style

# ---------------------------------------------------------------- confusion matrix


def confusion_matrix(
    cells: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    normalize: bool = False,
    top: int = 3,
    ax: Any = None,
) -> Any:
    """Draws a confusion matrix, rows true classes and columns answers; returns the axes.

    cells: whole numbers (C, C), such as `Evaluation.confusion_matrix`. normalize: write the share of each true class,
    in percent, rather than counts. Mistakes are coloured, the darker the more; right answers, on the grey diagonal,
    would drown them. The `top` largest confusions are framed and named in the title, with their counts; of equal ones
    those that come first in reading order.
    """
    counts = _counts(cells)
    classes = len(counts)
    names = _checks.class_names(class_names, classes)
    top = whole("top", top, 0)
    shown = 100 * normalized(counts, "true") if flag("normalize", normalize) else counts.astype(np.float64)
    mistakes = shown * (1 - np.eye(classes))
    side = max(4.5, 0.5 * classes + 1.5)
    ax = _style.one_axes(ax, (side + 0.5, side + 0.4))
    ax.imshow(mistakes, cmap="Blues", vmin=0, vmax=max(mistakes.max(), 1e-9))
    _write_cells(ax, counts, shown, mistakes, normalize)
    largest = [divmod(int(cell), classes) for cell in np.argsort(-mistakes, axis=None, kind="stable")[:top]]
    largest = [(true, answer) for true, answer in largest if mistakes[true, answer] > 0]
    _frame(ax, largest)
    _style.class_ticks(ax.xaxis, names)
    _style.class_ticks(ax.yaxis, names)
    ax.set(xlabel="answer", ylabel="true class")
    _style.title(ax, _confusion_title(counts, largest, names, normalize))
    ax.spines[:].set_visible(False)
    _lines_between(ax, classes)
    return ax


def _counts(cells: ArrayLike) -> NDArray[np.int64]:
    """The matrix as int64 (C, C), with at least one image in it."""
    values = _checks.finite(cells, "cells")
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise ValueError(f"cells is a {describe(values)}: expected a confusion matrix (C, C), C at least 2")
    if (values != np.floor(values)).any() or values.min() < 0:
        raise ValueError("cells must hold counts, 0 or more. For shares pass the counts and normalize=True")
    if values.sum() == 0:
        raise ValueError("cells holds only zeros: no image was counted, there is nothing to draw")
    return values.astype(np.int64)


def _write_cells(ax: Any, counts: Array, shown: Array, mistakes: Array, normalize: bool) -> None:
    """The number in each cell that is not empty, and the grey diagonal."""
    Rectangle = _style.matplotlib("patches").Rectangle
    texts = {at: f"{shown[at]:.1f}" if normalize else f"{count}" for at, count in np.ndenumerate(counts) if count}
    size = _style.fitting_text(min(_style.size(ax)) / len(counts), max(map(len, texts.values())) + 1)
    for i in range(len(counts)):
        ax.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, facecolor="#E5E5E5", linewidth=0))
    for (true, answer), text in texts.items():
        weight = "bold" if true == answer else "normal"
        colour = "white" if mistakes[true, answer] > 0.6 * mistakes.max() else _style.BLACK
        ax.text(answer, true, text, ha="center", va="center", fontsize=size, color=colour, weight=weight)


def _lines_between(ax: Any, classes: int) -> None:
    """Thin lines between the cells, so that rows and columns can be followed where cells are empty."""
    edges = np.arange(classes + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.tick_params(which="both", length=0)
    ax.grid(False)
    ax.grid(True, which="minor", color="#DDDDDD", linewidth=0.8)


def _frame(ax: Any, cells: Sequence[tuple[int, int]]) -> None:
    Rectangle = _style.matplotlib("patches").Rectangle
    for true, answer in cells:
        corner = (answer - 0.46, true - 0.46)
        ax.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=_style.ORANGE, linewidth=2.5))


def _confusion_title(counts: Array, largest: Sequence[tuple[int, int]], names: Sequence[str], normalize: bool) -> str:
    images, wrong = int(counts.sum()), int(counts.sum() - counts.trace())
    unit = "; cells in % of the true class" if normalize else ""
    title = f"{images:,} images, {wrong:,} mistakes ({100 * wrong / images:.2f} %){unit}"
    if not largest:
        return title
    named = [f"{names[true]} as {names[answer]} ({counts[true, answer]})" for true, answer in largest]
    return f"{title}\nframed: " + ", ".join(text.replace(" ", _style.NO_BREAK) for text in named)


# ---------------------------------------------------------------- bars


def per_class_bars(
    values: ArrayLike,
    *,
    published: ArrayLike | None = None,
    counts: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws the accuracy of each class as a bar; returns the axes.

    values: shares (C,) such as `Evaluation.per_class_accuracy`, nan for classes without images. published: other shares
    (C,) to stand beside them. counts: how many images each class has (C,); then the bars carry 95 % Wilson intervals.
    The axis starts at 0, or, if all shares are above one half, just below the smallest; its label then says so.
    """
    shares = _checks.shares(values, "values")
    names = _checks.class_names(class_names, len(shares))
    others = None if published is None else _checks.shares(published, "published", len(shares))
    intervals = None if counts is None else _intervals(shares, counts)
    ax = _style.one_axes(ax, (max(5.0, 0.75 * len(shares) + 1.5), 4.0))
    width = 0.8 if others is None else 0.4
    at = np.arange(len(shares)) - (0 if others is None else width / 2)
    label = "obtained" if intervals is None else "obtained, with 95 % interval"
    ax.bar(at, 100 * shares, width, color=_style.BLUE, label=label)
    if intervals is not None:
        ax.errorbar(at, 100 * shares, 100 * intervals, fmt="none", ecolor=_style.BLACK, capsize=3)
    if others is not None:
        look = {"color": _style.ORANGE, "hatch": "//", "edgecolor": "white", "linewidth": 0}
        ax.bar(at + width, 100 * others, width, label="published", **look)
    for i in np.flatnonzero(np.isnan(shares)):
        look = {"rotation": 90, "ha": "center", "fontsize": _style.TEXT_SIZE, "transform": ax.get_xaxis_transform()}
        ax.text(at[i], 0.02, "no images", **look)
    _accuracy_axis(ax, shares, others, intervals)
    _style.plain_axes(ax)
    _style.class_ticks(ax.xaxis, names)
    best, worst = np.nanargmax(shares), np.nanargmin(shares)
    _style.title(
        ax, f"Best: {names[best]} ({100 * shares[best]:.2f} %), worst: {names[worst]} ({100 * shares[worst]:.2f} %)"
    )
    if others is not None or intervals is not None:
        _style.legend_on_top(ax)
    return ax


def _intervals(shares: NDArray[np.float64], counts: ArrayLike) -> NDArray[np.float64]:
    """How far the 95 % interval reaches below and above each share: float64 (2, C)."""
    n = _checks.finite(counts, "counts")
    if n.shape != shares.shape or (n != np.floor(n)).any() or n.min() < 0:
        raise ValueError(f"counts is a {describe(n)}: expected how many images each of {len(shares)} classes has")
    reach = np.full((2, len(shares)), np.nan)
    for i in np.flatnonzero(~np.isnan(shares)):
        right = round(shares[i] * n[i])
        if not n[i] or abs(shares[i] * n[i] - right) > 1e-6 * n[i]:
            raise ValueError(
                f"values and counts do not fit: {shares[i]:.6g} of the {n[i]:g} images of class {i} is "
                f"{shares[i] * n[i]:.2f}, no whole number"
            )
        low, high = accuracy_interval(int(right), int(n[i]))
        reach[:, i] = shares[i] - low, high - shares[i]
    clipped: NDArray[np.float64] = np.maximum(reach, 0)  # rounding: an interval may end at the share itself
    return clipped


def _accuracy_axis(
    ax: Any, shares: NDArray[np.float64], others: NDArray[np.float64] | None, reach: NDArray[np.float64] | None
) -> None:
    """Limits and labels: from 0, or from just below the smallest share."""
    ends = shares if reach is None else shares - reach[0]
    lowest = 100 * np.nanmin(ends if others is None else np.concatenate([ends, others]))
    step = 1.0 if lowest > 90 else 5.0
    start = 0.0 if lowest < 50 else step * np.floor((lowest - 0.1 * step) / step)
    ax.set_ylim(start, 100)
    ax.set_yticks([tick for tick in ax.get_yticks() if start <= tick <= 100])
    ax.set_ylabel("accuracy (%)" if not start else f"accuracy (%)\n(the axis starts at {start:g})")
    ax.set_xlabel("class")


def label_distribution(
    labels: ArrayLike | Mapping[str, ArrayLike], *, class_names: Sequence[str] | None = None, ax: Any = None
) -> Any:
    """Draws which share of the labels each class has; returns the axes.

    labels: class numbers (n,), or {name: class numbers} to compare parts such as {"training": ..., "test": ...}.
    """
    given = labels if isinstance(labels, Mapping) else {"labels": labels}
    if not given:
        raise ValueError("labels is empty: expected class numbers (n,) or {name: class numbers}")
    known = _checks.known_classes(class_names)
    parts = {str(name): _checks.class_numbers(value, str(name), classes=known) for name, value in given.items()}
    names = _checks.named_labels(np.concatenate(list(parts.values())), class_names)
    ax = _style.one_axes(ax, (max(5.0, 0.75 * len(names) + 1.5), 4.0))
    width = 0.8 / len(parts)
    for i, (part, numbers) in enumerate(parts.items()):
        shares = 100 * np.bincount(numbers, minlength=len(names)) / len(numbers)
        at = np.arange(len(names)) + (i - (len(parts) - 1) / 2) * width
        look = {"color": _style.colour(i), "hatch": _style.HATCHES[i % len(_style.HATCHES)], "edgecolor": "white"}
        what = f"{part} ({len(numbers):,})" if isinstance(labels, Mapping) else f"{len(numbers):,} labels"
        ax.bar(at, shares, width, label=what, **look)
    ax.axhline(100 / len(names), color=_style.BLACK, linestyle=":", linewidth=1.2, label="if all were equally frequent")
    ax.set_ylim(0, 1.02 * ax.dataLim.ymax)
    _style.plain_axes(ax)
    _style.class_ticks(ax.xaxis, names)
    ax.set(xlabel="class", ylabel="share of the labels (%)")
    first = next(iter(parts))
    of = f" ({first})" if len(parts) > 1 else ""
    _style.title(ax, _distribution_title(np.bincount(parts[first], minlength=len(names)), names) + of)
    _style.legend_on_top(ax)
    return ax


def _distribution_title(often: NDArray[np.intp], names: Sequence[str]) -> str:
    """Which class is most frequent and which least, with their numbers."""
    most, least = int(often.argmax()), int(often.argmin())
    if often[most] == often[least]:
        return f"Each class equally often: {often[most]:,}"
    return f"Most frequent: {names[most]} ({often[most]:,}); least: {names[least]} ({often[least]:,})"
