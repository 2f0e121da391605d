"""Has exchanges numbered and logged if the options ask for it; else they are left as they are, and cost nothing more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from tamago.server.access_line import wants_request_id
from tamago.server.access_log import AccessLog
from tamago.server.exchange import Exchange
from tamago.server.request_id import RequestIds
from tamago.types import WorkerContext

if TYPE_CHECKING:
    AnyExchange = TypeVar("AnyExchange", bound=Exchange)


class Recording:
    """What one worker's exchanges are to be. Raises LogFileError if the access log cannot be opened."""

    def __init__(self, context: WorkerContext, loop: asyncio.AbstractEventLoop) -> None:
        options = context.options
        self._log = AccessLog(context, loop) if options.access_log else None
        identified = options.request_id or (options.access_log and wants_request_id(options.access_log_format))
        self._ids = RequestIds(options) if identified else None

    def recorded(self, exchange: type[AnyExchange]) -> type[AnyExchange]:
        """Return the class to use in the place of this one."""
        if self._ids is not None:
            exchange = self._ids.identified(exchange)
        return exchange if self._log is None else self._log.logged(exchange)

    @property
    def bare_exchange(self) -> type[Exchange]:
        """The class for what could not be read."""
        exchange = Exchange if self._ids is None else self._ids.identified(Exchange)
        return exchange if self._log is None else self._log.bare(exchange)

    def close(self) -> None:
        """Write what waits; every exchange is over."""
        if self._log is not None:
            self._log.close()
