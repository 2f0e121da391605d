"""From a route to its endpoint, once at boot. Nothing of the handler's signature is looked at again when a request comes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import msgspec

from tamago.app.binding.bad_values import Source
from tamago.app.binding.bodies import BodyReader
from tamago.app.binding.contract import App, Context, Endpoint, Route
from tamago.app.binding.errors import HandlerError
from tamago.app.binding.handlers import Handler, handler_of
from tamago.app.binding.parameters import Parameter, ParameterReader
from tamago.app.binding.refusing import refusal
from tamago.app.binding.source_text import SourceText
from tamago.app.binding.threads import call_in_thread
from tamago.app.errors import BadRequestError

_R = TypeVar("_R", bound=Route)


@dataclass(frozen=True, slots=True)
class Bound:
    """What answers a request of a route.

    `direct` does the same with a coroutine less, but leaves it to who awaits it to set `ctx.body`, to what it returns unless that is None.
    It is None where the endpoint itself has something to wait for.
    """

    endpoint: Endpoint
    direct: Endpoint | None = None


def compile_handlers(routes: Iterable[_R], *, app: App) -> dict[_R, Bound]:
    """Return what answers each route. Raises HandlerError with what is wrong with all of them."""
    bound: dict[_R, Bound] = {}
    errors: list[HandlerError] = []
    for route in routes:
        try:
            bound[route] = compile_handler(route, app=app)
        except HandlerError as error:
            errors.append(error)
    if errors:
        raise HandlerError([problem for error in errors for problem in error.problems], unfilled=any(error.unfilled for error in errors))
    return bound


def compile_handler(route: Route, *, app: App) -> Bound:
    """Return what answers a request of `route`: it fills the handler's parameters, calls it, and what it returns becomes `ctx.body`.

    A handler that returns None has set the body itself. The endpoint raises BadRequestError with every value that does not fit.
    A route that has its endpoint already keeps it. Raises HandlerError for what is no handler, and for parameters that cannot be filled.
    """
    if route.endpoint is not None:
        return Bound(route.endpoint)
    handler, problems = handler_of(route)
    reader = ParameterReader(route, handler, app)
    parameters = reader.read()
    problems += reader.problems
    if problems:
        where = ", ".join(filter(None, (f"{'/'.join(sorted(route.methods))} {route.path}".strip(), handler.place)))
        raise HandlerError([f"{handler.name} ({where}): {problem}" for problem in problems], unfilled=bool(reader.problems))
    return _build(route, handler, parameters, app)


def _build(route: Route, handler: Handler, parameters: tuple[Parameter, ...], app: App) -> Bound:
    bodies = [BodyReader(parameter) for parameter in parameters if parameter.source is Source.BODY]
    body = bodies[0] if bodies else None

    async def refuse(ctx: Context, error: Exception) -> NoReturn:
        found = await refusal(ctx, parameters, body)
        if found is None and isinstance(error, msgspec.ValidationError):
            found = BadRequestError(str(error), code="bad_value")  # msgspec reads the text of JSON a little differently than its values
        # An error that no bad value explains is somebody's bug: it stays what it is.
        raise found or error from None

    text = SourceText()
    for parameter in parameters:
        text.add(parameter, body)
    source = text.write(handler, websocket=route.websocket, refuse=refuse)
    names: dict[str, Any] = {**text.names, "app": app, "call_in_thread": call_in_thread, "__name__": __name__}
    exec(compile(source, f"<endpoint of {handler.name}>", "exec"), names)  # noqa: S102 - our own text; see source_text.py
    bound = Bound(names["endpoint"], names.get("direct"))
    for function in filter(None, (bound.endpoint, bound.direct)):
        function.__qualname__ = f"endpoint of {handler.name}"
        function.__doc__ = source
    return bound
