"""One HTTP/1 connection: requests are answered in order, with bounds, and it ends without harm.

Owns the order of requests, back-pressure on input, and the end of the connection. Reading is `request_reader`'s, the answers are the
exchanges' affair, time and the list of connections are the server's.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, cast

import httptools

from tamago.server import refusal as refusals
from tamago.server.exchange import Exchange
from tamago.server.pace import NOT_STALLED
from tamago.server.refusal import Refusal
from tamago.server.request_reader import DISCARD_LIMIT, NO_QUEUE, SLICE, RequestReader
from tamago.server.socket_state import has_unread_input, reset_when_closed

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

# Seconds a client gets to read a last answer and stop sending. Closing with unread input makes the kernel send RST, which can take the
# answer with it; so the sending side is closed first (RFC 9112, 9.6).
_LINGER = 2.0

# How a listener for both families writes an IPv4 address. Nobody who compares addresses expects it.
_MAPPED = "::ffff:"


class Connection(RequestReader, asyncio.Protocol):
    """A client's connection. Invariant: requests are answered one at a time, in the order they came."""

    __slots__ = (
        "_advancing",
        "_eof",
        "_timing_head",
        "_writers",
        "client",
        "deadline",
        "epoch",
        "peer",
        "reading_paused",
        "scheme",
        "sock",
        "stall",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, server: HttpServer, sock: socket.socket, address: Any) -> None:
        super().__init__(server)
        self.sock = sock  # the transport's; for what a transport can't do
        self.deadline = inf  # when what we wait for now is overdue; `expire` knows what that is
        self.epoch = 0  # counts answers while the server drains, to tell an idle spell from the next
        self.stall = NOT_STALLED
        # Asked of the socket and of `accept`: a transport takes several times as long to say, and the client may be gone by then.
        own = sock.getsockname()
        self.client: tuple[str, int] | None = None
        if not isinstance(own, tuple):  # a Unix socket; `sock.family` would make an enum of its answer first
            self.peer: tuple[str, int | None] = (os.fsdecode(own), None)  # our own end; bytes where the name is abstract
        elif own[0].startswith(_MAPPED):
            self.peer = (own[0].removeprefix(_MAPPED), own[1])
            self.client = (address[0].removeprefix(_MAPPED), address[1])
        else:
            self.peer = (own[0], own[1])
            self.client = (address[0], address[1])
        self.scheme = "http"
        self._timing_head = True
        self._eof = False
        self.reading_paused = False  # the client is made to wait: what it sends is not seen
        self._writers: list[asyncio.Future[None]] = []
        self._advancing = False

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.server.opened(self)  # which brings `now` up to date, should nobody have been connected for a while
        self.deadline = self.server.now + self.server.options.header_timeout

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that the client is gone."""
        del exc
        self.closing = self._deaf = True
        self._held = None
        del self._parser  # it refers to us
        self.resume_writing()
        if self.tunnel is not None:
            self.tunnel.lost()
        current, self.current, self.parsing = self.current, None, None
        if current is not None:
            current.leave()
        self.queue.clear()
        self.server.closed(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._deaf:
            self._throw_away(data)
        elif self._held is not None:
            self._held = memoryview(bytes(self._held) + data)
        elif len(data) <= SLICE:
            # This is `_feed`, spared a call.
            self._silent += len(data)
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
                self._interrupted(data, error)
            else:
                if self._silent:
                    self._check_unfinished()
                if self._unbegun is not None:
                    self._admit_unbegun()
        else:
            self._feed_slices(memoryview(data))

    def eof_received(self) -> bool:
        """Answer what is complete (the client may have closed only its half), then close.

        The application hears of a disconnect already now: a client that closed altogether looks the same until it is written to.
        """
        unfinished = self.parsing or self._upgrading  # never to be whole, or a websocket that nobody speaks to
        if unfinished is not None and unfinished in self.queue:
            self.queue.remove(unfinished)  # the client may still read the answers before it
            unfinished = self.parsing = self.tunnel = None
        if unfinished is not None or (self.current is None and not self.queue):
            return False
        self._eof = self._deaf = True
        for exchange in (self.current, *self.queue):
            if exchange is not None:
                exchange.hang_up()
        return True

    def pause_writing(self) -> None:
        """The client reads too slowly: `writable` waits from here on."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Let those go on who wait to write."""
        self.write_paused = False
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.done():
                writer.set_result(None)
        self.stall = NOT_STALLED
        if self.current is None and not self.closing:
            self._proceed()

    def writer(self) -> asyncio.Future[None]:
        """Return a future that is set when the client has read enough, or is gone."""
        writer = self.server.loop.create_future()
        self._writers.append(writer)
        return writer

    async def writable(self) -> None:
        """Return when the client has read enough, or is gone."""
        await self.writer()

    def _throw_away(self, data: bytes) -> None:
        """Take input that is no request any more."""
        if self.tunnel is not None:
            self.tunnel.data_received(data)
            return
        self._silent += len(data)
        if self.closing and self._silent > DISCARD_LIMIT * 4:
            self.transport.abort()

    # ── the order of requests ────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, exchange: Exchange) -> None:
        if self.current is None and not (self.queue or self.write_paused):
            self.begin(exchange)
        else:
            if self.queue is NO_QUEUE:
                self.queue = deque()
            self.queue.append(exchange)
            if len(self.queue) >= self.server.options.limit_pipeline:
                self.pause_reading()

    def begin(self, exchange: Exchange) -> None:
        self.current = exchange
        self.deadline = inf
        self._timing_head = False
        if exchange.refusal is not None:
            exchange.refuse(exchange.refusal)
            return
        server = self.server
        if not server.ready:
            server.launch_soon()
        server.ready.append(exchange)

    def answered(self, exchange: Exchange) -> None:
        """The answer of the current exchange is written: go on with the next request, or close."""
        if exchange is not self.current:
            return
        self.current = None
        server = self.server
        if exchange._waiters is not None:  # noqa: SLF001 - spares a call
            exchange.wake()
        if (
            exchange.keep_alive
            and self.parsing is None
            and not (self.queue or self._eof or self._silent or self._target or self.reading_paused or self.write_paused or server.draining)
        ):
            self.deadline = server.now + server.keep_alive  # what `_idle` does when nothing is special
        else:
            self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        self.epoch += 1
        if exchange.keep_alive:
            self._proceed()
        else:
            if self.server.draining and not self._deaf:
                # The client did not ask for the end, and may have sent more already, which would cost it this answer (see _LINGER).
                self._linger = True
                self.server.loop.call_later(self.server.options.linger, self._end_linger)
            self.finish()

    def _proceed(self) -> None:
        """Nothing is being answered: go on with what comes next."""
        if self.write_paused:
            # A client that doesn't read its answers gets no further ones: they would pile up here. `stall` is its deadline.
            self.pause_reading()
        elif self.queue:
            self._advance()
        elif self._eof:
            self.finish()
        elif self.parsing is not None:
            self.deadline = self.server.now + self.server.options.body_timeout
            self._resume_reading()
        else:
            self._idle()

    def _advance(self) -> None:
        """Begin what waits. A loop and no recursion: hundreds may be refused in a row."""
        if self._advancing:
            return
        self._advancing = True
        while self.queue and self.current is None and not (self.closing or self.write_paused):
            self.begin(self.queue.popleft())
        self._advancing = False
        if self.current is None and not self.closing:
            self._proceed()
        elif len(self.queue) < self.server.options.limit_pipeline:
            self._resume_reading()

    def _idle(self) -> None:
        """Wait for the next request."""
        options = self.server.options
        self._timing_head = bool(self._silent or self._target)
        self.deadline = self.server.now + (options.header_timeout if self._timing_head else options.keep_alive)
        if self.reading_paused:
            self._resume_reading()
        if self.server.draining:
            self.server.close_soon(self)

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving with a refusal, when its turn comes, and listen no more."""
        self._deaf = self._linger = True
        exchange, self.parsing = self.parsing, None
        if exchange is None:
            exchange = self.server.bare_exchange(self, "GET", self._target[:80], [])
            exchange.refusal, exchange.keep_alive = refusal, False
            self.admit(exchange)
        elif exchange is self.current:
            exchange.refuse(refusal)
        elif exchange is self._unbegun:
            exchange.refusal = refusal
            self._admit_unbegun()
        elif exchange.done:
            self.finish()
        else:
            exchange.refusal = refusal

    def head_has_begun(self) -> None:
        """Give the rest of the head its time, which more pieces of it don't extend."""
        if self.current is None and not self._timing_head:
            self._timing_head = True
            self.deadline = self.server.now + self.server.options.header_timeout

    def body_has_come(self, exchange: Exchange) -> None:
        """The handler that waits for body has some, or has it all."""
        self.deadline = inf
        if exchange.body is not None:
            exchange.body.waited(self.server.now)
        exchange.wake()

    def is_read(self) -> None:
        """An unread body is thrown away; now the next request can come."""
        self._proceed()

    # ── flow of input ────────────────────────────────────────────────────────────────────────────────────────────────

    def await_body(self) -> None:
        """The handler waits for body from now on."""
        if self.current is not None and self.current.body is not None:
            options = self.server.options
            self.deadline = self.current.body.wait(self.server.now, timeout=options.body_timeout, rate=options.min_rate)

    def await_nothing(self) -> None:
        """The handler waits for body no longer."""
        self.deadline = inf

    def body_was_read(self) -> None:
        """The handler took what was there."""
        if self.reading_paused:
            self._resume_reading()

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""
        if not self.closing:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pause_reading(self) -> None:
        if not self.reading_paused and not self.closing:
            self.reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._feed_slices(held)
        if self._held is None and self.reading_paused and not self.transport.is_closing():
            self.reading_paused = False
            self.transport.resume_reading()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_idle(self) -> bool:
        """No request is in it, not even half of one."""
        return self.current is None and self.parsing is None and not self.queue and not self._silent and not self._target

    def finish(self) -> None:
        """Close, once what is written has left; without harming it where the client may still be sending."""
        if self.closing:
            return
        self.closing = True
        self.queue.clear()
        self.deadline = self.server.now + _LINGER
        self.stall = NOT_STALLED
        unread = self._linger or self.reading_paused or self._silent or self.parsing is not None
        self._deaf = True
        self._held = None
        if self._eof or not unread:
            self.transport.close()
            return
        self._silent = 0
        if not self.transport.is_closing():
            self.transport.write_eof()
            if self.reading_paused:
                self.reading_paused = False
                self.transport.resume_reading()

    def _end_linger(self) -> None:
        if self in self.server.connections:
            self.expire()

    def begin_close(self, *, half: bool = False) -> None:
        """What ends an upgraded connection is written; the client has a moment to say that it closes too.

        `half`: it need not say so, since nothing it sends will be understood.
        """
        self.closing = True
        if half and not self.transport.is_closing():
            self.transport.write_eof()
        self.deadline = self.server.now + _LINGER
        self.stall = NOT_STALLED
        self.body_was_read()

    def end_close(self) -> None:
        """Both ends of an upgraded connection have said all."""
        self.closing = True
        self.transport.close()

    def cut(self) -> None:
        """End the connection so that the client cannot take a part for the whole: with a reset, whatever the framing."""
        self.closing = self._deaf = True
        reset_when_closed(self.sock)
        self.transport.abort()

    def expire(self) -> None:
        """What was waited for is overdue."""
        if self.closing:
            if self.transport.get_write_buffer_size():
                self.deadline = self.server.now + _LINGER  # it is still reading; `stall` ends it if it isn't
            else:
                self.transport.abort()
        elif self.tunnel is not None:
            self.tunnel.overdue()
        elif self.current is not None:
            self.refuse(refusals.REQUEST_TIMED_OUT)
        elif self.parsing is not None:
            self.finish()
        elif self._target:
            self.refuse(refusals.REQUEST_TIMED_OUT)
        else:
            self.finish()

    def close_if_idle(self, epoch: int) -> bool:
        """Close if it has been idle since `epoch`; False when a request is on its way and it should be tried again."""
        if self.closing or self.epoch != epoch or not self.is_idle:
            return True
        if self._has_unread_input():
            return False
        self.finish()
        return True

    def _has_unread_input(self) -> bool:
        return has_unread_input(self.sock.fileno())
