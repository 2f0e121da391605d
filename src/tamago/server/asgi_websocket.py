"""ASGI's websocket scope over a websocket: connect, accept or deny, messages, and the disconnect."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, ClassVar, cast

from tamago.server import refusal as refusals
from tamago.server.asgi import AsgiHost, Message, Scope
from tamago.server.exchange import ClientDisconnectedError, ResponseError
from tamago.server.tunnel import TunnelExchange

if TYPE_CHECKING:
    from tamago.server.websocket import WebSocket

logger = logging.getLogger("tamago.server")

# To the letter of this version: `reason` in a disconnect, and an OSError for who sends to a client that left.
ASGI_WEBSOCKET = {"version": "3.0", "spec_version": "2.5"}

_DENIED = b"403 Forbidden: the application does not accept this websocket\n"


def websocket_type(host: AsgiHost) -> type[TunnelExchange]:
    """Return the class of this application's websocket exchanges; without the `websockets` package, one that refuses and says so."""
    try:
        from tamago.server.websocket import WebSocket  # noqa: PLC0415 - an extra
    except ImportError:
        return _MissingExtra
    return type("AsgiWebSocketExchange", (AsgiWebSocketExchange,), {"host": host, "make": WebSocket})


class AsgiWebSocketExchange(TunnelExchange):
    """One websocket answered by an ASGI application."""

    host: ClassVar[AsgiHost]
    make: ClassVar[type[WebSocket]]
    tunnel: WebSocket = cast("WebSocket", None)
    _connected: bool = False  # the application has its first message

    def __post_init__(self) -> None:
        self.tunnel = self.make(self)

    def handle(self) -> Awaitable[object]:
        """Shake hands, then call the application."""
        return self._handle()

    async def _handle(self) -> None:
        rejection = self.tunnel.handshake()
        if rejection is not None:
            fields = [(name.encode(), value.encode()) for name, value in rejection.headers.raw_items()]
            self.respond(rejection.status_code, fields, bytes(rejection.body or b""))
            return
        await self.host.app(self._scope(), self.receive, self.send)
        if self.status == 101:
            self.tunnel.close(1000)
            self.done = True

    def _scope(self) -> Scope:
        scope = self.host.scope(self)
        del scope["method"]
        offered = [value for name, value in self.fields if name == b"sec-websocket-protocol"]
        others = {name: value for name, value in scope["extensions"].items() if not name.startswith("http.")}
        return {
            **scope,
            "type": "websocket",
            "asgi": ASGI_WEBSOCKET.copy(),
            "scheme": "wss" if scope["scheme"] == "https" else "ws",
            "subprotocols": [token.strip().decode("latin-1") for value in offered for token in value.split(b",")],
            "extensions": {**others, "websocket.http.response": {}},
        }

    async def receive(self) -> Message:
        """Return the next message, or that there will be none."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while True:
            # Before it is accepted there is nothing to take, and not yet where from.
            message = self.tunnel.take() if self.status == 101 else None
            if isinstance(message, str):
                return {"type": "websocket.receive", "text": message}
            if message is not None:
                return {"type": "websocket.receive", "bytes": message}
            if self.gone or self.done:
                return {"type": "websocket.disconnect", "code": self.tunnel.code, "reason": self.tunnel.reason}
            await self.wait_for_input()

    async def send(self, message: Message) -> None:
        """Take what the application says. Raises ClientDisconnectedError (an OSError) for a message nobody can get any more."""
        kind = message["type"]
        if kind == "websocket.send" and self.status == 101 and not self.gone:
            text = message.get("text")
            self.tunnel.frames.send(message["bytes"] if text is None else text)
        elif kind == "websocket.close":
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.send" and self.gone:
            raise ClientDisconnectedError("the websocket is closed")
        elif self.status == 101:
            raise ResponseError(f"a websocket application cannot send {kind!r} once the websocket is accepted")
        else:
            self._answer(kind, message)
        if self.connection.write_paused:
            await self.drain()

    def _answer(self, kind: str, message: Message) -> None:
        """Accept, or deny with an answer of the application's own (the extension `websocket.http.response`)."""
        if kind == "websocket.accept":
            if not self.gone:
                self.tunnel.accept(message.get("subprotocol"), list(message.get("headers", ())))
        elif kind == "websocket.http.response.start":
            self.start(message["status"], message.get("headers", ()))
        elif kind == "websocket.http.response.body":
            self.write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise ResponseError(f"a websocket application cannot send {kind!r} before the websocket is accepted")

    def _close(self, code: int, reason: str) -> None:
        if self.status == 101:
            self.tunnel.close(code, reason)
        elif not self.gone:
            self.respond(403, [(b"content-type", b"text/plain; charset=utf-8")], _DENIED)

    def fail(self, error: BaseException | None) -> None:
        """Say what went wrong, and close with 1011."""
        # Frameworks raise an error of their own for a client that left; that is no failure.
        left = self.gone and type(error).__name__ in {"WebSocketDisconnect", "ClientDisconnectedError"}
        if self.status != 101:
            if not left:
                super().fail(error)
            return
        if error is not None and not left:
            logger.error("websocket %s: the application failed", self.target.decode("latin-1"), exc_info=error)
        self.tunnel.close(1011)


class _MissingExtra(TunnelExchange):
    """Refuses websockets, and tells the log why."""

    def __post_init__(self) -> None:
        self.refusal = refusals.NO_WEBSOCKETS
        logger.warning("%s: a websocket was refused: run `pip install 'tamago[ws]'` to have them", self.target.decode("latin-1"))
