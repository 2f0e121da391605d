from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.app.routing.routes import route

from tamago.app.routing.errors import RouteConflictError
from tamago.app.routing.route import Outcome, Route
from tamago.app.routing.table import RouteTable


class Ctx:
    status = 404

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        self.fields[name] = value


def answer(found: Route) -> Ctx:
    ctx = Ctx()

    async def run(endpoint: Any) -> None:
        await endpoint(ctx)

    asyncio.run(run(found.endpoint))
    return ctx


def test_a_get_answers_head() -> None:
    show = route("GET /posts/{id:int}")
    assert RouteTable([show]).match("HEAD", b"/posts/7") == (show, {"id": 7})


def test_a_head_of_its_own_answers_head_wherever_it_stands() -> None:
    show, peek = route("GET /posts/{id}"), route("HEAD /posts/{key}")
    match = RouteTable([show, peek]).match
    assert match("HEAD", b"/posts/7") == (peek, {"key": "7"})
    assert match("GET", b"/posts/7")[0] is show


def test_a_route_for_all_methods_leaves_head_to_the_get_before_it() -> None:
    show, rest = route("GET /a"), route("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /a")
    match = RouteTable([show, rest]).match
    assert [match(method, b"/a")[0] for method in ("HEAD", "GET", "POST")] == [show, show, rest]


def test_an_unknown_path_is_left_at_404() -> None:
    found, params = RouteTable([route("GET /a")]).match("GET", b"/b")
    assert (found.outcome, found.methods, dict(params)) == (Outcome.NOT_FOUND, (), {})
    assert answer(found).status == 404


def test_another_method_is_answered_405_with_those_the_path_has() -> None:
    table = RouteTable([route("DELETE /posts/{id}"), route("GET /posts/new"), route("PURGE /posts/{id}"), route("POST /posts")])
    found, _ = table.match("PUT", b"/posts/new")
    assert found.outcome is Outcome.METHOD_NOT_ALLOWED
    ctx = answer(found)
    assert (ctx.status, ctx.fields) == (405, {"allow": "GET, HEAD, DELETE, PURGE, OPTIONS"})


def test_a_method_nobody_uses_is_answered_405() -> None:
    assert RouteTable([route("GET /a")]).match("BREW", b"/a")[0].outcome is Outcome.METHOD_NOT_ALLOWED


def test_options_is_answered_with_the_methods_the_path_has() -> None:
    found, _ = RouteTable([route("POST /a")]).match("OPTIONS", b"/a")
    assert found.outcome is Outcome.OPTIONS
    ctx = answer(found)
    assert (ctx.status, ctx.fields) == (204, {"allow": "POST, OPTIONS"})


def test_an_options_of_its_own_answers_options() -> None:
    cors = route("OPTIONS /a")
    match = RouteTable([route("POST /a"), cors]).match
    assert match("OPTIONS", b"/a")[0] is cors
    assert answer(match("GET", b"/a")[0]).fields == {"allow": "POST, OPTIONS"}


def test_refusals_are_made_once_for_each_set_of_methods() -> None:
    match = RouteTable([route("GET /{a}"), route("POST /x/{a}")]).match
    assert match("PUT", b"/1")[0] is match("PUT", b"/2")[0]
    assert match("PUT", b"/1")[0] is not match("PUT", b"/x/1")[0]


def test_the_parameters_of_a_static_path_cannot_be_written_to() -> None:
    _, params = RouteTable([route("GET /a")]).match("GET", b"/a")
    with pytest.raises(TypeError):
        params["x"] = 1  # type: ignore[index]


def test_websockets_have_routes_of_their_own() -> None:
    page, chat = route("GET /chat/{room}"), Route(**_fields(route("GET /chat/{room}")), methods=(), websocket=True)
    table = RouteTable([page, chat])
    assert table.match("GET", b"/chat/1")[0] is page
    assert table.match_websocket(b"/chat/1") == (chat, {"room": "1"})
    assert table.match_websocket(b"/other")[0].outcome is Outcome.NOT_FOUND


def _fields(model: Route) -> dict[str, Any]:
    return {"pattern": model.pattern, "handler": model.handler}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"api.example.com", "api"),
        (b"API.Example.com:8000", "api"),
        (b"api.example.com.", "api"),
        (b"shop.example.com", "below example"),
        (b"a.eu.example.com", "below eu"),
        (b"example.com", "any"),
        (b"other.org", "any"),
        (b"[::1]:8000", "six"),
        (b"", "any"),
    ],
)
def test_routes_of_a_host_come_before_those_of_any(host: bytes, expected: str) -> None:
    table = RouteTable(
        [
            route("GET /", name="any"),
            route("GET /", name="below example", host="*.example.com"),
            route("GET /", name="below eu", host="*.eu.example.com"),
            route("GET /", name="api", host="api.example.com"),
            route("GET /", name="six", host="[::1]"),
        ]
    )
    assert table.has_hosts
    assert table.for_host(host).match("GET", b"/")[0].name == expected


def test_a_host_also_has_the_routes_of_wider_ones_and_of_any() -> None:
    table = RouteTable(
        [
            route("GET /{page}", name="any"),
            route("GET /about", name="wide", host="*.example.com"),
            route("GET /x", name="api", host="api.example.com"),
        ]
    )
    match = table.for_host(b"api.example.com").match
    assert [match("GET", path)[0].name for path in (b"/x", b"/about", b"/other")] == ["api", "wide", "any"]


def test_a_table_without_hosts_is_the_table_of_every_host() -> None:
    table = RouteTable([route("GET /")])
    assert not table.has_hosts
    assert table.for_host(b"example.com") is table


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("GET /a", "GET /a"),
        ("GET /a", "GET /a/"),
        ("GET /{x}", "GET /a"),
        ("GET /{x}", "GET /{y}"),
        ("GET /{rest:path}", "GET /posts/{id}"),
        ("GET,POST /a", "GET /a"),
        ("GET /a", "GET,POST /a"),
        ("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /a", "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /a"),
    ],
)
def test_a_route_that_can_never_match_is_an_error(first: str, second: str) -> None:
    with pytest.raises(RouteConflictError) as caught:
        RouteTable([route(first, source="router.py:1"), route(second, source="router.py:2")])
    (problem,) = caught.value.problems
    assert problem.index("(router.py:2)") < problem.index("can never match") < problem.index("(router.py:1)")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("GET /a", "POST /a"),
        ("GET /a", "GET /{x}"),
        ("GET /{x:int}", "GET /a"),
        ("GET /a", "HEAD /a"),
        ("GET /a", "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS /a"),
        ("GET /{x}.json", "GET /{x}"),
    ],
)
def test_a_route_that_still_matches_something_is_none(first: str, second: str) -> None:
    RouteTable([route(first), route(second)])


def test_several_routes_can_take_all_of_another_together() -> None:
    every = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS"
    with pytest.raises(RouteConflictError):
        RouteTable([*(route(f"{method} /a") for method in every.split(",")), route(f"{every} /a")])


def test_routes_of_different_hosts_do_not_conflict() -> None:
    RouteTable([route("GET /a"), route("GET /a", host="api.example.com"), route("GET /a", host="*.example.com")])


def test_all_conflicts_are_reported_at_once() -> None:
    with pytest.raises(RouteConflictError) as caught:
        RouteTable([route("GET /a"), route("GET /a"), route("POST /{x}"), route("POST /b")])
    assert len(caught.value.problems) == 2


def test_a_websocket_route_conflicts_with_another() -> None:
    chat = [Route(**_fields(route("GET /chat")), methods=(), websocket=True, source=f"router.py:{line}") for line in (1, 2)]
    with pytest.raises(RouteConflictError, match=r"WEBSOCKET /chat \(router.py:2\) can never match: WEBSOCKET /chat \(router.py:1\)"):
        RouteTable(chat)
