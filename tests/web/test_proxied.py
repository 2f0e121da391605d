"""The PROXY protocol over the wire: in clear and ahead of TLS, from those who may and those who may not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.web.apps import answer, hello, no_lifespan
from tests.web.certificates import client_context, leaf
from tests.web.conftest import Run
from tests.web.edge import CountingMeter, Served, context, request, running, serving, until

from tamago.cluster.certificates import load_certificates
from tamago.ipc.control_messages import Tls
from tamago.server.asgi import Receive, Scope, Send
from tamago.server.wsgi import WsgiWorker
from tamago.types import ServerOptions

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f" + bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack("!HH", 56324, 443) + b"\x04\x00\x00"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
TRUSTED: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": ("127.0.0.0/8", "unix")}


async def client_of(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    await answer(send, repr((scope["client"], scope["scheme"])).encode())


async def ask(served: Served, header: bytes, *fields: str) -> str:
    client = await served.connect()
    await client.send(header, request("GET", "/", *fields))
    return (await client.reply()).body.decode()


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_client_is_whom_the_header_names(run: Run, header: bytes) -> None:
    async def main() -> None:
        async with serving(client_of, **TRUSTED) as served:
            assert await ask(served, header) == "(('192.0.2.1', 56324), 'http')"
            # The client is no trusted proxy, whoever brought it.
            assert "192.0.2.1" in await ask(served, header, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")

    run(main())


def test_a_health_check_speaks_for_the_proxy_itself(run: Run) -> None:
    async def main() -> None:
        async with serving(client_of, **TRUSTED) as served:
            for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
                assert "'127.0.0.1'" in await ask(served, header)

    run(main())


def test_over_a_unix_socket(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(client_of, path=tmp_path / "s", **TRUSTED) as served:
            assert await ask(served, V2) == "(('192.0.2.1', 56324), 'http')"
            assert await ask(served, LOCAL) == "(None, 'http')"

    run(main())


def test_wsgi_and_the_access_log_see_the_same_client(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "access.log"

    def app(environ: dict[str, object], start_response: object) -> Iterable[bytes]:
        start_response("200 OK", [])  # type: ignore[operator]
        return [f"{environ['REMOTE_ADDR']}:{environ['REMOTE_PORT']}".encode()]

    async def main() -> None:
        meter = CountingMeter()
        options = ServerOptions(linger=0.02, access_log=True, access_log_file=str(log), access_log_format="{client}", **TRUSTED)
        async with running(WsgiWorker(app, context(options, meter)), meter) as served:
            assert await ask(served, V1) == "192.0.2.1:56324"
            await until(lambda: not served.meter.in_flight)

    run(main())
    assert log.read_text() == "192.0.2.1\n"


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_cut_at_every_byte(run: Run, header: bytes) -> None:
    async def main() -> None:
        async with serving(client_of, **TRUSTED) as served:
            whole = header + request("GET", "/")
            for size in range(1, len(header) + 2):
                client = await served.connect()
                await client.send(whole[:size])
                await until(lambda: served.edge._arrivals or served.edge.server.connections)
                await client.send(whole[size:])
                assert "192.0.2.1" in (await client.reply()).body.decode()
                await client.close()
                await until(lambda: not served.edge.server.connections)

    run(main())


def test_byte_by_byte(run: Run) -> None:
    async def main() -> None:
        async with serving(client_of, **TRUSTED) as served:
            client = await served.connect()
            for byte in V2 + request("GET", "/"):
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            assert "192.0.2.1" in (await client.reply()).body.decode()

    run(main())


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 1 2 3 4\r\n",
        b"PROXY " + b"x" * 500,
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
        b"\x16\x03\x01",
    ],
    ids=["no header", "malformed", "without an end", "too long", "TLS"],
)
def test_without_a_good_header_the_connection_is_closed(run: Run, said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(hello, **TRUSTED) as served:
            client = await served.connect()
            await client.send(said)
            with contextlib.suppress(ConnectionResetError):
                assert await client.rest() == b""
            assert (served.meter.requests, served.meter.connections) == (0, 0)

    with caplog.at_level(logging.WARNING, logger="tamago.server"):
        run(main())
    assert "closed a connection from 127.0.0.1: what came is no PROXY header: " in caplog.text


@pytest.mark.parametrize("said", [b"", V1[:10], V2[:20]], ids=["nothing", "a piece of v1", "a piece of v2"])
def test_a_header_that_is_late_ends_the_connection(run: Run, said: bytes) -> None:
    async def main() -> None:
        async with serving(hello, header_timeout=0.1, **TRUSTED) as served:
            client = await served.connect()
            await client.send(said)
            with contextlib.suppress(ConnectionResetError):
                assert await client.rest() == b""
            await until(lambda: not served.edge._arrivals)

    run(main())


def test_who_is_not_trusted_is_not_listened_to(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(hello, proxy_protocol=True, trusted_proxies=("10.0.0.0/8",)) as served:
            for _ in range(3):
                client = await served.connect()
                with contextlib.suppress(ConnectionError):
                    await client.send(V1, request("GET", "/"))
                    assert await client.rest() == b""
            assert served.meter.requests == 0

    with caplog.at_level(logging.WARNING, logger="tamago.server"):
        run(main())
    assert caplog.text.count("only trusted_proxies may connect") == 1, "said once for all of them"


def test_a_health_check_that_only_connects_is_forgotten(run: Run) -> None:
    async def main() -> None:
        async with serving(hello, **TRUSTED) as served:
            client = await served.connect()
            await until(lambda: served.edge._arrivals)
            await client.close()
            await until(lambda: not served.edge._arrivals)

    run(main())


@pytest.mark.parametrize("cut", [True, False], ids=["alone", "with the hello"])
def test_the_header_comes_ahead_of_tls(run: Run, tmp_path: Path, cut: bool) -> None:
    leaf("shop.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "shop.pem"))
    tls = load_certificates(Tls(certificates=("shop.pem",)), str(tmp_path))

    async def main() -> None:
        async with serving(client_of, tls=tls, **TRUSTED) as served:
            plain = await served.connect()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context().wrap_bio(incoming, outgoing, server_hostname="shop.example")
            prefix = V2
            if cut:
                await plain.send(V2)
                await until(lambda: served.edge._arrivals)
                prefix = b""
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await plain.send(prefix, outgoing.read())
                    prefix = b""
                    incoming.write(await plain.reader.read(65536))
            client.write(request("GET", "/", "Connection: close"))
            await plain.send(outgoing.read())
            incoming.write(await plain.rest())
            assert b"(('192.0.2.1', 56324), 'https')" in client.read(65536)

    run(main())
