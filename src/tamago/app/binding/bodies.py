"""The body of a request as a value of the type a handler asks for: JSON, a form, text or bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, inspect

from tamago.app.binding.bad_values import BadValue, Source, bad_request, bad_value
from tamago.app.binding.contract import Context
from tamago.app.binding.explaining import describe, reasons
from tamago.app.binding.parameters import Parameter
from tamago.app.binding.shapes import Shape, object_of, plain, shape_of, takes_text_as_it_is
from tamago.app.body.parsing import decode_text, parse_form
from tamago.app.errors import BadRequestError, UnsupportedMediaTypeError

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class BodyReader:
    """Reads one handler's body."""

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter
        self._takes_form = parameter.shape is Shape.OBJECT
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(parameter.annotation).decode

    @property
    def is_json(self) -> bool:
        """Whether a JSON body only needs `decode`."""
        parameter = self._parameter
        return parameter.required and parameter.shape is not Shape.RAW and not takes_text_as_it_is(parameter.info)

    async def read(self, ctx: Context) -> Any:
        """Return the value. Raises ValueError for one of another type, and HttpError for what cannot be read."""
        raw = await ctx.raw_body()
        if not raw and not self._parameter.required:
            return self._parameter.default
        if self._parameter.shape is Shape.RAW:
            return msgspec.convert(raw, self._parameter.annotation)
        if _is_text(self._parameter.info):
            return decode_text(raw, ctx.headers.get("content-type", ""))
        kind = ctx.content_type
        if kind == FORM and self._takes_form:
            return msgspec.convert(self._fields(raw, ctx), self._parameter.annotation, strict=False, str_keys=True)
        self._check_type(kind, raw)
        return self.decode(raw)

    async def refusal(self, ctx: Context) -> list[BadValue]:
        """Return what is wrong with the body, as `read` does not like it."""
        raw = await ctx.raw_body()
        if not raw:
            return [] if not self._parameter.required else [self._bad("", UNSET, describe(self._parameter.info))]
        form = ctx.content_type == FORM and self._takes_form
        if not form:
            self._check_type(ctx.content_type, raw)
        try:
            value = self._fields(raw, ctx) if form else msgspec.json.decode(raw)
        except (ValueError, RecursionError) as error:
            raise BadRequestError(f"the body is not JSON: {error}", code="malformed_body") from None
        return [
            self._bad(reason.place, reason.value, reason.expected) for reason in reasons(value, self._parameter.annotation, strict=not form)
        ]

    def _bad(self, field: str, value: Any, expected: str) -> BadValue:
        return bad_value(Source.BODY, field, value, expected)

    def _check_type(self, kind: str, raw: bytes) -> None:
        """Refuse other types. Also none at all: a page elsewhere may send that without asking the browser's permission."""
        if kind == JSON or kind.endswith("+json"):
            return
        if not raw:
            raise bad_request([self._bad("", UNSET, describe(self._parameter.info))])
        given = f"is {kind[:80]!r}" if kind else "is missing"
        raise UnsupportedMediaTypeError(f"the content type {given}; expected {JSON}{f' or {FORM}' if self._takes_form else ''}")

    def _fields(self, raw: bytes, ctx: Context) -> dict[str, Any]:
        return shape_fields(parse_form(raw, ctx.headers.get("content-type", "")), self._parameter.info)


def shape_fields(values: dict[str, str | list[str]], info: inspect.Type) -> dict[str, Any]:
    """Give each field of a form or a query what its type needs: all values of its name, or the first one.

    An input left empty, which a browser sends as "", counts as not filled in where the field does not take text.
    """
    target = object_of(info)
    if target is None:
        return values
    # The query has what is sent as `b[]` under `b` as well.
    shaped: dict[str, Any] = {name: value for name, value in values.items() if not name.endswith("[]")}
    for field in target.fields:
        value = shaped.get(field.encode_name)
        if value is None:
            continue
        several = shape_of(field.type) is Shape.TEXTS
        first = value if isinstance(value, str) else value[0]
        if first == "" and not several and not takes_text_as_it_is(field.type):
            del shaped[field.encode_name]
        else:
            shaped[field.encode_name] = ([value] if isinstance(value, str) else value) if several else first
    return shaped


def _is_text(info: inspect.Type) -> bool:
    return isinstance(plain(info), inspect.StrType)
