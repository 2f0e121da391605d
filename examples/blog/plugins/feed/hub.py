"""Passes news on to those who listen in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

WAITING = 100
"""News that wait for a reader who does not read; past it he misses the oldest."""


class Hub:
    """Whoever iterates over `news()` gets what `publish` is given from then on."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Queue[Any]] = set()

    def publish(self, news: Any) -> None:
        for reader in self._readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(news)

    async def news(self) -> AsyncIterator[Any]:
        reader: asyncio.Queue[Any] = asyncio.Queue(WAITING)
        self._readers.add(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.discard(reader)
