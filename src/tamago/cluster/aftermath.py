"""What importing an application leaves behind in the nest that a fork would not carry over well: threads, connections, output, garbage."""

from __future__ import annotations

import gc
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def thread_names() -> list[str]:
    """Name every thread that would be missing in a forked child: Python's by their names, native ones by the kernel's."""
    python = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    names = [f"{thread.name} (Python)" for thread in python]
    known = {thread.native_id for thread in python} | {os.getpid()}
    try:
        others = [int(task) for task in os.listdir("/proc/self/task") if int(task) not in known]
    except OSError:
        return names
    for task in others:
        try:
            with open(f"/proc/self/task/{task}/comm", encoding="utf-8", errors="replace") as file:
                names.append(f"{file.read().strip()} (native, id {task})")
        except OSError:
            continue
    return names


def harm_done(pid: int, channel_fd: int) -> str:
    """Say what keeps this process, which had that pid before the import, from being a nest; an empty string if nothing does."""
    if os.getpid() != pid:
        return "the application forked while it was imported, and this copy of the nest ran on; it ends here"
    try:
        if stat.S_ISSOCK(os.fstat(channel_fd).st_mode):
            return ""
    except OSError:
        pass
    return (
        "the application closed descriptors that are not its own while it was imported (os.closerange?): the master cannot be told anything"
    )


def connected_sockets() -> list[str]:
    """Describe the connected sockets of this process; every forked child would share them with all others."""
    found: list[str] = []
    try:
        descriptors = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return found
    for descriptor in descriptors:
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as sock:
                peer = sock.getpeername()
        except OSError:
            continue
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            found.append(f"descriptor {descriptor} to {peer[0]}:{peer[1]}")
        elif peer:
            found.append(f"descriptor {descriptor} to {peer!r}")
    return found


def write_out() -> None:
    """Write what the application printed and what still waits in a buffer: every fork would have a copy of it, and write it once more."""
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        # The application may have put anything in their place, or closed them.
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()  # type: ignore[union-attr]


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect garbage rarely: an import makes a hundred thousand objects that stay, and looking at them again and again finds nothing."""
    before = gc.get_threshold()
    ours = (100_000, *before[1:])
    gc.set_threshold(*ours)
    try:
        yield
    finally:
        if gc.get_threshold() == ours:  # else the application has an opinion of its own
            gc.set_threshold(*before)
