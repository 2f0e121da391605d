"""Runs inside a project that has a websocket route."""

from __future__ import annotations

from typing import Any

import pytest

from tamago.app import WebSocketClosedError
from tamago.testing import WebSocketRefusedError

pytestmark = pytest.mark.anyio


async def test_messages_go_both_ways(websocket: Any) -> None:
    async with websocket("/talk/7?a=1", headers={"X-Who": "me"}, subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat"
        assert await socket.receive_json(list[str]) == ["7", "1", "me"]
        await socket.send(b"bytes")
        assert await socket.receive() == b"bytes"
        await socket.send_json({"a": 1})
        assert await socket.receive_json(dict[str, int]) == {"a": 1}


async def test_the_application_may_close(websocket: Any) -> None:
    async with websocket("/talk/7", subprotocols=["chat"]) as socket:
        await socket.receive()
        await socket.send("enough")
        for _ in range(2):
            with pytest.raises(WebSocketClosedError) as caught:
                await socket.receive()
            assert (caught.value.code, caught.value.reason) == (4000, "enough")


async def test_the_client_may_close(app: Any, websocket: Any) -> None:
    async with websocket("/talk/7", subprotocols=["chat"]) as socket:
        await socket.close(1001, "bye")
    assert app.ended == "over"


async def test_a_service_of_it_can_be_mocked(websocket: Any, mock_service: Any) -> None:
    mock_service("greeting", "greet", "Good morning!")
    async with websocket("/greet") as socket:
        assert await socket.receive() == "Good morning!"


@pytest.mark.parametrize(("path", "status"), [("/refused", 401), ("/nowhere", 404)])
async def test_a_refusal_is_an_error(websocket: Any, path: str, status: int) -> None:
    with pytest.raises(WebSocketRefusedError) as caught:
        async with websocket(path):
            pass
    assert caught.value.status == status


async def test_what_a_mounted_application_raises_is_raised(websocket: Any) -> None:
    with pytest.raises(LookupError, match="mounted"):
        async with websocket("/mounted") as socket:
            await socket.receive()
