"""The wall clock may jump by an hour either way: nothing that is waited for, measured or decided may depend on it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tamago

_SOURCE = Path(tamago.__file__).parent
# Who may look at the wall clock, and for what: all of it is written down for people.
_ALLOWED = {
    "cluster/master.py": {"_open", "note_signal", "_step", "_entered"},  # the trace, state.json
    "cluster/shell.py": {"_note"},  # the trace
    "cluster/certificates.py": {"_check_dates"},  # a warning: certificates are valid by the calendar
    "server/access_line.py": {"__call__"},  # when a request came
    "server/access_log.py": {"__init__", "_flush_later"},  # the same
    "server/http_server.py": {"_tell_time"},  # the field Date
}
_WALL = {"time", "time_ns", "localtime", "gmtime", "ctime"}
_PACKAGES = ("cluster", "cli", "ipc", "server")


def uses_of_the_wall_clock(path: Path) -> set[str]:
    """The functions in a file that call `time.time()` and its like, or datetime's now()."""
    found: set[str] = set()
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Attribute)]
            if any(_is_wall(call) for call in calls):
                found.add(getattr(function, "name", "*"))
    return found


def _is_wall(node: ast.Attribute) -> bool:
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    return (module == "time" and node.attr in _WALL) or (module in {"datetime", "date"} and node.attr in {"now", "utcnow", "today"})


FILES = [path for package in _PACKAGES for path in sorted((_SOURCE / package).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(_SOURCE)))
def test_no_deadline_looks_at_the_wall_clock(path: Path) -> None:
    name = str(path.relative_to(_SOURCE))
    allowed = _ALLOWED.get(name, set())
    used = uses_of_the_wall_clock(path) - {"*"}
    assert used <= allowed, f"{name}: {used - allowed} look at the wall clock; use time.monotonic()"


def test_a_file_imports_no_clock_by_a_name_of_its_own() -> None:
    """`from time import time` would hide a use from the test above."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                assert not _WALL & {alias.name for alias in node.names}, path


def test_the_exceptions_are_still_needed() -> None:
    for name, functions in _ALLOWED.items():
        assert functions <= uses_of_the_wall_clock(_SOURCE / name), name
