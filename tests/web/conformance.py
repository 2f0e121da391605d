"""The same application under tamago and under uvicorn, each in a thread of this process, and a blocking client.

What passes with both is what people who come from uvicorn will find unchanged.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop
from tests.web.edge import context, request

from tamago.server.worker import AsgiWorker

SERVERS = ("tamago", "uvicorn")

# Seconds after which a test has failed, not a time anything takes.
_DEADLINE = 20.0


class Watch:
    """What happened in the application, told across threads."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._changed = threading.Condition()

    def note(self, event: str) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def until(self, event: str) -> None:
        """Return once it has happened since the last call for it."""
        with self._changed:
            assert self._changed.wait_for(lambda: event in self._events, _DEADLINE), f"{event!r} did not happen: {self._events}"
            self._events.remove(event)


@dataclass(kw_only=True)
class Site:
    """A served application."""

    server: str
    watch: Watch
    address: tuple[str, int]
    http: httpx.Client

    def leave_after(self, data: bytes, seen: bytes = b"") -> None:
        """Send something, read until `seen`, and leave as a browser does: close at once."""
        with socket.create_connection(self.address, _DEADLINE) as client:
            client.sendall(data)
            got = b""
            while seen not in got:
                piece = client.recv(65536)
                assert piece, got
                got += piece

    def exchange(self, data: bytes) -> bytes:
        """Send a request; return all that comes until the server ends the connection."""
        with socket.create_connection(self.address, _DEADLINE) as client, client.makefile("rb") as answers:
            client.sendall(data)
            return answers.read()


@contextlib.contextmanager
def served(server: str, make_app: Callable[[Watch], Any], *, reuses: bool = True) -> Iterator[Site]:
    """Serve an application around the block. `reuses`: its client comes back to connections it has."""
    watch = Watch()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    address = listener.getsockname()
    run = {"tamago": _tamago, "uvicorn": _uvicorn}[server]
    reused = httpx.Limits(max_keepalive_connections=None if reuses else 0)
    base = f"http://127.0.0.1:{address[1]}"
    with run(make_app(watch), listener), httpx.Client(base_url=base, timeout=_DEADLINE, limits=reused) as client:
        yield Site(server=server, watch=watch, address=address, http=client)


class Sites:
    """One site for each server, started when the first test asks for it."""

    def __init__(self, make_app: Callable[[Watch], Any], *, reuse_uvicorns: bool = True) -> None:
        self._make_app = make_app
        self._reuse_uvicorns = reuse_uvicorns
        self._running: dict[str, Site] = {}
        self._stack = contextlib.ExitStack()

    def __getitem__(self, server: str) -> Site:
        if server not in self._running:
            reuses = server == "tamago" or self._reuse_uvicorns
            self._running[server] = self._stack.enter_context(served(server, self._make_app, reuses=reuses))
        return self._running[server]

    def close(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def _tamago(app: Any, listener: socket.socket) -> Iterator[None]:
    loop = uvloop.new_event_loop()
    stop = asyncio.Event()

    async def life() -> None:
        listener.setblocking(False)
        worker = AsgiWorker(app, context())
        await worker.start()
        await worker.serve([listener])
        await stop.wait()
        await worker.drain(closing=True)
        await worker.stop()

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(life())

    with _thread(main, lambda: loop.call_soon_threadsafe(stop.set)):
        yield


@contextlib.contextmanager
def _uvicorn(app: Any, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(app, lifespan="auto", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with listener, _thread(lambda: server.run(sockets=[listener]), lambda: setattr(server, "should_exit", True)):
        yield


@contextlib.contextmanager
def _thread(main: Callable[[], None], stop: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=main)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(_DEADLINE)
        assert not thread.is_alive()


def get(path: str, *fields: str) -> bytes:
    return request("GET", path, *fields)


def big_file(directory: Path) -> Path:
    """Return a file that no single write can send."""
    file = directory / "file.bin"
    file.write_bytes(bytes(range(251)) * 4000)
    return file
