"""The cluster as an object: `Cluster` binds, locks, supervises, answers, and can be embedded into a program of your own.

The thin shell around the supervisor: one queue takes what happens, the supervisor says what must be done, `Shell` does it. The command line
is the first user of this class and uses nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar, TypeVar, assert_never

import msgspec

from tamago import log
from tamago.cluster import events, linux
from tamago.cluster.control import ControlServer, Progress
from tamago.cluster.control_protocol import ControlError
from tamago.cluster.cpus import allowed_cpus
from tamago.cluster.home import home
from tamago.cluster.limits import raise_file_limit
from tamago.cluster.monitor import INTERVAL, Monitor
from tamago.cluster.policy import Policy
from tamago.cluster.privileges import resolve_user
from tamago.cluster.rundir import RunDir, RunFileError, this_process
from tamago.cluster.settings import Settings, diff_live
from tamago.cluster.settings_resolve import SettingsError
from tamago.cluster.shell import Outfit, Shell
from tamago.cluster.sockets import Listener, ListenOptions, open_listeners
from tamago.cluster.states import ClusterState
from tamago.cluster.status import status_of
from tamago.cluster.supervisor import Supervisor
from tamago.cluster.target import find_target
from tamago.cluster.title import title_from
from tamago.cluster.trace import Trace
from tamago.errors import ExitCode, TamagoError
from tamago.ready import Ready

_log = logging.getLogger("tamago")
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# A slot of a sticky cluster that is empty for this long has its clients served by a neighbour, in seconds.
_EMPTY_FOR_LONG = 2.0
_HOUSEKEEPING = 5  # ticks

Happening = TypeVar("Happening", bound=events.Event | events.Command)


class StartFailedError(TamagoError):
    """The cluster did not get ready; everything that had been started is stopped again."""


class StartInterruptedError(TamagoError):
    """Somebody asked to stop before the cluster was ready. That is no failure."""

    exit_code: ClassVar[ExitCode] = ExitCode.OK

    def __init__(self) -> None:
        super().__init__("the start was interrupted", hint="it was asked to stop before every worker served")


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
        self.settings = _complete(settings)
        self._reread = reread or (lambda: settings)
        self._owns_process = owns_process
        self.ready = Ready()
        """Call it with a callback, or await it: every worker serves. It fails with the error that ended the start."""
        self.listeners: list[Listener] = []
        self.stdout = self.stderr = ""
        self._callbacks: dict[type, list[Callable[[Any], object]]] = {}
        self._queue: deque[events.Event] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._requests = count(1)
        self._answers: dict[int, asyncio.Future[events.Answer]] = {}
        self._active: list[int] = []
        self._empty_since: dict[int, float] = {}
        self._ticks = 0
        self._crashed = False
        self.began = time.monotonic()
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
        self._tick_handle = self._loop.call_later(INTERVAL, self._tick)
        if self.state is ClusterState.STARTING:  # a signal may have come first
            self.emit(events.StartRequested())
        up = asyncio.ensure_future(self.ready())
        await asyncio.wait({up, self._finished}, return_when=asyncio.FIRST_COMPLETED)
        if self.ready.is_ready:
            return
        exit_ = await self.wait()
        up.cancel()
        if exit_.failure is None:
            raise StartInterruptedError
        raise StartFailedError(exit_.failure.problem, hint=exit_.failure.hint, detail=exit_.failure.detail)

    def _open(self) -> None:
        """Take what can be taken without a child: if any of it fails, that is the first and only error."""
        settings = self.settings
        target = find_target(settings)
        run_as = resolve_user(settings.user, settings.group)
        raise_file_limit(settings.workers)
        self.rundir = RunDir(home(os.environ), settings.title, create=True)
        try:
            owner = this_process(title=settings.title, directory=settings.directory, stdout=self.stdout, stderr=self.stderr)
            self.rundir.lock(owner)
            options = ListenOptions(
                backlog=settings.backlog, socket_mode=settings.socket_mode, slots=settings.workers if settings.sticky else 0
            )
            self.listeners = open_listeners(settings.bind, host=settings.host, port=settings.port, options=options)
            self.rundir.write_owner(msgspec.structs.replace(owner, addresses=self.addresses))
            self._trace = Trace(self.rundir.open_trace())
        except BaseException:
            for listener in self.listeners:
                listener.close()
            self.rundir.close()
            raise
        linux.become_subreaper()
        now, wall = time.monotonic(), time.time()
        self._trace.note("launched", now=self.began, wall=wall - (now - self.began))
        self._trace.note("bound", now=now, wall=wall, addresses=self.addresses)
        outfit = Outfit(
            settings=settings,
            target=target,
            listeners=self.listeners,
            title=settings.title,
            master_pid=os.getpid(),
            run_as=run_as,
            stdout=self.stdout,
            stderr=self.stderr,
        )
        self.shell = Shell(self._loop, outfit, emit=self.emit, trace=self._trace, owns_process=self._owns_process)
        self.supervisor = Supervisor(_policy_of(settings), random=random.random)
        self.monitor = Monitor(settings, random=random.random)
        self.control = ControlServer(self.rundir, self)

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
        callbacks = self._callbacks.setdefault(happening, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    async def reload(self, settings: Settings | None = None) -> str:
        """Replace everything by a new generation; return what was done. Raises ControlError if it was rolled back or refused."""
        fresh = _complete(settings or self._reread())
        if changed := diff_live(self.settings, fresh):
            names = ", ".join(f"{name} ({getattr(self.settings, name)!r} → {getattr(fresh, name)!r})" for name in changed)
            raise ControlError(f"nothing was reloaded: {names} cannot change while the cluster runs", hint="stop it and start it again")
        self.shell.next_outfit = replace(self.shell.next_outfit, settings=fresh, target=find_target(fresh))
        workers = fresh.workers if fresh.workers != self.settings.workers else 0
        return await self._ask(lambda request: events.ReloadRequested(request=request, workers=workers))

    async def scale(self, workers: int, *, relative: bool = False) -> str:
        """Have this many workers, or this many more; return when they serve."""
        wanted = max(1, self.supervisor.slots + workers) if relative else workers
        if self.settings.sticky and wanted > self.settings.workers:
            raise ControlError(
                f"a sticky cluster that was started with {self.settings.workers} slots cannot have {wanted}",
                hint="stop it and start it with more --workers",
            )
        if wanted < 0 or wanted > 1024:
            raise ControlError(f"{wanted} is no number of workers", hint="ask for 0 to 1024")
        raise_file_limit(wanted)
        return await self._ask(lambda request: events.ScaleRequested(workers=workers, relative=relative, request=request))

    async def kick(self, slot: int) -> str:
        """Replace the worker in a slot; return when the new one serves."""
        return await self._ask(lambda request: events.KickRequested(slot=slot, request=request))

    async def restart_agent(self) -> str:
        """Replace the agent; return when the new one is active."""
        return await self._ask(lambda request: events.AgentRestartRequested(request=request))

    async def stop(self, *, timeout: float | None = None, now: bool = False, cause: str = "stop") -> events.Exit:
        """Stop everything; return when nothing is left. `timeout` in seconds takes the place of the stop timeout."""
        self.emit(events.StopRequested(now=now, timeout=timeout, cause=cause))
        return await self.wait()

    async def wait(self) -> events.Exit:
        """Wait until the cluster is gone, for whatever reason; return how it ended."""
        return await asyncio.shield(self._finished)

    @property
    def is_open(self) -> bool:
        """Whether the cluster has been started and is not gone."""
        return hasattr(self, "supervisor") and not self._finished.done()

    def ask_to_stop(self, cause: str) -> None:
        """Ask to stop without waiting; asked once more it means now. Before the start it does nothing."""
        if self.is_open:
            self.emit(events.StopRequested(cause=cause))

    def reap(self) -> None:
        """Reap strangers; for a master that gets SIGCHLD."""
        if self.is_open:
            self.shell.table.on_sigchld()

    def describe(self) -> list[str]:
        """Return a report of the state for the log, a line a process."""
        supervisor = self.supervisor
        head = f"{supervisor.state.value}{' (degraded)' if supervisor.degraded else ''}, generation {supervisor.generation}, {supervisor.slots} slots"
        return [head, *(f"  {process.to_log()}: {process.state.value}" for process in supervisor.processes.values())]

    def reopen_logs(self) -> None:
        """Have the children reopen their log files."""
        self.shell.reopen_logs()

    def status(self) -> dict[str, Any]:
        """Describe the cluster and each process, as `tamago status --json` shows it."""
        return status_of(self)

    async def _ask(self, make: Callable[[int], events.Event]) -> str:
        request = next(self._requests)
        answer: asyncio.Future[events.Answer] = self._loop.create_future()
        self._answers[request] = answer
        self.emit(make(request))
        told = await answer
        if told.failure is not None:
            raise ControlError(told.failure.problem, hint=told.failure.hint, detail=told.failure.detail)
        return told.text

    async def handle(self, command: str, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Do what the control socket asks for."""
        match command:
            case "status":
                return self.status()
            case "health":
                state = self.state
                return {"live": True, "ready": state in {ClusterState.READY, ClusterState.RELOADING}, "state": state.value}
            case "stop":
                return await self._stop_for_client(params, progress)
            case "reload":
                return {"text": await self.reload(), "generation": self.supervisor.generation}
            case "scale":
                return {"text": await self.scale(params["workers"], relative=params["relative"])}
            case "restart_agent":
                return {"text": await self.restart_agent()}
            case "kick":
                return {"text": await self.kick(params["slot"])}
            case "reopen":
                self.reopen_logs()
                return {"text": "log files reopened"}
            case "trace":
                return {"path": str(self.rundir.trace_path)}
            case _:
                raise ControlError(f"there is no command {command!r}")

    async def _stop_for_client(self, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        told = self._loop.create_task(self._ask(lambda request: events.StopRequested(request=request, cause="tamago stop", **params)))
        while not (await asyncio.wait({told}, timeout=1.0))[0]:
            left = [process.to_log() for process in self.supervisor.processes.values() if process.is_leaving]
            progress({"draining": left})
        return {"text": told.result(), "killed": self.outcome.killed, "exit_code": self.outcome.code}

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
        except Exception as error:
            _log.critical("a bug in tamago: the cluster cannot go on", exc_info=error)
            self._crash()
        finally:
            self._busy = False

    def _step(self, event: events.Event) -> None:
        now = time.monotonic()
        commands = self.supervisor.handle(event, now=now)
        self._trace.record(event, commands, now=now, wall=time.time())
        generation = self.supervisor.generation
        for command in commands:
            self._do(command)
        if generation != self._generation:
            self._generation = generation
            self._take_settings()
        self._publish()
        self._arm()
        for happening in (event, *commands):
            for callback in tuple(self._callbacks.get(type(happening), ())):
                self._call(callback, happening)

    _generation = 1

    def _call(self, callback: Callable[[Any], object], happening: events.Event | events.Command) -> None:
        try:
            callback(happening)
        except Exception:
            _log.exception("a callback for %s failed", type(happening).__name__)

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
                shell.drain(peer, closing=closing)
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
        if failure is not None and failure.detail:
            _log.log(_LEVELS[level], "%s\n%s", text, failure.detail.rstrip())
        else:
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
        self.settings = self.shell.next_outfit.settings
        self.supervisor.use(_policy_of(self.settings))
        self.monitor.use(self.settings)

    def _publish(self) -> None:
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

    def _tick(self) -> None:
        """Look at the scoreboard, and now and then at what somebody may have deleted."""
        self._tick_handle = self._loop.call_later(INTERVAL, self._tick)
        self._ticks += 1
        log.flush()
        for event in self.monitor.check((row for _, row in self.shell.board.taken()), time.monotonic_ns()):
            self.emit(event)
        if self.settings.sticky:
            self._move_empty_slots()
        if self._ticks % _HOUSEKEEPING == 0:
            self._keep_house()

    def _move_empty_slots(self) -> None:
        now = time.monotonic()
        served = {process.slot for process in self.supervisor.processes.values() if process.is_serving}
        empty = set(range(1, self.settings.workers + 1)) - served
        before = {slot for slot, since in self._empty_since.items() if now - since >= _EMPTY_FOR_LONG}
        self._empty_since = {slot: self._empty_since.get(slot, now) for slot in empty}
        long_empty = {slot for slot, since in self._empty_since.items() if now - since >= _EMPTY_FOR_LONG}
        if long_empty != before and served:
            self.shell.move_empty_slots(long_empty)

    def _keep_house(self) -> None:
        try:
            if self.rundir.ensure():
                _log.warning("the run directory %s was removed; it is made again", self.rundir.path)
                self._reopening = self._loop.create_task(self.control.reopen())
        except TamagoError as error:
            _log.warning("%s", error.problem)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _exit(self, command: events.Exit) -> None:
        self.outcome = command
        self._ending = self._loop.create_task(self._end(command))

    async def _end(self, command: events.Exit) -> None:
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
        for handle in (self._timer, getattr(self, "_tick_handle", None)):
            if handle is not None:
                handle.cancel()
        self.shell.close()
        self._trace.close()
        self.rundir.close()

    def _crash(self) -> None:
        """End everybody at once: a master that does not know its own state must not go on supervising."""
        self._crashed = True
        for member in list(self.shell.members.values()):
            if member.peer in self.shell.table:
                self.shell.table.kill(member.peer)
        self._exit(events.Exit(code=1, killed=len(self.shell.members), failure=events.Failure(problem="a bug in tamago ended the cluster")))


def _complete(settings: Settings) -> Settings:
    """Fill in what depends on where we are: the directory, the title, the number of workers."""
    directory = os.path.realpath(settings.directory)
    if not os.path.isdir(directory):
        raise SettingsError([f"directory={settings.directory!r}: is not a directory"])
    title = settings.title or title_from(os.path.basename(directory))
    return replace(settings, directory=directory, title=title, workers=settings.workers or allowed_cpus())


def _policy_of(settings: Settings) -> Policy:
    deaths, period = settings.restart_budget
    return Policy(
        workers=settings.workers,
        agent=not settings.no_agent,
        boot_timeout=settings.boot_timeout,
        stop_timeout=settings.stop_timeout,
        drain_delay=settings.drain_delay,
        reload_batch=settings.reload_batch,
        max_restarts=deaths,
        max_restarts_period=period,
    )
