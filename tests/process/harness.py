"""Runs the installed `tamago` in real processes and proves in the end that nothing of it is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from tests.process import proc
from tests.process.http_client import Answer, Connection, Place, get
from tests.process.site import TAMAGO, Site
from tests.process.transcript import Transcript

from tamago.cluster.control_client import ControlClient

# The one place that knows how the log says these things.
READY = r"\bready\b.*?(?P<address>https?://\S+|unix:\S+)"
_SERVES = r"\bgeneration {} serves"
_ADDRESS = re.compile(r"https?://\[?(?P<host>[^\]/]+?)\]?:(?P<port>\d+)/?$")
_OUR_WARNING = re.compile(r"/tamago/\S+:\d+: \w+Warning: ")
_PATIENCE = 20.0


class Cluster:
    """One `tamago start` in the foreground. Its output and that of all its processes is one pipe."""

    def __init__(self, site: Site, process: subprocess.Popen[bytes], title: str) -> None:
        assert process.stdout is not None
        self.site = site
        self.title = title
        self.process = process
        self.output = Transcript(process.stdout)
        self.places: list[Place] = []
        self.may_leave_sockets = False
        self.checked = False

    @property
    def pid(self) -> int:
        """The master's."""
        return self.process.pid

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def wait_ready(self) -> Cluster:
        """Block until the log says that every worker serves, and learn where."""
        line = self.output.expect(READY)[0].string
        self.places = [place_of(address) for address in re.findall(r"https?://[^\s,]+|unix:[^\s,]+", line)]
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the master."""
        self.process.send_signal(number)

    def begin_stop(self) -> None:
        """SIGTERM, and return once the master has seen it."""
        self.signal(signal.SIGTERM)
        self.expect(r"\bstopping\b")

    def stop(self) -> int:
        """SIGTERM, then wait for everything; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Block until the master exited and nobody holds its output any more; return the exit code."""
        code = self.process.wait()
        self.output.wait_end()
        return code

    def kill_master(self) -> None:
        """SIGKILL the master and reap it. Its control socket cannot but stay behind."""
        self.may_leave_sockets = True
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        """At the end of a test: stop it if it still runs, which must succeed, and see the last process that holds its output gone."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            code = self.process.wait(_PATIENCE)
            assert code == 0, f"the stop at the end of the test ended with {code}:\n{self.output.text}"
        assert self.output.wait_end(_PATIENCE), f"still there after the master: {self.holders()}\n{self.output.text}"
        assert "a bug in tamago" not in self.output.text, self.output.text
        assert not _OUR_WARNING.search(self.output.text), self.output.text

    def destroy(self) -> None:
        """Kill whatever is left of a test that failed."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for holder in self.holders():
            proc.end(int(holder.split()[0]))
        self.output.wait_end(_PATIENCE)

    def holders(self) -> list[str]:
        return proc.holders_of(self.site.root, self.site.marker)

    def assert_nothing_left(self) -> None:
        """No process, no listening socket, no file that only a running cluster has."""
        assert not (left := self.holders()), f"still there: {left}\n{self.output.text}"
        for place in self.places:
            assert_free(place)
        if not self.may_leave_sockets:
            assert not (sockets := self.site.sockets()), f"left behind: {sockets}"

    # ── talking to it ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def place(self) -> Place:
        """Where it listens."""
        return self.places[0]

    @property
    def port(self) -> int:
        assert not isinstance(self.place, str)
        return self.place[1]

    def get(self, path: str = "/") -> Answer:
        """One request on a fresh connection."""
        return get(self.place, path)

    def connect(self, *, timeout: float | None = None) -> Connection:
        return Connection(self.place, timeout=timeout)

    def who(self) -> dict[str, Any]:
        """Which process answers now."""
        answer: dict[str, Any] = self.get("/who").json()
        return answer

    def cli(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run another command about this cluster."""
        return self.site.run(command, *arguments, "--title", self.title, **environment)

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        """Have the master carry out a command, and return its result. It is what the command line does, without an interpreter for it."""
        with ControlClient(self.site.home, self.title) as client:
            return client.call(command, params)

    def status(self) -> dict[str, Any]:
        """What the master says of itself."""
        return self.call("status")

    # ── its processes ────────────────────────────────────────────────────────────────────────────────────────────────

    def tree(self) -> dict[int, str]:
        """The master's children by pid, as `ps` shows them, without the title in brackets: `worker 1`, `nest gen 2`."""
        titles = {pid: proc.title_of(pid) for pid in proc.children_of(self.pid) if proc.state_of(pid) != "Z"}
        # One that is just ending has none any more.
        return {pid: re.sub(rf"^tamago: | ?\[{self.title}\]", "", title) for pid, title in titles.items() if title}

    def pids_of(self, name: str) -> list[int]:
        """All processes of that name; two while one replaces the other."""
        return [pid for pid, title in self.tree().items() if title == name or title.startswith(f"{name} gen")]

    def pid_of(self, name: str) -> int:
        found = self.pids_of(name)
        assert len(found) == 1, f"{name}: {found} in {self.tree()}"
        return found[0]

    def workers(self) -> dict[int, int]:
        """Slot → pid of all workers there are."""
        return {int(title.split()[1]): pid for pid, title in self.tree().items() if re.fullmatch(r"worker \d+", title)}

    def expect_generation(self, number: int) -> None:
        """Block until the log says that a reload was done and this generation serves."""
        self.expect(_SERVES.format(number))

    def expect_slot(self, slot: int, *, version: str) -> int:
        """The pid of the worker of that version in that slot, once it was told that the cluster serves with it."""
        pattern = rf"^@ready role=worker slot={slot} .*pid=(?P<pid>\d+) version={version}$"
        return int((self.output.found(pattern, everywhere=True) or self.expect(pattern))[-1]["pid"])

    def expect(self, pattern: str, *, count: int = 1) -> list[re.Match[str]]:
        return self.output.expect(pattern, count=count)

    def expect_ready(self, *, slot: int | None = None, role: str = "worker", count: int = 1) -> list[int]:
        """Block until so many processes were told that the cluster serves with them; return their pids."""
        which = r"\d+" if slot is None else str(slot)
        return [int(match["pid"]) for match in self.expect(rf"^@ready role={role} slot={which} gen=\d+ pid=(?P<pid>\d+)", count=count)]


def launch(
    site: Site,
    *arguments: str,
    app: str | None = "main:app",
    workers: int | None = 2,
    port: int | None = 0,
    title: str | None = None,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    **popen: Any,
) -> Cluster:
    """Start a cluster in the foreground, in a session of its own; it is not ready yet."""
    title = title or site.title
    command = [*prefix, str(TAMAGO), "start", "--title", title]
    for flag, value in (("--app", app), ("--workers", workers), ("--port", port)):
        command += [] if value is None else [flag, str(value)]
    options = {"cwd": site.app, "stdin": subprocess.DEVNULL, "start_new_session": True, **popen}
    process = subprocess.Popen(
        [*command, *arguments],
        env=site.environment(**(environment or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )
    return Cluster(site, process, title)


class Start(Protocol):
    """What `starting` gives: starts a cluster and, unless told otherwise, waits until it is ready."""

    def __call__(self, *arguments: str, ready: bool = True, **options: Any) -> Cluster: ...


@contextmanager
def starting(site: Site) -> Iterator[Start]:
    """Start clusters in `site`. At the end each is stopped if it runs, and must have left nothing."""
    started: list[Cluster] = []

    def start_one(*arguments: str, ready: bool = True, **options: Any) -> Cluster:
        cluster = launch(site, *arguments, **options)
        started.append(cluster)
        return cluster.wait_ready() if ready else cluster

    try:
        yield start_one
    finally:
        for cluster in started:
            # Shown by pytest only when the test failed.
            print(f"---- {cluster.title}, master pid {cluster.pid}\n{cluster.output.text}")
        problems = [problem for cluster in started for problem in _problems(cluster.finish)]
        problems += [problem for cluster in started for problem in _problems(cluster.assert_nothing_left) if not problems]
        for cluster in started:
            cluster.destroy()
        assert not problems, "\n".join(problems)


def _problems(check: Callable[[], None]) -> list[str]:
    # All clusters are ended and checked, whatever is wrong with the first one.
    try:
        check()
    except (AssertionError, OSError, subprocess.TimeoutExpired) as problem:
        return [str(problem)]
    return []


def place_of(address: str) -> Place:
    """Where to connect for an address as the log writes it."""
    if address.startswith("unix:"):
        return address.removeprefix("unix:")
    match = _ADDRESS.match(address)
    assert match, address
    return match["host"], int(match["port"])


def assert_free(place: Place) -> None:
    """Nobody listens there: the kernel lets us."""
    if isinstance(place, str):
        assert not os.path.exists(place), f"{place} was left behind"
        return
    with socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET) as sock:
        # With this, only a socket that listens is in the way, not connections of the past.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(place)
        sock.listen()
