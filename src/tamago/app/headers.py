"""The header fields of a request, as a mapping of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


class Headers(Mapping[str, str]):
    """Fields by name, whatever the case. Fields that came several times are one, joined by ", " (cookies: "; "; RFC 9110, 5.3).

    A look-up goes through the fields instead of through a dictionary: a handler reads a header or two, and making the dictionary costs
    as much as twenty look-ups.
    """

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        value = self.find(name.lower().encode("latin-1", "replace"))
        if value is None:
            raise KeyError(name)
        return value

    def find(self, key: bytes) -> str | None:
        """Return the value of the field with this lower-case name, None without one."""
        found: bytes | None = None
        for name, value in self._fields:
            if name == key:
                found = value if found is None else (b"; " if key == b"cookie" else b", ").join((found, value))
        return None if found is None else found.decode("latin-1")

    def get_all(self, name: str) -> list[str]:
        """Return the value of each field with this name."""
        key = name.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for field, value in self._fields if field == key]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self._fields))

    def __len__(self) -> int:
        return len({name for name, _ in self._fields})

    def __repr__(self) -> str:
        return f"Headers({dict(self)!r})"
