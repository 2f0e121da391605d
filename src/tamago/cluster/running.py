"""Which clusters run on this machine, as told by their locks. Signals nobody and never looks at process titles."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tamago.cluster.home import run_root
from tamago.cluster.logical_path import logical_path
from tamago.cluster.private_dir import DirectoryError, open_private
from tamago.cluster.rundir import Owner, RunDir
from tamago.cluster.title import title_problem
from tamago.errors import ExitCode, TamagoError


class NotRunningError(TamagoError):
    """No such cluster runs."""

    exit_code: ClassVar[ExitCode] = ExitCode.NOT_RUNNING


class AmbiguousClusterError(TamagoError):
    """Several clusters run from the directory; `titles` names them."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, directory: str, titles: list[str]) -> None:
        super().__init__(
            f"{len(titles)} clusters run from {directory}: {', '.join(titles)}", hint=f"say which: --title {titles[0]}, or --all"
        )
        self.titles = titles


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A cluster whose lock is held."""

    title: str
    owner: Owner


def list_running(base: Path) -> list[Running]:
    """Return every running cluster, by title."""
    try:
        fd = open_private(run_root(base), create=False)
    except FileNotFoundError:
        return []
    try:
        titles = sorted(os.listdir(fd))
    finally:
        os.close(fd)
    found = (find_title(base, title) for title in titles)
    return [running for running in found if running is not None]


def find_title(base: Path, title: str) -> Running | None:
    """Return the cluster with this title if it runs."""
    if title_problem(title) is not None:
        return None
    try:
        with RunDir(base, title, create=False) as rundir:
            owner = rundir.read_owner()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except DirectoryError as error:
        if not os.path.isdir(error.path):
            return None
        raise
    return None if owner is None else Running(title=title, owner=owner)


def find(base: Path, *, title: str = "", directory: str = "", default_title: Callable[[], str] = str) -> Running:
    """Return the one cluster that is meant; raises `NotRunningError` or `AmbiguousClusterError`.

    A title says it all. A directory means the cluster started from there; among several the one with the title that `default_title`
    returns. A cluster of that title which runs from elsewhere is not meant: it is another checkout of the same project.
    """
    if title:
        running = find_title(base, title)
        if running is None:
            raise NotRunningError(f"{title} is not running", hint=_others(base))
        return running
    real = os.path.realpath(logical_path(directory))
    here = [running for running in list_running(base) if os.path.realpath(running.owner.directory) == real]
    if len(here) > 1:
        preferred = default_title()
        here = [running for running in here if running.title == preferred] or here
    if len(here) == 1:
        return here[0]
    if here:
        raise AmbiguousClusterError(real, [running.title for running in here])
    raise NotRunningError(f"no cluster runs from {real}", hint=_others(base))


def _others(base: Path) -> str:
    running = list_running(base)
    if not running:
        return f"nothing runs (looked in {base}); start it with `tamago start`"
    return "running are: " + ", ".join(f"{other.title} (from {other.owner.directory})" for other in running)
