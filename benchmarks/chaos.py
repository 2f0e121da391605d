"""What the soak does to a cluster: each action one fault, chosen by a seeded random, done to real processes by pid."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.http_client import BadResponseError, Connection
from tamago.cluster.control_client import ControlClient
from tamago.errors import TamagoError

HANG_TIMEOUT = 2.0
# After a fault that kills, what was in flight there may be lost for so long; a stopped worker takes its time until it is found and killed.
WINDOW = 3.0
STOPPED_WINDOW = HANG_TIMEOUT + 8.0
STORM = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD, signal.SIGUSR1)


class Chaos:
    """Faults for one cluster. `excused_until` is the end of the time in which a request in flight may be lost."""

    def __init__(self, random_: random.Random, *, home: Path, title: str, master: int, port: int, workers: int) -> None:
        self._random = random_
        self._home, self._title, self._master, self._port, self._workers = home, title, master, port, workers
        self.excused: list[tuple[float, float]] = []
        self.done: Counter[str] = Counter()
        self._actions: list[Callable[[], Awaitable[None]]] = [
            self.kill_worker,
            self.kill_worker_in_the_middle_of_a_response,
            self.kill_agent,
            self.kill_nest,
            self.stop_worker,
            self.reload,
            self.storm_of_signals,
            self.no_descriptors,
            self.flood_of_messages,
        ]

    async def act(self) -> None:
        """Do something."""
        action = self._random.choice(self._actions)
        print(f"{time.strftime('%X')} {action.__name__.replace('_', ' ')}", flush=True)
        self.done[action.__name__] += 1
        await action()

    async def call(self, command: str, **params: Any) -> dict[str, Any]:
        """Ask the master, in a thread, as the client blocks."""

        def ask() -> dict[str, Any]:
            with ControlClient(self._home, self._title, patience=30) as client:
                return client.call(command, params)

        return await asyncio.to_thread(ask)

    async def processes(self, role: str) -> list[dict[str, Any]]:
        """Those that serve now."""
        return [each for each in (await self.call("status"))["processes"] if each["role"] == role and each["state"] == "ready"]

    def is_excused(self, moment: float) -> bool:
        """Whether a request in flight may have been lost at this moment."""
        return any(begin <= moment <= end for begin, end in self.excused)

    def _kill(self, pid: int, number: signal.Signals = signal.SIGKILL, window: float = WINDOW) -> None:
        now = time.monotonic()
        self.excused.append((now, now + window))
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    async def _victim(self) -> int | None:
        """A worker, as long as another one is left."""
        serving = await self.processes("worker")
        return self._random.choice(serving)["pid"] if len(serving) > 1 else None

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def kill_worker(self) -> None:
        if pid := await self._victim():
            self._kill(pid)

    async def kill_worker_in_the_middle_of_a_response(self) -> None:
        if await self._victim() is None:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: soak\r\n\r\n")
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readline()  # the size of the chunk
            self._kill(int(await reader.readline()))
            rest = await reader.read()
            if rest.endswith(b"0\r\n\r\n"):
                raise AssertionError("a response whose process was killed has an end")
        writer.close()

    async def kill_agent(self) -> None:
        for agent in await self.processes("agent"):
            os.kill(agent["pid"], signal.SIGKILL)

    async def kill_nest(self) -> None:
        for nest in await self.processes("nest"):
            os.kill(nest["pid"], signal.SIGKILL)

    async def stop_worker(self) -> None:
        if pid := await self._victim():
            self._kill(pid, signal.SIGSTOP, STOPPED_WINDOW)

    async def reload(self) -> None:
        os.kill(self._master, signal.SIGHUP)

    async def storm_of_signals(self) -> None:
        for _ in range(300):
            os.kill(self._master, self._random.choice(STORM))

    async def no_descriptors(self) -> None:
        soft, hard = resource.prlimit(self._master, resource.RLIMIT_NOFILE)
        pid = await self._victim()
        resource.prlimit(self._master, resource.RLIMIT_NOFILE, (3, hard))
        try:
            if pid:
                self._kill(pid)
            await asyncio.sleep(self._random.uniform(0.1, 1.5))
        finally:
            resource.prlimit(self._master, resource.RLIMIT_NOFILE, (soft, hard))

    async def flood_of_messages(self) -> None:
        with suppress(OSError, BadResponseError):  # its worker may be killed meanwhile
            connection = await Connection.open(self._port)
            async with asyncio.timeout(10):
                await connection.get("/flood")
            connection.close()

    # ── peace ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(self, within: float = 120.0) -> dict[str, Any]:
        """Ask for what should be and wait until it is: all workers of one generation, an agent, a nest, and nobody else."""
        deadline = time.monotonic() + within
        while True:
            await self.call("scale", workers=self._workers)
            for slot in range(1, self._workers + 1):
                with suppress(TamagoError):
                    await self.call("kick", slot=slot)
            status = await self.call("status")
            there = sorted((each["role"], each["slot"]) for each in status["processes"] if each["state"] == "ready")
            wanted = sorted([("agent", 0), ("nest", 0), *(("worker", slot) for slot in range(1, self._workers + 1))])
            if status["state"] == "ready" and there == wanted and len(status["processes"]) == len(wanted):
                return status
            if time.monotonic() > deadline:
                raise AssertionError(f"not settled after {within:g} s: {status}")
            await asyncio.sleep(0.5)
