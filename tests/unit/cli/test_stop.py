"""Stopping means that everything is gone, and that nobody else was touched. A script stands in for the master."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.unit.cli.command import Tamago

from tamago.cli.stopping import killed_count, progress_text
from tamago.cluster.control_protocol import Reply

MASTER = """
import asyncio, os, signal, subprocess, sys
from pathlib import Path
from tamago.cluster.control import ControlServer
from tamago.cluster.rundir import RunDir, this_process
from tamago.errors import TamagoError

base, title, directory, how = Path(sys.argv[1]), *sys.argv[2:]

class Cluster:
    async def handle(self, command, params, progress):
        if command == "status":
            return {"title": title, "state": "ready", "ready": how != "degraded", "degraded": how == "degraded", "pid": os.getpid(),
                    "directory": directory, "addresses": ["http://127.0.0.1:1"], "generation": 1, "uptime": 75.0,
                    "processes": [{"role": "worker", "slot": 1, "pid": 7, "state": "ready", "uptime": 3.0, "requests": 5, "rss": 1 << 20}]}
        if command in ("reload", "scale", "kick", "restart_agent"):
            progress("working on it")
            if how == "rollback":
                raise TamagoError("rolled back", hint="repair it", detail="Traceback of the new code")
            return {"text": f"{command} {params}"}
        progress({"draining": ["worker 1", "worker 2"]})
        self.killed = 2 if how == "had to kill" else 0
        asyncio.get_running_loop().call_soon(leaving.set)
        return {"text": "stopped", "killed": self.killed}

async def main():
    global leaving
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    rundir = RunDir(base, title, create=True)
    rundir.lock(this_process(title=title, directory=directory))
    server = ControlServer(rundir, Cluster())
    if how != "no socket":
        await server.start()
    if how == "child":
        # Holds our stdout, so the test sees when it is gone; ends when we do, as children of a real master do.
        subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    print("up", flush=True)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    await leaving.wait()
    await server.close()
    rundir.close()

asyncio.run(main())
"""


@contextmanager
def master(tamago: Tamago, how: str = "", title: str = "shop") -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", MASTER, str(tamago.home), title, str(tamago.directory), how]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=tamago.environment, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_number_of_the_killed_is_told_as_a_number_or_as_pids() -> None:
    assert [killed_count({"killed": 2}), killed_count({"killed": [1]}), killed_count({})] == [2, 1, 0]


def test_who_drains_is_named() -> None:
    assert progress_text(Reply(id=1, event="progress", data={"draining": ["worker 1"]})) == "still draining: worker 1"
    assert progress_text(Reply(id=1, event="alive")) == ""


@pytest.mark.slow
def test_a_stop_ends_the_master_and_says_so(tamago: Tamago) -> None:
    with master(tamago) as process:
        result = tamago.run("stop")
        assert result.returncode == 0
        assert result.stdout.startswith("shop is stopped after ")
        assert "still draining: worker 1, worker 2" in result.stderr
        assert process.wait() == 0
    assert tamago.run("stop").returncode == 3


@pytest.mark.slow
def test_a_stop_that_had_to_kill_exits_1(tamago: Tamago) -> None:
    with master(tamago, "had to kill"):
        result = tamago.run("stop", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)[0]["killed"] == 2


@pytest.mark.slow
def test_a_master_that_does_not_answer_is_killed_and_its_children_leave(tamago: Tamago) -> None:
    with master(tamago, "stopped") as process:
        result = tamago.run("stop")
        assert result.returncode == 1
        assert "1 of its processes had to be killed" in result.stdout
        assert process.wait() == -signal.SIGKILL
    assert tamago.run("status").returncode == 3
    assert [path.name for path in (tamago.home / "run/shop").iterdir()] == ["lock"]


@pytest.mark.slow
def test_a_master_without_a_control_socket_gets_sigterm(tamago: Tamago) -> None:
    with master(tamago, "no socket") as process:
        assert tamago.run("stop").returncode == 0
        assert process.wait() == 0


@pytest.mark.slow
def test_a_master_that_was_killed_is_not_running_and_whoever_has_its_pid_is_safe(tamago: Tamago) -> None:
    with master(tamago) as process:
        process.kill()
    # The files it left name a pid; the lock says that nobody is there.
    assert (tamago.home / "run/shop/control.sock").exists()
    lock = tamago.home / "run/shop/lock"
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        lock.write_text(lock.read_text().replace(f'"pid":{process.pid}', f'"pid":{bystander.pid}'))
        assert tamago.run("stop", "--title", "shop").returncode == 3
        assert tamago.run("status", "--title", "shop").returncode == 3
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.slow
def test_all_stops_every_cluster(tamago: Tamago) -> None:
    with master(tamago, title="a") as first, master(tamago, title="b") as second:
        assert tamago.run("stop").returncode == 2
        result = tamago.run("stop", "--all")
        assert result.returncode == 0
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["a", "b"]
        assert [first.wait(), second.wait()] == [0, 0]
    assert tamago.run("stop", "--all").returncode == 3


@pytest.mark.slow
def test_a_cluster_is_found_by_its_title_from_anywhere(tamago: Tamago) -> None:
    with master(tamago, title="x"):
        assert tamago.run("status", "/", "--title", "x").returncode == 0
        result = tamago.run("status", "/")
        assert result.returncode == 3
        assert f"x (from {tamago.directory})" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "code", "word"), [("", 0, "ready"), ("degraded", 1, "degraded"), ("stopped", 1, "unknown"), ("no socket", 1, "unknown")]
)
def test_a_status_always_comes_and_its_exit_code_says_it_all(tamago: Tamago, how: str, code: int, word: str) -> None:
    with master(tamago, how):
        result = tamago.run("status")
        assert (result.returncode, result.stderr) == (code, "")
        assert result.stdout.startswith(f"shop: {word} (pid ")
        told = json.loads(tamago.run("status", "--json").stdout)
        assert told["title"] == "shop"
        assert told["answers"] is (word != "unknown")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["reload"], "reload {}"),
        (["scale", "3"], "scale {'workers': 3, 'relative': False}"),
        (["scale", "+1"], "scale {'workers': 1, 'relative': True}"),
        (["scale", "--", "-1"], "scale {'workers': -1, 'relative': True}"),
        (["kick", "2"], "kick {'slot': 2}"),
        (["restart-agent"], "restart_agent {}"),
    ],
)
def test_a_command_is_carried_out_and_what_came_of_it_is_shown(tamago: Tamago, arguments: list[str], answer: str) -> None:
    with master(tamago):
        result = tamago.run(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"shop: {answer}\n", "working on it\n")


@pytest.mark.slow
def test_a_reload_that_was_rolled_back_shows_the_traceback_and_exits_1(tamago: Tamago) -> None:
    with master(tamago, "rollback"):
        result = tamago.run("reload")
    assert result.returncode == 1
    assert result.stderr == "working on it\nTraceback of the new code\ntamago: rolled back\nrepair it\n"


@pytest.mark.slow
def test_the_children_of_a_killed_master_are_waited_for(tamago: Tamago) -> None:
    with master(tamago, "child") as process:
        process.send_signal(signal.SIGSTOP)
        assert tamago.run("stop").returncode == 1
        assert process.stdout
        assert process.stdout.read() == ""
