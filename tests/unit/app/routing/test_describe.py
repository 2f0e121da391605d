from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tests.unit.app.routing.routes import handler

from tamago.app.routing.describe import RouteRow, describe
from tamago.app.routing.router import Router


class PostController:
    def show(self) -> None: ...


async def only_admins(ctx: Any, call_next: Any) -> None: ...


class Gzip:
    async def __call__(self, ctx: Any, call_next: Any) -> None: ...


def rows(directory: Path | None = None) -> list[RouteRow]:
    router = Router({"post": PostController})
    router.get("/posts/{id:int}", only_admins, Gzip(), "post.show", name="post", host="example.com", timeout=2.0)
    router.websocket("/chat", handler)
    router.redirect("/old", "/posts", 301)
    return describe(router.compile(lambda _route: handler), directory)


def test_a_row_says_everything_about_a_route_in_plain_values() -> None:
    first = rows(Path(__file__).parent)[0]
    assert first == RouteRow(
        methods=("GET",),
        path="/posts/{id:int}",
        name="post",
        params=("id",),
        handler="PostController.show",
        middleware=("only_admins", "Gzip"),
        host="example.com",
        websocket=False,
        timeout=2.0,
        source=first.source,
    )
    assert first.source.startswith("test_describe.py:")


def test_rows_stand_in_the_order_of_registration() -> None:
    assert [(row.path, row.handler, row.websocket) for row in rows()] == [
        ("/posts/{id:int}", "PostController.show", False),
        ("/chat", "handler", True),
        ("/old", "→ /posts (301)", False),
    ]


def test_a_source_elsewhere_is_told_in_full() -> None:
    assert all(row.source.startswith(f"{__file__}:") for row in rows(Path("/nowhere")))


def test_rows_can_be_written_as_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(rows()))[2]["handler"] == "→ /posts (301)"
