"""Requests of ours that wait for an answer, and the errors they can end in. Knows nothing of transports."""

from __future__ import annotations

import asyncio

from tamago.errors import TamagoError
from tamago.ipc.bodies import ErrorBody
from tamago.types import Address, Json

LAST_SEQ = 0xFFFF_FFFF


class RequestError(TamagoError):
    """Base of what a request can end in. `action` and `to` say which request it was."""

    def __init__(self, problem: str, *, action: str, to: Address, hint: str = "", detail: str = "") -> None:
        super().__init__(problem, hint=hint, detail=detail)
        self.action, self.to = action, to


class RequestTimeoutError(RequestError, TimeoutError):
    """No answer came in time; `timeout` is in seconds. The receiver may still be at work on it."""

    def __init__(self, *, action: str, to: Address, timeout: float) -> None:
        super().__init__(
            f"no answer to {action!r} from {to} within {timeout:g} s",
            action=action,
            to=to,
            hint="see what the receiver does with `tamago status`, or pass a longer timeout=",
        )
        self.timeout = timeout


class ReceiverGoneError(RequestError):
    """The receiver does not exist, died before it answered, or has too much waiting; `reason` says which."""

    def __init__(self, *, action: str, to: Address, reason: str) -> None:
        super().__init__(f"{action!r} to {to} was not answered: {reason}", action=action, to=to, hint="ask again, or do without the answer")
        self.reason = reason


class NoHandlerError(RequestError):
    """The receiver is up and does not listen to that action."""

    def __init__(self, *, action: str, to: Address) -> None:
        super().__init__(
            f"{to} has no handler for {action!r}", action=action, to=to, hint=f"register one there: messenger.on({action!r}, handler)"
        )


class RemoteError(RequestError):
    """The handler raised. `type` and `message` are of its exception, `detail` is its traceback over there."""

    def __init__(self, *, action: str, to: Address, type: str, message: str, traceback: str = "") -> None:  # noqa: A002
        super().__init__(f"{action!r} failed in {to}: {type}: {message}", action=action, to=to, detail=traceback)
        self.type, self.message = type, message


class _Pending:
    __slots__ = ("action", "future", "timeout", "to")

    def __init__(self, future: asyncio.Future[Json], to: Address, action: str, timeout: float) -> None:
        self.future, self.to, self.action, self.timeout = future, to, action, timeout


class Requests:
    """Every request that waits, by its number. An answer to one that no longer waits is nothing: it came too late."""

    def __init__(self) -> None:
        self._pending: dict[int, _Pending] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, future: asyncio.Future[Json], to: Address, action: str, timeout: float) -> int:
        """Remember a request and return its number, which is never 0 and not in use."""
        seq = self._last
        while True:
            seq = seq + 1 if seq < LAST_SEQ else 1
            if seq not in self._pending:
                break
        self._last = seq
        self._pending[seq] = _Pending(future, to, action, timeout)
        return seq

    def close(self, seq: int) -> None:
        """Forget a request: it was answered, given up or cancelled."""
        self._pending.pop(seq, None)

    def answered(self, seq: int, data: Json) -> None:
        pending = self._pending.get(seq)
        if pending is not None and not pending.future.done():
            pending.future.set_result(data)

    def waits(self, seq: int) -> bool:
        """Say whether an answer to this one is still of use."""
        return seq in self._pending

    def failed(self, seq: int, error: ErrorBody) -> None:
        pending = self._pending.get(seq)
        if pending is None:
            return
        to, action = pending.to, pending.action
        if error.type:
            self._fail(pending, RemoteError(action=action, to=to, type=error.type, message=error.message, traceback=error.traceback))
        else:
            self._fail(pending, NoHandlerError(action=action, to=to))

    def undelivered(self, seq: int, reason: str) -> None:
        if (pending := self._pending.get(seq)) is not None:
            self._fail(pending, ReceiverGoneError(action=pending.action, to=pending.to, reason=reason))

    def expire(self, seq: int) -> None:
        if (pending := self._pending.get(seq)) is not None:
            self._fail(pending, RequestTimeoutError(action=pending.action, to=pending.to, timeout=pending.timeout))

    def fail_all(self, error: Exception) -> None:
        for pending in tuple(self._pending.values()):
            self._fail(pending, error)

    @staticmethod
    def _fail(pending: _Pending, error: Exception) -> None:
        if not pending.future.done():
            pending.future.set_exception(error)
