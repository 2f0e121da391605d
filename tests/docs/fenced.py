"""Finds the fenced blocks of a page, and runs the marked ones in order: `python -m tests.docs.fenced PAGE`.

- `<!-- run -->`: Python. All of a page share one namespace and one event loop, so that each may use what the ones before it made.
  `await` outside of a function works, as in the REPL of asyncio.
- `<!-- file app/router.py -->`: a file of the page's application, in the directory this runs in.
- `<!-- ask -->`: requests to that application and its answers; see `page_application`.
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

from tests.docs.page_application import PageApplication

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>run|ask|file (?P<file>\S+)) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block; `line` is that of its first line in the page. `mark` is "run", "ask", "file" or ""; `file` is that of the last."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    file: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield every fenced block of a page."""
    content = page.read_text()
    for match in _BLOCK.finditer(content):
        line = content.count("\n", 0, match.start("text")) + 1
        mark = (match["mark"] or "").partition(" ")[0]
        yield Block(page=page, line=line, language=match["language"], text=match["text"], mark=mark, file=match["file"] or "")


async def run(page: Path) -> None:
    """Run the marked blocks; whatever one of them raises comes through with the page and the line in its traceback."""
    namespace: dict[str, Any] = {"__name__": "__page__"}
    application = PageApplication(Path.cwd())
    try:
        for block in blocks(page):
            match block.mark:
                case "run":
                    await _execute(block, namespace)
                case "file":
                    application.write(block.file, block.text)
                case "ask":
                    await application.ask(block.text, where=f"{block.page.name}:{block.line}")
                case _:
                    pass
        await application.load()
    finally:
        await application.close()


async def _execute(block: Block, namespace: dict[str, Any]) -> None:
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, namespace)
    if inspect.isawaitable(result):
        await result


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
