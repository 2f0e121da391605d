"""The shop over HTTP: products, orders priced at today's exchange rate, and a look at which process answered.

Runs under `tamago start --app main:app` with its agent, and unchanged under `uvicorn main:app` or pytest, where there is no agent
and the opening rates apply.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from rates import BASE_CURRENCY, RateCache, UnknownCurrencyError
from store import Order, Product, Store

import tamago
from tamago import messenger
from tamago.errors import TamagoError
from tamago.types import Group

RowT = TypeVar("RowT", Product, Order)


class ProductOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    cents: int


class OrderIn(BaseModel):
    product_id: int
    quantity: int = Field(default=1, ge=1, le=1000)
    currency: str = BASE_CURRENCY


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    product_id: int
    quantity: int
    currency: str
    rate: Decimal
    total: Decimal


class RatesOut(BaseModel):
    version: int
    rates: dict[str, Decimal]


class WhoOut(BaseModel):
    role: str
    slot: int
    generation: int
    pid: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and learn the rates; both belong to one worker, so both happen after the fork."""
    rates = RateCache()
    messenger.on("rates.changed", rates.offer)
    with suppress(TamagoError):  # no agent: the opening rates will do
        rates.offer(await messenger.request(Group.AGENT, "rates.get", timeout=2.0))
    store = Store(os.environ.get("SHOP_DATABASE", "shop.sqlite3"))
    store.prepare()
    app.state.store, app.state.rates = store, rates
    try:
        yield
    finally:
        messenger.off("rates.changed", rates.offer)
        store.close()


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _rates(request: Request) -> RateCache:
    rates: RateCache = request.app.state.rates
    return rates


StoreDep = Annotated[Store, Depends(_store)]
RatesDep = Annotated[RateCache, Depends(_rates)]

app = FastAPI(title="shop", lifespan=lifespan)


@app.get("/products")
def list_products(store: StoreDep) -> list[ProductOut]:
    return [ProductOut.model_validate(product) for product in store.products()]


@app.get("/products/{product_id}")
def show_product(product_id: int, store: StoreDep) -> ProductOut:
    return ProductOut.model_validate(_found(store.product(product_id)))


@app.post("/orders", status_code=201)
def place_order(wanted: OrderIn, store: StoreDep, rates: RatesDep) -> OrderOut:
    product = _found(store.product(wanted.product_id))
    try:
        rate = rates.table.rate(wanted.currency)
    except UnknownCurrencyError as error:
        raise HTTPException(422, str(error)) from error
    order = store.add_order(product, quantity=wanted.quantity, currency=wanted.currency, rate=rate)
    return OrderOut.model_validate(order)


@app.get("/orders/{order_id}")
def show_order(order_id: int, store: StoreDep) -> OrderOut:
    return OrderOut.model_validate(_found(store.order(order_id)))


@app.get("/rates")
async def show_rates(rates: RatesDep) -> RatesOut:
    return RatesOut(version=rates.table.version, rates=dict(rates.table.rates))


@app.get("/whoami")
async def whoami() -> WhoOut:
    return WhoOut(role=tamago.me.role.value, slot=tamago.me.slot, generation=tamago.me.generation, pid=os.getpid())


def _found(row: RowT | None) -> RowT:
    if row is None:
        raise HTTPException(404, "there is no such thing in the shop")
    return row
