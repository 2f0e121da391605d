"""Django, Litestar and Quart behave under tamago as they do under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.conformance import SERVERS, Site, Sites, Watch, big_file, get
from tests.web.edge import request

# Django says so for each file it sends, and does it anyway.
pytestmark = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")

NUMBERS = "".join(f"{n}," for n in range(200))
ENDED = "the stream has ended"


async def numbers() -> AsyncIterator[bytes]:
    for n in range(200):
        yield b"%d," % n


async def events(watch: Watch) -> AsyncIterator[bytes]:
    try:
        yield b"data: 1\n\n"
        await asyncio.Event().wait()
    finally:
        watch.note(ENDED)


def make_django(watch: Watch, file: Path) -> Any:
    from django.core.handlers.asgi import ASGIHandler  # type: ignore[import-untyped]
    from django.http import FileResponse, HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]
    from django.urls import path  # type: ignore[import-untyped]
    from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-untyped]
    from tests.web import django_settings

    @csrf_exempt
    def upload(request: Any) -> Any:
        return HttpResponse(str(len(request.FILES["file"].read())))

    async def hello(request: Any) -> Any:
        return HttpResponse(f"hello {request.GET['name']}")

    def fails(request: Any) -> Any:
        raise ValueError("in the view")

    urls: Any = types.ModuleType(f"django_urls_{id(watch)}")
    urls.urlpatterns = [
        path("hello", hello),
        path("upload", upload),
        path("stream", lambda _: StreamingHttpResponse(numbers())),
        path("events", lambda _: StreamingHttpResponse(events(watch))),
        path("file", lambda _: FileResponse(file.open("rb"))),
        path("fails", fails),
    ]
    sys.modules[urls.__name__] = urls
    django_settings.configure()

    class Handler(ASGIHandler):  # type: ignore[misc]
        def create_request(self, scope: Any, body_file: Any) -> Any:
            request, error = super().create_request(scope, body_file)
            request.urlconf = urls.__name__  # settings are one for the process, and other tests have theirs
            return request, error

    handler = Handler()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("Django has no lifespan")
        await handler(scope, receive, send)

    return app


def make_litestar(watch: Watch, file: Path) -> Any:
    from litestar import Litestar, Request, get, post
    from litestar.response import File, Stream

    async def hello(request: Any) -> str:
        return f"hello {request.query_params['name']}"

    async def upload(request: Any) -> str:
        return str(len(await (await request.form())["file"].read()))

    # The framework reads these when it is made, and would not find names of this function.
    hello.__annotations__ = upload.__annotations__ = {"request": Request, "return": str}

    @get("/stream")
    async def stream() -> Any:
        return Stream(numbers())

    @get("/events")
    async def sse() -> Any:
        return Stream(events(watch))

    @get("/file")
    async def download() -> Any:
        return File(file)

    @get("/fails")
    async def fails() -> str:
        raise ValueError("in the handler")

    return Litestar([get("/hello")(hello), post("/upload", status_code=200)(upload), stream, sse, download, fails], openapi_config=None)


def make_quart(watch: Watch, file: Path) -> Any:
    from quart import Quart, request, send_file

    app = Quart("quart_under_test")

    @app.get("/hello")
    async def hello() -> str:
        return f"hello {request.args['name']}"

    @app.post("/upload")
    async def upload() -> str:
        return str(len((await request.files)["file"].read()))

    @app.get("/stream")
    async def stream() -> Any:
        return numbers()

    @app.get("/events")
    async def sse() -> Any:
        return events(watch), {"Content-Type": "text/event-stream"}

    @app.get("/file")
    async def download() -> Any:
        return await send_file(file)

    @app.get("/fails")
    async def fails() -> str:
        raise ValueError("in the view")

    return app


MAKERS: dict[str, Callable[[Watch, Path], Any]] = {"django": make_django, "litestar": make_litestar, "quart": make_quart}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sites]]:
    file = big_file(tmp_path_factory.mktemp("files"))
    with contextlib.ExitStack() as stack:
        sites = {}
        for name, make in MAKERS.items():
            sites[name] = Sites(lambda watch, make=make: make(watch, file))  # type: ignore[misc]
            stack.callback(sites[name].close)
        yield sites


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=MAKERS)
def site(request: pytest.FixtureRequest, sites: dict[str, Sites], server: str) -> Site:
    return sites[request.param][server]


def test_answers_streams_and_files(site: Site) -> None:
    assert site.http.get("/hello", params={"name": "äöü/%"}).text == "hello äöü/%"
    assert site.http.get("/stream").text == NUMBERS
    assert site.http.get("/file").content == bytes(range(251)) * 4000
    assert site.http.get("/fails").status_code == 500
    assert site.http.get("/nowhere").status_code == 404


def test_a_form_with_a_file(site: Site) -> None:
    assert site.http.post("/upload", files={"file": ("egg.bin", b"y" * 3_000_000)}).text == "3000000"
    site.leave_after(request("POST", "/upload", "Content-Type: multipart/form-data; boundary=x", body=b"x" * 1000)[:-1])
    assert site.http.get("/hello?name=after").text == "hello after"


def test_a_stream_ends_as_soon_as_its_client_leaves(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.leave_after(get("/events"), b"data: 1")
    site.watch.until(ENDED)
    assert not any(record.name == "tamago.server" and "/events" in record.getMessage() for record in caplog.records)
