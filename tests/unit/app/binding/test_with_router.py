from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

import pytest
from msgspec import Meta
from tests.unit.app.binding.fakes import FakeApp, FakeContext
from tests.unit.app.binding.models import Point

from tamago.app.binding import HandlerError, compile_handlers
from tamago.app.routing import Router, get
from tamago.core.context_class import Controller


class BaseController(Controller):
    async def show(self, id: Annotated[int, Meta(ge=1)], rate: float = 1.0) -> list[Any]:  # noqa: A002 - as in the path
        return [type(self).__name__, id, rate]


class PostController(BaseController):
    async def create(self, post: Point) -> Point:
        return post

    @get("/by-key/{key:uuid}/{rest:path}")
    async def by_key(self, key: UUID, rest: str) -> list[Any]:
        return [key.int, rest]


def answer(router: Router, method: str, path: bytes, **request: Any) -> Any:
    bound = compile_handlers(router.routes, app=FakeApp())
    table = router.compile(lambda route: bound[route].endpoint)
    route, params = table.match(method, path)
    ctx = FakeContext(params=params, **request)
    assert route.endpoint is not None
    asyncio.run(route.endpoint(ctx))  # type: ignore[arg-type]
    return ctx.body


def make_router() -> Router:
    router = Router({"post": PostController})
    router.get("/posts/{id:int}", "post.show")
    router.get("/rates/{id}/{rate:float}", "post.show")
    router.post("/posts", PostController.create)
    router.redirect("/old", "/posts")
    router.add_controllers()
    return router


@pytest.mark.parametrize(
    ("method", "path", "request_", "body"),
    [
        ("GET", b"/posts/5", {}, ["PostController", 5, 1.0]),
        ("GET", b"/rates/5/2.5", {}, ["PostController", 5, 2.5]),
        ("POST", b"/posts", {"body": b'{"x":1}', "content_type": "application/json"}, Point(1)),
        ("GET", b"/old", {}, None),
        ("GET", b"/by-key/00000000-0000-0000-0000-000000000007/a/b", {}, [7, "a/b"]),
    ],
)
def test_what_the_router_finds_the_endpoint_answers(method: str, path: bytes, request_: dict[str, Any], body: Any) -> None:
    assert answer(make_router(), method, path, **request_) == body


def test_problems_are_named_with_the_route_and_the_class_it_is_called_in_the_name_of() -> None:
    router = make_router()
    router.get("/{other}", "post.create")
    with pytest.raises(HandlerError, match=r"PostController\.create \(GET.* /\{other\}, .*\): post would be the body"):
        compile_handlers(router.routes, app=FakeApp())
