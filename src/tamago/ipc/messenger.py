"""The only way processes talk: messages and requests between workers, the agent and themselves.

Owns listeners, waiting requests and running handlers. It must not know how frames travel: that is the transport's business, and the
in-memory one of a single process is as good as the one through the master.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar, overload

from tamago.errors import TamagoError
from tamago.ipc import bodies
from tamago.ipc.addresses import header_fields, one_receiver
from tamago.ipc.bodies import ErrorBody, NotSendableError
from tamago.ipc.listeners import Handler, Listeners, Unsubscribe
from tamago.ipc.loopback import Loopback
from tamago.ipc.requests import Requests
from tamago.ipc.transport import Transport
from tamago.ipc.wire import Frame, Kind, MalformedFrameError, Route
from tamago.types import Address, Json, Peer
from tamago.user_traceback import message_of, readable

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_H = TypeVar("_H", bound=Handler)

# Plain ints: reading a member of an IntEnum for each frame is what a profile of a flood shows first.
_MESSAGE, _REQUEST, _REPLY, _ERROR = int(Kind.MESSAGE), int(Kind.REQUEST), int(Kind.REPLY), int(Kind.ERROR)
_ANSWERS = (_REPLY, _ERROR)
_AGENT, _APP, _ALL, _PEER, _RANDOM = int(Route.AGENT), int(Route.APP), int(Route.ALL), int(Route.PEER), int(Route.RANDOM)
_encode = bodies.encode_message
_decode = bodies.decode_message

_FAILURE = (Exception, asyncio.CancelledError)
"""What an application's handler may raise without ending more than itself."""

LONGEST_ERROR = 64 * 1024
"""Characters of what an error says, and of its traceback, that are carried to who asked."""

_COMPLAINT_EVERY = 1.0
"""Seconds between two log lines about messages that could not be delivered."""


class Messenger:
    """Messages between workers and the agent, in memory until `connect` says otherwise.

    Sending works from any thread; handlers run on the event loop. What arrives from one sender is handled in the order it was sent; an
    async handler starts in that order and runs as a task of its own.
    """

    def __init__(self, transport: Transport | None = None) -> None:
        self._listeners = Listeners()
        self._handlers = self._listeners.by_action
        self._requests = Requests()
        # Invariant: every async handler that runs is in here, or the garbage collector may end it.
        self._running: set[asyncio.Task[Any]] = set()
        self._undelivered_callbacks: tuple[Callable[[str, int], object], ...] = ()
        self._unspoken = 0
        self._spoke_at = float("-inf")
        self.connect(transport if transport is not None else Loopback())

    def connect(self, transport: Transport) -> None:
        """Send and receive through `transport` from now on. Listeners stay."""
        self._transport = transport
        self._send = transport.send
        transport.bind(self)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def send_to_app(self, action: str, data: Json = None) -> None:
        """Send to every worker, this one included. A worker that is being replaced gets it once it is back."""
        self._send(_MESSAGE, _APP, 0, 0, 0, _encode(action, data))

    def send_to_agent(self, action: str, data: Json = None) -> None:
        """Send to the agent; if it is being replaced, the next one gets it."""
        self._send(_MESSAGE, _AGENT, 0, 0, 0, _encode(action, data))

    def send_random(self, action: str, data: Json = None) -> None:
        """Send to one worker that is ready."""
        self._send(_MESSAGE, _RANDOM, 0, 0, 0, _encode(action, data))

    def broadcast(self, action: str, data: Json = None) -> None:
        """Send to the agent and every worker, this process included."""
        self._send(_MESSAGE, _ALL, 0, 0, 0, _encode(action, data))

    def send_to(self, to: Address, action: str, data: Json = None) -> None:
        """Send to `Slot(n)`, whoever sits there, to `Pid(n)`, that very process, or to a `Group`."""
        route, slot, number = header_fields(to)
        self._send(_MESSAGE, route, slot, number, 0, _encode(action, data))

    async def request(self, to: Address, action: str, data: Json = None, *, timeout: float = 5.0) -> Json:  # noqa: ASYNC109
        """Send to one process and return what its handler returns, within `timeout` seconds.

        Raise RemoteError if the handler raised, NoHandlerError, ReceiverGoneError or RequestTimeoutError.
        """
        loop = asyncio.get_running_loop()
        home = self._transport.loop
        if home is not None and home is not loop:
            return await _elsewhere(home, self.request(to, action, data, timeout=timeout))
        route, slot, number = one_receiver(to)
        body = _encode(action, data)
        answer: asyncio.Future[Json] = loop.create_future()
        seq = self._requests.open(answer, to, action, timeout)
        expiry = loop.call_later(timeout, self._requests.expire, seq)
        try:
            self._send(_REQUEST, route, slot, number, seq, body)
            return await answer
        finally:
            expiry.cancel()
            self._requests.close(seq)

    async def drain(self) -> None:
        """Wait until there is room for more. Await it between sends in a loop: it is how slow receivers slow a sender."""
        home = self._transport.loop
        if home is not None and home is not asyncio.get_running_loop():
            await _elsewhere(home, self._transport.drain())
        else:
            await self._transport.drain()

    async def finish(self) -> None:
        """Wait for handlers that still run, then until all that was sent has left: the last thing before a process exits."""
        while self._running:
            await asyncio.wait(self._running)
        await self._transport.flush()

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The agent and the workers that are ready now."""
        return self._transport.peers

    # ── listening ────────────────────────────────────────────────────────────────────────────────────────────────────

    @overload
    def on(self, action: str, handler: Handler) -> Unsubscribe: ...
    @overload
    def on(self, action: str) -> Callable[[_H], _H]: ...
    def on(self, action: str, handler: Handler | None = None) -> Unsubscribe | Callable[[_H], _H]:
        """Call `handler(data)` for each `action`. The first handler of an action answers requests with what it returns.

        Return a function that unsubscribes. Without a handler it is a decorator.
        """
        if handler is None:
            return partial(self._decorate, action)
        self._listeners.add(action, handler)
        return lambda: self._listeners.remove(action, handler)

    def _decorate(self, action: str, handler: _H) -> _H:
        self._listeners.add(action, handler)
        return handler

    def once(self, action: str, handler: Handler) -> Unsubscribe:
        """Call `handler(data)` for the next `action` only."""
        entry = self._listeners.add_once(action, handler)
        return lambda: self._listeners.remove_entry(action, entry)

    def off(self, action: str, handler: Handler | None = None) -> None:
        """Remove this handler, or all handlers, of `action`."""
        if handler is None:
            self._listeners.remove_all(action)
        else:
            self._listeners.remove(action, handler)

    def on_undelivered(self, callback: Callable[[str, int], object]) -> None:
        """Call `callback(reason, count)` when messages sent without a request could not be delivered. They are logged in any case."""
        self._undelivered_callbacks = (*self._undelivered_callbacks, callback)

    # ── receiving: what a transport calls ────────────────────────────────────────────────────────────────────────────

    def receive(self, frames: Iterable[Frame], on_control: Callable[[memoryview], None]) -> None:
        """Handle frames in order."""
        for kind, _route, _slot, _to, sender, seq, body in frames:
            if kind == _MESSAGE:
                try:
                    action, data = _decode(body)
                except MalformedFrameError as error:
                    _log.warning("dropped a message from peer %d: %s", sender, error)
                    continue
                for handler in self._handlers.get(action, ()):
                    self._run(handler, action, data)
            elif kind == _REQUEST:
                self._serve(sender, seq, body)
            elif kind in _ANSWERS:
                self._settle(kind, seq, body)
            else:
                on_control(body)

    def undelivered(self, request: int, reason: str, count: int) -> None:
        if request:
            self._requests.undelivered(request, reason)
            return
        self._unspoken += count
        now = time.monotonic()
        if now - self._spoke_at >= _COMPLAINT_EVERY:
            _log.warning("%d message(s) of this process could not be delivered: %s", self._unspoken, reason)
            self._spoke_at, self._unspoken = now, 0
        for callback in self._undelivered_callbacks:
            try:
                callback(reason, count)
            except Exception:  # noqa: BLE001 (it is the application's)
                _log.exception("the callback of on_undelivered failed")

    def disconnected(self, error: Exception) -> None:
        self._requests.fail_all(error)

    def _run(self, handler: Handler, action: str, data: Json) -> None:
        try:
            result = handler(data)
        except _FAILURE:
            _log.exception("the handler of %r failed", action)
            return
        if result is not None and isawaitable(result):
            self._start(self._log_failure(result, action))

    async def _log_failure(self, result: Awaitable[Json], action: str) -> None:
        try:
            await result
        except Exception:  # noqa: BLE001 (it is the application's)
            _log.exception("the handler of %r failed", action)

    def _start(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # ── answering ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, sender: int, seq: int, body: memoryview) -> None:
        try:
            action, data = _decode(body)
        except MalformedFrameError as error:
            _log.warning("refused a request from peer %d: %s", sender, error)
            self._reply_error(sender, seq, error)
            return
        handlers = self._handlers.get(action)
        if not handlers:
            self._reply(sender, seq, _ERROR, bodies.encode_error(ErrorBody("", action)))
            return
        try:
            result = handlers[0](data)
        except _FAILURE as error:
            self._failed(sender, seq, action, error)
        else:
            if result is not None and isawaitable(result):
                self._start(self._answer_later(sender, seq, action, result))
            else:
                self._answer(sender, seq, action, result)
        for handler in handlers[1:]:
            self._run(handler, action, data)

    async def _answer_later(self, sender: int, seq: int, action: str, result: Awaitable[Json]) -> None:
        try:
            data = await result
        except _FAILURE as error:
            self._failed(sender, seq, action, error)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._answer(sender, seq, action, data)

    def _answer(self, sender: int, seq: int, action: str, data: Json) -> None:
        try:
            self._reply(sender, seq, _REPLY, bodies.encode_reply(data))
        except TamagoError as error:
            self._failed(sender, seq, action, error)

    def _failed(self, sender: int, seq: int, action: str, error: BaseException) -> None:
        _log.error("the handler of %r failed", action, exc_info=error)
        self._reply_error(sender, seq, error)

    def _reply_error(self, sender: int, seq: int, error: BaseException) -> None:
        frames = error.__traceback__
        # The first frame is ours and tells nobody anything.
        text = readable("".join(traceback.format_exception(type(error), error, frames.tb_next if frames else None)))
        message = readable(error.problem) if isinstance(error, TamagoError) else message_of(error)
        body = ErrorBody(type(error).__name__, message[:LONGEST_ERROR], text[-LONGEST_ERROR:])
        try:
            self._reply(sender, seq, _ERROR, bodies.encode_error(body))
        except TamagoError:
            _log.exception("the answer to a request could not be sent")

    def _reply(self, to: int, seq: int, kind: int, body: bytes) -> None:
        self._send(kind, _PEER, 0, to, seq, body)

    def _settle(self, kind: int, seq: int, body: memoryview) -> None:
        """Give an answer to the request that waits for it, if one still does."""
        if not self._requests.waits(seq):
            return
        try:
            if kind == _REPLY:
                self._requests.answered(seq, bodies.decode_reply(body))
            else:
                self._requests.failed(seq, bodies.decode_error(body))
        except MalformedFrameError as error:
            self._requests.failed(seq, ErrorBody(type(error).__name__, error.reason))


async def _elsewhere(home: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run it on the loop that receives, and wait for it on the one that asks."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, home))


__all__ = ["Handler", "Messenger", "NotSendableError", "Unsubscribe"]
