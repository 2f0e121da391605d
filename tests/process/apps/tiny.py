"""The application most process tests host: a bare ASGI callable whose paths each do one thing to the process that serves them."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from report import say  # type: ignore[import-not-found]  # beside it in a site

import tamago

VERSION = Path("version.txt").read_text().strip() if Path("version.txt").exists() else "1"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

say("import", version=VERSION)
tamago.ready(lambda: say("ready", version=VERSION))

kept: list[bytes] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        _, name, *rest = scope["path"].split("/")
        await PATHS.get(name, hello)(rest, receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            say("up", version=VERSION)
            await send({"type": "lifespan.startup.complete"})
        else:
            say("down", version=VERSION)
            await send({"type": "lifespan.shutdown.complete"})
            return


async def websocket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text") or ""})
    say("disconnect", code=message.get("code"))


async def answer(send: Send, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def hello(_rest: list[str], _receive: Receive, send: Send) -> None:
    await answer(send, b"hello")


async def who(_rest: list[str], _receive: Receive, send: Send) -> None:
    me = tamago.me
    facts = {"role": me.role.value, "slot": me.slot, "generation": me.generation, "pid": os.getpid(), "version": VERSION}
    await answer(send, json.dumps(facts).encode())


async def say_(rest: list[str], _receive: Receive, send: Send) -> None:
    await answer(send, rest[0].encode())


async def echo(_rest: list[str], receive: Receive, send: Send) -> None:
    await answer(send, await whole_body(receive))


async def hold(rest: list[str], _receive: Receive, send: Send) -> None:
    """Answer only when the test lets go of the gate of that name."""
    loop = asyncio.get_running_loop()
    opened = os.open(rest[0], os.O_RDONLY | os.O_NONBLOCK)
    let_go = asyncio.Event()
    # Readable only once the test wrote: a FIFO nobody has opened for writing yet is silent.
    loop.add_reader(opened, let_go.set)
    say("holding", gate=rest[0])
    try:
        await let_go.wait()
    finally:
        loop.remove_reader(opened)
        os.close(opened)
    await answer(send, b"held")


async def stream(_rest: list[str], _receive: Receive, send: Send) -> None:
    """Never end."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    say("streaming")
    while True:
        await send({"type": "http.response.body", "body": b"more", "more_body": True})
        await asyncio.sleep(0.05)  # app under test


async def block(rest: list[str], _receive: Receive, send: Send) -> None:
    """Block the event loop."""
    say("blocking")
    time.sleep(float(rest[0]))  # noqa: ASYNC251, TID251  # app under test
    await answer(send, b"blocked")


async def gil(_rest: list[str], _receive: Receive, _send: Send) -> None:
    """Hold the interpreter's lock in one C call for longer than any test lives."""
    say("blocking")
    pow(3, 1 << 33)


async def leave(rest: list[str], _receive: Receive, _send: Send) -> None:
    os._exit(int(rest[0]))


async def system_exit(rest: list[str], _receive: Receive, _send: Send) -> None:
    sys.exit(int(rest[0]))


async def exit_later(rest: list[str], _receive: Receive, _send: Send) -> None:
    """Raise SystemExit where it is nobody's request."""
    asyncio.get_running_loop().call_soon(sys.exit, int(rest[0]))
    await asyncio.Event().wait()


async def segfault(_rest: list[str], _receive: Receive, _send: Send) -> None:
    ctypes.string_at(0)


async def abort(_rest: list[str], _receive: Receive, _send: Send) -> None:
    os.abort()


async def fail(_rest: list[str], _receive: Receive, _send: Send) -> None:
    raise LookupError("this request fails")


async def grow(rest: list[str], _receive: Receive, send: Send) -> None:
    kept.append(os.urandom(1 << 20) * int(rest[0]))
    await answer(send, b"grown")


async def deafen(_rest: list[str], _receive: Receive, send: Send) -> None:
    """Ignore SIGTERM, and never come to the end of a drain."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    await answer(send, b"deaf")


PATHS: dict[str, Callable[[list[str], Receive, Send], Awaitable[None]]] = {
    "who": who,
    "say": say_,
    "echo": echo,
    "hold": hold,
    "stream": stream,
    "block": block,
    "gil": gil,
    "exit": leave,
    "sysexit": system_exit,
    "exitlater": exit_later,
    "segfault": segfault,
    "abort": abort,
    "fail": fail,
    "grow": grow,
    "deafen": deafen,
}
