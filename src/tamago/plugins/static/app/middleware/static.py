"""Answers with files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tamago.app.chain import CallNext, Middleware, only_for
from tamago.plugins.static.conditions import Failed, NotModified, Part, Unsatisfiable, Whole, decide
from tamago.plugins.static.directories import served_directories
from tamago.plugins.static.files import Chosen, Directory

if TYPE_CHECKING:
    from tamago.app.context import Context

PIECE = 256 * 1024
"""Bytes of a part that are read at once."""

# A target may name the whole URL, as those sent to proxies do.
_ABSOLUTE = (b"http://", b"https://")


def middleware(options: object, app: Any) -> Middleware | None:  # noqa: ARG001 - the model of the part `static` is in app.config
    """Make it; there is none if nothing is served. Raises StaticConfigError."""
    directories = served_directories(app.config.static, app.info)
    if not directories:
        return None
    prefixes = (*(quote(directory.prefix).encode() for directory in directories), *_ABSOLUTE)

    # This stands before every GET there is. So one that is for no file goes on without a coroutine more, and what is looked at is the line
    # as it was sent: `ctx.target` costs as much as the rest. Whoever rewrites a path comes later in the chain.
    @only_for("GET", "HEAD")
    def static(ctx: Context, call_next: CallNext) -> Awaitable[object]:
        if ctx.exchange.target.startswith(prefixes):
            return _answer_file(directories, ctx, call_next)
        return call_next(ctx)

    return static


async def _answer_file(directories: Sequence[Directory], ctx: Context, call_next: CallNext) -> None:
    chosen = _choose(directories, ctx.path, ctx.get("accept-encoding"))
    if chosen is None:
        await call_next(ctx)
    else:
        answer(ctx, chosen)


def answer(ctx: Context, chosen: Chosen) -> None:
    """Set the answer of a context."""
    size = chosen.file.size
    for name, value in chosen.fields.items():
        ctx.vary(value) if name == "vary" else ctx.set(name, value)
    match decide(ctx.method, ctx.headers, size=size, etag=chosen.etag, last_modified=chosen.last_modified):
        case Whole():
            ctx.body = chosen.file.path
        case Part(start, end):
            ctx.status = 206
            ctx.set("content-range", f"bytes {start}-{end - 1}/{size}")
            ctx.set("content-length", end - start)
            ctx.body = pieces(chosen.file.path, start, end)
        case NotModified():
            ctx.status = 304
        case Failed():
            _refuse(ctx, 412)
        case Unsatisfiable():
            _refuse(ctx, 416)
            ctx.set("content-range", f"bytes */{size}")


async def pieces(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """Read the file from `start` up to `end`. One that has become shorter ends early, which cuts the connection."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while start < end:
            data = os.pread(file, min(PIECE, end - start), start)
            if not data:
                return
            start += len(data)
            yield data
    finally:
        os.close(file)


def _choose(directories: Sequence[Directory], path: str, accept_encoding: str) -> Chosen | None:
    for directory in directories:
        if path.startswith(directory.prefix):
            chosen = directory.choose(path[len(directory.prefix) :], accept_encoding)
            if chosen is not None:
                return chosen
    return None


def _refuse(ctx: Context, status: int) -> None:
    """Answer with a status; the fields describe a file that is not sent."""
    for name in ("content-encoding", "content-type", "etag", "last-modified", "cache-control"):
        ctx.remove(name)
    ctx.status = status
