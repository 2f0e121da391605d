"""The example shop, in-process: no cluster, no socket, the messenger in memory."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest

import tamago
from tamago.ipc.messenger import Messenger

SHOP = Path(__file__).parents[2] / "examples" / "shop"
MODULES = ("agent", "main", "rates", "store")

Shop = SimpleNamespace
Client = httpx.AsyncClient


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shop]:
    """Import the shop afresh, as `uvicorn main:app` in its directory would, with a messenger and a database of its own."""
    monkeypatch.setattr(tamago, "messenger", Messenger())
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.sqlite3"))
    monkeypatch.setenv("SHOP_RATES_INTERVAL", "0.01")
    monkeypatch.syspath_prepend(str(SHOP))
    modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in MODULES}
    yield Shop(**modules, messenger=tamago.messenger)
    for name in MODULES:
        del sys.modules[name]


@asynccontextmanager
async def served(shop: Shop) -> AsyncIterator[Client]:
    app = shop.main.app
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), Client(transport=transport, base_url="http://shop") as client:
        yield client


def visit(shop: Shop, session: Callable[[Client], Awaitable[Any]]) -> Any:
    """Run `session` against a shop that has no agent."""

    async def whole() -> Any:
        async with served(shop) as client:
            return await session(client)

    return asyncio.run(whole())


def test_the_shop_opens_with_products_in_it(shop: Shop) -> None:
    answer = visit(shop, lambda client: client.get("/products"))
    assert answer.json()[0] == {"id": 1, "name": "egg cup", "cents": 450}
    assert len(answer.json()) == len(shop.store.STOCK)


def test_opening_twice_fills_the_shelves_once(shop: Shop) -> None:
    visit(shop, lambda client: client.get("/products"))
    assert len(visit(shop, lambda client: client.get("/products")).json()) == len(shop.store.STOCK)


def test_without_an_agent_the_opening_rates_apply(shop: Shop) -> None:
    rates = visit(shop, lambda client: client.get("/rates")).json()
    assert rates["version"] == 0
    assert rates["rates"]["USD"] == "1.0854"


def test_an_order_is_priced_in_the_currency_it_names(shop: Shop) -> None:
    async def session(client: Client) -> tuple[httpx.Response, httpx.Response]:
        placed = await client.post("/orders", json={"product_id": 2, "quantity": 3, "currency": "GBP"})
        return placed, await client.get(f"/orders/{placed.json()['id']}")

    placed, found = visit(shop, session)
    assert placed.status_code == 201
    assert placed.json()["total"] == "32.67"  # 3 at 12.90 euros, at 0.8443
    assert found.json() == placed.json()


@pytest.mark.parametrize("quantity", [0, 1001])
def test_an_absurd_quantity_is_refused(shop: Shop, quantity: int) -> None:
    answer = visit(shop, lambda client: client.post("/orders", json={"product_id": 1, "quantity": quantity}))
    assert answer.status_code == 422


def test_an_unknown_currency_is_refused_with_the_known_ones(shop: Shop) -> None:
    answer = visit(shop, lambda client: client.post("/orders", json={"product_id": 1, "currency": "XTS"}))
    assert answer.status_code == 422
    assert "'XTS'" in answer.json()["detail"]
    assert "USD" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/products/99", "/orders/99"])
def test_what_is_not_in_the_shop_is_not_found(shop: Shop, path: str) -> None:
    assert visit(shop, lambda client: client.get(path)).status_code == 404


def test_an_order_for_an_unknown_product_is_not_found(shop: Shop) -> None:
    assert visit(shop, lambda client: client.post("/orders", json={"product_id": 99})).status_code == 404


def test_outside_a_cluster_whoami_is_the_one_worker(shop: Shop) -> None:
    answer = visit(shop, lambda client: client.get("/whoami")).json()
    assert (answer["role"], answer["slot"], answer["generation"]) == ("worker", 1, 1)


def test_a_worker_asks_the_agent_for_the_rates_when_it_starts(shop: Shop) -> None:
    async def session() -> Any:
        agent = shop.agent.Agent()
        await agent.start()
        async with served(shop) as client:
            rates = (await client.get("/rates")).json()
        await agent.stop()
        return rates

    assert asyncio.run(session())["version"] > 0


def test_a_worker_takes_the_rates_the_agent_pushes(shop: Shop) -> None:
    async def session() -> tuple[int, int]:
        agent = shop.agent.Agent()
        await agent.start()
        async with served(shop) as client:
            first = (await client.get("/rates")).json()["version"]
            pushed = asyncio.Event()
            # Registered after the worker's own listener, so the worker has the rates when this one is called.
            shop.messenger.once("rates.changed", lambda _: pushed.set())
            await agent.ready()
            await pushed.wait()
            second = (await client.get("/rates")).json()["version"]
        await agent.stop()
        return first, second

    first, second = asyncio.run(session())
    assert second > first


def test_rates_that_were_overtaken_are_ignored(shop: Shop) -> None:
    source, cache = shop.rates.DriftingSource(), shop.rates.RateCache()
    cache.offer(source.table(8).to_message())
    cache.offer(source.table(7).to_message())
    assert cache.table == source.table(8)


def test_a_table_of_rates_comes_back_the_same_from_a_message(shop: Shop) -> None:
    table = shop.rates.DriftingSource().table(123)
    assert shop.rates.RateTable.from_message(table.to_message()) == table


def test_rates_drift_but_stay_near_the_opening(shop: Shop) -> None:
    source = shop.rates.DriftingSource()
    dollars = {source.table(version).rate("USD") for version in range(50)}
    opening = shop.rates.OPENING["USD"]
    assert len(dollars) > 10
    assert all(abs(rate / opening - 1) <= 0.031 for rate in dollars)
