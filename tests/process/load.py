"""Steady load from a thread: keep-alive and fresh connections mixed, bounded in count and time, every failure kept with its reason.

Nothing is tried again. A connection on which the server said `Connection: close` is replaced by a new one; one that ends in any other way
before a complete, correct answer is a lost request, also when it ended before the first byte.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.process.http_client import Place

_POST_EVERY = 5
_BODY = bytes(range(256)) * 64  # 16 KiB
_PATIENCE = 15.0


class Load:
    """Requests at `rate` a second until the block ends, `limit` were sent or `seconds` went by. The app echoes."""

    def __init__(
        self,
        place: Place,
        *,
        rate: int = 300,
        keep_alive: int = 8,
        fresh: int = 4,
        limit: int = 15_000,
        seconds: float = 50.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._place = place
        self._tls = tls
        self._pause = (keep_alive + fresh) / rate
        self._clients = [True] * keep_alive + [False] * fresh
        self._limit = limit
        self._until = time.monotonic() + seconds
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._stopping = False
        self.failures: list[str] = []
        self.latencies: list[float] = []
        self.reconnects = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def answered(self) -> int:
        return len(self.latencies)

    @property
    def worst(self) -> float:
        """The longest time a request took, in seconds."""
        return max(self.latencies, default=0.0)

    def stop(self) -> None:
        """Send no more, and wait for the answers that are due."""
        self._stopping = True
        self._thread.join()

    def wait_answered(self, more: int) -> None:
        """Block until so many more were answered; fail if the load ends before."""
        with self._changed:
            goal = self.answered + more
            self._changed.wait_for(lambda: self.answered >= goal or not self._thread.is_alive() or bool(self.failures))
            assert self.answered >= goal, self.report()

    def assert_none_lost(self) -> None:
        """Every request got its complete and correct answer."""
        assert not self.failures, self.report()
        assert self.answered, "the load never got an answer"

    def report(self) -> str:
        shown = "\n".join(self.failures[:30])
        return f"{len(self.failures)} lost, {self.answered} answered, {self.reconnects} reconnects:\n{shown}"

    async def _run(self) -> None:
        began = time.monotonic()
        await asyncio.gather(*(self._client(number, keep, began) for number, keep in enumerate(self._clients)))
        with self._changed:
            self._changed.notify_all()

    async def _client(self, number: int, keep: bool, began: float) -> None:
        client = _Client(self._place, keep, self._tls)
        due = began + number * self._pause / len(self._clients)
        while not self._stopping and due < self._until and (count := next(self._numbers)) <= self._limit:
            await asyncio.sleep(max(0.0, due - time.monotonic()))  # the pace of the load
            started = time.monotonic()
            failure = await self._request(client, count)
            with self._changed:
                if failure:
                    kind = "keep-alive" if keep else "fresh"
                    self.failures.append(f"{started - began:7.3f} s, {kind} client {number}, request {count}: {failure}")
                    client.drop()
                else:
                    self.latencies.append(time.monotonic() - started)
                self._changed.notify_all()
            due = max(due + self._pause, started)
        self.reconnects += client.reconnects
        client.drop()

    async def _request(self, client: _Client, count: int) -> str:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await client.request(count)
        except TimeoutError:
            return f"no answer in {_PATIENCE:g} s ({client.history})"
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            return f"{error!r} ({client.history})"


class _Client:
    """One client and its connection, if it has one."""

    def __init__(self, place: Place, keep: bool, tls: ssl.SSLContext | None) -> None:
        self._place = place
        self._tls = tls
        self._keep = keep
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._sent = 0
        self._step = ""
        self.reconnects = -1

    @property
    def history(self) -> str:
        return f"{self._step}, request {self._sent} on its connection"

    async def request(self, count: int) -> str:
        """Send one request; return what was wrong with the answer, or nothing."""
        if self._reader is None or self._writer is None:
            self._step = "connecting"
            self._reader, self._writer = await self._open()
            self._sent = 0
            self.reconnects += 1
        self._sent += 1
        self._step = "sending"
        wanted = b"%d " % count + _BODY if count % _POST_EVERY == 0 else b"%d" % count
        self._writer.write(self._message(count, wanted))
        await self._writer.drain()
        self._step = "waiting for the answer"
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._step = f"reading the body after {head.splitlines()[0]!r}"
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        body = await self._reader.readexactly(length)
        if "connection: close" in lines or not self._keep:
            self.drop()
        if not lines[0].startswith("http/1.1 200 "):
            return f"{lines[0]}: {body[:200]!r}"
        return "" if body == wanted else f"wrong body of {len(body)} bytes instead of {len(wanted)}: {body[:60]!r}"

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._place, str):
            return await asyncio.open_unix_connection(self._place)
        return await asyncio.open_connection(*self._place, ssl=self._tls)

    def _message(self, count: int, body: bytes) -> bytes:
        close = b"" if self._keep else b"Connection: close\r\n"
        if count % _POST_EVERY:
            return b"GET /say/%b HTTP/1.1\r\nHost: test\r\n%b\r\n" % (body, close)
        return b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), close, body)

    def drop(self) -> None:
        if self._writer is not None and self._tls is not None:
            self._writer.transport.abort()  # else it would wait for the server's goodbye, perhaps for longer than its loop lives
        elif self._writer is not None:
            with suppress(OSError):
                self._writer.close()
        self._reader = self._writer = None
