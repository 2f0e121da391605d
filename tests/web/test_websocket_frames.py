"""Websocket frames on the wire: what no client library would send, compression, and who has to wait for whom."""

from __future__ import annotations

import asyncio
import logging
import socket
import zlib

import pytest
from tests.web.apps import no_lifespan
from tests.web.conftest import Run
from tests.web.edge import Served, request, serving, until
from tests.web.frames import (
    BINARY,
    CLOSE,
    CONT,
    DEFLATE,
    FIN,
    HANDSHAKE,
    PING,
    PONG,
    RSV1,
    TEXT,
    frame,
    read_close,
    read_frame,
    shake_hands,
)
from tests.web.test_websocket import Echo, client

from tamago.server.asgi import Receive, Scope, Send
from tamago.server.websocket import WebSocket


def tunnel(served: Served) -> WebSocket:
    """The server's end of the only websocket."""
    (connection,) = served.edge.server.connections
    assert isinstance(connection.tunnel, WebSocket)
    return connection.tunnel


class Listener:
    """Takes what there is once it is `opened`, which it is at first, and remembers it; at last the code of the disconnect."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opened.set()
        self.heard: list[object] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await self.opened.wait()
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append(message.get("text", message.get("bytes")))
        self.heard.append(message["code"])


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-12)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


BROKEN = {
    "not masked": (frame(FIN | TEXT, b"a", mask=None), 1002),
    "a reserved bit": (frame(FIN | 0x20 | TEXT, b"a"), 1002),
    "compressed, though nobody agreed to that": (frame(FIN | RSV1 | TEXT, deflated(b"a")), 1002),
    "an opcode that means nothing": (frame(FIN | 0x3), 1002),
    "an opcode of control that means nothing": (frame(FIN | 0xB), 1002),
    "a control frame too long": (frame(FIN | PING, b"x" * 126), 1002),
    "a control frame in pieces": (frame(PING, b"x"), 1002),
    "a piece without a beginning": (frame(FIN | CONT, b"a"), 1002),
    "a message within another": (frame(TEXT, b"a") + frame(FIN | TEXT, b"b"), 1002),
    "no UTF-8": (frame(FIN | TEXT, b"\xff"), 1007),
    "no UTF-8, over two pieces": (frame(TEXT, "é".encode()[:1]) + frame(FIN | CONT, b"a"), 1007),
    "larger than allowed": (frame(FIN | BINARY, size=1001), 1009),
    "larger than any memory": (frame(FIN | BINARY, size=(1 << 64) - 1), 1009),
    "larger than allowed, in pieces": (frame(BINARY, b"x" * 600) + frame(CONT, b"x" * 600), 1009),
    "half a close code": (frame(FIN | CLOSE, b"\x03"), 1002),
    "a close code nobody may send": (frame(FIN | CLOSE, (1006).to_bytes(2, "big")), 1002),
    "a reason that is no UTF-8": (frame(FIN | CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_breaks_the_rules_is_told_so_and_not_heard_any_more(run: Run, how: str) -> None:
    data, code = BROKEN[how]

    async def main() -> None:
        app = Listener()
        async with serving(app, ws_max_size=1000) as served:
            raw = await shake_hands(served)
            await raw.send(frame(FIN | TEXT, b"before"), data, frame(FIN | TEXT, b"after"))
            assert (await read_close(raw))[0] == code
            assert await raw.rest() == b""
            await until(lambda: not served.meter.in_flight)
            assert app.heard == ["before", code]

    run(main())


@pytest.mark.parametrize("size", [5, 40_000])
def test_what_comes_before_the_accept_waits_for_it(run: Run, size: int) -> None:
    async def main() -> None:
        async with serving(Echo()) as served:
            raw = await served.connect()
            await raw.send(request("GET", "/", *HANDSHAKE), frame(FIN | TEXT, b"x" * size), frame(FIN | TEXT, b"more"))
            await raw.reader.readuntil(b"\r\n\r\n")
            assert await read_frame(raw) == (FIN | TEXT, b"x" * size)
            assert await read_frame(raw) == (FIN | TEXT, b"more")

    run(main())


def test_who_sends_much_before_the_accept_is_cut_off(run: Run) -> None:
    async def main() -> None:
        heard: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            heard.append(await receive())

        async with serving(app) as served:
            raw = await served.connect()
            await raw.send(request("GET", "/", *HANDSHAKE), frame(FIN | BINARY, b"x" * 70_000))
            assert await raw.reset()
            await until(lambda: not served.meter.in_flight)
            assert heard == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    run(main())


def test_bytes_may_come_one_by_one_and_pings_between_pieces(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served:
            raw = await shake_hands(served)
            pieces = [frame(TEXT, "hé".encode()[:2]), frame(FIN | PING, b"?"), frame(CONT), frame(FIN | CONT, "hé".encode()[2:] + b"llo")]
            for byte in b"".join([*pieces, frame(FIN | BINARY, b"y" * 300), frame(FIN | TEXT)]):
                await raw.send(bytes((byte,)))
                await asyncio.sleep(0)
            frames = [await read_frame(raw) for _ in range(4)]
            assert frames == [(FIN | PONG, b"?"), (FIN | TEXT, "héllo".encode()), (FIN | BINARY, b"y" * 300), (FIN | TEXT, b"")]
            await raw.send(frame(FIN | CLOSE))
            assert await read_frame(raw) == (FIN | CLOSE, b"")
            assert await raw.rest() == b""
            await app.ended.wait()
            assert app.messages[-1] == {"type": "websocket.disconnect", "code": 1005, "reason": ""}

    run(main())


def test_large_messages_are_compressed_and_small_ones_are_not(run: Run) -> None:
    async def main() -> None:
        async with serving(Echo()) as served:
            raw = await shake_hands(served, DEFLATE)
            large = b"all work and no play " * 1000
            await raw.send(frame(FIN | RSV1 | TEXT, deflated(b"small")), frame(FIN | RSV1 | TEXT, deflated(large)))
            assert await read_frame(raw) == (FIN | TEXT, b"small")
            first, payload = await read_frame(raw)
            assert first == FIN | RSV1 | TEXT
            assert len(payload) < len(large) / 10
            assert zlib.decompressobj(wbits=-12).decompress(payload + b"\0\0\xff\xff") == large

    run(main())


@pytest.mark.parametrize("wanted", [True, False])
def test_compression_carries_nothing_over_and_can_be_turned_off(run: Run, wanted: bool) -> None:
    async def main() -> None:
        async with serving(Echo(), ws_per_message_deflate=wanted) as served, client(served) as ws:
            assert ws.response is not None
            agreed = ws.response.headers.get("Sec-WebSocket-Extensions", "")
            for name in (
                "server_no_context_takeover",
                "client_no_context_takeover",
                "server_max_window_bits=12",
                "client_max_window_bits=12",
            ):
                assert (name in agreed) is wanted
            for message in ("x" * 200_000, ["in ", "pieces ", "z" * 5000], b"\0" * 3000):
                await ws.send(message)
                assert await ws.recv() == ("".join(message) if isinstance(message, list) else message)

    run(main())


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_message_that_inflates_beyond_the_limit_is_refused(run: Run, pieces: int) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, ws_max_size=100_000) as served:
            raw = await shake_hands(served, DEFLATE)
            bomb = deflated(b"\0" * 100_001)
            if pieces == 1:
                await raw.send(frame(FIN | RSV1 | BINARY, bomb))
            else:
                await raw.send(frame(RSV1 | BINARY, bomb[:50]), frame(FIN | CONT, bomb[50:]))
            assert (await read_close(raw))[0] == 1009
            await app.ended.wait()
            assert app.messages[-1]["code"] == 1009

    run(main())


def test_many_that_inflate_wait_as_they_came(run: Run) -> None:
    async def main() -> None:
        app = Listener()
        app.opened.clear()
        async with serving(app) as served:
            raw = await shake_hands(served, DEFLATE)
            await raw.send(frame(FIN | RSV1 | BINARY, deflated(b"\0" * 1_000_000)) * 50, frame(FIN | CLOSE, (4000).to_bytes(2, "big")))
            await until(lambda: tunnel(served).frames.is_full)
            assert len(tunnel(served).frames.inbox) == 1
            app.opened.set()
            assert (await read_close(raw))[0] == 4000
            await until(lambda: not served.meter.in_flight)
            assert ([len(message) for message in app.heard[:-1]], app.heard[-1]) == ([1_000_000] * 50, 4000)  # type: ignore[arg-type]

    run(main())


def test_what_was_sent_before_the_connection_broke_can_still_be_taken(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        app = Listener()
        app.opened.clear()
        async with serving(app) as served:
            raw = await shake_hands(served)
            # In one packet, of which a part is held back.
            await raw.send(*(frame(FIN | TEXT, b"x" * 1000) + frame(FIN | PING) for _ in range(100)))
            await until(lambda: tunnel(served).frames.has_held_back)
            websocket = tunnel(served)
            raw.abort()
            websocket.lost()
            app.opened.set()
            await until(lambda: not served.meter.in_flight)
            assert app.heard[-1] == 1006
            assert len(app.heard) > 17
        assert caplog.records == []

    run(main())


def test_a_client_that_does_not_read_makes_send_wait(run: Run) -> None:
    async def main() -> None:
        sent: list[int] = []
        ended = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            await send({"type": "websocket.accept"})
            try:
                while True:
                    await send({"type": "websocket.send", "bytes": b"x" * 65536})
                    sent.append(1)
                    await asyncio.sleep(0)
            finally:
                ended.set()

        async with serving(app) as served:
            raw = await shake_hands(served)
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: any(connection.write_paused for connection in served.edge.server.connections))
            assert len(sent) < 1000
            raw.abort()
            await ended.wait()

    run(main())


def test_a_client_that_pings_and_reads_nothing_is_made_to_wait(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app) as served:
            raw = await shake_hands(served)
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pings = frame(FIN | PING, b"x" * 125) * 100

            async def flood() -> None:
                while True:
                    await raw.send(pings)

            (connection,) = served.edge.server.connections
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            flooding = asyncio.create_task(flood())
            await until(lambda: connection.reading_paused)
            assert connection.transport.get_write_buffer_size() < 2_000_000
            flooding.cancel()
            raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(100):
                assert await read_frame(raw) == (FIN | PONG, b"x" * 125)
            raw.abort()
            await app.ended.wait()

    run(main())


def test_a_client_that_answers_pings_stays(run: Run) -> None:
    async def main() -> None:
        app = Echo()
        async with serving(app, keep_alive=0.1, ws_ping_interval=0.05, ws_ping_timeout=5) as served:
            raw = await shake_hands(served)
            for _ in range(3):
                first, payload = await read_frame(raw)
                assert first == FIN | PING
                await raw.send(frame(FIN | PONG, payload))
            await raw.send(frame(FIN | TEXT, b"still here"))
            while (answer := await read_frame(raw))[0] == FIN | PING:
                pass
            assert answer == (FIN | TEXT, b"still here")

    run(main())


def test_a_client_is_not_given_up_while_the_application_takes_nothing(run: Run) -> None:
    async def main() -> None:
        opened = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            await send({"type": "websocket.accept"})
            await opened.wait()
            for _ in range(300):
                await receive()
            await send({"type": "websocket.send", "text": "done"})
            await receive()

        async with serving(app, keep_alive=0.1, ws_ping_interval=0.05, ws_ping_timeout=0.05) as served:
            raw = await shake_hands(served)
            await raw.send(*(frame(FIN | TEXT, b"x") for _ in range(300)))
            for _ in range(4):  # the second is sent when the time to answer the first is over, and so on
                assert (await read_frame(raw))[0] == FIN | PING
            opened.set()
            while (answer := await read_frame(raw))[0] == FIN | PING:
                await raw.send(frame(FIN | PONG, answer[1]))
            assert answer == (FIN | TEXT, b"done")

    run(main())


def test_without_an_interval_nobody_is_asked(run: Run) -> None:
    async def main() -> None:
        async with serving(Echo(), keep_alive=0.1, ws_ping_interval=0) as served:
            raw = await shake_hands(served)
            (connection,) = served.edge.server.connections
            assert connection.deadline == float("inf")
            await raw.send(frame(FIN | TEXT, b"hello"))
            assert await read_frame(raw) == (FIN | TEXT, b"hello")

    run(main())


def test_a_socket_that_was_closed_takes_no_message(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        errors: list[BaseException] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await no_lifespan(scope)
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4001})
            try:
                await send({"type": "websocket.send", "text": "too late"})
            except OSError as error:
                errors.append(error)
                raise

        async with serving(app) as served:
            raw = await shake_hands(served)
            assert (await read_close(raw))[0] == 4001
            # What crosses the close on its way is read, but no answer to it.
            await raw.send(frame(FIN | TEXT, b"crossing"), frame(FIN | CLOSE, (4001).to_bytes(2, "big")))
            assert await raw.rest() == b""
        assert len(errors) == 1
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    run(main())
