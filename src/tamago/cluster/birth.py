"""What every child of the cluster does first, however it came to be: its name, its signals, its user, its target."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

import tamago
from tamago import log
from tamago.cluster import linux
from tamago.cluster.process_name import name_process
from tamago.errors import TamagoError
from tamago.ipc.blocking import BlockingChannel
from tamago.ipc.control_messages import Boot, Failed
from tamago.ipc.importing import Importing
from tamago.types import Identity, Role, Target, TargetFactory, TargetSpec
from tamago.user_traceback import readable, summary, user_traceback

if TYPE_CHECKING:
    import ssl

_log = logging.getLogger("tamago")
LONGEST_DETAIL = 64 * 1024
"""Characters of a traceback that are told. Longer ones exist; what matters is at their end."""
LONGEST_PROBLEM = 4 * 1024
"""Characters of what is wrong that are told: it is to be one line, whatever an exception of the application says."""
_IGNORED = {"SIGPIPE", "SIGXFSZ"}  # ignored by every Python process


def reset_signals() -> None:
    """Give every signal its default action, but for those Python itself ignores, and unblock all.

    The nest imported an application that may have set handlers of its own; whoever is forked from it is somebody else.
    A signal that came during the fork was blocked and is delivered now, with its default action: it ends us.
    """
    for number in signal.valid_signals():
        try:
            current = signal.getsignal(number)
        except ValueError:
            continue
        name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else ""
        if current not in {signal.SIG_DFL, None} and name not in _IGNORED and number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # also if the application wanted to die of it
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def enter(boot: Boot) -> None:
    """Become the process `boot` describes: session, title, log, identity."""
    # Out of the terminal's process group, so that its Ctrl-C reaches the master only, and the head of a group with our descendants.
    with suppress(PermissionError):  # started as the head of a session already
        os.setsid()
    if boot.umask is not None:
        os.umask(boot.umask)
    role = Role(boot.role)
    name = f"worker {boot.slot}" if role is Role.WORKER else role.value
    name_process(role, f"tamago: {name} [{boot.title}]" + (f" gen {boot.generation}" if role is Role.NEST else ""))
    tamago.ready.reset()  # outside a cluster it is ready from the beginning
    tamago.me.become(Identity(role=role, slot=boot.slot, generation=boot.generation, title=boot.title, pid=os.getpid(), env=boot.env))
    log.configure(tamago.me, level=boot.log_level)
    faulthandler.register(linux.DUMP_SIGNAL, file=2, all_threads=True)
    if role is Role.NEST:
        tamago.messenger.connect(Importing())


def reopen_logs(boot: Boot, descriptors: Sequence[int] = ()) -> None:
    """Put the log files the master opened in the place of ours, or open them by their names; if we may not, go on with those we have."""
    replaced = [fd for fd, path in ((1, boot.stdout), (2, boot.stderr)) if path]
    try:
        if replaced and len(descriptors) == len(replaced):
            log.replace(dict(zip(replaced, descriptors, strict=True)))
            return
        for descriptor in descriptors:  # not all came: we may open no more files
            os.close(descriptor)
        log.reopen(boot.stdout, boot.stderr)
    except TamagoError as error:
        _log.warning("still writing to the old log files: %s", error.problem)


def born(fd: int) -> tuple[BlockingChannel, Boot, tuple[int, ...]]:
    """Begin as a fresh interpreter with the channel behind `fd`: learn from the master who we are; return the descriptors it gave us."""
    os.set_inheritable(fd, False)
    reset_signals()
    channel = BlockingChannel(socket.socket(fileno=fd))
    received = channel.receive()
    if received is None or not isinstance(received.message, Boot):
        channel.close()
        sys.exit(1)  # the master died, or is none of ours
    boot = received.message
    channel.peer = boot.peer
    enter(boot)
    return channel, boot, received.descriptors


@dataclass(frozen=True, slots=True)
class Cargo:
    """What a nest loads once for all it forks: the target, and the certificates if there are any."""

    target: Target
    tls: ssl.SSLContext | None = None


def load_cargo(channel: BlockingChannel, boot: Boot) -> Cargo:
    """Read the certificates, then import the target as the user it is to run as; tell the master and exit if any of it fails.

    We die with the master meanwhile.
    """
    linux.die_with_parent(boot.master_pid)
    try:
        tls = _load_tls(boot)  # while we may still read a key that is root's
        if boot.run_as is not None:
            _drop_privileges(*boot.run_as)
            linux.die_with_parent(boot.master_pid)  # a change of user clears it
        return Cargo(_import_target(boot), tls)
    except BaseException as error:  # noqa: BLE001 - SystemExit while importing is a failed boot like any other
        tell_failure(channel.send, error)
        sys.exit(1)


def _load_tls(boot: Boot) -> ssl.SSLContext | None:
    if boot.tls is None:
        return None
    from tamago.cluster.certificates import load_certificates  # noqa: PLC0415 - ssl is 5 MiB

    return load_certificates(boot.tls, _spec_of(boot).directory)


def _drop_privileges(uid: int, gid: int) -> None:
    """Become another user, for good. The sockets are bound already, and no application code has run."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    try:
        os.setuid(0)
    except PermissionError:
        return
    if uid != 0:
        raise TamagoError(f"user id {uid} could become root again", hint="look at the capabilities of the master")


def _spec_of(boot: Boot) -> TargetSpec:
    known = {field.name for field in fields(TargetSpec)}
    return TargetSpec(**{name: value for name, value in boot.target.items() if name in known})  # type: ignore[arg-type]


def _import_target(boot: Boot) -> Target:
    """Load the target by its dotted name and have it import the application."""
    spec = _spec_of(boot)
    os.chdir(spec.directory)
    os.environ["TAMAGO_ENV"] = boot.env
    module, _, attribute = spec.loader.partition(":")
    factory = cast("TargetFactory", getattr(importlib.import_module(module), attribute))
    target = factory(spec)
    target.load()
    return target


def tell_failure(send: Callable[[Failed], object], error: BaseException) -> None:
    """Tell the master why this process cannot boot; the text of the user's traceback goes with it."""
    if isinstance(error, TamagoError):
        detail = error.detail or (user_traceback(error.__cause__) if error.__cause__ else "")
        who = "" if tamago.me.role is Role.NEST else f"{log.to_log(tamago.me)}: "
        problem, hint = readable(who + error.problem), readable(error.hint)
    else:
        what = "the application cannot be imported" if tamago.me.role is Role.NEST else f"{log.to_log(tamago.me)} cannot start"
        hint = "correct the application; its own traceback is above"
        problem, detail = f"{what}: {summary(error)}", user_traceback(error)
    try:
        send(Failed(problem=problem[:LONGEST_PROBLEM], hint=hint, detail=readable(detail)[-LONGEST_DETAIL:]))
    except OSError:
        return
