from __future__ import annotations

import pytest
from hypothesis import given
from tests.unit.app.routing.routes import PATHS, TEMPLATES, pattern

from tamago.app.routing.overlap import covers, disjoint


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("/a", "/a", True),
        ("/a", "/a/", True),
        ("/a", "/b", False),
        ("/{x}", "/a", True),
        ("/{x:int}", "/a", False),
        ("/{x:int}", "/5", True),
        ("/a", "/{x}", False),
        ("/{x}", "/{y}", True),
        ("/{x}", "/{y:int}", True),
        ("/{x:int}", "/{y}", False),
        ("/{x}", "/{y}.json", True),
        ("/{x}.json", "/{y}", False),
        ("/{x}", "/{y}/z", False),
        ("/{x}", "/", False),
        ("/", "/{x}", False),
        ("/a/{x}/c", "/a/b/c", True),
        ("/{x:path}", "/a/b/{c}", True),
        ("/a/{x:path}", "/a", False),
        ("/a/{x:path}", "/a/{y:path}/edit", True),
        ("/a/{x:path}/edit", "/a/{y:path}", False),
        ("/{x}", "/{y:path}", False),
        ("/{x}", "/caf%C3%A9", True),
    ],
)
def test_one_pattern_covers_another(first: str, second: str, expected: bool) -> None:
    assert covers(pattern(first), pattern(second)) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("/a/{x}", "/b/{x}", True),
        ("/a/{x}", "/a/{x}/c", True),
        ("/a/{x}", "/{y}/{x}", False),
        ("/a/{x}", "/{y:int}/{x}", True),
        ("/a/{x}", "/{y:path}", False),
        ("/a/{x}", "/b/{y:path}", True),
        ("/{x:int}", "/{y:float}", False),
    ],
)
def test_two_patterns_have_no_path_in_common(first: str, second: str, expected: bool) -> None:
    assert disjoint(pattern(first), pattern(second)) is expected
    assert disjoint(pattern(second), pattern(first)) is expected


@given(TEMPLATES, TEMPLATES, PATHS)
def test_no_path_matches_two_disjoint_patterns(first: str, second: str, path: bytes) -> None:
    if disjoint(pattern(first), pattern(second)):
        assert pattern(first).match(path) is None or pattern(second).match(path) is None


@given(TEMPLATES, TEMPLATES, PATHS)
def test_a_pattern_takes_every_path_of_one_it_covers(first: str, second: str, path: bytes) -> None:
    # A path that begins with an escaped slash is nobody's business: a parameter for the rest leaves it to others.
    if covers(pattern(first), pattern(second)) and pattern(second).match(path) is not None and b"%2F" not in path:
        assert pattern(first).match(path) is not None
