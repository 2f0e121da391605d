"""What `wsgi.file_wrapper` is: lets an application hand over a file instead of its contents (PEP 3333, optional handling of files)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Bytes read at a time. Applications suggest 4 or 8 KiB, with which a large file would be a thousand trips to the event loop.
_BLOCK = 256 * 1024


class FileWrapper:
    """Iterates over a file-like object from where it stands to its end, in large blocks. It is its own iterator, as that of wsgiref is."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        del blksize  # a suggestion
        self.filelike = filelike
        close = getattr(filelike, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(_BLOCK)
        if block:
            return block
        raise StopIteration

    def blocks(self, size: int | None) -> Iterator[bytes]:
        """Iterate over at most `size` bytes of it (None: all): what the announced length leaves, however long the file is by now."""
        if size is None:
            yield from self
            return
        while size > 0 and (block := self.filelike.read(min(size, _BLOCK))):
            yield block
            size -= len(block)

    # Werkzeug asks for these, to begin a range where it begins instead of reading up to it.

    def seekable(self) -> bool:
        """Say whether the file can be read from anywhere."""
        return hasattr(self.filelike, "seekable") and bool(self.filelike.seekable())

    def seek(self, *position: int) -> None:
        """Go there in the file."""
        self.filelike.seek(*position)

    def tell(self) -> int:
        """Return where the file stands."""
        position: int = self.filelike.tell()
        return position
