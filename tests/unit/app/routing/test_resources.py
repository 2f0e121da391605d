from __future__ import annotations

import pytest

from tamago.app.routing.resources import pluralize, resource_name, singularize
from tamago.app.routing.router import Router


class PostController:
    # In another order than the routes: theirs is that of the table.
    def destroy(self) -> None: ...
    def update(self) -> None: ...
    def edit(self) -> None: ...
    def show(self) -> None: ...
    def create(self) -> None: ...
    def new(self) -> None: ...
    def index(self) -> None: ...


class LogController:
    def show(self) -> None: ...
    def other(self) -> None: ...


ROWS = [
    ("index", ("GET",), "/posts", "posts"),
    ("new", ("GET",), "/posts/new", "new_post"),
    ("create", ("POST",), "/posts", "posts"),
    ("show", ("GET",), "/posts/{id}", "post"),
    ("edit", ("GET",), "/posts/{id}/edit", "edit_post"),
    ("update", ("PATCH", "PUT"), "/posts/{id}", "post"),
    ("destroy", ("DELETE",), "/posts/{id}", "destroy_post"),
]


@pytest.mark.parametrize("name", ["post", "posts"])
def test_a_resource_has_the_seven_routes(name: str) -> None:
    router = Router()
    router.resources("/posts", PostController, name=name)
    assert [(route.handler.__name__, route.methods, route.path, route.name) for route in router.routes] == ROWS
    assert {route.controller for route in router.routes} == {PostController}
    assert router.url_for("edit_post", id=3) == "/posts/3/edit"


def test_a_resource_has_the_routes_its_controller_has_methods_for() -> None:
    router = Router({"log": LogController})
    router.resources("/logs", "log", param="day:int", host="api.example.com")
    assert [(route.path, route.name, route.host) for route in router.routes] == [("/logs/{day:int}", None, "api.example.com")]


def test_a_resource_can_stand_at_the_root_and_in_a_group() -> None:
    async def mine(ctx: object, call_next: object) -> None: ...

    router = Router({"post": PostController})
    router.group("/api", middleware=[mine]).resources("/", mine, "post")
    assert [route.path for route in router.routes][:4] == ["/api", "/api/new", "/api", "/api/{id}"]
    assert router.routes[0].middleware == (mine, mine)


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("post", "posts"),
        ("blog_post", "blog_posts"),
        ("category", "categories"),
        ("day", "days"),
        ("box", "boxes"),
        ("address", "addresses"),
        ("status", "statuses"),
        ("bus", "buses"),
        ("branch", "branches"),
        ("house", "houses"),
        ("case", "cases"),
        ("movie", "movies"),
        ("person", "people"),
        ("sales_person", "sales_people"),
        ("news", "news"),
        ("analysis", "analyses"),
        ("tie", "ties"),
        ("database", "databases"),
        ("cookie", "cookies"),
        ("image", "images"),
        ("cache", "caches"),
        ("size", "sizes"),
        ("exercise", "exercises"),
        ("use_case", "use_cases"),
    ],
)
def test_names_are_told_in_singular_and_plural(singular: str, plural: str) -> None:
    assert (pluralize(singular), pluralize(plural)) == (plural, plural)
    assert (singularize(plural), singularize(singular)) == (singular, singular)


def test_a_name_is_put_into_the_template() -> None:
    assert [resource_name(template, "categories") for template in ("*", "new_?")] == ["categories", "new_category"]
