"""Bytes to websocket messages and back: the library's sans-I/O protocol, and a short way around it for what nearly every message is.

A whole message in one frame is taken apart and put together here (RFC 6455, 5.2), which costs a third of what the library's parser does.
Everything else goes through that parser untouched: control frames, fragments, and whatever is not as it should be, so that what is
refused, and with which code, is decided in one place. The parser sees frames only, each from its first byte, and exists only for
connections that have needed it.
"""

from __future__ import annotations

import logging
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without a compiler
    from websockets.utils import apply_mask

# The library tells of each connection that opens and closes; that is for whoever debugs it.
logger = logging.getLogger("tamago.websocket")
logger.setLevel(logging.WARNING)

# Messages and bytes that wait for the application; past either the client is made to wait.
_QUEUE = 256
_QUEUE_BYTES = 64 * 1024

# Shorter messages are sent as they are, although the client can inflate: compressing them costs more than it saves.
COMPRESS_FROM = 1024

# A payload from here on is unmasked where it stands, without a copy.
_LARGE = 16 * 1024

_MASKED = 128
_TEXT, _BINARY, _COMPRESSED = 0x81, 0x82, 0x40  # first bytes of a frame that is a whole message; the bit of a compressed one


@dataclass(frozen=True, slots=True)
class Closing:
    """How the conversation ends: `code` and `reason` are for the application. `failed`: the client broke the rules, and was told."""

    code: int
    reason: str
    failed: bool


class Frames:
    """One connection's frames. Messages wait in `inbox`; `write` is given what is to be sent."""

    __slots__ = (
        "_deflate",
        "_held",
        "_inbox_size",
        "_library",
        "_max_size",
        "_need",
        "_owed",
        "_pieces",
        "_rest",
        "_text",
        "inbox",
        "unwanted",
        "write",
    )

    def __init__(self, write: Callable[[bytes], object], max_size: int, deflate: PerMessageDeflate | None) -> None:
        self.write = write
        self.inbox: deque[str | bytes] = deque()
        self.unwanted = False  # messages are read and thrown away: only how the client closes is of interest
        self._inbox_size = 0
        self._max_size = max_size
        self._deflate = deflate
        self._library: Protocol | None = None
        self._rest = bytearray()  # the beginning of a frame, to be completed
        self._need = 0  # bytes it takes to go on with `_rest`
        self._owed = 0  # bytes still to come of a frame that is the library's
        self._held = b""  # came, and waits until there is room
        self._pieces: bytearray | None = None  # of a fragmented message
        self._text = False

    @property
    def is_full(self) -> bool:
        """Enough waits for the application."""
        return (self._inbox_size >= _QUEUE_BYTES or len(self.inbox) >= _QUEUE) and not self.unwanted

    @property
    def has_held_back(self) -> bool:
        """There is input for which there was no room."""
        return bool(self._held)

    def take(self) -> str | bytes:
        """Remove and return the next message. Raises IndexError."""
        message = self.inbox.popleft()
        self._inbox_size -= len(message)
        return message

    def feed(self, data: bytes = b"") -> Closing | None:
        """Read what came, and what was held back before it; say so when the conversation ends with it.

        It holds back what comes after the inbox is full.
        """
        if 6 <= (size := len(data)) < 132 and data[1] == size + 122 and self._takes_short(data):
            return None
        if self._held:
            data, self._held = self._held + data, b""
        try:
            return self._feed(data)
        except UnicodeDecodeError:
            reason = "a text message is not UTF-8"
            self.library().fail(CloseCode.INVALID_DATA, reason)
            self.flush()
            return Closing(CloseCode.INVALID_DATA, reason, failed=True)

    def _feed(self, data: bytes) -> Closing | None:
        if self.is_full:
            self._held = data
            return None
        return self._read(data)

    def send(self, message: str | bytes) -> None:
        """Send a message in one frame."""
        first = _BINARY
        if isinstance(message, str):
            first, message = _TEXT, message.encode()
        size = len(message)
        if type(message) is not bytes:
            message = bytes(message)  # a copy: what may change must not do so on its way
        if self._deflate is not None and size >= COMPRESS_FROM:
            library = self.library()
            (library.send_text if first == _TEXT else library.send_binary)(message)
            self.flush()
        elif size < 126:
            self.write(bytes((first, size)) + message)
        elif size < 65536:
            self.write(b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), message))
        else:
            self.write(b"%c\x7f%b" % (first, size.to_bytes(8, "big")))
            self.write(message)

    def library(self) -> Protocol:
        """Return the library's protocol, which is made when it is first needed."""
        if self._library is None:
            self._library = Protocol(Side.SERVER, state=State.OPEN, max_size=self._max_size, logger=logger)
            self._library.extensions = [] if self._deflate is None else [self._deflate]
        return self._library

    def flush(self) -> None:
        """Send what the library has to say."""
        for data in self.library().data_to_send():
            if data:  # an empty one means end of file, which is the connection's to send
                self.write(data)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, data: bytes | bytearray) -> Closing | None:
        """Go from frame to frame."""
        if self._owed:
            part, data = data[: self._owed], data[self._owed :]
            self._owed -= len(part)
            closing = self._pass_on(part)
            if closing is not None or not data:
                return closing
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return None
            data, self._rest = self._rest, bytearray()
        return self._read_frames(data)

    def _read_frames(self, data: bytes | bytearray) -> Closing | None:
        at, end = 0, len(data)
        while at < end:
            if self.is_full:
                # As it came: what it inflates to may be a thousand times as much.
                self._held = bytes(data[at:])
                return None
            size, body = _head(data, at, end)
            stop = body + size
            first = data[at]
            if size < 0 or (stop > end and self._is_message(first, data[at + 1], size)):
                self._rest, self._need = bytearray(data[at:]), stop - at
                return None
            if stop <= end and self._is_message(first, data[at + 1], size) and self._message(first, data, body, stop):
                at = stop
                continue
            closing = self._pass_on(data[at : min(stop, end)])
            if closing is not None:
                return closing
            self._owed = max(0, stop - end)
            at = stop
        return None

    def _is_message(self, first: int, second: int, size: int) -> bool:
        """Say whether this is the beginning of a frame that is a whole message, and a good one as far as one can see."""
        if first & _COMPRESSED and self._deflate is not None:
            first ^= _COMPRESSED
        return first in (_TEXT, _BINARY) and second >= _MASKED and size <= self._max_size and self._pieces is None

    def _takes_short(self, data: bytes) -> bool:
        """Take a frame of less than 126 bytes if it is a whole message and nothing is before it: what `_read` does, in few steps."""
        first = data[0]
        if self._rest or self._owed or self._held or self._pieces is not None or self.unwanted or len(data) - 6 > self._max_size:
            return False
        payload = apply_mask(data[6:], data[2:6])
        if first == _TEXT:
            try:
                message: str | bytes = payload.decode()
            except UnicodeDecodeError:
                return False
        elif first == _BINARY:
            message = payload
        else:
            return False
        self._inbox_size += len(message)
        self.inbox.append(message)
        return True

    def _message(self, first: int, data: bytes | bytearray, body: int, stop: int) -> bool:
        """Take the message in a frame; False if it has to be looked at closer."""
        masked = data[body:stop] if stop - body < _LARGE else memoryview(data)[body:stop]
        payload = apply_mask(masked, data[body - 4 : body])
        if first & _COMPRESSED and self._deflate is not None:
            inflated = self._inflate(payload)
            if inflated is None:
                return False
            payload = inflated
        self._deliver(payload, text=bool(first & 1))
        return True

    def _inflate(self, payload: bytes) -> bytes | None:
        """Return what was compressed (RFC 7692, 7.2.2); None if it is broken or may be too large.

        Then the library finds out which it is, and answers: nothing is carried over from one message to the next.
        """
        inflater = zlib.decompressobj(wbits=-15 if self._deflate is None else -self._deflate.remote_max_window_bits)
        try:
            data = inflater.decompress(payload + b"\0\0\xff\xff", self._max_size)
        except zlib.error:
            return None
        return None if inflater.unconsumed_tail or len(data) == self._max_size else data

    def _deliver(self, payload: bytes, *, text: bool) -> None:
        if not self.unwanted:
            message = payload.decode() if text else payload
            self._inbox_size += len(message)
            self.inbox.append(message)

    def _pass_on(self, data: bytes | bytearray) -> Closing | None:
        """Give a frame, or a part of one, to the library."""
        library = self.library()
        library.receive_data(data)
        said = None
        for event in library.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.CLOSE:
                said = library.close_rcvd
            elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._fragment(event)
        self.flush()
        if library.parser_exc is not None:
            sent = library.close_sent
            return Closing(1006 if sent is None else sent.code, "" if sent is None else sent.reason, failed=True)
        return None if said is None else Closing(said.code, said.reason, failed=False)

    def _fragment(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._pieces, self._text = bytearray(), frame.opcode is Opcode.TEXT
        if self._pieces is None:
            return
        self._pieces += frame.data
        if frame.fin:
            whole, self._pieces = bytes(self._pieces), None
            self._deliver(whole, text=self._text)


def _head(data: bytes | bytearray, at: int, end: int) -> tuple[int, int]:
    """Return the size of a frame's payload and where it begins. The size is negative if that is not to be seen yet.

    Then the sum of both is where the next look is worth it.
    """
    if at + 2 > end:
        return -1, at + 3
    second = data[at + 1]
    size, body = second & 127, at + 2
    if size >= 126:
        begin, body = body, body + (2 if size == 126 else 8)
        if body > end:
            return -1, body + 1
        size = int.from_bytes(data[begin:body], "big")
    return size, body + 4 if second >= _MASKED else body
