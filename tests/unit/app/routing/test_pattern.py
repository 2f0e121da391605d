from __future__ import annotations

from typing import Any

import pytest
from tests.unit.app.routing.cases import MATCHES, MISSES
from tests.unit.app.routing.routes import pattern

from tamago.app.routing.errors import RouteError


@pytest.mark.parametrize(("template", "path", "params"), MATCHES)
def test_a_path_matches(template: str, path: bytes, params: dict[str, Any]) -> None:
    assert pattern(template).match(path) == params


@pytest.mark.parametrize(("template", "path"), MISSES)
def test_a_path_does_not_match(template: str, path: bytes) -> None:
    assert pattern(template).match(path) is None


def test_a_path_parameter_takes_a_line_break() -> None:
    assert pattern("/files/{rest:path}").match(b"/files/a%0Ab\n") == {"rest": "a\nb\n"}


@pytest.mark.parametrize(
    ("template", "problem", "hint"),
    [
        ("posts", "does not begin with a slash", "write '/posts'"),
        ("/posts?x=1", "has '?' in it", "no query"),
        ("/posts#top", "has '#' in it", "no query"),
        ("/my posts", "has ' ' in it", "white space"),
        ("/posts/:id", "has the parameter ':id'", "write '{id}'"),
        ("/files/*", "has a '*' in it", "{rest:path}"),
        ("/a//b", "no client sends", "no empty segment"),
        ("/a/../b", "no client sends", "'..'"),
        ("/100%", "begins no escape", "%25"),
        ("/{id", "stray '{'", "{name}"),
        ("/id}", "stray '}'", "{name}"),
        ("/{}", "parameter ''", "such as '{post_id}'"),
        ("/{post-id}", "parameter 'post-id'", "such as '{post_id}'"),
        ("/{id:[0-9]+}", "unknown converter '[0-9]+'", "router.converter"),
        ("/{id:itn}", "unknown converter 'itn'", "did you mean 'int'?"),
        ("/{id}/{id}", "parameter 'id' twice", "name of its own"),
        ("/{a}{b}", "nothing between", "put text or a slash between"),
        ("/x-{rest:path}", "beside other text", "whole segments"),
        ("/{a:path}/x/{b:path}", "two path parameters", "use one"),
    ],
)
def test_a_path_that_cannot_be_right_is_refused(template: str, problem: str, hint: str) -> None:
    with pytest.raises(RouteError) as caught:
        pattern(template)
    assert problem in caught.value.problem
    assert hint in caught.value.hint


def test_patterns_that_differ_in_names_have_the_same_shape() -> None:
    assert pattern("/a/{x:int}/{y}").shape == pattern("/a/{k:int}/{l}/").shape
    assert pattern("/a/{x:int}").shape != pattern("/a/{x}").shape
