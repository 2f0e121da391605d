"""Server-sent events: a stream of messages to a browser's EventSource (WHATWG HTML, 9.2)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tamago.app.streaming import Filler
from tamago.errors import TamagoError

if TYPE_CHECKING:
    from tamago.app.context import Context

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


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


class SourceError(TamagoError, TypeError):
    """Something else than an async iterator was to give the events."""

    def __init__(self, source: object) -> None:
        super().__init__(
            f"an EventStream takes an async iterator, and not {source!r}",
            hint="make the function that yields the events `async def`, and call it: EventStream(news())",
        )


class EventStream:
    """A body of server-sent events: each thing that `source` gives is one, an `Event` or its data alone.

    Raises SourceError for a source that is not asynchronous.

    Every `ping` seconds a comment is sent as well, so that proxies do not take the connection for dead (0: only one, at the beginning).
    """

    def __init__(self, source: AsyncIterable[Any], *, ping: float = 15.0) -> None:
        if not hasattr(source, "__aiter__"):
            raise SourceError(source)
        self._source = source
        self.filler = Filler(b":\n\n", ping)

    def prepare(self, ctx: Context) -> None:
        """Say that nobody may keep the stream, or hold it back: nginx would, without the second field."""
        if not ctx.response.get("cache-control"):
            ctx.set("cache-control", "no-cache")
        ctx.set("x-accel-buffering", "no")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        events = aiter(self._source)
        try:
            async for event in events:
                yield (event if isinstance(event, Event) else Event(data=event)).encode()
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()
