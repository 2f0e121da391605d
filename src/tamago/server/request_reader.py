"""Bytes to requests: feeds the parser, keeps the limits, and judges each head.

The half of a connection that reads; `http1.Connection` is the other half, which orders, answers and ends. Knows no time and no sockets.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import httptools

from tamago.server import refusal as refusals
from tamago.server.exchange import Exchange
from tamago.server.refusal import Refusal, bad_request
from tamago.server.request_body import HIGH_WATER, RequestBody
from tamago.server.request_head import SOUND_HOSTS, judge, known_name, length_problem, new_name, with_host_of
from tamago.server.tunnel import Tunnel, TunnelExchange

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

logger = logging.getLogger("tamago.server")

# Input is parsed in slices of this size, so that a packet full of tiny requests cannot make more than some hundred at once.
SLICE = 16 * 1024

# A body nobody reads is thrown away up to here to keep the connection; past it closing is cheaper.
DISCARD_LIMIT = 256 * 1024

# Bytes of trailers and chunk extensions without any body in them.
_CHATTER_LIMIT = 16 * 1024

# Methods about which nothing is special.
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "PATCH", "DELETE")}

# What a connection has for a queue until it needs one: most never do, and a deque takes 600 bytes. It can hold nothing.
NO_QUEUE: deque[Exchange] = deque(maxlen=0)

Fields = list[tuple[bytes, bytes]]

# What a request has for special fields that has a Connection, which all browsers send, and no other. It stays empty.
_MERELY_CONNECTION: Fields = []


class RequestReader:
    """Makes exchanges of bytes. One class in two files: what is undefined here is defined in `http1.Connection`."""

    __slots__ = (
        "_deaf",
        "_fields",
        "_held",
        "_host",
        "_length",
        "_linger",
        "_parser",
        "_silent",
        "_skipped",
        "_special",
        "_target",
        "_unbegun",
        "_upgrading",
        "closing",
        "current",
        "parsing",
        "queue",
        "server",
        "tunnel",
        "write_paused",
    )

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.current: Exchange | None = None  # being answered
        self.parsing: Exchange | None = None  # its body still arrives
        self.queue = NO_QUEUE  # pipelined, not begun
        self.tunnel: Tunnel | None = None  # what the bytes are for after an upgrade
        self.closing = False  # the last answer is written
        self.write_paused = False  # the client reads too slowly
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._fields: Fields = []
        self._host: bytes | None = None
        self._length: bytes | None = None
        self._special: Fields | None = None
        self._unbegun: Exchange | None = None  # its head is in, and what else is in this slice may be all of its body
        self._silent = 0  # bytes since the parser last made progress: not less than the unfinished head, by at most a slice
        self._deaf = False  # input is thrown away
        self._linger = False  # the client may be sending what we won't read
        self._held: memoryview | None = None  # read but not parsed, because enough requests wait
        self._upgrading: TunnelExchange | None = None
        self._skipped = b""  # a head for the body that the parser won't read because the request asks for an upgrade

    # ── the other half ───────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, exchange: Exchange) -> None:
        """Have the request answered now."""
        raise NotImplementedError

    def admit(self, exchange: Exchange) -> None:
        """Have the request answered when its turn comes."""
        raise NotImplementedError

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request that is arriving with a refusal, when its turn comes, and listen no more."""
        raise NotImplementedError

    def head_has_begun(self) -> None:
        """A part of a head is there."""
        raise NotImplementedError

    def body_has_come(self, exchange: Exchange) -> None:
        """The handler that waits for body has some, or has it all."""
        raise NotImplementedError

    def is_read(self) -> None:
        """A request that was answered before its body arrived has arrived."""
        raise NotImplementedError

    def pause_reading(self) -> None:
        """Make the client wait."""
        raise NotImplementedError

    def finish(self) -> None:
        """Close after what is written."""
        raise NotImplementedError

    def cut(self) -> None:
        """Close at once."""
        raise NotImplementedError

    # ── input ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, data: bytes | memoryview) -> None:
        while data:
            self._silent += len(data)
            try:
                self._parser.feed_data(data)
            except (httptools.HttpParserUpgrade, httptools.HttpParserError) as error:
                data = self._rest_after(error, data)
            else:
                if self._silent:
                    self._check_unfinished()
                break
        if self._unbegun is not None:
            self._admit_unbegun()

    def _interrupted(self, data: bytes | memoryview, error: Exception) -> None:
        """The parser stopped: for another protocol, or for good."""
        self._feed(self._rest_after(error, data))

    def _rest_after(self, error: Exception, data: bytes | memoryview) -> bytes:
        """Return what is still to be parsed. A packet may hold hundreds of upgrades, so nothing here recurses."""
        if isinstance(error, httptools.HttpParserUpgrade):
            return self._upgraded(bytes(data[error.args[0] :]))
        self._broken(error)
        return b""

    def _feed_slices(self, data: memoryview) -> None:
        """Parse bit by bit; when enough requests wait, hold the rest back."""
        limit = self.server.options.limit_pipeline
        while data and not self._deaf:
            if len(self.queue) >= limit:
                self._held = data
                self.pause_reading()
                return
            self._feed(data[:SLICE])
            data = data[SLICE:]
        if data and self.tunnel is not None:  # which began in the middle of what came
            self.tunnel.data_received(bytes(data))

    def _check_unfinished(self) -> None:
        """Look at a head, chunk line or trailer that has begun and not ended."""
        options = self.server.options
        if self._deaf:
            return
        if self.parsing is not None:
            if self._silent > _CHATTER_LIMIT:
                self.refuse(bad_request("too much between the chunks"))
        elif len(self._target) > options.limit_request_line:
            self.refuse(refusals.URI_TOO_LONG)
        elif self._silent > options.limit_header_bytes + len(self._target):
            self.refuse(refusals.HEADERS_TOO_LARGE)
        else:
            self.head_has_begun()

    def _broken(self, error: Exception) -> None:
        """The parser gave up."""
        if self._deaf:
            return  # such as data after `Connection: close`
        if isinstance(error, httptools.HttpParserCallbackError):
            logger.error("a bug in the HTTP parser's callbacks", exc_info=error.__context__ or error)
            self.cut()
            return
        self.refuse(self._why_broken(error))

    def _why_broken(self, error: Exception) -> Refusal:
        if len(self._target) > self.server.options.limit_request_line:
            return refusals.URI_TOO_LONG
        if self._parser.get_http_version() >= "2":  # the preface of HTTP/2 among them, at which the parser would hand over to another one
            return refusals.VERSION_NOT_SUPPORTED
        return bad_request(str(error))

    def _upgraded(self, rest: bytes) -> bytes:
        """The client asked for another protocol; without one to switch to, HTTP goes on after the request."""
        upgrading = self._upgrading
        if upgrading is not None:
            self._deaf = True
            if upgrading.refusal is None:
                self.tunnel = upgrading.tunnel
                self.tunnel.data_received(rest)
            return b""
        self._parser = httptools.HttpRequestParser(self)
        self._silent = 0
        if self._skipped:
            self._expect_body()
        return b"" if self._deaf else rest

    def _expect_body(self) -> None:
        """Bring the parser to where the body begins. It takes what follows a wish to upgrade for another protocol, also a body.

        Without this whoever chooses the body chooses the next request as well.
        """
        head, self._skipped = self._skipped, b""
        deaf, self._deaf = self._deaf, True
        self._parser.feed_data(head)
        self._deaf = deaf
        self._target = b""

    # ── callbacks of the parser ──────────────────────────────────────────────────────────────────────────────────────

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field, or one trailer field, which we don't pass on."""
        if self.parsing is not None:
            if name.lower() == b"connection" and b"close" in value.lower():  # the parser obeys it even here, so we must know
                self.parsing.keep_alive = self.parsing.plain = False
            return
        value = value.rstrip(b" \t")
        name, special = known_name(name) or new_name(name)
        self._fields.append((name, value))
        if special:
            if name == b"host" and self._host is None:
                self._host = value
            elif name == b"content-length":
                self._length = value  # the parser lets only digits pass, and only once
            elif name == b"connection" and self._special is None:
                self._special = _MERELY_CONNECTION  # the parser knows what it means
            elif not self._special:
                self._special = [(name, value)]
            else:
                self._special.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is in: begin the request, or put it in the queue."""
        if self._deaf:
            return
        server, parser = self.server, self._parser
        target, fields = self._target, self._fields
        host, length, special = self._host, self._length, self._special
        silent = self._silent
        self._target, self._fields = b"", []
        self._host = self._length = self._special = None
        self._silent = 0
        verb = parser.get_method()
        method = "GET" if verb == b"GET" else _METHODS.get(verb)  # compared sooner than looked up
        keep_alive = parser.should_keep_alive()
        if (
            not special
            and method is not None
            and host in SOUND_HOSTS
            and target[0] == 47  # "/"
            # Without a word about it, only HTTP/1.1 keeps the connection.
            and (keep_alive if special is None else parser.get_http_version() == "1.1")
        ):
            make = server.exchange  # called as it stands there, it would be looked for among the methods first
            exchange = make(self, method, target, fields, keep_alive)  # what nearly every request is
            if length is not None:
                self._announce(exchange, int(length))
            elif 0 < silent <= server.small_head and self.current is None and not (self.queue or self.write_paused):
                # Nothing more is to be looked at, and nothing to be waited for. All that follows would come to the same.
                self._deaf = not keep_alive
                self.begin(exchange)
                return
        else:
            exchange = self._judged(verb, target, fields, host, special or [], int(length or 0))
        if silent > server.head_slack or len(fields) > server.options.limit_header_count or len(target) > server.options.limit_request_line:
            exchange.refusal = self._too_large(exchange) or exchange.refusal
        if exchange.body is not None or exchange.refusal is not None:
            self._await_rest(exchange)
            return
        self._deaf = not exchange.keep_alive
        self.admit(exchange)

    def _await_rest(self, exchange: Exchange) -> None:
        """Look at the rest of the slice first, if there is a rest that counts."""
        if exchange.refusal is None:
            self.parsing = self._unbegun = exchange
        else:
            self._deaf = self._linger = True
            self.admit(exchange)

    def _admit_unbegun(self) -> None:
        """Begin a request of which the rest has still to come, or put it in the queue."""
        exchange, self._unbegun = self._unbegun, None
        if exchange is not None:
            exchange.prompt = False  # it would only wait
            self.admit(exchange)

    def _announce(self, exchange: Exchange, length: int) -> None:
        """Give the exchange a body of this length, or a refusal."""
        exchange.refusal = length_problem(length, self.server.options.limit_body)
        if exchange.refusal is not None:
            exchange.keep_alive = exchange.plain = False
        elif length:
            exchange.body = RequestBody()

    def _judged(self, verb: bytes, target: bytes, fields: Fields, host: bytes | None, special: Fields, length: int) -> Exchange:
        """Make the exchange for a request that has something special about it; perhaps to be refused."""
        parser, server = self._parser, self.server
        version = parser.get_http_version()
        judgement = judge(
            method=verb,
            target=target,
            version=version,
            host=host,
            special=special,
            length=length,
            limit_body=server.options.limit_body,
            upgrades=parser.should_upgrade(),
        )
        method = verb.decode()
        if isinstance(judgement, Refusal):
            exchange = server.exchange(self, method, target, fields)
            exchange.version, exchange.refusal = version, judgement
            exchange.keep_alive = exchange.plain = False
            return exchange
        if not target.startswith(b"/"):
            fields = with_host_of(target, fields)
        if judgement.upgrade == b"websocket" and not judgement.length:
            websocket = self._websocket(method, target, fields, version)
            if websocket is not None:
                return websocket
        body = RequestBody(expects_continue=judgement.expects_continue) if judgement.length else None
        if body is not None and parser.should_upgrade():
            self._skipped = _head_before_body(judgement.length)
        exchange = server.exchange(self, method, target, fields)
        exchange.version, exchange.body, exchange.keep_alive = version, body, parser.should_keep_alive()
        exchange.plain = version == "1.1" and method != "HEAD" and not judgement.expects_continue
        return exchange

    def _websocket(self, method: str, target: bytes, fields: Fields, version: str) -> Exchange | None:
        """Make the exchange for a websocket; None where the application can't have any."""
        make = self.server.websocket
        exchange = make(self, method, target, fields) if make is not None else None
        if exchange is not None:
            exchange.version = version
            exchange.keep_alive = exchange.plain = False
            self._upgrading = exchange
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
            if body.received > DISCARD_LIMIT and not self.closing:
                self.finish()
            return
        body.feed(data)
        if limit and body.received > limit:
            self.refuse(refusals.BODY_TOO_LARGE)
            return
        if body.size > HIGH_WATER:
            self.pause_reading()
        if exchange._waiters is not None:  # noqa: SLF001 - spares a call for each piece nobody waits for
            self.body_has_come(exchange)

    def on_chunk_header(self) -> None:
        """A chunk begins: progress."""
        self._silent = 0

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange = self.parsing
        if exchange is None:
            return
        body = exchange.body
        if body is not None and self._skipped:
            return  # it has not even begun
        self.parsing = None
        self._silent = 0
        if not exchange.keep_alive:
            self._deaf = True
        if body is not None:
            body.complete = True
            if exchange is self._unbegun:
                self._unbegun = None
                self.admit(exchange)
            elif exchange is self.current:
                self.body_has_come(exchange)
            elif self.current is None and not self.closing:
                self.is_read()


def _head_before_body(length: int) -> bytes:
    framing = b"Transfer-Encoding: chunked" if length < 0 else b"Content-Length: %d" % length
    return b"POST / HTTP/1.1\r\nHost: -\r\n%b\r\n\r\n" % framing


def _size(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)
