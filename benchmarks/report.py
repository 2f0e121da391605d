"""Writes docs/benchmarks.md from the figures in `results/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from benchmarks.goals import Goal, goals
from benchmarks.paths import REPORT, ROOT
from benchmarks.results import Result, table

Render = Callable[[Result], str]

INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m benchmarks report`; edit benchmarks/report.py instead. -->

tamago beside its peers, measured in one run on one machine, over loopback. Do it yourself:

```console
$ python -m benchmarks setup       # gunicorn, uvicorn, granian, Egg, Redis and wrk, next to the benchmarks; nothing is installed elsewhere
$ python -m benchmarks all         # start, memory, reload, messenger, idle, http, websocket ...; one of them by its name
$ python -m benchmarks report      # writes this page
```

Every server runs the same file with the same interpreter and libraries; where something was measured several times, figures are medians,
and what is said of two servers is the median of what it was each time, as a machine may be twice as fast a minute later.
`realistic` imports FastAPI, pydantic, SQLAlchemy and httpx and defines models and routes with them. "Load before" is the machine's load
average when a measurement began: above one half, times are somebody else's as well.
"""

SECTIONS: Mapping[str, tuple[str, str]] = {
    "start": (
        "Start",
        (
            "Seconds from the command until every worker has answered a request. New connections arrive all the time, and each "
            "request blocks its worker, so a worker that joins is found at once; it says itself when its first request came. `last "
            "start-up ended` is when the last worker's lifespan start-up was over: a lower bound that depends on no client."
        ),
    ),
    "memory": (
        "Memory",
        (
            "Proportional set size of the whole tree of processes (`smaps_rollup`), 1.5 s after the last worker's start-up, and again "
            "after the requests. gunicorn's own asgi workers under --preload hold little more than ours do, and 0.65 of them would be "
            "half of what a forked interpreter makes its own just by running: each object it looks at has its count written, and so "
            "the page it is in copied."
        ),
    ),
    "reload": (
        "Reload",
        (
            "SIGHUP under steady load: requests are due at fixed moments, half of them on new connections, and latency counts from "
            "the moment one was due. `gunicorn --preload` is missing because its SIGHUP brings no new code."
        ),
    ),
    "messenger": (
        "Messenger",
        (
            "Text between a worker and the agent, through the master. `one way` counts messages a second until the receiver has the "
            "last one. `multiprocessing.Queue` and Redis connect two processes the same way; the bare relay copies bytes unread "
            "and shows what the machine allows at all. A round trip one at a time is bound by how fast the kernel wakes a process, "
            "and by the master's loop, which is asyncio's own, in Python (decision 4)."
        ),
    ),
    "idle": ("Idle", "CPU time of all processes while no request comes, as a share of one core."),
    "access-log": (
        "Access log",
        "CPU time a request over all processes without an access log, and with one in each of its formats, written to /dev/null.",
    ),
    "accept": (
        "Accepting",
        "A connection for each request, over workers that step back for one with fewer connections, and over workers that just accept.",
    ),
    "drain": (
        "Drain",
        (
            "All kinds of requests at once while workers are kicked, reloaded and recycled. A request is lost unless its answer is "
            "complete, correct and the only one; `told to ask again` are pipelined requests after an answer with `Connection: close`, and "
            "websockets that were closed with 1012."
        ),
    ),
    "connections": (
        "Connections",
        (
            "Private memory of one worker for each connection that is open and idle, after one answered request on each, and the CPU time "
            "the worker uses while nothing happens on any of them."
        ),
    ),
    "http": (
        "HTTP",
        (
            "CPU time a request over all processes of a server (robust on a busy machine), and requests a second with wrk on the same "
            "cores. `bare protocol` is httptools on uvloop with a Task a request and one fixed answer: what the machine allows at all. "
            "A native handler costs about 2 µs of Python beyond it: limits and framing are checked, the head is made, the request is "
            "counted and can be drained (decisions 32 and 34 are what made it so little)."
        ),
    ),
    "framework": (
        "Framework",
        (
            "CPU time a request over all processes: a plain answer, and a route with a parameter, a controller and a service whose result "
            "becomes JSON. The same two routes in each framework; `bare protocol` and Node's http do the work by hand. Egg is as it comes, "
            "with the plugins of any of its applications (sessions and security among them); and once more without those that tamago "
            "has not."
        ),
    ),
    "framework-start": (
        "Framework, start",
        (
            "From the command to the first answer, with one worker: the example blog with three plugins, SQLAlchemy and a database file, "
            "and Egg with two routes."
        ),
    ),
    "websocket": (
        "Websocket",
        "Text messages echoed by a plain ASGI application; each connection sends the next when the last one is back.",
    ),
}


def write(renders: Mapping[str, Render]) -> None:
    """Write the page, with a section for each benchmark that has figures."""
    parts = [INTRODUCTION]
    for name, render in renders.items():
        result = Result.load(name)
        parts.append("\n".join(_section(name, result, render)))
    REPORT.write_text("\n".join(parts))
    print(f"wrote {REPORT.relative_to(ROOT)}")


def _section(name: str, result: Result | None, render: Render) -> Iterator[str]:
    heading, explanation = SECTIONS[name]
    yield f"## {heading}\n\n{explanation}\n"
    if result is None:
        yield f"Not measured yet: `python -m benchmarks {name}`.\n"
        return
    yield f"{render(result)}\n"
    if result.notes:
        yield "Not measured:\n\n" + "".join(f"- {note}\n" for note in result.notes)
    if measured := goals(result):
        yield f"{table([_verdict(goal) for goal in measured], ['goal', 'measured', 'wanted', ''])}\n"
    machine = result.machine
    settings = ", ".join(f"{key} {value}" for key, value in result.settings.items() if not isinstance(value, dict))
    where = f"{machine['cores']} cores of {machine['cpu']}, Linux {machine['kernel']}, Python {machine['python']}"
    yield f"*{result.when}; {where}; {settings}.*\n"
    yield f"*Versions: {', '.join(f'{name} {version}' for name, version in sorted(result.versions.items()))}.*\n"


def _verdict(goal: Goal) -> list[str]:
    wanted = f"{'at least' if goal.at_least else 'at most'} {goal.limit:.3g}"
    return [goal.text, f"{goal.measured:.3g}", wanted, "met" if goal.is_met else "**missed**"]
