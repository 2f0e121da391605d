"""Server-sent events: a stream of messages to a browser's EventSource (WHATWG HTML, 9.2)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tamago.app.context import Context

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_PING = b":\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `data` that is no text is sent as JSON. `retry` is in seconds: after how long a browser that lost us comes back."""

    data: Any = ""
    event: str = ""
    id: str | None = None
    retry: float | None = None

    def encode(self) -> bytes:
        """Return it as it stands in the stream. Raises ValueError for a line break in `event` or `id`, which would begin another field."""
        lines = []
        for name, value in (("event", self.event or None), ("id", self.id)):
            if value is not None:
                if _LINE_BREAK.search(value) or "\0" in value:
                    raise ValueError(f"the {name} of an event cannot have a line break or a NUL in it: {value[:100]!r}")
                lines.append(f"{name}: {value}")
        if self.retry is not None:
            lines.append(f"retry: {round(self.retry * 1000)}")
        text = self.data if isinstance(self.data, str) else msgspec.json.encode(self.data).decode()
        lines += [f"data: {line}" for line in _LINE_BREAK.split(text)]
        return ("\n".join(lines) + "\n\n").encode()


class EventStream:
    """A body of server-sent events: each thing that `source` gives is one, an `Event` or its data alone.

    Every `ping` seconds without one a comment is sent, so that proxies do not take the connection for dead (0: never).
    """

    def __init__(self, source: AsyncIterable[Any], *, ping: float = 15.0) -> None:
        self._source = source
        self._ping = ping or None

    def prepare(self, ctx: Context) -> None:
        """Say that nobody may keep the stream, or hold it back: nginx would, without the second field."""
        if not ctx.response.get("cache-control"):
            ctx.set("cache-control", "no-cache")
        ctx.set("x-accel-buffering", "no")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield _PING  # the head goes with the first piece, and a browser waits for it
        events = aiter(self._source)
        coming: asyncio.Task[Any] | None = None
        try:
            while True:
                coming = coming or asyncio.create_task(_next(events))
                done, _ = await asyncio.wait({coming}, timeout=self._ping)
                if not done:
                    yield _PING
                    continue
                event = coming.result()
                coming = None
                if event is _END:
                    return
                yield (event if isinstance(event, Event) else Event(data=event)).encode()
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait({coming})
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()


_END = object()


async def _next(events: AsyncIterator[Any]) -> Any:
    return await anext(events, _END)
