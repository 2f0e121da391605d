"""For commands that look into an application: imports it in this process, without an event loop and without a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from tamago.cluster.settings import Settings
from tamago.cluster.settings_sources import load
from tamago.cluster.target import is_framework_application
from tamago.errors import ExitCode, TamagoError
from tamago.user_traceback import summary, user_traceback

AppDirectory = Annotated[str, typer.Argument(metavar="[DIR]", help="Directory of the application (default: this one).", show_default=False)]
Env = Annotated[str, typer.Option("--env", metavar="NAME", help="For which environment (default: the one a start would use).")]


class NoFrameworkApplicationError(TamagoError):
    """The directory holds no application of the framework."""

    exit_code = ExitCode.USAGE

    def __init__(self, directory: str) -> None:
        super().__init__(
            f"{directory} is no application of the framework: it has no directories app/ and config/",
            hint="name the directory of one, or make one with `tamago new`",
        )


class BrokenApplicationError(TamagoError):
    """The application's own code failed."""


def settings_of(directory: str, env: str) -> Settings:
    """Return the settings a start would have. Raises NoFrameworkApplicationError."""
    return require_framework(load(directory, os.environ, {"env": env} if env else {}).settings)


def require_framework(settings: Settings) -> Settings:
    """Return the settings if they are of an application of the framework. Raises NoFrameworkApplicationError."""
    if settings.app or not (settings.framework or is_framework_application(Path(settings.directory))):
        raise NoFrameworkApplicationError(settings.directory)
    return settings


def load_application(settings: Settings, kind: str = "Application") -> Any:
    """Import the framework and the whole application, and return its Application or Agent; nothing of it runs.

    Raises BrokenApplicationError, and the framework's own errors.
    """
    with users_code():
        return framework_of(settings, kind).load(settings.directory, env=settings.env)


def framework_of(settings: Settings, kind: str = "Application") -> Any:
    """Return the framework's class that is called so."""
    place = settings.directory
    if place not in sys.path:
        sys.path.insert(0, place)
    return getattr(import_module(settings.framework or "tamago.app"), kind)


@contextmanager
def users_code() -> Iterator[None]:
    """Have what the application prints beside our own result, and what it raises shown as its own failure."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except TamagoError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it does
        problem = f"the application could not be loaded: {summary(error)}"
        raise BrokenApplicationError(problem, hint="correct the line above", detail=user_traceback(error)) from None
