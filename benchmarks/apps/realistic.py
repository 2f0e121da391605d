"""The application every server is started with: what a Python team really imports, and a few real routes.

It writes down when each worker's start-up ended (`BENCH_MARKS`), so that servers are compared by the same events.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import httpx
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field, TypeAdapter
from sqlalchemy import ForeignKey, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.types import Lifespan


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    orders: Mapped[list[Purchase]] = relationship(back_populates="customer")


class Purchase(Base):
    __tablename__ = "purchases"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    quantity: int = Field(ge=1, le=1000)
    price: Decimal = Field(ge=0, decimal_places=2)


class Order(BaseModel):
    id: int
    email: str
    lines: list[Line]
    placed: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Answered(BaseModel):
    pid: int
    at: float


ORDERS = TypeAdapter(list[Order])
LIMITS = httpx.Limits(max_connections=100)

# Made at import, as the documentation of FastAPI and SQLAlchemy shows it; no connection is opened before the first query.
engine = create_engine("sqlite://")


def _mark(path: str) -> None:
    # One short write to a file opened for appending is whole, whoever else writes.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{os.getpid()} {time.monotonic()}\n".encode())
    os.close(descriptor)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    if marks := os.environ.get("BENCH_MARKS"):
        _mark(marks)
    yield


@asynccontextmanager
async def lifespan_with_clients(app: FastAPI) -> AsyncIterator[None]:
    """Open what cannot be shared between processes, in each worker: memory that no server can save."""
    app.state.engine = create_engine("sqlite://")
    async with httpx.AsyncClient() as app.state.client, lifespan(app):
        yield
    app.state.engine.dispose()


router = APIRouter()


@router.get("/pid")
async def pid(hold: float = 0.0) -> Answered:
    """Say who answers, and block the whole worker for `hold` seconds, so that the next connection must go to another one."""
    answered = Answered(pid=os.getpid(), at=time.monotonic())
    if hold:
        time.sleep(hold)  # noqa: ASYNC251, TID251  blocking is the point
    return answered


@router.get("/orders/{order_id}")
async def order(order_id: int) -> Order:
    return Order(id=order_id, email="a@example.org", lines=[Line(sku="EGG-0001", quantity=6, price=Decimal("4.50"))])


@router.post("/orders")
async def place(order: Order) -> Order:
    return order


@router.get("/customers")
def customers() -> str:
    return str(select(Customer).join(Customer.orders))


def _application(title: str, lifespan: Lifespan[FastAPI]) -> FastAPI:
    application = FastAPI(title=title, lifespan=lifespan)
    application.include_router(router)
    return application


app = _application("realistic", lifespan)
app_with_clients = _application("realistic, with clients", lifespan_with_clients)
