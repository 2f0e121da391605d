from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tamago.cluster.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = f"tamago-test-{os.getpid()}-{time.monotonic_ns()}"
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path if request.param == "path" else f"\0{name}")
        sock.setblocking(False)
        yield sock, path if request.param == "path" else f"@{name}"


def test_each_state_is_told(manager: tuple[socket.socket, str]) -> None:
    sock, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready("2 workers")
    assert sock.recv(4096).decode().split("\n") == ["READY=1", f"MAINPID={os.getpid()}", "STATUS=2 workers"]
    before = time.monotonic_ns() // 1000
    notifier.reloading()
    first, second = sock.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    notifier.stopping("3 requests\nin flight")
    assert sock.recv(4096) == b"STOPPING=1\nSTATUS=3 requests in flight"
    notifier.status("degraded")
    assert sock.recv(4096) == b"STATUS=degraded"
    notifier.alive()
    assert sock.recv(4096) == b"WATCHDOG=1"


def test_children_do_not_inherit_it() -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    notifier = Notifier.from_environment(environ)
    assert notifier.enabled
    assert notifier.watchdog == 30.0
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("pid", ["1", "x"])
def test_a_watchdog_meant_for_another_process_is_not_ours(pid: str) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": pid}).watchdog is None


@pytest.mark.parametrize("microseconds", ["", "0", "-1", "soon"])
def test_a_watchdog_time_that_makes_no_sense_is_none(microseconds: str) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": microseconds}).watchdog is None


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"NOTIFY_SOCKET": "relative"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environ)
    assert not notifier.enabled
    notifier.ready()


def test_a_manager_that_is_gone_or_does_not_read_does_no_harm(tmp_path: Path) -> None:
    Notifier(str(tmp_path / "nobody")).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "deaf"))
        for _ in range(5000):
            Notifier(str(tmp_path / "deaf")).alive()
