"""The quick way to read a short command means what the full parser means, or leaves it to that."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tamago.cli.commands import PLAIN, command_function
from tamago.cli.plain_call import read_plainly
from tamago.cli.typer_command import typer_command


def full_parser(name: str) -> Any:
    """Return a parser for the command that returns what the command would be called with."""

    @functools.wraps(command_function(name))
    def read(**arguments: Any) -> dict[str, Any]:
        return arguments

    return typer_command(name, read)


FULL = {name: full_parser(name) for name in PLAIN}
FLAGS = ["--title", "--json", "--all", "--now", "--timeout", "--watch", "--interval"]
VALUES = [
    "",
    "x",
    "4",
    "0",
    "007",
    "0.05",
    "2.5",
    "1e3",
    "nan",
    "+4",
    "4_0",
    "٤",
    " 4",
    "-",
    "--",
    "-5",
    "--tit",
    "--help",
    "a=b",
    "--title=",
]
WORDS = st.one_of(
    st.sampled_from(FLAGS),
    st.tuples(st.sampled_from(FLAGS), st.sampled_from(VALUES)).map("=".join),
    st.sampled_from(VALUES),
)


@given(st.sampled_from(sorted(PLAIN)), st.lists(WORDS, max_size=5))
def test_what_is_read_quickly_is_read_the_same_by_the_full_parser(name: str, words: list[str]) -> None:
    command = command_function(name)
    quick = read_plainly(command, words)
    if quick is None:
        return
    defaults = {"directory": ".", **(command.__kwdefaults__ or {})}
    assert defaults | quick == FULL[name].main(args=words, standalone_mode=False)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("status", ["--help"]),
        ("status", ["a", "b"]),
        ("status", ["--interval", "0.05"]),
        ("status", ["--json=1"]),
        ("status", ["--titel", "shop"]),
        ("stop", ["--title"]),
        ("stop", ["--title", "-x"]),
        ("stop", ["--timeout", "soon"]),
        ("stop", ["--"]),
        ("kick", []),
        ("kick", ["0"]),
        ("kick", ["1.5"]),
        ("scale", ["-1"]),
    ],
)
def test_what_is_not_plain_is_left_to_the_full_parser(name: str, words: list[str]) -> None:
    assert read_plainly(command_function(name), words) is None


@pytest.mark.parametrize(
    ("name", "words", "arguments"),
    [
        ("status", [], {}),
        ("status", ["shop", "--json", "--interval=2"], {"directory": "shop", "json": True, "interval": 2.0}),
        ("stop", ["--all", "--timeout", "7", "--now"], {"everything": True, "timeout": 7.0, "now": True}),
        ("reload", ["--title=shop"], {"title": "shop"}),
        ("scale", ["+2", "shop"], {"workers": "+2", "directory": "shop"}),
        ("kick", ["3"], {"slot": 3}),
    ],
)
def test_what_is_plain_is_read(name: str, words: list[str], arguments: dict[str, Any]) -> None:
    assert read_plainly(command_function(name), words) == arguments


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PLAIN))
def test_a_short_command_loads_neither_a_command_line_library_nor_the_settings(name: str, tmp_path: Path) -> None:
    # Probes run them every few seconds. Without a cluster they end as soon as they have looked for it.
    program = (
        "import sys\n"
        "from tamago.cli.main import run\n"
        f"assert run([{name!r}, *{['1'] if name in ('scale', 'kick') else []}, '--title', 'nobody']) == 3\n"
        "print(sorted({'typer', 'pydantic', 'rich', 'asyncio', 'tamago.cluster.settings'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], env={"TAMAGO_HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
