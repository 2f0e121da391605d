"""A status as a tree with colours, for a terminal."""

from __future__ import annotations

from typing import Any, Final

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
_ALWAYS: Final = ("PROCESS", "PID", "STATE", "UPTIME", "REQUESTS")


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
        tree.add(_table(status["processes"]))
    return tree


def _table(processes: list[dict[str, Any]]) -> Table:
    rows = [cells(process) for process in processes]
    # A column in which nothing happened only takes room from the others.
    shown = [index for index, column in enumerate(COLUMNS) if column in _ALWAYS or any(row[index] not in ("", "0") for row in rows)]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for index in shown:
        table.add_column(COLUMNS[index].lower(), no_wrap=True)
    for process, row in zip(processes, rows, strict=True):
        colour = _COLOURS.get(str(process.get("state")), "red")
        table.add_row(*(Text(row[index], style=colour if COLUMNS[index] == "STATE" else "") for index in shown))
    return table
