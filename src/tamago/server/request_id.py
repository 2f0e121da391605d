"""Gives each request an id, and everybody the same one: the application as the request's X-Request-ID, the client as the answer's.

A proxy we trust may have given it already. Anybody else's word does not count: it would let strangers choose what we search our logs by.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from tamago.server.exchange import Exchange
from tamago.server.forwarded import TrustedProxies
from tamago.server.response_head import Fields, ResponseHead, response_head
from tamago.types import ServerOptions

# As long as any id in use (a UUID has 36, a traceparent 55 characters), and nothing that would have to be escaped anywhere.
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,64}")
_NAME = b"x-request-id"
_LINE = b"\r\nx-request-id: "

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

    AnyExchange = TypeVar("AnyExchange", bound=Exchange)


class RequestIds:
    """Makes ids, and the classes of exchanges that have one."""

    def __init__(self, options: ServerOptions) -> None:
        self._proxies = TrustedProxies(options.trusted_proxies)
        # One of our own: the application may seed the global one, and then each worker would make the same ids.
        self._bits: Callable[[int], int] = random.Random().getrandbits  # noqa: S311 - unique, not secret; a tenth of the price of urandom

    def identified(self, exchange: type[AnyExchange]) -> type[AnyExchange]:
        """Return the class of the same exchanges with an id."""
        return cast("type[AnyExchange]", type(exchange.__name__, (_IdentifiedExchange, exchange), {"ids": self}))

    def choose(self, exchange: Exchange) -> str:
        """Return the id of a request."""
        said = [value for name, value in exchange.fields if name == _NAME]
        if len(said) == 1 and _ACCEPTABLE.fullmatch(said[0]):
            client = exchange.connection.client
            if self._proxies.trusts(client[0] if client else None):
                return said[0].decode("ascii")
        return f"{self._bits(128):032x}"


class _IdentifiedExchange(Exchange):
    ids: ClassVar[RequestIds]

    _chosen = ""

    @property
    def request_id(self) -> str:  # type: ignore[override]  # only we ever set it
        if not self._chosen:
            self._chosen = self.ids.choose(self)
        return self._chosen

    def launch(self, server: HttpServer) -> None:
        # Not sooner: what is counted against the limits is what the client sent.
        own = (_NAME, self.request_id.encode())
        self.fields = [*(field for field in self.fields if field[0] != _NAME), own]
        super().launch(server)

    respond = Exchange.respond_in_steps

    def make_head(self, status: int, fields: Fields) -> ResponseHead:
        # Added to the finished head: as one of its fields it would make each head a new one, and each would be encoded anew.
        head = response_head(status, fields)
        _, block, length, said = head
        if _LINE in block.lower():
            return head
        return (status, b"%bx-request-id: %b\r\n" % (block, self.request_id.encode()), length, said)
