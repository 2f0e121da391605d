"""One request and its answer: what a handler reads and writes.

Owns the framing of the answer and what happens when the handler fails. Knows nothing of parsing, timers or other requests; those are
the connection's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

import msgspec

from tamago.server import refusal as refusals
from tamago.server.file_body import FileBody
from tamago.server.first_step import later
from tamago.server.refusal import Refusal
from tamago.server.request_body import RequestBody
from tamago.server.response_head import (
    SAID_CLOSE,
    Fields,
    ResponseHead,
    early_hints,
    encode,
    known_head,
    known_length_line,
    length_line,
    response_head,
)
from tamago.server.status import BODILESS

if TYPE_CHECKING:
    from tamago.server.http1 import Connection
    from tamago.server.http_server import HttpServer

logger = logging.getLogger("tamago.server")

# How the rest of the body travels, where it is not a number of bytes still owed.
_CHUNKED, _UNTIL_CLOSE, _NO_BODY = -1, -2, -3

# Up to here head and body, or a chunk's three parts, are joined for one write; past it the copy costs more than the write.
_JOIN_LIMIT = 32 * 1024


# What handlers end with when they hear that the client is gone: our own error, a cancellation, and what Starlette makes of it.
_FAREWELLS = frozenset({"ClientDisconnectedError", "CancelledError", "ClientDisconnect"})


class ClientDisconnectedError(ConnectionError):
    """The client went away before its request was read or its answer written."""


class ResponseError(RuntimeError):
    """The handler broke the order or the length of an answer."""


class Exchange(msgspec.Struct, eq=False, dict=True, weakref=True):
    """One request and its answer.

    `method`, `target` (as it stood in the request line), `fields` (header fields, names in lower case) and `version` describe the request.
    Subclasses say in `handle` who answers. An exchange is used by one task and is over when `done`.

    A struct, because one is made for each request, and a constructor in Python would take three times as long. To set an attribute later
    takes longer than it does elsewhere, and the code for what nearly every request is avoids it.
    """

    connection: Connection
    method: str
    target: bytes
    fields: list[tuple[bytes, bytes]]
    keep_alive: bool = True
    version: str = "1.1"
    plain: bool = True  # nothing special about the request that the framing of the answer would depend on
    prompt: bool = True  # begun in the hope that it needs no task
    body: RequestBody | None = None
    refusal: Refusal | None = None
    task: asyncio.Task[None] | None = None
    status: int = 0  # given by the handler with the head
    sent: bool = False  # a part of the answer is on its way
    done: bool = False  # the answer is complete, or can never be
    gone: bool = False  # nobody reads the answer any more
    hung_up: bool = False  # the client sends nothing more; it may still read
    _head: ResponseHead | None = None  # given, and not sent
    _left: int = 0
    _waiters: list[asyncio.Future[None]] | None = None

    request_id = ""  # none
    make_head = staticmethod(response_head)  # for who adds to the fields of every answer, and has to respond in steps

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.target!r}>"  # and no fields, which may hold secrets

    # ── for handlers: the request ────────────────────────────────────────────────────────────────────────────────────

    async def read(self) -> bytes:
        """Return the next piece of the request body, b"" at its end.

        Raises ClientDisconnectedError when the client left before sending all of it.
        """
        body = self.body
        if body is None:
            return b""
        while not body.size and not body.complete:
            if self.gone:
                raise ClientDisconnectedError("the client left in the middle of its request")
            await self.wait_for_input()
        data = body.take()
        self.connection.body_was_read()
        return data

    async def wait_for_input(self) -> None:
        """Return when body arrived, the body ended, the client left, or the answer is done."""
        body = self.body
        wants_body = body is not None and not body.complete
        if body is not None and wants_body and body.expects_continue:
            body.expects_continue = False
            self.connection.send_continue()
        waiter = self.connection.server.loop.create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        if wants_body:
            self.connection.await_body()
        try:
            await waiter
        except asyncio.CancelledError:
            self._forget(waiter)
            raise

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        """Somebody waits no longer, such as who only asked whether the client is still there; a stream may do so all day."""
        waiters = self._waiters
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                self._waiters = None
                self.connection.await_nothing()

    def wake(self) -> None:
        """Let everybody who waits for input look again."""
        waiters = self._waiters
        if waiters is not None:
            self._waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # ── for handlers: the answer ─────────────────────────────────────────────────────────────────────────────────────

    def start(self, status: int, fields: Fields) -> None:
        """Give status and header fields. Nothing is sent before the first `write`."""
        if self.gone:
            return
        if self.status:
            self.out_of_order("the answer was started twice")
            return
        self._head = self.make_head(status, fields)
        self.status = status

    def write(self, data: bytes, *, more: bool = False) -> None:
        """Send a piece of the body; the last one says `more=False`. After the client left this does nothing."""
        head = self._head
        if head is None or more or self.gone or not self._write_whole(head, data):
            self._write(data, more)
        else:
            self._head = None

    def _write_whole(self, head: ResponseHead, data: bytes) -> bool:
        """Send a whole, short answer in one step, as nearly all of them are; False if it is none."""
        _, block, length, said = head
        connection = self.connection
        server = connection.server
        size = len(data)
        if said or size > _JOIN_LIMIT or server.draining or not self.plain or (length is not None and length != size):
            return False
        end = server.end_of_head if self.keep_alive else server.end_of_last_head
        announced = (known_length_line(size) or length_line(size)) if length is None else b""
        whole = b"".join((block, announced, end, data))  # fails if `data` is text, while all is still undone
        self.done = True
        connection.transport.write(whole)
        connection.answered(self)
        return True

    def _write(self, data: bytes, more: bool) -> None:
        if self.done and not self.gone:
            self.out_of_order("the answer was already complete")
            return
        if self.connection.transport.is_closing():
            self.leave()  # noticed by the transport, which tells the connection in a moment
        if self.gone:
            return
        if self._head is not None:
            self._write_first(self._head, data, more)
        elif self.status:
            self._write_next(data, more)
        else:
            raise ResponseError("the answer has no head yet: start comes before write")
        if not more:
            self.done = True
            self.connection.answered(self)

    def respond(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole answer."""
        if self.status or self.gone:
            self.start(status, fields)
            return
        fields = tuple(fields)
        try:
            head = known_head((status, fields)) or response_head(status, fields)
        except TypeError:
            head = response_head(status, fields)  # which also takes lists, and says what else is wrong
        self.status = status
        if not self._write_whole(head, data):
            self._head = head
            self._write(data, more=False)

    def respond_in_steps(self, status: int, fields: Fields, data: bytes) -> None:
        """Do what `respond` does by `start` and `write`: for who has a hand in these."""
        self.start(status, fields)
        self.write(data)

    async def send_file(self, path: str) -> None:
        """Send a file as the whole body.

        Raises OSError for one that cannot be read, ResponseError for one that is shorter than the content-length.
        """
        head = self._head
        if head is None:
            if not self.gone:
                self.out_of_order(
                    f"a file is the whole body of an answer, {'and a part is sent' if self.status else 'and start comes first'}"
                )
            return
        status, block, length, said = head
        with FileBody(path) as file:
            if length is None and status != 204:
                length = file.size
                self._head = (status, block + length_line(length), length, said)
            if self.method == "HEAD" or length is None or status in BODILESS:
                self.write(b"")
            elif length <= _JOIN_LIMIT or length > file.size:
                self.write(file.read(min(length, _JOIN_LIMIT)))
            else:
                self.write(b"", more=True)
                self.file_sent(await file.send(self, length))
                self.write(b"")

    def file_sent(self, size: int) -> None:
        """So many bytes of a file have left without coming through `write`."""
        self._left -= size

    def hint(self, links: Iterable[bytes]) -> None:
        """Send these Link values ahead in a 103 (RFC 8297). Nothing is sent to HTTP/1.0 or after the answer has begun."""
        hints = early_hints(links)
        if hints and not (self.sent or self.done or self.gone) and self.version == "1.1":
            self.connection.transport.write(hints)

    def out_of_order(self, problem: str) -> None:
        """The handler broke the order of an answer."""
        raise ResponseError(problem)

    async def drain(self) -> None:
        """Wait until the client has read enough of what was written."""
        if self.connection.write_paused:
            await self.connection.writable()

    # ── framing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write_first(self, head: ResponseHead, data: bytes, more: bool) -> None:
        transport = self.connection.transport
        framing, data = self._choose_framing(head, data, more)
        framing += self._persistence(head)
        encoded = encode(head, self.connection.server.date, framing)
        joined = encoded if len(data) > _JOIN_LIMIT else encoded + data
        self._head = None
        self.sent = True
        transport.write(joined)
        if joined is encoded:
            transport.write(data)

    def _choose_framing(self, head: ResponseHead, data: bytes, more: bool) -> tuple[bytes, bytes]:
        """Decide how the body travels, in `_left`; return the header line that says so and the first bytes of the body."""
        status, _, length, _ = head
        size = len(data)
        if self.method == "HEAD" or status in BODILESS:
            self._left = _NO_BODY
            announce = length is None and size and not more and status != 204
            return length_line(size) if announce else b"", b""
        if length is not None or not more:
            self._left = (size if length is None else length) - size
            if self._left < 0 or (self._left and not more):
                raise _wrong_length()
            return length_line(size) if length is None else b"", data
        if self.version != "1.1":
            self._left = _UNTIL_CLOSE
            return b"", data
        self._left = _CHUNKED
        return b"transfer-encoding: chunked\r\n", b"%x\r\n%b\r\n" % (size, data) if data else b""

    def _persistence(self, head: ResponseHead) -> bytes:
        """Decide whether the connection stays; return the header line that says so."""
        body = self.body
        if (
            head[3] & SAID_CLOSE
            or self._left == _UNTIL_CLOSE
            or self.connection.server.draining
            # A client told to wait for 100 and answered without it may send its body or not: no telling where the next request begins.
            or (body is not None and body.expects_continue and not body.complete)
        ):
            self.keep_alive = False
        if body is not None:
            body.expects_continue = False  # the answer has begun, and nothing may stand in it
        if not self.keep_alive:
            return b"connection: close\r\n"
        return b"connection: keep-alive\r\n" if self.version == "1.0" else b""

    def _write_next(self, data: bytes, more: bool) -> None:
        if self._left == _NO_BODY:
            return
        if self._left == _CHUNKED:
            self._write_chunk(data, more)
            return
        if self._left >= 0:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                self._left = 0
                raise _wrong_length()
        if data:
            self.connection.transport.write(data)

    def _write_chunk(self, data: bytes, more: bool) -> None:
        write = self.connection.transport.write
        end = b"" if more else b"0\r\n\r\n"
        if len(data) > _JOIN_LIMIT:
            write(b"%x\r\n" % len(data))
            write(data)
            write(b"\r\n" + end)
        elif data:
            write(b"%x\r\n%b\r\n%b" % (len(data), data, end))
        elif end:
            write(end)

    # ── for the connection ───────────────────────────────────────────────────────────────────────────────────────────

    def handle(self) -> Awaitable[object]:
        """Return the coroutine that answers."""
        raise NotImplementedError

    def launch(self, server: HttpServer) -> None:
        """Begin to answer."""
        context = server.context.copy()
        task = server.starter.at_once(self, context) if self.prompt else later(self, server.loop, context)
        if task is not None:
            self.task = task
            server.running.add(self)

    def over(self, error: BaseException | None) -> None:
        """Nothing works on it any more, as it failed with this error or was done. Called once."""
        server = self.connection.server
        if self.task is not None:
            self.task = None  # whose context may refer to us: left in a circle, each request would wait for the garbage collector
            server.running.discard(self)
        try:
            if error is not None or not (self.done or self.gone):
                self.fail(error)
        finally:
            server.over = server.counts[1] = server.over + 1
            if server.draining:
                server.check_empty()

    def refuse(self, refusal: Refusal) -> None:
        """Answer in the handler's place, or cut the connection if it already began to."""
        if self.done or self.gone:
            return
        if self.sent:
            self.leave()
            self.connection.cut()
            return
        self._head = None
        self.status = 0
        if refusal.closes:
            self.keep_alive = self.plain = False
        self.respond(refusal.status, refusal.headers(), refusal.body())
        self.leave()

    def leave(self) -> None:
        """Nobody reads the answer any more."""
        self.gone = True
        self.wake()

    def hang_up(self) -> None:
        """The client sends nothing more."""
        self.hung_up = True
        self.wake()

    def fail(self, error: BaseException | None) -> None:
        """Say what went wrong (None: the handler just stopped), and answer in the handler's place or cut."""
        if (self.gone or self.hung_up) and (error is None or type(error).__name__ in _FAREWELLS):
            # It was told of the disconnect and stopped: as it should.
            if not self.gone:
                self.leave()
                self.connection.cut()
            return
        path = self.target.decode("latin-1")
        if error is None:
            logger.error("%s %s: the application returned without completing its answer", self.method, path)
        else:
            logger.error("%s %s: the application failed", self.method, path, exc_info=error)
        self.refuse(refusals.INTERNAL_ERROR)


def _wrong_length() -> ResponseError:
    return ResponseError("the body is not as long as its content-length says")
