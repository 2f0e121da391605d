"""What the drain benchmark hosts: answers that name their request, and a record of every request that reached the application.

`/say/N`, `/slow/MILLISECONDS/N`, `/stream/PIECES/N`, `/upload/N` (POST), and websockets that echo. At its end each worker adds a line to
the file `$BENCH_SEEN`: its pid, then the numbers N of all requests it got. At its start it adds its pid and the time to `$BENCH_MARKS`.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SEEN: list[str] = []
PIECE = b"0123456789" * 100


def _add_line(variable: str, line: str) -> None:
    if path := os.environ.get(variable):
        with open(path, "a", encoding="ascii") as file:
            file.write(line + "\n")


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    else:
        _, name, *rest = scope["path"].split("/")
        SEEN.append(rest[-1])
        await PATHS[name](rest, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    _add_line("BENCH_MARKS", f"{os.getpid()} {time.monotonic()}")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    _add_line("BENCH_SEEN", " ".join([str(os.getpid()), *SEEN]))
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Send, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def _say(rest: list[str], _receive: Receive, send: Send) -> None:
    await _answer(send, rest[0].encode())


async def _slow(rest: list[str], _receive: Receive, send: Send) -> None:
    await asyncio.sleep(int(rest[0]) / 1000)
    await _answer(send, rest[1].encode())


async def _stream(rest: list[str], _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(rest[0])):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body", "body": rest[1].encode()})


async def _upload(rest: list[str], receive: Receive, send: Send) -> None:
    size = check = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size += len(message["body"])
        check = zlib.crc32(message["body"], check)
        more = message["more_body"]
    await _answer(send, f"{rest[0]} {size} {check}".encode())


async def _echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


PATHS = {"say": _say, "slow": _slow, "stream": _stream, "upload": _upload}
