"""From a path in a URL to a file below a directory, or to nothing: no way leads out, and nothing hidden is found."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A regular file; `path` has no links in it."""

    path: Path
    size: int
    mtime_ns: int


def resolve_static(root: Path, path: str) -> Resolved | None:
    """Return the file at `path`, decoded and relative, below `root`, which has no links in it.

    None for what is not there, is no regular file, has a segment that begins with a dot, or is a link to any of that or out of `root`.
    """
    if not _plain(path.split("/")) or "\0" in path:
        return None
    try:
        real = Path(os.path.realpath(root / path, strict=True))
        found = real.stat()
    except (OSError, ValueError):  # the latter: a name that cannot be encoded
        return None
    if not (real.is_relative_to(root) and _plain(real.relative_to(root).parts) and stat.S_ISREG(found.st_mode)):
        return None
    return Resolved(path=real, size=found.st_size, mtime_ns=found.st_mtime_ns)


def _plain(segments: tuple[str, ...] | list[str]) -> bool:
    """Whether no segment is empty, hidden, or a step up."""
    return bool(segments) and all(segment and segment[0] != "." for segment in segments)
