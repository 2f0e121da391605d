"""Finds the fenced blocks of a page, and runs those marked with `<!-- run -->`: `python fenced.py PAGE`.

The marked blocks of a page run in order, in one namespace and on one event loop, so that each may use what the ones before it made.
`await` outside of a function works, as in the REPL of asyncio.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^(?P<mark><!-- run -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block; `line` is that of its first line in the page."""

    page: Path
    line: int
    language: str
    text: str
    marked: bool


def blocks(page: Path) -> Iterator[Block]:
    """Yield every fenced block of a page."""
    content = page.read_text()
    for match in _BLOCK.finditer(content):
        line = content.count("\n", 0, match.start("text")) + 1
        yield Block(page=page, line=line, language=match["language"], text=match["text"], marked=bool(match["mark"]))


async def run(page: Path) -> None:
    """Run the marked blocks; whatever one of them raises comes through with the page and the line in its traceback."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks(page):
        if block.marked:
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, namespace)
            if inspect.isawaitable(result):
                await result


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
