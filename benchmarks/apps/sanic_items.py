"""The same two routes as `items`, for Sanic."""

from __future__ import annotations

from sanic import HTTPResponse, Request, Sanic, json, text

app = Sanic("items")


class Items:
    async def find(self, number: int) -> dict[str, object]:
        return {"id": number, "name": f"item {number}", "tags": ["a", "b"]}


items = Items()


@app.get("/plain")
async def plain(_request: Request) -> HTTPResponse:
    return text("hello")


@app.get("/items/<number:int>")
async def show(_request: Request, number: int) -> HTTPResponse:
    return json(await items.find(number))
