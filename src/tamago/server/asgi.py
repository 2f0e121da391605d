"""ASGI 3 over an exchange: the scope, `receive` and `send` of one HTTP request, to the letter of the specification.

Spec version 2.3 is announced on purpose, although `send` raises as 2.4 wants it: from 2.4 on Starlette stops listening for
`http.disconnect` while it streams and learns of it only from its next `send`, so that a stream waiting for its next event would never end
(docs/adr/0016).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from tamago.server.exchange import ClientDisconnectedError, Exchange, ResponseError
from tamago.server.forwarded import TrustedProxies
from tamago.server.request_head import split_target

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ASGI = {"version": "3.0", "spec_version": "2.3"}

# Pieces that are thrown away after the client left before `send` raises. Who listens stops by itself within a few. An answer that has been
# complete for long may come in pieces as well (Starlette's BaseHTTPMiddleware), and an error would cancel what comes after it, such as
# background tasks. What is left is an endless stream that never looks.
_IN_VAIN = 16


class AsgiHost:
    """An ASGI application with what it is told in every request.

    `pathsend`: have it leave files to us. `cancel_on_disconnect`: cancel it when its client leaves, beside telling it.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        root_path: str = "",
        trusted_proxies: TrustedProxies | None = None,
        pathsend: bool = True,
        cancel_on_disconnect: bool = False,
    ) -> None:
        self.app = app
        self.root_path = root_path.rstrip("/")
        self.trusted_proxies = trusted_proxies or None
        self.cancel_on_disconnect = cancel_on_disconnect
        # Each request gets a copy, as of the state: middleware may add what is this request's only.
        self.extensions: dict[str, dict[str, object]] = {"http.response.early_hint": {}}
        if pathsend:
            self.extensions["http.response.pathsend"] = {}
        self.state: dict[str, Any] = {}  # what the lifespan put there; each request gets a copy

    def exchange_type(self) -> type[AsgiExchange]:
        """Return the class of this application's exchanges. A class of its own spares passing the host to each of them."""
        return type("AsgiExchange", (_CancelledExchange if self.cancel_on_disconnect else AsgiExchange,), {"host": self})

    def origin(self, exchange: Exchange) -> tuple[tuple[str, int] | None, str]:
        """Return address and port of the client and its scheme, as far as trusted proxies vouch for them; port 0 where they don't say."""
        connection = exchange.connection
        client, scheme = connection.client, connection.scheme
        proxies = self.trusted_proxies
        if proxies is not None and proxies.trusts(client[0] if client else None):
            host = proxies.client(exchange.fields)
            return (host, 0) if host else client, proxies.scheme(exchange.fields) or scheme
        return client, scheme

    def scope(self, exchange: Exchange) -> Scope:
        """Return the connection scope of a request."""
        target = exchange.target
        if 35 in target or target[0] != 47:  # a "#", or no "/" first
            raw_path, query = split_target(target)
        else:
            raw_path, _, query = target.partition(b"?")
        path = raw_path.decode("latin-1")
        if "%" in path:
            path = unquote(path)
        root_path = self.root_path
        client, scheme = self.origin(exchange)
        return {
            "type": "http",
            "asgi": ASGI.copy(),
            "http_version": exchange.version,
            "method": exchange.method,
            "scheme": scheme,
            "path": root_path + path if root_path else path,
            "raw_path": root_path.encode() + raw_path if root_path else raw_path,
            "query_string": query,
            "root_path": root_path,
            "headers": exchange.fields,
            "client": client,
            "server": exchange.connection.peer,
            "state": self.state.copy(),
            "extensions": self.extensions.copy(),
        }


class AsgiExchange(Exchange):
    """One request answered by an ASGI application."""

    host: ClassVar[AsgiHost]
    _delivered: bool = False  # the application has the whole request
    _in_vain: int = 0  # pieces sent since the client left

    def handle(self) -> Awaitable[object]:
        """Call the application."""
        host = self.host
        return host.app(host.scope(self), self.receive, self.send)

    async def receive(self) -> Message:
        """Return the next piece of the request; once it is whole, wait until the client or the answer is gone."""
        body = self.body
        while not self._delivered:
            if self.gone:
                return {"type": "http.disconnect"}
            if body is None:
                self._delivered = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if body.size or body.complete:
                data = body.take()
                self._delivered = body.complete
                self.connection.body_was_read()
                return {"type": "http.request", "body": data, "more_body": not body.complete}
            if self.done:
                return {"type": "http.disconnect"}
            await self.wait_for_input()
        while not (self.gone or self.done or self.hung_up):
            await self.wait_for_input()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the answer."""
        kind = message["type"]
        if kind == "http.response.body":
            more = message.get("more_body", False)
            self.write(message.get("body", b""), more=more)
            if not more:
                return  # nothing is left to hold back
            if self.gone:
                await self._throw_away()
            elif self.connection.write_paused:
                await self.drain()
        elif kind == "http.response.start":
            self.start(message["status"], message.get("headers", ()))
        elif kind == "http.response.pathsend":
            await self.send_file(message["path"])
        elif kind == "http.response.early_hint":
            self.hint(message["links"])
        else:
            self.out_of_order(f"an HTTP application cannot send {kind!r}")

    async def _throw_away(self) -> None:
        """Take a piece that nobody will read. Raises ClientDisconnectedError (an OSError) if there is no end to them."""
        self._in_vain += 1
        if self._in_vain > _IN_VAIN:
            raise ClientDisconnectedError("the client left; nobody reads this answer")
        await asyncio.sleep(0)  # or a stream without any other `await` would not hear of it

    def out_of_order(self, problem: str) -> None:
        """Refuse what does not belong here, except after the end: what follows then is to be ignored, says the specification."""
        if not self.done:
            raise ResponseError(problem)


class _CancelledExchange(AsgiExchange):
    """One whose application is cancelled when its client leaves, beside being told."""

    def launch(self, server: HttpServer) -> None:
        self.prompt = False  # its task is needed from the beginning
        super().launch(server)

    def leave(self) -> None:
        super().leave()
        self._cancel()

    def hang_up(self) -> None:
        super().hang_up()
        self._cancel()

    def _cancel(self) -> None:
        task = self.task
        if not self.done and task is not None and task.cancel():
            task.add_done_callback(self._cancelled)

    def _cancelled(self, _: asyncio.Task[None]) -> None:
        if self.task is not None:
            self.over(asyncio.CancelledError())  # it had not even begun, and so tells nobody of its end
