"""The run directory of one title: who holds it, where its control socket is, what it last said about itself.

The lock is the truth, not the pid in it: the kernel lets go of it however the master dies. Files are reached through the directory's
descriptor and never through a link. Knows nothing of processes and of the control protocol.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from tamago.cluster.home import run_root
from tamago.cluster.private_dir import DirectoryError, open_private
from tamago.cluster.process_id import boot_id, is_same_process, start_time
from tamago.cluster.title import title_problem
from tamago.errors import ExitCode, TamagoError

LOCK, CONTROL, STATE, TRACE = "lock", "control.sock", "state.json", "trace.jsonl"
_LONGEST_SOCKET_PATH: Final = 107
# How long a start waits for whoever holds the lock but has not written its name into it yet.
_PATIENCE = 50


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a title: the content of the lock file."""

    title: str
    pid: int
    start_time: int
    boot_id: str
    directory: str
    addresses: list[str] = []
    stdout: str = ""
    stderr: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether it is still the process that wrote this; False after the machine was started anew."""
        return self.boot_id == boot_id() and is_same_process(self.pid, self.start_time)


def this_process(*, title: str, directory: str, stdout: str = "", stderr: str = "") -> Owner:
    """Describe the calling process as the owner of a title."""
    pid = os.getpid()
    return Owner(title=title, pid=pid, start_time=start_time(pid), boot_id=boot_id(), directory=directory, stdout=stdout, stderr=stderr)


class AlreadyRunningError(TamagoError):
    """The title is taken; `owner` says by whom, if that could be read."""

    exit_code: ClassVar[ExitCode] = ExitCode.ALREADY_RUNNING

    def __init__(self, title: str, owner: Owner | None) -> None:
        who = f": pid {owner.pid} in {owner.directory}" if owner else ""
        super().__init__(
            f"{title} is already running{who}",
            hint=f"stop it with `tamago stop --title {title}`, or start this one with another --title",
        )
        self.title = title
        self.owner = owner


class RunFileError(DirectoryError):
    """A file in the run directory cannot be written or is not what it should be."""


class RunDir:
    """The opened run directory of a title. Close it, or use it as a context manager."""

    def __init__(self, base: Path, title: str, *, create: bool) -> None:
        """Open it; without `create` a FileNotFoundError says that there is none."""
        if (problem := title_problem(title)) is not None:
            raise TamagoError(f"title={title!r}: {problem}")
        self.base = base
        self.title = title
        self.path = run_root(base) / title
        self._lock_fd = -1
        self._owner: Owner | None = None
        self._socket_inode: tuple[int, int] | None = None
        self._fd = self._open(create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, *, create: bool) -> int:
        # Each level is checked: whoever owns one of them decides what is below it.
        os.close(open_private(self.base, create=create, allowed=0o755))
        os.close(open_private(run_root(self.base), create=create))
        return open_private(self.path, create=create)

    # ── the lock ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def lock(self, owner: Owner) -> None:
        """Take the title for `owner`, for the life of this process; raises `AlreadyRunningError`.

        What a former owner left (control socket, state) is removed once the lock is ours.
        """
        self._lock_fd = self._acquire()
        try:
            self._remove_stale()
            self.write_owner(owner)
        except BaseException:
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise

    def _acquire(self) -> int:
        for _ in range(_PATIENCE):
            fd = self._open_file(LOCK, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _read_owner(fd)
                os.close(fd)
                if holder is not None and holder.is_alive:
                    raise AlreadyRunningError(self.title, holder) from None
                # It has not written its name yet, or it is only a status command that looks: both take microseconds.
                select.select([], [], [], 0.01)
                continue
            if self._is_current(fd):
                return fd
            # The file was replaced between open and flock; that lock would guard nothing.
            os.close(fd)
        raise AlreadyRunningError(self.title, None)

    def _is_current(self, fd: int) -> bool:
        try:
            found = os.stat(LOCK, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(fd))

    def clear(self) -> None:
        """Remove what a dead owner left; does nothing while somebody holds the lock."""
        try:
            fd = self._acquire()
        except AlreadyRunningError:
            return
        try:
            self._remove_stale()
        finally:
            os.close(fd)

    def write_owner(self, owner: Owner) -> None:
        """Write who holds the lock, for instance again when the addresses are known. Needs the lock."""
        content = msgspec.json.encode(owner) + b"\n"
        try:
            # In place: a new file would not be the locked one.
            os.pwrite(self._lock_fd, content, 0)
            os.ftruncate(self._lock_fd, len(content))
        except OSError as error:
            raise RunFileError(self.path / LOCK, _reason(error), hint="make room on that disk") from None
        self._owner = owner

    def read_owner(self) -> Owner | None:
        """Return who holds the title now; None if nobody does. The lock decides, not the content of the file."""
        try:
            fd = self._open_file(LOCK, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_owner(fd) or Owner(title=self.title, pid=0, start_time=0, boot_id="", directory="")
        finally:
            os.close(fd)
        return None

    def wait_released(self, seconds: float, *, poll: float = 0.02) -> bool:
        """Wait until nobody holds the title; return whether that came true in time."""
        for _ in range(max(1, int(seconds / poll))):
            if self.read_owner() is None:
                return True
            select.select([], [], [], poll)
        return self.read_owner() is None

    # ── what lies in the directory ───────────────────────────────────────────────────────────────────────────────────

    @property
    def control_address(self) -> str:
        """The address to bind or connect the control socket. A path too long for the kernel is reached through our descriptor."""
        path = str(self.path / CONTROL)
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        short = f"/proc/self/fd/{self._fd}/{CONTROL}"
        if os.path.isdir(f"/proc/self/fd/{self._fd}"):
            return short
        raise DirectoryError(
            self.path, f"the path of the control socket has {len(os.fsencode(path))} bytes, of {_LONGEST_SOCKET_PATH} a socket may have"
        )

    @property
    def trace_path(self) -> Path:
        return self.path / TRACE

    def note_socket(self) -> None:
        """Remember the control socket just bound as ours, so that `close` removes this one and no other."""
        status = os.stat(CONTROL, dir_fd=self._fd, follow_symlinks=False)
        self._socket_inode = (status.st_dev, status.st_ino)

    def write_state(self, state: object) -> None:
        """Replace state.json at once: a reader sees the old or the new one, never a part. Raises `RunFileError`."""
        temporary = f"{STATE}.new"
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
            try:
                _write_all(fd, msgspec.json.encode(state) + b"\n")
            finally:
                os.close(fd)
            os.replace(temporary, STATE, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSError as error:
            raise RunFileError(self.path / STATE, _reason(error)) from None

    def read_state(self) -> dict[str, object]:
        """Return what the master last wrote; empty if there is nothing readable."""
        try:
            with open(self._open_file(STATE, os.O_RDONLY), "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, object])
        except (OSError, DirectoryError, msgspec.MsgspecError):
            return {}

    def open_trace(self) -> int:
        """Begin a new trace file and return its descriptor, opened for appending."""
        return self._open_file(TRACE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def ensure(self) -> bool:
        """Make the directory and the lock again if somebody deleted them while we run; return whether that was needed.

        Then the control socket is gone as well and has to be bound again.
        """
        if self._lock_fd >= 0 and self._owner is not None and self._in_place():
            return False
        owner = self._owner
        if owner is None:
            return False
        fd = self._open(create=True)
        os.close(self._fd)
        os.close(self._lock_fd)
        self._fd, self._lock_fd, self._socket_inode = fd, -1, None
        self.lock(owner)
        return True

    def _in_place(self) -> bool:
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._fd)) and self._is_current(self._lock_fd)

    def close(self) -> None:
        """Remove what is ours (control socket, state) if we hold the lock, then let go of it. The trace stays."""
        if self._lock_fd >= 0:
            self._remove_own()
            os.close(self._lock_fd)
            self._lock_fd = -1
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _remove_own(self) -> None:
        # No unlink of the lock itself: whoever opened it a moment ago waits for exactly this file.
        for name, wanted in ((CONTROL, self._socket_inode), (STATE, None)):
            try:
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
                if name == STATE or (status.st_dev, status.st_ino) == wanted:
                    os.unlink(name, dir_fd=self._fd)
            except OSError:
                continue
        try:
            os.ftruncate(self._lock_fd, 0)
        except OSError:
            return

    def _remove_stale(self) -> None:
        for name, fits in ((CONTROL, stat.S_ISSOCK), (STATE, stat.S_ISREG)):
            try:
                status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not fits(status.st_mode) or status.st_uid != os.geteuid():
                raise RunFileError(
                    self.path / name, "something that tamago did not make is in its place", hint=f"remove {self.path / name}"
                )
            os.unlink(name, dir_fd=self._fd)

    def _open_file(self, name: str, flags: int) -> int:
        """Open a file in the directory; FileNotFoundError passes through, anything else becomes a `RunFileError`."""
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600, dir_fd=self._fd)
        except FileNotFoundError:
            if flags & os.O_CREAT:
                raise RunFileError(self.path / name, "the directory was removed a moment ago") from None
            raise
        except OSError as error:
            raise RunFileError(self.path / name, _reason(error)) from None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            os.close(fd)
            raise RunFileError(self.path / name, "it is not a file of ours", hint=f"remove {self.path / name}")
        return fd


def _read_owner(fd: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(fd, 64 * 1024, 0), type=Owner)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_all(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]


def _reason(error: OSError) -> str:
    return {
        errno.ELOOP: "it is a symbolic link",
        errno.ENOSPC: "no space is left on that disk",
        errno.EROFS: "that disk is read-only",
        errno.ENOENT: "the directory was removed",
    }.get(error.errno or 0, (error.strerror or str(error)).lower())
