"""A websocket, as the handler of a websocket route has it: `ctx.websocket`. Over ASGI's websocket scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from tamago.app.asgi_exchange import Receive, Scope, Send
from tamago.app.errors import BadRequestError


class WebSocketClosedError(ConnectionError):
    """The websocket is closed: `code` and `reason` say why (RFC 6455, 7.4)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the websocket is closed ({code}{', ' + reason if reason else ''})")
        self.code = code
        self.reason = reason


class BadMessageError(BadRequestError):
    """A message is not what `receive_json` was to get. A handler that lets it through closes with 1007, and the client is told this."""

    def __init__(self, error: msgspec.DecodeError) -> None:
        super().__init__(f"bad message: {error}", code="bad_message")


class WebSocket:
    """One websocket. It is accepted by `accept`, or by the first `send` or `receive`; a handler that never does that refuses it.

    ```python
    async def echo(ctx):
        async for message in ctx.websocket:
            await ctx.websocket.send(message)
    ```
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.subprotocols: tuple[str, ...] = tuple(scope.get("subprotocols") or ())
        self.accepted = False
        self.closed = False
        self._can_answer = "websocket.http.response" in (scope.get("extensions") or {})
        self._receive = receive
        self._send = send

    async def accept(self, subprotocol: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Shake hands. `subprotocol` must be one of those offered; `headers` go with the answer. Raises WebSocketClosedError."""
        if self.accepted:
            raise RuntimeError("the websocket is accepted already")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}, only {', '.join(self.subprotocols) or 'none'}")
        await self._take("websocket.connect")
        fields = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in (headers or {}).items()]
        await self._give({"type": "websocket.accept", "subprotocol": subprotocol, "headers": fields})
        self.accepted = True

    async def receive(self) -> str | bytes:
        """Return the next message. Raises WebSocketClosedError when there will be none."""
        if not self.accepted:
            await self.accept()
        message = await self._take("websocket.receive")
        text = message.get("text")
        data: str | bytes = message["bytes"] if text is None else text
        return data

    async def receive_json(self, kind: Any = Any) -> Any:
        """Return the next message, decoded from JSON and checked against `kind`. Raises BadMessageError for one that is not that."""
        message = await self.receive()
        try:
            return msgspec.json.decode(message, type=kind)
        except msgspec.DecodeError as error:
            raise BadMessageError(error) from error

    async def send(self, message: str | bytes) -> None:
        """Send a message. Raises WebSocketClosedError when nobody can get it any more."""
        if not self.accepted:
            await self.accept()
        await self._give({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    async def send_json(self, value: Any) -> None:
        """Send a value as JSON, in a text message."""
        await self.send(msgspec.json.encode(value).decode())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, or refuse it if it is not accepted. Does nothing when it is closed."""
        if not self.closed:
            self.closed = True
            await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def refuse(self, status: int, fields: list[tuple[bytes, bytes]], data: bytes) -> None:
        """Refuse it with an answer of our own, where the server can; it is a plain 403 elsewhere."""
        if not self._can_answer:
            await self.close()
            return
        self.closed = True
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": fields})
        await self._send({"type": "websocket.http.response.body", "body": data})

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through all messages, until it is closed by either side."""
        while True:
            try:
                message = await self.receive()
            except WebSocketClosedError:
                return
            yield message

    async def _take(self, wanted: str) -> Mapping[str, Any]:
        if self.closed:
            raise WebSocketClosedError(1000)
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.closed = True
            raise WebSocketClosedError(message.get("code", 1005), message.get("reason") or "")
        if message["type"] != wanted:
            raise RuntimeError(f"the server sent {message['type']!r} where {wanted!r} was due")
        return message

    async def _give(self, message: dict[str, Any]) -> None:
        if self.closed:
            raise WebSocketClosedError(1000)
        try:
            await self._send(message)
        except OSError:
            self.closed = True
            raise WebSocketClosedError(1006) from None
