from __future__ import annotations

import enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from tests.unit.app.routing.routes import pattern

from tamago.app.routing.errors import UrlError
from tamago.app.routing.urls import build_url


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("template", "params", "url"),
    [
        ("/", {}, "/"),
        ("/api/posts/{id}", {"id": "a b", "q": [1, 2], "z": "中"}, "/api/posts/a%20b?q=1&q=2&z=%E4%B8%AD"),  # Egg's
        ("/posts/{id:int}", {"id": 7}, "/posts/7"),
        ("/posts/{id:int}", {"id": "7"}, "/posts/7"),
        ("/posts/{id}", {"id": "a/b?c#d"}, "/posts/a%2Fb%3Fc%23d"),
        ("/posts/", {}, "/posts/"),
        ("/files/{rest:path}", {"rest": "a b/c"}, "/files/a%20b/c"),
        ("/at/{x:float}", {"x": 0.0000001}, "/at/0.0000001"),
        ("/u/{u:uuid}", {"u": UUID(int=1)}, "/u/00000000-0000-0000-0000-000000000001"),
        ("/c/{color}", {"color": Color.RED, "dark": True}, "/c/red?dark=true"),
        ("/posts", {"page": None, "tag": [], "a&b": "c=d"}, "/posts?a%26b=c%3Dd"),
        ("/café/{x}", {"x": 1}, "/caf%C3%A9/1"),
        ("/{name}.{ext}", {"name": "x", "ext": "tar.gz"}, "/x.tar.gz"),
    ],
)
def test_a_url_is_written(template: str, params: dict[str, Any], url: str) -> None:
    assert build_url(pattern(template), params) == url


@pytest.mark.parametrize(
    ("template", "params"),
    [
        ("/posts/{id:int}", {"id": "x"}),
        ("/posts/{id:int}", {"id": -1}),
        ("/posts/{id:int}", {"id": True}),
        ("/posts/{id:int}", {"id": 1.0}),
        ("/posts/{id}", {"id": ""}),
        ("/posts/{id}", {"id": ".."}),
        ("/posts/{id}", {"id": "."}),
        ("/posts/{id}", {"id": [1]}),
        ("/posts/{id}", {"id": b"x"}),
        ("/files/{rest:path}", {"rest": "/etc"}),
        ("/files/{rest:path}", {"rest": "a/../b"}),
        ("/at/{x:float}", {"x": float("nan")}),
    ],
)
def test_a_value_whose_url_would_not_lead_back_is_refused(template: str, params: dict[str, Any]) -> None:
    with pytest.raises(UrlError, match="cannot be the"):
        build_url(pattern(template), params)


def test_a_value_that_would_be_cut_elsewhere_is_refused() -> None:
    with pytest.raises(UrlError, match=r"'/a.b.c' is no URL of '/{name}.{ext}'"):
        build_url(pattern("/{name}.{ext}"), {"name": "a.b", "ext": "c"})


def test_all_missing_parameters_are_named() -> None:
    with pytest.raises(UrlError) as caught:
        build_url(pattern("/{a}/{b}/{c}"), {"b": 1, "c": None}, name="three")
    assert caught.value.problem == "the URL of 'three' needs 'a', 'c'"
    assert "/{a}/{b}/{c}" in caught.value.hint


@given(st.text(), st.integers())
def test_a_url_leads_back_to_its_parameters(text: str, number: int) -> None:
    posts = pattern("/x/{text}/{number:int}")
    try:
        url = build_url(posts, {"text": text, "number": number})
    except (UrlError, UnicodeEncodeError):
        return
    assert posts.match(url.encode()) == {"text": text, "number": number}
