"""One websocket: the handshake, the state of the conversation and its end, on a connection that HTTP began.

The bytes are `websocket_frames`' affair. Who talks with the websocket is the exchange's (`asgi_websocket`).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from tamago.server.response_head import encode, response_head
from tamago.server.websocket_frames import Closing, Frames, logger

if TYPE_CHECKING:
    from tamago.server.exchange import Exchange

# Bytes a client may send before it is answered; it should send none.
_EARLY_LIMIT = 64 * 1024

# Nothing is carried over from one message to the next (RFC 7692, 7.1.1), so an idle connection holds no memory for compression; while
# a message is compressed or inflated it takes about 50 KiB, whatever the client would like.
_DEFLATE = (
    ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=12,
        client_max_window_bits=12,
        compress_settings={"memLevel": 5},
    ),
)

_PING = b"tamago"

RESTARTING = 1012  # the client may come back
ABNORMAL = 1006


class Phase(Enum):
    """Where the conversation stands."""

    HANDSHAKE = "handshake"  # the application has not decided
    OPEN = "open"
    CLOSING = "closing"  # one side said that it closes
    GONE = "gone"


class WebSocket:
    """The conversation. `code` and `reason` say how it ended."""

    __slots__ = (
        "_asked",
        "_choked",
        "_connection",
        "_early",
        "_exchange",
        "_give_up",
        "_next_ping",
        "_response",
        "code",
        "frames",
        "phase",
        "reason",
    )

    frames: Frames

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._connection = exchange.connection
        self._asked = False  # a ping is out, and nothing came since
        self._give_up = 0.0  # when it is, without anything from the client
        self._next_ping = 0.0
        self._choked = False  # reading waits until the client has read what it asked for
        self._early = b""  # came before the application decided
        self._response: Response | None = None
        self.phase = Phase.HANDSHAKE
        self.code = ABNORMAL
        self.reason = ""

    def handshake(self) -> Response | None:
        """Judge the request; None when it is a good one, else the answer to give."""
        exchange, options = self._exchange, self._connection.server.options
        if exchange.method != "GET" or exchange.version != "1.1":
            return Response(400, "Bad Request", Headers(), b"400 Bad Request: this is no websocket handshake\n")
        headers = Headers([(name.decode(), value.decode("latin-1")) for name, value in exchange.fields])
        server = ServerProtocol(extensions=_DEFLATE if options.ws_per_message_deflate else (), logger=logger)
        response = server.accept(Request(exchange.target.decode("latin-1"), headers))
        if response.status_code != 101:
            return response
        deflate = next((extension for extension in server.extensions if isinstance(extension, PerMessageDeflate)), None)
        self.frames = Frames(self._connection.transport.write, options.ws_max_size, deflate)
        self._response = response
        return None

    def accept(self, subprotocol: str | None, fields: list[tuple[bytes, bytes]]) -> None:
        """Switch to websocket. Raises ValueError for what may not be in the answer."""
        response = self._response
        if response is None or self.phase is not Phase.HANDSHAKE:
            raise RuntimeError("the websocket was already accepted or closed")
        if any(name.lower() == b"sec-websocket-protocol" for name, _ in fields):
            raise ValueError("sec-websocket-protocol is no header to set: websocket.accept has a key for it, subprotocol")
        answer = [(name.encode(), value.encode("latin-1")) for name, value in response.headers.raw_items() if name != "Date"]
        if subprotocol:
            answer.append((b"Sec-WebSocket-Protocol", subprotocol.encode("latin-1")))
        # The fields are checked as those of any other answer; the status is that of none.
        head = encode(response_head(200, [*answer, *fields]), self._connection.server.date, b"")
        self._response = None
        self.phase = Phase.OPEN
        self._exchange.sent = True
        self._exchange.status = 101
        self._connection.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + head.partition(b"\r\n")[2])
        self._next_ping = self._connection.server.now
        self._watch()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        if self._connection.server.draining:
            self.go_away()

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close from this side. Raises the library's ProtocolError for a code or reason that cannot be sent."""
        if self.phase is not Phase.OPEN:
            return
        self.frames.library().send_close(code, reason)
        self.frames.flush()
        self._end(code, reason)
        self.frames.unwanted = True
        self._connection.begin_close()
        self._read_held_back()

    def take(self) -> str | bytes | None:
        """Return the next message, or None."""
        frames = self.frames
        if not frames.inbox:
            if not frames.has_held_back:
                return None
            self._read_held_back()
            if not frames.inbox:
                return None
        message = frames.take()
        if not (frames.is_full or frames.has_held_back or self._choked):
            self._connection.body_was_read()
        return message

    # ── from the connection ──────────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self.phase is Phase.HANDSHAKE:
            self._early += data
            if len(self._early) > _EARLY_LIMIT:
                self._connection.cut()
            return
        self._asked = False
        frames = self.frames
        if self.phase is not Phase.GONE:
            closing = frames.feed(data)
            if closing is not None:
                self._closed(closing)
        if frames.inbox and self.phase is Phase.OPEN:
            if frames.is_full:
                self._connection.pause_reading()
            self._exchange.wake()
        if self._connection.write_paused and not self._choked:
            self._choke()

    def go_away(self) -> None:
        """The server stops: tell the client to come back. One that the application has not accepted yet hears it right after that."""
        self.close(RESTARTING)

    def lost(self) -> None:
        """The connection is gone. What the client sent before can still be taken, with the reason it gave for leaving."""
        if self.phase is not Phase.OPEN or not self.frames.has_held_back:
            self.phase = Phase.GONE
        else:
            self.frames.write = _say_nothing
        self._exchange.leave()

    def overdue(self) -> None:
        """It is time to ask the client whether it is still there, or to give it up."""
        now = self._connection.server.now
        if self._asked and self._connection.reading_paused:
            self._asked = False  # an answer would not be seen
        if self.phase is not Phase.OPEN or (self._asked and now >= self._give_up):
            self._connection.cut()
        elif self._asked:
            self._connection.deadline = self._give_up
        elif now < self._next_ping:
            self._connection.deadline = self._next_ping  # it has answered
        else:
            self._ping()

    def _ping(self) -> None:
        self.frames.library().send_ping(_PING)
        self.frames.flush()
        self._watch()
        timeout = self._connection.server.options.ws_ping_timeout
        if timeout:
            self._asked = True
            self._give_up = self._connection.server.now + timeout
            self._connection.deadline = min(self._next_ping, self._give_up)

    def _watch(self) -> None:
        interval = self._connection.server.options.ws_ping_interval
        if interval:
            self._next_ping = self._connection.deadline = self._connection.server.now + interval

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_held_back(self) -> None:
        closing = self.frames.feed() if self.phase in (Phase.OPEN, Phase.CLOSING) else None
        if closing is not None:
            self._closed(closing)

    def _closed(self, closing: Closing) -> None:
        """The client closed, or has answered that we do, or broke the rules."""
        self._end(closing.code, closing.reason)
        self.phase = Phase.GONE
        if closing.failed:
            self._connection.begin_close(half=True)
        else:
            self._connection.end_close()

    def _end(self, code: int, reason: str) -> None:
        if self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING
            self.code, self.reason = code, reason
        self._exchange.leave()

    def _choke(self) -> None:
        """Read no more until the client has: each of its pings is owed an answer."""
        self._choked = True
        self._connection.pause_reading()
        task = self._connection.server.loop.create_task(self._connection.writable())
        task.add_done_callback(lambda _: self._breathe())

    def _breathe(self) -> None:
        self._choked = False
        if not self.frames.is_full:
            self._connection.body_was_read()


def _say_nothing(data: bytes) -> None:
    """Nobody is there to hear it."""
