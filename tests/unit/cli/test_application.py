"""The command group: what it offers, and what it says to mistakes."""

from __future__ import annotations

from importlib import import_module

import pytest
from tests.unit.cli.command import Tamago

from tamago.cli.commands import COMMANDS
from tamago.cluster.settings import KNOBS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (["statsu"], "no such command 'statsu'", "did you mean status?"),
        (["xyzzy"], "no such command 'xyzzy'", "see `tamago --help`"),
        (["start", "--workes", "2"], "no such option: --workes", "did you mean --workers?"),
        (["start", "--color", "blue"], "no such option: --color", "see `tamago start --help`"),
        (["start", "--xyzzy"], "no such option: --xyzzy", "see `tamago start --help`"),
        (["start", "a", "b"], "got unexpected extra argument", "see `tamago start --help`"),
        (["start", "--workers"], "requires an argument", "see `tamago start --help`"),
        (["kick", "x"], "invalid value for 'SLOT': 'x' should be a valid integer", "see `tamago kick --help`"),
        (["kick", "0"], "invalid value for 'SLOT': '0' should be greater than or equal to 1", "see `tamago kick --help`"),
        (["scale", "-1"], "-1 looks like an option", "goes after --: tamago scale -- -1"),
        (["scale"], "missing argument", "see `tamago scale --help`"),
        (["scale", "many"], "'many' is no number of workers", "for example"),
    ],
)
def test_a_mistake_on_the_command_line_is_two_lines_and_exit_code_2(tamago: Tamago, arguments: list[str], problem: str, hint: str) -> None:
    result = tamago.run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith("tamago: ")
    assert problem in first
    assert hint in second


def test_the_help_lists_every_command_in_plain_text_where_nobody_looks(tamago: Tamago) -> None:
    result = tamago.run("--help")
    assert result.returncode == 0
    assert result.stdout.isascii()
    for command in COMMANDS:
        assert f"  {command} " in result.stdout


def test_without_arguments_the_help_is_shown_and_the_exit_code_is_that_of_a_mistake(tamago: Tamago) -> None:
    result = tamago.run()
    assert result.returncode == 2
    assert "Commands:" in result.stdout + result.stderr


def test_the_help_of_start_has_every_setting(tamago: Tamago) -> None:
    text = tamago.run("start", "--help", COLUMNS="200").stdout
    shown = text.split()
    missing = [flag for knob in KNOBS.values() for flag in (knob.flag, knob.opposite_flag) if flag and flag not in shown]
    assert missing == ["--directory"]


def test_the_version_is_told(tamago: Tamago) -> None:
    result = tamago.run("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("tamago 0.")


def test_the_shell_can_complete_commands_and_flags(tamago: Tamago) -> None:
    complete = {"_TAMAGO_COMPLETE": "complete_bash"}
    assert tamago.run(COMP_WORDS="tamago st", COMP_CWORD="1", **complete).stdout.split() == ["start", "stop", "status"]
    assert tamago.run(COMP_WORDS="tamago start --max-req", COMP_CWORD="2", **complete).stdout.split() == [
        "--max-requests",
        "--max-requests-jitter",
    ]
    assert "tamago" in tamago.run("--show-completion", SHELL="/bin/bash").stdout


@pytest.mark.parametrize("place", COMMANDS.values())
def test_every_command_says_what_it_does(place: str) -> None:
    module, _, name = place.partition(":")
    assert getattr(import_module(module), name).__doc__
