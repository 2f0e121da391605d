"""How a cluster stops: by which signal or command, what is finished first, what is not waited for, and in what order."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection, LostError
from tests.process.load import Load
from tests.process.site import Site
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

_AGENT = """
import asyncio
from report import say

class Agent:
    async def did_load(self):
        pass

    async def {hook}(self):
        say("stuck")
        await asyncio.Event().wait()
"""


def refused(cluster: Cluster) -> None:
    """Block until a new connection is refused."""
    while True:
        try:
            # Who got in before the sockets were closed is dropped by us; it is no request.
            cluster.connect(timeout=10).close()
        except (ConnectionRefusedError, ConnectionResetError):
            # Reset: it came in the moment of closing.
            return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_a_signal_stops_every_process(start: Start, number: signal.Signals) -> None:
    cluster = start()
    cluster.signal(number)
    assert cluster.wait() == 0
    assert "Traceback" not in cluster.output.text
    assert "KeyboardInterrupt" not in cluster.output.text


def test_workers_leave_first_then_the_agent_then_the_nest(site: Site, start: Start) -> None:
    site.use("chores", as_="agent")
    cluster = start(workers=3)
    cluster.stop()
    order = [match[1] for match in cluster.output.found(r"INFO .*?(worker|agent|nest)(?: \d)? gen=1 pid=\d+ left: ")]
    assert order == ["worker"] * 3 + ["agent", "nest"]
    text = cluster.output.text
    assert text.rindex("@down") < text.index("@agent-stop"), "the agent is there for the last request"
    assert text.count("@down") == 3


def test_what_is_in_flight_is_finished_and_new_clients_are_refused_at_once(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        refused(cluster)
        gate.open()
        answer = connection.receive()
        assert (answer.status, answer.text, answer.closes) == (200, "held", True)
        assert connection.ended()
    assert cluster.wait() == 0


def test_an_upload_in_the_middle_is_finished(start: Start) -> None:
    cluster = start(workers=1)
    with cluster.connect() as connection:
        connection.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc")
        # An answer on another connection proves that the first was read.
        cluster.get()
        cluster.begin_stop()
        refused(cluster)
        connection.socket.sendall(b"def")
        assert connection.receive().text == "abcdef"
    assert cluster.wait() == 0


def test_a_request_on_an_open_connection_is_answered_while_draining_and_told_to_close(start: Start) -> None:
    cluster = start("--linger", "20", workers=1)
    with cluster.connect() as used, cluster.connect() as silent:
        assert not used.get().closes
        cluster.begin_stop()
        refused(cluster)
        for connection in (used, silent):
            answer = connection.get()
            assert (answer.text, answer.closes) == ("hello", True)
            assert connection.ended()
    assert cluster.wait() == 0


def test_idle_connections_are_closed_after_the_linger_and_do_not_hold_up_the_stop(start: Start) -> None:
    cluster = start("--stop-timeout", "600", workers=1)
    with cluster.connect() as used, cluster.connect() as silent:
        used.get()
        assert cluster.stop() == 0
        assert used.ended()
        assert silent.ended()


def test_who_waits_in_the_accept_queue_is_served_first(start: Start) -> None:
    cluster = start(workers=1)
    worker = cluster.pid_of("worker 1")
    os.kill(worker, signal.SIGSTOP)
    waiting = [cluster.connect() for _ in range(20)]
    for connection in waiting:
        connection.send("/")
    cluster.begin_stop()
    os.kill(worker, signal.SIGCONT)
    for connection in waiting:
        assert connection.receive().text == "hello"
        connection.close()
    assert cluster.wait() == 0


def test_a_stop_under_load_loses_nothing_that_was_accepted(start: Start) -> None:
    cluster = start()
    with Load(cluster.place) as load:
        load.wait_answered(300)
        assert cluster.stop() == 0
    lost = [failure for failure in load.failures if "ConnectionRefusedError" not in failure]
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize("ready", [True, False], ids=["that served", "that was starting"])
def test_signals_that_come_when_all_is_over_do_not_change_the_exit_code(site: Site, start: Start, ready: bool) -> None:
    if not ready:
        site.gate("gate")
        site.write("main.py", "from report import hold, say\nsay('importing')\nhold('gate')\n")
    cluster = start(ready=ready)
    if not ready:
        cluster.expect("@importing")
    cluster.signal(signal.SIGTERM)
    cluster.expect(r"\] stopped$" if ready else "the start was interrupted")
    while cluster.process.poll() is None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            cluster.signal(number)
    assert cluster.wait() == 0


def test_a_second_signal_means_now(site: Site, start: Start) -> None:
    site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        refused(cluster)
        cluster.signal(signal.SIGINT)
        assert cluster.wait() == 0
        with pytest.raises((LostError, ConnectionError)):
            connection.receive()
    assert "Traceback" not in cluster.output.text


def test_endless_request_stop_within_deadline(start: Start) -> None:
    cluster = start("--stop-timeout", "1")
    with cluster.connect() as connection:
        connection.send("/stream")
        cluster.expect("@streaming")
        assert cluster.stop() == 0
    cluster.expect("did not leave")


def test_a_blocked_worker_is_killed_at_the_deadline(start: Start) -> None:
    cluster = start("--stop-timeout", "1")
    with cluster.connect() as connection:
        connection.send("/block/600")
        cluster.expect("@blocking")
        assert cluster.stop() == 0


def test_a_worker_that_ignores_sigterm_stops_all_the_same(start: Start) -> None:
    cluster = start("--stop-timeout", "600", workers=1)
    assert cluster.get("/deafen").text == "deaf"
    # The master asks over its channel, not by signal.
    assert cluster.stop() == 0


def test_shutdown_hooks_that_raise_do_not_keep_the_others_from_running(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write(
        "main.py",
        source.replace('            say("down", version=VERSION)', '            say("down")\n            raise OSError("no goodbye")'),
    )
    site.write(
        "agent.py", "class Agent:\n    async def start(self): pass\n    async def stop(self):\n        raise OSError('no agent goodbye')\n"
    )
    cluster = start()
    assert cluster.stop() == 0
    assert cluster.output.text.count("@down") == 2
    assert "no agent goodbye" in cluster.output.text
    assert "no goodbye" in cluster.output.text


@pytest.mark.parametrize("who", ["worker", "agent"])
def test_a_shutdown_hook_that_hangs_is_cut_at_the_deadline(site: Site, start: Start, who: str) -> None:
    source = (site.app / "main.py").read_text()
    if who == "worker":
        site.write("main.py", source.replace('            say("down", version=VERSION)', "            await asyncio.Event().wait()"))
    else:
        site.write(
            "agent.py",
            _AGENT.format(hook="stop"),
        )
    cluster = start("--stop-timeout", "1")
    assert cluster.stop() == 0


def test_websocket_gets_1012_and_disconnect_event(start: Start) -> None:
    cluster = start(workers=1)
    with connect(f"ws://127.0.0.1:{cluster.port}/ws") as websocket:
        websocket.send("are you there")
        assert websocket.recv() == "are you there"
        cluster.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
    assert cluster.wait() == 0
    cluster.expect("@disconnect .*code=1012")


def test_a_drain_delay_keeps_serving_first(start: Start) -> None:
    cluster = start("--drain-delay", "600")
    cluster.begin_stop()
    assert cluster.get().text == "hello"
    assert cluster.status()["ready"] is False, "who asks for readiness sends no more"
    assert cluster.get().text == "hello"
    assert cluster.stop() == 0, "asked once more it means now"


def test_a_drain_delay_is_waited_for(start: Start) -> None:
    cluster = start("--drain-delay", "1", workers=1)
    began = time.monotonic()
    assert cluster.stop() == 0
    assert time.monotonic() - began >= 1


# ── while it starts ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moment", ["import", "agent", "worker"])
@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_a_stop_while_it_starts_ends_it_at_once(site: Site, start: Start, moment: str, preload: bool) -> None:
    wait = "\nimport select\nsay('stuck')\nselect.select([], [], [])\n"
    if moment == "import":
        site.write("main.py", f"from report import say{wait}")
    elif moment == "agent":
        site.write(
            "agent.py",
            _AGENT.format(hook="start"),
        )
    else:
        source = (site.app / "main.py").read_text()
        site.write(
            "main.py",
            source.replace('            say("up", version=VERSION)', '            say("stuck")\n            await asyncio.Event().wait()'),
        )
    patience = ("--stop-timeout", "600", "--boot-timeout", "600")
    cluster = start(*patience, *(() if preload else ("--no-preload",)), ready=False)
    cluster.expect("@stuck")
    assert cluster.stop() == 0
    assert "Traceback" not in cluster.output.text


def test_a_process_that_blocks_while_it_boots_does_not_outlive_the_deadline(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write(
        "main.py",
        source.replace('            say("up", version=VERSION)', '            say("stuck")\n            time.sleep(600)  # app under test'),
    )
    cluster = start("--stop-timeout", "1", ready=False)
    cluster.expect("@stuck", count=2)
    assert cluster.stop() == 0


@pytest.mark.parametrize("delay", [0, 60, 120, 180, 240, 300, 400, 500, 600, 800])
def test_a_sigterm_at_any_instant_of_the_start_stops_it(start: Start, delay: int) -> None:
    cluster = start(ready=False)
    # Any moment will do; before Python has come as far as holding signals back, the default action ends the command.
    with proc.watching(cluster.pid) as pidfd:
        select.select([pidfd], [], [], delay / 1000)
    cluster.signal(signal.SIGTERM)
    assert cluster.wait() in {0, -signal.SIGTERM}
    assert "Traceback" not in cluster.output.text


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_stop_command_returns_when_all_is_gone(start: Start) -> None:
    cluster = start()
    result = cluster.cli("stop")
    assert result.returncode == 0, result.stderr
    assert f"{cluster.title} is stopped" in result.stdout
    cluster.assert_nothing_left()
    assert cluster.wait() == 0


def test_the_stop_command_says_when_it_had_to_kill(start: Start) -> None:
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/stream")
        cluster.expect("@streaming")
        result = cluster.cli("stop", "--timeout", "1")
    assert result.returncode == 1
    assert "1 of its processes had to be killed" in result.stdout
    assert cluster.wait() == 0


def test_the_stop_command_shows_who_is_still_draining(site: Site, start: Start) -> None:
    site.gate("gate")
    cluster = start("--stop-timeout", "3", workers=1)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        result = cluster.cli("stop")
    assert "worker 1" in result.stdout + result.stderr
    cluster.wait()


def test_stop_when_nothing_runs_is_exit_code_3(site: Site) -> None:
    result = site.run("stop", "--title", "nobody")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr


def test_stop_finds_its_cluster_by_its_directory(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    result = site.run("stop", str(site.app))
    assert result.returncode == 0, result.stderr
    assert cluster.wait() == 0


def test_stop_all_stops_every_title(site: Site, start: Start) -> None:
    one, two = start(title="one", workers=1), start(title="two", workers=1)
    result = site.run("stop", "--all")
    assert result.returncode == 0, result.stderr
    assert (one.wait(), two.wait()) == (0, 0)


def test_stop_ends_a_master_that_does_not_answer(start: Start) -> None:
    cluster = start(workers=1)
    cluster.may_leave_sockets = True
    cluster.signal(signal.SIGSTOP)
    result = cluster.cli("stop", "--timeout", "2")
    assert result.returncode == 1
    assert cluster.wait() == -signal.SIGKILL


def test_a_process_with_the_title_of_a_master_is_nothing_to_stop(site: Site, start: Start) -> None:
    start(workers=1).stop()
    impostor = [
        sys.executable,
        "-c",
        f"import setproctitle; setproctitle.setproctitle('tamago: master [{site.title}]'); print(flush=True); input()",
    ]
    with subprocess.Popen(impostor, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        # The lock names nobody any more, whoever `ps` shows.
        assert site.run("stop", "--title", site.title).returncode == 3
        process.communicate(b"\n")
        assert process.returncode == 0


def test_two_stops_at_once_both_succeed(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start()
    with Connection(cluster.place) as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        gate.open()
        assert connection.receive().text == "held"
    result = cluster.cli("stop")
    # It may be gone before the command looks.
    assert result.returncode in {0, 3}
    assert cluster.wait() == 0
