"""What all plots share: colours, axes to draw on, and text that fits there."""

from collections.abc import Sequence
from importlib import import_module
from math import ceil
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Colours that stay apart for colour-blind readers (Okabe and Ito, 2008; jfly.uni-koeln.de/color). Their yellow is left
# out: it is too pale for thin lines on white.
BLACK, GREY = "#000000", "#BBBBBB"
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY_BLUE = "#CC79A7", "#56B4E9"

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY_BLUE, BLACK)
# Seven colours and ten markers: 70 classes or runs before a pair comes again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
HATCHES = ("", "//", "..", "xx")

TEXT_SIZE = 9.0  # points, of text within a picture
_SMALLEST_TEXT = 4.0
LEGEND = {"fontsize": TEXT_SIZE, "framealpha": 0.85, "edgecolor": "none"}  # lines do not run through its text
NO_BREAK = "\N{NO-BREAK SPACE}"
_LETTER = 0.6  # mean width of a letter of DejaVu Sans, in sizes of the text


def colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def is_second_round(i: int) -> bool:
    """Whether the colours come a second time: then markers are hollow."""
    return i // len(COLOURS) % 2 == 1


def marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def needs(module: str, task: str, install: str) -> Any:
    """An optional library, imported now. Raises ImportError with the command that installs it."""
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise  # the library is there, but something it needs is not
        raise ImportError(f"{task} needs {library}, which is not installed: pip install {install}") from None


def matplotlib(module: str) -> Any:
    """A module of matplotlib. Raises ImportError with the command that installs it."""
    return needs(f"matplotlib.{module}", "drawing", '"mnist-c[plot]"')


# ---------------------------------------------------------------- axes


def several_axes(ax: object, panels: Sequence[str], figsize: tuple[float, float]) -> NDArray[Any]:
    """One Axes for each panel, as an array: those that were given, or the axes of a new figure."""
    Axes = matplotlib("axes").Axes
    if ax is None:
        _, axes = matplotlib("pyplot").subplots(1, len(panels), figsize=figsize, layout="constrained", squeeze=False)
        return np.asarray(axes[0])
    given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, dtype=object)))
    expected = "one Axes" if len(panels) == 1 else f"{len(panels)} Axes, for {', '.join(panels)}"
    cure = "fig.subplots()" if len(panels) == 1 else f"fig.subplots(1, {len(panels)})"
    for item in given:
        if not isinstance(item, Axes):
            raise TypeError(f"ax holds a {type(item).__name__}: expected {expected}, such as {cure} returns")
    if len(given) != len(panels):
        raise ValueError(f"ax holds {len(given)} Axes: expected {expected}, such as {cure} returns")
    axes = np.empty(len(panels), dtype=object)
    axes[:] = given
    return axes


def one_axes(ax: object, figsize: tuple[float, float]) -> Any:
    """The Axes that was given, or that of a new figure."""
    return several_axes(ax, ["the picture"], figsize)[0]


def plain_axes(ax: Any, *, grid: bool = True) -> None:
    """No frame at the top and on the right; light horizontal lines behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.grid(False)
    if grid:
        ax.grid(True, axis="y", color="#DDDDDD", linewidth=0.8)


def class_ticks(axis: Any, names: Sequence[str]) -> None:
    """One tick for each class; long names are turned."""
    long = max(map(len, names)) > 3
    axis.set_ticks(range(len(names)), labels=names)
    if axis.axis_name == "x" and long:
        axis.set_tick_params(rotation=45)
        for label in axis.get_ticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")


# ---------------------------------------------------------------- text


def size(ax: Any) -> tuple[float, float]:
    """Width and height of the axes in points, as they are before a layout engine moves them."""
    scale = 72 / ax.get_figure().dpi
    return ax.bbox.width * scale, ax.bbox.height * scale


def text_width(letters: int, size: float = TEXT_SIZE) -> float:
    """About how many points so many letters take."""
    return _LETTER * size * letters


def fitting_text(width: float, letters: int) -> float:
    """The size at which so many letters fit into a width in points: TEXT_SIZE, or less where there is little room."""
    return float(np.clip(width / text_width(max(letters, 1), 1.0), _SMALLEST_TEXT, TEXT_SIZE))


def title(ax: Any, text: str) -> None:
    """A title, in lines that are hardly longer than the axes are wide."""
    ax.set_title("", fontsize="medium")
    letters = max(20, int(1.3 * size(ax)[0] / text_width(1, ax.title.get_fontsize())))
    ax.title.set_text("\n".join(_wrapped(line, letters) for line in text.split("\n")))


def legend_entry(ax: Any, text: str) -> str:
    """The text of a legend, in lines that fit beside the sign."""
    return _wrapped(text, max(16, int(size(ax)[0] / text_width(1)) - 8))


def _wrapped(text: str, letters: int) -> str:
    """Lines of so many letters, broken between words only, and never between a number and its percent sign."""
    return fill(text.replace(" %", NO_BREAK + "%"), letters, break_long_words=False, break_on_hyphens=False)


def legend_on_top(ax: Any) -> None:
    """A legend above all data, for which the y axis is made longer. To be called last."""
    handles, labels = ax.get_legend_handles_labels()
    width, height = size(ax)
    columns = int(np.clip(width // text_width(max(map(len, labels)) + 7), 1, 3))
    share = min(0.5, TEXT_SIZE * (1.6 * ceil(len(labels) / columns) + 0.6) / height)
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + (high - low) / (1 - share))
    ax.legend(handles, labels, ncols=columns, loc="upper center", **LEGEND)
