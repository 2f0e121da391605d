"""Commands of other packages: entry points of the group `tamago.commands`. One that does not load is named and left out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.main import get_command

GROUP = "tamago.commands"


class Plugins:
    """The commands of plugins, loaded when the name is not one of ours, or for the list of all."""

    def __init__(self) -> None:
        self._found: list[EntryPoint] | None = None
        self._commands: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        """Whether a command of that name has been loaded."""
        return name in self._commands

    def find(self, name: str, *, reserved: Container[str]) -> Any:
        """Return the command of this name, or None."""
        if name in self._commands:
            return self._commands[name]
        for entry in self._waiting():
            if entry.name == name:
                self._load(entry, reserved)
        # A function may have registered commands under any name.
        return self._commands.get(name) or self.load_all(reserved=reserved).get(name)

    def load_all(self, *, reserved: Container[str]) -> dict[str, Any]:
        """Load every plugin and return all their commands."""
        for entry in self._waiting():
            self._load(entry, reserved)
        return self._commands

    def _waiting(self) -> list[EntryPoint]:
        if self._found is None:
            self._found = list(entry_points(group=GROUP))
        return list(self._found)

    def _load(self, entry: EntryPoint, reserved: Container[str]) -> None:
        assert self._found is not None  # noqa: S101 - the entry is from there
        self._found.remove(entry)
        try:
            commands = commands_of(entry.name, entry.load())
        except Exception as error:  # noqa: BLE001 - whatever a plugin does, the other commands work
            _warn(entry, f"{type(error).__name__}: {error}")
            return
        for name, command in commands.items():
            if name in reserved or name in self._commands:
                _warn(entry, f"there is already a command {name}")
            else:
                self._commands[name] = command


def _warn(entry: EntryPoint, problem: str) -> None:
    package = entry.dist.name if entry.dist else entry.value
    print(f"tamago: warning: the command {entry.name} of {package} is left out: {problem}", file=sys.stderr)


def commands_of(name: str, loaded: Any) -> dict[str, Any]:
    """Turn what an entry point names into commands.

    A `typer.Typer` or a click command becomes the command `name`. A function is called with a fresh `typer.Typer`, and the commands it
    registers there keep their own names.
    """
    if isinstance(loaded, typer.Typer):
        return {name: _named(name, loaded)}
    if hasattr(loaded, "make_context") and hasattr(loaded, "main"):
        return {name: _adapted(name, loaded)}
    if callable(loaded):
        return _registered(loaded)
    raise TypeError(f"it is a {type(loaded).__name__}, not a typer.Typer, a click command or a function")


def _named(name: str, app: typer.Typer) -> Any:
    app._add_completion = False  # noqa: SLF001 - it is ours to offer, once
    command = get_command(app)
    command.name = name
    return command


def _registered(register: Callable[[typer.Typer], object]) -> dict[str, Any]:
    app = typer.Typer(add_completion=False)
    # With a callback typer makes a group of it, also where there is only one command.
    app.callback()(lambda: None)
    register(app)
    return dict(get_command(app).commands)  # type: ignore[attr-defined]


def _adapted(name: str, command: Any) -> Any:
    """Wrap a click command: typer may bring a click of its own, whose groups cannot hold the commands of the other one."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    help_text = getattr(command, "help", None) or ""

    def run(arguments: Annotated[list[str] | None, typer.Argument()] = None) -> int:
        result = command.main(args=arguments or [], prog_name=f"tamago {name}", standalone_mode=False)
        return result if isinstance(result, int) else 0

    settings = {"ignore_unknown_options": True, "help_option_names": []}
    app.command(name, help=help_text, context_settings=settings)(run)
    return get_command(app)
