"""After READY every death is repaired: at once, without harm to the others, with a pause when it happens again and again."""

from __future__ import annotations

import os
import select
import signal
import time

import pytest
from tests.process import proc
from tests.process.control import Control
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection, LostError
from tests.process.load import Load
from tests.process.site import Site


def crash_on_demand(site: Site) -> None:
    """Make the worker in slot 1 die at its boot while there is a file `crash`."""
    source = (site.app / "main.py").read_text()
    crash = (
        'say("boot")\n            tamago.me.slot == 1 and Path("crash").exists() and os._exit(3)\n            say("up", version=VERSION)'
    )
    site.write("main.py", source.replace('say("up", version=VERSION)', crash))


def on_another_worker(cluster: Cluster, pid: int) -> Connection:
    """Return an open connection that is not served by that process."""
    while True:
        connection = cluster.connect()
        if connection.get("/who").json()["pid"] != pid:
            return connection
        connection.close()


# ── deaths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_kill9_worker_respawns_and_exit_code(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    cluster.output.mark()
    old = cluster.workers()
    proc.end(old[1])
    cluster.expect_ready(slot=1)
    assert cluster.output.found(rf"worker 1 gen=1 pid={old[1]} died after .*: signal SIGKILL; next try now")
    new = cluster.workers()
    assert new[1] != old[1]
    assert new[2] == old[2]
    worker = next(each for each in cluster.status()["processes"] if each["slot"] == 1)
    assert worker["restarts"] == 1
    assert "SIGKILL" in worker["last_exit"]
    assert cluster.stop() == 0, "a death that was repaired is no failure"


def test_all_workers_killed_at_once_refuse_nobody(start: Start) -> None:
    cluster = start(workers=3)
    cluster.expect_ready(count=3)
    cluster.output.mark()
    for pid in cluster.workers().values():
        os.kill(pid, signal.SIGKILL)
    waiting = [cluster.connect() for _ in range(20)]
    for connection in waiting:
        connection.send("/")
    cluster.expect_ready(count=3)
    answers = 0
    for connection in waiting:
        with connection:
            try:
                answers += connection.receive().text == "hello"
            except (LostError, ConnectionError):
                continue
    # A dying worker may take a connection with it; those that wait in the queue are the next one's.
    assert answers >= 17
    assert cluster.get().text == "hello"


def test_five_deaths_in_one_moment_are_all_repaired(start: Start) -> None:
    cluster = start(workers=5)
    cluster.expect_ready(count=5)
    old = cluster.workers()
    cluster.signal(signal.SIGSTOP)
    for pid in old.values():
        os.kill(pid, signal.SIGKILL)
    cluster.output.mark()
    cluster.signal(signal.SIGCONT)
    cluster.expect_ready(count=5)
    assert sorted(cluster.workers()) == [1, 2, 3, 4, 5]
    assert not set(old.values()) & set(cluster.workers().values())


def test_agent_restart_keeps_workers_serving(site: Site, start: Start) -> None:
    site.use("chores", as_="agent")
    cluster = start()
    cluster.expect("@agent-ready")
    workers = cluster.workers()
    with Load(cluster.place) as load:
        load.wait_answered(50)
        for _ in range(3):
            cluster.output.mark()
            proc.end(cluster.pid_of("agent"))
            cluster.expect("@agent-ready")
        load.wait_answered(50)
    load.assert_none_lost()
    assert cluster.workers() == workers


def test_a_slow_agent_restart_does_not_harm_the_workers(site: Site, start: Start) -> None:
    booting = site.gate("booting")
    site.write(
        "agent.py",
        "from pathlib import Path\nfrom report import hold, say\n"
        "class Agent:\n    async def start(self):\n        say('agent-start')\n        Path('slow').exists() and hold('booting')\n"
        "    async def ready(self):\n        say('agent-ready')\n",
    )
    cluster = start()
    workers = cluster.workers()
    cluster.expect("@agent-ready")
    cluster.output.mark()
    site.write("slow", "")
    proc.end(cluster.pid_of("agent"))
    cluster.expect("@agent-start")
    with Load(cluster.place) as load:
        load.wait_answered(200)
    load.assert_none_lost()
    assert cluster.cli("status").returncode == 1, "degraded"
    booting.open()
    cluster.expect("@agent-ready")
    assert cluster.workers() == workers
    assert cluster.cli("status").returncode == 0


def test_a_nest_that_dies_is_replaced_and_the_workers_serve_on(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    workers = cluster.workers()
    cluster.output.mark()
    proc.end(cluster.pid_of("nest"))
    cluster.expect("@import role=nest")
    assert cluster.workers() == workers
    # The new one can fork.
    proc.end(workers[1])
    cluster.expect_ready(slot=1)
    assert cluster.workers()[2] == workers[2]


def test_everybody_but_the_master_killed_at_once_comes_back(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    cluster.output.mark()
    for pid in cluster.tree():
        os.kill(pid, signal.SIGKILL)
    cluster.expect_ready(count=2)
    cluster.expect_ready(role="agent")
    assert sorted(cluster.tree().values()) == ["agent", "nest gen 1", "worker 1", "worker 2"]
    assert cluster.get().text == "hello"


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("/exit/0", "exit code 0"),
        ("/exit/3", "exit code 3"),
        ("/exitlater/4", "exit code 4"),
        ("/segfault", "SIGSEGV"),
        ("/abort", "SIGABRT"),
    ],
)
def test_a_worker_that_ends_itself_is_replaced_and_the_log_says_how_it_ended(start: Start, path: str, end: str) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    cluster.output.mark()
    with cluster.connect() as connection:
        connection.send(path)
        died = cluster.expect(rf"worker (\d) gen=1 pid=\d+ died .*{end}")[0]
    cluster.expect_ready(slot=int(died[1]))
    assert cluster.get().text == "hello"


@pytest.mark.parametrize(("path", "error"), [("/fail", "LookupError: this request fails"), ("/sysexit/4", "SystemExit: 4")])
def test_an_error_in_a_request_is_a_500_and_no_death(start: Start, path: str, error: str) -> None:
    cluster = start(workers=1)
    assert cluster.get(path).status == 500
    cluster.expect(error)
    assert cluster.status()["processes"][-1]["restarts"] == 0


def test_a_worker_killed_in_the_middle_of_a_response_truncates_that_one_and_no_other(start: Start) -> None:
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/stream")
        pid = int(cluster.expect(r"@streaming .*pid=(\d+)")[0][1])
        elsewhere = on_another_worker(cluster, pid)
        proc.end(pid)
        with pytest.raises((LostError, ConnectionError)):
            connection.receive()
        assert elsewhere.get().text == "hello"
        elsewhere.close()


# ── again and again ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_crash_loop_backs_off_and_reports(site: Site, start: Start) -> None:
    crash_on_demand(site)
    cluster = start()
    cluster.expect_ready(count=2)
    before = proc.cpu_seconds(cluster.pid)
    began = time.monotonic()
    site.write("crash", "")
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect(r"worker 1 .*next try now")
    pauses = [float(match[1]) for match in cluster.expect(r"worker 1 .*next try in ([\d.]+) s", count=3)]
    assert pauses == sorted(pauses)
    assert 0.3 <= pauses[0] <= 0.5
    assert 1.5 <= pauses[2] <= 2.0
    boots = len(cluster.output.found("@boot .*slot=1"))
    assert boots <= 5, boots
    assert cluster.status()["degraded"] is True
    assert cluster.get().text == "hello", "the other one serves"
    assert proc.cpu_seconds(cluster.pid) - before < 0.5 * (time.monotonic() - began)
    (site.app / "crash").unlink()
    cluster.expect_ready(slot=1)
    assert cluster.status()["degraded"] is False


def pause_slot_1(cluster: Cluster) -> None:
    """Kill the worker in slot 1 again and again until it pauses for longer than anything else here takes: 22 s at least."""
    control = Control(cluster)
    for died in range(8):
        if died:
            control.call("kick", slot=1)
        cluster.output.mark()
        proc.end(cluster.workers()[1])
        said = cluster.expect(r"worker 1 .* died .*; next try (now|in (?P<pause>[\d.]+) s)")[0]
        if not died:
            cluster.expect_ready(slot=1)
    control.close()
    assert float(said["pause"]) > 20


def test_a_kick_ends_the_pause_of_a_slot(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    pause_slot_1(cluster)
    began = time.monotonic()
    cluster.call("kick", slot=1)
    assert time.monotonic() - began < 20
    assert sorted(cluster.workers()) == [1, 2]


def test_max_restarts_gives_up_and_exits_1(site: Site, start: Start) -> None:
    crash_on_demand(site)
    cluster = start("--max-restarts", "2/60")
    cluster.expect_ready(count=2)
    site.write("crash", "")
    proc.end(cluster.workers()[1])
    assert cluster.wait() == 1
    assert "--max-restarts" in cluster.output.text


def test_a_stop_during_a_pause_does_not_wait_for_it(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    pause_slot_1(cluster)
    began = time.monotonic()
    assert cluster.stop() == 0
    assert time.monotonic() - began < 20


# ── what an operator asks for ────────────────────────────────────────────────────────────────────────────────────────


def test_kick_replaces_one_worker_without_a_lost_request(start: Start) -> None:
    cluster = start()
    old = cluster.workers()
    with Load(cluster.place) as load:
        load.wait_answered(50)
        assert cluster.cli("kick", "1").returncode == 0
        load.wait_answered(50)
    load.assert_none_lost()
    cluster.expect(rf"worker 1 gen=1 pid={old[1]} left: exit code 0")
    new = cluster.workers()
    assert new[1] != old[1]
    assert new[2] == old[2]


def test_kick_of_a_slot_that_is_not_there_says_which_there_are(start: Start) -> None:
    result = start().cli("kick", "7")
    assert result.returncode == 1
    assert "there are slots 1 to 2" in result.stderr


def test_scale_up_and_down_under_load_loses_nothing(start: Start) -> None:
    cluster = start()
    with Load(cluster.place) as load:
        for workers in (5, 1, 3):
            load.wait_answered(50)
            assert cluster.cli("scale", str(workers)).returncode == 0
            assert cluster.status()["workers"] == workers
        load.wait_answered(50)
    load.assert_none_lost()
    cluster.expect(r"worker 5 .*left")
    assert sorted(cluster.workers()) == [1, 2, 3]


def test_scale_to_nobody_is_refused(start: Start) -> None:
    cluster = start()
    result = cluster.cli("scale", "0")
    assert result.returncode == 1
    assert "at least 1 worker" in result.stderr
    assert len(cluster.workers()) == 2


def test_ttin_and_ttou_add_and_remove_a_worker_but_never_the_last(start: Start) -> None:
    cluster = start(workers=1)
    cluster.expect_ready()
    cluster.signal(signal.SIGTTIN)
    cluster.expect_ready(slot=2)
    for _ in range(3):
        cluster.signal(signal.SIGTTOU)
        # The status is asked for after the signal was sent, so the signal has been handled when it comes.
        cluster.status()
    cluster.expect(r"worker 2 .*left")
    assert list(cluster.workers()) == [1]
    assert cluster.status()["workers"] == 1


def test_restart_agent_replaces_the_agent_and_nobody_else(site: Site, start: Start) -> None:
    site.use("chores", as_="agent")
    cluster = start()
    before = cluster.tree()
    cluster.expect("@agent-ready")
    assert cluster.cli("restart-agent").returncode == 0
    cluster.expect("@agent-ready", count=2)
    order = [match[1] for match in cluster.output.found(r"@agent-(\w+)")]
    assert order.index("stop") < len(order) - 1 - order[::-1].index("ready"), order
    after = cluster.tree()
    changed = {title for pid, title in before.items() if pid not in after}
    assert changed == {"agent"}


def test_restart_agent_without_one_says_so(start: Start) -> None:
    result = start("--no-agent", workers=1).cli("restart-agent")
    assert result.returncode == 1
    assert "--no-agent" in result.stderr


def test_usr2_writes_the_state_to_the_log(start: Start) -> None:
    cluster = start()
    cluster.signal(signal.SIGUSR2)
    for name in ("nest", "agent", "worker 1", "worker 2"):
        cluster.expect(rf"{name} gen=1 pid=\d+.*ready")


@pytest.mark.parametrize(
    "number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGTTIN, signal.SIGWINCH], ids=lambda number: number.name
)
def test_a_storm_of_signals_changes_nothing_it_should_not(start: Start, number: signal.Signals) -> None:
    cluster = start(workers=1)
    cluster.expect_ready()
    for _ in range(300):
        cluster.signal(number)
    status = cluster.status()
    assert status["state"] in {"ready", "reloading"}
    if number is signal.SIGTTIN:
        cluster.call("scale", workers=1)
    assert cluster.get().text == "hello"
    assert "RecursionError" not in cluster.output.text


def test_an_idle_cluster_uses_next_to_no_cpu(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    pids = [cluster.pid, *cluster.tree()]
    before = sum(proc.cpu_seconds(pid) for pid in pids)
    with proc.watching(cluster.pid) as pidfd:
        select.select([pidfd], [], [], 3.0)
    assert sum(proc.cpu_seconds(pid) for pid in pids) - before <= 0.12
