"""Answers with a file."""

from __future__ import annotations

import mimetypes
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tamago.app.errors import HttpError
from tamago.app.sending import BODILESS, send_bodiless, start

if TYPE_CHECKING:
    from tamago.app.context import Context


async def send_file(ctx: Context, path: Path) -> None:
    """Send a file; its ending says the type unless one is set. Raises HttpError (404) for one that is not there, or is no file."""
    try:
        mode = path.stat().st_mode  # noqa: ASYNC240 - one short call; the exchange reads the file without blocking
    except (FileNotFoundError, NotADirectoryError):
        raise HttpError(404, path=str(path)) from None
    if not stat.S_ISREG(mode):
        raise HttpError(404, path=str(path))
    if ctx.status in BODILESS:
        send_bodiless(ctx, ctx.status)
        return
    start(ctx, ((b"content-type", file_type(path.name).encode()),))
    await ctx.exchange.send_file(str(path))


def file_type(name: str) -> str:
    """Return the content-type of a file by its name; text is UTF-8. A compressed file has the type of its compression."""
    guessed, encoding = mimetypes.guess_type(name)
    if encoding:
        return {"gzip": "application/gzip", "xz": "application/x-xz", "bzip2": "application/x-bzip2"}.get(
            encoding, "application/octet-stream"
        )
    kind = guessed or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
