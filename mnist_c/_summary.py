"""The table that `Sequential.summary` prints, as Keras draws it."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._structure import Structure

_ASCII = str.maketrans("┏┳┓┡╇┩├┼┤└┴┘━─┃│", "++++++++++++=-||")
_TITLES = ("Layer (type)", "Output Shape", "Param #")


def _row(cells: list[str], widths: list[int], bar: str) -> str:
    texts = [f" {c:<{w}} " if i < 2 else f" {c:>{w}} " for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return bar + bar.join(texts) + bar


def _line(widths: list[int], left: str, middle: str, right: str, dash: str) -> str:
    return left + middle.join(dash * (w + 2) for w in widths) + right


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} GB"


def _can_draw() -> bool:
    try:
        "┏━│".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def summary(model: "Structure", line_length: int = 72) -> str:
    """The table as text. Parameters of a model that is not built yet are shown as 0 (unbuilt)."""
    built = model.built
    rows = [
        [
            f"{layer.name} ({type(layer).__name__})",
            str((None, *model._state.plan.output_shapes[layer])) if built else "?",
            f"{layer.count_params():,}" if built else "0 (unbuilt)",
        ]
        for layer in model.layers
    ]
    sizes = model._state.sizes() if built else []
    total, trainable = sum(size for size, _ in sizes), sum(size for size, trains in sizes if trains)
    room = line_length - 10
    widths = [max(len(cells[i]) for cells in [list(_TITLES), *rows]) for i in range(3)]
    spare = max(0, room - sum(widths))
    widths = [widths[0] + spare // 2, widths[1] + spare - spare // 2, widths[2]]
    lines = [f'Model: "{model.name}"', _line(widths, "┏", "┳", "┓", "━"), _row(list(_TITLES), widths, "┃")]
    lines.append(_line(widths, "┡", "╇", "┩", "━"))
    for i, cells in enumerate(rows):
        if i:
            lines.append(_line(widths, "├", "┼", "┤", "─"))
        lines.append(_row(cells, widths, "│"))
    lines.append(_line(widths, "└", "┴", "┘", "─"))
    size = 8 if model.dtype == "float64" else 4
    for title, count in (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable)):
        lines.append(f" {title} params: {count:,} ({_bytes(count * size)})")
    text = "\n".join(lines)
    return text if _can_draw() else text.translate(_ASCII)
