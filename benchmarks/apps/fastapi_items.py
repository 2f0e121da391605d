"""The same two routes as `items`, for FastAPI."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


class Items:
    async def find(self, number: int) -> dict[str, object]:
        return {"id": number, "name": f"item {number}", "tags": ["a", "b"]}


@app.get("/plain", response_class=PlainTextResponse)
async def plain() -> str:
    return "hello"


@app.get("/items/{number}")
async def show(number: int, items: Annotated[Items, Depends()]) -> dict[str, object]:
    return await items.find(number)
