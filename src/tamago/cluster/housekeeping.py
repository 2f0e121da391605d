"""What the master does once a second: it looks at the scoreboard, sees to empty slots, and makes again what somebody deleted."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from tamago import log
from tamago.cluster.empty_slots import EmptySlots
from tamago.cluster.monitor import INTERVAL
from tamago.errors import TamagoError

if TYPE_CHECKING:
    from tamago.cluster.master import Cluster

_log = logging.getLogger("tamago")
_FILES_EVERY = 5  # ticks


class Housekeeping:
    """The periodic work of one cluster, from `start` to `stop`."""

    def __init__(self, cluster: Cluster, loop: asyncio.AbstractEventLoop) -> None:
        self._cluster = cluster
        self._loop = loop
        self._empty_slots = EmptySlots(cluster.settings.workers)
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0

    def start(self) -> None:
        """Have the first look in a second."""
        self._timer = self._loop.call_later(INTERVAL, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.start()
        self._ticks += 1
        log.flush()
        cluster = self._cluster
        for event in cluster.monitor.check((row for _, row in cluster.shell.board.taken()), time.monotonic_ns()):
            cluster.emit(event)
        if cluster.settings.sticky:
            self.move_empty_slots()
        if self._ticks % _FILES_EVERY == 0:
            cluster.reap()  # embedded, nobody tells us of SIGCHLD
            self._make_files_again()

    def move_empty_slots(self) -> None:
        """Sticky: have neighbours serve the clients of slots that are empty for good or have been for long, and of no others."""
        supervisor = self._cluster.supervisor
        slots = supervisor.slots
        served = {process.slot for process in supervisor.processes.values() if process.is_serving and process.slot <= slots}
        if (empty := self._empty_slots.look(served, time.monotonic(), wanted=slots)) is not None:
            self._cluster.shell.move_empty_slots(empty)
            moved = f"neighbours serve the clients of the empty slots: {', '.join(map(str, sorted(empty)))}"
            _log.info("sticky: %s", moved if empty else "every slot serves its own clients")

    def _make_files_again(self) -> None:
        cluster = self._cluster
        try:
            if cluster.rundir.ensure():
                cluster.trace.reopen(cluster.rundir.open_trace())
                _log.warning("the run directory %s was removed; it is made again", cluster.rundir.path)
                self._reopening = self._loop.create_task(cluster.control.reopen())
        except TamagoError as error:
            _log.warning("%s", error.problem)
