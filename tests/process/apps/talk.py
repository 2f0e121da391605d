"""An application and an agent that say over the messenger what the test asks them to, and report what they got."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from report import say  # type: ignore[import-not-found]  # beside it in a site

import tamago
from tamago import Group, Pid, Slot, messenger
from tamago.errors import TamagoError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

received: list[Any] = []

tamago.ready(lambda: say("ready"))
messenger.on("tell", received.append)


@messenger.on("write")
def write(data: Any) -> None:
    """Keep it where it outlives this process."""
    with Path(f"written-{tamago.me.role.value}-{tamago.me.slot}").open("a") as file:
        file.write(f"{data} {os.getpid()}\n")


@messenger.on("who")
def who(_data: Any) -> dict[str, Any]:
    return {"role": tamago.me.role.value, "slot": tamago.me.slot, "pid": os.getpid()}


@messenger.on("double")
async def double(data: int) -> int:
    await asyncio.sleep(0)
    return 2 * data


@messenger.on("fail")
def fail(data: Any) -> None:
    raise ValueError(f"cannot do {data}")


@messenger.on("never")
async def never(_data: Any) -> None:
    say("never")
    await asyncio.Event().wait()


@messenger.on("ask")
async def ask(data: dict[str, Any]) -> Any:
    """Ask somebody else and return their answer."""
    return await messenger.request(address(data["to"]), data["action"], data.get("data"))


@messenger.on("stream")
async def stream(data: dict[str, Any]) -> int:
    """Send numbers until there is a file `enough`; return how many, once the receiver has answered behind them."""
    number = 0
    while not os.path.exists("enough"):  # noqa: ASYNC240  # app under test
        messenger.send_to(address(data["to"]), data["action"], number)
        number += 1
        await messenger.drain()
        # app under test. More than 10,000 waiting messages are refused, and being replaced takes a while on a busy machine.
        await asyncio.sleep(0.001)
    await messenger.request(address(data["to"]), "who")
    return number


def address(text: str) -> Any:
    kind, _, number = text.partition("-")
    return {"slot": Slot, "pid": Pid}[kind](int(number)) if number else Group(text)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    _, verb, *rest = scope["path"].split("/")
    data = json.loads((await receive()).get("body") or b"null")
    try:
        result = {"result": await VERBS[verb](data, *rest)}
    except (TamagoError, OSError) as error:
        result = {"error": type(error).__name__, "text": str(error), "detail": getattr(error, "detail", "")}
    body = json.dumps(result).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def request(data: Any, to: str, action: str, timeout: str = "5") -> Any:  # noqa: ASYNC109
    return await messenger.request(address(to), action, data, timeout=float(timeout))


async def send_to(data: Any, to: str, action: str) -> None:
    messenger.send_to(address(to), action, data)


async def got(_data: Any) -> list[Any]:
    return list(received)


async def peers(_data: Any) -> list[list[Any]]:
    return [[peer.role.value, peer.slot, peer.pid] for peer in messenger.peers]


async def count(_data: Any, to: str, action: str, first: str, last: str) -> None:
    """Send the numbers one by one."""
    for number in range(int(first), int(last)):
        messenger.send_to(address(to), action, number)
        await messenger.drain()


async def large(_data: Any, to: str, mebibytes: str) -> int:
    messenger.send_to(address(to), "tell", bytes(int(mebibytes) << 20))
    return 0


def own_channel() -> socket.socket:
    """A duplicate of this process's end of its channel to the master: what a hostile child would use."""
    transport: Any = messenger._transport
    return socket.socket(fileno=os.dup(transport.channel._fd))


async def inject(data: str) -> None:
    with own_channel() as sock:
        sock.send(bytes.fromhex(data))


async def mute(_data: Any) -> None:
    with own_channel() as sock:
        sock.shutdown(socket.SHUT_RDWR)


VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "request": request,
    "send": send_to,
    "got": got,
    "peers": peers,
    "count": count,
    "stream": stream,
    "large": large,
    "inject": inject,
    "mute": mute,
}
