"""What the application does with processes, threads, signals and sockets, and that none of it survives or does harm."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import sys
import threading
import time

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start
from tests.process.site import TAMAGO, Site
from tests.process.transcript import Transcript

# What `/spawn/<how>` starts; each says its pid and lives until it is ended.
_SPAWN = """
import subprocess, sys
_LIVE = "import select, signal, sys; {0}; print('@grandchild pid=%d' % __import__('os').getpid(), flush=True); select.select([], [], [])"

async def spawn(rest, _receive, send):
    how = rest[0]
    if how == "child":
        subprocess.Popen([sys.executable, "-c", _LIVE.format("0")])
    elif how == "deaf":
        subprocess.Popen([sys.executable, "-c", _LIVE.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")])
    elif how == "session":
        subprocess.Popen([sys.executable, "-c", _LIVE.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")], start_new_session=True)
    elif how == "daemon":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-c", _LIVE.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")])
            os._exit(0)
    elif how == "forked":
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.write(1, b"@grandchild pid=%d\\n" % os.getpid())
                while True:
                    time.sleep(1)
            os._exit(0)
    elif how == "zombies":
        for _ in range(300):
            if os.fork() == 0:
                if os.fork() == 0:
                    os._exit(0)
                os._exit(0)
    await answer(send, b"spawned")

PATHS["spawn"] = spawn
"""


def spawning(site: Site, start: Start, *arguments: str, workers: int = 2) -> Cluster:
    site.write("main.py", (site.app / "main.py").read_text() + _SPAWN)
    return start(*arguments, workers=workers)


def grandchild_of(cluster: Cluster, how: str) -> int:
    assert cluster.get(f"/spawn/{how}").text == "spawned"
    return int(cluster.expect(r"@grandchild pid=(\d+)")[0][1])


# ── descendants ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["child", "deaf", "session", "daemon", "forked"])
def test_a_stop_leaves_no_descendant_wherever_it_hid(site: Site, start: Start, how: str) -> None:
    cluster = spawning(site, start)
    with proc.watching(grandchild_of(cluster, how)) as pidfd:
        began = time.monotonic()
        assert cluster.stop() == 0
        assert proc.has_ended(pidfd), "it ended before the master did"
        assert time.monotonic() - began < 8


@pytest.mark.parametrize("how", ["child", "deaf"])
def test_a_worker_that_dies_takes_its_children_along(site: Site, start: Start, how: str) -> None:
    cluster = spawning(site, start, workers=1)
    pid = grandchild_of(cluster, how)
    with proc.watching(pid) as pidfd:
        proc.end(cluster.workers()[1])
        proc.wait_ended(pidfd)
    assert cluster.get().text == "hello"


def test_a_killed_worker_is_killed_with_its_descendants(site: Site, start: Start) -> None:
    cluster = spawning(site, start, "--hang-timeout", "1", workers=1)
    with proc.watching(grandchild_of(cluster, "session")) as pidfd, cluster.connect() as connection:
        connection.send("/block/600")
        proc.wait_ended(pidfd)


def test_descendants_do_not_hold_the_port(site: Site, start: Start) -> None:
    cluster = spawning(site, start)
    listening = proc.listening_inodes()
    for how in ("child", "session", "daemon"):
        cluster.output.mark()
        pid = grandchild_of(cluster, how)
        assert not listening & set(proc.descriptors_of(pid).values()), how


def test_a_master_that_dies_takes_descendants_of_blocked_workers_along(site: Site, start: Start) -> None:
    cluster = spawning(site, start, "--stop-timeout", "1", workers=1)
    with proc.watching(grandchild_of(cluster, "child")) as pidfd, cluster.connect() as connection:
        connection.send("/block/600")
        cluster.expect("@blocking")
        cluster.kill_master()
        proc.wait_ended(pidfd)
    cluster.output.wait_end()


def test_a_storm_of_zombies_is_reaped(site: Site, start: Start) -> None:
    cluster = spawning(site, start)
    before = proc.cpu_seconds(cluster.pid)
    assert cluster.get("/spawn/zombies").text == "spawned"
    while any(proc.state_of(pid) == "Z" for pid in proc.children_of(cluster.pid)):
        assert cluster.get().text == "hello"
    assert proc.cpu_seconds(cluster.pid) - before < 2
    assert sorted(cluster.tree().values()) == ["agent", "nest gen 1", "worker 1", "worker 2"]


def test_pid1_reaps_unknown_children(site: Site, start: Start) -> None:
    if os.geteuid() != 0:
        pytest.skip("a PID namespace needs root here")
    site.write("main.py", (site.app / "main.py").read_text() + _SPAWN)
    cluster = start(prefix=("unshare", "--pid", "--fork", "--kill-child=SIGTERM", "--mount-proc"))
    # `unshare` waits outside; its only child is PID 1 inside and our master.
    master = proc.children_of(cluster.pid)[0]
    assert proc.title_of(master).startswith("tamago: master")
    assert cluster.get("/spawn/zombies").text == "spawned"
    while any(proc.state_of(pid) == "Z" for pid in proc.children_of(master)):
        assert cluster.get().text == "hello"
    with proc.watching(master) as pidfd:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        proc.wait_ended(pidfd)
    assert cluster.wait() == 0
    assert cluster.output.found(r"\[master pid=1\] stopped")


# ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ctrl_c_in_a_terminal_stops_in_good_order(site: Site) -> None:
    gate = site.gate("gate")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(site.app)
        command = [str(TAMAGO), "start", "--title", site.title, "--app", "main:app", "--workers", "2", "--bind", f"unix:{site.root}/s"]
        os.execve(TAMAGO, command, site.environment())
    read, write = os.pipe()

    def copy() -> None:
        # A terminal whose last process is gone reads as an error, not as an end.
        with os.fdopen(write, "wb", buffering=0) as out:
            while True:
                try:
                    out.write(os.read(terminal, 65536))
                except OSError:
                    return

    threading.Thread(target=copy, daemon=True).start()
    output = Transcript(os.fdopen(read, "rb"))
    output.expect(" is ready on ")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{site.root}/s")
        client.sendall(b"GET /hold/gate HTTP/1.1\r\nHost: test\r\n\r\n")
        output.expect("@holding")
        os.write(terminal, b"\x03")
        output.expect("SIGINT")
        gate.open()
        # The request in flight was not cut, though the terminal signals its whole foreground group.
        assert b"held" in client.recv(65536)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    output.wait_end()
    os.close(terminal)
    assert "KeyboardInterrupt" not in output.text
    assert "Traceback" not in output.text
    assert len(re.findall("@down", output.text)) == 2


def test_a_signal_to_the_whole_process_group_stops_in_good_order(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        os.killpg(cluster.pid, signal.SIGTERM)
        cluster.expect("stopping")
        gate.open()
        assert connection.receive().text == "held"
    assert cluster.wait() == 0


def test_a_signal_to_every_process_stops_in_good_order(site: Site, start: Start) -> None:
    # What `kill $(pgrep ...)` and KillMode=control-group do.
    gate = site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        for pid in [cluster.pid, *cluster.tree()]:
            os.kill(pid, signal.SIGTERM)
        gate.open()
        assert connection.receive().text == "held"
    assert cluster.wait() == 0


# ── descriptors ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_workers_hold_no_descriptor_they_should_not(site: Site, start: Start) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    cluster = start(workers=3)
    os.close(read)
    os.close(write)
    lock = str(site.home / "run" / cluster.title / "lock")
    listening = proc.listening_inodes()
    standard = {target for fd, target in proc.descriptors_of(cluster.pid).items() if fd <= 2}
    channels: set[str] = set()
    for pid, title in cluster.tree().items():
        held = proc.descriptors_of(pid)
        assert lock not in held.values(), title
        assert not any("trace.jsonl" in target for target in held.values()), title
        extra = [fd for fd, target in held.items() if fd > 2 and target in standard]
        # One of its own to write the log without waiting.
        assert len(extra) <= 1, (title, held)
        ours = listening & set(held.values())
        assert bool(ours) == title.startswith("worker"), (title, held)
        sockets = {target for target in held.values() if target.startswith("socket:")} - listening
        assert not sockets & channels, "no process holds another one's channel"
        channels |= sockets


def test_children_are_not_given_what_is_the_masters_alone(start: Start) -> None:
    cluster = start(environment={"WATCHDOG_USEC": "100000000", "LISTEN_FDNAMES": "x", "SECRET": "kept"})
    for pid in cluster.tree():
        environment = proc.environment_of(pid)
        assert not any(entry.startswith((b"NOTIFY_SOCKET=", b"LISTEN_", b"WATCHDOG_")) for entry in environment)


def test_nothing_secret_is_on_a_command_line(start: Start) -> None:
    cluster = start("--root-path", "/hidden-path")
    for pid in (cluster.pid, *cluster.tree()):
        assert "hidden-path" not in proc.title_of(pid)


# ── what applications do ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_application_that_installs_its_own_signal_handlers_at_import_still_stops(site: Site, start: Start) -> None:
    handlers = "import signal\nfor _number in (15, 2, 17, 1):\n    signal.signal(_number, lambda *_: say('mine'))\n"
    site.write("main.py", (site.app / "main.py").read_text() + handlers)
    cluster = start()
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    assert cluster.stop() == 0
    assert not cluster.output.found("@mine role=worker")


def test_an_application_that_installs_a_handler_in_its_lifespan_still_stops(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    install = 'say("up", version=VERSION)\n            signal.signal(signal.SIGTERM, lambda *_: say("mine"))'
    site.write("main.py", source.replace('say("up", version=VERSION)', install))
    cluster = start("--stop-timeout", "5")
    began = time.monotonic()
    assert cluster.stop() == 0
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works_in_a_worker(site: Site, start: Start, method: str) -> None:
    site.write("sums.py", "def double(number):\n    return 2 * number\n")
    handler = f"""
import concurrent.futures, multiprocessing
import sums

async def many(rest, _receive, send):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("{method}")) as pool:
        numbers = [await asyncio.wrap_future(pool.submit(sums.double, number)) for number in range(4)]
    await answer(send, repr(numbers).encode())

PATHS["many"] = many
"""
    site.write("main.py", (site.app / "main.py").read_text() + handler)
    cluster = start(workers=1)
    assert cluster.get("/many").text == "[0, 2, 4, 6]"
    assert cluster.stop() == 0


def test_subprocess_works_in_a_worker(site: Site, start: Start) -> None:
    handler = """
async def run(_rest, _receive, send):
    process = await asyncio.create_subprocess_exec("echo", "from a subprocess", stdout=-1)
    out, _ = await process.communicate()
    await answer(send, out + str(process.returncode).encode())

PATHS["run"] = run
"""
    site.write("main.py", (site.app / "main.py").read_text() + handler)
    assert start(workers=1).get("/run").text == "from a subprocess\n0"


def test_threads_started_at_import_are_named_and_each_process_imports_for_itself(site: Site, start: Start) -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, name='metrics-pusher', daemon=True).start()\n"
    site.write("main.py", (site.app / "main.py").read_text() + thread)
    cluster = start()
    cluster.expect("metrics-pusher")
    cluster.expect_ready(count=2)
    assert [match[1] for match in cluster.output.found(r"@import role=(\w+)")].count("worker") == 2
    assert cluster.get().text == "hello"
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    # A process of this kind is repaired as well.
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)


def test_a_connection_opened_at_import_is_warned_of(site: Site, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        port = database.getsockname()[1]
        site.write(
            "main.py", (site.app / "main.py").read_text() + f"import socket\n_database = socket.create_connection(('127.0.0.1', {port}))\n"
        )
        cluster = start()
        cluster.expect(rf"opened a connection while it was imported .*127\.0\.0\.1:{port}")
        assert cluster.get().text == "hello"


def test_before_and_after_fork_hooks_run(site: Site, start: Start) -> None:
    hooks = "from tamago import hooks\nhooks.before_fork(lambda: say('before'))\nhooks.after_fork(lambda: say('after'))\n"
    site.write("main.py", (site.app / "main.py").read_text() + hooks)
    cluster = start()
    assert len(cluster.output.found("@before role=nest")) == 3
    assert {match[1] for match in cluster.output.found(r"@after role=(\w+)")} == {"agent", "worker"}


def test_random_numbers_and_ids_differ_between_workers(site: Site, start: Start) -> None:
    handler = """
import random
async def dice(_rest, _receive, send):
    await answer(send, f"{tamago.me.slot} {random.random()}".encode())
PATHS["dice"] = dice
"""
    site.write("main.py", (site.app / "main.py").read_text() + handler)
    cluster = start(workers=2)
    first: dict[str, str] = {}
    while len(first) < 2:
        slot, number = cluster.get("/dice").text.split()
        first.setdefault(slot, number)
    assert first["1"] != first["2"]


def test_standard_streams_of_the_application_are_the_commands(site: Site, start: Start) -> None:
    said = """
import logging, sys
print('to stdout', flush=True)
print('to stderr', file=sys.stderr)
logging.getLogger('shop').warning('to the log')
"""
    site.write("main.py", (site.app / "main.py").read_text() + said)
    cluster = start()
    cluster.expect("^to stdout")
    cluster.expect("^to stderr")
    cluster.expect("to the log")


def test_the_working_directory_is_the_applications_wherever_the_command_was_run(site: Site, start: Start) -> None:
    cluster = start(str(site.app), cwd=site.root)
    for pid in cluster.tree():
        assert os.readlink(f"/proc/{pid}/cwd") == str(site.app)
    assert cluster.get().text == "hello"


def test_the_interpreter_is_the_one_the_command_was_installed_for(start: Start) -> None:
    cluster = start()
    for pid in cluster.tree():
        assert os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(sys.executable)
