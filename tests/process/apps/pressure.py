"""An application and an agent that send a lot, or at an odd moment, and keep what they get where it outlives them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from report import hold, say  # type: ignore[import-not-found]  # beside it in a site

import tamago
from tamago import Group, Slot, messenger
from tamago.errors import TamagoError
from tamago.ipc import wire

tamago.ready(lambda: say("ready"))
refused: dict[str, int] = {}
messenger.on("echo", lambda data: data)


@messenger.on("number")
def keep(data: list[Any]) -> None:
    """Write down who sent what; one write to the kernel a message, so that not even SIGKILL takes it back."""
    tag, number, *_ = data
    me = tamago.me
    descriptor = os.open(f"kept-{me.role.value}-{me.slot}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{tag} {number} {os.getpid()}\n".encode())
    os.close(descriptor)


messenger.on_undelivered(lambda reason, count: refused.__setitem__(reason, refused.get(reason, 0) + count))


def group(text: str) -> Any:
    return Slot(int(text)) if text.isdecimal() else Group(text)


async def fill(to: str, count: str) -> dict[str, int]:
    """Send so many numbers and return what was refused."""
    for number in range(int(count)):
        messenger.send_to(group(to), "number", ["fill", number])
        if number % 100 == 99:
            await messenger.drain()
    # Its answer comes behind whatever the master has to say about the numbers.
    await messenger.request(Slot(tamago.me.slot), "echo")
    return refused


async def heavy(to: str, count: str) -> int:
    """Send so many messages of 64 KiB each, and say once that the receiver slowed us down."""
    slowed = False
    for number in range(int(count)):
        messenger.send_to(group(to), "number", ["heavy", number, bytes(65536)])
        drained = asyncio.ensure_future(messenger.drain())  # noqa: TID251  # app under test
        done, _ = await asyncio.wait({drained}, timeout=0.5)
        if not done and not slowed:
            slowed = True
            say("slowed")
        await drained
    return int(count)


async def careless(to: str) -> str:
    """Send and send, and never wait."""
    try:
        for number in range(1000):
            messenger.send_to(group(to), "number", ["careless", number, bytes(1 << 20)])
    except TamagoError as error:
        return type(error).__name__
    return ""


async def stream(to: str) -> int:
    """Send numbers until there is a file `enough`; return how many."""
    say("streaming")
    number = 0
    while not Path("enough").exists():  # noqa: ASYNC240  # app under test
        messenger.send_to(group(to), "number", [f"{tamago.me.slot}-{os.getpid()}", number])
        number += 1
        await messenger.drain()
        await asyncio.sleep(0.001)  # app under test
    return number


async def half() -> None:
    """Send the beginning of a frame and never its rest."""
    transport: Any = messenger._transport
    os.write(transport.channel._fd, wire.HEADER.pack(1 << 20, wire.Kind.MESSAGE, wire.Route.ALL, 0, 0, transport.channel._peer, 0) + b"x")
    say("half")


async def ask(to: str) -> Any:
    return await messenger.request(group(to), "echo", "asked")


async def me() -> dict[str, Any]:
    who = tamago.me
    return {"role": who.role.value, "slot": who.slot, "pid": who.pid, "title": who.title, "env": who.env, "in": who.in_cluster}


messenger.on("me", lambda _: me())
VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "fill": fill,
    "heavy": heavy,
    "careless": careless,
    "stream": stream,
    "half": half,
    "ask": ask,
    "me": me,
}


class Agent:
    """Boots when the test lets it, if there is a gate."""

    async def start(self) -> None:
        if Path("slow").exists():  # noqa: ASYNC240  # app under test
            say("agent-boots")
            await asyncio.to_thread(hold, "gate")

    async def ready(self) -> None:
        say("agent-ready")

    async def stop(self) -> None:
        messenger.send_to_app("number", ["too late", 0])


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[..., Awaitable[None]]) -> None:
    if scope["type"] == "lifespan":
        await receive()
        # The agent is there first: Egg's order, and the reason for it.
        say("asked", answer=await messenger.request(Group.AGENT, "echo", 42))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        messenger.send_to_agent("number", ["goodbye", tamago.me.slot])
        await send({"type": "lifespan.shutdown.complete"})
        return
    _, verb, *rest = scope["path"].split("/")
    body = json.dumps(await VERBS[verb](*rest)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
