"""The control socket: who may connect, and that no client can hurt the master."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tamago.cluster import control
from tamago.cluster.control import ControlServer, Progress, bind_control, peer_uid
from tamago.cluster.control_protocol import LONGEST_LINE
from tamago.cluster.rundir import RunDir, this_process
from tamago.errors import ExitCode, TamagoError


class Cluster:
    """A handler that does what the test needs."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.release = asyncio.Event()
        self.waiting = asyncio.Event()

    async def handle(self, command: str, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
        self.seen.append((command, params))
        match command:
            case "reload":
                progress("worker 1 of 2")
                progress({"slot": 1})
                self.waiting.set()
                await self.release.wait()
            case "scale":
                raise TamagoError("no", hint="try", detail="Traceback")
            case "kick":
                raise ZeroDivisionError
            case "trace":
                return {"text": "x" * (control.MOST_OUTPUT + 1)}
            case _:
                pass
        return {"command": command}


@asynccontextmanager
async def serving(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[RunDir, Cluster, ControlServer]]:
    with RunDir(tmp_path, "shop", create=True) as rundir:
        rundir.lock(this_process(title="shop", directory="/"))
        cluster = Cluster()
        server = ControlServer(rundir, cluster, **options)
        await server.start()
        try:
            yield rundir, cluster, server
        finally:
            cluster.release.set()
            await server.close()


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, command: str, request_id: int = 1, **params: Any) -> None:
        self.writer.write(json.dumps({"v": 1, "id": request_id, "command": command, "params": params}).encode() + b"\n")

    async def reply(self) -> dict[str, Any] | None:
        """Return the next reply, or None at the end of the connection."""
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def answer(self) -> list[dict[str, Any]]:
        """Return the replies up to the final one, without signs of life."""
        replies: list[dict[str, Any]] = []
        while (reply := await self.reply()) is not None:
            if reply["event"] != "alive":
                replies.append(reply)
            if reply["event"] in ("done", "error"):
                break
        return replies


@asynccontextmanager
async def connected(rundir: RunDir) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_unix_connection(rundir.control_address, limit=64 * 1024 * 1024))
    try:
        yield client
    finally:
        client.writer.close()


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_a_command_is_accepted_reports_progress_and_is_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _), connected(rundir) as client:
            client.send("reload", 7)
            await cluster.waiting.wait()
            cluster.release.set()
            assert await client.answer() == [
                {"id": 7, "event": "accepted"},
                {"id": 7, "event": "progress", "text": "worker 1 of 2"},
                {"id": 7, "event": "progress", "data": {"slot": 1}},
                {"id": 7, "event": "done", "result": {"command": "reload"}},
            ]

    run(scenario)


def test_parameters_are_checked_and_defaults_filled_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _):
            async with connected(rundir) as client:
                client.send("stop", 1, timeout=3)
                await client.answer()
            async with connected(rundir) as client:
                client.send("scale", 1, workers="many")
                (error,) = await client.answer()
                assert error["exit_code"] == ExitCode.USAGE
                assert "scale" in error["problem"]
            assert cluster.seen == [("stop", {"timeout": 3.0, "now": False})]

    run(scenario)


def test_an_error_of_the_cluster_arrives_as_it_is_and_a_bug_is_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, _, _), connected(rundir) as client:
            client.send("scale", 1, workers=2)
            _, error = await client.answer()
            assert error == {"id": 1, "event": "error", "problem": "no", "hint": "try", "detail": "Traceback", "exit_code": 1}
            client.send("kick", 2, slot=1)
            _, error = await client.answer()
            assert "bug in tamago" in error["problem"]

    run(scenario)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"hello\n", "no request"),
        (b"\xff\xfe\n", "no request"),
        (b"[" * 50_000 + b"\n", "no request"),
        (b"{}\n", "no request"),
        (b'{"v":1,"id":"x","command":"status"}\n', "no request"),
        (b'{"v":1,"id":1,"command":"status","extra":1}\n', "no request"),
        (b'{"v":2,"id":1,"command":"status"}\n', "version 2"),
        (b'{"v":1,"id":1,"command":"statsu"}\n', "statsu"),
        (b'{"v":1,"id":1,"command":"status","params":{"x":1}}\n', "status"),
        (b"x" * LONGEST_LINE, "65536 bytes"),
    ],
)
def test_garbage_gets_one_error_and_the_connection_ends(tmp_path: Path, line: bytes, problem: str) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _):
            async with connected(rundir) as client:
                client.writer.write(line)
                reply = await client.reply()
                assert reply is not None
                assert reply["event"] == "error"
                assert problem in reply["problem"]
                assert await client.reply() is None
            async with connected(rundir) as client:
                client.send("health")
                assert (await client.answer())[-1]["event"] == "done"
            assert cluster.seen == [("health", {})]

    run(scenario)


def test_a_request_may_come_byte_by_byte_and_several_in_one_piece(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _), connected(rundir) as client:
            for byte in b'{"v":1,"id":1,"command":"status"}\r\n':
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            assert (await client.answer())[-1]["event"] == "done"
            client.send("status", 2)
            client.send("health", 3)
            await client.answer()
            await client.answer()
            assert [command for command, _ in cluster.seen] == ["status", "status", "health"]

    run(scenario)


def test_who_sends_half_a_line_or_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, idle_timeout=0.05) as (rundir, _, server), connected(rundir) as half, connected(rundir) as silent:
            half.writer.write(b'{"v":1')
            assert await half.reply() is None
            assert await silent.reply() is None
            assert not server._clients

    run(scenario)


def test_who_waits_for_an_answer_is_not_hung_up_on_and_gets_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ALIVE_INTERVAL", 0.01)

    async def scenario() -> None:
        async with serving(tmp_path, idle_timeout=0.03) as (rundir, cluster, _), connected(rundir) as client:
            client.send("reload")
            events: list[str] = []
            while events.count("alive") < 10:
                reply = await client.reply()
                assert reply is not None
                events.append(reply["event"])
            cluster.release.set()
            assert (await client.answer())[-1]["event"] == "done"

    run(scenario)


def test_a_command_goes_on_when_its_client_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, server):
            async with connected(rundir) as client:
                client.send("reload")
                await cluster.waiting.wait()
            async with connected(rundir) as client:
                client.send("health")
                assert (await client.answer())[-1]["event"] == "done"
            (task,) = server._tasks
            cluster.release.set()
            await task

    run(scenario)


def test_idle_clients_make_room_and_busy_ones_keep_their_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, server):
            busy = Client(*await asyncio.open_unix_connection(rundir.control_address))
            busy.send("reload")
            await cluster.waiting.wait()
            crowd = [Client(*await asyncio.open_unix_connection(rundir.control_address)) for _ in range(3 * control.MOST_CLIENTS)]
            async with connected(rundir) as client:
                client.send("health")
                assert (await client.answer())[-1]["event"] == "done"
            assert len(server._clients) <= control.MOST_CLIENTS
            cluster.release.set()
            assert (await busy.answer())[-1]["event"] == "done"
            for other in (busy, *crowd):
                other.writer.close()

    run(scenario)


def test_clients_that_all_wait_leave_no_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _):
            crowd = [Client(*await asyncio.open_unix_connection(rundir.control_address)) for _ in range(control.MOST_CLIENTS)]
            for client in crowd:
                client.send("reload")
                assert await client.reply() == {"id": 1, "event": "accepted"}
            async with connected(rundir) as client:
                assert await client.reply() is None
            cluster.release.set()
            for client in crowd:
                assert (await client.answer())[-1]["event"] == "done"
                client.writer.close()

    run(scenario)


def test_one_client_may_have_a_few_commands_in_flight(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _), connected(rundir) as client:
            for number in range(control.MOST_COMMANDS + 1):
                client.send("reload", number + 1)
            events = [reply["event"] for reply in await client.answer()]
            assert events.count("accepted") == control.MOST_COMMANDS
            assert events[-1] == "error"
            assert len(cluster.seen) <= control.MOST_COMMANDS

    run(scenario)


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, _, server), connected(rundir) as client:
            client.send("trace", 1)
            client.send("trace", 2)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.reader.readexactly(2 * control.MOST_OUTPUT)
            assert not server._clients

    run(scenario)


def test_the_socket_is_private_from_its_first_moment_on(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with RunDir(tmp_path, "shop", create=True) as rundir, bind_control(rundir):
            assert stat.S_IMODE((rundir.path / "control.sock").stat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_the_socket_is_bound_again_after_its_directory_was_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, _, server):
            for name in os.listdir(rundir.path):
                (rundir.path / name).unlink()
            rundir.path.rmdir()
            assert rundir.ensure()
            await server.reopen()
            async with connected(rundir) as client:
                client.send("health")
                assert (await client.answer())[-1]["event"] == "done"

    run(scenario)


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.geteuid()


def test_a_client_of_another_user_is_hung_up_on_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "peer_uid", lambda sock: 12345)

    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _), connected(rundir) as client:
            client.send("stop")
            # A reset where what the client had sent was still unread.
            with suppress(ConnectionResetError):
                assert await client.reply() is None
            assert cluster.seen == []

    run(scenario)
    assert "user 12345 may not control this cluster" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_real_client_of_another_user_is_refused(tmp_path: Path) -> None:
    """Even one that got past the modes of the directory and of the socket."""

    async def scenario() -> None:
        async with serving(tmp_path) as (rundir, cluster, _):
            rundir.path.chmod(0o711)
            (rundir.path / "control.sock").chmod(0o666)
            pid = os.fork()
            if not pid:
                _intrude(rundir.path)
            _, status = await asyncio.to_thread(os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(status) == 42
            assert cluster.seen == []

    run(scenario)


def _intrude(directory: Path) -> None:
    """Become nobody, connect, and exit with 42 if the server hangs up without a word. Runs in a forked child."""
    code = 1
    try:
        os.chdir(directory)
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect("control.sock")
            code = 42 if sock.recv(100) == b"" else 2
    finally:
        os._exit(code)
