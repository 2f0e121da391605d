"""Shows a traceback as the user needs it: from the first line of their code on, without our frames and the import machinery's."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from types import TracebackType

_OURS = str(Path(__file__).resolve().parent) + os.sep
_LONGEST_SUMMARY = 300
_MACHINERY = tuple(
    os.sep + os.path.join(*path) for path in (("importlib", "__init__.py"), ("asyncio", "runners.py"), ("asyncio", "base_events.py"))
)


def user_traceback(error: BaseException) -> str:
    """Format `error` and what caused it, trimmed to the user's frames. An error of ours keeps all of its frames."""
    formatted = traceback.TracebackException.from_exception(error, compact=True)
    _trim(formatted)
    return readable("".join(formatted.format()).rstrip())


def summary(error: BaseException) -> str:
    """Say in one line what was raised, and where, if it has notes that say so; of several errors each."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(summary(one) for one in error.exceptions)
    formatted = traceback.TracebackException.from_exception(error, compact=True)
    notes = "; ".join(getattr(error, "__notes__", ()))
    formatted.__notes__ = None
    text = _one_line(list(formatted.format_exception_only())[-1].strip())
    return readable(f"{text} ({notes})" if notes else text)


def message_of(error: BaseException) -> str:
    """Return what it says of itself; an exception class may fail even at that."""
    try:
        return readable(str(error))
    except Exception as failure:  # noqa: BLE001 - it is the application's code
        return f"<its str() failed: {type(failure).__name__}>"


def readable(text: str) -> str:
    """Return a text that can be encoded: half a character, as in a file name that is no UTF-8, is written as an escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _one_line(text: str) -> str:
    """Cut a message of many lines, such as pydantic's, or of many characters: it is whole in the traceback."""
    first, _, more = text.partition("\n")
    return f"{first[:_LONGEST_SUMMARY].rstrip(': ')} …" if more or len(first) > _LONGEST_SUMMARY else first


def exc_info(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Return what a logger takes as `exc_info`, without the frames of ours that led to the user's code; all of them where there is none."""
    frames = error.__traceback__
    while frames is not None and _is_machinery(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return type(error), error, frames or error.__traceback__


def _trim(error: traceback.TracebackException) -> None:
    kept = [frame for frame in error.stack if not _is_machinery(frame.filename)]
    if kept:
        error.stack = traceback.StackSummary.from_list(kept)
    else:
        # Raised before any user's line ran: a file that doesn't compile needs no frames, its own lines say where it is.
        # Nor do several errors need those that gathered them.
        last = error.stack[-1].filename if error.stack else ""
        if error.exceptions or not last.startswith(_OURS):
            error.stack = traceback.StackSummary.from_list([])
    for other in (error.__cause__, error.__context__, *(error.exceptions or ())):
        if other is not None:
            _trim(other)


def _is_machinery(filename: str) -> bool:
    return filename.startswith((_OURS, "<frozen importlib", "<frozen runpy", "<endpoint of ")) or filename.endswith(_MACHINERY)
