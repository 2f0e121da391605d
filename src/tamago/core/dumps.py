"""Writes what a process loaded to its `run` directory, for people and tools to read: configuration, its origins, timing, routes (1.8).

What is written is redacted by the caller. A dump that cannot be written is said in the log and is no reason to fail.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from tamago.core.timing import Timing

_LOG: Final = logging.getLogger("tamago")


def dump_config(directory: Path, kind: str, config: object, origins: object, *, log: logging.Logger = _LOG) -> None:
    """Write `<kind>_config.json` and `<kind>_config_meta.json`; `kind` is "application" or "agent"."""
    write_dump(directory, f"{kind}_config.json", config, log=log)
    write_dump(directory, f"{kind}_config_meta.json", origins, log=log)


def dump_timing(directory: Path, kind: str, timing: Timing, *, log: logging.Logger = _LOG) -> None:
    """Write `<kind>_timing_<pid>.json`, and remove those of processes that are gone: each that is replaced would leave one."""
    write_dump(directory, f"{kind}_timing_{os.getpid()}.json", timing.to_list(), log=log)
    for file in directory.glob(f"{kind}_timing_*.json"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not _lives(int(pid)):
            with suppress(OSError):
                file.unlink()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def dump_routes(directory: Path, routes: object, *, log: logging.Logger = _LOG) -> None:
    """Write `router.json`."""
    write_dump(directory, "router.json", routes, log=log)


def write_dump(directory: Path, name: str, value: object, *, log: logging.Logger = _LOG) -> None:
    """Write `value` as JSON, readable by the owner only; whoever reads meanwhile sees the old file or the new one, never half of it."""
    try:
        content = json.dumps(value, indent=2, ensure_ascii=False, default=str)
        directory.mkdir(parents=True, exist_ok=True)
        _replace(directory / name, content.encode())
    except (OSError, TypeError, ValueError, RecursionError) as error:
        log.warning("cannot write %s: %s", directory / name, error)


def _replace(path: Path, content: bytes) -> None:
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made 0600
    try:
        with open(fd, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
