"""Runs inside a project that asks another server for the weather."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio
URL = "http://weather.test/today"


async def test_an_answer_can_be_given(client: httpx.AsyncClient, mock_httpclient: Any) -> None:
    mock = mock_httpclient(URL, json={"degrees": 21}, status=203, headers={"x-a": "b"})
    assert (await client.get("/weather")).json() == {"status": 203, "body": {"degrees": 21}, "x-a": "b"}
    assert [request.url.params["city"] for request in mock.requests] == ["Oslo"]


async def test_a_function_can_answer(client: httpx.AsyncClient, mock_httpclient: Any) -> None:
    mock_httpclient(re.compile(r"^http://weather\.test/"), lambda request: httpx.Response(200, json=request.url.path))
    assert (await client.get("/weather")).json()["body"] == "/today"

    async def later(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.method)

    mock_httpclient(lambda request: request.url.host == "weather.test", later)
    assert (await client.get("/weather")).json()["body"] == "GET"


async def test_it_can_fail(app: Any, mock_httpclient: Any) -> None:
    mock_httpclient(URL, httpx.ConnectTimeout("too slow"))
    with pytest.raises(httpx.ConnectTimeout, match="too slow"):
        await app.httpclient.get(URL)


async def test_the_newest_mock_that_fits_answers(app: Any, mock_httpclient: Any) -> None:
    mock_httpclient(URL, text="always")
    mock_httpclient(URL, text="once", times=1)
    mock_httpclient(URL, text="posted", method="post")
    assert [(await app.httpclient.get(URL)).text for _ in range(2)] == ["once", "always"]
    assert (await app.httpclient.post(URL)).text == "posted"


async def test_a_query_that_is_given_must_be_there(app: Any, mock_httpclient: Any) -> None:
    mock_httpclient(f"{URL}?city=Rome", text="hot")
    assert (await app.httpclient.get(URL, params={"city": "Rome"})).text == "hot"
    with pytest.raises(Exception, match=r"GET http://weather.test/today is not mocked(.|\n)*mocked is any method .*city=Rome"):
        await app.httpclient.get(URL)


def test_blocking_clients_are_answered_too(mock_httpclient: Any) -> None:
    mock_httpclient(URL, text="hot")
    with httpx.Client() as client:
        assert client.get(URL).text == "hot"
