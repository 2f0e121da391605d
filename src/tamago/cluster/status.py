"""What `status` shows: the cluster and each of its processes, as plain data."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from tamago.cluster.states import ClusterState

if TYPE_CHECKING:
    from tamago.cluster.children import Process
    from tamago.cluster.master import Cluster
    from tamago.cluster.scoreboard import Row


def status_of(cluster: Cluster) -> dict[str, Any]:
    """Describe a cluster. Times are in seconds, memory in bytes, CPU in seconds since the process began."""
    supervisor = cluster.supervisor
    now = time.monotonic()
    rows = {row.peer: row for _, row in cluster.shell.board.taken()}
    seats = {(seat.role, seat.slot): seat for seat in supervisor.seats}
    processes = []
    for process in supervisor.processes.values():
        seat = seats.get((process.role, process.slot))
        entry = _process(process, rows.get(process.peer), now)
        entry["restarts"] = seat.deaths if seat else 0
        entry["last_exit"] = seat.last_death if seat else ""
        processes.append(entry)
    return {
        "title": cluster.settings.title,
        "state": supervisor.state.value,
        "ready": supervisor.state in {ClusterState.READY, ClusterState.RELOADING},
        "degraded": supervisor.degraded,
        "generation": supervisor.generation,
        "pid": os.getpid(),
        "directory": cluster.settings.directory,
        "env": cluster.settings.env,
        "addresses": cluster.addresses,
        "workers": supervisor.slots,
        "uptime": now - cluster.began,
        "start_seconds": cluster.ready_after,
        "waiting_messages": cluster.shell.relay.waiting(),
        "processes": sorted(processes, key=lambda entry: (_ORDER[entry["role"]], entry["slot"], entry["generation"])),
    }


def report_of(cluster: Cluster) -> list[str]:
    """Describe a cluster for the log: a line for it, and one for each process."""
    supervisor = cluster.supervisor
    degraded = " (degraded)" if supervisor.degraded else ""
    head = f"{supervisor.state.value}{degraded}, generation {supervisor.generation}, {supervisor.slots} slots"
    return [head, *(f"  {process.to_log()}: {process.state.value}" for process in supervisor.processes.values())]


_ORDER = {"nest": 0, "agent": 1, "worker": 2}


def _process(process: Process, row: Row | None, now: float) -> dict[str, Any]:
    return {
        "role": process.role.value,
        "slot": process.slot,
        "generation": process.generation,
        "peer": process.peer,
        "pid": process.pid,
        "state": process.state.value,
        "active": process.active,
        "uptime": process.ready_for(now),
        "requests": row.requests if row else 0,
        "in_flight": row.in_flight if row else 0,
        "connections": row.connections if row else 0,
        "rss": row.rss if row else 0,
        "cpu": row.cpu / 1e9 if row else 0.0,
    }
