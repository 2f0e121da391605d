from __future__ import annotations

import inspect
from typing import Any

import pytest
from tests.unit.app.routing.routes import pattern

from tamago.app.routing import declared
from tamago.app.routing.declared import delete, get, patch, post, put, route, routes, websocket
from tamago.app.routing.errors import RouteError
from tamago.app.routing.router import Router


async def first(ctx: Any, call_next: Any) -> None: ...
async def second(ctx: Any, call_next: Any) -> None: ...


@routes(prefix="/posts", middleware=[first], host="example.com")
class PostController:
    @get("/{slug}", second, name="post")
    def show(self) -> None: ...

    @get("/new")
    @get("/fresh", name="fresh", timeout=3.0)
    def new(self) -> None: ...

    @post("/")
    def create(self) -> None: ...

    @websocket("/{slug}/live")
    def live(self) -> None: ...

    def not_a_route(self) -> None: ...


class PlainController:
    @route(["PATCH", "PURGE"], ["/x", "/y"])
    def change(self) -> None: ...


@routes(prefix="/drafts")
class DraftController(PlainController): ...


def test_routes_are_collected_from_controllers_the_more_special_first() -> None:
    router = Router({"post": PostController})
    router.add_controllers()
    assert [(route.methods, route.path, route.handler.__name__) for route in router.routes] == [
        (("POST",), "/posts", "create"),
        (("GET",), "/posts/new", "new"),
        (("GET",), "/posts/fresh", "new"),
        (("GET",), "/posts/{slug}", "show"),
        ((), "/posts/{slug}/live", "live"),
    ]


def test_a_collected_route_has_what_its_method_and_its_class_say() -> None:
    router = Router()
    router.add_controllers({"post": PostController})
    show = next(route for route in router.routes if route.name == "post")
    assert (show.middleware, show.host, show.controller) == ((first, second), "example.com", PostController)
    assert next(route for route in router.routes if route.name == "fresh").timeout == 3.0
    assert [route.websocket for route in router.routes].count(True) == 1


def test_a_collected_route_stands_where_its_decorator_does() -> None:
    line = inspect.getsourcelines(PlainController)[1] + 1
    router = Router({"plain": PlainController})
    router.add_controllers()
    assert {route.source for route in router.routes} == {f"{__file__}:{line}"}


def test_an_inherited_method_is_a_route_of_each_controller() -> None:
    router = Router({"plain": PlainController, "draft": DraftController})
    router.add_controllers()
    assert sorted((route.path, route.controller) for route in router.routes if route.path.endswith("x")) == [
        ("/drafts/x", DraftController),
        ("/x", PlainController),
    ]


def test_a_method_that_the_router_names_is_left_to_the_router() -> None:
    router = Router({"post": PostController})
    router.get("/latest", "post.show")
    router.add_controllers()
    assert [route.path for route in router.routes if route.handler is PostController.show] == ["/latest"]


@pytest.mark.parametrize(("decorate", "method"), [(get, "GET"), (post, "POST"), (put, "PUT"), (patch, "PATCH"), (delete, "DELETE")])
def test_each_decorator_takes_its_method(decorate: Any, method: str) -> None:
    controller = type("Controller", (), {"action": decorate("/x")(lambda self: self)})
    assert [wanted.methods for _, wanted in declared.declared_in(controller)] == [(method,)]


def test_a_wrong_declaration_is_refused_when_it_is_collected() -> None:
    controller = type("Controller", (), {"action": get("x")(lambda self: self)})
    with pytest.raises(RouteError, match="does not begin with a slash"):
        Router({"x": controller}).add_controllers()


def test_more_special_patterns_sort_first() -> None:
    ordered = ["/a", "/a/b", "/a/{x}.json", "/a/{x:int}", "/a/{x}", "/a/{x}/c", "/a/{x:path}", "/{x}", "/{x:path}"]
    assert sorted(set(ordered), key=lambda template: declared.specificity(pattern(template))) == ordered


class StaticController:
    @staticmethod
    @get("/static")
    def index() -> None: ...


class OutsideController:
    @get("/static")
    @staticmethod
    def index() -> None: ...


class ClassMethodController:
    @classmethod
    @get("/class")
    def index(cls) -> None: ...


class PropertyController:
    @property
    @get("/property")
    def index(self) -> None: ...


class HiddenController:
    @get("/hidden")
    def _index(self) -> None: ...


class InheritedController(HiddenController): ...


@pytest.mark.parametrize(
    "controller", [StaticController, OutsideController, ClassMethodController, PropertyController, HiddenController, InheritedController]
)
def test_a_route_at_what_no_request_can_call_is_refused(controller: type) -> None:
    with pytest.raises(RouteError) as caught:
        Router().add_controllers({"a": controller})
    assert f"index ({__file__}:" in caught.value.problem
    assert "is no method a request can call" in caught.value.problem
