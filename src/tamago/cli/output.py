"""How commands write: results on stdout, what goes on meanwhile on stderr; colours and a moving line only on a terminal."""

from __future__ import annotations

import shutil
import sys
from typing import IO, Any, Self

import msgspec

from tamago.cli.standard_files import silence


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def is_terminal(stream: IO[Any] | None = None) -> bool:
    """Return whether a person looks at the stream (default: stdout)."""
    return (stream or sys.stdout).isatty()


def terminal_width() -> int:
    """Return how many columns a line may have."""
    return max(60, min(200, shutil.get_terminal_size().columns))


class Progress:
    """One line on stderr that says what is waited for: rewritten in place on a terminal, else one line for each change.

    Nobody has to read it: what goes on matters more than that it is told.
    """

    def __init__(self) -> None:
        self._terminal = is_terminal(sys.stderr)
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str, *, detail: str = "") -> None:
        """Show the line. A change of `detail` alone (seconds passed) shows on a terminal only."""
        if self._terminal:
            line = f"{text} {detail}".rstrip()
            _tell(f"\r\033[K{line}")
        elif text != self._shown:
            _tell(f"{text}\n")
        self._shown = text

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._terminal and self._shown:
            _tell("\r\033[K")
        self._shown = ""


def _tell(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        silence(2)
