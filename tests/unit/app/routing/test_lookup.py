from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.unit.app.routing.cases import MATCHES, MISSES
from tests.unit.app.routing.routes import PATHS, TEMPLATES, route, walk

from tamago.app.routing import lookup
from tamago.app.routing.lookup import build_leaves, build_static
from tamago.app.routing.route import Outcome
from tamago.app.routing.table import Matcher

_METHODS = st.sampled_from(["POST", "PUT", "POST,PUT"])
_ROUTES = st.lists(st.builds(lambda methods, template: route(f"{methods} {template}"), _METHODS, TEMPLATES), max_size=14)


@pytest.fixture(params=["one expression for all", "a branch as soon as possible"])
def shape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_ENOUGH_FOR_ONE_EXPRESSION", 100 if request.param.startswith("one") else 1)


# The fixture only decides how tables are built, for all examples alike.
_PROPERTY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.usefixtures("shape")
@_PROPERTY
@given(_ROUTES, st.sampled_from(["POST", "PUT"]), PATHS)
def test_a_table_finds_what_a_walk_in_registration_order_finds(routes: list, method: str, path: bytes) -> None:
    expected, params = walk(routes)(method, path)

    found, found_params = Matcher(routes).match(method, path)

    if expected is None:
        assert found.outcome is not Outcome.FOUND
    else:
        assert (found, dict(found_params)) == (expected, params)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh"), st.sampled_from(["", "/edit", "/{m:int}"])), max_size=40)
)
def test_many_routes_below_a_common_prefix_are_told_apart(parts: list[tuple[str, str, str]]) -> None:
    routes = [route(f"POST /api/v1/{first}/{second}/{{k}}{rest}") for first, second, rest in parts]
    routes.append(route("POST /{anything:path}"))
    match, reference = Matcher(routes).match, walk(routes)
    for first, second, rest in parts:
        for path in (
            f"/api/v1/{first}/{second}/7{rest}",
            f"/api/v1/{second}/{first}/7/8",
            f"/api/v1/{first}",
            f"/api/v1{first}/{second}/7/edit",
        ):
            found, params = match("POST", path.encode())
            assert (found, dict(params)) == reference("POST", path.encode())


@pytest.mark.parametrize(("template", "path", "params"), MATCHES)
def test_a_table_finds_a_path_that_matches(template: str, path: bytes, params: dict[str, Any]) -> None:
    only = route(f"POST {template}")
    found, found_params = Matcher([only]).match("POST", path)
    assert (found, dict(found_params)) == (only, params)


@pytest.mark.parametrize(("template", "path"), MISSES)
def test_a_table_does_not_find_a_path_that_does_not_match(template: str, path: bytes) -> None:
    assert Matcher([route(f"POST {template}")]).match("POST", path)[0].outcome is Outcome.NOT_FOUND


def test_a_path_without_parameters_is_one_look_up_with_or_without_a_slash_at_its_end() -> None:
    about = route("GET /about")
    assert {path: found for path, (found, _) in build_static([about]).items()} == {b"/about": about, b"/about/": about}


def test_a_path_that_an_earlier_route_takes_is_not_looked_up_before_it() -> None:
    assert build_static([route("GET /{page}"), route("GET /about")]) == {}


def test_a_last_parameter_is_found_by_what_stands_before_it() -> None:
    post = route("GET /posts/{id:int}")
    assert build_leaves([post]) == {b"/posts": (post, "id", True)}


def test_a_last_parameter_is_not_found_before_an_earlier_route_that_may_take_the_same() -> None:
    assert list(build_leaves([route("GET /{section}/{page}"), route("GET /posts/{id}")])) == []


def test_an_earlier_route_that_cannot_take_the_same_is_no_obstacle() -> None:
    routes = [route("GET /users/{id}"), route("GET /{section:int}/{page}"), route("GET /posts/{id}/edit"), route("GET /posts/{id}")]
    assert list(build_leaves(routes)) == [b"/users", b"/posts"]


def test_more_digits_than_python_reads_are_no_number() -> None:
    found, _ = Matcher([route("GET /posts/{id:int}")]).match("GET", b"/posts/" + b"9" * 5000)
    assert found.outcome is Outcome.NOT_FOUND


def test_a_last_parameter_that_python_does_not_read_is_left_to_the_next_route() -> None:
    text = route("GET /posts/{slug}")
    assert Matcher([route("GET /posts/{id:int}"), text]).match("GET", b"/posts/" + b"9" * 5000) == (text, {"slug": "9" * 5000})


def test_the_next_route_is_tried_when_a_value_cannot_be_made() -> None:
    text = route("GET /{a}/{b}/{c:path}")
    found, params = Matcher([route("GET /x/{id:int}/{rest:path}"), text]).match("GET", b"/x/" + b"9" * 5000 + b"/y")
    assert found is text
    assert params["c"] == "y"
