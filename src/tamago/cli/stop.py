"""`tamago stop`: end clusters, and be sure that they are gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

from tamago.cli.choice import AsJson, Directory, Title, base, choose
from tamago.cli.declared import Option
from tamago.cli.output import Progress, print_json
from tamago.cli.stopping import Stopped, stop_cluster
from tamago.cluster.running import NotRunningError, Running, list_running
from tamago.errors import ExitCode


def stop(
    directory: Directory = ".",
    *,
    title: Title = "",
    everything: Annotated[bool, Option(flag="--all", help="Stop every cluster of this user.")] = False,
    timeout: Annotated[
        float | None,
        Option(flag="--timeout", metavar="SECONDS", low=0, help="How long each process may finish; instead of the cluster's stop_timeout."),
    ] = None,
    now: Annotated[bool, Option(flag="--now", help="Do not let anything finish.")] = False,
    json: AsJson = False,
) -> int:
    """Stop a cluster.

    Finishes what is in flight, ends every process, and returns when all is gone. Exit code 1: something had to be killed.
    """
    running = list_running(base()) if everything else [choose(directory, title)]
    if not running:
        raise NotRunningError("no cluster is running", hint=f"looked in {base()}; start one with `tamago start`")
    with Progress() as progress:

        def stop_one(one: Running) -> Stopped:
            return stop_cluster(base(), one, timeout=timeout, now=now, say=progress.show)

        stopped = [stop_one(running[0])] if len(running) == 1 else _at_once(stop_one, running)
    if json:
        print_json(stopped)
    else:
        for one in stopped:
            print(_sentence(one))
    return int(ExitCode.FAILED if any(one.killed for one in stopped) else ExitCode.OK)


def _at_once(stop_one: Callable[[Running], Stopped], running: list[Running]) -> list[Stopped]:
    with ThreadPoolExecutor(max_workers=len(running)) as pool:
        return list(pool.map(stop_one, running))


def _sentence(stopped: Stopped) -> str:
    how = f"; {stopped.killed} of its processes had to be killed" if stopped.killed else ""
    return f"{stopped.title} is stopped after {stopped.seconds:.1f} s{how}"
