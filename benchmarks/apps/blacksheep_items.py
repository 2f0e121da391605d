"""The same two routes as `items`, for BlackSheep."""

from __future__ import annotations

from blacksheep import Application, Response, get, json, text

app = Application()


class Items:
    async def find(self, number: int) -> dict[str, object]:
        return {"id": number, "name": f"item {number}", "tags": ["a", "b"]}


items = Items()


@get("/plain")
async def plain() -> Response:
    return text("hello")


@get("/items/{number}")
async def show(number: int) -> Response:
    return json(await items.find(number))
