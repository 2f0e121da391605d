"""TLS over the wire: real handshakes, and everything that an HTTP connection promises holds inside of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.web.apps import Gate, answer, echo, hello, no_lifespan
from tests.web.certificates import ca, client_context, leaf
from tests.web.conftest import Run
from tests.web.edge import request, serving, until
from websockets.asyncio.client import connect

from tamago.cluster.certificates import load_certificates
from tamago.ipc.control_messages import Tls
from tamago.server.asgi import Receive, Scope, Send


@functools.cache
def _context(directory: Path, client_certificate: str) -> ssl.SSLContext:
    leaf("shop.example").private_key_and_cert_chain_pem.write_to_path(str(directory / "shop.pem"))
    ca().cert_pem.write_to_path(str(directory / "ca.pem"))
    authority = "" if client_certificate == "none" else "ca.pem"
    return load_certificates(Tls(certificates=("shop.pem",), client_ca=authority, client_certificate=client_certificate), str(directory))


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    return _context(tmp_path, "none")


async def scope_of(scope: Scope, receive: Receive, send: Send) -> None:
    await no_lifespan(scope)
    tls = scope.get("extensions", {}).get("tls", {})
    facts = [scope["scheme"], tls.get("tls_version"), tls.get("client_cert_name"), len(tls.get("client_cert_chain", ()))]
    await answer(send, repr(facts).encode())


def raw(served: Any) -> socket.socket:
    """A blocking client on the bare socket, for a thread of its own."""
    return socket.create_connection(served.address, timeout=15)


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_are_answered_and_know_that_they_are_secure(run: Run, tls: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    async def main() -> None:
        context = client_context()
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with serving(scope_of, tls=tls) as served:
            client = await served.connect(context)
            spoken = client.writer.get_extra_info("ssl_object")
            assert spoken.selected_alpn_protocol() == "http/1.1"
            number = {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}[version]
            for _ in range(3):
                assert (await client.get()).body.decode() == repr(["https", number, None, 0])

    run(main())


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 3_000_000])
def test_bodies_of_any_size_go_both_ways(run: Run, tls: ssl.SSLContext, size: int) -> None:
    async def main() -> None:
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        async with serving(echo, tls=tls) as served:
            client = await served.connect(client_context())
            sending = asyncio.create_task(client.send(request("POST", "/", body=body)))
            assert (await client.reply()).body == body
            await sending

    run(main())


def test_records_may_come_cut_at_any_byte(run: Run, tls: ssl.SSLContext) -> None:
    """A client in memory whose every byte is sent by itself."""

    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            plain = await served.connect()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context().wrap_bio(incoming, outgoing, server_hostname="shop.example")

            async def step(do: Any) -> Any:
                while True:
                    try:
                        result = do()
                    except ssl.SSLWantReadError:
                        result = None
                    for byte in outgoing.read():
                        plain.writer.write(bytes([byte]))
                        await asyncio.sleep(0)
                    if result is not None:
                        return result
                    incoming.write(await plain.reader.read(65536))

            def shake_hands() -> bool:
                client.do_handshake()
                return True

            await step(shake_hands)
            await step(lambda: client.write(request("GET", "/")))
            assert (await step(lambda: client.read(65536))).startswith(b"HTTP/1.1 200 OK\r\n")

    run(main())


def test_pipelined_requests_in_one_record_are_answered_in_order(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(echo, tls=tls, limit_pipeline=4) as served:
            client = await served.connect(client_context())
            bodies = [b"%d" % number * 400 for number in range(60)]
            await client.send(*(request("POST", "/", body=body) for body in bodies))
            assert [(await client.reply()).body for _ in bodies] == bodies

    run(main())


def test_a_file_is_enciphered_as_everything_else(run: Run, tls: ssl.SSLContext, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4096)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        assert "http.response.pathsend" in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(file)})

    async def main() -> None:
        async with serving(app, tls=tls) as served:
            client = await served.connect(client_context())
            assert (await client.get()).body == file.read_bytes()
            assert (await client.get()).body == file.read_bytes(), "the connection stays"

    run(main())


def test_a_websocket(run: Run, tls: ssl.SSLContext) -> None:
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async def main() -> None:
        async with serving(app, tls=tls) as served:
            url = f"wss://shop.example:{served.address[1]}"
            async with connect(url, ssl=client_context(), host="127.0.0.1", proxy=None) as websocket:
                await websocket.send("hello")
                assert await websocket.recv() == "hello"
        (scope,) = scopes
        assert scope["scheme"] == "wss"
        assert scope["extensions"].keys() == {"tls", "websocket.http.response"}

    run(main())


def test_the_name_the_client_asks_for_decides_which_certificate_it_gets(run: Run, tmp_path: Path) -> None:
    for name in ("shop", "blog"):
        leaf(f"{name}.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    tls = load_certificates(Tls(certificates=("shop.pem", "blog.pem")), str(tmp_path))

    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            for name in ("shop.example", "blog.example"):  # which the client checks
                client = await served.connect(client_context(), name)
                assert (await client.get()).body == b"hello"

    run(main())


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_end_is_announced_inside_of_tls(run: Run, tls: ssl.SSLContext) -> None:
    """Without close_notify Python's blocking client raises instead of reading the end."""

    async def main() -> None:
        async with serving(hello, tls=tls) as served:

            def talk() -> bytes:
                with client_context().wrap_socket(raw(served), server_hostname="shop.example", suppress_ragged_eofs=False) as sock:
                    sock.sendall(request("GET", "/", "Connection: close"))
                    return b"".join(iter(lambda: sock.recv(65536), b""))

            assert (await asyncio.to_thread(talk)).endswith(b"hello")

    run(main())


def test_a_client_that_has_closed_its_half_still_gets_its_answer(run: Run, tls: ssl.SSLContext) -> None:
    gate = Gate()

    async def main() -> None:
        async with serving(gate, tls=tls) as served:

            def talk() -> bytes:
                sock = raw(served)
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                client = client_context().wrap_bio(incoming, outgoing, server_hostname="shop.example")
                while True:
                    try:
                        client.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        incoming.write(sock.recv(65536))
                client.write(request("GET", "/"))
                with pytest.raises(ssl.SSLWantReadError):
                    client.unwrap()
                sock.sendall(outgoing.read())
                sock.shutdown(socket.SHUT_WR)
                with sock:
                    return b"".join(iter(lambda: sock.recv(65536), b""))

            talking = asyncio.create_task(asyncio.to_thread(talk))
            await gate.entered.wait()
            gate.opened.set()
            # The answer in its record, and the goodbye in another: application data is of type 23, an alert in TLS 1.3 looks the same.
            assert len(await talking) > len(b"HTTP/1.1 200 OK")

    run(main())


@pytest.mark.slow
def test_a_slow_reader_gets_the_whole_answer_though_the_connection_closes(run: Run, tls: ssl.SSLContext) -> None:
    size = 8_000_000

    async def big(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await answer(send, b"x" * size, fields=[(b"connection", b"close")])

    async def main() -> None:
        go_on = threading.Event()
        async with serving(big, tls=tls) as served:

            def talk() -> int:
                with client_context().wrap_socket(raw(served), server_hostname="shop.example") as sock:
                    sock.sendall(request("GET", "/"))
                    go_on.wait(15)
                    return len(b"".join(iter(lambda: sock.recv(65536), b"")).partition(b"\r\n\r\n")[2])

            talking = asyncio.create_task(asyncio.to_thread(talk))
            await until(lambda: any(connection.closing for connection in served.edge.server.connections))
            (connection,) = served.edge.server.connections
            assert connection.transport.get_write_buffer_size() > 1_000_000, "what the transport below holds is counted"
            connection.expire()  # its time to close is over
            go_on.set()
            assert await talking == size

    run(main())


def test_an_answer_that_fails_in_the_middle_ends_without_a_goodbye(run: Run, tls: ssl.SSLContext) -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("broken")

    async def main() -> None:
        async with serving(fails, tls=tls) as served:
            client = await served.connect(client_context())
            await client.send(request("GET", "/"))
            assert await client.reset()

    run(main())


def test_what_is_refused_is_answered_before_the_end(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls, limit_header_bytes=1000) as served:
            client = await served.connect(client_context())
            sending = asyncio.create_task(client.send(request("GET", "/", "X: " + "x" * 500_000)))
            assert (await client.reply()).status == 431
            assert await client.rest() == b""
            with contextlib.suppress(ConnectionError):
                await sending

    run(main())


# ── the drain ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drain_answers_what_is_in_flight_and_closes_properly(run: Run, tls: ssl.SSLContext) -> None:
    gate = Gate()

    async def main() -> None:
        async with serving(gate, tls=tls) as served:
            busy, idle = await served.connect(client_context()), await served.connect(client_context())
            await busy.send(request("GET", "/"))
            await gate.entered.wait()
            draining = asyncio.create_task(served.edge.drain(closing=False))
            assert await idle.rest() == b""
            gate.opened.set()
            reply = await busy.reply()
            assert (reply.status, reply["connection"]) == (200, "close")
            assert await busy.rest() == b""
            await draining

    run(main())


def test_a_record_that_has_begun_keeps_its_connection_through_a_drain(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls, linger=0.0) as served:
            plain = await served.connect()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_context().wrap_bio(incoming, outgoing, server_hostname="shop.example")
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await plain.send(outgoing.read())
                    incoming.write(await plain.reader.read(65536))
            await plain.send(outgoing.read())
            await until(lambda: served.edge.server.connections)
            client.write(request("GET", "/"))
            record = outgoing.read()
            await plain.send(record[:20])
            (connection,) = served.edge.server.connections
            await until(lambda: connection.transport.is_amid_record)  # type: ignore[attr-defined]
            draining = asyncio.create_task(served.edge.drain(closing=False))
            await until(lambda: served.edge.server.draining)
            assert not connection.close_if_idle(connection.epoch)
            await plain.send(record[20:])
            incoming.write(await plain.reader.read())
            assert client.read(65536).startswith(b"HTTP/1.1 200 OK\r\n")
            await draining

    run(main())


def test_who_has_connected_and_said_nothing_does_not_hold_up_a_drain(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls, header_timeout=1000.0) as served:
            silent = await served.connect()
            await until(lambda: served.edge._arrivals)
            await served.edge.drain(closing=False)
            assert await silent.rest() == b"" or await silent.reset()

    run(main())


# ── bad clients ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_plain_http_is_told_to_use_https(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            client = await served.connect()
            await client.send(request("GET", "/"))
            reply = await client.reply()
            assert (reply.status, reply["connection"]) == (400, "close")
            assert b"https://" in reply.body
            assert await client.rest() == b""
            assert served.meter.requests == 0

    run(main())


def test_an_old_version_is_refused_with_an_alert(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        async with serving(hello, tls=tls) as served:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                await served.connect(context)

    run(main())


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a byte", "the begin of a hello"])
def test_a_handshake_that_stalls_ends_at_its_deadline(run: Run, tls: ssl.SSLContext, said: bytes) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls, header_timeout=0.1) as served:
            client = await served.connect()
            await client.send(said)
            assert await client.reset() or not served.edge._arrivals
            assert served.meter.connections == 0

    run(main())


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [(b"\x16" + b"\xff" * 50, b""), (b"\x16\x03\x01\x00\x05hello", b"\x15\x03\x03\x00\x02\x02\x0a")],
    ids=["no record", "no hello gets an alert"],
)
def test_garbage_in_place_of_a_handshake_ends_the_connection(run: Run, tls: ssl.SSLContext, garbage: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            client = await served.connect()
            await client.send(garbage)
            assert await client.rest() == answer
            await client.close()
            await until(lambda: not served.edge._arrivals)

    run(main())


def test_a_changed_record_ends_the_connection(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            client = await served.connect(client_context())
            await client.get()
            with socket.socket(fileno=client.writer.get_extra_info("socket").fileno()) as below:
                below.setblocking(True)
                below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
                below.detach()
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert not await client.rest()
            await until(lambda: not served.edge.server.connections)

    run(main())


def test_a_client_that_vanishes_in_the_handshake_is_forgotten(run: Run, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with serving(hello, tls=tls) as served:
            client = await served.connect()
            await client.send(b"\x16\x03")
            await until(lambda: served.edge._arrivals)
            sock = client.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.abort()
            await until(lambda: not served.edge._arrivals)

    run(main())


# ── client certificates ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_application_learns_whose_certificate_it_was(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        certificate = ca().issue_cert("till@shop.example", common_name="till 1", organization_name="Shop", organization_unit_name="Sales")
        async with serving(scope_of, tls=_context(tmp_path, "required")) as served:
            client = await served.connect(client_context(certificate))
            assert "'CN=till 1,OU=Sales,O=Shop', 1]" in (await client.get()).body.decode()

    run(main())


def test_without_a_certificate_one_is_let_in_where_it_is_optional(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(scope_of, tls=_context(tmp_path, "optional")) as served:
            assert b"None, 0]" in (await (await served.connect(client_context())).get()).body

    run(main())


def test_without_a_certificate_one_is_refused_where_it_is_required(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(scope_of, tls=_context(tmp_path, "required")) as served:
            # In TLS 1.3 the client is done before the server has looked at its certificate, so it is told while it reads.
            client = await served.connect(client_context())
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)) as missing:
                await client.get()
            assert "CERTIFICATE_REQUIRED" in str(missing.value).upper()
            assert served.meter.requests == 0

    run(main())


def test_a_certificate_of_another_authority_is_refused(run: Run, tmp_path: Path) -> None:
    import trustme

    async def main() -> None:
        stranger = trustme.CA().issue_cert("till@shop.example")
        async with serving(hello, tls=_context(tmp_path, "optional")) as served:
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)) as refused:
                await (await served.connect(client_context(stranger))).get()
            assert "UNKNOWN_CA" in str(refused.value).upper()

    run(main())
