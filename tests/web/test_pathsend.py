"""Files that the application leaves to the server (`http.response.pathsend`)."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from tests.web.apps import TEXT, no_lifespan, path as plain
from tests.web.conftest import Run
from tests.web.edge import Client, Served, request, serving, until

from tamago.server.asgi import AsgiApp, Receive, Scope, Send

SIZES = [0, 1, 32 * 1024, 32 * 1024 + 1, 3_000_000]


def content(size: int) -> bytes:
    """Return bytes that show when some are missing, doubled or out of place."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def file_app(file: Path, *fields: tuple[bytes, bytes], status: int = 200) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["path"] != "/":
            await plain(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": status, "headers": [*TEXT, *fields]})
        await send({"type": "http.response.pathsend", "path": str(file)})

    return app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


@pytest.mark.parametrize("announced", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_the_body(run: Run, file: Path, size: int, *, announced: bool) -> None:
    file.write_bytes(content(size))

    async def main() -> None:
        async with serving(file_app(file, *([length(size)] if announced else []))) as served:
            client = await served.connect()
            for _ in range(2):
                reply = await client.get()
                assert reply["content-length"] == str(size)
                assert reply.body == content(size)
                assert (await client.get("/after")).body == b"/after"
            await client.send(request("HEAD", "/"), request("GET", "/after"))
            assert (await client.reply(bodiless=True))["content-length"] == str(size)
            assert (await client.reply()).body == b"/after"

    run(main())


def test_pipelined_files_come_in_order(run: Run, file: Path) -> None:
    file.write_bytes(content(1_000_000))

    async def main() -> None:
        async with serving(file_app(file)) as served:
            client = await served.connect()
            await client.send(*[request("GET", "/"), request("GET", "/between")] * 3)
            for _ in range(3):
                assert (await client.reply()).body == content(1_000_000)
                assert (await client.reply()).body == b"/between"

    run(main())


def test_a_file_for_http_1_0_and_over_a_unix_socket(run: Run, file: Path, tmp_path: Path) -> None:
    file.write_bytes(content(1_000_000))

    async def main() -> None:
        async with serving(file_app(file), path=tmp_path / "web.sock") as served:
            client = await served.connect()
            await client.send(b"GET / HTTP/1.0\r\n\r\n")
            reply = await client.reply()
            assert (reply["connection"], reply.body) == ("close", content(1_000_000))
            assert await client.rest() == b""

    run(main())


@pytest.mark.parametrize("problem", [errno.EINVAL, errno.ENOSYS])
def test_where_the_kernel_cannot_the_file_is_copied(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, problem: int) -> None:
    file.write_bytes(content(3_000_000))

    def sendfile(*_: Any) -> int:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(os, "sendfile", sendfile)

    async def main() -> None:
        async with serving(file_app(file)) as served:
            client = await served.connect()
            assert (await client.get()).body == content(3_000_000)
            assert (await client.get("/after")).body == b"/after"

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_has_no_file_either(run: Run, file: Path, status: int) -> None:
    file.write_bytes(content(100))

    async def main() -> None:
        async with serving(file_app(file, status=status)) as served:
            client = await served.connect()
            assert (await client.get()).status == status
            assert (await client.get("/after")).body == b"/after"

    run(main())


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_file_shorter_than_announced_is_a_500(run: Run, file: Path, caplog: pytest.LogCaptureFixture, size: int) -> None:
    file.write_bytes(content(size))

    async def main() -> None:
        async with serving(file_app(file, length(size + 1))) as served:
            client = await served.connect()
            assert (await client.get()).status == 500
            assert (await client.get("/after")).body == b"/after"
        assert "not as long as its content-length" in caplog.text

    run(main())


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_of_a_file_longer_than_announced_the_beginning_is_sent(run: Run, file: Path, size: int) -> None:
    file.write_bytes(content(size + 10))

    async def main() -> None:
        async with serving(file_app(file, length(size))) as served:
            client = await served.connect()
            assert (await client.get()).body == content(size)
            assert (await client.get("/after")).body == b"/after"

    run(main())


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo"])
def test_what_is_no_file_is_an_error_the_application_may_catch(run: Run, file: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    if kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)

    async def main() -> None:
        async with serving(file_app(file)) as served:
            client = await served.connect()
            assert (await client.get()).status == 500
            assert (await client.get("/after")).body == b"/after"
        (record,) = caplog.records
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], OSError)
        assert str(file) in str(record.exc_info[1])

    run(main())


def test_a_file_is_the_whole_body(run: Run, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_bytes(content(10))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await client.reader.readuntil(b"\r\nx\r\n")
            assert await client.reset()
        assert "a file is the whole body" in caplog.text

    run(main())


def test_a_file_needs_a_head(run: Run, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such as one behind a middleware that keeps the head until it sees a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).status == 500
        assert "start comes first" in caplog.text

    run(main())


def test_pathsend_can_be_turned_off(run: Run) -> None:
    async def main() -> None:
        scopes: list[Any] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            scopes.append(scope)
            await plain(scope, receive, send)

        async with serving(app, pathsend=False) as served:
            await served.get()
        assert "http.response.pathsend" not in scopes[0]["extensions"]

    run(main())


async def slow_reader(served: Served) -> Client:
    """Return a client that asked for the file, has all the kernel would take, and reads no further."""
    client = await served.connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(request("GET", "/"))
    own = client.writer.get_extra_info("sockname")
    await until(lambda: any(connection.client == own and connection._writers for connection in served.edge.server.connections))
    return client


def test_a_file_waits_for_its_reader_and_others_do_not_wait(run: Run, file: Path) -> None:
    file.write_bytes(content(12_000_000))

    async def main() -> None:
        async with serving(file_app(file)) as served:
            slow = await slow_reader(served)
            assert (await served.get("/other")).body == b"/other"
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert (await slow.reply()).body == content(12_000_000)
            assert (await slow.get("/after")).body == b"/after"

    run(main())


def test_a_file_is_sent_whole_to_who_closed_its_half_and_in_a_drain(run: Run, file: Path) -> None:
    file.write_bytes(content(12_000_000))

    async def main() -> None:
        async with serving(file_app(file)) as served:
            half, kept = await slow_reader(served), await slow_reader(served)
            half.writer.write_eof()
            await until(lambda: any(connection._eof for connection in served.edge.server.connections))
            draining = asyncio.create_task(served.edge.drain(closing=False))
            for client in (half, kept):
                client.writer.transport.resume_reading()  # type: ignore[attr-defined]
                assert (await client.reply()).body == content(12_000_000)
                assert await client.rest() == b""
            await draining

    run(main())


@pytest.mark.parametrize("goodbye", ["abort", "truncate", "stall"])
def test_a_file_cut_short_ends_the_connection(run: Run, file: Path, caplog: pytest.LogCaptureFixture, goodbye: str) -> None:
    file.write_bytes(content(12_000_000))

    async def main() -> None:
        async with serving(file_app(file), body_timeout=0.1 if goodbye == "stall" else 30.0) as served:
            slow = await slow_reader(served)
            if goodbye == "abort":
                slow.abort()
            elif goodbye == "truncate":
                os.truncate(file, 1000)
                slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await slow.reply()
            await until(lambda: not (served.meter.connections or served.meter.in_flight))
        errors = [record.levelno for record in caplog.records]
        assert errors == ([logging.ERROR] if goodbye == "truncate" else [])

    run(main())
