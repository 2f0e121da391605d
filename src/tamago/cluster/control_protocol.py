"""What is said over the control socket: one JSON object a line, both ways. No sockets here, no asyncio.

A client sends requests; the answer to each is any number of `accepted`, `alive` and `progress` events and then one `done` or `error`.
The page docs/reference/control-protocol.md describes it for others.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from tamago.errors import ExitCode, TamagoError

VERSION = 1
LONGEST_LINE = 64 * 1024
"""Bytes a request may have, its newline included. A reply may be longer: a status of 1000 workers is."""
ALIVE_INTERVAL = 1.0
"""Seconds between two signs of life while a command runs; a client that misses several knows that the master is stuck."""


class ControlError(TamagoError):
    """The master refused or could not do what was asked; `exit_code` is the one the command line ends with."""

    def __init__(self, problem: str, *, hint: str = "", detail: str = "", exit_code: int = ExitCode.FAILED) -> None:
        super().__init__(problem, hint=hint, detail=detail)
        self.code = exit_code


class BadRequestError(TamagoError):
    """What a client sent is no request."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


class _Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parameters of a command."""


class Nothing(_Params, frozen=True):
    """No parameters."""


class StopParams(_Params, frozen=True):
    """`timeout`: seconds each process gets to finish instead of the setting; `now`: none at all."""

    timeout: float | None = None
    now: bool = False


class ScaleParams(_Params, frozen=True):
    """`workers`: how many to have; `relative`: how many more (or fewer) than now."""

    workers: int
    relative: bool = False


class KickParams(_Params, frozen=True):
    """`slot`: the number of the slot whose worker is to be replaced."""

    slot: int


COMMANDS: Final[dict[str, type[_Params]]] = {
    "status": Nothing,
    "health": Nothing,
    "stop": StopParams,
    "reload": Nothing,
    "scale": ScaleParams,
    "restart_agent": Nothing,
    "kick": KickParams,
    "reopen": Nothing,
    "trace": Nothing,
}
"""Every command and its parameters."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line from a client. `id` comes back in every event about it."""

    v: int
    id: int
    command: str
    params: dict[str, Any] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line from the master. `event` is accepted, alive, progress, done or error; the other fields depend on it."""

    id: int
    event: str
    text: str = ""
    data: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    problem: str = ""
    hint: str = ""
    detail: str = ""
    exit_code: int = 0


_REQUEST = msgspec.json.Decoder(Request)
_REPLY = msgspec.json.Decoder(Reply)


def parse_request(line: bytes) -> tuple[Request, dict[str, Any]]:
    """Return the request and its checked parameters, defaults filled in; raises `BadRequestError`."""
    try:
        request = _REQUEST.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"this is no request: {error}", hint="send one JSON object a line") from None
    if request.v != VERSION:
        raise BadRequestError(f"protocol version {request.v} is not spoken here", hint=f"speak version {VERSION}")
    params = COMMANDS.get(request.command)
    if params is None:
        from difflib import get_close_matches  # noqa: PLC0415 - rarely needed, and the master should be small

        close = get_close_matches(request.command, COMMANDS, n=1)
        raise BadRequestError(f"there is no command {request.command[:50]!r}", hint=f"did you mean {close[0]}?" if close else "")
    try:
        return request, msgspec.structs.asdict(msgspec.convert(request.params, params))
    except msgspec.ValidationError as error:
        raise BadRequestError(f"wrong parameters for {request.command}: {error}") from None


def encode_request(request_id: int, command: str, params: dict[str, Any]) -> bytes:
    """Encode one request line."""
    return msgspec.json.encode(Request(v=VERSION, id=request_id, command=command, params=params)) + b"\n"


def encode_reply(reply: Reply) -> bytes:
    """Encode one reply line. What JSON cannot express in a result is shown as text, so that an answer always arrives."""
    return msgspec.json.encode(reply, enc_hook=str) + b"\n"


def decode_reply(line: bytes) -> Reply:
    """Decode one reply line; raises `msgspec.MsgspecError`."""
    return _REPLY.decode(line)


def error_reply(request_id: int, error: TamagoError) -> Reply:
    """Turn an error into the reply that carries it."""
    code = error.code if isinstance(error, ControlError) else int(error.exit_code)
    return Reply(id=request_id, event="error", problem=error.problem, hint=error.hint, detail=error.detail, exit_code=code)
