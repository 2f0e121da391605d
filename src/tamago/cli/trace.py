"""`tamago trace`: how a start or a reload went, drawn from what the master recorded."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from tamago.cli.choice import Directory, Title, base, title_of
from tamago.cli.output import is_terminal, terminal_width
from tamago.cluster import trace_view
from tamago.cluster.home import run_root
from tamago.cluster.rundir import TRACE


class Form(StrEnum):
    """How a trace is shown."""

    TIMELINE = "timeline"
    JSON = "json"
    MERMAID = "mermaid"


def trace(
    directory: Directory = ".",
    *,
    title: Title = "",
    form: Annotated[Form, typer.Option("--format", help="How to show it.")] = Form.TIMELINE,
    generation: Annotated[int, typer.Option(metavar="N", min=1, help="1 is the start, each reload makes one more.")] = 1,
    everything: Annotated[
        bool, typer.Option("--all", help="Every step of every process; with --format mermaid: all that was recorded.")
    ] = False,
) -> int:
    """Show how the start went.

    Who started when, what each process spent its time on, and its slowest steps; works also after the cluster ended.
    """
    records = trace_view.load(run_root(base()) / title_of(directory, title) / TRACE)
    if form is Form.JSON:
        text = trace_view.as_json(records, generation=generation)
    elif form is Form.MERMAID:
        text = trace_view.mermaid(records, generation=generation, all=everything)
    else:
        text = trace_view.timeline(records, terminal_width() if is_terminal() else 100, generation=generation, all=everything)
    print(text.rstrip("\n"))
    return 0
