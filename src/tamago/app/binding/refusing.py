"""Why a request was refused: looks at every parameter again, one by one. Only runs once something was wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET

from tamago.app.binding.bad_values import BadValue, Source, bad_request, bad_value
from tamago.app.binding.bodies import BodyReader, shape_fields
from tamago.app.binding.contract import Context
from tamago.app.binding.explaining import Reason, describe, reasons
from tamago.app.binding.parameters import Parameter
from tamago.app.binding.shapes import Shape
from tamago.app.binding.texts import text_reader
from tamago.app.errors import BadRequestError

Refuse = Callable[[Context], Any]

_READ: Mapping[Source, Callable[[Context, Parameter], Any]] = {
    Source.PATH: lambda ctx, parameter: ctx.params.get(parameter.key),
    Source.HEADER: lambda ctx, parameter: ctx.headers.get(parameter.key),
    Source.COOKIE: lambda ctx, parameter: ctx.cookies.get(parameter.key, signed=parameter.signed, encrypt=parameter.encrypt),
    Source.QUERY: lambda ctx, parameter: (ctx.queries if parameter.shape is Shape.TEXTS else ctx.query).get(parameter.key),
}


async def refusal(ctx: Context, parameters: tuple[Parameter, ...], body: BodyReader | None) -> BadRequestError | None:
    """Return the error that names every bad value, None if there is none."""
    problems = [problem for parameter in parameters if parameter.source in _READ for problem in _problems(ctx, parameter)]
    if body is not None:
        problems += await body.refusal(ctx)
    return bad_request(problems) if problems else None


def _problems(ctx: Context, parameter: Parameter) -> list[BadValue]:
    found: list[Reason]
    if parameter.shape is Shape.OBJECT and parameter.source is Source.QUERY:
        found = reasons(shape_fields(dict(ctx.queries), parameter.info), parameter.annotation, strict=False)
        return [_bad(parameter, reason.place, reason) for reason in found]
    value = _READ[parameter.source](ctx, parameter)
    if value is None:
        return [_bad(parameter, parameter.key, Reason("", UNSET, describe(parameter.info)))] if parameter.required else []
    return [_bad(parameter, f"{parameter.key}{reason.place}", reason) for reason in _reasons(value, parameter)]


def _reasons(value: Any, parameter: Parameter) -> list[Reason]:
    if parameter.shape is Shape.TEXTS or not isinstance(value, str):
        return reasons(value, parameter.annotation, strict=False)
    read = text_reader(parameter.annotation, parameter.info)
    try:
        if read is not None:
            read(value)
    except ValueError as error:
        # msgspec's own view first: it knows limits and choices.
        return reasons(value, parameter.annotation, strict=False) or [
            Reason("", value, str(error).removeprefix("Expected ").replace("`", ""))
        ]
    return []


def _bad(parameter: Parameter, field: str, reason: Reason) -> BadValue:
    return bad_value(parameter.source, field, reason.value, reason.expected)
