"""Events, background tasks and contexts without a request."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from tests.unit.app.fakes import FakeApplication

from tamago.app.anonymous import anonymous_context, anonymous_scope
from tamago.app.context import Context
from tamago.app.current import current_context
from tamago.app.events import Events, UnknownEventError

pytestmark = pytest.mark.anyio


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_listeners_are_called_in_order_until_they_are_taken_off() -> None:
    events, told = Events(), list[Any]()
    first = events.on("request", lambda ctx: told.append(("first", ctx)))
    events.on("request", lambda ctx: told.append(("second", ctx)))
    events.emit("request", 1)
    events.off("request", first)
    events.off("request", first)
    events.emit("request", 2)
    assert told == [("first", 1), ("second", 1), ("second", 2)]


def test_once_is_once_also_for_an_event_told_from_within() -> None:
    events, told = Events(), list[int]()

    def listener(number: int) -> None:
        told.append(number)
        events.emit("close", number + 1)

    events.once("close", listener)
    events.emit("close", 1)
    events.emit("close", 5)
    assert told == [1]


def test_a_listener_that_fails_keeps_nobody_from_hearing_and_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    events, told = Events(), list[Any]()

    def failing(*_: object) -> None:
        raise LookupError("no")

    events.on("request", failing)
    events.on("request", told.append)
    events.on("error", lambda error, ctx: told.append((type(error), ctx)))
    events.emit("request", 1)
    assert told == [(LookupError, None), 1]
    assert "a listener of 'request' failed" in caplog.text


def test_a_listener_of_errors_that_fails_is_not_told_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    events = Events()

    def failing(*_: object) -> None:
        raise LookupError("no")

    events.on("error", failing)
    events.emit("error", ValueError(), None)
    assert caplog.text.count("a listener of 'error' failed") == 1


def test_an_event_nobody_tells_is_an_error_with_the_nearest_name() -> None:
    events = Events()
    with pytest.raises(UnknownEventError, match="did you mean 'request'"):
        events.on("requests", print)
    events.declare("session:expired")
    events.on("session:expired", print)


# ── background ───────────────────────────────────────────────────────────────────────────────────────────────────────


def new_context(app: FakeApplication) -> Context:
    return anonymous_context(app.context)


async def test_work_in_the_background_is_logged_with_its_name(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    ctx = new_context(app)
    seen: list[object] = []

    async def send_mail(given: Context) -> None:
        seen.extend([given is ctx, current_context() is ctx])

    with caplog.at_level("INFO"):
        ctx.run_in_background(send_mail, name="mail")
        ctx.run_in_background(send_mail)
        await app.background.finished()
    assert seen == [True] * 4
    assert re.search(r"\[background\] task mail success \(\d+ms\)", caplog.text)
    assert "send_mail success" in caplog.text
    assert len(app.background) == 0


async def test_work_that_fails_is_logged_and_told(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []
    app.events.on("error", lambda *details: told.append(details))
    error = LookupError("gone")

    async def failing(ctx: Context) -> None:
        raise error

    ctx = new_context(app)
    ctx.run_in_background(failing, name="mail")
    await app.background.drain(60)
    assert "[background] task mail fail" in caplog.text
    assert told == [(error, ctx)]


async def test_the_end_waits_for_work_also_for_what_that_begins(app: FakeApplication) -> None:
    ctx = new_context(app)
    done: list[str] = []

    async def second(ctx: Context) -> None:
        await asyncio.sleep(0)
        done.append("second")

    async def first(ctx: Context) -> None:
        await asyncio.sleep(0)
        ctx.run_in_background(second)
        done.append("first")

    ctx.run_in_background(first)
    await app.background.drain(60)
    assert done == ["first", "second"]


async def test_work_that_never_ends_is_cancelled_and_named(app: FakeApplication, caplog: pytest.LogCaptureFixture) -> None:
    cancelled = asyncio.Event()

    async def endless(ctx: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    new_context(app).run_in_background(endless, name="endless")
    await app.background.drain(0.001)
    assert cancelled.is_set()
    assert "background endless is not done after 0.001s and is cancelled" in caplog.text


# ── contexts without a request ───────────────────────────────────────────────────────────────────────────────────────


def test_an_anonymous_context_is_a_get_from_this_machine(app: FakeApplication) -> None:
    ctx = new_context(app)
    assert (ctx.method, ctx.url, ctx.path, ctx.query, ctx.querystring) == ("GET", "/", "/", {}, "")
    assert (ctx.ip, ctx.host, ctx.hostname, ctx.protocol) == ("127.0.0.1",) * 3 + ("http",)
    assert ctx.get("x-forwarded-for") == "127.0.0.1"


async def test_an_anonymous_context_can_be_given_a_request(app: FakeApplication) -> None:
    ctx = anonymous_context(app.context, method="POST", url="/a?b=1", headers={"Host": "x.example", "x-a": "1"}, body=b"[1]")
    assert (ctx.method, ctx.path, ctx.query, ctx.host, ctx.get("x-a")) == ("POST", "/a", {"b": "1"}, "x.example", "1")
    assert await ctx.json() == [1]


async def test_an_anonymous_context_is_the_current_one_within_its_scope(app: FakeApplication) -> None:
    async with anonymous_scope(app.context, url="/x") as ctx:
        assert current_context() is ctx
    assert current_context() is None
