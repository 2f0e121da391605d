"""What /proc says about processes, and waiting for their end by pidfd. Independent of what tamago says about itself."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Direct children, zombies included."""
    found: list[int] = []
    for task in _listdir(f"/proc/{pid}/task"):
        found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return sorted(found)


def title_of(pid: int) -> str:
    """What `ps` shows as its command."""
    return _read(f"/proc/{pid}/cmdline").rstrip(b"\0 ").replace(b"\0", b" ").decode(errors="replace")


def name_of(pid: int) -> str:
    """What the kernel calls it, in at most 15 bytes."""
    return _read(f"/proc/{pid}/comm").rstrip(b"\n").decode(errors="replace")


def state_of(pid: int) -> str:
    """The state letter of /proc/pid/stat; empty when it is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[0].decode() if fields else ""


def parent_of(pid: int) -> int:
    return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])


def session_of(pid: int) -> int:
    return os.getsid(pid)


def cpu_seconds(pid: int) -> float:
    """User and system time so far."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"VmRSS:"):
            return int(line.split()[1])
    return 0


def threads_of(pid: int) -> int:
    return len(_listdir(f"/proc/{pid}/task"))


def descriptors_of(pid: int) -> dict[int, str]:
    """Open descriptors and what they are, such as `socket:[4711]`."""
    found = {}
    for name in _listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
    return found


def environment_of(pid: int) -> set[bytes]:
    return set(_read(f"/proc/{pid}/environ").split(b"\0"))


def maps_of(pid: int) -> str:
    return _read(f"/proc/{pid}/maps").decode(errors="replace")


def listening_inodes() -> set[str]:
    """The descriptors' names (`socket:[inode]`) of all TCP sockets that listen."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).decode().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # TCP_LISTEN
                found.add(f"socket:[{fields[9]}]")
    return found


def holders_of(directory: Path, marker: str) -> list[str]:
    """Every live process that works in `directory`, has a file in it open, or was started with `marker` in its environment."""
    prefix = str(directory)
    found = []
    for name in _listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid() or state_of(int(name)) in {"", "Z", "X"}:
            continue
        pid = int(name)
        links = [*descriptors_of(pid).values(), _readlink(f"/proc/{pid}/cwd")]
        if any(link.startswith(prefix) for link in links) or marker.encode() in environment_of(pid):
            found.append(f"{pid} {title_of(pid)}")
    return found


@contextmanager
def watching(pid: int) -> Iterator[int]:
    """Hold a pidfd: it names this process, whoever has its number later."""
    pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def wait_ended(*pidfds: int) -> None:
    """Block until all these processes ended."""
    poll = select.poll()
    waiting = set(pidfds)
    for pidfd in waiting:
        poll.register(pidfd, select.POLLIN)
    while waiting:
        for pidfd, _ in poll.poll():
            poll.unregister(pidfd)
            waiting.discard(pidfd)


def has_ended(pidfd: int, *, within: float = 0.0) -> bool:
    """Whether the process ended, now or within so many seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def end(pid: int) -> None:
    """SIGKILL one process and wait for its end."""
    try:
        with watching(pid) as pidfd:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_ended(pidfd)
    except ProcessLookupError:
        return


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _listdir(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
