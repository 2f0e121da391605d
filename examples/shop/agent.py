"""The shop's agent: one process that keeps the exchange rates, however many workers there are.

It answers a worker that asks (`rates.get`) and tells all of them when the rates move (`rates.changed`).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from rates import DriftingSource, RateTable

from tamago import messenger


class Agent:
    """Refreshes the rates every `SHOP_RATES_INTERVAL` seconds (5)."""

    def __init__(self) -> None:
        self._interval = float(os.environ.get("SHOP_RATES_INTERVAL", "5"))
        self._source = DriftingSource()
        self._table = self._fetch()
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Before any worker boots: be there to answer."""
        messenger.on("rates.get", self._answer)

    async def ready(self) -> None:
        """The shop is open, and no other agent is at work."""
        self._refreshing = asyncio.create_task(self._refresh_forever())

    async def stop(self) -> None:
        messenger.off("rates.get", self._answer)
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    def _fetch(self) -> RateTable:
        # The version comes from the clock, so it goes on rising when a new agent takes over.
        return self._source.table(int(time.time() / self._interval))

    def _answer(self, _data: Any) -> dict[str, Any]:
        return self._table.to_message()

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            self._table = self._fetch()
            messenger.send_to_app("rates.changed", self._table.to_message())
