"""ASGI 3: the scope, receive and send, disconnects, and the lifespan, to the letter."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.web.apps import answer, hello, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import Client, CountingMeter, context, request, running, serving

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.lifespan import StartupFailedError
from tamago.server.worker import AsgiWorker


class Recorder:
    """Answers at once and remembers the scopes."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["pool"] = ["shared"]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.scopes.append({**scope, "state": dict(scope["state"])})
        await answer(send)
        scope["state"]["mine"] = True


def test_the_scope_says_what_the_request_said(run: Run) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app) as served:
            client = await served.connect()
            await client.get("/a%20b/%C3%A9%2Fc?x=%31&y", "X-One: 1", "X-One:   2  ", "Cookie: a=b")
            (scope,) = app.scopes
            client_address = client.writer.get_extra_info("sockname")
            assert scope == {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": "/a b/é/c",
                "raw_path": b"/a%20b/%C3%A9%2Fc",
                "query_string": b"x=%31&y",
                "root_path": "",
                "headers": [(b"host", b"test"), (b"x-one", b"1"), (b"x-one", b"2"), (b"cookie", b"a=b")],
                "client": client_address,
                "server": served.address,
                "state": {"pool": ["shared"]},
                "extensions": {"http.response.early_hint": {}, "http.response.pathsend": {}},
            }

    run(main())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://test/a?b", "/a", b"b"),
        ("http://test", "/", b""),
        ("http://test?b=/", "/", b"b=/"),
        ("/a#fragment?x", "/a", b""),
        ("//a/b", "//a/b", b""),
    ],
)
def test_every_form_of_target_has_a_path(run: Run, target: str, path: str, query: bytes) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app) as served:
            assert (await served.get(target)).status == 200
            assert (app.scopes[0]["path"], app.scopes[0]["query_string"]) == (path, query)

    run(main())


def test_the_host_of_an_absolute_target_counts(run: Run) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app) as served:
            await served.get("http://other.example:81/a", "X-A: 1")
            assert app.scopes[0]["headers"] == [(b"host", b"other.example:81"), (b"x-a", b"1")]
            assert app.scopes[0]["path"] == "/a"

    run(main())


def test_options_star_has_a_star_for_a_path(run: Run) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("OPTIONS", "*"))
            await client.reply()
            assert app.scopes[0]["path"] == "*"

    run(main())


def test_the_root_path_stands_before_the_path(run: Run) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app, root_path="/api/") as served:
            await served.get("/a%20b")
            scope = app.scopes[0]
            assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/a b", b"/api/a%20b")

    run(main())


def test_the_state_is_copied_for_each_request(run: Run) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app) as served:
            client = await served.connect()
            await client.get()
            await client.get()
            first, second = (scope["state"] for scope in app.scopes)
            assert second == {"pool": ["shared"]}
            assert first["pool"] is second["pool"]

    run(main())


def test_what_an_application_adds_to_its_scope_is_in_no_other(run: Run) -> None:
    async def main() -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            for part in (scope["asgi"], scope["extensions"]):
                assert "mine" not in part
                part["mine"] = 1
            await answer(send)

        async with serving(app) as served:
            client = await served.connect()
            assert [(await client.get()).status for _ in range(2)] == [200, 200]

    run(main())


def test_an_ipv4_client_of_a_listener_for_both_families_has_the_address_it_has_elsewhere(run: Run) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        seen.append((scope["client"], scope["server"]))
        await answer(send)

    async def main() -> None:
        meter = CountingMeter()
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        listener.setblocking(False)
        async with running(AsgiWorker(app, context(meter=meter)), meter, listener) as served:
            port = served.address[1]
            for host in ("127.0.0.1", "::1"):
                reader, writer = await asyncio.open_connection(host, port)
                client = Client(reader, writer)
                own = writer.get_extra_info("sockname")[1]
                assert (await client.get()).status == 200
                await client.close()
                assert seen.pop() == ((host, own), (host, port))

    run(main())


def test_a_unix_socket_has_no_client_address(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app, path=tmp_path / "web.sock") as served:
            assert (await served.get()).status == 200
            assert app.scopes[0]["client"] is None
            assert app.scopes[0]["server"] == (str(tmp_path / "web.sock"), None)

    run(main())


@pytest.mark.parametrize(("trusted", "client", "scheme"), [((), "127.0.0.1", "http"), (("127.0.0.0/8",), "203.0.113.7", "https")])
def test_forwarded_fields_count_from_trusted_proxies_only(run: Run, trusted: tuple[str, ...], client: str, scheme: str) -> None:
    async def main() -> None:
        app = Recorder()
        async with serving(app, trusted_proxies=trusted) as served:
            await served.get("/", "X-Forwarded-For: 10.9.9.9, 203.0.113.7, 127.0.0.5", "X-Forwarded-Proto: https")
            assert (app.scopes[0]["client"][0], app.scopes[0]["scheme"]) == (client, scheme)

    run(main())


def test_receive_after_the_answer_is_a_disconnect(run: Run) -> None:
    async def main() -> None:
        messages: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await hello(scope, receive, send)
            messages.append((await receive())["type"])
            messages.append((await receive())["type"])

        async with serving(app) as served:
            await served.get()
        assert messages == ["http.request", "http.disconnect"]

    run(main())


def test_what_follows_a_complete_answer_is_ignored(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        for kind in ("body", "start", "pathsend", "early_hint", "trailers"):
            await send({"type": f"http.response.{kind}", "body": b"more", "status": 500, "path": "/", "links": [b"x"]})

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            assert [(await client.get()).body for _ in range(2)] == [b"hello"] * 2
        assert caplog.records == []

    run(main())


def test_a_response_may_ask_for_the_connection_to_end(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, fields=[(b"Connection", b"Close"), (b"Transfer-Encoding", b"chunked")])

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            reply = await client.get()
            assert (reply.body, reply["connection"], reply["content-length"]) == (b"hello", "close", "5")
            assert await client.rest() == b""

    run(main())


def test_date_and_server_of_the_application_win(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, fields=[(b"Server", b"mine"), (b"Date", b"today")])

    async def main() -> None:
        async with serving(app) as served:
            reply = await served.get()
            assert (reply["server"], reply["date"]) == ("mine", "today")

    run(main())


def test_a_failed_start_up_fails_the_start_with_the_message(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database\n"})

    async def main() -> None:
        with pytest.raises(StartupFailedError) as caught:
            await AsgiWorker(app, context()).start()
        assert caught.value.detail == "no database"

    run(main())


@pytest.mark.parametrize("way", ["told", "untold"])
def test_an_application_that_exits_in_its_start_up_fails_the_start(run: Run, way: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if way == "told":  # as Starlette does, which then lets the error through
            await send({"type": "lifespan.startup.failed", "message": "SystemExit: no database"})
        raise SystemExit("no database")

    async def main() -> None:
        with pytest.raises(StartupFailedError) as caught:
            await AsgiWorker(app, context()).start()
        assert "SystemExit: no database" in caught.value.detail

    run(main())


def test_an_application_without_lifespan_is_served(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await answer(send)

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).status == 200
        assert caplog.records == []

    run(main())


def test_an_application_that_raises_in_its_start_up_is_served_and_warned_about(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            raise ValueError("not my protocol")
        await answer(send)

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).status == 200
        assert "not my protocol" in caplog.text

    run(main())


@pytest.mark.parametrize("outcome", ["complete", "failed", "raise", "return"])
def test_shutdown_ends_whatever_the_application_makes_of_it(run: Run, caplog: pytest.LogCaptureFixture, outcome: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        if outcome == "raise":
            raise ValueError("too tired")
        if outcome != "return":
            await send({"type": f"lifespan.shutdown.{outcome}", "message": "too tired"})

    async def main() -> None:
        worker = AsgiWorker(app, context())
        await worker.start()
        await worker.stop()
        await worker.stop()
        assert ("too tired" in caplog.text) == (outcome in {"failed", "raise"})

    run(main())


def test_a_lifespan_that_ends_early_leaves_the_worker_serving(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            return
        await answer(send)

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).status == 200

    run(main())


def test_a_client_that_leaves_before_it_is_served_is_no_trouble(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            for _ in range(20):
                client: Client = await served.connect()
                client.abort()
            assert (await served.get()).status == 200

    run(main())
