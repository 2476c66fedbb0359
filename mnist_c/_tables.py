"""Small tables of text, printed in columns or shown in Jupyter."""

from collections.abc import Iterable, Sequence

from ._lookup import wrong_type

Row = Sequence[str]


def as_text(header: Row, groups: Sequence[Sequence[Row]], align: str) -> str:
    """Columns as wide as their widest cell, with an empty line between groups of rows.

    align: "<" (left) or ">" (right) for each column.
    """
    rows = [header, *(row for group in groups for row in group)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Row) -> str:
        cells = zip(row, align, widths, strict=True)
        return "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip() + "\n"

    return (line(header) + "\n".join("".join(map(line, group)) for group in groups)).rstrip("\n")


def as_html(header: Row, groups: Sequence[Sequence[Row]], align: str, caption: str = "") -> str:
    """The same table in HTML, all texts escaped; each group is a <tbody>."""
    from html import escape  # here, so that `import mnist_c` stays light

    def line(row: Row, tag: str) -> str:
        cells = ""
        for text, side in zip(row, align, strict=True):
            where = "left" if side == "<" else "right"
            cells += f'<{tag} style="text-align: {where}">{escape(text)}</{tag}>'
        return f"<tr>{cells}</tr>\n"

    title = f"<caption>{escape(caption)}</caption>\n" if caption else ""
    bodies = "".join(f"<tbody>\n{''.join(line(row, 'td') for row in group)}</tbody>\n" for group in groups)
    return f"<table>\n{title}<thead>\n{line(header, 'th')}</thead>\n{bodies}</table>"


def class_titles(class_names: object, labels: Iterable[object]) -> list[str]:
    """What the classes are called in a table: their names or, if there are none, their labels.

    class_names: a name for each label, in the same order. Raises TypeError or ValueError.
    """
    titles = [str(label) for label in labels]
    if class_names is None:
        return titles
    if isinstance(class_names, (str, bytes)) or not isinstance(class_names, Iterable):
        raise wrong_type("class_names", class_names, "a list of names")
    names = [str(name) for name in class_names]
    if len(names) != len(titles):
        raise ValueError(
            f"class_names holds {len(names)} names, but there are {len(titles)} classes ({', '.join(titles)}): "
            "one name for each is needed"
        )
    return names
