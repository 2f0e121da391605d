"""TLS between a socket's transport and an HTTP connection: deciphers what comes, enciphers what goes, and knows nothing else.

asyncio's and uvloop's own cannot close one half (RFC 8446, 6.1), do not count what their lower transport has yet to send, and drop the
alert that says why a handshake failed. An end that loses nothing (see `http1.Connection.finish`) needs all three.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from tamago.server.arrival import Arrival
from tamago.server.http1 import Connection
from tamago.server.refusal import bad_request

if TYPE_CHECKING:
    from tamago.server.http_server import HttpServer

logger = logging.getLogger("tamago.server")

# What a record holds at most (RFC 8446, 5.1), so that one read takes all of it.
_RECORD = 16 * 1024

# The first byte of a handshake, and so of every client that speaks TLS (RFC 8446, 5.1).
_HANDSHAKE = 22


class TlsConnection(Connection):
    """An HTTP connection inside TLS."""

    __slots__ = ("facts",)

    def __init__(self, server: HttpServer, sock: socket.socket, address: Any) -> None:
        super().__init__(server, sock, address)
        self.scheme = "https"
        self.facts: Mapping[str, Any] | None = None  # what ASGI is told of it, once that was asked for

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """What was agreed on, and the client's certificate."""
        return cast("TlsTransport", self.transport).ssl_object

    def _has_unread_input(self) -> bool:
        if super()._has_unread_input():
            return True
        partial = cast("TlsTransport", self.transport).is_amid_record
        if partial:  # as a request that began, it gets its time and no more
            self.deadline = min(self.deadline, self.server.now + self.server.options.header_timeout)
        return partial


class TlsTransport(asyncio.Transport, Arrival):
    """The transport of a connection, and the protocol of the transport below. `make()` makes the connection after the handshake."""

    ssl_object: ssl.SSLObject
    is_amid_record = False
    """A record has begun to arrive, and its end is missing."""

    _connection: Connection | None = None
    _paused = False
    _eof = False  # the client's half is closed
    _deaf = False  # our half is closed, or TLS has failed: what comes is thrown away
    _closing = False

    def __init__(self, server: HttpServer, arrivals: set[Arrival], context: ssl.SSLContext, make: Callable[[], Connection]) -> None:
        asyncio.Transport.__init__(self)
        Arrival.__init__(self, server, arrivals)
        self._context = context
        self._make = make

    # ── the protocol of the transport below ──────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Take records, or pieces of them."""
        if self._deaf:
            return
        if self._connection is not None:
            self._incoming.write(data)
            self._decipher()
        elif self._silent and data[0] != _HANDSHAKE:
            self._deaf = True
            self.turn_away(_NOT_TLS)
        else:
            self._shake_hands(data)

    def eof_received(self) -> bool:
        """The client sends nothing more. It need not have said so inside of TLS: HTTP knows where a request ends."""
        if self._connection is None or self._deaf:
            return False
        return self._eof or self._client_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._deaf = True
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.connection_lost(exc)
        self.arrived(failed=True)  # unless it had arrived

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough."""
        if self._connection is not None:
            self._connection.resume_writing()

    # ── the handshake ────────────────────────────────────────────────────────────────────────────────────────────────

    def _shake_hands(self, data: bytes) -> None:
        if self._silent:
            self._silent = False
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.ssl_object = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(data)
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            logger.debug("a TLS handshake failed: %s", error)
            self._deaf = True
            self._flush()  # the alert that says why
            self.turn_away()
        else:
            self._flush()
            self._connection = connection = self._make()
            connection.connection_made(self)
            self.arrived()
            if self._incoming.pending:
                self._decipher()

    # ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _decipher(self) -> None:
        """Pass on what is in the records that are whole."""
        incoming, read = self._incoming, self.ssl_object.read
        while not (self._paused or self._deaf):
            try:
                data = read(_RECORD)
            except ssl.SSLWantReadError:
                self.is_amid_record = True
                break
            except ssl.SSLError as error:
                self._broke(error)
                break
            self.is_amid_record = False
            if not data:  # the client said that this was all
                self._client_ended()
                break
            cast("Connection", self._connection).data_received(data)
            if not incoming.pending:
                break
        if self._outgoing.pending:  # such as the answer to a change of keys
            self._flush()

    def _client_ended(self) -> bool:
        """Tell the connection; return whether it stays for an answer."""
        self._eof = True
        if self._connection is not None and self._connection.eof_received():
            return True
        self.close()
        return False

    def _broke(self, error: ssl.SSLError) -> None:
        """A record is not what it should be: somebody between us changed it, or the client is out of its mind."""
        logger.debug("a TLS connection broke: %s", error)
        self._deaf = True
        self._flush()
        self.raw.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self.raw.is_closing():
            self.raw.write(self._outgoing.read())

    def _say_goodbye(self) -> None:
        """Say that nothing more comes: without it a client could take what was cut off for the whole."""
        if not self._deaf:
            self._deaf = True
            with suppress(ssl.SSLError):  # it would like to wait for the client's goodbye, which nobody needs
                self.ssl_object.unwrap()
            self._flush()

    # ── the transport of the connection ──────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        if self._deaf or not data:
            return
        try:
            self.ssl_object.write(data)
        except ssl.SSLError as error:
            self._broke(error)
        else:
            self.raw.write(self._outgoing.read())

    def write_eof(self) -> None:
        """Close our half."""
        self._say_goodbye()
        self.raw.write_eof()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        """Close, once what is written has left."""
        self._closing = True
        self._say_goodbye()
        self.raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = self._deaf = True
        self.raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self.raw.is_closing()

    def pause_reading(self) -> None:
        """Make the client wait."""
        self._paused = True
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Go on, first with what is here."""
        self._paused = False
        self.raw.resume_reading()
        if not self._deaf and self._incoming.pending:
            self.server.loop.call_soon(self._decipher)

    def get_write_buffer_size(self) -> int:
        return self.raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self.ssl_object
        if name == "sslcontext":  # by which others know that bytes must not go around us
            return self._context
        return self.raw.get_extra_info(name, default)


def _in_clear() -> bytes:
    refusal = bad_request("this port speaks TLS: use https://")
    lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % field for field in refusal.headers())]
    return b"\r\n".join([*lines, b"content-length: %d" % len(refusal.body()), b"", refusal.body()])


_NOT_TLS = _in_clear()
