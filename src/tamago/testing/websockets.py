"""Websockets to an application in the process of its tests, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from tamago.app import WebSocketClosedError

if TYPE_CHECKING:
    from tamago.app import Application

Message = dict[str, Any]


class WebSocketRefusedError(Exception):
    """The application answered the handshake with a status and a body instead."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"the websocket was refused with {status}: {body[:200].decode(errors='replace')}")
        self.status = status
        self.body = body


class TestedWebSocket:
    """The client's end of a websocket; `subprotocol` is the one the application chose."""

    __test__ = False  # pytest would take it for tests

    def __init__(self) -> None:
        self.subprotocol: str | None = None
        self.to_application: asyncio.Queue[Message] = asyncio.Queue()
        self.from_application: asyncio.Queue[Message | None] = asyncio.Queue()
        """Ends with None, once the application has nothing to say any more."""

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        self.to_application.put_nowait({"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message})

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON."""
        await self.send(msgspec.json.encode(value).decode())

    async def receive(self) -> str | bytes:
        """Return the application's next message. Raises WebSocketClosedError with its code and reason once it has closed."""
        message = await self.from_application.get()
        if message is None or message["type"] != "websocket.send":
            self.from_application.put_nowait(message)  # for whoever asks once more
            raise WebSocketClosedError(1006) if message is None else WebSocketClosedError(message["code"], message.get("reason") or "")
        text = message.get("text")
        data: str | bytes = message["bytes"] if text is None else text
        return data

    async def receive_json(self, kind: Any = Any) -> Any:
        """Return the next message decoded from JSON, and checked against `kind`."""
        return msgspec.json.decode(await self.receive(), type=kind)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, as a client does that leaves."""
        self.to_application.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})


class WebSockets:
    """What the fixture `websocket` is."""

    def __init__(self, app: Application) -> None:
        self._app = app

    @asynccontextmanager
    async def __call__(
        self, url: str, *, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> AsyncIterator[TestedWebSocket]:
        """Connect to `url`, such as "/live?room=7", and be connected within the block; it is closed at its end, and the handler waited for.

        Raises WebSocketRefusedError if the application does not accept, and at the end what a mounted application raised.
        """
        socket = TestedWebSocket()
        socket.to_application.put_nowait({"type": "websocket.connect"})

        async def send(message: Any) -> None:
            socket.from_application.put_nowait(message)

        task = asyncio.create_task(self._app(_scope(url, headers or {}, subprotocols), socket.to_application.get, send))
        task.add_done_callback(lambda _: socket.from_application.put_nowait(None))
        try:
            socket.subprotocol = await _accepted(socket.from_application)
            yield socket
        finally:
            await socket.close()
            await task


async def _accepted(messages: asyncio.Queue[Message | None]) -> str | None:
    status, body = 403, b""
    while (message := await messages.get()) is not None:
        match message["type"]:
            case "websocket.accept":
                subprotocol: str | None = message.get("subprotocol")
                return subprotocol
            case "websocket.http.response.start":
                status = message["status"]
            case "websocket.http.response.body":
                body += message["body"]
            case _:
                break
    raise WebSocketRefusedError(status, body)


def _scope(url: str, headers: Mapping[str, str], subprotocols: Sequence[str]) -> dict[str, Any]:
    parts = urlsplit(url)
    fields = {"host": "127.0.0.1", **{name.lower(): value for name, value in headers.items()}}
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields.items()],
        "client": ("127.0.0.1", 7001),
        "server": ("127.0.0.1", 80),
        "subprotocols": list(subprotocols),
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }
