"""Frameworks people use, on the real edge: what they stream, do in the background, and wrap in middleware."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, FastAPI, File, Request, UploadFile
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import FileResponse, Response, StreamingResponse
from tests.web.conftest import Run
from tests.web.edge import request, serving


class Watch:
    """What happened in the application."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.changed = asyncio.Event()

    def note(self, event: str) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, event: str) -> None:
        while event not in self.events:
            self.changed.clear()
            await self.changed.wait()


def make_app(watch: Watch, file: Path, *, middleware: bool = False) -> FastAPI:  # noqa: C901 - endpoints, one under the other
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        watch.note("started")
        yield {"greeting": "hello"}
        watch.note("stopped")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def index(request: Request) -> dict[str, str]:
        return {"greeting": request.state.greeting}

    @app.get("/sync")
    def sync() -> dict[str, bool]:
        return {"sync": True}

    @app.post("/upload")
    async def upload(file: Annotated[UploadFile, File()]) -> dict[str, int]:
        return {"size": len(await file.read())}

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            try:
                yield "data: 1\n\n"
                await asyncio.Event().wait()
            finally:
                watch.note("stream ended")

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get("/numbers")
    async def numbers() -> StreamingResponse:
        async def stream() -> AsyncIterator[str]:
            for n in range(1000):
                yield f"{n},"

        return StreamingResponse(stream())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(watch.note, "background done")
        return "soon"

    @app.api_route("/file", methods=["GET", "HEAD"])
    async def download() -> FileResponse:
        return FileResponse(file)

    @app.get("/fails")
    async def fails() -> None:
        raise ValueError("in the endpoint")

    if middleware:

        class Header(BaseHTTPMiddleware):
            async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
                response = await call_next(request)
                response.headers["X-Seen"] = "yes"
                return response

        app.add_middleware(Header)
    return app


@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "BaseHTTPMiddleware"])
def test_fastapi_runs_unchanged(run: Run, tmp_path: Path, *, middleware: bool) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(b"0123456789" * 50_000)

    async def main() -> None:
        watch = Watch()
        async with serving(make_app(watch, file, middleware=middleware)) as served:
            assert watch.events == ["started"]
            client = await served.connect()
            reply = await client.get()
            assert reply.body == b'{"greeting":"hello"}'
            assert ("x-seen" in reply) == middleware
            assert (await client.get("/sync")).body == b'{"sync":true}'
            assert (await client.get("/numbers")).body == "".join(f"{n}," for n in range(1000)).encode()
            assert (await client.get("/file")).body == file.read_bytes()
            assert (await client.get("/file", "Range: bytes=5-9")).body == b"56789"
            await client.send(request("HEAD", "/file"))
            assert (await client.reply(bodiless=True))["content-length"] == "500000"
            assert (await client.get("/background")).body == b'"soon"'
            await watch.until("background done")
            assert (await client.get("/fails")).status == 500
            assert (await client.get("/nowhere")).status == 404
            body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 300_000 + b"\r\n--x--\r\n"
            await client.send(request("POST", "/upload", "Content-Type: multipart/form-data; boundary=x", body=body))
            assert (await client.reply()).body == b'{"size":300000}'
        assert watch.events[-1] == "stopped"

    run(main())


@pytest.mark.parametrize("middleware", [False, True], ids=["plain", "BaseHTTPMiddleware"])
def test_an_event_stream_ends_as_soon_as_its_client_leaves(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, middleware: bool
) -> None:
    async def main() -> None:
        watch = Watch()
        async with serving(make_app(watch, tmp_path, middleware=middleware)) as served:
            client = await served.connect()
            await client.send(request("GET", "/events"))
            await client.reader.readuntil(b"data: 1\n\n")
            await client.close()
            await watch.until("stream ended")
        assert caplog.records == []

    run(main())
