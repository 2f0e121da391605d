"""The process in which `tamago check` imports the application: reads the target from stdin, says what fails on stderr."""

from __future__ import annotations

import importlib
import os
import sys

import msgspec

from tamago.cli.main import show_error
from tamago.errors import ExitCode, TamagoError
from tamago.types import TargetFactory, TargetSpec
from tamago.user_traceback import summary, user_traceback


def main() -> int:
    """Load the target; return the exit code."""
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=TargetSpec)
    os.chdir(spec.directory)
    module, _, attribute = spec.loader.partition(":")
    factory: TargetFactory = getattr(importlib.import_module(module), attribute)
    try:
        target = factory(spec)
        target.load()
        target.check()
    except TamagoError as error:
        show_error(error, sys.stderr)
        return int(error.exit_code)
    except BaseException as error:  # noqa: BLE001 - SystemExit of the application as well
        problem = f"{spec} could not be imported: {summary(error)}"
        show_error(TamagoError(problem, hint="correct the line above and check again", detail=user_traceback(error)), sys.stderr)
        return int(ExitCode.FAILED)
    return int(ExitCode.OK)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads the application started must not keep this process.
    os._exit(code)
