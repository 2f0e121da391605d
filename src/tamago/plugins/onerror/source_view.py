"""A few lines of source as HTML: numbered, in colours, the running part marked."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from html import escape
from itertools import groupby

from tamago.plugins.onerror.frames import Frame
from tamago.plugins.onerror.highlight import Span, spans


def code_block(frame: Frame) -> str:
    """Return the lines around the one that was running."""
    colours = spans(linecache.getlines(frame.file))
    indent = min((len(line) - len(line.lstrip()) for line in frame.code if line.strip()), default=0)
    lines: list[str] = []
    for number, text in enumerate(frame.code, frame.first):
        running = number == frame.line
        marked = (frame.start, frame.end) if running and frame.start is not None and frame.end is not None else None
        html = _line(text, colours.get(number, ()), marked, indent)
        lines.append(f"<li{' class=here' if running else ''} data-n={number}><code>{html or ' '}</code></li>")
    return f"<ol class=code>{''.join(lines)}</ol>"


def _line(text: str, tokens: Sequence[Span], marked: tuple[int, int] | None, indent: int) -> str:
    """Return the line without its first `indent` characters."""
    kinds = [""] * len(text)
    for start, end, kind in tokens:
        for column in range(start, min(end, len(text))):
            kinds[column] = kind
    if marked is not None and marked != (len(text) - len(text.lstrip()), len(text.rstrip())):
        # To mark the whole line would say nothing.
        for column in range(marked[0], min(marked[1], len(text))):
            kinds[column] += " m"
    html: list[str] = []
    for kind, columns in groupby(range(indent, len(text)), key=kinds.__getitem__):
        piece = escape("".join(text[column] for column in columns), quote=False)
        html.append(f'<span class="{kind.strip()}">{piece}</span>' if kind else piece)
    return "".join(html)
