from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.unit.app.routing.routes import pattern

from tamago.app.routing.errors import RouteError

MATCHES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("/", b"/", {}),
    ("/about", b"/about", {}),
    ("/about", b"/about/", {}),
    ("/about/", b"/about", {}),
    ("/posts/{id}", b"/posts/7", {"id": "7"}),
    ("/posts/{id}", b"/posts/7/", {"id": "7"}),
    ("/posts/{id}", b"/posts/a%20b", {"id": "a b"}),
    ("/posts/{id}", b"/posts/a%2Fb", {"id": "a/b"}),
    ("/posts/{id}", b"/posts/%E4%B8%AD", {"id": "中"}),
    ("/posts/{id}", "/posts/中".encode(), {"id": "中"}),
    ("/posts/{id}", b"/posts/100%", {"id": "100%"}),
    ("/posts/{id:int}", b"/posts/007", {"id": 7}),
    ("/at/{x:float}", b"/at/1.50", {"x": 1.5}),
    ("/at/{x:float}", b"/at/3", {"x": 3.0}),
    ("/u/{u:uuid}", b"/u/12345678-1234-5678-1234-567812345678", {"u": UUID("12345678123456781234567812345678")}),
    ("/files/{rest:path}", b"/files/a/b%20c/", {"rest": "a/b c/"}),
    ("/files/{rest:path}/raw", b"/files/a/raw/b/raw", {"rest": "a/raw/b"}),
    ("/{name}.{ext}", b"/archive.tar.gz", {"name": "archive", "ext": "tar.gz"}),
    ("/{major:int}.{minor:int}", b"/3.11", {"major": 3, "minor": 11}),
    ("/v{version:int}/{id}:publish", b"/v2/x:publish", {"version": 2, "id": "x"}),
    ("/café", b"/caf%C3%A9", {}),
    ("/café", b"/caf%c3%a9", {}),
    ("/caf%c3%a9", b"/caf%C3%A9", {}),
    ("/a.b", b"/a.b", {}),
]

MISSES = [
    ("/", b""),
    ("/", b"//"),
    ("/about", b"/About"),
    ("/about", b"/about//"),
    ("/about", b"/%61bout"),
    ("/posts/{id}", b"/posts/"),
    ("/posts/{id}", b"/posts//"),
    ("/posts/{id}", b"/posts/a/b"),
    ("/posts/{id}", b"/posts/%FF"),
    ("/posts/{id:int}", b"/posts/-1"),
    ("/posts/{id:int}", b"/posts/1_0"),
    ("/posts/{id:int}", b"/posts/+1"),
    ("/posts/{id:int}", b"/posts/\xd9\xa1"),
    ("/posts/{id:int}", b"/posts/" + b"9" * 5000),
    ("/at/{x:float}", b"/at/1e5"),
    ("/at/{x:float}", b"/at/nan"),
    ("/at/{x:float}", b"/at/" + b"9" * 400),
    ("/u/{u:uuid}", b"/u/12345678"),
    ("/files/{rest:path}", b"/files/"),
    ("/files/{rest:path}", b"/files//etc/passwd"),
    ("/files/{rest:path}", b"/files/%2Fetc/passwd"),
    ("/a.b", b"/axb"),
    ("/{a}-{b}/x", b"/" + b"-" * 8000),
]


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
