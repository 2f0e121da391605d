"""A FastAPI application, as most who host one have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from report import say  # type: ignore[import-not-found]  # beside it in a site


class Item(BaseModel):
    name: str
    price: float


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
    say("up")
    yield {"motto": "from the lifespan"}
    say("down")


app = FastAPI(lifespan=lifespan)


@app.post("/items")
async def create(item: Item, background: BackgroundTasks) -> Item:
    background.add_task(say, "created", name=item.name)
    return item


@app.get("/sync")
def sync() -> dict[str, str]:
    return {"ran": "in a thread"}


@app.get("/lines")
async def lines() -> StreamingResponse:
    return StreamingResponse(f"line {number}\n" for number in range(1000))
