"""Everything that can be written where a handler stands: it works, or it is refused when the application starts."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.unit.app.binding.fakes import FakeApp, FakeContext

from tamago.app.binding import HandlerError, compile_handlers
from tamago.app.routing import RouteError, Router
from tamago.core.context_class import Controller


class PostController(Controller):
    async def show(self, word: str = "w") -> list[Any]:
        return [type(self).__name__, word]

    @staticmethod
    async def static(word: str = "w") -> list[Any]:
        return ["static", word]

    @classmethod
    async def of_class(cls, word: str = "w") -> list[Any]:
        return [cls.__name__, word]


class Plain:
    """No controller."""

    async def show(self, word: str = "w") -> list[Any]:
        return [word]

    def blocking(self, word: str = "w") -> list[Any]:
        return [word]


class Callee:
    async def __call__(self, word: str = "w") -> list[Any]:
        return [word]


class Streaming:
    async def __call__(self, word: str = "w") -> AsyncIterator[str]:
        yield word


async def function(word: str = "w", number: int = 3) -> list[Any]:
    return [word, number]


def blocking(word: str = "w") -> list[Any]:
    return [word]


async def stream(word: str = "w") -> AsyncIterator[str]:
    yield word


def generator(ctx: Any) -> Iterator[str]:
    yield "w"


async def with_rest(ctx: Any, *rest: Any) -> None: ...


async def with_names(ctx: Any, **names: Any) -> None: ...


async def without_annotation(word) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


async def with_self(self: Any) -> None: ...


class WithoutContextController(Controller):
    def __init__(self) -> None:
        """Forget the context."""

    async def show(self) -> None: ...


def wrapped(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return handler(*arguments, **named)

    return wrapper


def covered(handler: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return handler(*arguments, **named)

    return wrapper


def endpoint_of(handler: Any, *, websocket: bool = False) -> Any:
    """Register a handler as `app/router.py` would, and start."""
    router = Router({"post": PostController})
    (router.websocket if websocket else router.get)("/", handler)
    bound = compile_handlers(router.routes, app=FakeApp())
    table = router.compile(lambda route: bound[route].endpoint)
    return (table.match_websocket(b"/") if websocket else table.match("GET", b"/"))[0].endpoint


async def answer(handler: Any) -> Any:
    ctx = FakeContext()
    await endpoint_of(handler)(ctx)
    return [piece async for piece in ctx.body] if hasattr(ctx.body, "__aiter__") else ctx.body


ASYNC: dict[str, tuple[Any, Any]] = {
    "async function": (function, ["w", 3]),
    "method of a controller": (PostController.show, ["PostController", "w"]),
    "dotted name": ("post.show", ["PostController", "w"]),
    "static method": (PostController.static, ["static", "w"]),
    "class method": (PostController.of_class, ["PostController", "w"]),
    "method of an object": (Plain().show, ["w"]),
    "object": (Callee(), ["w"]),
    "partial": (functools.partial(function, number=5), ["w", 5]),
    "partial of an object": (functools.partial(Callee(), "given"), ["given"]),
}
NOT_FOR_WEBSOCKETS: dict[str, tuple[Any, Any]] = {
    "function": (blocking, ["w"]),
    "blocking method of an object": (Plain().blocking, ["w"]),
    "async generator": (stream, ["w"]),
    "object with an async generator": (Streaming(), ["w"]),
    "lambda": (lambda ctx: "from a lambda", "from a lambda"),
    "lambda without parameters": (lambda: "from a lambda", "from a lambda"),
    "lambda that calls an async function": (lambda ctx: function("of lambda"), ["of lambda", 3]),
    "decorated with functools.wraps": (wrapped(function), ["w", 3]),
    "async generator, decorated": (wrapped(stream), ["w"]),
    "cached": (functools.lru_cache(blocking), ["w"]),
    "method of a value": ("egg".upper, "EGG"),
}


@pytest.mark.parametrize(("handler", "body"), (ASYNC | NOT_FOR_WEBSOCKETS).values(), ids=(ASYNC | NOT_FOR_WEBSOCKETS).keys())
def test_what_can_be_called_answers(handler: Any, body: Any) -> None:
    assert asyncio.run(answer(handler)) == body


@pytest.mark.parametrize("handler", [handler for handler, _ in ASYNC.values()], ids=ASYNC.keys())
def test_what_is_async_can_take_websockets(handler: Any) -> None:
    endpoint_of(handler, websocket=True)


@pytest.mark.parametrize("handler", [handler for handler, _ in NOT_FOR_WEBSOCKETS.values()], ids=NOT_FOR_WEBSOCKETS.keys())
def test_what_is_not_cannot(handler: Any) -> None:
    with pytest.raises(HandlerError, match="a websocket's handler must be async def"):
        endpoint_of(handler, websocket=True)


PARAMETERS = "an annotation that says what it is"
SHAPE = "a handler is a function or a method"
REFUSED: dict[str, tuple[Any, str, str]] = {
    "generator": (generator, "generator without async", SHAPE),
    "*args": (with_rest, r"\*rest says nothing of what is wanted", PARAMETERS),
    "**kwargs": (with_names, r"\*\*names says nothing of what is wanted", PARAMETERS),
    "decorated without functools.wraps": (covered(function), r"\*arguments says nothing .* use functools.wraps", PARAMETERS),
    "without annotation": (without_annotation, "word has no annotation", PARAMETERS),
    "lambda with a parameter": (lambda word: word, "word has no annotation", PARAMETERS),
    "function with self": (with_self, "self but is no method of a controller", PARAMETERS),
    "method of one controller": (PostController(None).show, "bound to one PostController, and each request has its own", SHAPE),
    "method of a controller without context": (WithoutContextController.show, r"WithoutContextController\(ctx\) cannot be made", SHAPE),
    "method of a class that is no controller": (Plain.show, r"Plain\(ctx\) cannot be made: too many positional arguments", SHAPE),
}


@pytest.mark.parametrize(("handler", "problem", "hint"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("websocket", [False, True])
def test_what_cannot_be_called_is_refused_with_its_line(handler: Any, problem: str, hint: str, *, websocket: bool) -> None:
    with pytest.raises(HandlerError, match=problem) as caught:
        endpoint_of(handler, websocket=websocket)
    assert hint in caught.value.hint
    assert f"{__file__}:" in caught.value.problem


def test_what_is_written_in_c_has_no_line() -> None:
    with pytest.raises(HandlerError, match=r"^len \(GET /\): obj has no annotation"):
        endpoint_of(len)


@pytest.mark.parametrize("handler", [Callee, PostController, None, 7, [function], functools.partialmethod(function)])
def test_what_is_no_function_is_refused_where_it_is_registered(handler: Any) -> None:
    with pytest.raises(RouteError, match="handler"):
        Router({"post": PostController}).get("/", handler)
