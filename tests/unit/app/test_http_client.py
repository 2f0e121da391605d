from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tamago.app.events import UnknownEventError
from tamago.app.http_client import HttpClientConfig, MissingHttpxError, RequestEvent, ResponseEvent, make_http_client
from tamago.app.http_session import HttpClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def client(
    answer: Callable[[httpx.Request], httpx.Response], config: HttpClientConfig | None = None, *, context: object | None = None
) -> HttpClient:
    return make_http_client(config or HttpClientConfig(), current=lambda: context, transport=httpx.MockTransport(answer))


async def test_a_request_and_its_response_are_told_with_the_context_they_belong_to() -> None:
    context = object()
    told: list[RequestEvent | ResponseEvent] = []

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"traced": request.headers["traceparent"]})

    async with client(answer, context=context) as http:

        def trace(event: RequestEvent) -> None:
            event.request.headers["traceparent"] = "00-1"
            told.append(event)

        http.on("request", trace)
        http.on("response", told.append)
        response = await http.get("http://peer/a")

    assert response.json() == {"traced": "00-1"}
    before, after = told
    assert isinstance(before, RequestEvent)
    assert isinstance(after, ResponseEvent)
    assert before.request is after.request
    assert (before.context, after.context, after.response, after.error) == (context, context, response, None)
    assert after.seconds > 0


async def test_a_failure_is_told_and_raised() -> None:
    told: list[ResponseEvent] = []

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client(fail) as http:
        http.on("response", told.append)
        with pytest.raises(httpx.ConnectError, match="refused") as caught:
            await http.post("http://peer/", json={})
    assert [(event.response, event.error) for event in told] == [(None, caught.value)]


async def test_a_stream_is_told_too() -> None:
    told: list[ResponseEvent] = []
    async with client(lambda _: httpx.Response(200, text="streamed")) as http:
        http.on("response", told.append)
        async with http.stream("GET", "http://peer/") as response:
            assert await response.aread() == b"streamed"
    assert [event.response for event in told] == [response]


async def test_a_listener_that_fails_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    told: list[RequestEvent] = []

    def broken(event: RequestEvent) -> None:
        raise ValueError("mine")

    async with client(lambda _: httpx.Response(204)) as http:
        http.on("request", broken)
        http.on("request", told.append)
        with caplog.at_level(logging.ERROR):
            assert (await http.get("http://peer/")).status_code == 204
    assert len(told) == 1
    assert caplog.messages == ["a listener of the http client's 'request' failed"]


async def test_a_listener_that_would_never_be_called_is_refused() -> None:
    async def trace(event: RequestEvent) -> None: ...

    misspelt: Any = "reqest"
    async with client(lambda _: httpx.Response(204)) as http:
        with pytest.raises(UnknownEventError, match=r"there is no event 'reqest'\ndid you mean 'request'\?"):
            http.on(misspelt, print)
        with pytest.raises(TypeError, match="nobody would await"):
            http.on("request", trace)


async def test_cookies_of_one_answer_do_not_go_out_with_another_request() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"set-cookie": "session=of-somebody; Path=/"})

    async with client(answer) as http:
        await http.get("http://peer.example/")
        await http.get("http://peer.example/")
        await http.get("http://peer.example/", headers={"cookie": "mine=1"})
    assert seen == [None, None, "mine=1"]


async def test_timeouts_and_pool_are_as_configured() -> None:
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200)

    config = HttpClientConfig(timeout=7, connect_timeout=1, base_url="http://peer/v1/", headers={"user-agent": "blog"})
    async with client(answer, config) as http:
        response = await http.get("posts")
        await http.get("posts", timeout=2)
    assert seen == [
        {"connect": 1, "read": 7, "write": 7, "pool": 7},
        {"connect": 2, "read": 2, "write": 2, "pool": 2},
    ]
    assert str(response.request.url) == "http://peer/v1/posts"
    assert response.request.headers["user-agent"] == "blog"


async def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tamago.app.http_session")
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingHttpxError, match="which is not installed\npip install 'tamago\\[httpclient\\]'"):
        make_http_client(HttpClientConfig())
