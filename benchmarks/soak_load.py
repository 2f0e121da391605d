"""Load that knows every byte it should get: keep-alive and fresh connections, GET and POST of 16 KiB, each failure with its moment."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from dataclasses import dataclass

BODY = bytes(range(256)) * 64
TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Lost:
    """A request without its whole answer. `answering`: bytes of an answer or the request itself were on their way."""

    at: float
    how: str
    in_flight: bool


class SoakLoad:
    """`rate` requests a second from `clients` clients until `stop()`."""

    def __init__(self, port: int, *, rate: float, clients: int) -> None:
        self._port = port
        self._pause = clients / rate
        self._numbers = itertools.count(1)
        self._stopping = asyncio.Event()
        self._tasks = [asyncio.create_task(self._client(keep=number % 3 > 0)) for number in range(clients)]
        self.answered = 0
        self.wrong: list[str] = []
        self.lost: list[Lost] = []

    async def stop(self) -> None:
        """Send no more, and wait for the answers that are due."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _client(self, *, keep: bool) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._stopping.is_set():
            number = next(self._numbers)
            in_flight = False
            try:
                async with asyncio.timeout(TIMEOUT):
                    if streams is None:
                        streams = await asyncio.open_connection("127.0.0.1", self._port)
                    in_flight = True
                    closes = await self._request(*streams, number, keep=keep)
                self.answered += 1
            except (OSError, EOFError) as error:  # a timeout is an OSError too
                self.lost.append(
                    Lost(time.monotonic(), repr(error) or "no answer in time", in_flight and not isinstance(error, TimeoutError))
                )
                closes = True
            if closes and streams is not None:
                streams[1].close()
                streams = None
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._pause)
        if streams is not None:
            streams[1].close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, *, keep: bool) -> bool:
        """Send one request and check its answer; return whether the connection is over."""
        wanted = b"%d " % number + BODY if number % 5 == 0 else b"%d" % number
        close = b"" if keep else b"Connection: close\r\n"
        if number % 5:
            writer.write(b"GET /say/%b HTTP/1.1\r\nHost: soak\r\n%b\r\n" % (wanted, close))
        else:
            writer.write(b"POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: %d\r\n%b\r\n%b" % (len(wanted), close, wanted))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200 ") or body != wanted:
            self.wrong.append(f"request {number}: {head.splitlines()[0]!r}, {len(body)} bytes, not {len(wanted)}: {body[:60]!r}")
        return not keep or b"connection: close" in head
