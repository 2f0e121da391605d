"""One server, started for a measurement and ended after it: it and all its descendants, by pid, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import procfs
from benchmarks.paths import APPS, SCRATCH, VENV
from benchmarks.servers import Job, Server

POLL = 0.01  # seconds between looks at /proc: there is no descriptor that says "the tree changed"
GRACE = 15.0  # seconds a server gets to stop by itself


class MeasurementError(Exception):
    """A server did not do what the measurement waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started server. `started` is its start on the monotonic clock, which is the same in every process."""

    process: subprocess.Popen[bytes]
    port: int
    started: float
    marks_file: Path
    log_file: Path

    @property
    def seen_file(self) -> Path:
        """Where an application may write down what it saw (`BENCH_SEEN`)."""
        return self.marks_file.with_name("seen")

    @property
    def pid(self) -> int:
        return self.process.pid

    def tree(self) -> list[procfs.Process]:
        return procfs.tree(self.pid)

    def marks(self) -> dict[int, float]:
        """Return pid → moment its application finished its start-up, of all workers so far."""
        if not self.marks_file.exists():
            return {}
        lines = self.marks_file.read_text().splitlines()
        return {int(pid): float(at) for pid, at in (line.split() for line in lines)}

    def check(self) -> None:
        """Raise if the server ended."""
        if self.process.poll() is not None:
            raise MeasurementError(f"ended with {self.process.returncode}: {self.log_file.read_text()[-2000:]}")

    async def started_workers(self, count: int, *, within: float) -> dict[int, float]:
        """Wait until `count` workers finished their start-up; return the marks."""
        deadline = time.monotonic() + within
        while len(marks := self.marks()) < count:
            self.check()
            if time.monotonic() > deadline:
                raise MeasurementError(f"{len(marks)} of {count} workers after {within:.0f} s: {self.log_file.read_text()[-2000:]}")
            await asyncio.sleep(POLL)
        return marks


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    server: Server,
    *,
    app: str,
    workers: int,
    agent: str | None = None,
    grace: float = GRACE,
    environment: Mapping[str, str] | None = None,
    tls: bool = False,
) -> AsyncIterator[Running]:
    """Start `server` on a free port; end it and everything it started on the way out, by force after `grace` seconds."""
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as directory:
        here = Path(directory)
        port = free_port()
        certificate = make_certificate(here) if tls else None
        command = server.command(Job(app=app, workers=workers, port=port, agent=agent, certificate=certificate))
        variables = {
            "PATH": f"{VENV / 'bin'}:/usr/bin:/bin",
            "HOME": directory,
            "TAMAGO_HOME": directory,
            "BENCH_MARKS": str(here / "marks"),
            "BENCH_SEEN": str(here / "seen"),
            **(environment or {}),
        }
        with (here / "log").open("wb") as log:
            started = time.monotonic()
            process = subprocess.Popen(  # noqa: ASYNC220  its pid must be known when it starts, and the harness has nothing else to do
                [VENV / "bin" / command[0], *command[1:]],
                cwd=APPS, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            yield Running(process=process, port=port, started=started, marks_file=here / "marks", log_file=here / "log")
        finally:
            await end(process, grace)


def make_certificate(directory: Path) -> Path:
    """Make a certificate for localhost, signed by itself, with its key in the same file."""
    path = directory / "certificate.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    made = subprocess.run(["openssl", "req", "-x509", *kind, "-keyout", path, "-out", path], capture_output=True, check=False)
    if made.returncode:
        raise MeasurementError(f"no certificate: {made.stderr.decode()}")
    return path


async def end(process: subprocess.Popen[bytes], grace: float) -> None:
    """Ask it to stop, wait, and kill what is left of its tree."""
    family = procfs.tree(process.pid)
    if process.poll() is None:
        process.terminate()
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        process.poll()  # reap it
        if not any(procfs.is_alive(member) for member in family):
            return
        await asyncio.sleep(POLL)
    for member in {*family, *procfs.tree(process.pid)}:
        if procfs.is_alive(member):
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
    process.wait()
