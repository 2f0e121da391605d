from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest
from tests.unit.app.binding.fakes import FakeApp, FakeRoute

from tamago.app.binding import Body, Bound, Cookie, HandlerError, Header, Query, compile_handler, compile_handlers
from tamago.core.context_class import Service

if TYPE_CHECKING:
    from somewhere import Hidden  # type: ignore[import-not-found]


class Post(msgspec.Struct):
    title: str


class Foreign:
    pass


class Around(msgspec.Struct):
    inner: list[Foreign]
    again: Around | None = None


class LostService(Service):
    pass


def problems(handler: Callable[..., Any], path: str = "/", **route: Any) -> tuple[str, ...]:
    """Return what is wrong with the parameters, without where the handler is."""
    with pytest.raises(HandlerError) as caught:
        compile_handler(FakeRoute(handler=handler, path=path, **route), app=FakeApp())
    return tuple(problem.split("): ", 1)[1] for problem in caught.value.problems)


async def unannotated(thing) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
async def spread(*values: int, **more: int) -> None: ...
async def hidden(it: Hidden) -> None: ...
async def foreign(it: Foreign) -> None: ...
async def around(it: Around) -> None: ...
async def two_bodies(a: Post, b: Post) -> None: ...
async def one_body(a: Post) -> None: ...
async def header_struct(a: Annotated[Post, Header()]) -> None: ...
async def header_list(a: Annotated[list[str], Header]) -> None: ...
async def two_markers(a: Annotated[str, Header(), Cookie()]) -> None: ...
async def query_of_structs(a: Annotated[list[Post], Query()]) -> None: ...
async def marker_inside(a: Annotated[str, Header()] | None = None) -> None: ...
async def marker_as_default(a: str = Header()) -> None: ...  # type: ignore[assignment]
async def service(lost: LostService) -> None: ...
async def near(post_idd: int) -> None: ...
async def near_unannotated(postid) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001
async def list_in_path(post_id: list[int]) -> None: ...
async def struct_in_path(post_id: Post) -> None: ...
async def text_in_path(post_id: str) -> None: ...
async def union(it: Post | Foreign) -> None: ...
async def loose(self: Any) -> None: ...
def generator() -> Iterator[bytes]:
    yield b""


def plain() -> None: ...


HANDLERS: list[tuple[Callable[..., Any], str, dict[str, Any], str]] = [
    (unannotated, "/", {}, "thing has no annotation and is not in the path /"),
    (near_unannotated, "/{post_id}", {}, "postid has no annotation and is not in the path /{post_id}: did you mean post_id?"),
    (near, "/{post_id}", {}, "post_idd is not in the path /{post_id}: did you mean post_id? (for the query write Annotated[..., Query()])"),
    (
        hidden,
        "/",
        {},
        (
            "the annotation 'Hidden' of it means nothing when the program runs (NameError: name 'Hidden' is not defined): "
            "import it outside of `if TYPE_CHECKING`"
        ),
    ),
    (foreign, "/", {}, "it cannot be made from a request: msgspec does not know Foreign"),
    (around, "/", {}, "it cannot be made from a request: msgspec does not know Foreign"),
    (two_bodies, "/", {}, "a and b would both be the body: put them into one struct, or mark one with Query()"),
    (
        one_body,
        "/",
        {"methods": ("GET", "HEAD")},
        "a would be the body, and GET/HEAD has none: for the query write Annotated[..., Query()]",
    ),
    (one_body, "/", {"websocket": True}, "a would be the body, and a websocket has none: for the query write Annotated[..., Query()]"),
    (header_struct, "/", {}, "a comes from one piece of text (header a), which cannot make its type"),
    (header_list, "/", {}, "a comes from one piece of text (header a), which cannot make its type"),
    (query_of_structs, "/", {}, "a comes from one piece of text (query a), which cannot make its type"),
    (two_markers, "/", {}, "a is marked to come from several places: Header(name=''), Cookie(name='', signed=True, encrypt=False)"),
    (marker_inside, "/", {}, "a has its marker in the wrong place: write Annotated[TYPE, Header()], with `| None` in TYPE if need be"),
    (marker_as_default, "/", {}, "a has its marker in the wrong place: write Annotated[TYPE, Header()], with `| None` in TYPE if need be"),
    (service, "/", {}, f"lost: {__name__}.LostService is no service of this application: nothing in app/service defines it"),
    (list_in_path, "/{post_id}", {}, "post_id comes from one piece of text (path post_id), which cannot make its type"),
    (struct_in_path, "/{post_id}", {}, "post_id comes from one piece of text (path post_id), which cannot make its type"),
    (text_in_path, "/{post_id:int}", {}, "post_id is made an int by the path, which is not the type of the parameter"),
    (generator, "/", {}, "it is a generator without async, which would block the event loop between pieces: write async def"),
    (plain, "/", {"websocket": True}, "a websocket's handler must be async def"),
]


@pytest.mark.parametrize(("handler", "path", "route", "problem"), HANDLERS)
def test_a_handler_whose_parameters_cannot_be_filled_is_an_error_at_boot(
    handler: Callable[..., Any], path: str, route: dict[str, Any], problem: str
) -> None:
    assert problems(handler, path, **route) == (problem,)


def test_parameters_without_number_say_nothing_of_what_is_wanted() -> None:
    assert problems(spread) == tuple(
        f"{name} says nothing of what is wanted; if it is a decorator's, use functools.wraps" for name in ("*values", "**more")
    )


def test_a_callable_without_a_signature_is_an_error() -> None:
    assert problems(min) == (
        "its parameters cannot be seen (no signature found for builtin <built-in function min>): write a function around it",
    )


def test_a_union_that_msgspec_cannot_tell_apart_is_an_error() -> None:
    (problem,) = problems(union)
    assert problem.startswith("the type of it cannot be checked: Type unions containing a custom type")


def test_a_method_whose_controller_nobody_knows_is_an_error() -> None:
    assert problems(loose)[0].startswith("it has a parameter self but is no method of a controller")


def test_the_handlers_of_all_routes_are_checked_together_and_named_with_their_place() -> None:
    routes = [
        FakeRoute(handler=two_bodies, path="/a"),
        FakeRoute(handler=one_body),
        FakeRoute(handler=unannotated, path="/b", methods=("PUT", "GET")),
    ]
    with pytest.raises(HandlerError) as caught:
        compile_handlers(routes, app=FakeApp())
    first, second = caught.value.problems
    assert first.startswith(f"two_bodies (POST /a, {__file__}:")
    assert second.startswith(f"unannotated (GET/PUT /b, {__file__}:")
    assert "2 things are wrong" in str(caught.value)
    assert compile_handlers(routes[1:2], app=FakeApp()).keys() == {routes[1]}


def test_a_route_that_has_its_endpoint_keeps_it() -> None:
    async def redirect(ctx: Any) -> None: ...

    route = FakeRoute(handler=unannotated, endpoint=redirect)
    assert compile_handlers([route], app=FakeApp()) == {route: Bound(redirect)}


def test_a_marked_body_is_one_whatever_its_type() -> None:
    async def handler(a: Annotated[int, Body]) -> None: ...

    handler.__annotations__["a"] = Annotated[int, Body]
    compile_handler(FakeRoute(handler=handler), app=FakeApp())
    assert problems(handler, methods=("GET",))
