"""What is inside the frames that travel between applications: msgpack bodies of messages, replies and errors.

Owns encoding and decoding of user data. It must not know sockets or who talks to whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from tamago.errors import TamagoError
from tamago.ipc.wire import MalformedFrameError

if TYPE_CHECKING:
    from tamago.types import Json


class NotSendableError(TamagoError):
    """Data that msgpack cannot carry; `reason` names the type or value."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what} cannot be sent: {reason}",
            hint="send None, bool, int, float, str, bytes, and lists and string-keyed dicts of these",
        )
        self.what, self.reason = what, reason


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an ERROR frame. `type` is the class name; "" says that the receiver has no handler for the action."""

    type: str
    message: str
    traceback: str = ""


def _refuse_extension(code: int, data: memoryview) -> NoReturn:
    raise ValueError(f"msgpack extension {code} of {len(data)} bytes")


_encode = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder(tuple[str, Any], ext_hook=_refuse_extension).decode
_decode_any = msgspec.msgpack.Decoder(Any, ext_hook=_refuse_extension).decode
_decode_error = msgspec.msgpack.Decoder(ErrorBody).decode

UNENCODABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""What msgspec raises for data it cannot encode."""

UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What msgspec raises for bytes that are not what we expect; nested too deep is a RecursionError."""


def encode_message(action: str, data: Json) -> bytes:
    """Return the body of a MESSAGE or REQUEST."""
    try:
        return _encode((action, data))
    except UNENCODABLE as error:
        raise NotSendableError(f"the data of {action!r}", str(error)) from error


def encode_reply(data: Json) -> bytes:
    """Return the body of a REPLY."""
    try:
        return _encode(data)
    except UNENCODABLE as error:
        raise NotSendableError("the reply", str(error)) from error


def encode_error(error: ErrorBody) -> bytes:
    """Return the body of an ERROR."""
    return _encode(error)


def decode_message(body: bytes | memoryview) -> tuple[str, Any]:
    """Return (action, data), or raise MalformedFrameError."""
    try:
        return _decode_message(body)
    except UNDECODABLE as error:
        raise MalformedFrameError(str(error)) from error


def decode_reply(body: bytes | memoryview) -> Json:
    """Return the data of a reply, or raise MalformedFrameError."""
    try:
        return _decode_any(body)
    except UNDECODABLE as error:
        raise MalformedFrameError(str(error)) from error


def decode_error(body: bytes | memoryview) -> ErrorBody:
    """Return what an ERROR frame says, or raise MalformedFrameError."""
    try:
        return _decode_error(body)
    except UNDECODABLE as error:
        raise MalformedFrameError(str(error)) from error
