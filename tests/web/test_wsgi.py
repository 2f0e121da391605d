"""WSGI applications, in threads: PEP 3333 to the letter, and the frameworks people use."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import sys
import threading
import wsgiref.validate
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import Run
from tests.web.edge import CountingMeter, Served, context, listen, request, running, until

from tamago.server.wsgi import WsgiWorker
from tamago.types import ServerOptions

Start = Callable[..., Any]
PLAIN = [("Content-Type", "text/plain")]


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[Served]:
    meter = CountingMeter()
    settings = ServerOptions(**{"linger": 0.02, **options})
    async with running(WsgiWorker(app, context(settings, meter)), meter, listen()) as served:
        yield served


def hello(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"hello"]


def test_a_request_gets_its_answer_with_its_length(run: Run) -> None:
    async def main() -> None:
        async with serving(hello) as served:
            client = await served.connect()
            for _ in range(3):
                reply = await client.get()
                assert (reply.status, reply.body, reply["content-length"]) == (200, b"hello", "5")

    run(main())


def test_the_environ_says_what_the_request_said(run: Run) -> None:
    async def main() -> None:
        seen: list[dict[str, Any]] = []

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            seen.append({**environ, "body": environ["wsgi.input"].read()})
            return hello(environ, start_response)

        async with serving(app, root_path="/api") as served:
            client = await served.connect()
            fields = ("X-One: 1", "X-One: 2", "Cookie: a=b", "Cookie: c=d", "X_Forged: 1", "Proxy: evil", "Content-Type: text/x")
            await client.send(request("POST", "/a%20b/%C3%A9?x=%31", *fields, body=b"abc"))
            await client.reply()
        (environ,) = seen
        expected = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "/api",
            "PATH_INFO": "/a b/\xc3\xa9",
            "QUERY_STRING": "x=%31",
            "REQUEST_URI": "/a%20b/%C3%A9?x=%31",
            "CONTENT_LENGTH": "3",
            "CONTENT_TYPE": "text/x",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "test",
            "HTTP_X_ONE": "1,2",
            "HTTP_COOKIE": "a=b; c=d",
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "body": b"abc",
        }
        assert {key: environ.get(key) for key in expected} == expected
        assert environ["SERVER_PORT"] == str(served.address[1])
        assert not any("FORGED" in key or key == "HTTP_PROXY" for key in environ)

    run(main())


class Input:
    """Reads its input in every way there is; answers with what it read, and says where the body was kept."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        self.kept.append("file" if getattr(body, "_rolled", False) else "memory")
        pieces = [body.readline(), body.readline(3), body.read(5), *itertools.islice(body, 2), *body.readlines(1), *body.readlines()]
        assert (body.read(), body.read(1), body.readline(), list(body)) == (b"", b"", b"", [])
        start_response("200 OK", [("Content-Length", str(sum(map(len, pieces))))])
        return iter(pieces)


@pytest.mark.parametrize(("lines", "kept"), [(9, "memory"), (20_000, "memory"), (100_000, "file")])
def test_the_input_is_a_file_that_ends_with_the_body_and_a_large_one_is_not_in_memory(run: Run, lines: int, kept: str) -> None:
    async def main() -> None:
        app = Input()
        async with serving(app) as served:
            client = await served.connect()
            data = b"a line\n" * lines
            sending = asyncio.create_task(client.send(request("PUT", "/", body=data)))
            assert (await client.reply()).body == data
            await sending
            assert app.kept == [kept]

    run(main())


def test_the_validator_of_the_standard_library_finds_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        pieces = [body.readline(), body.read(2), *body]
        start_response("200 OK", PLAIN)
        return pieces

    async def main() -> None:
        async with serving(wsgiref.validate.validator(app), root_path="/mounted") as served:
            client = await served.connect()
            for body in (b"", b"one\ntwo\nthree"):
                await client.send(request("POST", "/a/b?c=d", "Content-Type: text/plain", "Cookie: a", "Cookie: b", body=body))
                assert (await client.reply()).body == body
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\nbc\r\n0\r\n\r\n")
            assert (await client.reply()).body == b"a\nbc"
            await client.send(request("OPTIONS", "*"))
            assert (await client.reply()).status == 200

    run(main())
    assert caplog.records == []


@pytest.mark.parametrize("size", [0, 10, 2_000_000])
def test_an_upload_of_any_size_arrives_whole(run: Run, size: int) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        body = b"".join(iter(lambda: environ["wsgi.input"].read(10_000), b""))
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            data = bytes(range(256)) * (size // 256)
            chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            sending = asyncio.create_task(client.send(chunked, *([b"%x\r\n%b\r\n" % (len(data), data)] if data else []), b"0\r\n\r\n"))
            assert (await client.reply()).body == data
            await sending

    run(main())


@pytest.mark.parametrize("announced", [None, 700_000])
def test_a_wrapped_file_is_sent_from_where_it_stands_and_closed(run: Run, tmp_path: Path, announced: int | None) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "file").write_bytes(content)
    files: list[Any] = []

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        file = (tmp_path / "file").open("rb")
        files.append(file)
        file.seek(1000)
        start_response("200 OK", [] if announced is None else [("Content-Length", str(announced))])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 4096)
        return wrapped

    async def main() -> None:
        async with serving(app) as served:
            reply = await served.get()
            assert reply.body == content[1000:][:announced]
            assert reply["content-length"] == ("" if announced is None else "700000")
        assert files[0].closed

    run(main())


def test_a_wrapped_file_that_is_shorter_than_announced_is_no_whole_answer(run: Run) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(b"short"))
        return wrapped

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await client.reader.readuntil(b"\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                await client.reader.readexactly(10)

    run(main())


def test_pieces_are_sent_as_they_come(run: Run) -> None:
    async def main() -> None:
        go_on = threading.Event()
        closed = threading.Event()

        class Answer:
            def __iter__(self) -> Iterator[bytes]:
                yield b"first"
                go_on.wait()
                yield b""
                yield b"second"

            def close(self) -> None:
                closed.set()

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            start_response("200 OK", PLAIN)
            return Answer()

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await client.reader.readuntil(b"\r\n\r\n")
            chunks = client.chunks()
            assert await anext(chunks) == b"first"
            go_on.set()
            assert [chunk async for chunk in chunks] == [b"second"]
        assert closed.is_set()

    run(main())


def test_the_piece_that_completes_the_length_ends_the_answer(run: Run) -> None:
    async def main() -> None:
        go_on = threading.Event()

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Length", "5")])
            yield b"he"
            yield b"llo"
            go_on.wait()

        async with serving(app) as served:
            assert (await served.get()).body == b"hello"
            go_on.set()

    run(main())


def test_the_write_callable_works(run: Run) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"a")
        write(b"b")
        return [b"c"]

    async def main() -> None:
        async with serving(app) as served:
            assert (await served.get()).body == b"abc"

    run(main())


def test_what_was_written_may_be_the_whole_answer(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [*PLAIN, ("Content-Length", "2")])(b"ab")
        return [b""]

    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            assert [(await client.get()).body, (await client.get()).body] == [b"ab", b"ab"]
        assert caplog.text == ""

    run(main())


def test_a_head_may_be_replaced_until_it_is_sent(run: Run) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        try:
            _ = environ["no such key"]
        except KeyError:
            start_response("503 Busy", PLAIN, sys.exc_info())
        return [b"sorry"]

    async def main() -> None:
        async with serving(app) as served:
            reply = await served.get()
            assert (reply.status, reply.body) == (503, b"sorry")

    run(main())


def twice(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    start_response("200 OK", PLAIN)
    return []


def never(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    return [b"x"]


def raising(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    raise ZeroDivisionError


def stopping(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    raise StopIteration


def splitting(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("X-A", "1\r\nX-B: 2")])
    return [b"x"]


def too_long(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "1")])
    return [b"xyz"]


def text(environ: dict[str, Any], start_response: Start) -> Iterable[Any]:
    start_response("200 OK", [("Content-Length", "4")])
    return ["text"]


def unwilling(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    raise SystemExit("a worker does not end like this")


@pytest.mark.parametrize("app", [twice, never, raising, stopping, splitting, too_long, text, unwilling])
def test_a_broken_application_is_a_500(run: Run, app: Any) -> None:
    async def main() -> None:
        async with serving(app) as served:
            client = await served.connect()
            assert (await client.get()).status == 500
            assert (await client.get()).status == 500

    run(main())


class BreaksOff:
    """An answer that fails after its first piece, and would like to begin anew. Says what it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.closed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        self._start_response = start_response
        start_response("200 OK", PLAIN)
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            try:
                self._start_response("500 Sorry", PLAIN, sys.exc_info())
            except ZeroDivisionError:
                self.seen.append("raised again")
                raise

    def close(self) -> None:
        self.closed.set()


def test_an_error_in_mid_stream_cuts_the_answer_and_is_raised_again_for_who_would_replace_its_head(run: Run) -> None:
    async def main() -> None:
        app = BreaksOff()
        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await client.reader.readuntil(b"\r\n\r\n")
            assert await client.reset()
        await asyncio.get_running_loop().run_in_executor(None, app.closed.wait)
        assert app.seen == ["raised again"]

    run(main())


def test_the_answer_does_not_wait_for_close(run: Run) -> None:
    async def main() -> None:
        go_on = threading.Event()

        class Answer(list[bytes]):
            def close(self) -> None:
                go_on.wait()

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            start_response("200 OK", PLAIN)
            return Answer([b"hello"])

        async with serving(app) as served:
            assert (await served.get()).body == b"hello"
            assert served.meter.in_flight == 1
            go_on.set()

    run(main())


def test_the_meter_hears_when_all_threads_are_busy(run: Run) -> None:
    async def main() -> None:
        release = threading.Semaphore(0)

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            release.acquire()
            return hello(environ, start_response)

        async with serving(app, threads=2) as served:
            clients = [await served.connect() for _ in range(3)]
            for client in clients:
                await client.send(request("GET", "/"))
            await until(lambda: served.meter.busy)
            await until(lambda: served.meter.in_flight == 3)
            assert served.meter.busy == [True]
            for _ in clients:
                release.release()
            for client in clients:
                await client.reply()
            await until(lambda: not served.meter.in_flight)
            assert served.meter.busy == [True, False, True, False]

    run(main())


def test_slow_uploads_take_no_thread(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, threads=1) as served:
            slow = [await served.connect() for _ in range(5)]
            for client in slow:
                await client.send(request("POST", "/", body=b"x" * 10)[:-5])
            assert (await served.get()).body == b"hello"
            for client in slow:
                await client.send(b"xxxxx")
                assert (await client.reply()).body == b"hello"

    run(main())


def test_an_answer_nobody_reads_holds_its_generator_back_and_a_client_that_leaves_ends_it(run: Run) -> None:
    async def main() -> None:
        produced: list[int] = []
        closed = threading.Event()

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            start_response("200 OK", PLAIN)
            try:
                for n in range(10_000):
                    produced.append(n)
                    yield b"x" * 65536
            finally:
                closed.set()

        async with serving(app) as served:
            client = await served.connect()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request("GET", "/"))
            await until(lambda: any(connection.write_paused for connection in served.edge.server.connections))
            assert len(produced) < 1_000
            client.abort()
            await asyncio.get_running_loop().run_in_executor(None, closed.wait)
            assert len(produced) < 1_000

    run(main())


def test_a_drain_waits_for_the_threads(run: Run) -> None:
    async def main() -> None:
        release = threading.Event()

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            release.wait()
            return hello(environ, start_response)

        async with serving(app) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            await until(lambda: served.meter.in_flight)
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await asyncio.wait([draining], timeout=0.05)
            release.set()
            reply = await client.reply()
            assert (reply.body, reply["connection"]) == (b"hello", "close")
            await draining

    run(main())


def test_requests_in_one_thread_have_contexts_of_their_own(run: Run) -> None:
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="clean")

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", PLAIN)
        seen = variable.get()
        variable.set("dirty")
        return [seen.encode()]

    async def main() -> None:
        async with serving(app, threads=1) as served:
            client = await served.connect()
            assert [(await client.get()).body for _ in range(2)] == [b"clean"] * 2

    run(main())


UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 700_000 + b"\r\n--x--\r\n"


async def use(served: Served, static: bytes) -> None:
    client = await served.connect()
    assert (await client.get("/")).body == b"hello"
    await client.send(request("POST", "/upload", "Content-Type: multipart/form-data; boundary=x", body=UPLOAD))
    assert (await client.reply()).body == b"700000"
    assert (await client.get("/stream")).body == b"0,1,2,"
    assert (await client.get("/nowhere")).status == 404
    assert (await client.get("/fails")).status == 500
    await client.send(request("HEAD", "/"))
    assert (await client.reply(bodiless=True))["content-length"] == "5"
    counted = await client.get("/count")
    cookie = counted["set-cookie"].partition(";")[0]
    assert [counted.body, (await client.get("/count", f"Cookie: {cookie}")).body] == [b"1", b"2"]
    reply = await client.get("/static/page.css")
    # The file is kept out of the assertion: pytest would be hours over a difference.
    size, same = str(len(static)), reply.body == static
    assert (reply.status, reply["content-type"].partition(";")[0], reply["content-length"], same) == (200, "text/css", size, True)


STATIC = b"p { margin: 0 }\n" * 60_000


def test_flask_runs_unchanged(run: Run, tmp_path: Path) -> None:
    import flask

    app = flask.Flask("shop", static_folder=str(tmp_path), static_url_path="/static")
    app.secret_key = "x"

    def count() -> str:
        flask.session["count"] = flask.session.get("count", 0) + 1
        return str(flask.session["count"])

    app.add_url_rule("/", "index", lambda: "hello")
    app.add_url_rule("/count", "count", count)
    app.add_url_rule("/stream", "stream", lambda: flask.Response(f"{n}," for n in range(3)))
    app.add_url_rule("/fails", "fails", lambda: str(1 // 0))
    app.add_url_rule("/upload", "upload", lambda: str(len(flask.request.files["file"].read())), methods=["POST"])
    (tmp_path / "page.css").write_bytes(STATIC)

    async def main() -> None:
        async with serving(app) as served:
            await use(served, STATIC)
            reply = await served.get("/static/page.css", "Range: bytes=100-199")
            assert (reply.status, reply.body) == (206, STATIC[100:200])

    run(main())


def test_django_runs_unchanged(run: Run, tmp_path: Path) -> None:
    import types

    from django.core.handlers.wsgi import WSGIHandler  # type: ignore[import-untyped]
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]
    from django.test import override_settings  # type: ignore[import-untyped]
    from django.urls import path  # type: ignore[import-untyped]
    from django.views.static import serve  # type: ignore[import-untyped]
    from tests.web import django_settings

    def upload(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(len(request.FILES["file"].read())))

    def fails(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError

    def count(request: HttpRequest) -> HttpResponse:
        request.session["count"] = request.session.get("count", 0) + 1
        return HttpResponse(str(request.session["count"]))

    (tmp_path / "page.css").write_bytes(STATIC)
    urls: Any = types.ModuleType("django_urls_under_test")
    urls.urlpatterns = [
        path("", lambda _: HttpResponse("hello")),
        path("count", count),
        path("stream", lambda _: StreamingHttpResponse(f"{n}," for n in range(3))),
        path("fails", fails),
        path("upload", upload),
        path("static/<path:path>", serve, {"document_root": str(tmp_path)}),
    ]
    django_settings.configure()
    changed = override_settings(
        ROOT_URLCONF=urls,
        ALLOWED_HOSTS=["*"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.contrib.sessions.middleware.SessionMiddleware"],
    )

    async def main() -> None:
        async with serving(WSGIHandler()) as served:
            await use(served, STATIC)

    with changed:
        run(main())
