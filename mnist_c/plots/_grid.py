"""Many small images with captions in one Axes."""

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from .._inputs import Array, whole
from . import _style

MOST = 400  # images in one picture; more would be too small to see, and slow to draw
_GAP = 0.12  # between cells, in widths of an image
_LINE = 1.4 * _style.TEXT_SIZE  # height of a line of text, in points
_IMAGE = 58.0  # width of an image in a figure of our own, in points; more if a caption needs it


class Grid(NamedTuple):
    """Where the cells are. One unit of the axes is the width of an image; y points downwards.

    step: from cell to cell, in x and in y. height: of an image. points: how many one unit is, before a layout engine
    moves the axes. text_size: of the captions, in points.
    """

    ax: Any
    columns: int
    step: tuple[float, float]
    height: float
    points: float
    text_size: float

    def corner(self, i: int) -> tuple[float, float]:
        """The upper left corner of image i."""
        row, column = divmod(i, self.columns)
        return column * self.step[0], row * self.step[1]

    def image(self, i: int, picture: Array, cmap: str, low: float, high: float) -> Any:
        x, y = self.corner(i)
        extent = (x, x + 1, y + self.height, y)
        return self.ax.imshow(picture, cmap=cmap, vmin=low, vmax=high, extent=extent, interpolation="nearest")

    def caption(self, i: int, text: str, **look: Any) -> None:
        """Text above image i, in its middle unless `look` says otherwise."""
        x, y = self.corner(i)
        look = {"ha": "center", "va": "bottom", "fontsize": self.text_size, "linespacing": 1.1, **look}
        x += 0.0 if look["ha"] == "left" else 0.5
        self.ax.annotate(text, (x, y), xytext=(0, 2.5), textcoords="offset points", **look)

    def finish(self, n: int, title: str) -> None:
        """Limits around n cells, and the title. To be called last, as imshow changes the limits."""
        rows = ceil(n / self.columns)
        above = self.step[1] - self.height - _GAP  # the captions of the first row
        self.ax.set_xlim(-_GAP / 2, self.columns * self.step[0] - _GAP / 2)
        self.ax.set_ylim(rows * self.step[1] - above, -above - _GAP / 2)
        self.ax.set_axis_off()
        _style.title(self.ax, title)


def make(
    ax: Any, pictures: Array, columns: int, captions: Sequence[str], *, beside: float = 0.0, image: float = _IMAGE
) -> Grid:
    """A grid for pictures (n, h, w) with captions above, in `ax` or in a figure of its own.

    beside: what a cell holds to the right of its image, in widths of an image. image: the least width of an image in
    points, in a figure of its own; in a given Axes it follows from the room there is.
    """
    n, height = len(pictures), pictures.shape[1] / pictures.shape[2]
    if n > MOST:
        raise ValueError(f"there are {n:,} images: expected at most {MOST}, such as the first 50, images[:50]")
    columns = min(whole("columns", columns, 1), n)
    rows = ceil(n / columns)
    lines = [line for caption in captions for line in caption.split("\n")]
    longest = max(map(len, lines), default=0) + 1
    text = _LINE * max((caption.count("\n") + 1 for caption in captions if caption), default=0)
    width = 1 + beside + _GAP
    if ax is None:
        points = max(image, _style.text_width(longest) / width)
        inches = (max(4.5, columns * width * points / 72 + 0.2), rows * ((height + _GAP) * points + text) / 72 + 0.4)
        ax = _style.one_axes(None, inches)
    else:
        ax = _style.one_axes(ax, (0, 0))
        room = _style.size(ax)
        points = max(5.0, min(room[0] / columns / width, (room[1] / rows - text) / (height + _GAP)))
    size = _style.fitting_text(width * points, longest)
    return Grid(ax, columns, (width, height + _GAP + text / points), height, points, size)
