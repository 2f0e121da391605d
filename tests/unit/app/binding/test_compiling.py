from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from tests.unit.app.binding.calling import echo, refused, run
from tests.unit.app.binding.fakes import ExtendedContext, FakeApp, FakeContext, FakeRoute
from tests.unit.app.binding.models import Point

from tamago.app.binding import compile_handler
from tamago.app.errors import HttpError
from tamago.core.context_class import Controller, Service

if TYPE_CHECKING:
    from somewhere import Context  # type: ignore[import-not-found]


class Answering(Protocol):
    body: Any


class GreetingService(Service):
    made = 0

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        type(self).made += 1

    def greet(self, name: str) -> str:
        return f"hello {name}"


class BaseController(Controller):
    async def who(self) -> str:
        return type(self).__name__


def logged(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def around(*values: Any, **more: Any) -> Any:
        return ["logged", await method(*values, **more)]

    return around


class PostController(BaseController):
    @logged
    async def decorated(self, *, word: str) -> str:
        return word

    async def show(self, id: int) -> dict[str, int]:  # noqa: A002 - as in the path
        return {"id": id}

    async def index(self) -> None:
        self.ctx.body = "set by hand"

    async def in_context(self, ctx: ExtendedContext, word: str) -> str:
        assert ctx is self.ctx
        return word


def test_a_controller_is_made_for_the_request_and_its_method_gets_what_the_path_says() -> None:
    assert run(PostController.show, "/posts/{id}", ctx=FakeContext(params={"id": "12"})) == {"id": 12}


def test_a_handler_that_returns_none_has_set_the_body_itself() -> None:
    assert run(PostController.index) == "set by hand"


def test_an_inherited_method_is_called_on_the_controller_that_the_route_names() -> None:
    assert run(PostController.who, controller=PostController) == "PostController"
    assert run(PostController.who) == "BaseController"


def test_a_method_inside_a_decorator_still_knows_its_controller_and_parameters() -> None:
    assert run(PostController.decorated, "/{word}", ctx=FakeContext(params={"word": "x"})) == ["logged", "x"]


def test_the_context_comes_by_its_class_beside_other_parameters() -> None:
    assert run(PostController.in_context, "/{word}", ctx=ExtendedContext(params={"word": "x"})) == "x"


async def by_name(ctx):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return ctx


async def by_class(request: FakeContext) -> Any:
    return request


async def by_name_only_typed(ctx: Context) -> Any:
    return ctx


async def by_protocol(ctx: Answering) -> Any:
    return ctx


@pytest.mark.parametrize("handler", [by_name, by_class, by_name_only_typed, by_protocol])
def test_a_function_gets_the_context_by_name_or_class(handler: Callable[..., Any]) -> None:
    ctx = FakeContext()
    assert run(handler, ctx=ctx) is ctx


async def stream(count: int = 2) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d" % number


def test_an_async_generator_becomes_the_body_with_its_parameters_checked_first() -> None:
    async def pieces() -> list[bytes]:
        ctx = FakeContext(query="count=3")
        await compile_handler(FakeRoute(handler=stream), app=FakeApp()).endpoint(ctx)
        return [piece async for piece in ctx.body]

    assert asyncio.run(pieces()) == [b"0", b"1", b"2"]
    assert refused(stream, ctx=FakeContext(query="count=x")) == "query count: expected int, got 'x'"


async def greet(name: str, *, greeting: GreetingService) -> str:
    return greeting.greet(name)


def test_a_function_gets_a_service_by_its_class_the_same_as_from_the_context() -> None:
    app = FakeApp({"admin.greeting": GreetingService})
    ctx = FakeContext(params={"name": "you"}, app=app)
    before = GreetingService.made
    assert run(greet, "/{name}", ctx=ctx, app=app) == "hello you"
    assert isinstance(ctx.service.admin.greeting, GreetingService)
    assert GreetingService.made == before + 1


class Caller:
    async def __call__(self, ctx: FakeContext, word: str) -> str:
        return word


def test_an_object_with_an_async_call_is_a_handler() -> None:
    assert run(Caller(), "/{word}", ctx=FakeContext(params={"word": "x"})) == "x"


async def talk(ctx: FakeContext) -> str:
    return "dropped"


def test_what_a_websocket_handler_returns_is_no_body() -> None:
    ctx = FakeContext()
    run(talk, ctx=ctx, websocket=True)
    assert ctx.body is None


async def broken(number: int) -> None:
    raise ValueError(f"a bug with {number}")


def test_a_value_error_of_the_handler_is_not_the_clients_fault() -> None:
    with pytest.raises(ValueError, match="a bug with 5"):
        run(broken, ctx=FakeContext(query="number=5"))


def test_an_error_that_no_bad_value_explains_comes_through() -> None:
    class Broken(FakeContext):
        async def raw_body(self) -> bytes:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run(echo(Point), ctx=Broken(content_type="application/json"))


def test_an_answer_raised_while_the_body_is_read_comes_through() -> None:
    class TooLarge(FakeContext):
        async def raw_body(self) -> bytes:
            raise HttpError(413)

    with pytest.raises(HttpError) as caught:
        run(echo(Point), ctx=TooLarge(content_type="application/json"))
    assert caught.value.status == 413


async def plain(word: str) -> str:
    return word


def in_a_thread(word: str) -> str:
    return word


@pytest.mark.parametrize("handler", [plain, in_a_thread])
def test_the_direct_way_returns_the_body_and_leaves_it_to_others_to_keep_it(handler: Callable[..., Any]) -> None:
    ctx = FakeContext(query="word=x")
    direct = compile_handler(FakeRoute(handler=handler), app=FakeApp()).direct
    assert direct is not None

    async def call() -> object:
        return await direct(ctx)

    assert asyncio.run(call()) == "x"
    assert ctx.body is None


def test_the_direct_way_refuses_what_the_endpoint_does() -> None:
    direct = compile_handler(FakeRoute(handler=plain), app=FakeApp()).direct
    assert direct is not None

    async def call() -> object:
        return await direct(FakeContext())

    with pytest.raises(HttpError, match="query word: expected str, got nothing"):
        asyncio.run(call())


async def with_body(point: Point) -> Point:
    return point


@pytest.mark.parametrize(("handler", "websocket"), [(with_body, False), (stream, False), (by_name, True)])
def test_what_waits_before_its_handler_or_needs_no_body_has_no_direct_way(handler: Callable[..., Any], websocket: bool) -> None:
    assert compile_handler(FakeRoute(handler=handler, websocket=websocket), app=FakeApp()).direct is None
