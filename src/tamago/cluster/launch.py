"""What the command line hands to the master it turns into: the request, and a way to report back to a waiting launcher.

The request travels in an anonymous file whose descriptor is inherited across exec, so nothing of it shows in `ps`.
"""

from __future__ import annotations

import os
import sys

import msgspec


class Launch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A start request.

    `directory` is absolute; `flags` are the settings given on the command line, as text, for `settings_sources.load`. `report_fd` is a
    socket to a launcher that waits, or -1 in the foreground. `stdout` and `stderr` are the log files already open as descriptors 1 and 2,
    to be reopened on request; empty in the foreground. `began` is `time.monotonic()` when the command started.
    """

    directory: str
    flags: dict[str, str | bool | list[str]]
    report_fd: int = -1
    stdout: str = ""
    stderr: str = ""
    began: float = 0.0


def write_launch(launch: Launch) -> int:
    """Put the request into an anonymous file and return its descriptor, which survives exec."""
    fd = _anonymous_file()
    os.write(fd, msgspec.json.encode(launch))
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(fd, True)
    return fd


def read_launch(fd: int) -> Launch:
    """Read the request and close the descriptor. The socket of `report_fd` is made close-on-exec again."""
    with open(fd, "rb") as file:
        launch = msgspec.json.decode(file.read(), type=Launch)
    if launch.report_fd >= 0:
        os.set_inheritable(launch.report_fd, False)
    return launch


def master_command(fd: int) -> list[str]:
    """Return the argument vector that becomes the master, the descriptor last. -P: the current directory stays off its import path."""
    return [sys.executable, "-P", "-m", "tamago.cluster", "--launch-fd", str(fd)]


def _anonymous_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("tamago-launch")
    import tempfile  # noqa: PLC0415 - a megabyte that no master on Linux needs

    fd, path = tempfile.mkstemp(prefix="tamago-launch-")
    os.unlink(path)
    return fd
