"""Contexts without a request, for work that nobody asked for: schedules, messages, start-up, tests. Egg's `createAnonymousContext`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tamago.app.current import current
from tamago.app.route_finding import find_route

if TYPE_CHECKING:
    from tamago.app.context import Context


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request nobody made."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    data: bytes


@dataclass(slots=True, kw_only=True)
class AnonymousExchange:
    """A GET of / from this machine, unless told otherwise. `answer` is what was answered, for who wants to know."""

    method: str = "GET"
    target: bytes = b"/"
    fields: list[tuple[bytes, bytes]] = field(default_factory=lambda: [(b"host", b"127.0.0.1"), (b"x-forwarded-for", b"127.0.0.1")])
    client: tuple[str, int] | None = ("127.0.0.1", 7001)
    scheme: str = "http"
    root_path: str = ""
    version: str = "1.1"
    body: object | None = None
    gone: bool = False
    hung_up: bool = False
    answer: Answer | None = None
    pieces: list[bytes] = field(default_factory=list)

    async def read(self) -> bytes:
        """Return the next piece of the body."""
        return self.pieces.pop(0) if self.pieces else b""

    async def wait_for_input(self) -> None:
        """Nobody is there to leave, so whoever waits for that is let go."""
        self.gone = True

    def respond(self, status: int, fields: Iterable[tuple[bytes, bytes]], data: bytes) -> None:
        """Keep the answer."""
        self.answer = Answer(status, tuple(fields), data)

    def start(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the head of the answer."""
        self.answer = Answer(status, tuple(fields), b"")

    def write(self, data: bytes, *, more: bool = False) -> None:  # noqa: ARG002 - as the Protocol has it
        """Keep a piece of the answer."""
        if self.answer is not None:
            self.answer = Answer(self.answer.status, self.answer.fields, self.answer.data + data)

    async def drain(self) -> None:
        """Nobody reads."""

    async def send_file(self, path: str) -> None:
        """Nobody reads."""


def anonymous_context(
    context: type[Context], *, method: str = "GET", url: str = "/", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Context:
    """Return a context of this class for a request that nobody made; `headers` are added to AnonymousExchange's, and win."""
    exchange = AnonymousExchange(method=method, target=url.encode())
    given = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
    if body:
        exchange.body, exchange.pieces = body, [body]
        given.setdefault(b"content-length", b"%d" % len(body))
    exchange.fields = list({**dict(exchange.fields), **given}.items())
    route, params = find_route(context.app.table, method, exchange.target, exchange.fields)
    return context(exchange, route, params)


@asynccontextmanager
async def anonymous_scope(context: type[Context], **request: Any) -> AsyncIterator[Context]:
    """Have an anonymous context be the current one within the block. Egg's `runInAnonymousContextScope`."""
    ctx = anonymous_context(context, **request)
    token = current.set(ctx)
    try:
        yield ctx
    finally:
        current.reset(token)
