"""Images: samples, answers with their probabilities, mistakes, and what first-layer weights look like."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._inputs import Array, describe, whole
from .._lookup import wrong_type
from . import _checks, _grid, _style

if TYPE_CHECKING:
    from ..model import Sequential


def _ink(grid: _grid.Grid, pictures: Array) -> None:
    """Draws images dark on light: 0 is paper. Integers mean 0 to 255, floats from their lowest to their highest."""
    whole_range = (0.0, 255.0) if pictures.dtype.kind in "ui" else (float(pictures.min()), float(pictures.max()))
    for i, picture in enumerate(pictures):
        grid.image(i, picture, "gray_r", *whole_range)


def images(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    columns: int = 10,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws images, row by row, with their labels above; returns the axes.

    images: (n, h, w), (n, h, w, 1) or flat rows of square ones (n, h * h), at most 400. labels: class numbers (n,).
    """
    pictures = _checks.pictures(images)
    captions = []
    if labels is not None:
        known = _checks.known_classes(class_names)
        numbers = _checks.class_numbers(labels, "labels", n=len(pictures), classes=known)
        names = _checks.named_labels(numbers, class_names)
        captions = [names[number] for number in numbers]
    grid = _grid.make(ax, pictures, columns, captions)
    _ink(grid, pictures)
    for i, caption in enumerate(captions):
        grid.caption(i, caption)
    grid.finish(len(pictures), f"{len(pictures)} images" + ("" if labels is None else " and their labels"))
    return grid.ax


# ---------------------------------------------------------------- answers


def _answers(
    images: ArrayLike, probabilities: ArrayLike, labels: ArrayLike, class_names: Sequence[str] | None
) -> tuple[Array, Array, NDArray[np.intp], list[str]]:
    """Checked: images (n, h, w), probabilities (n, C), labels (n,), C names."""
    pictures = _checks.pictures(images)
    shares = _checks.probabilities(probabilities, len(pictures))
    numbers = _checks.class_numbers(labels, "labels", n=len(pictures), classes=shares.shape[1])
    return pictures, shares, numbers, _checks.class_names(class_names, shares.shape[1])


def predictions(
    images: ArrayLike,
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    top: int = 3,
    columns: int = 4,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws images with their most probable classes as bars beside them; returns the axes.

    images: (n, h, w) and so on, at most 400. probabilities (n, C), labels (n,). Beside each image stand its `top` most
    probable classes; the true one takes the last place if it is not among them. The bar of the true class is blue, that
    of a wrong answer vermillion and hatched, others grey. The full width of a bar is probability 1.
    """
    pictures, shares, numbers, names = _answers(images, probabilities, labels, class_names)
    top = min(whole("top", top, 1), len(names))
    answers = shares.argmax(axis=1)
    captions = [
        f"right: {names[true]}" if true == answer else f"wrong: {names[true]} as {names[answer]}"
        for true, answer in zip(numbers, answers, strict=True)
    ]
    unit = max(72.0, 26.0 * top)  # points; a bar and its text need 26
    width = max(1.1, _style.text_width(max(map(len, names)) + 9) / unit)
    grid = _grid.make(ax, pictures, columns, captions, beside=width + 0.15, image=unit)
    _ink(grid, pictures)
    for i, (true, answer, caption) in enumerate(zip(numbers, answers, captions, strict=True)):
        look = _style.BLUE if true == answer else _style.VERMILLION
        grid.caption(i, caption, ha="left", color=look, weight="bold")
        order = np.argsort(-shares[i], kind="stable")
        listed = order[:top] if true in order[:top] else [*order[: top - 1], true]
        _bars(grid, i, [(int(k), float(shares[i, k])) for k in listed], int(true), int(answer), width, names)
    right = int((answers == numbers).sum())
    grid.finish(len(pictures), f"{right} of {len(pictures)} right; bars: the most probable classes")
    return grid.ax


def _bars(
    grid: _grid.Grid,
    i: int,
    listed: Sequence[tuple[int, float]],
    true: int,
    answer: int,
    width: float,
    names: Sequence[str],
) -> None:
    """One bar for each (class, probability), beside image i, with name and probability above it."""
    x, y = grid.corner(i)
    slot = grid.height / len(listed)
    room = width * grid.points
    size = min(0.45 * slot * grid.points, _style.fitting_text(room, max(map(len, names)) + 9))
    for row, (number, share) in enumerate(listed):
        look: dict[str, Any] = {"color": _style.BLUE if number == true else _style.GREY}
        if number == answer != true:
            look = {"color": _style.VERMILLION, "hatch": "///", "edgecolor": "white", "linewidth": 0}
        bottom = y + (row + 1) * slot
        grid.ax.barh(bottom - 0.2 * slot, width * share, 0.32 * slot, left=x + 1.1, **look)
        weight = "bold" if number == true else "normal"
        text = {"va": "bottom", "fontsize": size, "weight": weight}
        grid.ax.text(x + 1.1, bottom - 0.38 * slot, names[number], ha="left", **text)
        grid.ax.text(x + 1.1 + width, bottom - 0.38 * slot, f"{100 * share:.1f} %", ha="right", **text)


def mistakes(
    images: ArrayLike,
    probabilities: ArrayLike,
    labels: ArrayLike,
    n: int = 12,
    *,
    columns: int = 6,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws the n mistakes with the highest probability, the surest first; returns the axes.

    images (m, h, w) and so on, probabilities (m, C), labels (m,): all that were evaluated. Above each image stand its
    true class, the answer, and the probability of the answer. Raises ValueError if there is no mistake.
    """
    pictures, shares, numbers, names = _answers(images, probabilities, labels, class_names)
    answers, sure = shares.argmax(axis=1), shares.max(axis=1)
    wrong = np.flatnonzero(answers != numbers)
    if not len(wrong):
        raise ValueError(f"all {len(numbers):,} answers are right: there is no mistake to draw")
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][: whole("n", n, 1)]
    space = "\n" if max(map(len, names)) > 3 else " "
    captions = [f"{names[numbers[i]]}{space}as {names[answers[i]]}\n{100 * sure[i]:.1f} %" for i in chosen]
    grid = _grid.make(ax, pictures[chosen], columns, captions)
    _ink(grid, pictures[chosen])
    for i, caption in enumerate(captions):
        grid.caption(i, caption)
    which = f"The {len(chosen)} surest" if len(chosen) < len(wrong) else "All"
    title = f"{which} of {len(wrong):,} mistakes in {len(numbers):,} images:\ntrue class as answer, its probability"
    grid.finish(len(chosen), title)
    return grid.ax


def confusion_cell(
    images: ArrayLike,
    labels: ArrayLike,
    predicted: ArrayLike,
    true: int | str,
    answer: int | str,
    *,
    n: int = 40,
    columns: int = 10,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """Draws the images of one cell of the confusion matrix, with their numbers in `images`; returns the axes.

    labels, predicted: class numbers (m,) of images (m, h, w). true, answer: the class they have and the one they were
    given, by number or name. The first n are drawn. Raises ValueError if there is none.
    """
    pictures = _checks.pictures(images)
    known = _checks.known_classes(class_names)
    numbers = _checks.class_numbers(labels, "labels", n=len(pictures), classes=known)
    answers = _checks.class_numbers(predicted, "predicted", n=len(pictures), classes=known)
    names = _checks.named_labels(np.maximum(numbers, answers), class_names)
    row, column = _checks.one_class(true, "true", names), _checks.one_class(answer, "answer", names)
    cell = np.flatnonzero((numbers == row) & (answers == column))
    of = int((numbers == row).sum())
    if not len(cell):
        raise ValueError(f"none of the {of:,} images of class {names[row]} was given {names[column]}: nothing to draw")
    chosen = cell[: whole("n", n, 1)]
    captions = [f"#{i}" for i in chosen]
    grid = _grid.make(ax, pictures[chosen], columns, captions)
    _ink(grid, pictures[chosen])
    for i, caption in enumerate(captions):
        grid.caption(i, caption)
    first = f" (the first {len(chosen)})" if len(chosen) < len(cell) else ""
    grid.finish(len(chosen), f"{names[row]} as {names[column]}: {len(cell):,} of {of:,} images{first}")
    return grid.ax


# ---------------------------------------------------------------- weights


def weights(
    kernel: "ArrayLike | Sequential",
    *,
    n: int = 32,
    shape: tuple[int, int] = (28, 28),
    columns: int = 8,
    ax: Any = None,
) -> Any:
    """Draws what the first n units of the first layer look for, each as an image of its weights; returns the axes.

    kernel: (h * w, units), or a model, whose first dense layer is taken. Dark is negative, grey is near 0, light is
    positive, on one scale for all units; the largest 0.5 % of the weights lie beyond its ends.
    """
    values = _first_kernel(kernel)
    try:
        height, width = (whole("shape", side, 1) for side in shape)
    except (TypeError, ValueError):
        raise ValueError(f"shape must be (height, width) of the images, such as (28, 28), not {shape!r}") from None
    if values.ndim != 2 or len(values) != height * width:
        raise ValueError(
            f"kernel is a {describe(values)}: expected ({height * width}, units) for {height} x {width} pixels"
        )
    units = values.shape[1]
    pictures = values[:, : whole("n", n, 1)].T.reshape(-1, height, width)
    grid = _grid.make(ax, pictures, columns, [])
    reach = float(np.quantile(np.abs(pictures), 0.995)) or float(np.abs(pictures).max()) or 1.0
    for i, picture in enumerate(pictures):
        # Blue, grey, yellow: the map stays in order for colour-blind readers and in a grey print.
        drawn = grid.image(i, picture, "cividis", -reach, reach)
    which = f"The first {len(pictures)} of {units}" if len(pictures) < units else f"All {units}"
    grid.finish(len(pictures), f"{which} units: weights from the {height} x {width} pixels")
    beside = grid.ax.inset_axes([1.02, 0.0, 0.03, 1.0])
    beside.figure.colorbar(drawn, cax=beside, label="weight", extend="both")
    return grid.ax


def _first_kernel(value: "ArrayLike | Sequential") -> Array:
    """The matrix itself, or the kernel of the first layer of a model that has one."""
    if not hasattr(value, "layers"):
        return _checks.finite(value, "kernel")
    for layer in value.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            return np.asarray(kernel)
    raise wrong_type("kernel", value, "a matrix (pixels, units) or a model with a dense layer")
