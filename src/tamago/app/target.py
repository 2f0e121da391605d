"""Takes the target of a request apart: path and query string, values of the query. Pure."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from tamago.app.errors import BadRequestError

# More values in a query or a form than anybody sends; each costs the time of making it.
MAX_VALUES = 1000


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query string of a request target: `/path?query`, the absolute `http://host/path?query` (RFC 9112, 3.2.2), or `*`."""
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/") and b"://" in path:
        path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
    return path, query


def decode_path(path: bytes) -> str:
    """Return a path as text, percent-encoding undone; what is no UTF-8 becomes U+FFFD."""
    return unquote(path.decode("latin-1"), errors="replace") if b"%" in path else path.decode("utf-8", "replace")


def parse_pairs(text: str) -> dict[str, list[str]]:
    """Return the values of each name of a query or a form, in order. Raises BadRequestError for too many."""
    values: dict[str, list[str]] = {}
    if not text:
        return values
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_VALUES)
    except ValueError:
        raise BadRequestError(f"more than {MAX_VALUES} values") from None
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def with_list_names(values: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the same with `b[]` also as `b`, unless there is a `b` of its own. As Egg's `ctx.queries`."""
    shortened = {name[:-2]: items for name, items in values.items() if name.endswith("[]") and len(name) > 2}
    return {**values, **{name: items for name, items in shortened.items() if name not in values}}
