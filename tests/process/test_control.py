"""The control socket and the commands that use it: always answered, by nobody but the owner, whatever else comes in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.control import Control
from tests.process.harness import Cluster, Start
from tests.process.privilege import AS_NOBODY, needs_root
from tests.process.site import TAMAGO, Site
from tests.process.transcript import Transcript

_CONNECT = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
client.connect(sys.argv[1])
try:
    client.sendall(b'{"v":1,"id":1,"command":"stop","params":{}}\\n')
    print(client.recv(100))
except OSError as error:
    print(b"")
"""


def run_directory(cluster: Cluster) -> Path:
    return cluster.site.home / "run" / cluster.title


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_run_directory_and_control_socket_are_the_owners_alone(start: Start) -> None:
    cluster = start(workers=1)
    run = run_directory(cluster)
    assert run.stat().st_mode & 0o777 == 0o700
    assert (run / "control.sock").stat().st_mode & 0o777 == 0o600
    for name in ("lock", "state.json", "trace.jsonl"):
        assert (run / name).stat().st_mode & 0o077 == 0, name


@needs_root
def test_another_user_is_refused_even_when_the_file_modes_would_let_them(start: Start) -> None:
    cluster = start(workers=1)
    run = run_directory(cluster)
    for path, mode in ((cluster.site.home, 0o755), (run.parent, 0o755), (run, 0o755), (run / "control.sock", 0o666)):
        path.chmod(mode)
    command = [*AS_NOBODY, sys.executable, "-c", _CONNECT, str(run / "control.sock")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "b''\n", result.stderr
    cluster.expect("refused a client: user 65534 may not control this cluster")
    assert cluster.get().text == "hello"
    for path in (cluster.site.home, run.parent, run):
        path.chmod(0o700)


@needs_root
def test_another_user_cannot_stop_it(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    result = site.run("stop", "--title", cluster.title, prefix=AS_NOBODY)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert cluster.get().text == "hello"


# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────


_GARBAGE = {
    "words": b"garbage\n",
    "empty object": b"{}\n",
    "no utf-8": b"\xff\xfe\n",
    "unknown command": b'{"v":1,"id":1,"command":"explode","params":{}}\n',
    "another version": b'{"v":99,"id":1,"command":"status"}\n',
    "deep": b"[" * 60_000 + b"\n",
}


def test_garbage_is_answered_once_and_hung_up_on(start: Start) -> None:
    cluster = start(workers=1)
    for kind, garbage in _GARBAGE.items():
        control = Control(cluster)
        control.socket.sendall(garbage)
        assert control.line()["event"] == "error", kind
        assert control.ended(), kind
        control.close()
        assert cluster.status()["ready"], kind


def test_a_line_without_an_end_is_cut_off(start: Start) -> None:
    cluster = start(workers=1)
    control = Control(cluster)
    try:
        control.socket.sendall(b'{"v":1,' + b" " * 200_000)
        control.line()
    except OSError:
        pass  # it hung up while we were still sending
    control.close()
    assert cluster.status()["ready"]


def test_a_client_that_sends_half_a_line_and_waits_holds_up_nobody(start: Start) -> None:
    cluster = start(workers=1)
    slow = Control(cluster)
    for byte in b'{"v":1,"id":1,"comm':
        slow.socket.sendall(bytes([byte]))
        quick = Control(cluster)
        assert quick.call("status")["state"] == "ready"
        quick.close()
    slow.socket.sendall(b'and":"health","params":{}}\n')
    assert slow.event("done")["result"]["ready"] is True
    slow.close()


def test_hundreds_of_connections_do_not_lock_out_who_has_something_to_say(start: Start) -> None:
    cluster = start(workers=1)
    crowd = []
    for _ in range(300):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(run_directory(cluster) / "control.sock"))
        crowd.append(client)
    assert cluster.status()["ready"]
    for client in crowd:
        client.close()
    assert cluster.stop() == 0


def test_clients_that_leave_before_their_answer_do_no_harm(start: Start) -> None:
    cluster = start(workers=1)
    for command in ("status", "reload", "trace", "health") * 10:
        control = Control(cluster)
        control.send(command)
        control.close()
    cluster.call("reload")
    assert "Traceback" not in cluster.output.text


def test_it_answers_after_a_reload(start: Start) -> None:
    cluster = start(workers=1)
    control = Control(cluster)
    assert control.call("reload")["generation"] == 2
    assert control.call("status")["generation"] == 2
    control.close()


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_shows_every_process_with_its_figures(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    for _ in range(10):
        cluster.get()
    status = json.loads(cluster.cli("status", "--json").stdout)
    assert (status["state"], status["ready"], status["degraded"], status["generation"]) == ("ready", True, False, 1)
    assert {process["pid"] for process in status["processes"]} == set(cluster.tree())
    workers = [process for process in status["processes"] if process["role"] == "worker"]
    assert sum(worker["requests"] for worker in workers) == 10
    assert all(worker["rss"] > 1_000_000 for worker in workers)
    plain = cluster.cli("status").stdout
    for process in status["processes"]:
        assert str(process["pid"]) in plain


def test_status_counts_requests_in_flight(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    with cluster.connect() as connection:
        for number in (1, 2):
            gate = site.gate(f"gate{number}")
            connection.send(f"/hold/gate{number}")
            cluster.expect(f"@holding .*gate=gate{number}")
            worker = cluster.status()["processes"][-1]
            assert (worker["requests"], worker["in_flight"]) == (number, 1)
            gate.open()
            connection.receive()


def test_status_while_it_starts_answers_at_once(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    source = (site.app / "main.py").read_text().replace("from __future__ import annotations", "")
    site.write("main.py", f"from report import hold, say\nsay('importing')\nhold('gate')\n{source}")
    cluster = start(ready=False, workers=1)
    cluster.expect("@importing")
    result = cluster.cli("status", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["state"] == "starting"
    gate.open()
    cluster.wait_ready()
    assert cluster.status()["ready"]


def test_status_while_it_stops_answers_at_once(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start(workers=1)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        result = cluster.cli("status", "--json")
        assert result.returncode == 1
        assert json.loads(result.stdout)["state"] == "stopping"
        gate.open()
        connection.receive()
    assert cluster.wait() == 0


def test_status_while_it_reloads_answers_at_once(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    gate = site.gate("gate")
    source = (site.app / "main.py").read_text().replace("from __future__ import annotations", "")
    site.write("main.py", f"from report import hold, say\nsay('importing')\nhold('gate')\n{source}")
    cluster.signal(signal.SIGHUP)
    cluster.expect("@importing")
    status = cluster.status()
    assert (status["state"], status["ready"], status["generation"]) == ("reloading", True, 1)
    gate.open()
    cluster.expect_generation(2)


def test_status_of_a_stopped_master_is_unknown_and_does_not_wait_for_it(start: Start) -> None:
    cluster = start(workers=1)
    cluster.signal(signal.SIGSTOP)
    result = cluster.cli("status", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["state"] == "unknown"
    assert "has not answered for 0.9" in json.loads(result.stdout)["problem"]
    assert json.loads(result.stdout)["pid"] == cluster.pid
    cluster.signal(signal.SIGCONT)
    assert cluster.status()["ready"]


def test_a_command_to_a_stopped_master_fails_with_what_to_do(start: Start) -> None:
    cluster = start(workers=1)
    cluster.signal(signal.SIGSTOP)
    result = cluster.cli("reload")
    cluster.signal(signal.SIGCONT)
    assert result.returncode == 1
    assert "has not answered for 5 s" in result.stderr
    assert "tamago stop" in result.stderr


@pytest.mark.parametrize("command", ["status", "reload", "stop", "restart-agent"])
def test_a_command_when_nothing_runs_is_exit_code_3(site: Site, command: str) -> None:
    result = site.run(command, "--title", site.title)
    assert result.returncode == 3
    assert "not running" in result.stderr
    assert "Traceback" not in result.stderr


def test_status_is_watched_as_plain_text_until_ctrl_c(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    with watching_status(cluster) as (process, seen):
        old = cluster.workers()[1]
        seen.expect(rf"^  worker 1 +{old} +ready ", count=3)
        cluster.output.mark()
        proc.end(old)
        new = cluster.expect_ready(slot=1)[0]
        seen.expect(rf"^  worker 1 +{new} +ready ")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        seen.wait_end()
    assert "\x1b" not in seen.text
    assert "Traceback" not in seen.text
    assert "Aborted" not in seen.text


def test_watching_the_status_ends_with_the_cluster(start: Start) -> None:
    cluster = start(workers=1)
    with watching_status(cluster) as (process, seen):
        seen.expect(rf"^{cluster.title}: ready ")
        assert cluster.stop() == 0
        assert process.wait() == 3
        seen.expect("tamago: .* is not running")


@contextmanager
def watching_status(cluster: Cluster) -> Iterator[tuple[subprocess.Popen[bytes], Transcript]]:
    """`tamago status --watch`, and what it prints."""
    command = [str(TAMAGO), "status", "--title", cluster.title, "--watch", "--interval", "0.1"]
    with subprocess.Popen(
        command, cwd=cluster.site.app, env=cluster.site.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        yield process, Transcript(process.stdout)


def test_status_all_lists_every_title(site: Site, start: Start) -> None:
    start(title="one", workers=1)
    start(title="two", workers=1)
    result = site.run("status", "--all", "--json")
    assert result.returncode == 0
    assert [each["title"] for each in json.loads(result.stdout)] == ["one", "two"]


# ── the record of the start ──────────────────────────────────────────────────────────────────────────────────────────


def test_trace_draws_the_start_from_what_really_happened(start: Start) -> None:
    cluster = start()
    timeline = cluster.cli("trace")
    assert timeline.returncode == 0, timeline.stderr
    for name in ("nest", "agent", "worker 1", "worker 2"):
        assert name in timeline.stdout
    mermaid = cluster.cli("trace", "--format", "mermaid")
    assert mermaid.stdout.startswith("sequenceDiagram")
    records = cluster.cli("trace", "--format", "json")
    assert records.returncode == 0
    pids = {process["pid"] for process in json.loads(records.stdout)["start"]["processes"]}
    assert set(cluster.tree()) <= pids


def test_trace_remembers_a_start_that_failed(site: Site) -> None:
    site.write("main.py", "raise RuntimeError('no database')\n")
    assert site.run("start", "--app", "main:app", "--port", "0", "--title", site.title).returncode == 1
    result = site.run("trace", "--title", site.title)
    assert result.returncode == 0, result.stderr
    assert "nest" in result.stdout


def test_check_imports_without_serving(site: Site) -> None:
    result = site.run("check", "--app", "main:app")
    assert result.returncode == 0, result.stderr
    assert "@import" in result.stdout + result.stderr
    site.write("main.py", "raise RuntimeError('no database')\n")
    result = site.run("check", "--app", "main:app")
    assert result.returncode == 1
    assert result.stderr.count("Traceback (most recent call last)") == 1
    assert not os.path.exists(site.home / "run" / site.title)
