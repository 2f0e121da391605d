"""Websocket routes over ASGI."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.unit.app.fakes import FakeApplication

from tamago.app.context import Context
from tamago.app.current import current_context
from tamago.app.errors import ExitError, HttpError
from tamago.app.websocket import BadMessageError, WebSocketClosedError
from tamago.app.websocket_dispatch import serve_websocket

pytestmark = pytest.mark.anyio

Handler = Callable[[Context], Awaitable[object]]


class Client:
    """Sends these messages, then leaves with 1001."""

    def __init__(self, *messages: str | bytes) -> None:
        self.messages = [{"type": "websocket.connect"}, *({"type": "websocket.receive", _kind(item): item} for item in messages)]
        self.got: list[Any] = []
        self.left = False

    async def receive(self) -> Any:
        if self.messages:
            return self.messages.pop(0)
        self.left = True
        return {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}

    async def send(self, message: Any) -> None:
        if self.left:
            raise OSError("gone")
        self.got.append(message)

    @property
    def kinds(self) -> list[str]:
        return [message["type"].removeprefix("websocket.") for message in self.got]


def _kind(message: str | bytes) -> str:
    return "text" if isinstance(message, str) else "bytes"


async def served(
    app: FakeApplication, handler: Handler, *messages: str | bytes, path: str = "/ws/7", answers: bool = True, offered: tuple[str, ...] = ()
) -> Client:
    client = Client(*messages)
    app.router.websocket("/ws/{id:int}", handler)
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"a=1",
        "headers": [(b"host", b"x")],
        "subprotocols": list(offered),
        "extensions": {"websocket.http.response": {}} if answers else {},
    }
    await serve_websocket(app.context, scope, client.receive, client.send)
    return client


async def test_a_host_has_websockets_of_its_own(app: FakeApplication) -> None:
    async def own(ctx: Context) -> None:
        await ctx.websocket.send(ctx.host)

    async def any_host(ctx: Context) -> None:
        raise AssertionError("that of the host comes first")

    app.router.group(host="x").websocket("/ws/{id:int}", own)
    client = await served(app, any_host)
    assert client.got[1] == {"type": "websocket.send", "text": "x"}


async def test_messages_go_both_ways_until_the_client_leaves(app: FakeApplication) -> None:
    seen: list[Any] = []

    async def echo(ctx: Context) -> None:
        seen.extend([current_context() is ctx, ctx.params, ctx.query, ctx.path])
        async for message in ctx.websocket:
            await ctx.websocket.send(message)
        seen.append("over")

    client = await served(app, echo, "text", b"bytes")
    assert client.got == [
        {"type": "websocket.accept", "subprotocol": None, "headers": []},
        {"type": "websocket.send", "text": "text"},
        {"type": "websocket.send", "bytes": b"bytes"},
    ]
    assert seen == [True, {"id": 7}, {"a": "1"}, "/ws/7", "over"]


async def test_a_handler_that_returns_closes(app: FakeApplication) -> None:
    async def greet(ctx: Context) -> None:
        await ctx.websocket.send("hello")

    client = await served(app, greet)
    assert client.kinds == ["accept", "send", "close"]
    assert client.got[-1]["code"] == 1000


async def test_a_subprotocol_and_fields_go_with_the_handshake(app: FakeApplication) -> None:
    async def handler(ctx: Context) -> None:
        assert ctx.websocket.subprotocols == ("chat", "mqtt")
        with pytest.raises(ValueError, match="did not offer the subprotocol 'soap'"):
            await ctx.websocket.accept("soap")
        await ctx.websocket.accept("mqtt", {"X-A": "1"})
        with pytest.raises(RuntimeError, match="accepted already"):
            await ctx.websocket.accept()
        await ctx.websocket.close(4000, "enough")

    client = await served(app, handler, offered=("chat", "mqtt"))
    assert client.got == [
        {"type": "websocket.accept", "subprotocol": "mqtt", "headers": [(b"x-a", b"1")]},
        {"type": "websocket.close", "code": 4000, "reason": "enough"},
    ]


async def test_json_is_checked_as_it_comes_in(app: FakeApplication) -> None:
    async def handler(ctx: Context) -> None:
        value = await ctx.websocket.receive_json(dict[str, int])
        await ctx.websocket.send_json(value)
        for _ in range(2):
            with pytest.raises(BadMessageError):
                await ctx.websocket.receive_json(dict[str, int])

    client = await served(app, handler, '{"a":1}', '{"a":"x"}', b"no JSON")
    assert client.got[1] == {"type": "websocket.send", "text": '{"a":1}'}


async def test_whoever_waits_for_a_client_that_left_is_told_why(app: FakeApplication) -> None:
    seen: list[object] = []

    async def handler(ctx: Context) -> None:
        try:
            await ctx.websocket.receive()
        except WebSocketClosedError as error:
            seen.extend([error.code, error.reason])
        with pytest.raises(WebSocketClosedError):
            await ctx.websocket.send("too late")
        with pytest.raises(WebSocketClosedError):
            await ctx.websocket.receive()

    client = await served(app, handler)
    assert seen == [1001, "bye"]
    assert client.kinds == ["accept"]


async def test_sending_to_a_client_that_left_is_no_failure(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.websocket.receive()

    await served(app, handler)
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LookupError("the inside"), LookupError),
        (SystemExit("the inside"), ExitError),
        (HttpError(503, "the inside"), HttpError),
    ],
)
async def test_a_handler_that_fails_is_logged_and_closes_with_1011(
    app: FakeApplication, caplog: pytest.LogCaptureFixture, error: BaseException, kind: type[Exception]
) -> None:
    told: list[Any] = []
    app.events.on("error", lambda error, ctx: told.append((type(error), ctx.path)))

    async def failing(ctx: Context) -> None:
        await ctx.websocket.accept()
        raise error

    client = await served(app, failing)
    assert client.got[-1] == {"type": "websocket.close", "code": 1011, "reason": ""}
    assert "the inside" in caplog.text
    assert told == [(kind, "/ws/7")]


async def test_a_bad_message_is_the_clients_fault_and_it_is_told_so(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []
    app.events.on("error", lambda error, ctx: told.append(error))

    async def handler(ctx: Context) -> None:
        await ctx.websocket.receive_json(dict[str, int])

    client = await served(app, handler, '{"a":"x"}')
    reason = "bad message: Expected `int`, got `str` - at `$[...]`"
    assert client.got[-1] == {"type": "websocket.close", "code": 1007, "reason": reason}
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", f"websocket /ws/7 closed: 400 {reason}")]
    assert told == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HttpError(403, "not for you"), "not for you"),
        (HttpError(403, "x" * 122 + "ß"), "x" * 122),
        (HttpError(403, "a secret", expose=False), ""),
    ],
)
async def test_what_is_thrown_at_a_client_closes_with_1008_and_says_why_in_a_frame(
    app: FakeApplication, error: HttpError, reason: str
) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.websocket.accept()
        raise error

    client = await served(app, handler)
    assert client.got[-1] == {"type": "websocket.close", "code": 1008, "reason": reason}


@pytest.mark.parametrize(
    ("handler", "path", "status", "data"),
    [
        ("refuse", "/ws/7", 401, b"who are you"),
        ("silent", "/ws/7", 403, b"Forbidden"),
        ("silent", "/elsewhere", 404, b"Not Found"),
        ("own", "/ws/7", 429, b"later"),
        ("fail", "/ws/7", 500, b"Internal Server Error"),
        ("leave", "/ws/7", 500, b"Internal Server Error"),
    ],
)
async def test_a_websocket_that_is_not_accepted_gets_an_answer(
    app: FakeApplication, handler: str, path: str, status: int, data: bytes
) -> None:
    async def refuse(ctx: Context) -> None:
        raise HttpError(401, "who are you")

    async def silent(ctx: Context) -> None: ...

    async def own(ctx: Context) -> None:
        ctx.status, ctx.body = 429, "later"

    async def fail(ctx: Context) -> None:
        raise LookupError

    async def leave(ctx: Context) -> None:
        sys.exit(3)

    handlers: dict[str, Handler] = {"refuse": refuse, "silent": silent, "own": own, "fail": fail, "leave": leave}
    client = await served(app, handlers[handler], path=path)
    assert client.kinds == ["http.response.start", "http.response.body"]
    assert (client.got[0]["status"], client.got[1]["body"]) == (status, data)


async def test_a_server_that_cannot_answer_closes_instead(app: FakeApplication) -> None:
    async def refuse(ctx: Context) -> None:
        raise HttpError(401)

    client = await served(app, refuse, answers=False)
    assert client.kinds == ["close"]


async def test_a_refusal_answers_by_what_the_client_likes(app: FakeApplication) -> None:
    async def refuse(ctx: Context) -> None:
        raise HttpError(401, f"for {ctx.get('host')}")

    client = await served(app, refuse)
    assert client.got[1]["body"] == b"for x"
