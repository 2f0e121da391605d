"""`tamago new`: a project that starts, passes its own tests, and is yours from then on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tamago.cli.project import named
from tamago.cli.template import render
from tamago.errors import ExitCode, TamagoError


class Template(StrEnum):
    """What kind of project it becomes."""

    APP = "app"
    PLUGIN = "plugin"
    FASTAPI = "fastapi"


class DirectoryInUseError(TamagoError):
    """The project's directory has something in it, or is none."""

    exit_code = ExitCode.USAGE

    def __init__(self, directory: Path) -> None:
        what = "is not empty" if directory.is_dir() else "is not a directory"
        super().__init__(f"{directory} {what}, and nothing in it is overwritten", hint="choose another name, or move what is there")


class CannotWriteError(TamagoError):
    """The operating system refuses."""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the project, or a path whose last part is.", show_default=False)],
    *,
    template: Annotated[
        Template, typer.Option("--template", help="app: an application; plugin: for applications; fastapi: a FastAPI application.")
    ] = Template.APP,
) -> int:
    """Make a project.

    In a new or empty directory, with tests that pass. What is written is yours: nothing of it is ever updated.
    """
    directory = Path(name).resolve()
    project = named(directory.name, is_package=template is Template.PLUGIN)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryInUseError(directory)
    try:
        write(directory, render(template, project))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotWriteError(
            f"cannot write {error.filename or directory}: {reason}", hint="choose a directory you may write to"
        ) from None
    print(f"{project.name} is in {directory}\n\n{next_steps(name, template)}")
    return 0


def write(directory: Path, files: dict[str, str]) -> None:
    """Write the files; one that is there already raises FileExistsError."""
    for path, text in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8") as file:
            file.write(text)


def next_steps(directory: str, template: Template) -> str:
    """Say what to do now."""
    needs = " fastapi" if template is Template.FASTAPI else ""
    start = {Template.APP: "tamago start --env local", Template.PLUGIN: "", Template.FASTAPI: "tamago start"}[template]
    steps = [f"cd {directory}" if directory != "." else "", f"pip install 'tamago[testing]'{needs}", "pytest", start]
    return "\n".join(f"  {step}" for step in steps if step)
