"""Runs inside a project, in this order: each test changes what the next one must find as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import tamago
from tamago.app.current import current


@pytest.mark.anyio
async def test_1_everything_is_changed(app: Any, client: httpx.AsyncClient, mock_service: Any, mock_env: Any, mock_context: Any) -> None:
    mocked = mock_service("greeting", "greet", "mocked")
    assert (await client.get("/hello/Ann", params={"times": 3})).json() == {"greeting": "mocked"}
    assert [call.args for call in mocked.calls] == [("Ann", 3)]
    mock_env("prod")
    assert (app.env, app.info.env) == ("prod", "prod")
    assert app.current_context is None
    assert mock_context(url="/x") is app.current_context
    tamago.messenger.on("left", lambda _: None)
    app.left = True


@pytest.mark.anyio
async def test_2_nothing_of_it_is_left(app: Any, client: httpx.AsyncClient) -> None:
    assert (await client.get("/hello/Ann")).json() == {"greeting": "Hello, Ann!"}
    assert app.env == "unittest"
    assert current.get() is None
    assert not hasattr(app, "left")
    assert "left" not in tamago.messenger._listeners.by_action


def test_3_a_plain_test_has_the_application_and_contexts_too(app: Any, mock_context: Any) -> None:
    ctx = mock_context(method="POST", url="/a?b=c", headers={"X-A": "1"}, body=b"text", state={"user": 7}, ip="10.0.0.1")
    assert (ctx.method, ctx.path, ctx.query, ctx.get("x-a"), ctx.state, ctx.ip) == ("POST", "/a", {"b": "c"}, "1", {"user": 7}, "10.0.0.1")
    assert app.current_context is ctx
    assert app.loaded.units


def test_4_its_context_is_gone() -> None:
    assert current.get() is None


@pytest.mark.anyio
async def test_5_the_context_of_an_asynchronous_test_is_the_current_one(app: Any, ctx: Any) -> None:
    assert app.current_context is ctx
    assert await ctx.service.greeting.greet("Ben", 1) == "Hello, Ben!"


@pytest.mark.anyio
async def test_6_a_cookie_lasts_for_a_test(client: httpx.AsyncClient) -> None:
    assert not client.cookies


@pytest.mark.tamago(env="local")
def test_7_another_environment_can_be_loaded(app: Any) -> None:
    assert (app.env, app.config["keys"]) == ("local", "for this machine only")


@pytest.mark.anyio
async def test_8_errors_and_functions_take_the_place_of_a_method(app: Any, ctx: Any, mock_service: Any) -> None:
    service = app.service_index.by_name["greeting"]
    mock_service(service, "greet", LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        await ctx.service.greeting.greet("Ann", 1)
    mock_service(service, "greet", LookupError)
    with pytest.raises(LookupError):
        await ctx.service.greeting.greet("Ann", 1)

    async def slowly(name: str, times: int) -> str:
        return name * times

    functions: list[Callable[..., Any]] = [slowly, lambda name, times: name * times]
    for function in functions:
        mock_service("greeting", "greet", function)
        assert await ctx.service.greeting.greet("Ann", times=2) == "AnnAnn"
    with pytest.raises(TypeError, match="missing"):
        await ctx.service.greeting.greet("Ann")


def test_9_what_is_not_there_cannot_be_mocked(mock_service: Any) -> None:
    with pytest.raises(Exception, match=r"there is no service 'greting'\ndid you mean 'greeting'\?"):
        mock_service("greting", "greet")
    with pytest.raises(Exception, match=r"there is no method GreetingService.gret\ndid you mean 'greet'\?"):
        mock_service("greeting", "gret")


def test_a_what_is_logged_can_be_expected(app: Any, expect_log: Any) -> None:
    app.logger.warning("paid %d", 12)
    app.core_logger.info("done")
    assert expect_log("paid 12", logger="app", level=logging.WARNING).args == (12,)
    expect_log("done", logger="tamago")
    expect_log.never("paid", logger="tamago")


@pytest.mark.anyio
async def test_b_the_agent_answers_in_the_same_process(agent: Any, app: Any) -> None:
    agent.messenger.on("count", lambda number: number + 1)
    assert await app.messenger.request(tamago.Group.AGENT, "count", 1) == 2
