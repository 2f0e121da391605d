"""All connections of one worker: their clock, their number, and how they end.

Owns one timer for all timeouts, and the drain. Knows neither what answers a request nor where connections come from.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import time
from collections.abc import Callable

from tamago.server import refusal as refusals
from tamago.server.exchange import Exchange
from tamago.server.first_step import Starter
from tamago.server.http1 import Connection
from tamago.server.pace import stall_after
from tamago.server.request_reader import SLICE
from tamago.server.socket_state import unacknowledged
from tamago.server.status import SERVER_FIELD, date_field
from tamago.server.tunnel import TunnelExchange
from tamago.types import Meter, ServerOptions

logger = logging.getLogger("tamago.server")

# Bytes: a letter, a colon and a line break.
_SHORTEST_FIELD = 4

# Seconds. A keep-alive of 0 must not keep the loop busy.
_SHORTEST_SWEEP = 0.005

MakeExchange = Callable[..., Exchange]
MakeTunnel = Callable[..., TunnelExchange]


class HttpServer:
    """The connections of one worker. `exchange` makes an Exchange for each request, `websocket` one for each websocket: who answers."""

    def __init__(
        self,
        *,
        options: ServerOptions,
        meter: Meter,
        exchange: MakeExchange,
        loop: asyncio.AbstractEventLoop,
        websocket: MakeTunnel | None = None,
    ) -> None:
        self.options = options
        self.exchange = exchange
        self.websocket = websocket
        self.bare_exchange: type[Exchange] = Exchange  # for what could not be read, and is refused
        self.loop = loop
        self.starter = Starter(loop)
        self.limit_in_flight = options.limit_in_flight or sys.maxsize
        self.keep_alive = options.keep_alive
        self.draining = False
        self.connections: set[Connection] = set()
        self.ready: list[Exchange] = []  # requests that are read, and begin within this turn of the loop
        self.running: set[Exchange] = set()  # requests with a task or a thread; also keeps the tasks from being collected
        self.now = loop.time()  # as of the last sweep: exact enough for timeouts, and free
        self.date = b""
        self.end_of_head = b""
        self.end_of_last_head = b""
        self._tell_time()
        # A head this much shorter than the limit is surely within it, whatever slice it ended in.
        self.head_slack = options.limit_header_bytes - SLICE
        # One of so few bytes is so in every respect.
        self.small_head = min(self.head_slack, options.limit_request_line, options.limit_header_count * _SHORTEST_FIELD)
        self.meter = meter
        self.counts = meter.request_counts
        self.begun, self.over = self.counts  # what stands there: to read it takes as long as to write
        self.context = contextvars.copy_context()  # what each request has a copy of
        self._pending = 0  # accepted, and not yet connected to a protocol
        self._sweep_timer: asyncio.TimerHandle | None = None
        shortest = min(options.header_timeout, options.body_timeout, options.keep_alive)
        self._sweep_interval = min(1.0, max(shortest / 4, _SHORTEST_SWEEP))
        self._empty: asyncio.Future[None] | None = None

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, connection: Connection) -> None:
        """A connection is there."""
        self.connections.add(connection)
        if self._sweep_timer is None:
            self._sweep()
        if self.draining:
            self.close_soon(connection)

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.meter.connection_closed()
        if self.draining:
            self.check_empty()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def launch_soon(self) -> None:
        """Begin what will be in `ready` after the sockets of this turn of the loop are read.

        Reading all of them first, and then answering all, takes less time than one after the other: a processor's cache for instructions
        has room for one of the two (docs/adr/0034).
        """
        self.loop.call_soon(self._launch, context=self.context)

    def _launch(self) -> None:
        ready, self.ready = self.ready, []
        for exchange in ready:
            if exchange.done:
                continue  # refused since
            if len(self.running) >= self.limit_in_flight:
                exchange.refuse(refusals.OVERLOADED)
                continue
            self.begun = self.counts[0] = self.begun + 1
            try:
                exchange.launch(self)
            except BaseException:  # whatever it is, others wait to be begun
                logger.exception("a request could not be begun")
                exchange.connection.cut()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _sweep(self) -> None:
        """Look for what is overdue. One timer serves all connections, and none runs while there is no connection."""
        if not self.connections:
            self._sweep_timer = None
            return
        self.now = now = self.loop.time()
        self._tell_time()
        # Ten thousand idle ones are passed over in a comprehension; nearly none is left for the loop.
        for connection in [each for each in self.connections if each.write_paused or each.closing or now >= each.deadline]:
            if connection.write_paused or connection.closing:
                self.check_stall(connection, now)
            if now >= connection.deadline:
                connection.expire()
        self._sweep_timer = self.loop.call_later(self._sweep_interval, self._sweep)

    def _tell_time(self) -> None:
        """Encode the fields that depend on the time; once for all answers until the next sweep."""
        self.date = date_field(time.time())
        self.end_of_head = SERVER_FIELD + self.date + b"\r\n"
        self.end_of_last_head = b"connection: close\r\n" + self.end_of_head

    def check_stall(self, connection: Connection, now: float) -> None:
        """A client that reads nothing for a whole body timeout, or never more than a little, keeps the answer in memory for nothing."""
        # With what is in the kernel: that takes megabytes from us at once, and then nothing until a third of them is read.
        unsent = connection.transport.get_write_buffer_size() + unacknowledged(connection.sock)
        connection.stall = stall = stall_after(connection.stall, unsent, now, self.options.min_rate)
        if now - stall[1] > self.options.body_timeout:
            connection.cut()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> None:
        """Answer what is in flight or still arrives with `Connection: close`, close what stays idle; return when nothing is left."""
        self.draining = True
        self._empty = self.loop.create_future()
        for connection in list(self.connections):
            if connection.tunnel is not None:
                connection.tunnel.go_away()
            else:
                self.close_soon(connection)
        self.check_empty()
        await self._empty
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def close_soon(self, connection: Connection) -> None:
        """Close the connection after the linger, unless a request comes in the meantime.

        The linger is what makes a swap of workers lossless: the client's next request may be on its way already.
        """
        self.loop.call_later(self.options.linger, self._close_if_idle, connection, connection.epoch)

    def _close_if_idle(self, connection: Connection, epoch: int) -> None:
        if not connection.close_if_idle(epoch):
            self.close_soon(connection)

    def accepted(self) -> None:
        """A socket is accepted and about to become a connection. It counts at once: who is to accept the next one depends on it."""
        self._pending += 1
        self.meter.connection_opened()

    def arriving(self) -> None:
        """It says something else before it speaks HTTP, so that it takes longer."""
        self._pending += 1

    def connected(self, *, failed: bool) -> None:
        """It has become one, or never will. Once for `accepted`, and once for each `arriving`."""
        self._pending -= 1
        if failed:
            self.meter.connection_closed()
        if self.draining:
            self.check_empty()

    def check_empty(self) -> None:
        """Something ended: perhaps it was the last that the drain waits for."""
        if self._empty is not None and not (self.connections or self.running or self._pending) and not self._empty.done():
            self._empty.set_result(None)
