"""What the control socket may ask of a cluster: each command, done and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tamago.cluster.control import Progress
from tamago.cluster.control_protocol import ControlError
from tamago.cluster.states import ClusterState
from tamago.cluster.status import status_of

if TYPE_CHECKING:
    from tamago.cluster.master import Cluster

Params = dict[str, Any]
Result = dict[str, Any]


class Requests:
    """The control server's handler for one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._commands: dict[str, Callable[[Params, Progress], Awaitable[Result]]] = {
            "status": self._status,
            "health": self._health,
            "stop": self._stop,
            "reload": self._reload,
            "scale": self._scale,
            "restart_agent": self._restart_agent,
            "kick": self._kick,
            "reopen": self._reopen,
            "trace": self._trace,
        }

    async def handle(self, command: str, params: Params, progress: Progress) -> Result:
        """Do what is asked; see docs/reference/control-protocol.md for each command's result."""
        try:
            do = self._commands[command]
        except KeyError:
            raise ControlError(f"there is no command {command!r}") from None
        return await do(params, progress)

    async def _status(self, _params: Params, _progress: Progress) -> Result:
        return status_of(self._cluster)

    async def _health(self, _params: Params, _progress: Progress) -> Result:
        state = self._cluster.state
        return {"live": True, "ready": state in {ClusterState.READY, ClusterState.RELOADING}, "state": state.value}

    async def _stop(self, params: Params, progress: Progress) -> Result:
        stopped = asyncio.get_running_loop().create_task(self._cluster.ask_and_stop(stop_timeout=params["timeout"], now=params["now"]))
        while not (await asyncio.wait({stopped}, timeout=1.0))[0]:
            processes = self._cluster.supervisor.processes.values()
            progress({"draining": [process.to_log() for process in processes if process.is_leaving]})
        text = stopped.result()
        return {"text": text, "killed": self._cluster.outcome.killed, "exit_code": self._cluster.outcome.code}

    async def _reload(self, _params: Params, _progress: Progress) -> Result:
        text = await self._cluster.reload()
        return {"text": text, "generation": self._cluster.supervisor.generation}

    async def _scale(self, params: Params, _progress: Progress) -> Result:
        return {"text": await self._cluster.scale(params["workers"], relative=params["relative"])}

    async def _restart_agent(self, _params: Params, _progress: Progress) -> Result:
        return {"text": await self._cluster.restart_agent()}

    async def _kick(self, params: Params, _progress: Progress) -> Result:
        return {"text": await self._cluster.kick(params["slot"])}

    async def _reopen(self, _params: Params, _progress: Progress) -> Result:
        self._cluster.reopen_logs()
        return {"text": "log files reopened"}

    async def _trace(self, _params: Params, _progress: Progress) -> Result:
        return {"path": str(self._cluster.rundir.trace_path)}
