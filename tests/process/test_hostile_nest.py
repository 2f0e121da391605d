"""A nest runs the application's code, so what it says of the processes it forked is not believed: the master would signal whom it names."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.site import Site

# The peers are numbered in the order they are wanted: the nest, the agent, two workers, and then the one in question.
_LIE = """
import pathlib, socket
import msgspec
import tamago.hooks
from tamago.ipc import control_messages, wire

@tamago.hooks.before_fork
def lie():
    told = pathlib.Path("lie.txt")
    if not told.exists():
        return
    body = msgspec.msgpack.encode(control_messages.Forked(peer=5, pid=int(told.read_text())))
    told.unlink()
    with socket.socket(fileno=os.dup(3)) as channel:
        channel.send(wire.HEADER.pack(len(body), wire.Kind.CONTROL, wire.Route.MASTER, 0, 0, 1, 0) + body)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the cluster and lives until its standard input is closed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        yield process


@pytest.mark.parametrize(
    "whom",
    [
        pytest.param(lambda stranger, _master: stranger, id="a stranger"),
        pytest.param(lambda _stranger, master: master, id="the master"),
        pytest.param(lambda _stranger, _master: (1 << 22) + 1, id="nobody"),
        pytest.param(lambda _stranger, _master: -1, id="everybody"),
    ],
)
def test_a_nest_that_names_a_process_it_did_not_fork_is_replaced_and_nobody_is_signalled(
    site: Site, start: Start, stranger: subprocess.Popen[bytes], whom: Callable[[int, int], int]
) -> None:
    site.write("main.py", f"{(site.app / 'main.py').read_text()}\n{_LIE}")
    cluster = start()
    cluster.expect_ready(count=2)
    (site.app / "lie.txt").write_text(str(whom(stranger.pid, cluster.pid)))
    proc.end(cluster.workers()[1])
    cluster.expect(r"nest gen=1 pid=\d+ is replaced: it names process -?\d+, which it did not fork")
    cluster.expect_ready(slot=1)
    assert cluster.stop() == 0
    assert stranger.poll() is None
