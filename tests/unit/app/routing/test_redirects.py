from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.app.routing.routes import handler

from tamago.app.routing.errors import RouteError
from tamago.app.routing.route import UNBOUND, Endpoint, Route
from tamago.app.routing.router import Router


class Ctx:
    status = 404

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self.fields: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        self.fields[name] = value


def endpoint_of(route: Route) -> Endpoint:
    return handler if route.endpoint is UNBOUND else route.endpoint


def follow(router: Router, path: bytes, method: str = "GET") -> tuple[int, str | None]:
    found, params = router.compile(endpoint_of).match(method, path)
    ctx = Ctx(params)

    async def run(endpoint: Endpoint) -> None:
        await endpoint(ctx)

    asyncio.run(run(found.endpoint))
    return ctx.status, ctx.fields.get("location")


@pytest.fixture
def router() -> Router:
    router = Router()
    router.get("/posts/{id}", handler, name="post")
    return router


@pytest.mark.parametrize(
    ("source", "target", "path", "location"),
    [
        ("/old", "/new?from=old", b"/old", "/new?from=old"),
        ("/old", "https://example.com/x", b"/old", "https://example.com/x"),
        ("/old/{id}", "post", b"/old/a%20b", "/posts/a%20b"),
        ("/{lang}/old/{id}", "/{id}/new", b"/en/old/7", "/7/new"),
        ("/x/{rest:path}", "/{rest:path}", b"/x/a/b", "/a/b"),
    ],
)
def test_a_redirect_leads_to_its_target(router: Router, source: str, target: str, path: bytes, location: str) -> None:
    router.redirect(source, target)
    assert follow(router, path) == (302, location)


def test_a_redirect_takes_every_method_and_the_status_it_was_given(router: Router) -> None:
    router.redirect("/old", "/new", 308)
    assert follow(router, b"/old", "DELETE") == (308, "/new")


def test_a_route_may_be_named_after_the_redirect_to_it() -> None:
    router = Router()
    router.redirect("/", "posts")
    router.get("/posts", handler, name="posts")
    assert follow(router, b"/") == (302, "/posts")


def test_parameters_that_make_no_path_are_left_at_404(router: Router) -> None:
    router.redirect("/old/{id}", "post")
    assert follow(router, b"/old/..") == (404, None)


def test_the_target_of_a_redirect_in_a_group_is_not_in_the_group(router: Router) -> None:
    router.group("/v2").redirect(["/a", "/b"], "/c")
    assert follow(router, b"/v2/b") == (302, "/c")


def test_a_redirect_to_an_unknown_name_fails_the_boot(router: Router) -> None:
    router.redirect("/old", "psot")
    with pytest.raises(RouteError, match=r"ALL /old \(.*\) redirects to nowhere: no route is named 'psot'") as caught:
        router.compile(endpoint_of)
    assert caught.value.hint == "did you mean 'post'?"


def test_a_redirect_without_the_parameters_of_its_target_fails_the_boot(router: Router) -> None:
    router.redirect("/old", "post")
    with pytest.raises(RouteError, match=r"redirects to 'post' and has no 'id'"):
        router.compile(endpoint_of)
