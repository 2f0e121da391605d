"""A status as a tree with colours, for a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tamago.cli.status_view import COLUMNS, cells, heading

_COLOURS: Final = {
    "ready": "green",
    "booting": "yellow",
    "starting": "yellow",
    "reloading": "yellow",
    "draining": "cyan",
    "waiting": "yellow",
}


def show_trees(found: list[dict[str, Any]], *, clear: bool) -> None:
    """Print one tree for each cluster; `clear` begins with an empty screen."""
    console = Console()
    if clear:
        console.clear()
    for status in found:
        console.print(status_tree(status))


def status_tree(status: dict[str, Any]) -> Tree:
    """Return the master and, in a table below it, its processes."""
    bad = status.get("degraded") or status["state"] == "unknown"
    colour = "red" if bad else _COLOURS.get(status["state"], "white")
    tree = Tree(Text(heading(status), style=f"bold {colour}"))
    if "problem" in status:
        tree.add(Text(status["problem"], style="red"))
    if status["processes"]:
        table = Table(*(column.lower() for column in COLUMNS), box=SIMPLE_HEAD, pad_edge=False)
        for process in status["processes"]:
            row = [Text(cell) for cell in cells(process)]
            row[2].stylize(_COLOURS.get(str(process.get("state")), "red"))
            table.add_row(*row)
        tree.add(table)
    return tree
