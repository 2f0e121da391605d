"""Websockets: what an ASGI application sees of them, and how they end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.web.apps import TEXT, hello, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import Served, request, serving, until
from tests.web.frames import CLOSE, FIN, HANDSHAKE, frame, read_close
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tamago.server.asgi import Receive, Scope, Send


@asynccontextmanager
async def client(served: Served, path: str = "/", **options: Any) -> AsyncIterator[ClientConnection]:
    host, port = served.address
    async with connect(f"ws://{host}:{port}{path}", proxy=None, **options) as connection:
        yield connection


class Echo:
    """Echoes, and remembers everything it was told."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.messages: list[Any] = []
        self.ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["type"] == "http":
            await hello(scope, receive, send)
            return
        self.scopes.append(scope)
        try:
            while True:
                message = await receive()
                self.messages.append(message)
                if message["type"] == "websocket.connect":
                    await send(
                        {"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None), "headers": [(b"x-a", b"b")]}
                    )
                elif message["type"] == "websocket.receive":
                    await send({**message, "type": "websocket.send"})
                else:
                    return
        finally:
            self.ended.set()


def test_messages_of_both_kinds_come_back(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served:
            async with client(served, subprotocols=["chat", "other"]) as ws:
                assert ws.subprotocol == "chat"
                assert ws.response is not None
                assert ws.response.headers["x-a"] == "b"
                for message in ("text é", b"\0bytes", "x" * 200_000, ""):
                    await ws.send(message)
                    assert await ws.recv() == message
                await ws.send(["in ", "three ", "pieces"])
                assert await ws.recv() == "in three pieces"
                await (await ws.ping())
            await app.ended.wait()
            assert app.messages[0] == {"type": "websocket.connect"}
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}
            assert app.scopes[0]["type"] == "websocket"
            assert app.scopes[0]["scheme"] == "ws"
            assert app.scopes[0]["path"] == "/"
            assert app.scopes[0]["subprotocols"] == ["chat", "other"]

    run(main())


def test_a_drain_closes_with_1012_and_the_application_hears_of_it(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served, client(served) as ws:
            await ws.send("hello")
            await ws.recv()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
            await app.ended.wait()
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1012, "reason": ""}
            await draining

    run(main())


def test_a_client_that_vanishes_is_a_disconnect_1006(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served:
            async with client(served) as ws:
                ws.transport.abort()
            await app.ended.wait()
            assert app.messages[-1]["code"] == 1006

    run(main())


@pytest.mark.parametrize("answer", ["close", "response"])
def test_an_application_may_decline(run: Run, answer: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        if answer == "close":
            await send({"type": "websocket.close"})
        else:
            await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no token")]})
            await send({"type": "websocket.http.response.body", "body": b"go away"})

    async def main() -> None:
        async with serving(app) as served:
            with pytest.raises(InvalidStatus) as caught:
                async with client(served):
                    pass
            assert caught.value.response.status_code == (403 if answer == "close" else 401)

    run(main())


def test_a_denial_may_be_streamed_and_is_followed_by_the_disconnect(run: Run) -> None:
    async def main() -> None:
        heard: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            assert scope["extensions"] == {"websocket.http.response": {}}
            assert scope["asgi"]["spec_version"] == "2.5"
            await receive()
            await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-type", b"text/plain")]})
            for piece in (b"no ", b"token"):
                await send({"type": "websocket.http.response.body", "body": piece, "more_body": True})
            await send({"type": "websocket.http.response.body"})
            heard.append(await receive())

        async with serving(app) as served:
            with pytest.raises(InvalidStatus) as caught:
                async with client(served):
                    pass
            assert (caught.value.response.status_code, bytes(caught.value.response.body or b"")) == (401, b"no token")
            await until(lambda: not served.meter.in_flight)
            assert heard == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


@pytest.mark.parametrize("field", [(b"x-a", b"b\r\nx-c: d"), (b"x a", b"b"), (b"sec-websocket-protocol", b"chat")])
def test_a_header_that_may_not_be_in_the_answer_is_a_500(run: Run, caplog: pytest.LogCaptureFixture, field: tuple[bytes, bytes]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept", "headers": [field]})

    async def main() -> None:
        async with serving(app) as served:
            with pytest.raises(InvalidStatus) as caught:
                async with client(served):
                    pass
            assert caught.value.response.status_code == 500
        assert "ValueError" in caplog.text

    run(main())


def test_a_drain_lets_the_application_decide_and_then_closes_with_1012(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        entered, opened = asyncio.Event(), asyncio.Event()
        heard: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            entered.set()
            await opened.wait()
            await send({"type": "websocket.accept"})
            try:
                await send({"type": "websocket.send", "text": "too late"})
            except OSError:
                heard.append((await receive())["code"])
                raise

        async with serving(app) as served:
            connecting = asyncio.create_task(client(served).__aenter__())
            await entered.wait()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await until(lambda: served.edge.server.draining)
            opened.set()
            ws = await connecting
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
            await draining
            assert heard == [1012]
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    run(main())


@pytest.mark.parametrize("begun", [False, True], ids=["all of it", "its second half"])
def test_a_handshake_that_reaches_a_draining_worker_is_answered_and_then_told_to_come_back(run: Run, begun: bool) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, linger=5.0) as served:
            raw = await served.connect()
            asked = request("GET", "/", *HANDSHAKE)
            at = len(asked) // 2 if begun else 0
            await raw.send(asked[:at])
            await until(lambda: len(served.edge.server.connections) == 1)
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await until(lambda: served.edge.server.draining)
            await raw.send(asked[at:])
            assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await read_close(raw) == (1012, "")
            await raw.send(frame(FIN | CLOSE, (1012).to_bytes(2, "big")))
            assert await raw.rest() == b""
            await draining
            assert app.messages == [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1012, "reason": ""}]

    run(main())


def test_a_drain_that_finds_a_websocket_behind_another_answer_closes_it_after_that(run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        echo = Echo()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            if scope["type"] == "websocket":
                await echo(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": TEXT})
            await send({"type": "http.response.body", "body": b"one ", "more_body": True})
            await opened.wait()
            await send({"type": "http.response.body", "body": b"two"})

        async with serving(app) as served:
            raw = await served.connect()
            await raw.send(request("GET", "/"), request("GET", "/", *HANDSHAKE))
            await until(lambda: any(connection.tunnel is not None for connection in served.edge.server.connections))
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await until(lambda: served.edge.server.draining)
            opened.set()
            assert (await raw.reply()).body == b"one two"
            assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await read_close(raw) == (1012, "")
            await draining
            assert echo.messages[-1]["code"] == 1012

    run(main())


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4999, "é")])
def test_the_code_and_reason_of_the_client_reach_the_application(run: Run, code: int, reason: str) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served:
            async with client(served) as ws:
                await ws.close(code, reason)
            await app.ended.wait()
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": code, "reason": reason}

    run(main())


@pytest.mark.parametrize("code", [1005, 99])
def test_a_code_that_cannot_be_sent_is_the_applications_error(run: Run, caplog: pytest.LogCaptureFixture, code: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": code})

    async def main() -> None:
        async with serving(app) as served, client(served) as ws:
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1011
        assert "invalid status code" in caplog.text

    run(main())


def test_an_application_closes_with_its_own_code(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        assert (await receive())["code"] == 4001

    async def main() -> None:
        async with serving(app) as served, client(served) as ws:
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "enough")

    run(main())


@pytest.mark.parametrize(("ending", "code"), [("return", 1000), ("raise", 1011)])
def test_an_application_that_just_ends_closes(run: Run, caplog: pytest.LogCaptureFixture, ending: str, code: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept"})
        if ending == "raise":
            raise ZeroDivisionError

    async def main() -> None:
        async with serving(app) as served, client(served) as ws:
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == code
        assert ("ZeroDivisionError" in caplog.text) == (ending == "raise")

    run(main())


def test_an_application_that_fails_before_it_accepts_is_a_500(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        raise ZeroDivisionError

    async def main() -> None:
        async with serving(app) as served:
            with pytest.raises(InvalidStatus) as caught:
                async with client(served):
                    pass
            assert caught.value.response.status_code == 500

    run(main())


def test_sending_to_a_client_that_left_is_an_os_error_and_not_logged(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            await send({"type": "websocket.accept"})
            try:
                while True:
                    await send({"type": "websocket.send", "text": "x" * 10_000})
                    await asyncio.sleep(0)
            finally:
                ended.set()

        async with serving(app) as served:
            async with client(served) as ws:
                await ws.recv()
                ws.transport.abort()
            await ended.wait()
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    run(main())


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"])
def test_a_bad_handshake_is_refused(run: Run, missing: str) -> None:
    async def main() -> None:
        app = Echo()
        fields = {"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}
        async with serving(app) as served:
            reply = await served.get("/", *sorted(fields - {missing}))
            assert reply.status in {400, 426}
            assert app.scopes == []

    run(main())


def test_a_message_that_is_too_large_closes_with_1009(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, ws_max_size=1000) as served, client(served) as ws:
            await ws.send("x" * 1001)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
            await app.ended.wait()

    run(main())


def test_a_silent_client_is_asked_and_then_given_up(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, keep_alive=0.1, ws_ping_interval=0.05, ws_ping_timeout=0.05) as served:
            raw = await served.connect()
            fields = (
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
            )
            await raw.send(request("GET", "/", *fields))
            head = await raw.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert (await raw.reader.readexactly(2))[0] == 0x89  # a ping
            await app.ended.wait()
            assert app.messages[-1]["code"] == 1006

    run(main())


def test_an_application_that_takes_nothing_makes_its_client_wait(run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()
        total: list[int] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            await send({"type": "websocket.accept"})
            await opened.wait()
            total.extend([len((await receive())["bytes"]) for _ in range(2000)])
            await send({"type": "websocket.send", "text": "done"})
            await receive()

        async with serving(app) as served, client(served, compression=None) as ws:

            async def flood() -> None:
                for _ in range(2000):
                    await ws.send(b"x" * 10_000)

            sending = asyncio.create_task(flood())
            await asyncio.wait([sending], timeout=0.2)
            assert not sending.done()
            opened.set()
            assert await ws.recv() == "done"
            await sending
            assert sum(total) == 20_000_000

    run(main())


def test_http_before_the_upgrade_on_the_same_connection_is_answered(run: Run) -> None:
    async def main() -> None:
        async with serving(Echo()) as served:
            raw = await served.connect()
            fields = (
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
            )
            await raw.send(request("GET", "/"), request("GET", "/", *fields))
            assert (await raw.reply()).body == b"hello"
            assert (await raw.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    run(main())


def test_without_the_extra_the_log_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "tamago.server.websocket", None)

    async def main() -> None:
        async with serving(Echo()) as served:
            with pytest.raises(InvalidStatus) as caught:
                async with client(served):
                    pass
            assert caught.value.response.status_code == 501
        assert "pip install 'tamago[ws]'" in caplog.text

    run(main())
