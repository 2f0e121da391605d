"""Middleware around an endpoint, compiled once at boot (Koa's onion).

A middleware is `async def middleware(ctx, call_next)`, and goes on with `await call_next(ctx)`. Per request nothing is made but the
middleware's own coroutines; and not even those of the outermost ones, where all they have to say is `After`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tamago.app.host import Endpoint
from tamago.errors import TamagoError

if TYPE_CHECKING:
    from tamago.app.context import Context

CallNext = Callable[["Context"], Awaitable[object]]
Act = Callable[["Context"], object]
Middleware = Callable[["Context", CallNext], Awaitable[object]]
AnyMiddleware = TypeVar("AnyMiddleware", bound=Callable[..., object])


class CallNextTwiceError(TamagoError):
    """A middleware called `call_next` a second time: what follows would answer twice."""

    def __init__(self, middleware: Middleware) -> None:
        name = getattr(middleware, "__qualname__", type(middleware).__qualname__)
        super().__init__(f"middleware {name} called call_next() twice", hint="call it once; to try again, do so around what fails")


def only_for(*methods: str) -> Callable[[AnyMiddleware], AnyMiddleware]:
    """Leave a middleware out for requests with any other method, which then costs them nothing.

    ```python
    @only_for("POST", "PUT")
    async def middleware(ctx, call_next): ...
    ```
    """

    def mark(middleware: AnyMiddleware) -> AnyMiddleware:
        middleware.methods = frozenset(methods)  # type: ignore[attr-defined]
        return middleware

    return mark


class After:
    """A middleware that only acts once what follows it is through, and has nothing to wait for: `act(ctx)`.

    It acts where that succeeded and left no body; `always`: in any case, also when it failed. Whoever answers a request calls the
    outermost ones itself, which spares a coroutine for each.
    """

    __slots__ = ("act", "always")

    def __init__(self, act: Act, *, always: bool = False) -> None:
        self.act = act
        self.always = always

    async def __call__(self, ctx: Context, call_next: CallNext) -> None:
        """Be a middleware like any other, further inside."""
        try:
            await call_next(ctx)
        except BaseException:
            if self.always:
                self.act(ctx)
            raise
        if self.always or ctx.body is None:
            self.act(ctx)


@dataclass(frozen=True, slots=True)
class Chain:
    """All that happens around an endpoint: `run(ctx)`, then `unanswered` if that left no body, then `always` in any case."""

    run: Endpoint
    unanswered: Act | None = None
    always: Act | None = None


def compile_outermost(middlewares: Sequence[Middleware], endpoint: Endpoint) -> Chain:
    """Return the same as `compile_chain` would, with the outermost `After`s taken out of it: one of each kind, in this order."""
    always, inner = _outermost(middlewares, always=True)
    unanswered, inner = _outermost(inner, always=False)
    return Chain(compile_chain(inner, endpoint), unanswered, always)


def _outermost(middlewares: Sequence[Middleware], *, always: bool) -> tuple[Act | None, Sequence[Middleware]]:
    first = middlewares[0] if middlewares else None
    if isinstance(first, After) and first.always == always:
        return first.act, middlewares[1:]
    return None, middlewares


def compile_chain(middlewares: Sequence[Middleware], endpoint: Endpoint, *, outer: int = 0) -> Endpoint:
    """Return one function that runs `middlewares`, the first one outermost, and `endpoint` inside of all.

    `outer` is how many middlewares stand around this chain already, when it is the endpoint of another: the context counts through.
    """
    if not middlewares:
        return endpoint
    last = len(middlewares) - 1
    following = _last(endpoint, middlewares[last], outer + last + 1)
    for at in range(last, 0, -1):
        following = _next(middlewares[at], following, middlewares[at - 1], outer + at)
    return _first(middlewares[0], following)


def _first(middleware: Middleware, following: CallNext) -> Endpoint:
    def run(ctx: Context) -> Awaitable[object]:
        return middleware(ctx, following)

    return run


def _next(middleware: Middleware, following: CallNext, caller: Middleware, depth: int) -> CallNext:
    def call_next(ctx: Context) -> Awaitable[object]:
        if ctx.depth >= depth:
            raise CallNextTwiceError(caller)
        ctx.depth = depth
        return middleware(ctx, following)

    return call_next


def _last(endpoint: Endpoint, caller: Middleware, depth: int) -> CallNext:
    def call_next(ctx: Context) -> Awaitable[object]:
        if ctx.depth >= depth:
            raise CallNextTwiceError(caller)
        ctx.depth = depth
        return endpoint(ctx)

    return call_next
