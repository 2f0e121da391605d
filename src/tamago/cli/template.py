"""Fills in the templates of projects, which lie beside this module. They end in `.tmpl`, so that nothing takes them for code of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from tamago.cli.project import Project

_SUFFIX: Final = ".tmpl"
_PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")
_RENAMED: Final = {"gitignore": ".gitignore"}
"""Files whose names mean something where they lie."""


def render(template: str, project: Project) -> dict[str, str]:
    """Return path and text of every file of a template."""
    values = {"name": project.name, "package": project.package, "plugin": project.plugin, "class": project.class_prefix}
    found = _walk(files("tamago.cli") / "templates" / template, "")
    return {
        path.replace("__package__", project.package).replace("__plugin__", project.plugin): _PLACEHOLDER.sub(
            lambda match: values[match[1]], text
        )
        for path, text in sorted(found)
    }


def _walk(directory: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            name = entry.name.removesuffix(_SUFFIX)
            yield prefix + _RENAMED.get(name, name), entry.read_text("utf-8")
