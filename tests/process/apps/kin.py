"""An application that starts processes of its own, in every way there is; each path answers with the pid of the last one."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from typing import Any

from report import say  # type: ignore[import-not-found]  # beside it in a site

import tamago

say("import")
tamago.ready(lambda: say("ready"))


def child() -> int:
    """A subprocess that knows nothing of all this."""
    return subprocess.Popen(["sleep", "600"]).pid


def stubborn() -> int:
    """One that ignores SIGTERM, and says so before it is counted on."""
    script = "trap '' TERM; echo; exec sleep 600"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process.pid


def tree() -> int:
    """A subprocess with one of its own below it."""
    process = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    return int(process.stdout.readline())


def fork() -> int:
    """A copy of the worker with all it has open, the listening sockets too; it ignores SIGTERM."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if not pid:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()
    signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return pid


def own_session() -> int:
    """A subprocess in a session of its own."""
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid


def daemon() -> int:
    """A daemon of the old school: fork, setsid, fork, and nothing left that leads to it. It ignores SIGTERM.

    Its copy of the pipe is the last descriptor it closes: at the end of the pipe it is what it is going to be.
    """
    read, low = os.pipe()
    write = os.dup2(low, 255)
    os.close(low)
    middle = os.fork()
    if not middle:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(write, str(pid).encode())
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.closerange(0, 256)
        while True:
            signal.pause()
    os.close(write)
    os.waitpid(middle, 0)
    with open(read, encoding="ascii") as pipe:
        return int(pipe.read())


def storm() -> int:
    """300 orphans that end at once; return when all did."""
    read, write = os.pipe()
    for _ in range(300):
        middle = os.fork()
        if not middle:
            os.fork()
            os._exit(0)
        os.waitpid(middle, 0)
    os.close(write)
    os.read(read, 1)
    os.close(read)
    return 0


def block() -> None:
    """Block the event loop for longer than any test lives."""
    say("blocking")
    time.sleep(600)  # noqa: TID251  # app under test


def double(number: int) -> int:
    return 2 * number


def pool(method: str) -> int:
    """Have other processes compute, as a data scientist would."""
    with multiprocessing.get_context(method).Pool(2) as workers:
        return sum(workers.map(double, range(10)))


def terminated() -> int:
    """Fork a process the way multiprocessing does, tell it to end, and return how it did."""
    process = multiprocessing.get_context("fork").Process(target=signal.pause)
    process.start()
    process.terminate()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


PATHS: dict[str, Callable[[], object]] = {
    "child": child,
    "stubborn": stubborn,
    "tree": tree,
    "fork": fork,
    "session": own_session,
    "daemon": daemon,
    "storm": storm,
    "block": block,
    "spawnpool": lambda: pool("spawn"),
    "forkpool": lambda: pool("fork"),
    "terminated": terminated,
    "random": random.random,
    "frozen": lambda: {"frozen": gc.get_freeze_count(), "enabled": gc.isenabled()},
    "who": lambda: {"pid": os.getpid(), "slot": tamago.me.slot},
}


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[..., Awaitable[None]]) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    name = scope["path"][1:]
    slow = name.endswith("pool")
    result = await asyncio.to_thread(PATHS[name]) if slow else PATHS[name]()
    body = json.dumps(result).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
