"""Rows as aligned columns of text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def columns(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a line with the titles and one for each row, without the columns in which no row has anything.

    >>> list(columns(("NAME", "HOST", "PATH"), [("home", "", "/")]))
    ['NAME  PATH', 'home  /']
    """
    filled = list(rows)
    kept = [index for index in range(len(titles)) if any(row[index] for row in filled)]
    lines = [[row[index] for index in kept] for row in (titles, *filled)] if filled else [list(titles)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
