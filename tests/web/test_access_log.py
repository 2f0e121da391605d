"""The access log and request ids, as requests of every kind and end leave them behind."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.web.apps import Gate, answer, echo, hello, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import CountingMeter, Served, context, request, running, serving
from tests.web.test_websocket import Echo, client
from tests.web.test_wsgi import serving as serving_wsgi

from tamago.log import LogFileError
from tamago.server.access_log import AccessLog
from tamago.server.asgi import Receive, Scope, Send
from tamago.server.exchange import Exchange
from tamago.server.native import NativeWorker
from tamago.types import ServerOptions

FORM = "{method} {target} {status} {bytes} {completion}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def logging_to(path: Path, form: str = FORM) -> dict[str, Any]:
    return {"access_log": True, "access_log_file": str(path), "access_log_format": form}


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def raw(served: Served, data: bytes) -> bytes:
    connection = await served.connect()
    await connection.send(data)
    connection.writer.write_eof()
    return await connection.rest()


def test_every_answer_has_its_line(run: Run, log: Path) -> None:
    async def main() -> None:
        async with serving(echo, **logging_to(log)) as served:
            connection = await served.connect()
            await connection.send(request("GET", "/a?b"), request("POST", "/c", body=b"12345"), request("HEAD", "/d"))
            for bodiless in (False, False, True):
                await connection.reply(bodiless=bodiless)
        assert lines(log) == ["GET /a?b 200 0 complete", "POST /c 200 5 complete", "HEAD /d 200 0 complete"]

    run(main())


def test_an_answer_given_in_one_step_has_its_line(run: Run, log: Path) -> None:
    async def app(exchange: Exchange) -> None:
        exchange.respond(200, [(b"content-length", b"5")], b"hello")

    async def main() -> None:
        meter = CountingMeter()
        async with running(NativeWorker(app, context(ServerOptions(**logging_to(log)), meter)), meter) as served:
            assert (await served.get()).body == b"hello"
        assert lines(log) == ["GET / 200 5 complete"]

    run(main())


def test_a_stream_is_logged_at_its_end_with_all_its_bytes(run: Run, log: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x" * 40_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def main() -> None:
        async with serving(app, **logging_to(log)) as served:
            assert len((await served.get()).body) == 120_000
        assert lines(log) == ["GET / 201 120000 complete"]

    run(main())


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\x16\x03\x01\r\n\r\n", "- - 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", "GET / 400 "),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "GET /" + "x" * 900),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 300 + b"\r\n\r\n", "GET / 431 "),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", "POST / 413 "),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n", "POST / 413 "),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "CONNECT a:1 501 "),
    ],
)
def test_what_the_server_refuses_is_logged_as_well(run: Run, log: Path, data: bytes, line: str) -> None:
    async def main() -> None:
        async with serving(echo, limit_header_bytes=256, limit_body=10, **logging_to(log)) as served:
            await raw(served, data)
        (found,) = lines(log)
        assert found.startswith(line), found
        assert found.endswith(" complete")

    run(main())


def test_a_head_that_does_not_come_in_time_is_logged_as_408(run: Run, log: Path) -> None:
    async def main() -> None:
        async with serving(hello, header_timeout=0.05, **logging_to(log)) as served:
            connection = await served.connect()
            await connection.send(b"GET /half HTTP/1.1\r\nHost:")
            assert b" 408 " in await connection.rest()
            assert await (await served.connect()).rest() == b""  # nobody asked anything
        (found,) = lines(log)
        assert found.startswith("- /half 408 ")

    run(main())


def test_too_many_requests_at_once_are_logged_as_503(run: Run, log: Path) -> None:
    async def main() -> None:
        gate = Gate()
        async with serving(gate, limit_in_flight=1, **logging_to(log)) as served:
            first = await served.connect()
            await first.send(request("GET", "/first"))
            await gate.entered.wait()
            assert (await served.get("/second")).status == 503
            gate.opened.set()
            await first.reply()
        assert [line.split()[:3] for line in lines(log)] == [["GET", "/second", "503"], ["GET", "/first", "200"]]

    run(main())


def test_an_application_that_fails_and_one_that_breaks_off_are_told_apart(run: Run, log: Path) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["path"] == "/later":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise LookupError

    async def main() -> None:
        async with serving(app, **logging_to(log)) as served:
            assert (await served.get("/now")).status == 500
            connection = await served.connect()
            await connection.send(request("GET", "/later"))
            await connection.reset()
        assert [line for line in lines(log) if "/later" in line] == ["GET /later 200 4 cut"]
        assert next(line for line in lines(log) if "/now" in line).startswith("GET /now 500 ")

    run(main())


def test_a_client_that_leaves_before_its_answer_is_499(run: Run, log: Path) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            entered.set()
            assert await receive() == {"type": "http.disconnect"}

        async with serving(app, **logging_to(log)) as served:
            connection = await served.connect()
            await connection.send(request("GET", "/slow"))
            await entered.wait()
            connection.abort()
        assert lines(log) == ["GET /slow 499 0 cut"]

    run(main())


def test_a_websocket_is_logged_at_its_end(run: Run, log: Path) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, **logging_to(log)) as served:
            async with client(served, "/chat") as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"
                served.edge._recording._log._file.writer.write()  # type: ignore[union-attr]
                assert lines(log) == []
            await app.ended.wait()
            await raw(served, request("GET", "/bad", "Upgrade: websocket", "Connection: Upgrade"))
        assert lines(log)[0] == "GET /chat 101 0 complete"
        assert lines(log)[1].startswith("GET /bad 4")

    run(main())


def test_wsgi_is_logged_the_same(run: Run, log: Path) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("X-Id", environ["HTTP_X_REQUEST_ID"])])
        return [b"in ", b"pieces"]

    async def main() -> None:
        async with serving_wsgi(app, **logging_to(log, FORM + " {request_id}")) as served:
            reply = await served.get("/w")
        assert lines(log) == [f"GET /w 200 9 complete {reply['x-id']}"]
        assert reply["x-request-id"] == reply["x-id"] != ""

    run(main())


def test_a_file_that_cannot_be_opened_is_told_by_its_name(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        options = ServerOptions(access_log_file=str(tmp_path / "missing" / "access.log"))
        with pytest.raises(LogFileError, match=r"cannot write the log file .*/missing/access\.log") as caught:
            AccessLog(context(options), asyncio.get_running_loop())
        assert "--access-log-file" in caught.value.hint

    run(main())


def test_a_full_disk_stops_nobody_and_what_was_lost_is_told_at_the_end(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(hello, **logging_to(Path("/dev/full"))) as served:
            for _ in range(3):
                assert (await served.get()).status == 200
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told == ["3 lines of the access log were dropped: nobody took them, or the disk was full"]

    run(main())


def test_off_it_is_not_in_the_way(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            assert served.edge.server.exchange.__mro__[1].__name__ == "AsgiExchange"  # type: ignore[attr-defined]
            assert "x-request-id" not in await served.get()

    run(main())


# ── request ids ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def mirror(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await answer(send, b",".join(value for name, value in scope["headers"] if name == b"x-request-id"))


def test_a_request_without_an_id_gets_one_that_everybody_is_told(run: Run, log: Path) -> None:
    async def main() -> None:
        async with serving(mirror, **logging_to(log, "json")) as served:
            connection = await served.connect()
            replies = [await connection.get() for _ in range(3)]
        ids = [reply["x-request-id"] for reply in replies]
        assert len(set(ids)) == 3
        assert [reply.body.decode() for reply in replies] == ids
        assert [json.loads(line)["request_id"] for line in lines(log)] == ids

    run(main())


@pytest.mark.parametrize(
    ("proxies", "said", "kept"),
    [
        (("127.0.0.1",), ("X-Request-ID: abc-123",), True),
        ((), ("X-Request-ID: abc-123",), False),
        (("10.0.0.0/8",), ("X-Request-ID: abc-123",), False),
        (("*",), ("X-Request-ID: abc 123",), False),
        (("*",), ("X-Request-ID: " + "a" * 65,), False),
        (("*",), ("X-Request-ID: abc-123", "X-Request-ID: abc-123"), False),
    ],
)
def test_only_a_trusted_proxy_may_choose_the_id(run: Run, proxies: tuple[str, ...], said: tuple[str, ...], kept: bool) -> None:
    async def main() -> None:
        async with serving(mirror, request_id=True, trusted_proxies=proxies) as served:
            reply = await served.get("/", *said)
        assert (reply["x-request-id"] == "abc-123") is kept
        assert reply.body.decode() == reply["x-request-id"]

    run(main())


def test_an_id_the_application_gives_to_its_answer_stands(run: Run) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, fields=[(b"X-Request-Id", b"mine")])

    async def main() -> None:
        async with serving(app, request_id=True) as served:
            assert (await served.get())["x-request-id"] == "mine"

    run(main())


def test_the_id_does_not_count_against_the_limit_of_fields(run: Run) -> None:
    async def main() -> None:
        async with serving(mirror, request_id=True, limit_header_count=3) as served:
            assert (await served.get("/", "A: 1", "B: 2")).status == 200
            assert (await served.get("/", "A: 1", "B: 2", "C: 3")).status == 431

    run(main())


def test_processes_that_seed_the_global_generator_alike_make_different_ids(run: Run) -> None:
    async def main() -> list[str]:
        random.seed(7)
        async with serving(mirror, request_id=True) as served:
            return [(await served.get())["x-request-id"] for _ in range(3)]

    assert not set(run(main())) & set(run(main()))


def test_the_bytes_of_a_file_count(run: Run, log: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 200_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def main() -> None:
        async with serving(app, **logging_to(log)) as served:
            assert (await served.get("/file")).body == file.read_bytes()
        assert lines(log) == ["GET /file 200 200000 complete"]

    run(main())
