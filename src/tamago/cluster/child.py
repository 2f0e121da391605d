"""A worker or the agent, from its first instruction to its exit: loads the target by its name and leads it through its life.

This is where the two halves meet: what runs here is a `Target`, be it a hosted application or a framework's own.
"""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import importlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Iterable
from contextlib import closing, suppress
from typing import NoReturn, cast

import tamago
from tamago import log
from tamago.cluster import linux
from tamago.cluster.accept_pause import AcceptPause, never
from tamago.cluster.birth import Cargo, born, enter, load_cargo, reopen_logs, reset_signals, tell_failure
from tamago.cluster.scoreboard import Scoreboard
from tamago.cluster.task_stacks import task_stacks
from tamago.cluster.timed_steps import tell_steps
from tamago.ipc.blocking import BlockingChannel
from tamago.ipc.channel import ChannelClosedError
from tamago.ipc.channel_transport import ChannelTransport
from tamago.ipc.control_messages import PROTOCOL_VERSION, Boot, Booted, Drain, Failed, Hello, Ready, Reopen, Timed, ToChild
from tamago.types import AgentContext, AgentRuntime, Role, ServerOptions, WorkerContext, WorkerRuntime
from tamago.user_traceback import exc_info

HEARTBEAT = 1.0
# Heartbeats between two looks at our own memory and CPU time, which cost more than all the rest of an idle process.
MEASURE_EVERY = 5
# Without a master nobody else enforces the stop timeout; a little more than it, so that the undertaker comes first.
_ORPHAN_SLACK = 2.0

_log = logging.getLogger("tamago")


class Child:
    """Leads one runtime through boot, service, drain and stop, as master and signals say."""

    def __init__(self, boot: Boot, sock: socket.socket, board: Scoreboard, listeners: list[socket.socket], cargo: Cargo) -> None:
        self._boot = boot
        self._sock = sock
        self._row = board.row(boot.row)
        self._row.pid = os.getpid()
        # What a sticky worker would leave to another one, nobody would take.
        self._accept_pause = never if boot.sticky else AcceptPause(board, boot.row)
        self._listeners = listeners
        self._cargo = cargo
        self._phases: list[tuple[str, float]] = []
        self._leave = asyncio.Event()
        self._closing = False
        self._booting: asyncio.Task[None] | None = None
        self._exit_code = 0
        self._beats = 0

    async def run(self) -> int:
        """Live; return the exit code."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTERM, self._told_to_leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _keep_signals_from_forks()
        self._dump_tasks_too()
        self._beat()
        self._transport = ChannelTransport(
            self._sock,
            peer=self._boot.peer,
            loop=self._loop,
            on_control=self._control,
            on_eof=self._orphaned,
            descriptors=self._boot.run_as is not None,
        )
        tamago.messenger.connect(self._transport)
        self._transport.send_control(Hello(version=PROTOCOL_VERSION, pid=os.getpid()))
        runtime = self._runtime = self._make_runtime()
        if await self._boot_up(runtime):
            await self._leave.wait()
            await self._wind_down(runtime)
        await self._say_goodbye()
        return self._exit_code

    def _make_runtime(self) -> WorkerRuntime | AgentRuntime:
        identity = tamago.me.identity
        if self._boot.role == Role.AGENT.value:
            return self._cargo.target.agent(AgentContext(identity=identity))
        return self._cargo.target.worker(
            WorkerContext(
                identity=identity,
                options=ServerOptions(**self._boot.options),  # type: ignore[arg-type]
                meter=self._row,
                accept_pause=self._accept_pause,
                tls=[self._cargo.tls if secure else None for secure in self._boot.secure],
            )
        )

    # ── boot ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _boot_up(self, runtime: WorkerRuntime | AgentRuntime) -> bool:
        """Boot and report; return whether we are up. A signal to leave while booting cancels the boot."""
        self._booting = self._loop.create_task(self._start(runtime))
        await asyncio.wait({self._booting})
        booting, self._booting = self._booting, None
        self._tell_steps()
        if booting.cancelled():
            return False
        if (error := booting.exception()) is not None:
            self._exit_code = 1
            tell_failure(self._tell, error)
            return False
        # From here on a dead master is seen as the end of the channel, and what is in flight may finish.
        linux.die_with_parent(self._boot.master_pid, armed=False)
        self._tell(Booted(phases=self._phases))
        return True

    async def _start(self, runtime: WorkerRuntime | AgentRuntime) -> None:
        await self._timed("boot", runtime.start())
        self._phases = list(runtime.phases) or self._phases
        if self._boot.role == Role.WORKER.value:
            await self._timed("listen", cast("WorkerRuntime", runtime).serve(self._listeners))
            self._row.accepting = True
        elif (failed := cast("AgentRuntime", runtime).failed) is not None:
            failed.add_done_callback(self._agent_ended)

    async def _timed(self, name: str, step: Awaitable[None]) -> None:
        began = time.monotonic()
        await step
        self._phases.append((name, time.monotonic() - began))

    # ── what the master and the kernel say ───────────────────────────────────────────────────────────────────────────

    def _control(self, message: ToChild) -> None:
        match message:
            case Ready():
                self._becoming_ready = self._loop.create_task(self._on_ready())
            case Drain(closing=closing):
                self._closing = closing
                self._leave.set()
            case Reopen():
                reopen_logs(self._boot, self._transport.take_descriptors())
            case _:
                _log.warning("a message for another kind of process came here: %r", message)

    def _told_to_leave(self) -> None:
        if self._booting is not None:
            self._booting.cancel()
        self._leave.set()

    def _orphaned(self) -> None:
        if not self._leave.is_set():
            _log.warning("the master is gone: finishing what is in flight")
        self._loop.call_later(self._boot.stop_timeout + _ORPHAN_SLACK, os._exit, 1)
        self._told_to_leave()

    def _agent_failed(self, error: BaseException) -> None:
        """End: an agent that lives on without doing its work is worse than a new one."""
        if not self._leave.is_set():
            tell_failure(self._tell, error)
            self._exit_code = 1
            self._leave.set()

    def _agent_ended(self, failed: asyncio.Future[None]) -> None:
        if not failed.cancelled() and (error := failed.exception()) is not None:
            self._agent_failed(error)

    async def _on_ready(self) -> None:
        tamago.ready.set()
        try:
            await self._runtime.ready()
        except Exception as error:  # noqa: BLE001 - whatever the hook raises
            _log.exception("the ready hook failed")
            if self._boot.role == Role.AGENT.value:
                self._agent_failed(error)

    def _dump_tasks_too(self) -> None:
        """Have the dump of the stacks followed by one of the tasks: in a loop that runs, what hangs is an await and on no stack."""
        faulthandler.unregister(linux.DUMP_SIGNAL)
        self._loop.add_signal_handler(linux.DUMP_SIGNAL, self._log_progress)
        faulthandler.register(linux.DUMP_SIGNAL, file=2, all_threads=True, chain=True)

    def _log_progress(self) -> None:
        if progress := self._runtime.progress():
            _log.warning("%s", progress)
        if self._booting is not None:
            self._tell_steps()  # it may never come to the end of its boot
        for stack in task_stacks():
            _log.warning("%s", stack)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wind_down(self, runtime: WorkerRuntime | AgentRuntime) -> None:
        self._row.accepting = False
        try:
            if self._boot.role == Role.WORKER.value:
                await cast("WorkerRuntime", runtime).drain(closing=self._closing)
        finally:
            try:
                await runtime.stop()
            except Exception as error:  # noqa: BLE001 - whatever the hook raises
                _log.error("the stop hook failed", exc_info=exc_info(error))
                self._exit_code = self._exit_code or 1

    async def _say_goodbye(self) -> None:
        try:
            # Handlers under way finish, so that nobody who asked us waits for an answer that never comes.
            await tamago.messenger.finish()
        except ChannelClosedError:
            return
        self._transport.close()

    def _tell_steps(self) -> None:
        tell_steps(self._tell, self._cargo.target)

    def _tell(self, message: Failed | Booted | Timed) -> None:
        try:
            self._transport.send_control(message)
        except ChannelClosedError:
            return

    # ── the heartbeat ────────────────────────────────────────────────────────────────────────────────────────────────

    def _beat(self) -> None:
        if self._beats % MEASURE_EVERY == 0:
            log.flush()
            self._row.measure(rss=linux.resident_bytes(), cpu=time.process_time_ns())
        self._beats += 1
        self._row.beat(time.monotonic_ns())
        self._loop.call_later(HEARTBEAT, self._beat)


def _keep_signals_from_forks() -> None:
    """Let SIGTERM end what the application forks (multiprocessing).

    With our handler it would live on, and tell our event loop through the socket both share that it is we who must leave. Until the fork
    has let go of the handler the signal waits.
    """
    held = threading.local()

    def before() -> None:
        held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def in_parent() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

    def in_child() -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def _loop_factory() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - not everywhere there, and only children need it
    except ImportError:  # no wheel for this platform
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def preload_for_children(modules: Iterable[str]) -> None:
    """Import in the nest what every child needs right after the fork, so that it is there once and not once in each."""
    for module in ("uvloop", "concurrent.futures.thread", *modules):
        with suppress(ImportError):
            importlib.import_module(module)


def live(boot: Boot, channel: BlockingChannel, descriptors: tuple[int, ...], cargo: Cargo) -> NoReturn:
    """Run the child to its end and leave the process, without going back through whoever forked it."""
    board_fd, *listener_fds = descriptors
    board = Scoreboard.open(board_fd, boot.rows)
    listeners = [socket.socket(fileno=fd) for fd in listener_fds]
    with asyncio.Runner(loop_factory=_loop_factory) as runner:
        child = Child(boot, channel.detach(), board, listeners, cargo)
        code = runner.run(child.run())
    leave(code)


def leave(code: int) -> NoReturn:
    """Run what the application registered with `atexit`, flush, and exit; a fork must not unwind the nest's stack."""
    log.flush(0.5)
    atexit._run_exitfuncs()  # noqa: SLF001 - as multiprocessing does; there is no public name
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, TypeError):  # closed, or replaced by something that is no file
            if select.select([], [stream], [], 0)[1]:  # a reader who does not read must not keep us
                stream.flush()
    os._exit(code)


def _seed_numpy() -> None:
    """Give numpy's global generator a seed of our own; Python's `random` does so by itself after a fork."""
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


def run_forked(boot: Boot, descriptors: tuple[int, ...], cargo: Cargo) -> NoReturn:
    """Continue as a child just forked from the nest. Signals are blocked; the channel is the first descriptor."""
    code = 1
    try:
        reset_signals()
        enter(boot)
        linux.die_with_parent(boot.master_pid)
        _seed_numpy()
        channel = BlockingChannel(socket.socket(fileno=descriptors[0]), peer=boot.peer)
        try:
            cargo.target.after_fork()
        except Exception as error:  # noqa: BLE001 - a hook may raise anything; the master is told
            tell_failure(channel.send, error)
            leave(code)
        live(boot, channel, descriptors[1:], cargo)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        logging.getLogger("tamago").exception("%s failed", log.to_log(tamago.me))
    leave(code)


def main() -> None:
    """Run as a fresh interpreter on the channel whose descriptor is the first argument (spawn)."""
    channel, boot, descriptors = born(int(sys.argv[1]))
    with closing(channel):
        live(boot, channel, descriptors, load_cargo(channel, boot))


if __name__ == "__main__":
    main()
