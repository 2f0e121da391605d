"""Starlette and FastAPI behave under tamago as they do under uvicorn: streams, middleware, files, uploads, and clients that leave."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from fastapi import Depends, FastAPI, File, HTTPException, UploadFile
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from tests.web.conformance import SERVERS, Site, Sites, Watch, big_file, get
from tests.web.edge import request

# The same endpoints plain and behind Starlette's middleware, which runs them in a task of their own.
PREFIXES = ("/plain", "/wrapped", "/twice")


class Header(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Seen"] = "yes"
        return response


def watch_of(request: Request) -> Watch:
    watch: Watch = request.app.state.watch
    return watch


async def numbers(_: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        for n in range(200):
            yield b"%d," % n

    return StreamingResponse(stream())


async def events(request: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        try:
            yield b"data: 1\n\n"
            await anyio.sleep_forever()
        finally:
            watch_of(request).note("the stream has ended")

    return StreamingResponse(stream(), background=BackgroundTask(watch_of(request).note, "what comes after the stream"))


async def scoped(request: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep_forever)
                yield b"data: 1\n\n"
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                watch_of(request).note("the scope was left in order")
            raise

    return StreamingResponse(stream())


async def flood(request: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    return StreamingResponse(stream(), background=BackgroundTask(watch_of(request).note, "the flood has ended"))


async def background(request: Request) -> Response:
    return PlainTextResponse("soon", background=BackgroundTask(watch_of(request).note, "background done"))


async def download(request: Request) -> Response:
    return FileResponse(request.app.state.file)


async def polls(request: Request) -> Response:
    while not await request.is_disconnected():  # noqa: ASYNC110 - what people write
        await anyio.sleep(0.005)
    watch_of(request).note("polled a disconnect")
    return PlainTextResponse("nobody reads this")


async def upload(request: Request) -> Response:
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
    except ClientDisconnect:
        watch_of(request).note("the upload was broken off")
        raise
    return JSONResponse({"size": size, "state": request.state.greeting})


async def fails(_: Request) -> Response:
    raise ValueError("in the endpoint")


async def fails_half_way(_: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("in the stream")

    return StreamingResponse(stream())


ROUTES = [
    Route("/numbers", numbers),
    Route("/events", events),
    Route("/scoped", scoped),
    Route("/flood", flood),
    Route("/background", background),
    Route("/file", download),
    Route("/polls", polls),
    Route("/upload", upload, methods=["POST"]),
    Route("/fails", fails),
    Route("/fails-half-way", fails_half_way),
]


class Item(BaseModel):
    name: str
    price: float


async def resource(request: Request) -> AsyncIterator[str]:
    try:
        yield "resource"
    except HTTPException:
        watch_of(request).note("the dependency saw the error")
        raise
    finally:
        watch_of(request).note("the dependency is released")


Resource = Annotated[str, Depends(resource)]


def make_api() -> FastAPI:
    api = FastAPI()

    @api.get("/dependency")
    async def dependency(found: Resource, *, fail: bool = False) -> dict[str, str]:
        if fail:
            raise HTTPException(409, "conflict")
        return {"found": found}

    @api.get("/dependent-stream")
    async def dependent_stream(found: Resource) -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            yield found
            await anyio.sleep_forever()

        return StreamingResponse(stream())

    @api.post("/items")
    async def items(item: Item) -> Item:
        return item

    @api.post("/upload")
    async def take(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        return {"name": file.filename, "size": len(await file.read())}

    @api.get("/sync")
    def sync(found: Resource) -> str:
        return found

    return api


def app_maker(directory: Path) -> Callable[[Watch], Starlette]:
    file = big_file(directory)

    def make(watch: Watch) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
            yield {"greeting": "hello"}

        api = make_api()
        app = Starlette(
            lifespan=lifespan,
            routes=[
                Mount("/plain", routes=ROUTES),
                Mount("/wrapped", routes=ROUTES, middleware=[Middleware(Header)]),
                Mount("/twice", routes=ROUTES, middleware=[Middleware(Header), Middleware(GZipMiddleware), Middleware(Header)]),
                Mount("/api", app=api),
            ],
        )
        app.state.watch = api.state.watch = watch
        app.state.file = file
        return app

    return make


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    # uvicorn closes some connections just as the client comes back to them, and httpx does not try again. Ours must not, so it is tried.
    sites = Sites(app_maker(tmp_path_factory.mktemp("files")), reuse_uvicorns=False)
    yield sites
    sites.close()


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, sites: Sites) -> Site:
    return sites[request.param]


@pytest.fixture(params=PREFIXES)
def prefix(request: pytest.FixtureRequest) -> str:
    at: str = request.param
    return at


def test_streams_and_what_comes_after_them(site: Site, prefix: str) -> None:
    assert site.http.get(f"{prefix}/numbers").text == "".join(f"{n}," for n in range(200))
    assert site.http.get(f"{prefix}/background").text == "soon"
    site.watch.until("background done")


def test_files_whole_in_parts_and_without_body(site: Site, prefix: str) -> None:
    whole = bytes(range(251)) * 4000
    assert site.http.get(f"{prefix}/file", headers={"Accept-Encoding": "identity"}).content == whole
    part = site.http.get(f"{prefix}/file", headers={"Range": "bytes=5-9", "Accept-Encoding": "identity"})
    assert (part.status_code, part.content) == (206, whole[5:10])
    head = site.http.head(f"{prefix}/file", headers={"Accept-Encoding": "identity"})
    assert (head.headers["content-length"], head.content) == (str(len(whole)), b"")
    assert site.http.get(f"{prefix}/file").content == whole


@pytest.mark.parametrize(
    ("path", "seen", "event"),
    [
        ("/events", b"data: 1", "the stream has ended"),
        ("/scoped", b"data: 1", "the scope was left in order"),
    ],
)
def test_a_stream_ends_as_soon_as_its_client_leaves(
    site: Site, prefix: str, caplog: pytest.LogCaptureFixture, path: str, seen: bytes, event: str
) -> None:
    site.leave_after(get(prefix + path), seen)
    site.watch.until(event)
    if path == "/events":
        site.watch.until("what comes after the stream")
    assert not any(record.name == "tamago.server" and path in record.getMessage() for record in caplog.records)


def test_a_stream_that_never_waits_ends_as_well(sites: Sites, prefix: str) -> None:
    """Under uvicorn it blocks the worker for ever: its `send` returns at once when nobody reads."""
    site = sites["tamago"]
    site.leave_after(get(f"{prefix}/flood"), b"xxx")
    site.watch.until("the flood has ended")


def test_a_client_that_leaves_is_seen_by_who_asks(site: Site) -> None:
    """Not behind BaseHTTPMiddleware, which loses it under any server."""
    site.leave_after(get("/plain/polls"))
    site.watch.until("polled a disconnect")


def test_an_upload_arrives_or_is_broken_off(site: Site, prefix: str) -> None:
    assert site.http.post(f"{prefix}/upload", content=b"x" * 500_000).json() == {"size": 500_000, "state": "hello"}
    assert site.http.post(f"{prefix}/upload", content=iter([b"a", b"bc"])).json()["size"] == 3
    site.leave_after(request("POST", f"{prefix}/upload", body=b"x" * 1000)[:-1])
    site.watch.until("the upload was broken off")


def test_a_broken_off_upload_is_no_error_of_ours(sites: Sites, caplog: pytest.LogCaptureFixture) -> None:
    """Here we are kinder than uvicorn, which logs a traceback."""
    site = sites["tamago"]
    site.leave_after(request("POST", "/plain/upload", body=b"x" * 1000)[:-1])
    site.watch.until("the upload was broken off")
    assert site.http.get("/plain/background").text == "soon"
    assert not any("upload" in record.getMessage() for record in caplog.records)


def test_a_failure_is_a_500(site: Site, prefix: str) -> None:
    answer = site.http.get(f"{prefix}/fails")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")


def test_a_failure_half_way_cuts_the_connection(site: Site) -> None:
    """Behind BaseHTTPMiddleware the answer ends as if it were whole, under any server."""
    with pytest.raises(httpx.HTTPError):
        site.http.get("/plain/fails-half-way")


def test_dependencies_are_released(site: Site) -> None:
    assert site.http.get("/api/dependency").json() == {"found": "resource"}
    site.watch.until("the dependency is released")
    assert site.http.get("/api/dependency?fail=1").status_code == 409
    site.watch.until("the dependency saw the error")
    site.watch.until("the dependency is released")
    assert site.http.get("/api/sync").json() == "resource"
    site.watch.until("the dependency is released")
    site.leave_after(get("/api/dependent-stream"), b"resource")
    site.watch.until("the dependency is released")


def test_what_fastapi_checks_and_takes(site: Site) -> None:
    assert site.http.post("/api/items", json={"name": "egg", "price": 0.5}).json() == {"name": "egg", "price": 0.5}
    refused = site.http.post("/api/items", json={"name": "egg", "price": "much"})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "price"])
    taken = site.http.post("/api/upload", files={"file": ("egg.txt", b"y" * 300_000)})
    assert taken.json() == {"name": "egg.txt", "size": 300_000}
