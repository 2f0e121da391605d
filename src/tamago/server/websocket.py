"""One websocket: the handshake and the frames (by the sans-I/O half of the `websockets` library) on a connection that HTTP began.

Owns the state of the conversation and turns frames into messages. Who talks with it is the exchange's affair (`asgi_websocket`).
"""

from __future__ import annotations

import logging
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from tamago.server.response_head import response_head

if TYPE_CHECKING:
    from tamago.server.exchange import Exchange

MAX_MESSAGE = 16 * 1024 * 1024

# The library tells of each connection that opens and closes; that is for whoever debugs it.
_frames_logger = logging.getLogger("tamago.websocket")
_frames_logger.setLevel(logging.WARNING)

# Messages the application has not taken; past it the client is made to wait.
_QUEUE = 16

# Bytes a client may send before it is answered; it should send none.
_EARLY_LIMIT = 64 * 1024

# Seconds of silence after which the client is asked whether it still lives, and after which it no longer does.
PING_INTERVAL = 20.0

RESTARTING = 1012  # the client may come back
ABNORMAL = 1006
NO_STATUS = 1005


class Phase(Enum):
    """Where the conversation stands."""

    HANDSHAKE = "handshake"  # the application has not decided
    OPEN = "open"
    CLOSING = "closing"  # one side said that it closes
    GONE = "gone"


class WebSocket:
    """The conversation. Messages wait in `inbox`; `code` and `reason` say how it ended."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._connection = exchange.connection
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE, logger=_frames_logger)
        self._pieces: list[bytes] = []
        self._is_text = False
        self._asked = False  # a ping is out, and nothing came since
        self._early = b""  # came before the application decided
        self._response: Response | None = None
        self.phase = Phase.HANDSHAKE
        self.inbox: deque[str | bytes] = deque()
        self.code = ABNORMAL
        self.reason = ""

    def handshake(self) -> Response | None:
        """Judge the request; None when it is a good one, else the answer to give."""
        exchange, protocol = self._exchange, self._protocol
        # The library reads the request itself, so it gets it again as bytes.
        lines = [b"%b: %b" % field for field in exchange.fields]
        protocol.receive_data(b"\r\n".join([b"GET %b HTTP/1.1" % exchange.target, *lines, b"", b""]))
        requests = [event for event in protocol.events_received() if isinstance(event, Request)]
        if exchange.method != "GET" or exchange.version != "1.1" or not requests:
            return Response(400, "Bad Request", Headers(), b"400 Bad Request: this is no websocket handshake\n")
        response = protocol.accept(requests[0])
        if response.status_code != 101:
            return response
        self._response = response
        return None

    def accept(self, subprotocol: str | None, fields: list[tuple[bytes, bytes]]) -> None:
        """Switch to websocket."""
        response = self._response
        if response is None or self.phase is not Phase.HANDSHAKE:
            raise RuntimeError("the websocket was already accepted or closed")
        offered = [(b"sec-websocket-protocol", subprotocol.encode("latin-1"))] if subprotocol else []
        fields = [(b"server", b"tamago"), *offered, *fields]
        response_head(200, fields)  # checks them as those of any other answer
        for name, value in fields:
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        self.phase = Phase.OPEN
        self._exchange.sent = True
        self._exchange.status = 101
        self._protocol.send_response(response)
        self._flush()
        self._watch()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def send(self, message: str | bytes) -> None:
        """Send a message; nothing once it closes."""
        if self.phase is not Phase.OPEN:
            return
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def close(self, code: int, reason: str = "") -> None:
        """Begin to close from this side."""
        if self.phase is not Phase.OPEN:
            return
        self._protocol.send_close(code, reason)
        self._flush()
        self._end(code, reason)
        self._connection.begin_close()

    def take(self) -> str | bytes | None:
        """Return the next message, or None."""
        if not self.inbox:
            return None
        message = self.inbox.popleft()
        if len(self.inbox) < _QUEUE:
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
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.parser_exc is not None and self.phase is Phase.OPEN:
            # The protocol has answered already (too large, no UTF-8, unmasked ...).
            said = self._protocol.close_sent
            self._end(ABNORMAL if said is None else said.code, "" if said is None else said.reason)
            self._connection.begin_close(half=True)
        elif self.phase is Phase.CLOSING and self._protocol.close_rcvd is not None:
            self.phase = Phase.GONE
            self._connection.end_close()

    def go_away(self) -> None:
        """The server stops: tell the client to come back."""
        self.close(RESTARTING)

    def lost(self) -> None:
        """The connection is gone."""
        if self.phase is not Phase.GONE:
            self._end(self.code, self.reason)
            self.phase = Phase.GONE

    def overdue(self) -> None:
        """The client was silent for a whole interval: ask it, or give it up."""
        if self.phase is not Phase.OPEN or self._asked:
            self._connection.cut()
            return
        self._asked = True
        self._protocol.send_ping(b"tamago")
        self._flush()
        self._watch()

    def _watch(self) -> None:
        self._connection.deadline = self._connection.server.now + PING_INTERVAL

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            said = self._protocol.close_rcvd
            self._end(NO_STATUS if said is None else said.code, "" if said is None else said.reason)
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if frame.opcode is not Opcode.CONT:
                self._pieces = []
                self._is_text = frame.opcode is Opcode.TEXT
            self._pieces.append(bytes(frame.data))
            if frame.fin:
                self._message(b"".join(self._pieces))
                self._pieces = []

    def _message(self, data: bytes) -> None:
        if self.phase is not Phase.OPEN:
            return
        try:
            self.inbox.append(data.decode() if self._is_text else data)
        except UnicodeDecodeError:
            # What came behind it may have closed the conversation already.
            if self._protocol.state is State.OPEN:
                self.close(1007, "not UTF-8")
            return
        if len(self.inbox) >= _QUEUE:
            self._connection.pause_reading()
        self._exchange.wake()

    def _end(self, code: int, reason: str) -> None:
        if self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING
            self.code, self.reason = code, reason
        self._exchange.leave()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # an empty one means end of file, which is the connection's to send
                self._connection.transport.write(data)
