"""When the master dies by SIGKILL, whatever it was doing: what is in flight is finished, nobody stays, the next start just works."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start, launch
from tests.process.site import TAMAGO, Site

from tamago.cluster.running import find_title

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])


def gone(cluster: Cluster, *, within: float) -> None:
    """Every process of the cluster ends within so many seconds; nothing listens any more.

    That is far less than it would take without what is tested (a block of 600 s, the stop timeout of 30 s), and far more than it does.
    """
    assert cluster.output.wait_end(within), f"still there after {within} s: {cluster.holders()}"
    cluster.assert_nothing_left()


def starts_again(site: Site) -> None:
    """The same title starts and serves, without a flag."""
    cluster = launch(site, "--no-agent", workers=1).wait_ready()
    try:
        assert cluster.get().text == "hello"
    finally:
        cluster.finish()
    cluster.assert_nothing_left()


@_MODES
def test_master_sigkill_leaves_no_orphans_and_frees_port(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode)
    cluster.kill_master()
    gone(cluster, within=20)
    assert len(cluster.output.found("@down")) == 2, "they left in good order"
    port = cluster.port
    cluster = start(*mode, port=port)
    assert cluster.port == port
    assert cluster.get().text == "hello"


@_MODES
def test_what_is_in_flight_when_the_master_dies_is_finished(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    gate = site.gate("gate")
    cluster = start(*mode)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.kill_master()
        cluster.expect("the master is gone: finishing what is in flight")
        gate.open()
        assert connection.receive().text == "held"
    gone(cluster, within=20)


@_MODES
@pytest.mark.parametrize("moment", ["import", "agent", "worker"])
def test_a_master_killed_while_it_starts_leaves_nobody(site: Site, start: Start, mode: tuple[str, ...], moment: str) -> None:
    stuck = "say('stuck')\n{0}import select\n{0}select.select([], [], [])\n"
    if moment == "import":
        site.write("main.py", f"from report import say\n{stuck.format('')}")
    elif moment == "agent":
        site.write("agent.py", f"from report import say\nclass Agent:\n    async def start(self):\n        {stuck.format(' ' * 8)}")
    else:
        source = (site.app / "main.py").read_text()
        site.write("main.py", source.replace('say("up", version=VERSION)', stuck.format(" " * 12).strip()))
    cluster = start(*mode, ready=False)
    cluster.expect("@stuck")
    cluster.kill_master()
    gone(cluster, within=20)
    site.use("tiny")
    (site.app / "agent.py").unlink(missing_ok=True)
    starts_again(site)


@_MODES
def test_a_master_killed_in_the_middle_of_a_reload_leaves_neither_generation(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode)
    good = (site.app / "main.py").read_text()
    site.write("main.py", good.replace('say("up", version=VERSION)', "say('stuck')\n            await asyncio.Event().wait()"))
    cluster.signal(signal.SIGHUP)
    cluster.expect("@stuck")
    cluster.kill_master()
    gone(cluster, within=20)
    site.write("main.py", good)
    starts_again(site)


@_MODES
def test_a_master_killed_in_the_middle_of_a_stop_still_lets_requests_finish(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    gate = site.gate("gate")
    cluster = start(*mode)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        cluster.kill_master()
        gate.open()
        assert connection.receive().text == "held"
    gone(cluster, within=20)


@_MODES
@pytest.mark.parametrize("path", ["/block/600", "/gil"], ids=["in Python", "in C with the interpreter's lock"])
def test_a_blocked_worker_does_not_outlive_its_master_for_longer_than_the_stop_timeout(
    start: Start, mode: tuple[str, ...], path: str
) -> None:
    cluster = start("--stop-timeout", "1", *mode)
    with cluster.connect() as connection:
        connection.send(path)
        cluster.expect("@blocking")
        cluster.kill_master()
        gone(cluster, within=60)


def test_a_blocked_worker_of_the_generation_before_does_not_outlive_the_master_either(start: Start) -> None:
    cluster = start("--stop-timeout", "6")
    with cluster.connect() as connection:
        connection.send("/block/600")
        cluster.expect("@blocking")
        cluster.signal(signal.SIGHUP)
        cluster.expect(r"nest gen=1 .* left")
        cluster.expect(r"worker \d gen=1 .* left")
        assert len(cluster.workers()) == 2
        assert len(cluster.tree()) == 5, "the blocked one is still there"
        cluster.kill_master()
        gone(cluster, within=60)


@_MODES
def test_an_endless_request_does_not_outlive_the_master_for_longer_than_the_stop_timeout(start: Start, mode: tuple[str, ...]) -> None:
    cluster = start("--stop-timeout", "1", *mode)
    with cluster.connect() as connection:
        connection.send("/stream")
        cluster.expect("@streaming")
        cluster.kill_master()
        gone(cluster, within=60)


def test_master_and_nest_killed_together_leave_nobody(start: Start) -> None:
    cluster = start()
    nest = cluster.pid_of("nest")
    cluster.signal(signal.SIGSTOP)
    proc.end(nest)
    cluster.kill_master()
    gone(cluster, within=20)


def test_a_blocked_worker_without_master_and_nest_leaves_once_it_can(start: Start) -> None:
    cluster = start("--stop-timeout", "1")
    nest = cluster.pid_of("nest")
    with cluster.connect() as connection:
        connection.send("/block/3")
        cluster.expect("@blocking")
        cluster.signal(signal.SIGSTOP)
        proc.end(nest)
        cluster.kill_master()
        gone(cluster, within=60)


@pytest.mark.parametrize("path", ["child", "stubborn", "fork"])
def test_what_a_worker_had_started_does_not_outlive_the_master_either(site: Site, start: Start, path: str) -> None:
    site.use("kin")
    cluster = start("--stop-timeout", "1")
    cluster.get(f"/{path}")
    cluster.kill_master()
    gone(cluster, within=60)


# ── the launcher of a daemon ─────────────────────────────────────────────────────────────────────────────────────────


@_MODES
@pytest.mark.parametrize("moment", ["import", "agent", "worker"])
def test_a_launcher_killed_while_it_waits_leaves_nobody_that_counts_as_running(site: Site, mode: tuple[str, ...], moment: str) -> None:
    stuck = "os.write(int(os.environ['PROOF']), b'stuck')\n{0}import select\n{0}select.select([], [], [])\n"
    if moment == "import":
        site.write("main.py", f"import os\n{stuck.format('')}")
    elif moment == "agent":
        site.write("agent.py", f"import os\nclass Agent:\n    async def start(self):\n        {stuck.format(' ' * 8)}")
    else:
        source = (site.app / "main.py").read_text()
        site.write("main.py", source.replace('say("up", version=VERSION)', stuck.format(" " * 12).strip()))
    command = [str(TAMAGO), "start", "--daemon", "--title", site.title, "--app", "main:app", "--port", "0", "--stop-timeout", "1"]
    read, write = os.pipe()
    with open(read, "rb") as proof:
        launcher = subprocess.Popen(
            [*command, *mode],
            cwd=site.app,
            env=site.environment(PROOF=str(write)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[write],
        )
        os.close(write)
        assert proof.read(5) == b"stuck"
        launcher.kill()
        launcher.wait()
        # Whoever comes from it holds the pipe.
        proof.read()
    assert find_title(site.home, site.title) is None
    assert not site.sockets()
    site.use("tiny")
    (site.app / "agent.py").unlink(missing_ok=True)
    starts_again(site)


def test_a_command_after_the_death_says_not_running(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    cluster.kill_master()
    gone(cluster, within=20)
    assert cluster.cli("status").returncode == 3
    assert cluster.cli("stop").returncode == 3
    starts_again(site)
    assert not site.sockets(), "the stale socket was removed by the next one"


def test_the_stale_lock_of_a_dead_master_names_nobody_to_signal(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    lock = site.home / "run" / cluster.title / "lock"
    content = lock.read_text()
    cluster.kill_master()
    gone(cluster, within=20)
    # As if its pid had been given to somebody else meanwhile.
    own = str(proc.parent_of(cluster.pid)) if proc.state_of(cluster.pid) else "1"
    lock.write_text(content.replace(f'"pid":{cluster.pid}', f'"pid":{own}'))
    assert cluster.cli("stop").returncode == 3
