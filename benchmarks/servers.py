"""The servers under comparison: how each is started, and what it can do. Starts none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.paths import APPS, VENV

TAMAGO: Final = "tamago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a server is asked to run."""

    app: str
    workers: int
    port: int
    agent: str | None = None
    certificate: Path | None = None
    """A PEM file with the certificate and its key: speak TLS."""

    def tls(self) -> list[str]:
        """Return the flags for that, which tamago and uvicorn call the same."""
        return ["--ssl-certfile", str(self.certificate), "--ssl-keyfile", str(self.certificate)] if self.certificate else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One way to serve an ASGI application.

    `preloads`: the application is imported once and forked. `reloads`: SIGHUP brings new code into service.
    `accepts_while_blocked`: a worker whose event loop is blocked goes on taking connections.
    """

    name: str
    command: Callable[[Job], list[str]]
    preloads: bool = False
    reloads: bool = True
    accepts_while_blocked: bool = False
    program: str

    @property
    def executable(self) -> Path:
        return VENV / "bin" / self.program


def _tamago(job: Job) -> list[str]:
    agent = ["--agent", job.agent] if job.agent else []
    return [
        "tamago", "start", str(APPS), "--app", job.app, *agent, "--workers", str(job.workers),
        "--bind", f"127.0.0.1:{job.port}", "--title", f"bench-{job.port}", "--log-level", "warning", *job.tls(),
    ]  # fmt: skip


def _gunicorn(*flags: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        return [
            "gunicorn", "--workers", str(job.workers), "--bind", f"127.0.0.1:{job.port}",
            "--log-level", "warning", "--no-control-socket", *flags, job.app,
        ]  # fmt: skip

    return command


def _bare(job: Job) -> list[str]:
    return ["python", str(APPS / "bare.py"), str(job.port), str(job.workers)]


def _uvicorn(job: Job) -> list[str]:
    return [
        "uvicorn", "--workers", str(job.workers), "--port", str(job.port), "--log-level", "warning", "--no-access-log", *job.tls(), job.app,
    ]  # fmt: skip


def _granian(*flags: str) -> Callable[[Job], list[str]]:
    def command(job: Job) -> list[str]:
        return [
            "granian", *flags, "--workers", str(job.workers), "--host", "127.0.0.1", "--port", str(job.port),
            "--log-level", "warning", job.app,
        ]  # fmt: skip

    return command


_ASGI = ("--worker-class", "asgi", "--asgi-loop", "uvloop")
_UVICORN_WORKER = ("--worker-class", "uvicorn_worker.UvicornWorker")

SERVERS: Final = {
    server.name: server
    for server in (
        Server(name=TAMAGO, program="tamago", command=_tamago, preloads=True),
        Server(name="gunicorn --preload (asgi)", program="gunicorn", command=_gunicorn(*_ASGI, "--preload"), preloads=True, reloads=False),
        Server(
            name="gunicorn --preload (uvicorn)",
            program="gunicorn",
            command=_gunicorn(*_UVICORN_WORKER, "--preload"),
            preloads=True,
            reloads=False,
        ),
        Server(name="gunicorn (asgi)", program="gunicorn", command=_gunicorn(*_ASGI)),
        Server(name="gunicorn (uvicorn)", program="gunicorn", command=_gunicorn(*_UVICORN_WORKER)),
        Server(name="uvicorn", program="uvicorn", command=_uvicorn),
        Server(name="granian", program="granian", command=_granian("--interface", "asgi", "--loop", "uvloop"), accepts_while_blocked=True),
    )
}

BARE: Final = Server(name="bare protocol", program="python", command=_bare)
GTHREAD: Final = Server(name="gunicorn (gthread)", program="gunicorn", command=_gunicorn("--worker-class", "gthread", "--threads", "8"))
GRANIAN_WSGI: Final = Server(name="granian (wsgi)", program="granian", command=_granian("--interface", "wsgi", "--blocking-threads", "8"))


def chosen(names: list[str], servers: Iterable[Server] = SERVERS.values()) -> list[Server]:
    """Return the servers whose names begin with one of `names` (all, if none is given) and that are installed."""
    return installed(server for server in servers if not names or server.name.startswith(tuple(names)))


def installed(servers: Iterable[Server]) -> list[Server]:
    """Return those that are installed, and name the others."""
    wanted = list(servers)
    for server in wanted:
        if not server.executable.exists():
            print(f"left out: {server.name} ({server.executable} is missing; run `python -m benchmarks setup`)")
    return [server for server in wanted if server.executable.exists()]
