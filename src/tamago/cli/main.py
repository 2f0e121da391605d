"""The entry point `tamago`: every `TamagoError` becomes two lines and an exit code, anything else is a bug and keeps its traceback.

Imports nothing heavy by itself: a plain `tamago start` never pays for the libraries that the other commands need.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from tamago.errors import ExitCode, TamagoError

_INTERRUPTED = 130
"""128 + SIGINT: what a shell expects of a command that Ctrl-C ended."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    open_standard_files()
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        code = _dispatch(argv)
        # Here, where a reader that left is expected, and not when the interpreter ends.
        sys.stdout.flush()
    except TamagoError as error:
        show_error(error, sys.stderr)
        return int(getattr(error, "code", error.exit_code))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output left (`tamago logs | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(ExitCode.OK)
    return code


def _dispatch(argv: Sequence[str]) -> int:
    if argv and argv[0] == "start":
        from tamago.cli.launching import become_master, hold_signals  # noqa: PLC0415 - only what `start` needs
        from tamago.cli.plain_start import parse_start  # noqa: PLC0415

        hold_signals()
        request = parse_start(argv[1:])
        if request is not None:
            become_master(request)
    from tamago.cli.application import invoke  # noqa: PLC0415 - this is what is slow to import

    return invoke(argv)


def show_error(error: TamagoError, stream: TextIO) -> None:
    """Print what is wrong and what to do, the user's own traceback before them."""
    if error.detail:
        print(error.detail.rstrip(), file=stream)
    print(f"tamago: {error}", file=stream)


def open_standard_files() -> None:
    """Make descriptors 0 to 2 exist: without them the next socket would become our standard output."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is this one, because all below it are open. The master we may become needs it as well.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY if fd == 0 else os.O_WRONLY), True)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - for good
