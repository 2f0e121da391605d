"""A handle means one process and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tamago.cli import process_handle
from tamago.cli.process_handle import ProcessHandle
from tamago.cluster.process_id import start_time


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture(params=["pidfd", "pid"])
def _mechanism(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pid":
        monkeypatch.setattr(process_handle, "_open", lambda pid: -1)


@pytest.mark.usefixtures("_mechanism")
def test_a_process_is_signalled_and_waited_for(child: subprocess.Popen[bytes]) -> None:
    with ProcessHandle(child.pid, start_time(child.pid)) as handle:
        assert handle.found
        assert not handle.wait(0)
        handle.send(signal.SIGKILL)
        assert handle.wait(10)
    assert child.wait() == -signal.SIGKILL


@pytest.mark.usefixtures("_mechanism")
def test_a_process_that_got_the_number_later_is_never_signalled(child: subprocess.Popen[bytes]) -> None:
    with ProcessHandle(child.pid, start_time(child.pid) + 1) as handle:
        assert not handle.found
        handle.send(signal.SIGKILL)
        assert handle.wait(0)
    assert child.poll() is None


@pytest.mark.usefixtures("_mechanism")
def test_a_process_that_is_gone_is_not_found(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    with ProcessHandle(child.pid, 1) as handle:
        assert not handle.found
        assert handle.wait(0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may signal anybody")
def test_a_process_of_another_user_is_not_ours_to_signal() -> None:
    with ProcessHandle(1, start_time(1)) as handle:
        assert not handle.found


def test_there_is_no_process_zero() -> None:
    with ProcessHandle(0) as handle:
        assert not handle.found
