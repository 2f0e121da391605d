from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.conftest import run  # noqa: F401 - the fixture
from tests.web.edge import listen, until

from tamago.server.accept import Acceptor


class Listener(socket.socket):
    """A real listener whose accept fails as often as it is told to."""

    def __init__(self, *failures: int) -> None:
        super().__init__(fileno=listen().detach())
        self.setblocking(False)
        self.failures = list(failures)
        self.attempts = 0

    def _accept(self) -> Any:
        self.attempts += 1
        if self.failures:
            code = self.failures.pop(0)
            raise OSError(code, "injected")
        return super()._accept()  # type: ignore[misc]


class Accepted:
    """Collects what was accepted."""

    def __init__(self, listener: Any, pauses: Iterator[float] | None = None) -> None:
        self.queue: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.pauses = pauses
        self.asked = 0
        self.acceptor = Acceptor(
            listener, connect=lambda sock, _: self.queue.put_nowait(sock), accept_pause=self.pause, loop=asyncio.get_running_loop()
        )

    def pause(self) -> float:
        self.asked += 1
        return next(self.pauses, 0.0) if self.pauses else 0.0


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname())


def test_one_connection_is_accepted_per_wake_up(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        listener = listen()
        accepted = Accepted(listener)
        clients = [connect(listener) for _ in range(3)]
        accepted.acceptor.start()
        for count in (1, 2, 3):
            (await accepted.queue.get()).close()
            assert accepted.asked >= count
        accepted.acceptor.stop()
        for client in clients:
            client.close()

    run(main())


def test_a_worker_that_steps_back_looks_again_after_its_pause(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        listener = listen()
        accepted = Accepted(listener, iter([0.02, 0.02]))
        client = connect(listener)
        loop = asyncio.get_running_loop()
        started = loop.time()
        accepted.acceptor.start()
        (await accepted.queue.get()).close()
        assert loop.time() - started >= 0.035
        assert accepted.asked == 3
        accepted.acceptor.stop()
        client.close()

    run(main())


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_running_out_of_descriptors_neither_spins_nor_lasts(run: Any, caplog: pytest.LogCaptureFixture, code: int) -> None:  # noqa: F811
    async def main() -> None:
        listener = Listener(code, code)
        accepted = Accepted(listener)
        client = connect(listener)
        loop = asyncio.get_running_loop()
        started = loop.time()
        accepted.acceptor.start()
        (await accepted.queue.get()).close()
        assert loop.time() - started < 1.0
        assert listener.attempts == 3
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        accepted.acceptor.stop()
        client.close()

    run(main())


def test_a_client_that_left_the_queue_is_passed_over(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        listener = Listener(errno.ECONNABORTED, errno.EPROTO)
        accepted = Accepted(listener)
        client = connect(listener)
        accepted.acceptor.start()
        (await accepted.queue.get()).close()
        accepted.acceptor.stop()
        client.close()

    run(main())


def test_a_broken_listener_is_given_up(run: Any, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    async def main() -> None:
        listener = Listener(errno.EINVAL)
        accepted = Accepted(listener)
        client = connect(listener)
        accepted.acceptor.start()
        await until(lambda: listener.fileno() == -1)
        assert "cannot accept connections any more" in caplog.text
        client.close()

    run(main())


def test_stopping_when_empty_takes_everything_first(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        listener = listen()
        accepted = Accepted(listener)
        clients = [connect(listener) for _ in range(5)]
        accepted.acceptor.stop_when_empty()
        assert accepted.queue.qsize() == 5
        assert listener.fileno() == -1
        accepted.acceptor.start()  # a pause that ends late changes nothing
        accepted.acceptor.stop()
        while not accepted.queue.empty():
            accepted.queue.get_nowait().close()
        for client in clients:
            client.close()

    run(main())


def test_stopping_without_descriptors_ends_all_the_same(run: Any) -> None:  # noqa: F811
    async def main() -> None:
        listener = Listener(errno.EMFILE)
        accepted = Accepted(listener)
        client = connect(listener)
        accepted.acceptor.stop_when_empty()
        assert listener.fileno() == -1
        client.close()

    run(main())
