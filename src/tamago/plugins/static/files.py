"""Finds what to send for a path: the file, or a compressed form of it, with the header fields it has."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

from tamago.plugins.static.encodings import SUFFIXES, acceptable
from tamago.plugins.static.resolving import Resolved, resolve_static

# What browsers are particular about and Python, or the system's own list, may not know.
_TYPES = {
    ".avif": "image/avif",
    ".js": "text/javascript",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}

_YEAR = 31_536_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is sent: this file, with these header fields; `etag` and `last_modified` among them."""

    file: Resolved
    etag: str
    last_modified: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory that is served. `root` has no links in it; `codings` are those of the compressed files to look for."""

    prefix: str
    root: Path
    max_age: int = 0
    immutable: re.Pattern[str] | None = None
    codings: tuple[str, ...] = ()

    def choose(self, path: str, accept_encoding: str) -> Chosen | None:
        """Return what to send for a path relative to `prefix`; None if there is nothing."""
        plain = resolve_static(self.root, path)
        if plain is None:
            return None
        compressed = self._compressed(path, plain)
        liked = next((coding for coding in acceptable(accept_encoding, self.codings) if coding in compressed), "")
        file = compressed.get(liked, plain)
        etag = f'"{file.mtime_ns:x}-{file.size:x}{"-" if liked else ""}{liked}"'
        last_modified = formatdate(file.mtime_ns // 1_000_000_000, usegmt=True)
        fields = {
            "content-type": content_type(path),
            "etag": etag,
            "last-modified": last_modified,
            "accept-ranges": "bytes",
            "cache-control": self._cache_control(path),
            "x-content-type-options": "nosniff",
        }
        if compressed:
            fields["vary"] = "accept-encoding"
        if liked:
            fields["content-encoding"] = liked
        return Chosen(file=file, etag=etag, last_modified=last_modified, fields=fields)

    def _compressed(self, path: str, plain: Resolved) -> dict[str, Resolved]:
        """Return the compressed forms of a file; one older than the file is of another content."""
        found = ((coding, resolve_static(self.root, path + SUFFIXES[coding])) for coding in self.codings)
        return {coding: file for coding, file in found if file is not None and file.mtime_ns >= plain.mtime_ns}

    def _cache_control(self, path: str) -> str:
        if self.immutable is not None and self.immutable.search(path):
            return f"public, max-age={_YEAR}, immutable"
        return f"public, max-age={self.max_age}" if self.max_age else "no-cache"


def content_type(path: str) -> str:
    """Return the type of a file by its name; text is UTF-8, and what is compressed is the type of its compression."""
    suffix = Path(path).suffix.lower()
    guessed, encoding = (_TYPES[suffix], None) if suffix in _TYPES else mimetypes.guess_type(path)
    if encoding:
        return {"gzip": "application/gzip"}.get(encoding, "application/octet-stream")
    kind = guessed or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def longest_first(directories: Sequence[Directory]) -> list[Directory]:
    """Return the directories in the order they are looked through: `/public/img/` before `/public/`, else as they came."""
    return sorted(directories, key=lambda directory: -len(directory.prefix))
