"""One HTTP/1 connection: bytes to requests, in order, with bounds.

Owns parsing, pipelining, back-pressure on input, and the end of the connection. The answers are the exchanges' affair, time and the
list of connections are the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import socket
import struct
import termios
from collections import deque
from math import inf
from typing import TYPE_CHECKING, cast

import httptools

from tamago.server import refusal as refusals
from tamago.server.exchange import Exchange
from tamago.server.refusal import Refusal, bad_request
from tamago.server.request_body import HIGH_WATER, RequestBody
from tamago.server.request_head import SPECIAL, judge

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

logger = logging.getLogger("tamago.server")

# Input is parsed in slices of this size, so that a packet full of tiny requests cannot make more than some hundred at once.
_SLICE = 16 * 1024

# A body nobody reads is thrown away up to here to keep the connection; past it closing is cheaper.
_DISCARD_LIMIT = 256 * 1024

# Seconds a client gets to read a last answer and stop sending. Closing with unread input makes the kernel send RST, which can take the
# answer with it; so the sending side is closed first (RFC 9112, 9.6).
_LINGER = 2.0

# Bytes of trailers and chunk extensions without any body in them.
_CHATTER_LIMIT = 16 * 1024

# Methods about which nothing is special.
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE")}


Fields = list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """A client's connection. Invariant: requests are answered one at a time, in the order they came."""

    __slots__ = (
        "_advancing",
        "_deaf",
        "_eof",
        "_fields",
        "_held",
        "_hosts",
        "_linger",
        "_parser",
        "_reading_paused",
        "_silent",
        "_special",
        "_target",
        "_timing_head",
        "_writers",
        "client",
        "closing",
        "current",
        "deadline",
        "epoch",
        "parsing",
        "peer",
        "queue",
        "scheme",
        "server",
        "sock",
        "stall",
        "transport",
        "write_paused",
    )

    transport: asyncio.Transport

    def __init__(self, server: HttpServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock  # the transport's; for what a transport can't do
        self.current: Exchange | None = None  # being answered
        self.parsing: Exchange | None = None  # its body still arrives
        self.queue: deque[Exchange] = deque()  # pipelined, not begun
        self.deadline = inf  # when what we wait for now is overdue; `expire` knows what that is
        self.closing = False  # the last answer is written
        self.write_paused = False
        self.epoch = 0  # counts answers, to tell an idle spell from the next
        self.stall = (0, 0.0)  # unsent bytes and since when it is just as many
        self.client: tuple[str, int] | None = None
        self.peer: tuple[str, int | None] | None = None  # our own end
        self.scheme = "http"
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: Fields = []
        self._hosts = 0
        self._special: Fields | None = None
        self._silent = 0  # bytes since the parser last made progress: not less than the unfinished head, by at most a slice
        self._timing_head = True
        self._deaf = False  # input is thrown away
        self._linger = False  # the client may be sending what we won't read
        self._eof = False
        self._reading_paused = False
        self._held: memoryview | None = None  # read but not parsed, because enough requests wait
        self._writers: list[asyncio.Future[None]] = []
        self._advancing = False

    # ── asyncio.Protocol ─────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        self.transport = cast("asyncio.Transport", transport)
        if self.sock.family == socket.AF_UNIX:
            self.peer = (transport.get_extra_info("sockname"), None)
        else:
            self.client = _host_and_port(transport.get_extra_info("peername"))
            self.peer = _host_and_port(transport.get_extra_info("sockname"))
        self.deadline = self.server.now + self.server.options.header_timeout
        self.server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody that the client is gone."""
        del exc
        self.closing = self._deaf = True
        self._held = None
        self.resume_writing()
        current, self.current, self.parsing = self.current, None, None
        if current is not None:
            current.leave()
        self.queue.clear()
        self.server.closed(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._deaf:
            self._throw_away(len(data))
        elif self._held is not None:
            self._held = memoryview(bytes(self._held) + data)
        elif len(data) <= _SLICE:
            # This is `_feed`, spared a call.
            self._silent += len(data)
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
                self._interrupted(data, error)
            else:
                if self._silent:
                    self._check_unfinished()
        else:
            self._feed_slices(memoryview(data))

    def eof_received(self) -> bool:
        """Answer what is complete (the client may have closed only its half), then close.

        The application hears of a disconnect already now: a client that closed altogether looks the same until it is written to.
        """
        if self.parsing is not None or (self.current is None and not self.queue):
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

    async def writable(self) -> None:
        """Return when the client has read enough, or is gone."""
        writer = self.server.loop.create_future()
        self._writers.append(writer)
        await writer

    # ── input ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, data: bytes | memoryview) -> None:
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
            self._interrupted(data, error)
        else:
            if self._silent:
                self._check_unfinished()

    def _interrupted(self, data: bytes | memoryview, error: Exception) -> None:
        """The parser stopped: for another protocol, or for good."""
        if isinstance(error, httptools.HttpParserUpgrade):
            self._upgraded(data, error.args[0])
        else:
            self._broken(error)

    def _feed_slices(self, data: memoryview) -> None:
        """Parse bit by bit; when enough requests wait, hold the rest back."""
        limit = self.server.options.limit_pipeline
        while data and not self._deaf:
            if len(self.queue) >= limit:
                self._held = data
                self._pause_reading()
                return
            self._feed(data[:_SLICE])
            data = data[_SLICE:]

    def _check_unfinished(self) -> None:
        """Look at a head, chunk line or trailer that has begun and not ended."""
        options = self.server.options
        if self._deaf:
            return
        if self.parsing is not None:
            if self._silent > _CHATTER_LIMIT:
                self._refuse(bad_request("too much between the chunks"))
        elif len(self._target) > options.limit_request_line:
            self._refuse(refusals.URI_TOO_LONG)
        elif self._silent > options.limit_header_bytes + len(self._target):
            self._refuse(refusals.HEADERS_TOO_LARGE)
        elif self.current is None and not self._timing_head:
            self._timing_head = True
            self.deadline = self.server.now + options.header_timeout

    def _broken(self, error: Exception) -> None:
        """The parser gave up."""
        if self._deaf:
            return  # such as data after `Connection: close`
        if isinstance(error, httptools.HttpParserCallbackError):
            logger.error("a bug in the HTTP parser's callbacks", exc_info=error.__context__ or error)
            self.cut()
            return
        too_long = len(self._target) > self.server.options.limit_request_line
        self._refuse(refusals.URI_TOO_LONG if too_long else bad_request(str(error)))

    def _upgraded(self, data: bytes | memoryview, offset: int) -> None:
        """The client asked for another protocol; without one to switch to, HTTP goes on after the request."""
        rest = bytes(data[offset:])
        if self.server.upgrade(self, rest):
            return
        self._parser = httptools.HttpRequestParser(self)
        self._silent = 0
        if rest and not self._deaf:
            self._feed(rest)

    def _throw_away(self, size: int) -> None:
        self._silent += size
        if self.closing and self._silent > _DISCARD_LIMIT * 4:
            self.transport.abort()

    # ── callbacks of the parser ──────────────────────────────────────────────────────────────────────────────────────

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field, or one trailer field, which we don't pass on."""
        if self.parsing is not None:
            return
        name = name.lower()
        self._fields.append((name, value.rstrip(b" \t")))
        if name == b"host":
            self._hosts += 1
        elif name in SPECIAL:
            if self._special is None:
                self._special = []
            self._special.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head is in: begin the request, or put it in the queue."""
        if self._deaf:
            return
        server = self.server
        target, fields, hosts, special = self._target, self._fields, self._hosts, self._special
        large = self._silent > server.head_slack
        self._target, self._fields, self._hosts, self._special, self._silent = b"", [], 0, None, 0
        verb = self._parser.get_method()
        method = _METHODS.get(verb)
        if special is None and method is not None and hosts == 1 and self._parser.should_keep_alive():
            # Without any special field only HTTP/1.1 keeps the connection, and there is no body: what nearly every request is.
            exchange = server.exchange(self, method, target, fields, "1.1", True, None)
        else:
            exchange = self._judged(verb, target, fields, hosts, special or [])
        if large or len(fields) > server.options.limit_header_count or len(target) > server.options.limit_request_line:
            exchange.refusal = self._too_large(exchange) or exchange.refusal
        if exchange.refusal is None:
            self.parsing = exchange
        else:
            self._deaf = self._linger = True
        if self.current is None and not self.queue:
            self._begin(exchange)
        else:
            self._admit(exchange)

    def _judged(self, verb: bytes, target: bytes, fields: Fields, hosts: int, special: Fields) -> Exchange:
        """Make the exchange for a request that has something special about it; perhaps to be refused."""
        parser, server = self._parser, self.server
        version = parser.get_http_version()
        judgement = judge(
            method=verb,
            version=version,
            hosts=hosts,
            special=special,
            limit_body=server.options.limit_body,
            upgrades=parser.should_upgrade(),
        )
        method = verb.decode()
        if isinstance(judgement, Refusal):
            exchange = server.exchange(self, method, target, fields, version, False, None)
            exchange.refusal = judgement
            exchange.plain = False
            return exchange
        body = RequestBody(expects_continue=judgement.expects_continue) if judgement.length else None
        keep_alive = parser.should_keep_alive()
        exchange = server.exchange(self, method, target, fields, version, keep_alive, body)
        exchange.plain = keep_alive and version == "1.1" and method != "HEAD" and not judgement.expects_continue
        if judgement.upgrade:
            server.offer_upgrade(self, exchange, judgement.upgrade)
        return exchange

    def _too_large(self, exchange: Exchange) -> Refusal | None:
        options = self.server.options
        if len(exchange.target) > options.limit_request_line:
            return refusals.URI_TOO_LONG
        if len(exchange.fields) > options.limit_header_count or _size(exchange.fields) > options.limit_header_bytes:
            return refusals.HEADERS_TOO_LARGE
        return None

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        exchange = self.parsing
        if exchange is None or exchange.body is None:
            return
        self._silent = 0
        body = exchange.body
        limit = self.server.options.limit_body
        if exchange.done or exchange.gone:
            body.received += len(data)
            if body.received > _DISCARD_LIMIT and not self.closing:
                self._finish()
            return
        body.feed(data)
        if limit and body.received > limit:
            self._refuse(refusals.BODY_TOO_LARGE)
            return
        if body.size > HIGH_WATER:
            self._pause_reading()
        if exchange._waiters is not None:  # noqa: SLF001 - spares a call for each piece nobody waits for
            self.deadline = inf
            exchange.wake()

    def on_chunk_header(self) -> None:
        """A chunk begins: progress."""
        self._silent = 0

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange = self.parsing
        if exchange is None:
            return
        self.parsing = None
        self._silent = 0
        if not exchange.keep_alive:
            self._deaf = True
        if exchange.body is not None:
            exchange.body.complete = True
            if exchange is self.current:
                self.deadline = inf
                exchange.wake()
            elif self.current is None and not self.closing:
                self._idle()  # an unread body is thrown away; now the next request can come

    # ── the order of requests ────────────────────────────────────────────────────────────────────────────────────────

    def _admit(self, exchange: Exchange) -> None:
        if self.current is None and not self.queue:
            self._begin(exchange)
        else:
            self.queue.append(exchange)
            if len(self.queue) >= self.server.options.limit_pipeline:
                self._pause_reading()

    def _begin(self, exchange: Exchange) -> None:
        self.current = exchange
        self.deadline = inf
        self._timing_head = False
        refusal = exchange.refusal or self.server.launch(exchange)
        if refusal is not None:
            exchange.refuse(refusal)

    def answered(self, exchange: Exchange) -> None:
        """The answer of the current exchange is written: go on with the next request, or close."""
        if exchange is not self.current:
            return
        self.current = None
        self.epoch += 1
        if exchange._waiters is not None:  # noqa: SLF001 - spares a call
            exchange.wake()
        if (
            exchange.keep_alive
            and self.parsing is None
            and not (self.queue or self._eof or self._silent or self._target or self._reading_paused or self.server.draining)
        ):
            self.deadline = self.server.now + self.server.keep_alive  # what `_idle` does when nothing is special
        else:
            self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> None:
        if not exchange.keep_alive:
            self._finish()
        elif self.queue:
            self._advance()
        elif self._eof:
            self._finish()
        elif self.parsing is exchange:
            self.deadline = self.server.now + self.server.options.body_timeout
            self._resume_reading()
        else:
            self._idle()

    def _advance(self) -> None:
        """Begin what waits. A loop and no recursion: hundreds may be refused in a row."""
        if self._advancing:
            return
        self._advancing = True
        while self.queue and self.current is None and not self.closing:
            self._begin(self.queue.popleft())
        self._advancing = False
        if self.current is None and not self.closing:
            if self._eof:
                self._finish()
            else:
                self._idle()
        elif len(self.queue) < self.server.options.limit_pipeline:
            self._resume_reading()

    def _idle(self) -> None:
        """Wait for the next request."""
        options = self.server.options
        self._timing_head = bool(self._silent or self._target)
        self.deadline = self.server.now + (options.header_timeout if self._timing_head else options.keep_alive)
        if self._reading_paused:
            self._resume_reading()
        if self.server.draining:
            self.server.close_soon(self)

    # ── flow of input ────────────────────────────────────────────────────────────────────────────────────────────────

    def await_body(self) -> None:
        """The handler waits for body from now on."""
        self.deadline = self.server.now + self.server.options.body_timeout

    def body_was_read(self) -> None:
        """The handler took what was there."""
        if self._reading_paused:
            self._resume_reading()

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""
        if not self.closing:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self.closing:
            self._reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._feed_slices(held)
        if self._held is None and self._reading_paused and not self.transport.is_closing():
            self._reading_paused = False
            self.transport.resume_reading()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_idle(self) -> bool:
        """No request is in it, not even half of one."""
        return self.current is None and self.parsing is None and not self.queue and not self._silent and not self._target

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving with a refusal, when its turn comes, and listen no more."""
        self._deaf = self._linger = True
        exchange, self.parsing = self.parsing, None
        if exchange is None:
            exchange = Exchange(self, "GET", self._target[:80], [], "1.1", keep_alive=False, body=None)
            exchange.refusal = refusal
            self._admit(exchange)
        elif exchange is self.current:
            exchange.refuse(refusal)
        elif exchange.done:
            self._finish()
        else:
            exchange.refusal = refusal

    def _finish(self) -> None:
        """Close, once what is written has left; without harming it where the client may still be sending."""
        if self.closing:
            return
        self.closing = True
        self.queue.clear()
        self.deadline = self.server.now + _LINGER
        self.stall = (-1, 0.0)
        unread = self._linger or self._reading_paused or self._silent or self.parsing is not None
        self._deaf = True
        self._held = None
        if self._eof or not unread:
            self.transport.close()
            return
        self._silent = 0
        if not self.transport.is_closing():
            self.transport.write_eof()
            if self._reading_paused:
                self._reading_paused = False
                self.transport.resume_reading()

    def cut(self) -> None:
        """End the connection so that the client cannot take a part for the whole: with a reset, whatever the framing."""
        self.closing = self._deaf = True
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def expire(self) -> None:
        """What was waited for is overdue."""
        if self.closing:
            if self.transport.get_write_buffer_size():
                self.deadline = self.server.now + _LINGER  # it is still reading; `stall` ends it if it isn't
            else:
                self.transport.abort()
        elif self.current is not None:
            self._refuse(refusals.REQUEST_TIMED_OUT)
        elif self.parsing is not None:
            self._finish()
        elif self._silent or self._target:
            self._refuse(refusals.REQUEST_TIMED_OUT)
        else:
            self._finish()

    def close_if_idle(self, epoch: int) -> bool:
        """Close if it has been idle since `epoch`; False when a request is on its way and it should be tried again."""
        if self.closing or self.epoch != epoch or not self.is_idle:
            return True
        if self._has_unread_input():
            return False
        self._finish()
        return True

    def _has_unread_input(self) -> bool:
        """Ask the kernel: the loop may have been busy and not have read yet what is here."""
        try:
            waiting: bytes = fcntl.ioctl(self.sock.fileno(), termios.FIONREAD, b"\0\0\0\0")
        except OSError:
            return False
        return bool(struct.unpack("i", waiting)[0])


def _size(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)


def _host_and_port(name: tuple[str, int] | None) -> tuple[str, int] | None:
    """Cut what IPv6 adds. None: the client was gone before it could be asked."""
    return None if name is None else (name[0], name[1])
