"""What the tests of routing share: routes without a router, and strategies for paths and patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tamago.app.routing.converters import BUILT_IN
from tamago.app.routing.pattern import Pattern, parse
from tamago.app.routing.route import Route


async def handler(ctx: Any) -> None: ...


def pattern(template: str) -> Pattern:
    return parse(template, BUILT_IN)


def route(what: str, **fields: Any) -> Route:
    """`route("GET,POST /posts/{id}")`; the source is what was written, so that messages can be read."""
    methods, _, path = what.partition(" ")
    given: dict[str, Any] = {"handler": handler, "source": f"router.py:{what}"} | fields
    return Route(methods=tuple(methods.split(",")), pattern=pattern(path), **given)


# Few words and many ways to put them together: patterns that overlap are what goes wrong.
WORDS = ("a", "12", "x.y", "é")
SEGMENTS = (*WORDS, "{%s}", "{%s:int}", "{%s:float}", "{%s:path}", "v{%s}", "{%s}.y", "{%s:int}-{%s}")


def _template(segments: list[str]) -> str:
    names = iter("klmnopqrs")
    return "/" + "/".join(segment % tuple(next(names) for _ in range(segment.count("%s"))) for segment in segments)


TEMPLATES = st.lists(st.sampled_from(SEGMENTS), max_size=3).map(_template).filter(lambda template: template.count(":path") < 2)
SENT = ("a", "12", "1.5", "x.y", "va", "12-b", "%C3%A9", "%c3%a9", "é", "%ff", "%2Fa", "9" * 4400, "")
PATHS = st.lists(st.sampled_from(SENT), min_size=1, max_size=4).map(lambda segments: ("/" + "/".join(segments)).encode())

Reference = Callable[[str, bytes], tuple[Route | None, dict[str, Any]]]


def walk(routes: list[Route]) -> Reference:
    """Return what a table is measured by: the routes tried one by one."""

    def find(method: str, path: bytes) -> tuple[Route | None, dict[str, Any]]:
        for route in routes:
            params = route.pattern.match(path) if method in route.methods else None
            if params is not None:
                return route, params
        return None, {}

    return find
