"""The control socket of the master: who may connect, how much a client may cost, and handing requests to the cluster.

Knows the lines of the protocol, not what the commands do: that is the `Handler`. No client can stop the master, slow it down or make
it grow: lines, clients, commands in flight and unread output are all bounded.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

from tamago.cluster.control_protocol import (
    ALIVE_INTERVAL,
    LONGEST_LINE,
    BadRequestError,
    Reply,
    Request,
    encode_reply,
    error_reply,
    parse_request,
)
from tamago.cluster.rundir import RunDir
from tamago.errors import TamagoError

LOG = logging.getLogger("tamago.control")

MOST_CLIENTS = 64
MOST_COMMANDS = 8
"""Commands one client may have in flight."""
MOST_OUTPUT = 4 * 1024 * 1024
"""Bytes a client may leave unread before it is dropped."""
LAST_WORDS = 0.5
"""Seconds that commands in flight have to be answered when the server closes."""
_BACKLOG = 128
_ACCEPT_AGAIN = 1.0
IDLE_TIMEOUT = 30.0
"""Seconds a client may take for a line, or stay without a command."""

Progress = Callable[[str | dict[str, Any]], None]


class Handler(Protocol):
    """Who does what the commands say."""

    async def handle(self, command: str, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Do it and return the result. A `TamagoError` is carried to the client as it is; anything else is a bug of ours.

        `progress` may be called at any time, with a line for people or with data; also when the client is gone.
        """


class ControlServer:
    """Listens on the control socket of a run directory for the owner of it and root."""

    def __init__(self, rundir: RunDir, handler: Handler, *, idle_timeout: float = IDLE_TIMEOUT) -> None:
        self._rundir = rundir
        self.handler = handler
        self.idle_timeout = idle_timeout
        self._listener: socket.socket | None = None
        self._out_of_descriptors = False
        self._clients: dict[_Client, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused = 0

    async def start(self) -> None:
        """Bind and listen. Raises `TamagoError` if that is not possible."""
        listener = self._listener = bind_control(self._rundir)
        listener.listen(_BACKLOG)
        self._accept_from(listener)

    async def reopen(self) -> None:
        """Bind again after the run directory was made anew. Clients keep their connections."""
        self._close_listener()
        await self.start()

    async def close(self) -> None:
        """Stop listening, give the clients what is written for them, and close. Commands without an answer are cancelled."""
        self._close_listener()
        if self._tasks:
            # What they waited for has happened or never will; a moment for their last words.
            _, unanswered = await asyncio.wait(self._tasks, timeout=LAST_WORDS)
            for task in unanswered:
                task.cancel()
            await asyncio.gather(*unanswered, return_exceptions=True)
        for client in list(self._clients):
            client.finish()
        # One turn of the loop, so that what the transports can write at once is written.
        await asyncio.sleep(0)

    # Not asyncio's own accepting: without a descriptor it logs a traceback for each place in the backlog, every second.
    def _accept_from(self, listener: socket.socket) -> None:
        if listener is self._listener:
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            # The client waits in the queue, and the kernel would tell of it again at once.
            loop.remove_reader(listener.fileno())
            loop.call_later(_ACCEPT_AGAIN, self._accept_from, listener)
            if not self._out_of_descriptors:
                self._out_of_descriptors = True
                LOG.error("control: no file descriptor is left for a client, which waits: %s", error)  # noqa: TRY400 - no bug of ours
            return
        self._out_of_descriptors = False
        sock.setblocking(False)
        task = loop.create_task(self._connect(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: _Client(self), sock)

    def _close_listener(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def admit(self, client: _Client, sock: socket.socket) -> str | None:
        """Register a new client; return why it is refused, or None."""
        uid = peer_uid(sock)
        if uid not in (0, os.geteuid()):
            return f"user {uid} may not control this cluster"
        if len(self._clients) >= MOST_CLIENTS:
            idle = next((other for other in self._clients if not other.commands), None)
            if idle is None:
                return f"{MOST_CLIENTS} clients wait for commands already"
            # Whoever only holds connections open must not lock out who has something to say.
            idle.abort()
            self._clients.pop(idle, None)
        self._clients[client] = None
        return None

    def refuse(self, why: str) -> None:
        """Log a refused client; a storm of them gives one line in a hundred."""
        self.refused += 1
        if self.refused % 100 == 1:
            LOG.warning("control: refused a client: %s (%d so far)", why, self.refused)

    def forget(self, client: _Client) -> None:
        self._clients.pop(client, None)

    def run(self, client: _Client, request: Request, params: dict[str, Any]) -> None:
        """Start the command; it goes on if its client leaves."""
        task = asyncio.get_running_loop().create_task(self._answer(client, request, params), name=f"control {request.command}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, client: _Client, request: Request, params: dict[str, Any]) -> None:
        def progress(what: str | dict[str, Any]) -> None:
            text, data = (what, None) if isinstance(what, str) else ("", what)
            client.send(Reply(id=request.id, event="progress", text=text, data=data))

        client.begin(request.id)
        try:
            result = await self.handler.handle(request.command, params, progress)
            client.send(Reply(id=request.id, event="done", result=result))
        except TamagoError as error:
            client.send(error_reply(request.id, error))
        except Exception:
            LOG.exception("control: %s failed", request.command)
            client.send(
                Reply(
                    id=request.id,
                    event="error",
                    problem=f"{request.command} failed because of a bug in tamago",
                    hint="the traceback is in the log of the master",
                    exit_code=1,
                )
            )
        finally:
            client.end(request.id)


class _Client(asyncio.Protocol):
    """One connection: cuts lines, bounds what the client may cost."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._alive: asyncio.TimerHandle | None = None
        self._leaving = False
        self.commands: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # create_unix_server makes no other transport.
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self._transport = transport
        # Above the mark `_send` measures, so that the transport itself never pauses us.
        transport.set_write_buffer_limits(high=MOST_OUTPUT)
        why = self._server.admit(self, transport.get_extra_info("socket"))
        if why is not None:
            self._server.refuse(why)
            self._leaving = True
            transport.close()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._server.forget(self)
        for timer in (self._deadline, self._alive):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        self._buffer += data
        while not self._leaving and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if len(line) >= LONGEST_LINE:
                break
            self._watch()
            if line.strip():
                self._request(line)
        if len(self._buffer) >= LONGEST_LINE:
            self._reject(BadRequestError(f"a request may have at most {LONGEST_LINE} bytes"))

    def _request(self, line: bytes) -> None:
        try:
            request, params = parse_request(line)
        except BadRequestError as error:
            self._reject(error)
            return
        if request.id in self.commands or len(self.commands) >= MOST_COMMANDS:
            self._reject(BadRequestError(f"request {request.id} is in flight already, or {MOST_COMMANDS} are"))
            return
        self.begin(request.id)
        self.send(Reply(id=request.id, event="accepted"))
        self._server.run(self, request, params)

    def _reject(self, error: BadRequestError) -> None:
        """Answer once and hang up: after garbage nothing can be trusted to be the beginning of a line."""
        self.send(error_reply(0, error))
        self.finish()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, request_id: int) -> None:
        self.commands.add(request_id)
        if self._alive is None and self._transport is not None:
            self._alive = asyncio.get_running_loop().call_later(ALIVE_INTERVAL, self._tick)

    def end(self, request_id: int) -> None:
        self.commands.discard(request_id)
        if not self.commands and self._alive is not None:
            self._alive.cancel()
            self._alive = None
        self._watch()

    def _tick(self) -> None:
        self._alive = asyncio.get_running_loop().call_later(ALIVE_INTERVAL, self._tick)
        for request_id in self.commands:
            self.send(Reply(id=request_id, event="alive"))

    def _watch(self) -> None:
        """Give the client another while for its next line."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if self._transport is not None and not self._leaving:
            self._deadline = asyncio.get_running_loop().call_later(self._server.idle_timeout, self._expired)

    def _expired(self) -> None:
        self._deadline = None
        # Waiting for the answer to a command is what clients are for, with half a line sent as well as without.
        if not self.commands:
            self.finish()

    # ── output ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, reply: Reply) -> None:
        """Queue a line; a client that reads too slowly is dropped."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(encode_reply(reply))
        if transport.get_write_buffer_size() > MOST_OUTPUT:
            LOG.warning("control: dropped a client that left %d bytes unread", transport.get_write_buffer_size())
            transport.abort()

    def finish(self) -> None:
        """Close once what is written has gone out, within the idle timeout."""
        self._leaving = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            if self._transport.get_write_buffer_size():
                self._deadline = asyncio.get_running_loop().call_later(self._server.idle_timeout, self.abort)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def bind_control(rundir: RunDir) -> socket.socket:
    """Bind the control socket, mode 0600 from its first moment on. The caller holds the lock of the run directory."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    # The umask is the process's, so this must not run while other threads make files; the master has none.
    before = os.umask(0o177)
    try:
        listener.bind(rundir.control_address)
    except OSError as error:
        listener.close()
        raise TamagoError(
            f"cannot make the control socket in {rundir.path}: {(error.strerror or str(error)).lower()}",
            hint="look at what lies in that directory, or set TAMAGO_HOME to another one",
        ) from None
    finally:
        os.umask(before)
    rundir.note_socket()
    return listener


_LINUX_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid
_XUCRED: Final = struct.Struct("Ii")  # version, uid, and groups that do not matter


def peer_uid(sock: socket.socket) -> int:
    """Return the user on the other end of a Unix socket, as the kernel knows it; -1 if it does not say."""
    if sys.platform == "linux":
        _pid, uid, _gid = _LINUX_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _LINUX_CREDENTIALS.size))
        return int(uid)
    # LOCAL_PEERCRED of the BSDs and macOS: option 1 at level SOL_LOCAL, which is 0.
    _version, uid = _XUCRED.unpack_from(sock.getsockopt(0, 1, 128))
    return int(uid)
