"""CPU time a request through a framework: a plain answer, and a route with a parameter, a controller and a service that returns JSON."""

from __future__ import annotations

import argparse
import shutil
from typing import Final

from benchmarks.paths import APPS, EGG, HERE
from benchmarks.results import Result
from benchmarks.servers import BARE, SERVERS, TAMAGO, Job, Server
from benchmarks.throughput import Case, add_load_arguments, measured, rendered

_NODE: Final = shutil.which("node") or "node"


def _tamago(job: Job) -> list[str]:
    return [
        "tamago", "start", str(APPS / "items"), "--workers", str(job.workers), "--bind", f"127.0.0.1:{job.port}",
        "--title", f"bench-{job.port}", "--log-level", "warning",
    ]  # fmt: skip


def _on_uvicorn(name: str, app: str) -> Server:
    command = SERVERS["uvicorn"].command
    return Server(name=name, program="uvicorn", command=lambda job: command(Job(app=app, workers=job.workers, port=job.port)))


def _sanic(job: Job) -> list[str]:
    return [
        "sanic", "sanic_items:app", "--host", "127.0.0.1", "--port", str(job.port), "--workers", str(job.workers),
        "--no-access-logs", "--no-motd",
    ]  # fmt: skip


def _egg(job: Job) -> list[str]:
    scripts = EGG / "node_modules" / ".bin" / "egg-scripts"
    return [_NODE, str(scripts), "start", f"--port={job.port}", f"--workers={job.workers}", f"--title=bench-{job.port}", str(EGG / "items")]


def _stripped_egg(job: Job) -> list[str]:
    return [*_egg(job), "--env=stripped"]  # see config/plugin.stripped.js there


def _node(job: Job) -> list[str]:
    return [_NODE, str(HERE / "node" / "http_cluster.js"), str(job.port), str(job.workers)]


NODE: Final = "Node's http, by hand"
EGGS: Final = "Egg"
STRIPPED_EGG: Final = "Egg without its plugins"
SANIC: Final = "Sanic"
FASTAPI: Final = "FastAPI on uvicorn"
FRAMEWORKS: Final = (
    Server(name=TAMAGO, program="tamago", command=_tamago),
    BARE,
    Server(name=NODE, program=_NODE, command=_node),
    _on_uvicorn("BlackSheep on uvicorn", "blacksheep_items:app"),
    Server(name=SANIC, program="sanic", command=_sanic),
    Server(name=EGGS, program=_NODE, command=_egg),
    Server(name=STRIPPED_EGG, program=_NODE, command=_stripped_egg),
    _on_uvicorn(FASTAPI, "fastapi_items:app"),
)

PLAIN: Final = "plain text"
ROUTE: Final = "parameter, controller, service, JSON"
CASES: Final = (
    Case(name=PLAIN, app="", path="/plain", servers=FRAMEWORKS),
    Case(name=ROUTE, app="", path="/items/12345", servers=FRAMEWORKS),
)


def run(arguments: argparse.Namespace) -> Result:
    return measured("framework", CASES, arguments)


def render(result: Result) -> str:
    return rendered(result, CASES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_load_arguments(parser)
