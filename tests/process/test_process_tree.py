"""What an application's processes have, hold and start: its descendants end with it, and it cannot harm who supervises it."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.barrier import wait_heard, wait_no_zombies
from tests.process.harness import Cluster, Start
from tests.process.site import Site

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
_KIN = ["child", "stubborn", "tree", "fork", "session", "daemon"]


def from_each_worker(cluster: Cluster, path: str) -> dict[int, object]:
    """Slot → what the worker in it answers, asked on as many connections as it takes."""
    found: dict[int, object] = {}
    while len(found) < len(cluster.workers()):
        with cluster.connect() as connection:
            slot = connection.get("/who").json()["slot"]
            found[slot] = connection.get(path).json()
    return found


def descriptors_by_kind(pid: int) -> dict[str, int]:
    """How many descriptors of each kind a process has open."""
    count: dict[str, int] = {}
    for link in proc.descriptors_of(pid).values():
        kind = re.sub(r":\[\d+\]|/tmp/.*/", "", link)
        count[kind] = count.get(kind, 0) + 1
    return count


# ── descendants ──────────────────────────────────────────────────────────────────────────────────────────────────────


@_MODES
@pytest.mark.parametrize("path", _KIN)
def test_a_stop_leaves_no_descendant_wherever_it_hid(site: Site, start: Start, mode: tuple[str, ...], path: str) -> None:
    site.use("kin")
    cluster = start(*mode)
    with proc.watching(cluster.get(f"/{path}").json()) as pidfd:
        assert not proc.has_ended(pidfd)
        assert cluster.stop() == 0
        assert proc.has_ended(pidfd)


@pytest.mark.parametrize("path", ["child", "stubborn", "tree", "fork"])
def test_a_worker_that_dies_takes_its_descendants_along_and_no_port_is_held(site: Site, start: Start, path: str) -> None:
    site.use("kin")
    cluster = start(workers=1)
    cluster.expect_ready()
    worker = cluster.pid_of("worker 1")
    with proc.watching(cluster.get(f"/{path}").json()) as pidfd:
        cluster.output.mark()
        proc.end(worker)
        proc.wait_ended(pidfd)
        cluster.expect_ready()
    wait_no_zombies(cluster)
    assert cluster.get("/who").json()["pid"] == cluster.pid_of("worker 1")


def test_a_daemon_a_worker_started_outlives_the_worker_but_not_the_cluster(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    cluster.expect_ready()
    with proc.watching(daemon := cluster.get("/daemon").json()) as pidfd:
        cluster.output.mark()
        assert cluster.cli("kick", "1").returncode == 0
        cluster.expect_ready()
        assert not proc.has_ended(pidfd)
        assert proc.parent_of(daemon) == cluster.pid, "the master is whom the kernel gave it to"
        assert not proc.listening_inodes() & set(proc.descriptors_of(daemon).values())
        assert cluster.stop() == 0
        assert proc.has_ended(pidfd)


def test_a_reload_ends_the_descendants_of_the_old_generation(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start()
    with proc.watching(cluster.get("/stubborn").json()) as pidfd:
        assert cluster.cli("reload").returncode == 0
        proc.wait_ended(pidfd)
    wait_no_zombies(cluster)


def test_a_zombie_storm_is_reaped_and_does_not_starve_the_master(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start()
    cluster.get("/storm")
    assert cluster.status()["ready"]
    wait_no_zombies(cluster)


def test_every_process_leads_a_session_of_its_own(start: Start) -> None:
    cluster = start()
    for pid, name in cluster.tree().items():
        assert (proc.session_of(pid), os.getpgid(pid), proc.parent_of(pid)) == (pid, pid, cluster.pid), name


# ── what a process has open ──────────────────────────────────────────────────────────────────────────────────────────


@_MODES
def test_a_worker_holds_its_own_descriptors_and_nobody_elses(start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode, workers=3)
    workers = cluster.workers()
    kinds = {pid: descriptors_by_kind(pid) for pid in workers.values()}
    for pid, kind in kinds.items():
        text = str(proc.descriptors_of(pid))
        assert "pidfd" not in kind, "processes to signal are the master's and the nest's business"
        assert sum(count for name, count in kind.items() if "memfd" in name) == 1, kind
        assert not re.search(r"/lock'|trace\.jsonl|control\.sock|state\.json", text), text
    sockets = [{link for link in proc.descriptors_of(pid).values() if link.startswith("socket:")} for pid in workers.values()]
    listening = proc.listening_inodes()
    assert len(sockets[0] & listening) == 1
    assert sockets[0] & sockets[1] == sockets[0] & listening == sockets[1] & sockets[2], "they share the listening socket only"
    assert len({tuple(sorted(kind.items())) for kind in kinds.values()}) == 1, f"the last has more than the first: {kinds}"


def test_nest_and_agent_hold_no_listening_socket(start: Start) -> None:
    cluster = start()
    for name in ("nest", "agent"):
        assert not set(proc.descriptors_of(cluster.pid_of(name)).values()) & proc.listening_inodes()


def test_descriptors_do_not_grow_with_deaths_and_reloads(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)

    def kinds() -> list[dict[str, int]]:
        wait_no_zombies(cluster)
        pids = [cluster.pid, cluster.pid_of("nest"), *(pid for _, pid in sorted(cluster.workers().items()))]
        return [descriptors_by_kind(pid) for pid in pids]

    before = kinds()
    for _ in range(3):
        for slot in (1, 2):
            cluster.output.mark()
            proc.end(cluster.workers()[slot])
            cluster.expect_ready(slot=slot)
    assert cluster.cli("reload").returncode == 0
    assert kinds() == before


def test_what_a_subprocess_of_a_worker_inherits_is_no_socket_of_ours(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    child = cluster.get("/child").json()
    assert set(proc.descriptors_of(child)) == {0, 1, 2}


def test_no_process_is_told_what_is_for_the_master_alone(start: Start) -> None:
    cluster = start("--no-preload", environment={"LISTEN_FDNAMES": "x", "WATCHDOG_USEC": "60000000"})
    for pid in cluster.tree():
        names = {entry.partition(b"=")[0] for entry in proc.environment_of(pid)}
        assert not names & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES"}


# ── what a process is ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_master_never_loads_the_application_nor_what_only_children_need(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"import httptools, uvloop, pydantic_core, _sqlite3\n{source}")
    cluster = start()
    cluster.cli("reload")
    loaded = proc.maps_of(cluster.pid)
    for name in ("httptools", "uvloop", "pydantic_core", "_sqlite3", str(site.app)):
        assert name not in loaded
    importers = {int(match["pid"]) for match in cluster.output.found(r"^@import .*pid=(?P<pid>\d+)", everywhere=True)}
    assert importers
    assert cluster.pid not in importers
    assert proc.threads_of(cluster.pid) == 1


def test_random_numbers_differ_between_workers(site: Site, start: Start) -> None:
    site.use("kin")
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nrandom.seed(1)\n")
    numbers = [answer[0] for answer in from_each_worker(start(workers=3), "/random").values()]  # type: ignore[index]
    assert len(set(numbers)) == 3


def test_what_the_nest_imported_is_frozen_and_the_collector_still_works(site: Site, start: Start) -> None:
    site.use("kin")
    for frozen, enabled, _ in from_each_worker(start(), "/frozen").values():  # type: ignore[misc]
        assert frozen > 1000
        assert enabled


def test_fork_hooks_run_in_the_nest_before_and_in_the_child_after_each_fork(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    hooks = (
        "from tamago.hooks import after_fork, before_fork\n"
        "before_fork(lambda: say('before', who=1))\nbefore_fork(lambda: say('before', who=2))\n"
        "after_fork(lambda: say('after', who=1))\nafter_fork(lambda: say('after', who=2))\n"
    )
    site.write("main.py", f"{source}\n{hooks}")
    cluster = start()
    nest, workers = cluster.pid_of("nest"), cluster.workers()
    before = cluster.output.found(r"^@before role=nest .*pid=(\d+) who=(\d)")
    assert [match[2] for match in before] == ["2", "1"] * 3, "an agent and two workers, last registered first"
    assert {int(match[1]) for match in before} == {nest}
    for slot, pid in workers.items():
        after = cluster.output.found(rf"^@after role=worker slot={slot} .*pid={pid} who=(\d)")
        assert [match[1] for match in after] == ["1", "2"]


@pytest.mark.parametrize("which", ["before", "after"])
def test_a_fork_hook_that_raises_ends_the_start_and_says_why(site: Site, start: Start, which: str) -> None:
    source = (site.app / "main.py").read_text()
    hook = f"import tamago.hooks\n@tamago.hooks.{which}_fork\ndef hook():\n    raise LookupError('the hook is broken')\n"
    site.write("main.py", f"{source}\n{hook}")
    cluster = start(ready=False)
    assert cluster.wait() == 1
    assert "the hook is broken" in cluster.output.text


@_MODES
@pytest.mark.parametrize("method", ["spawnpool", "forkpool"])
def test_multiprocessing_works_in_a_worker(site: Site, start: Start, mode: tuple[str, ...], method: str) -> None:
    site.use("kin")
    cluster = start(*mode, workers=1)
    assert cluster.get(f"/{method}").json() == 90
    assert cluster.get("/who").json()["pid"] == cluster.pid_of("worker 1")


# ── what an application does to itself at import ─────────────────────────────────────────────────────────────────────


@_MODES
@pytest.mark.parametrize(
    "handlers",
    [
        "signal.signal(signal.SIGTERM, lambda *_: say('mine'))\nsignal.signal(signal.SIGINT, lambda *_: say('mine'))",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)",
        "signal.signal(signal.SIGCHLD, lambda *_: [os.waitpid(-1, os.WNOHANG)])",
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
        "signal.set_wakeup_fd(os.open('/dev/null', os.O_WRONLY | os.O_NONBLOCK))",
    ],
    ids=["own handlers", "ignored", "a reaper", "no zombies", "all blocked", "wakeup fd"],
)
def test_an_application_that_takes_signals_at_import_starts_reloads_and_stops(
    site: Site, start: Start, mode: tuple[str, ...], handlers: str
) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\n{handlers}\n")
    cluster = start(*mode, "--stop-timeout", "5")
    assert cluster.get().text == "hello"
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    assert cluster.cli("reload").returncode == 0
    assert cluster.stop() == 0
    assert not re.search("did not leave|killed", cluster.output.text), cluster.output.text


def test_threads_at_import_are_named_and_each_process_imports_for_itself(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    threads = (
        "import threading\nthreading.Thread(target=threading.Event().wait, name='the-poller', daemon=True).start()\n"
        "libc = ctypes.CDLL(None)\nnative = ctypes.c_ulong()\n"
        "libc.pthread_create(ctypes.byref(native), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)\n"
        "libc.pthread_setname_np(native, b'the-native')\n"
    )
    site.write("main.py", f"{source}\n{threads}")
    cluster = start()
    warning = cluster.output.found("started threads while it was imported", everywhere=True)
    assert len(warning) == 1
    assert "the-poller (Python)" in warning[0].string
    assert re.search(r"the-native \(native, id \d+\)", warning[0].string)
    importers = {int(match[1]) for match in cluster.output.found(r"^@import .*pid=(\d+)", everywhere=True)}
    assert set(cluster.workers().values()) < importers
    assert proc.threads_of(cluster.pid_of("nest")) == 1, "the threads ended with the image that had them"
    assert all(proc.threads_of(pid) >= 3 for pid in cluster.workers().values()), "and each worker has its own"
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    assert cluster.cli("reload").returncode == 0


def test_a_thread_that_ended_before_the_import_did_costs_nothing(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nimport threading\nthread = threading.Thread(target=int)\nthread.start()\nthread.join()\n")
    cluster = start()
    assert len(cluster.output.found("^@import", everywhere=True)) == 1
    assert "started threads" not in cluster.output.text


def test_a_connection_opened_at_import_is_warned_of(site: Site, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = (site.app / "main.py").read_text()
        site.write("main.py", f"{source}\nimport socket\nkept = socket.create_connection(('127.0.0.1', {port}))\n")
        cluster = start()
        warning = cluster.output.found("opened a connection while it was imported", everywhere=True)
        assert len(warning) == 1
        assert f"to 127.0.0.1:{port}" in warning[0].string
        cluster.stop()


# ── signals to more than the master ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"], ids=["Ctrl-C", "Ctrl-backslash"])
def test_a_key_on_the_terminal_reaches_the_whole_group_and_only_the_master_acts(site: Site, start: Start, key: bytes) -> None:
    gate = site.gate("gate")
    ours, theirs = pty.openpty()
    try:
        cluster = start(stdin=theirs, start_new_session=False, prefix=("setsid", "--ctty"))
        os.close(theirs)
        with cluster.connect() as connection:
            connection.send("/hold/gate")
            cluster.expect("@holding")
            os.write(ours, key)
            cluster.expect("stopping")
            gate.open()
            assert connection.receive().text == "held"
        assert cluster.wait() == 0
    finally:
        os.close(ours)
    assert len(cluster.output.found("@down", everywhere=True)) == 2
    assert "Traceback" not in cluster.output.text
    assert "KeyboardInterrupt" not in cluster.output.text


def test_sigterm_to_the_whole_process_group_is_as_good_as_to_the_master(site: Site, start: Start) -> None:
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


def test_sigterm_to_every_process_at_once_still_answers_what_is_in_flight(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        for pid in (cluster.pid, *cluster.tree()):
            os.kill(pid, signal.SIGTERM)
        cluster.expect("stopping")
        gate.open()
        assert connection.receive().text == "held"
    assert cluster.wait() == 0


def test_sigchld_from_anybody_harms_nothing(start: Start) -> None:
    cluster = start()
    for _ in range(100):
        cluster.signal(signal.SIGCHLD)
    wait_heard(cluster)
    assert cluster.get().text == "hello"


def test_the_log_names_every_process_the_same_way(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nimport logging\ntamago.ready(lambda: logging.getLogger('shop').warning('here'))\n")
    cluster = start()
    cluster.expect(r"WARNING \[worker 1 gen=1 pid=\d+\] shop: here")
    cluster.expect(r"WARNING \[worker 2 gen=1 pid=\d+\] shop: here")
    assert Path(f"/proc/{cluster.pid}/comm").read_text().strip()
