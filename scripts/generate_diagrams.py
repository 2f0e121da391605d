"""Writes docs/reference/states.md and events.md from the code, so that neither can say what the code does not.

python scripts/generate_diagrams.py            write both pages
python scripts/generate_diagrams.py --check    write nothing; exit 1 if a page is not what the code says
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from tamago.cluster import events
from tamago.cluster.events import Command, Event
from tamago.cluster.states import CLUSTER_TRANSITIONS, PROCESS_TRANSITIONS, ClusterState, ProcessState

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTICE = "<!-- Written by scripts/generate_diagrams.py; edit that, or the code it reads. -->"

Table = Mapping[Any, Mapping[Any, Any]]

# What Egg's master hears and says, and what says it here. Names of events and commands are checked against the code.
EGG: tuple[tuple[str, str, tuple[type, ...], str], ...] = (
    (
        "`agent-start`",
        "the agent is ready; the first time, the workers are forked",
        (events.ProcessBooted, events.Activate),
        "`Activate` is a step of its own: while a reload runs, a new agent may be up and the old one still in office.",
    ),
    (
        "`agent-exit`",
        "the agent died; before READY the start fails, after it a new one is forked after 1 s",
        (events.ProcessExited,),
        "Before READY it ends the start as well. After READY the first death is repaired at once, repeated ones after growing pauses.",
    ),
    (
        "`app-start`",
        "a worker listens; the last one makes the cluster ready",
        (events.ProcessBooted, events.Activate),
        "It comes from the worker itself, once it accepts, and names the process, not a port.",
    ),
    (
        "`app-exit`",
        "a worker died; 60 deaths a minute lose its slot for good",
        (events.ProcessExited, events.ForkFailed),
        "No slot is ever lost: the pauses grow to 30 s and the state shows as degraded, unless `--max-restarts` says to give up.",
    ),
    (
        "`reload-worker`",
        "development only: all workers are replaced",
        (events.ReloadRequested,),
        "For production: a new generation, agent included, slot by slot, taken back if it does not boot. No worker can ask for it.",
    ),
    (
        "`realport`",
        "a worker tells the master which port it got",
        (),
        "None: the master binds before anything else starts and knows its addresses.",
    ),
    (
        "`egg-ready`",
        "the cluster is ready; told again to all workers whenever one restarts",
        (events.EnterState, events.TellReady),
        "Whoever embeds the cluster sees the state READY; each process is told once in its life.",
    ),
    (
        "`egg-pids`",
        "the pids of the agent to the workers, of the workers to the agent",
        (events.Activate, events.ProcessExited),
        "A live view: the `Peers` frame goes to every process when somebody comes or goes; `messenger.peers` shows it.",
    ),
)


def names(family: object) -> list[type]:
    """Return the classes of a union, in the order they stand in the file."""
    return list(get_args(family))


def diagram(table: Table, start: Enum) -> Iterator[str]:
    """Yield the lines of a Mermaid state diagram; steps between the same two states share an arrow."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {start.name}"
    for state, row in table.items():
        arrows: dict[Enum, list[str]] = {}
        for step, target in row.items():
            arrows.setdefault(target, []).append(step.value)
        for target, steps in arrows.items():
            yield f"    {state.name} --> {target.name}: {', '.join(steps)}"
        if not row:
            yield f"    {state.name} --> [*]"
    yield "```"


def grid(table: Table) -> Iterator[str]:
    """Yield the same as a table: a row a state, a column a step; an empty cell is a step that cannot happen there."""
    steps = list(dict.fromkeys(step for row in table.values() for step in row))
    yield "| | " + " | ".join(step.value for step in steps) + " |"
    yield "|---" * (len(steps) + 1) + "|"
    for state, row in table.items():
        cells = (row[step].name if step in row else "" for step in steps)
        yield f"| **{state.name}** | " + " | ".join(cells) + " |"


def sentence(kind: type) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def listing(family: object) -> Iterator[str]:
    """Yield a table of events or commands: name, fields, meaning."""
    yield "| name | carries | meaning |"
    yield "|---|---|---|"
    for kind in names(family):
        fields = ", ".join(f"`{field}`" for field in getattr(kind, "__dataclass_fields__", {}))
        yield f"| `{kind.__name__}` | {fields} | {sentence(kind)} |"


def states_page() -> str:
    """Return docs/reference/states.md."""
    return "\n".join(
        [
            NOTICE,
            "# States",
            "",
            "Everything that may follow from a state is in two tables of `tamago.cluster.states`. The diagrams below are drawn from them.",
            "A step that has no cell is a bug and raises `IllegalTransitionError`.",
            "",
            "## A process",
            "",
            "One *incarnation* in its slot (or the agent, or a nest): what dies is not revived, a new one takes its place.",
            "",
            *diagram(PROCESS_TRANSITIONS, ProcessState.WAITING),
            "",
            *grid(PROCESS_TRANSITIONS),
            "",
            "## The cluster",
            "",
            *diagram(CLUSTER_TRANSITIONS, ClusterState.STARTING),
            "",
            *grid(CLUSTER_TRANSITIONS),
            "",
        ]
    )


def events_page() -> str:
    """Return docs/reference/events.md."""
    rows = []
    for name, meaning, kinds, remark in EGG:
        ours = ", ".join(f"`{kind.__name__}`" for kind in kinds) or "none"
        rows.append(f"| {name} | {meaning} | {ours} | {remark} |")
    return "\n".join(
        [
            NOTICE,
            "# Events and commands",
            "",
            "The supervisor is a function: an event and the time go in, commands come out. The master turns what the kernel and the",
            "processes say into events, and carries the commands out. `process` is always the peer id of one incarnation.",
            "",
            "## Egg's events, and ours",
            "",
            "| in Egg | means | here | the difference |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Events: what happened",
            "",
            *listing(Event),
            "",
            "## Commands: what must be done",
            "",
            *listing(Command),
            "",
        ]
    )


def main() -> int:
    """Write the pages, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description="Writes docs/reference/states.md and events.md from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    check = parser.parse_args().check
    pages = {REFERENCE / "states.md": states_page(), REFERENCE / "events.md": events_page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path} is out of date: run python scripts/generate_diagrams.py", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[path], encoding="utf-8")
            print(f"wrote {path}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
