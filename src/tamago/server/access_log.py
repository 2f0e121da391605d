"""The access log: a line for each answer, written in batches, without the request's task or the loop ever waiting for it.

Off, it is nowhere: only when it is on are exchanges made of classes that measure themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar, cast

from tamago.log import LogFile
from tamago.server.access_line import Line, make_line
from tamago.server.exchange import Exchange
from tamago.server.status import BODILESS
from tamago.types import WorkerContext

logger = logging.getLogger("tamago.server")

FLUSH_INTERVAL: Final = 0.25
"""Seconds a line waits at most for others to be written with it."""

BATCH: Final = 32 * 1024
"""Bytes that are written at once, without waiting for the interval to end."""

if TYPE_CHECKING:
    AnyExchange = TypeVar("AnyExchange", bound=Exchange)


class AccessLog:
    """Collects the lines of one worker. Made inside the loop it lives in; raises LogFileError if the file cannot be opened."""

    def __init__(self, context: WorkerContext, loop: asyncio.AbstractEventLoop) -> None:
        options = context.options
        self._line: Line = make_line(options.access_log_format, slot=context.identity.slot, trusted_proxies=options.trusted_proxies)
        self._file = LogFile(options.access_log_file, flags="another --access-log-file")
        self._writer = self._file.writer
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._full = False  # nobody takes what is there; no use in trying before the interval ends
        self.epoch = time.time() - time.monotonic()  # turns our clock into that of the calendar

    def logged(self, exchange: type[AnyExchange]) -> type[AnyExchange]:
        """Return the class of the same exchanges that log themselves here."""
        return cast("type[AnyExchange]", type(f"Logged{exchange.__name__}", (LoggedExchange, exchange), {"log": self}))

    def bare(self, exchange: type[Exchange]) -> type[Exchange]:
        """As `logged`, for requests that could not be read: their method is nobody's guess."""
        return type("LoggedBareExchange", (_LoggedBareExchange, exchange), {"log": self})

    def note(self, exchange: LoggedExchange) -> None:
        """Write the line of an exchange that is over."""
        writer = self._writer
        writer.push(self._line(exchange))
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_INTERVAL, self._flush_later)
        elif writer.size >= BATCH and not self._full:
            self._full = not writer.write()

    def close(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._writer.write()
        self._report_dropped()
        self._file.close()

    def _flush_later(self) -> None:
        self._timer = None
        self.epoch = time.time() - time.monotonic()
        self._full = not self._writer.write()
        if self._writer:
            self._timer = self._loop.call_later(FLUSH_INTERVAL, self._flush_later)
        elif not self._full:
            self._report_dropped()

    def _report_dropped(self) -> None:
        lines, self._writer.dropped = self._writer.dropped, 0
        if lines:
            logger.warning("%d lines of the access log were dropped: nobody took them, or the disk was full", lines)


class LoggedExchange(Exchange):
    """Measures itself, and has its line written once: when its answer is complete, or when its task ends without that."""

    log: ClassVar[AccessLog]
    began = 0.0
    body_sent = 0
    answered = 0.0  # when the first byte of the answer was written
    ended = 0.0

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        others: Callable[[], None] | None = getattr(super(), "__post_init__", None)  # of what we are mixed into
        if others is not None:
            others()

    def write(self, data: bytes, *, more: bool = False) -> None:
        super().write(data, more=more)
        if self.ended or (self.gone and not self.done):
            return
        now = time.monotonic()
        if not self.answered:
            self.answered = now
        if not (self.method == "HEAD" or self.status in BODILESS):
            self.body_sent += len(data)
        if self.done:
            self._end(now)

    respond = Exchange.respond_in_steps

    def file_sent(self, size: int) -> None:
        self.body_sent += size
        super().file_sent(size)

    def over(self, error: BaseException | None) -> None:
        super().over(error)
        if not self.ended:
            self._end(time.monotonic())

    def _end(self, now: float) -> None:
        self.ended = now
        self.log.note(self)


class _LoggedBareExchange(LoggedExchange):
    """One for bytes that were no request."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.method = "-"
