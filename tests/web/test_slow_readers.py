"""A client that reads slowly and steadily, on a real socket: its progress counts, although the kernel takes nothing from us for long."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from tests.web.apps import TEXT, no_lifespan
from tests.web.conftest import Run
from tests.web.edge import request, serving, until

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.http1 import Connection
from tamago.server.socket_state import unacknowledged

SIZE = 30_000_000
NEARLY = 25.0
"""Seconds, of the thirty a client may read nothing."""


class Large:
    """Answers with a large file, or the same in one piece."""

    def __init__(self, file: Path, way: str) -> None:
        self.file = file
        self.way = way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": TEXT})
        if self.way == "file":
            await send({"type": "http.response.pathsend", "path": str(self.file)})
        else:
            await send({"type": "http.response.body", "body": bytes(SIZE), "more_body": True})
            await send({"type": "http.response.body"})


async def some_read(client: socket.socket, connection: Connection) -> None:
    """Read, bit by bit, until the kernel on the other side notices."""
    loop = asyncio.get_running_loop()
    before = unacknowledged(connection.sock)
    while unacknowledged(connection.sock) >= before:
        assert await loop.sock_recv(client, 16 * 1024)


@pytest.mark.parametrize("way", ["file", "body"])
def test_who_reads_a_little_now_and_then_is_not_taken_for_one_who_reads_nothing(run: Run, tmp_path: Path, way: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(SIZE))

    async def main() -> None:
        async with serving(Large(file, way)) as served:
            with socket.create_connection(served.address) as client:
                client.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(client, request("GET", "/"))
                await until(lambda: any(each.write_paused for each in served.edge.server.connections))
                (connection,) = served.edge.server.connections
                now = served.edge.server.now
                served.edge.server.check_stall(connection, now)
                for _ in range(3):
                    now += NEARLY
                    await some_read(client, connection)
                    served.edge.server.check_stall(connection, now)
                    assert not connection.closing
                served.edge.server.check_stall(connection, now + 2 * NEARLY)
                assert connection.closing, "now it has read nothing for long"

    run(main())
