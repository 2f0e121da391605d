"""What each process of a cluster has open, knows and is, and which signals it minds."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.process import proc
from tests.process.barrier import wait_heard, wait_no_zombies
from tests.process.harness import Cluster, Start, starting
from tests.process.site import Site, new_site

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
_FOR_THE_MASTER = {"LISTEN_FDNAMES": "x", "WATCHDOG_USEC": "60000000"}


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Cluster]:
    yield from looked_at()


@pytest.fixture(scope="module")
def spawned() -> Iterator[Cluster]:
    yield from looked_at("--no-preload")


def looked_at(*mode: str) -> Iterator[Cluster]:
    """One cluster for all who only look at it, and ask it nothing: run from elsewhere, and told some things that must not be seen."""
    with new_site() as site, starting(site) as start:
        yield start(str(site.app), "--root-path", "/hidden-path", *mode, cwd=site.root, workers=3, environment=_FOR_THE_MASTER)


@pytest.fixture(params=["preloaded", "spawned"])
def looked(request: pytest.FixtureRequest) -> Cluster:
    """Each of them in turn."""
    cluster: Cluster = request.getfixturevalue(request.param)
    return cluster


def from_each_worker(cluster: Cluster, path: str) -> dict[int, Any]:
    """Slot → what the worker in it answers, asked on as many connections as it takes."""
    found: dict[int, Any] = {}
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


# ── what a process has open ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_worker_holds_its_own_descriptors_and_nobody_elses(looked: Cluster) -> None:
    workers = looked.workers()
    kinds = {pid: descriptors_by_kind(pid) for pid in workers.values()}
    for pid, kind in kinds.items():
        text = str(proc.descriptors_of(pid))
        assert "pidfd" not in kind, "processes to signal are the master's and the nest's business"
        assert len([name for name in kind if "memfd" in name]) == 1, kind
        assert not re.search(r"/lock'|trace\.jsonl|control\.sock|state\.json", text), text
    sockets = [{link for link in proc.descriptors_of(pid).values() if link.startswith("socket:")} for pid in workers.values()]
    listening = proc.listening_inodes()
    assert len(sockets[0] & listening) == 1
    assert sockets[0] & sockets[1] == sockets[0] & listening == sockets[1] & sockets[2], "they share the listening socket only"
    assert len({tuple(sorted(kind.items())) for kind in kinds.values()}) == 1, f"the last has more than the first: {kinds}"


def test_nest_and_agent_hold_no_listening_socket(looked: Cluster) -> None:
    for name in ("nest", "agent"):
        assert not set(proc.descriptors_of(looked.pid_of(name)).values()) & proc.listening_inodes()


def test_descriptors_do_not_grow_with_deaths_and_reloads(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)

    def kinds() -> list[dict[str, int]]:
        wait_no_zombies(cluster)
        pids = [cluster.pid, cluster.pid_of("nest"), *(pid for _, pid in sorted(cluster.workers().items()))]
        return [descriptors_by_kind(pid) for pid in pids]

    before = kinds()
    cluster.call("reload")
    # A nest lets go of who is dead when it has something to do; so the deaths come last.
    for _ in range(3):
        for slot in (1, 2):
            cluster.output.mark()
            proc.end(cluster.workers()[slot])
            cluster.expect_ready(slot=slot)
    assert kinds() == before


def test_what_a_subprocess_of_a_worker_inherits_is_no_socket_of_ours(site: Site, start: Start) -> None:
    site.use("kin")
    cluster = start(workers=1)
    held = proc.descriptors_of(cluster.get("/child").json())
    # It may be loading its libraries just now: what counts is what it was given.
    assert not [link for link in held.values() if link.startswith(("socket:", "anon_inode:", "/memfd:"))], held


def test_no_process_is_told_what_is_for_the_master_alone(spawned: Cluster) -> None:
    # Interpreters of their own: what a fork was told is no longer in sight.
    for pid in spawned.tree():
        names = {entry.partition(b"=")[0] for entry in proc.environment_of(pid)}
        assert not names & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES"}


def test_workers_hold_no_descriptor_they_should_not(looked: Cluster) -> None:
    standard = {target for fd, target in proc.descriptors_of(looked.pid).items() if fd <= 2}
    for pid, title in looked.tree().items():
        held = proc.descriptors_of(pid)
        extra = [fd for fd, target in held.items() if fd > 2 and target in standard]
        # One of its own to write the log without waiting.
        assert len(extra) <= 1, (title, held)


def test_nothing_secret_is_on_a_command_line(looked: Cluster) -> None:
    for pid in (looked.pid, *looked.tree()):
        assert "hidden-path" not in proc.title_of(pid)


def test_the_kernels_names_have_no_blank_which_python_would_count_as_threads(looked: Cluster) -> None:
    names = {title: proc.name_of(pid) for pid, title in looked.tree().items()} | {"master": proc.name_of(looked.pid)}
    assert names == {
        "master": "tamago-master",
        "nest gen 1": "tamago-nest",
        "agent": "tamago-agent",
        "worker 1": "tamago-worker",
        "worker 2": "tamago-worker",
        "worker 3": "tamago-worker",
    }


# ── what a process is ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_master_never_loads_the_application_nor_what_only_children_need(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nimport httptools, uvloop, pydantic_core, _sqlite3\n")
    cluster = start()
    cluster.call("reload")
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
    numbers = list(from_each_worker(start(workers=3), "/random").values())
    assert len(set(numbers)) == 3


def test_what_the_nest_imported_is_frozen_and_the_collector_still_works(site: Site, start: Start) -> None:
    site.use("kin")
    for facts in from_each_worker(start(), "/frozen").values():
        assert facts["frozen"] > 1000
        assert facts["enabled"]


@_MODES
@pytest.mark.parametrize("method", ["spawnpool", "forkpool"])
def test_multiprocessing_works_in_a_worker(site: Site, start: Start, mode: tuple[str, ...], method: str) -> None:
    site.use("kin")
    cluster = start(*mode, workers=1)
    assert cluster.get(f"/{method}").json() == 90
    assert cluster.get("/who").json()["pid"] == cluster.pid_of("worker 1")


@_MODES
def test_a_forked_process_ends_by_sigterm_and_the_worker_does_not_take_it_for_its_own(
    site: Site, start: Start, mode: tuple[str, ...]
) -> None:
    site.use("kin")
    cluster = start(*mode, workers=1)
    worker = cluster.pid_of("worker 1")
    for _ in range(5):
        assert cluster.get("/terminated").json() == -signal.SIGTERM
        assert cluster.get("/who").json()["pid"] == worker


def test_a_process_pool_works_in_a_worker(site: Site, start: Start) -> None:
    site.write("sums.py", "def double(number):\n    return 2 * number\n")
    handler = """
import concurrent.futures, multiprocessing
import sums

async def many(rest, _receive, send):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(rest[0])) as pool:
        numbers = [await asyncio.wrap_future(pool.submit(sums.double, number)) for number in range(4)]
    await answer(send, repr(numbers).encode())

PATHS["many"] = many
"""
    site.write("main.py", (site.app / "main.py").read_text() + handler)
    cluster = start(workers=1)
    assert [cluster.get(f"/many/{method}").text for method in ("fork", "spawn")] == ["[0, 2, 4, 6]"] * 2


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


def test_the_working_directory_is_the_applications_wherever_the_command_was_run(looked: Cluster) -> None:
    for pid in looked.tree():
        assert os.readlink(f"/proc/{pid}/cwd") == str(looked.site.app)


def test_the_interpreter_is_the_one_the_command_was_installed_for(looked: Cluster) -> None:
    for pid in looked.tree():
        assert os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(sys.executable)


def test_every_process_leads_a_session_of_its_own(looked: Cluster) -> None:
    for pid, name in looked.tree().items():
        assert (proc.session_of(pid), os.getpgid(pid), proc.parent_of(pid)) == (pid, pid, looked.pid), name


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
            # The master may have seen to some of them before we come to them.
            with suppress(ProcessLookupError):
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
