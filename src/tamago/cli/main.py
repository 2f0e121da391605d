"""The entry point `tamago`: every `TamagoError` becomes two lines and an exit code, anything else is a bug and keeps its traceback.

Imports nothing heavy by itself: a plain `tamago start` never pays for the libraries that the other commands need.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

from tamago.cli.standard_files import is_lost_output, open_standard_files, silence
from tamago.errors import ExitCode, TamagoError

_INTERRUPTED = 130
"""128 + SIGINT: what a shell expects of a command that Ctrl-C ended."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    open_standard_files()
    sys.exit(run(sys.argv[1:] if argv is None else argv))


class OutputError(TamagoError):
    """What a command found out could not be written."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot write to standard output: {reason}", hint="make room there, or send the output elsewhere")
        self.reason = reason


def run(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        code = _dispatch(argv)
        # Here, where a reader that left is expected, and not when the interpreter ends.
        sys.stdout.flush()
    except TamagoError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output left (`tamago logs | head`); there is nobody to tell.
        silence(1)
        return int(ExitCode.OK)
    except OSError as error:
        if not is_lost_output(error):
            raise
        silence(1)
        return _failed(OutputError((error.strerror or str(error)).lower()))
    return code


def _failed(error: TamagoError) -> int:
    """Say what is wrong, if anybody listens; return the exit code, which says it as well."""
    try:
        show_error(error, sys.stderr)
        sys.stderr.flush()
    except OSError:
        silence(2)
    return int(getattr(error, "code", error.exit_code))


def _dispatch(argv: Sequence[str]) -> int:
    if argv and argv[0] == "start":
        from tamago.cluster.held_signals import hold_signals  # noqa: PLC0415 - only what `start` needs, and this first

        hold_signals()
        from tamago.cli.launching import start_cluster  # noqa: PLC0415
        from tamago.cli.plain_start import parse_start  # noqa: PLC0415

        request = parse_start(argv[1:])
        if request is not None:
            return start_cluster(request)
    from tamago.cli.commands import PLAIN, command_function  # noqa: PLC0415 - what a start has no use for

    if argv and argv[0] in PLAIN:
        from tamago.cli.plain_call import read_plainly  # noqa: PLC0415

        command = command_function(argv[0])
        arguments = read_plainly(command, argv[1:])
        if arguments is not None:
            return int(command(**arguments))
    from tamago.cli.application import invoke  # noqa: PLC0415 - this is what is slow to import

    return invoke(argv)


def show_error(error: TamagoError, stream: TextIO) -> None:
    """Print what is wrong and what to do, the user's own traceback before them."""
    if error.detail:
        print(error.detail.rstrip(), file=stream)
    print(f"tamago: {error}", file=stream)
