"""What the bytes of a body say: JSON, a form, or text. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import msgspec

from tamago.app.errors import BadRequestError, UnsupportedMediaTypeError
from tamago.app.target import parse_pairs

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]+)', re.IGNORECASE)
_JSON = {
    "application/json",
    "application/json-patch+json",
    "application/vnd.api+json",
    "application/csp-report",
    "application/scim+json",
}
_decode_json = msgspec.json.Decoder().decode


class BodyKind(Enum):
    """How a body is read; the value is the beginning of its settings' names."""

    JSON = "json"
    FORM = "form"
    TEXT = "text"


def body_kind(media_type: str) -> BodyKind | None:
    """Return how a body of this media type is read; None: as bytes only."""
    if media_type in _JSON or media_type.endswith("+json"):
        return BodyKind.JSON
    if media_type == "application/x-www-form-urlencoded":
        return BodyKind.FORM
    return BodyKind.TEXT if media_type.startswith("text/") else None


def parse_body(raw: bytes, content_type: str, *, strict: bool = True) -> Any:
    """Return what a body says, by its content-type; an empty dict for a type that is not read. `strict` is for JSON."""
    match body_kind(content_type.partition(";")[0].strip().lower()):
        case BodyKind.JSON:
            return parse_json(raw, content_type, strict=strict)
        case BodyKind.FORM:
            return parse_form(raw, content_type)
        case BodyKind.TEXT:
            return decode_text(raw, content_type)
        case None:
            return {}


def parse_json(raw: bytes, content_type: str = "", *, strict: bool = True) -> Any:
    """Return the value. `strict`: only an object or an array, as RFC 4627 had it and Egg has. Raises BadRequestError."""
    if _CHARSET.search(content_type):
        raw = decode_text(raw, content_type).encode()
    try:
        value = _decode_json(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    if strict and not isinstance(value, dict | list):
        raise BadRequestError(
            "the body must be a JSON object or array", hint="set config.body_parser.strict to False to take single values, too"
        )
    return value


def parse_form(raw: bytes, content_type: str = "") -> dict[str, str | list[str]]:
    """Return the values of a form: a text, or a list for a name that came several times or ends in `[]`. Raises BadRequestError."""
    values = parse_pairs(decode_text(raw, content_type))
    lists = {name.removesuffix("[]") for name in values if name.endswith("[]")}
    form: dict[str, str | list[str]] = {}
    for name, items in values.items():
        short = name.removesuffix("[]")
        before = form.get(short, [])
        together = [*([before] if isinstance(before, str) else before), *items]
        form[short] = together if short in lists or len(together) > 1 else together[0]
    return form


def decode_text(raw: bytes, content_type: str = "") -> str:
    """Return the text, by its charset (UTF-8 if it names none). Raises UnsupportedMediaTypeError or BadRequestError."""
    found = _CHARSET.search(content_type)
    charset = found[1] if found else "utf-8"
    try:
        return raw.decode(charset)
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not {charset[:50]}, as it should be: {error.reason} at byte {error.start}") from None
    except (LookupError, ValueError):  # also for what is no text encoding, such as zlib
        raise UnsupportedMediaTypeError(f"cannot read a body in charset {charset[:50]!r}") from None
