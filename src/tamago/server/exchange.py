"""One request and its answer: what a handler reads and writes.

Owns the framing of the answer and what happens when the handler fails. Knows nothing of parsing, timers or other requests; those are
the connection's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from tamago.server import refusal as refusals
from tamago.server.refusal import Refusal
from tamago.server.request_body import RequestBody
from tamago.server.response_head import Fields, ResponseHead
from tamago.server.status import BODILESS

if TYPE_CHECKING:
    from tamago.server.http1 import Connection

logger = logging.getLogger("tamago.server")

# How the rest of the body travels, where it is not a number of bytes still owed.
_CHUNKED, _UNTIL_CLOSE, _NO_BODY = -1, -2, -3

# Up to here head and body, or a chunk's three parts, are joined for one write; past it the copy costs more than the write.
_JOIN_LIMIT = 32 * 1024


class ClientDisconnectedError(ConnectionError):
    """The client went away before its request was read or its answer written."""


class ResponseError(RuntimeError):
    """The handler broke the order or the length of an answer."""


class Exchange:
    """One request and its answer.

    `method`, `target` (as it stood in the request line), `fields` (header fields, names in lower case) and `version` describe the request.
    Subclasses say in `handle` who answers. An exchange is used by one task and is over when `done`.
    """

    # Class attributes are the defaults of instances: most requests never set most of these, and not setting them is what is cheap.
    task: asyncio.Task[None] | None = None
    refusal: Refusal | None = None
    started = False  # the handler gave the head
    sent = False  # bytes of the answer are on their way
    done = False  # the answer is complete, or can never be
    gone = False  # nobody reads the answer any more
    hung_up = False  # the client sends nothing more; it may still read
    status = 0
    _head: ResponseHead | None = None
    _left = 0
    _waiters: list[asyncio.Future[None]] | None = None

    def __init__(  # noqa: PLR0913 - one call per request, by position, on the hot path
        self,
        connection: Connection,
        method: str,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        version: str,
        keep_alive: bool,
        body: RequestBody | None,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.fields = fields
        self.version = version
        self.keep_alive = keep_alive
        self.body = body

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
        await waiter

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
        if self.started:
            raise ResponseError("the answer was started twice")
        self._head = ResponseHead(status, fields)
        self.started = True
        self.status = status

    def write(self, data: bytes, *, more: bool = False) -> None:
        """Send a piece of the body; the last one says `more=False`. After the client left this does nothing."""
        head = self._head
        if head is not None:
            self._write_first(head, data, more=more)
        elif self.gone:
            return
        elif self.done:
            raise ResponseError("the answer was already complete")
        elif not self.started:
            raise ResponseError("the answer has no head yet: start comes before write")
        else:
            self._write_next(data, more=more)
        if not more:
            self.done = True
            self.connection.answered(self)

    def respond(self, status: int, fields: Fields, data: bytes) -> None:
        """Send a whole answer."""
        self.start(status, fields)
        self.write(data)

    async def drain(self) -> None:
        """Wait until the client has read enough of what was written."""
        if self.connection.write_paused:
            await self.connection.writable()

    # ── framing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write_first(self, head: ResponseHead, data: bytes, *, more: bool) -> None:
        connection = self.connection
        length = head.length
        if self.method == "HEAD" or head.status in BODILESS:
            if length is None and data and not more:
                length = len(data)
            if head.status == 204:
                length = None
            self._left = _NO_BODY
            data = b""
        elif length is not None or not more:
            size = len(data)
            if length is None:
                length = size
            self._left = length - size
            if self._left < 0 or (self._left and not more):
                self._left = 0
                raise self._wrong_length()
        else:
            self._left = _CHUNKED if self.version == "1.1" else _UNTIL_CLOSE
        framing = self._framing(head, length)
        self._head = None
        if connection.transport.is_closing():
            self.leave()  # noticed by the transport, which will tell the connection in a moment
        if self.gone:
            return
        self.sent = True
        if self._left == _CHUNKED:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        encoded = head.encode(connection.server.date, framing)
        if len(data) > _JOIN_LIMIT:
            connection.transport.write(encoded)
            connection.transport.write(data)
        else:
            connection.transport.write(encoded + data)

    def _framing(self, head: ResponseHead, length: int | None) -> bytes:
        """Decide about the connection; return the header lines that say so."""
        body = self.body
        if (
            head.wants_close
            or self._left == _UNTIL_CLOSE
            or self.connection.server.draining
            # A client told to wait for 100 and answered without it may send its body or not: no telling where the next request begins.
            or (body is not None and body.expects_continue and not body.complete)
        ):
            self.keep_alive = False
        lines = b"" if length is None else b"content-length: %d\r\n" % length
        if self._left == _CHUNKED:
            lines = b"transfer-encoding: chunked\r\n"
        if not self.keep_alive:
            lines += b"connection: close\r\n"
        elif self.version == "1.0":
            lines += b"connection: keep-alive\r\n"
        return lines

    def _write_next(self, data: bytes, *, more: bool) -> None:
        if self.connection.transport.is_closing():
            self.leave()
            return
        left = self._left
        write = self.connection.transport.write
        if left == _CHUNKED:
            if len(data) > _JOIN_LIMIT:
                write(b"%x\r\n" % len(data))
                write(data)
                data = b"\r\n"
            elif data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if not more:
                data += b"0\r\n\r\n"
        elif left == _NO_BODY:
            return
        elif left >= 0:
            self._left = left - len(data)
            if self._left < 0 or (self._left and not more):
                raise self._wrong_length()
        if data:
            write(data)

    def _wrong_length(self) -> ResponseError:
        return ResponseError("the body is not as long as its content-length says")

    # ── for the connection ───────────────────────────────────────────────────────────────────────────────────────────

    def handle(self) -> Awaitable[object]:
        """Return the coroutine that answers."""
        raise NotImplementedError

    async def run(self) -> None:
        """Have it answered, whatever happens. This is the request's own task."""
        try:
            await self.handle()
        except BaseException as error:  # noqa: BLE001 - also SystemExit: one request must not end the worker
            self._failed(error)
        else:
            if not self.done and not self.gone:
                self._failed(None)
        finally:
            self.connection.server.finished(self)

    def refuse(self, refusal: Refusal) -> None:
        """Answer in the handler's place, or cut the connection if it already began to."""
        if self.done or self.gone:
            return
        if self.sent:
            self.leave()
            self.connection.cut()
            return
        self._head = None
        self.started = False
        if refusal.closes:
            self.keep_alive = False
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

    def _failed(self, error: BaseException | None) -> None:
        path = self.target.decode("latin-1")
        if error is None and self.hung_up:
            # It was told of the disconnect and stopped: as it should.
            self.leave()
            self.connection.cut()
        elif error is None:
            logger.error("%s %s: the application returned without completing its answer", self.method, path)
        elif not (self.gone and isinstance(error, ClientDisconnectedError)):
            logger.error("%s %s: the application failed", self.method, path, exc_info=error)
        self.refuse(refusals.INTERNAL_ERROR)
