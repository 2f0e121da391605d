"""The cluster as an object: `Cluster` binds, locks, supervises, answers, and can be embedded into a program of your own.

The thin shell around the supervisor: one queue takes what happens, the supervisor says what must be done, `Shell` does it. The command line
is the first user of this class and uses nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, assert_never

from tamago import log
from tamago.cluster import events
from tamago.cluster.callbacks import Callbacks, Happening
from tamago.cluster.control import ControlServer
from tamago.cluster.control_protocol import ControlError
from tamago.cluster.housekeeping import Housekeeping
from tamago.cluster.interpreter import EarlyNest
from tamago.cluster.limits import raise_file_limit
from tamago.cluster.monitor import Monitor
from tamago.cluster.opening import complete, open_cluster, policy_of
from tamago.cluster.requests import Requests
from tamago.cluster.rundir import RunFileError
from tamago.cluster.settings import MOST_WORKERS, Settings, diff_live
from tamago.cluster.shell import Shell
from tamago.cluster.sockets import Listener
from tamago.cluster.start_errors import StartFailedError, StartInterruptedError
from tamago.cluster.states import ClusterState
from tamago.cluster.status import status_of
from tamago.cluster.supervisor import Supervisor
from tamago.cluster.target import find_target
from tamago.errors import TamagoError
from tamago.ready import Ready

_log = logging.getLogger("tamago")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Cluster:
    """One master with its agent and workers.

    ```python
    cluster = Cluster(Settings(app="main:app", directory="examples/shop", workers=2))
    await cluster.start()      # returns when every worker serves; raises a TamagoError if that fails
    await cluster.reload()
    await cluster.stop()
    ```

    All methods belong to the event loop `start` was awaited on. `reread` returns fresh settings for a reload (default: the same again).
    `owns_process` says that this process does nothing else, so that it may reap strangers as PID 1 must.
    """

    def __init__(self, settings: Settings, *, reread: Callable[[], Settings] | None = None, owns_process: bool = False) -> None:
        self.settings = complete(settings)
        self._reread = reread or (lambda: settings)
        self._owns_process = owns_process
        self.ready = Ready()
        """Call it with a callback, or await it: every worker serves. It fails with the error that ended the start."""
        self.listeners: list[Listener] = []
        self.stdout = self.stderr = ""
        self.shows_start_error = False
        """Whoever awaits `start` prints the error it raises where the log goes as well: then the log needs not say it a second time."""
        self.early_nest: EarlyNest | None = None
        self._callbacks = Callbacks()
        self._queue: deque[events.Event] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._requests = count(1)
        self._answers: dict[int, asyncio.Future[events.Answer]] = {}
        self._active: list[int] = []
        self._crashed = False
        self.began = self.made = time.monotonic()
        self.ready_after = 0.0

    # ── start ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Bind, lock, import, fork; return when every worker serves. Raises a `TamagoError`, and then nothing is left."""
        self._loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[events.Exit] = self._loop.create_future()
        self._open()
        try:
            await self.control.start()
        except BaseException:
            self._close()
            raise
        self._housekeeping.start()
        if self.state is ClusterState.STARTING:  # a signal may have come first
            self.emit(events.StartRequested())
        up: asyncio.Future[Any] = self._loop.create_task(self._until_ready())
        try:
            await asyncio.wait((up, self._finished), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop(now=True, cause="the start was cancelled")
            raise
        if self.ready.is_ready:
            return
        exit_ = await self.wait()
        up.cancel()
        if exit_.failure is None:
            raise StartInterruptedError
        raise StartFailedError(exit_.failure.problem, hint=exit_.failure.hint, detail=exit_.failure.detail)

    async def _until_ready(self) -> None:
        await self.ready()

    def _open(self) -> None:
        opened = open_cluster(self.settings, stdout=self.stdout, stderr=self.stderr)
        self.rundir, self.listeners, self.trace, self._pid_file = opened.rundir, opened.listeners, opened.trace, opened.pid_file
        now, wall = time.monotonic(), time.time()
        self.trace.note("launched", now=self.began, wall=wall - (now - self.began))
        self.trace.note("started", now=self.made, wall=wall - (now - self.made))
        self.trace.note("bound", now=now, wall=wall, addresses=self.addresses)
        self.shell = Shell(
            self._loop,
            opened.outfit,
            emit=self.emit,
            trace=self.trace,
            owns_process=self._owns_process,
            early_nest=self.early_nest,
        )
        self.supervisor = Supervisor(policy_of(self.settings), random=random.random)
        self.monitor = Monitor(self.settings, random=random.random)
        self.control = ControlServer(self.rundir, Requests(self))
        self._most_slots = self.settings.workers  # if sticky: each has a socket
        self._housekeeping = Housekeeping(self, self._loop)

    @property
    def addresses(self) -> list[str]:
        """Where the cluster listens, as a browser would write it."""
        return [listener.address for listener in self.listeners]

    @property
    def state(self) -> ClusterState:
        """The state of the cluster."""
        return self.supervisor.state

    # ── what others may ask for ──────────────────────────────────────────────────────────────────────────────────────

    def on(self, happening: type[Happening], callback: Callable[[Happening], object]) -> Callable[[], None]:
        """Call back for every event or command of this type, after it was handled. Returns a function that ends it."""
        return self._callbacks.add(happening, callback)

    async def reload(self, settings: Settings | None = None) -> str:
        """Replace everything by a new generation; return what was done. Raises ControlError if it was rolled back or refused."""
        fresh = complete(settings or self._reread())
        if changed := diff_live(self.settings, fresh):
            names = ", ".join(f"{name} ({getattr(self.settings, name)!r} → {getattr(fresh, name)!r})" for name in changed)
            raise ControlError(f"nothing was reloaded: {names} cannot change while the cluster runs", hint="stop it and start it again")
        self._check_slots(fresh.workers)
        workers = fresh.workers if self._said_of_workers() != {fresh.workers} else 0
        self.shell.next_outfit = replace(self.shell.next_outfit, settings=fresh, target=find_target(fresh))
        self.shell.forget_outfits(serving=self.supervisor.generation)
        return await self._ask(lambda request: events.ReloadRequested(request=request, workers=workers))

    def _said_of_workers(self) -> set[int]:
        """Return the numbers of workers in the settings; if they say it again, what it was scaled to stays."""
        under_way = set() if self.state is ClusterState.READY else {self.shell.next_outfit.settings.workers}
        return {self.settings.workers} | under_way

    async def scale(self, workers: int, *, relative: bool = False) -> str:
        """Have this many workers, or this many more; return when they serve."""
        wanted = max(1, self.supervisor.slots + workers) if relative else workers
        self._check_slots(wanted)
        if wanted < 0 or wanted > MOST_WORKERS:
            raise ControlError(f"{wanted} is no number of workers", hint=f"ask for 1 to {MOST_WORKERS}")
        raise_file_limit(wanted)
        return await self._ask(lambda request: events.ScaleRequested(workers=workers, relative=relative, request=request))

    def _check_slots(self, wanted: int) -> None:
        if self.settings.sticky and wanted > self._most_slots:
            raise ControlError(
                f"a sticky cluster that was started with {self._most_slots} slots cannot have {wanted}",
                hint="stop it and start it with more --workers",
            )

    async def kick(self, slot: int) -> str:
        """Replace the worker in a slot; return when the new one serves."""
        return await self._ask(lambda request: events.KickRequested(slot=slot, request=request))

    async def restart_agent(self) -> str:
        """Replace the agent; return when the new one is active."""
        return await self._ask(lambda request: events.AgentRestartRequested(request=request))

    async def stop(self, *, stop_timeout: float | None = None, now: bool = False, cause: str = "stop") -> events.Exit:
        """Stop everything; return when nothing is left. `stop_timeout` in seconds takes the place of the setting."""
        self.emit(events.StopRequested(now=now, timeout=stop_timeout, cause=cause))
        return await self.wait()

    async def ask_and_stop(self, *, stop_timeout: float | None = None, now: bool = False) -> str:
        """Stop everything; return what became of it as soon as that is known, a moment before the master itself lets go of everything."""
        _log.info("got `tamago stop`: stopping")
        return await self._ask(lambda request: events.StopRequested(request=request, timeout=stop_timeout, now=now, cause="tamago stop"))

    async def wait(self) -> events.Exit:
        """Wait until the cluster is gone, for whatever reason; return how it ended."""
        return await asyncio.shield(self._finished)

    @property
    def is_open(self) -> bool:
        """Whether the cluster has been started and is not gone."""
        return hasattr(self, "supervisor") and not self._finished.done()

    def note_signal(self, name: str) -> None:
        """Put a signal the master got into the trace."""
        if self.is_open:
            self.trace.note("signal", now=time.monotonic(), wall=time.time(), signal=name)

    def ask_to_stop(self, cause: str) -> None:
        """Ask to stop without waiting; asked once more it means now. Before the start it does nothing."""
        if self.is_open:
            self.emit(events.StopRequested(cause=cause))

    def reap(self) -> None:
        """Reap strangers; for a master that gets SIGCHLD."""
        if self.is_open:
            self.shell.table.on_sigchld()

    def reopen_logs(self) -> None:
        """Let go of log files that were rotated away, in the master and in all its children; if they cannot be made anew, in none."""
        try:
            log.reopen(self.stdout, self.stderr)
        except TamagoError as error:
            _log.warning("still writing to the old log files: %s", error.problem)
            return
        if self.is_open:
            self.shell.reopen_logs()
        _log.info("log files reopened")

    def status(self) -> dict[str, Any]:
        """Describe the cluster and each process, as `tamago status --json` shows it."""
        return status_of(self)

    async def _ask(self, make: Callable[[int], events.Event]) -> str:
        if not self.is_open:
            raise ControlError("the cluster is not running", hint="await `start()` first")
        request = next(self._requests)
        answer: asyncio.Future[events.Answer] = self._loop.create_future()
        self._answers[request] = answer
        self.emit(make(request))
        told = await answer
        if told.failure is not None:
            raise ControlError(told.failure.problem, hint=told.failure.hint, detail=told.failure.detail)
        return told.text

    # ── the loop: events in, commands out ────────────────────────────────────────────────────────────────────────────

    def emit(self, event: events.Event) -> None:
        """Take in an event. What a command causes meanwhile waits its turn."""
        self._queue.append(event)
        if self._busy or self._crashed:
            return
        self._busy = True
        try:
            while self._queue and not self._crashed:
                self._step(self._queue.popleft())
        except Exception as error:  # noqa: BLE001 - whatever it is, the state cannot be trusted any more
            _log.critical("a bug in tamago: the cluster cannot go on", exc_info=error)
            self._crash()
        finally:
            self._busy = False

    def _step(self, event: events.Event) -> None:
        now = time.monotonic()
        commands = self.supervisor.handle(event, now=now)
        self.trace.record(event, commands, now=now, wall=time.time())
        generation = self.supervisor.generation
        for command in commands:
            self._do(command)
        if generation != self._generation:
            self._generation = generation
            self._take_settings()
        self._publish()
        self._arm()
        self._callbacks.tell((event, *commands))

    _generation = 1

    def _do(self, command: events.Command) -> None:  # noqa: C901, PLR0912 - one line a command
        shell = self.shell
        match command:
            case events.StartNest():
                shell.start_nest(command)
            case events.Fork():
                shell.fork(command)
            case events.Activate(process=peer):
                shell.activate(peer)
                self.monitor.watch(peer, time.monotonic_ns())
            case events.TellReady(process=peer):
                shell.tell_ready(peer)
            case events.CloseListeners():
                shell.close_listeners()
            case events.Drain(process=peer, closing=closing):
                self.monitor.forget(peer)
                shell.drain(peer, closing=closing or self._retires(peer))
            case events.Terminate(process=peer):
                shell.terminate(peer)
            case events.DumpStacks(process=peer):
                self.monitor.forget(peer)
                shell.dump_stacks(peer)
            case events.Kill(process=peer):
                self.monitor.forget(peer)
                shell.kill(peer)
            case events.SetSlots(count=slots):
                shell.set_slots(slots)
            case events.EnterState(state=state):
                self._entered(state)
            case events.Report(level=level, text=text, failure=failure):
                self._report(level, text, failure)
            case events.Answer(request=request):
                if (answer := self._answers.pop(request, None)) and not answer.done():
                    answer.set_result(command)
            case events.Exit():
                self._exit(command)
            case _:
                assert_never(command)

    def _report(self, level: str, text: str, failure: events.Failure | None) -> None:
        if failure is not None and level == "error" and self.shows_start_error and not self.ready.is_ready:
            # To stop takes a while, in which it is good to know that this is what happens.
            text = "the start failed: stopping what was started; the reason follows"
        elif failure is not None and failure.detail:
            text = f"{text}\n{failure.detail.rstrip()}"
        elif failure is not None and failure.hint:
            text = f"{text} ({failure.hint})"
        _log.log(_LEVELS[level], "%s", text)

    def _entered(self, state: ClusterState) -> None:
        if state is ClusterState.READY and not self.ready.is_ready:
            self.ready_after = time.monotonic() - self.began
            self.ready.set()
        elif state is ClusterState.STOPPING:
            self.shell.relay.close()
        try:
            self.rundir.write_state({"state": state.value, "generation": self.supervisor.generation, "since": time.time()})
        except RunFileError as error:
            _log.warning("%s", error.problem)

    def _take_settings(self) -> None:
        """A reload was committed: its settings are the cluster's from now on."""
        self.settings = self.shell.settings_of(self.supervisor.generation)
        self.supervisor.use(policy_of(self.settings))
        self.monitor.use(self.settings)

    def _publish(self) -> None:
        if self.state is ClusterState.STARTING:
            return  # told once, when all are there, instead of once for each to each
        active = [peer for peer, process in self.supervisor.processes.items() if process.is_serving]
        if active != self._active:
            self._active = active
            self.shell.publish_peers(active)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.supervisor.next_deadline
        if deadline is not None and not self._finished.done():
            self._timer = self._loop.call_at(self._loop.time() + max(0.0, deadline - time.monotonic()), self.emit, events.TimePassed())

    def _retires(self, peer: int) -> bool:
        """Sticky: whether a process leaves its slot for good. New clients go to a neighbour at once, who waits already is its to serve."""
        process = self.supervisor.processes.get(peer)
        if not self.settings.sticky or process is None or process.slot <= self.supervisor.slots:
            return False
        self._housekeeping.move_empty_slots()
        return True

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _exit(self, command: events.Exit) -> None:
        self.outcome = command
        self._ending = self._loop.create_task(self._end(command))

    async def _end(self, command: events.Exit) -> None:
        self.shell.dismiss_early_nest()
        strays = self.shell.table.end_strays()
        if strays:
            _log.warning("%d processes that the application had left behind were killed", strays)
        # Whoever waits for the stop is answered before the socket closes.
        await self.control.close()
        self._close()
        if not self.ready.is_ready:
            failure = command.failure
            self.ready.fail(
                StartFailedError(failure.problem, hint=failure.hint, detail=failure.detail) if failure else StartInterruptedError()
            )
        self._finished.set_result(command)

    def _close(self) -> None:
        self._housekeeping.stop()
        if self._timer is not None:
            self._timer.cancel()
        self.shell.close()
        self.trace.close()
        self._pid_file.close()
        self.rundir.close()

    def _crash(self) -> None:
        """End everybody at once: a master that does not know its own state must not go on supervising."""
        self._crashed = True
        for member in list(self.shell.members.values()):
            if member.peer in self.shell.table:
                self.shell.table.kill(member.peer)
        self._exit(events.Exit(code=1, killed=len(self.shell.members), failure=events.Failure(problem="a bug in tamago ended the cluster")))
