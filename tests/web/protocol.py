"""A connection without sockets and without time: bytes in, answers out, the same every time.

A real event loop runs the tasks of requests, but its clock is ours and nothing is ever waited for. The transport keeps what is written;
a client that is `slow` reads nothing until the end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.web.apps import no_lifespan, read_body
from tests.web.edge import CountingMeter

from tamago.server.asgi import AsgiApp, AsgiHost, Receive, Scope, Send
from tamago.server.asgi_websocket import websocket_type
from tamago.server.http1 import Connection
from tamago.server.http_server import HttpServer
from tamago.types import ServerOptions

_HIGH_WATER, _LOW_WATER = 64 * 1024, 16 * 1024  # bytes, as transports have them
_TURNS = 20_000  # of the loop, for one piece of input: more is no progress
_LONG_ENOUGH = 600  # seconds, for every timeout there is
_STEP = 5  # seconds the clock moves at a time


class NoProgressError(AssertionError):
    """The server goes round in circles, or waits for ever."""


class Loop(asyncio.SelectorEventLoop):
    """A loop with a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.clock = 1_000.0
        super().__init__()
        self.problems: list[str] = []
        self.set_exception_handler(lambda _, context: self.problems.append(f"{context['message']}: {context.get('exception')!r}"))

    def time(self) -> float:
        return self.clock

    def settle(self) -> None:
        """Run until nothing can run any more."""
        for _ in range(_TURNS):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return
        raise NoProgressError(f"still busy after {_TURNS} turns of the loop")


class Transport(asyncio.Transport):
    """Keeps what is written; while `stuck`, as if the client read nothing."""

    def __init__(self, loop: Loop, *, stuck: bool) -> None:
        super().__init__()
        self._loop = loop
        self._protocol: Connection
        self._closing = False
        self._paused_writing = False
        self.written = bytearray()
        self.unsent = 0
        self.stuck = stuck
        self.reading = True
        self.lost = False
        self.half_closed = False

    def attach(self, protocol: Connection) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        assert not self.half_closed, "something was written after the end"
        self.written += data
        if self.stuck:
            self.unsent += len(data)
            if self.unsent > _HIGH_WATER and not self._paused_writing:
                self._paused_writing = True
                self._protocol.pause_writing()

    def flush(self, size: int | None = None) -> None:
        """Let the client read so much of what there is (None: all)."""
        self.unsent -= self.unsent if size is None else min(size, self.unsent)
        if self._paused_writing and self.unsent <= _LOW_WATER:
            self._paused_writing = False
            self._protocol.resume_writing()
        if self._closing and not self.unsent:
            self.abort()

    def write_eof(self) -> None:
        self.half_closed = True

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        assert self.reading, "reading was paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "reading was resumed twice"
        self.reading = True

    def close(self) -> None:
        self._closing = True
        if not self.unsent:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        if not self.lost:
            self.lost = True
            self._loop.call_soon(self._protocol.connection_lost, None)


class _Log(logging.Handler):
    """Keeps complaints: of bytes from outside nothing should be an error of ours."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._problems = problems
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._problems.append(self.format(record))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as the application saw it, read to its end."""

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as it was written."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def closes(self) -> bool:
        return (b"connection", b"close") in self.headers


@dataclass(kw_only=True)
class Outcome:
    """What came of the bytes. `methods` are those of all requests the application was called for, in order."""

    seen: list[Seen] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    written: bytes = b""
    problems: list[str] = field(default_factory=list)
    unclosed: bool = False
    most_unsent: int = 0

    @property
    def answers(self) -> list[Answer]:
        return list(parse_answers(self.written, self.methods))

    def essence(self) -> tuple[object, ...]:
        """What must be the same however the bytes were cut."""
        # Whether the application hears of a request that breaks off depends on when it does.
        return ([seen for seen in self.seen if seen.whole], [(answer.status, answer.body) for answer in self.answers])


class Echo:
    """Answers every request with what it was, once it is whole; a websocket gets its messages back."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["type"] == "websocket":
            await self._websocket(receive, send)
            return
        self._outcome.methods.append(scope["method"])
        whole = True
        try:
            body = await read_body(receive)
        except ConnectionAbortedError:
            whole, body = False, b""
        self._outcome.seen.append(
            Seen(
                method=scope["method"],
                target=scope["raw_path"] + b"?" + scope["query_string"],
                version=scope["http_version"],
                headers=tuple(scope["headers"]),
                body=body,
                whole=whole,
            )
        )
        await asyncio.sleep(0)
        # Two pieces, so that it has no length by itself.
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{len(self._outcome.methods)} ".encode(), "more_body": True})
        await self._think()
        await send({"type": "http.response.body", "body": body})

    async def _think(self) -> None:
        """Wait in the middle of an answer."""

    @staticmethod
    async def _websocket(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


class Unhurried(Echo):
    """Begins an answer, and ends it later."""

    async def _think(self) -> None:
        await asyncio.sleep(_STEP)


class Hasty(Echo):
    """Answers at once, without reading."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        self._outcome.methods.append(scope["method"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hasty"})


class Bench:
    """Where connections are tried one after the other. Closed, it gives its loop back."""

    def __init__(self) -> None:
        self.loop = Loop()
        ours, self._theirs = socket.socketpair()
        # A pair stands in for what a connection asks of its socket; it says it is TCP, since that is what nearly all are.
        self._sock: Any = SimpleNamespace(
            family=socket.AF_INET, getsockname=lambda: ("127.0.0.1", 8000), setsockopt=ours.setsockopt, fileno=ours.fileno
        )
        self._ours = ours

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()
        self.loop.close()

    def run(
        self,
        pieces: Sequence[bytes],
        *,
        app: type[Echo] = Echo,
        hang_up: bool = True,
        slow: bool = False,
        drain_at: int | None = None,
        **options: Any,
    ) -> Outcome:
        """Give the pieces to a new connection, one by one, then leave (`hang_up`) or keep silent until the server closes.

        After `drain_at` of them, or all if there are fewer, the worker begins to drain.
        """
        with self.talk(app, slow=slow, **options) as talk:
            for number, piece in enumerate(pieces):
                if number == drain_at:
                    talk.drain()
                if not talk.send(piece):
                    break
            if drain_at is not None and drain_at >= len(pieces):
                talk.drain()
            if hang_up:
                talk.hang_up()
        return talk.outcome

    @contextmanager
    def talk(self, app: type[Echo] = Echo, *, slow: bool = False, **options: Any) -> Iterator[Talk]:
        """Open a connection for the block; at its end everything is read, and the server closes when it wants to."""
        outcome = Outcome()
        self.loop.problems.clear()
        log = _Log(outcome.problems)
        logger = logging.getLogger("tamago")
        logger.addHandler(log)
        try:
            server = self._server(app(outcome), ServerOptions(**options))
            talk = Talk(self.loop, Connection(server, self._sock, ("127.0.0.1", 50_000)), outcome, slow=slow)
            yield talk
            talk.end()
            outcome.unclosed = bool(server.connections or server.running or talk.is_draining)
        finally:
            logger.removeHandler(log)
        outcome.problems += self.loop.problems

    def beside(self, talk: Talk) -> Talk:
        """Open another connection to the same server. Nobody ends it."""
        return Talk(self.loop, Connection(talk.connection.server, self._sock, ("127.0.0.1", 50_001)), talk.outcome, slow=False)

    def _server(self, app: AsgiApp, options: ServerOptions) -> HttpServer:
        host = AsgiHost(app)
        return HttpServer(
            options=options, meter=CountingMeter(), exchange=host.exchange_type(), websocket=websocket_type(host), loop=self.loop
        )


class Talk:
    """One connection, from the client's side."""

    def __init__(self, loop: Loop, connection: Connection, outcome: Outcome, *, slow: bool) -> None:
        self._loop = loop
        self._transport = Transport(loop, stuck=slow)
        self.connection = connection
        self.outcome = outcome
        self._draining: asyncio.Task[None] | None = None
        self._transport.attach(connection)

    @property
    def answers(self) -> list[Answer]:
        """All that were written so far; the client need not have read them."""
        return list(parse_answers(bytes(self._transport.written), self.outcome.methods))

    @property
    def cut(self) -> bool:
        """The server has given the client up."""
        return self._transport.lost

    @property
    def is_draining(self) -> bool:
        """A drain has begun and has not ended."""
        return self._draining is not None and not self._draining.done()

    def drain(self) -> None:
        """Have the worker finish what it has, and end."""
        self._draining = self._loop.create_task(self.connection.server.drain())
        self._loop.settle()

    def send(self, data: bytes) -> bool:
        """Send as soon as the server reads; False if it closed instead."""
        # What a client has to wait for happens by itself, or there is a deadline on it.
        self._pass_time(until=lambda: self._transport.reading or self._transport.lost)
        if self._transport.lost:
            return False
        self.connection.data_received(data)
        self._loop.settle()
        self.outcome.most_unsent = max(self.outcome.most_unsent, self._transport.unsent)
        return True

    def read(self, size: int | None = None) -> None:
        """Read so much (None: all there is now)."""
        self._transport.flush(size)
        self._loop.settle()

    def pass_time(self, seconds: int) -> None:
        """Let time pass, second by second."""
        for _ in range(seconds):
            self._loop.clock += 1
            self._loop.settle()

    def hang_up(self) -> None:
        """Send nothing more, and say so."""
        if not self._transport.lost and not self.connection.eof_received():
            self._transport.close()
        self._loop.settle()

    def end(self) -> None:
        """Read all there is, and wait until the server closes."""
        self._transport.stuck = False
        self.read()
        self._pass_time(until=lambda: self._transport.lost)
        self.pass_time(_STEP)  # for an application that has not noticed yet
        self.outcome.written = bytes(self._transport.written)

    def _pass_time(self, *, until: Callable[[], bool]) -> None:
        self._loop.settle()
        for _ in range(0, _LONG_ENOUGH, _STEP):
            if until():
                return
            self._loop.clock += _STEP
            self._loop.settle()
        raise NoProgressError(f"nothing happened for {_LONG_ENOUGH} seconds")


def parse_answers(data: bytes, methods: Sequence[str]) -> Iterable[Answer]:
    """Read answers strictly; raises ValueError where they are none. `methods` tells answers without a body."""
    left = list(methods)
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end:
            raise ValueError(f"half an answer: {head!r}")
        start, *lines = head.split(b"\r\n")
        version, status, _ = start.split(b" ", 2)
        if version != b"HTTP/1.1":
            raise ValueError(f"no answer: {start!r}")
        headers = tuple(_field(line) for line in lines)
        if status == b"100":
            continue
        if status == b"101":
            return
        # A refused HEAD never came to the application; it is the last answer.
        bodiless = bool(left) and left[0] == "HEAD" if status == b"200" else not data
        if status == b"200":
            left = left[1:]
        body, data = (b"", data) if bodiless else _body(dict(headers), data)
        yield Answer(status=int(status), headers=headers, body=body)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b": ")
    if not colon:
        raise ValueError(f"no field: {line!r}")
    return name, value


def _body(headers: dict[bytes, bytes], data: bytes) -> tuple[bytes, bytes]:
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            chunk, end, data = data[:length], data[length : length + 2], data[length + 2 :]
            if len(chunk) < length or end != b"\r\n":
                raise ValueError(f"a broken chunk: {chunk!r} {end!r}")
            body += chunk
            if not length:
                return body, data
    if b"content-length" not in headers:
        return data, b""
    length = int(headers[b"content-length"])
    if len(data) < length:
        raise ValueError("a body that is too short")
    return data[:length], data[length:]


def check(outcome: Outcome) -> None:
    """Assert what holds for any bytes whatever."""
    assert not outcome.problems, outcome.problems
    assert not outcome.unclosed, "the connection or a request is still there"
    answers = outcome.answers  # raises if these are none
    served = sum(answer.status == 200 for answer in answers)
    assert served <= len(outcome.methods), "an answer without a request"
    refusals = [answer for answer in answers if answer.status != 200]
    assert len(refusals) <= 1, "two refusals on one connection"
    if refusals:
        assert answers[-1] is refusals[0], "something was answered behind a refusal"
        assert refusals[0].closes, "a refusal that does not close"
    closing = [index for index, answer in enumerate(answers) if answer.closes]
    assert closing in ([], [len(answers) - 1]), "something was answered behind the last answer"
