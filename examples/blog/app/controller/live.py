"""News as they happen: as server-sent events, and over a websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tamago.app import Controller, Event, EventStream


class LiveController(Controller):
    async def events(self) -> EventStream:
        """Stream the news to `EventSource`."""
        return EventStream(self._events())

    async def socket(self) -> None:
        """Send the news over a websocket until it closes."""
        websocket = self.ctx.websocket
        await websocket.accept()
        async for news in self.app.feed.news():
            await websocket.send_json(news)

    async def _events(self) -> AsyncIterator[Event]:
        async for news in self.app.feed.news():
            yield Event(data=news, event=news["kind"])
