"""Other packages may add commands; one that does not load never breaks the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.command import Tamago

pytestmark = pytest.mark.slow

MODULE = '''
import typer

app = typer.Typer()

@app.command()
def only(name: str, *, loud: bool = False):
    """Greet somebody."""
    print("HELLO" if loud else "hello", name)
    raise typer.Exit(5)

def register(app):
    @app.command("first")
    def first():
        """The first of two."""
        print("first")

    @app.command("second")
    def second():
        print("second")

def not_ours(app):
    @app.command("stop")
    def stop():
        print("hijacked")

class Click:
    """A click command, as far as it is called."""
    help = "An old friend."
    def make_context(self): ...
    def main(self, args, prog_name, standalone_mode):
        print(prog_name, args)
        return 6

click_command = Click()
number = 3

def explode(app):
    raise RuntimeError("no luck today")
'''
ENTRIES = """[tamago.commands]
greet = plugin_module:app
pair = plugin_module:register
old = plugin_module:click_command
stop = plugin_module:not_ours
missing = no_such_module:app
absent = plugin_module:nothing
number = plugin_module:number
explode = plugin_module:explode
"""


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """A package with commands, installed in a directory of its own; returns the environment that has it."""
    target = tmp_path / "target"
    info = target / "tamago_friends-1.0.dist-info"
    info.mkdir(parents=True)
    (target / "plugin_module.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tamago-friends\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    return {"PYTHONPATH": str(target)}


def test_a_typer_app_becomes_the_command_of_its_entry_point(tamago: Tamago, plugin: dict[str, str]) -> None:
    result = tamago.run("greet", "you", "--loud", **plugin)
    assert (result.stdout, result.returncode, result.stderr) == ("HELLO you\n", 5, "")


def test_a_function_registers_commands_under_their_own_names(tamago: Tamago, plugin: dict[str, str]) -> None:
    assert tamago.run("first", **plugin).stdout == "first\n"
    assert tamago.run("second", **plugin).stdout == "second\n"


def test_a_click_command_gets_its_arguments_as_they_are(tamago: Tamago, plugin: dict[str, str]) -> None:
    result = tamago.run("old", "--help", "-x", "--y=1", "z", **plugin)
    assert (result.stdout, result.returncode) == ("tamago old ['--help', '-x', '--y=1', 'z']\n", 6)


def test_broken_plugins_are_named_and_the_others_work(tamago: Tamago, plugin: dict[str, str]) -> None:
    result = tamago.run("--help", **plugin)
    assert result.returncode == 0
    for name in ("start", "greet", "first", "second", "old"):
        assert f"\n  {name}" in result.stdout
    assert "An old friend." in result.stdout
    warnings = result.stderr.splitlines()
    assert all(line.startswith("tamago: warning: the command ") and "of tamago-friends is left out: " in line for line in warnings)
    assert {line.split()[4] for line in warnings} == {"stop", "missing", "absent", "number", "explode"}
    assert "no luck today" in result.stderr


def test_a_plugin_cannot_take_the_place_of_one_of_our_commands(tamago: Tamago, plugin: dict[str, str]) -> None:
    assert tamago.run("stop", **plugin).returncode == 3


def test_our_own_commands_do_not_even_load_plugins(tamago: Tamago, plugin: dict[str, str]) -> None:
    result = tamago.run("config", **plugin)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_plugins_command_is_suggested_as_well(tamago: Tamago, plugin: dict[str, str]) -> None:
    assert tamago.run("grete", **plugin).stderr.splitlines()[-1] == "did you mean greet?"


def test_a_mistake_with_a_plugins_command_is_told_like_one_with_ours(tamago: Tamago, plugin: dict[str, str]) -> None:
    result = tamago.run("greet", "you", "--luod", **plugin)
    assert (result.returncode, result.stderr) == (2, "tamago: no such option: --luod\ndid you mean --loud?\n")
    assert tamago.run("greet", "you", "me", **plugin).stderr.endswith("\nsee `tamago greet --help`\n")


def test_help_of_a_plugins_command(tamago: Tamago, plugin: dict[str, str]) -> None:
    assert "Greet somebody." in tamago.run("greet", "--help", **plugin).stdout
