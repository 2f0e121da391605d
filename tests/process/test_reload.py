"""A reload loses nothing, is all or nothing, and never stands in the way of anything else."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Self

import pytest
from tests.process import proc
from tests.process.control import Control
from tests.process.harness import Cluster, Start
from tests.process.http_client import LostError
from tests.process.load import Load
from tests.process.site import Site
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tamago.cluster.control_protocol import ControlError

_IMPORT_ERROR = "raise RuntimeError('the new code is broken')\n"


def hang_up(cluster: Cluster, generation: int) -> None:
    """Reload by SIGHUP and wait until that generation serves."""
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(generation)


def expect_gone(cluster: Cluster, generation: int, workers: int = 2) -> None:
    """Block until everybody of a generation has left; until then an old worker may still accept, and is still there."""
    cluster.expect(rf"worker \d gen={generation} .* left", count=workers)
    for name in ("agent", "nest"):
        cluster.expect(rf"{name} gen={generation} .* left")


# Each is (file, what to replace in it, by what, what must be said about it); a file of its own where there is nothing to replace.
_BROKEN = {
    "import error": ("main.py", "", _IMPORT_ERROR, "the new code is broken"),
    "syntax error": ("main.py", "", "def app(:\n", "SyntaxError"),
    "import hangs": ("main.py", "", "import select\nselect.select([], [], [])\n", "did not get ready in 4 s"),
    "agent fails": (
        "agent.py",
        "",
        "class Agent:\n    async def start(self):\n        raise RuntimeError('broken agent')\n",
        "broken agent",
    ),
    "lifespan failure": ("main.py", "startup.complete", 'startup.failed", "message": "no new database', "no new database"),
    "boot hangs": ("main.py", 'say("up", version=VERSION)', "await asyncio.Event().wait()", "did not get ready in 4 s"),
    "worker dies booting": ("main.py", 'say("up", version=VERSION)', "os._exit(9)", "exit code 9"),
    "one of the workers fails": ("main.py", 'say("up", version=VERSION)', "tamago.me.slot == 3 and os._exit(9)", "worker 3"),
    "worker dies right after ready": (
        "main.py",
        'say("ready", version=VERSION)',
        'tamago.me.role.value == "worker" and os._exit(9)',
        "exit code 9",
    ),
}
_SEEN_BEFORE_ANY_SWITCH = ["import error", "syntax error", "import hangs", "agent fails"]
_SEEN_LATER = [how for how in _BROKEN if how not in _SEEN_BEFORE_ANY_SWITCH]


def broken(site: Site, how: str) -> str:
    """Make the new code one that does not boot; return what must be said about it."""
    name, old, new, told = _BROKEN[how]
    site.write(name, (site.app / name).read_text().replace(old, new) if old else new)
    return told


# ── nothing is lost ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_reload_under_load_zero_errors_keepalive(site: Site, start: Start, preload: bool) -> None:
    cluster = start(*(() if preload else ("--no-preload",)))
    before = set(cluster.tree())
    with Load(cluster.place) as load:
        for version, old in (("2", 1), ("3", 2)):
            load.wait_answered(150)
            site.release(version)
            result = cluster.cli("reload")
            assert result.returncode == 0, result.stderr
            expect_gone(cluster, old)
            assert cluster.who()["version"] == version
        load.wait_answered(150)
    load.assert_none_lost()
    assert cluster.status()["generation"] == 3
    assert not before & set(cluster.tree()), "every process was replaced"


def test_ten_reloads_in_a_row_lose_nothing_and_leak_nothing(start: Start) -> None:
    cluster = start()
    hang_up(cluster, 2)
    descriptors, threads = len(proc.descriptors_of(cluster.pid)), proc.threads_of(cluster.pid)
    memory = proc.resident_kib(cluster.pid)
    with Load(cluster.place) as load, Talkers(cluster) as talkers:
        for generation in range(3, 12):
            talkers.opened.acquire()
            hang_up(cluster, generation)
            load.wait_answered(10)
    load.assert_none_lost()
    # A handshake on a connection that an old worker had accepted a moment before is answered as well.
    assert set(talkers.ends) == {"close 1012"}, talkers.ends
    assert talkers.ends.count("close 1012") >= 8
    expect_gone(cluster, 10)
    assert sorted(cluster.tree().values()) == ["agent", "nest gen 11", "worker 1", "worker 2"]
    assert len(proc.descriptors_of(cluster.pid)) <= descriptors + 1
    assert proc.threads_of(cluster.pid) == threads
    assert proc.resident_kib(cluster.pid) <= memory * 1.1


class Talkers:
    """Clients with a WebSocket each, who open another whenever the server closes theirs; `ends` says how each was closed."""

    def __init__(self, cluster: Cluster) -> None:
        self._url = f"ws://127.0.0.1:{cluster.port}/ws"
        self._stopping = False
        self._threads = [threading.Thread(target=self._talk, daemon=True) for _ in range(3)]
        self.opened = threading.Semaphore(0)
        self.ends: list[str] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def _talk(self) -> None:
        while not self._stopping:
            try:
                with connect(self._url) as websocket:
                    self.opened.release()
                    self._hold(websocket)
            except InvalidStatus as refused:
                self.ends.append(f"handshake {refused.response.status_code}")
            except (OSError, EOFError, WebSocketException) as error:
                self.ends.append(repr(error))

    def _hold(self, websocket: ClientConnection) -> None:
        try:
            websocket.send("are you there")
            while not self._stopping:
                with suppress(TimeoutError):
                    assert websocket.recv(timeout=0.2) == "are you there"
        except ConnectionClosed as closed:
            self.ends.append(f"close {closed.rcvd.code}" if closed.rcvd else repr(closed))


@pytest.mark.parametrize("slow", ["import", "boot"])
def test_reload_with_slow_boot_has_no_latency_spike(site: Site, start: Start, slow: str) -> None:
    cluster = start()
    held = site.gate("held")
    new = "import report\n" + without_future(site)
    in_boot = new.replace('say("up", version=VERSION)', "await asyncio.to_thread(report.hold, 'held')")
    site.write("main.py", f"{new}\nreport.hold('held')\n" if slow == "import" else in_boot)
    with Load(cluster.place) as load:
        load.wait_answered(100)
        cluster.signal(signal.SIGHUP)
        load.wait_answered(600)  # or nobody would be while the new code does not get ready
        held.open_for_all()
        cluster.expect_generation(2)
        load.wait_answered(100)
    load.assert_none_lost()


def test_a_keep_alive_connection_is_told_to_close_and_comes_back_to_the_new_code(site: Site, start: Start) -> None:
    cluster = start("--linger", "20", workers=1)
    with cluster.connect() as connection:
        assert connection.get("/who").json()["version"] == "1"
        site.release("2")
        hang_up(cluster, 2)
        while not (answer := connection.get("/who")).closes:
            pass  # the old worker has not been told yet
        assert answer.json()["version"] == "1"
        assert connection.ended()
    assert cluster.who()["version"] == "2"


def test_an_upload_in_the_middle_is_finished_by_the_old_worker(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    with cluster.connect() as connection:
        connection.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc")
        cluster.get()
        site.release("2")
        hang_up(cluster, 2)
        connection.socket.sendall(b"def")
        assert connection.receive().text == "abcdef"


def test_a_websocket_is_closed_with_1012_on_reload(start: Start) -> None:
    cluster = start(workers=1)
    with connect(f"ws://127.0.0.1:{cluster.port}/ws") as websocket:
        websocket.send("are you there")
        assert websocket.recv() == "are you there"
        cluster.signal(signal.SIGHUP)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


def test_a_batch_replaces_several_workers_at_a_time(site: Site, start: Start) -> None:
    cluster = start("--reload-batch", "4", workers=4)
    booting = site.gate("booting")
    source = (
        (site.app / "main.py")
        .read_text()
        .replace('say("up", version=VERSION)', 'say("up")\n            __import__("report").hold("booting")')
    )
    site.write("main.py", source)
    cluster.output.mark()
    cluster.signal(signal.SIGHUP)
    cluster.expect("@up", count=4)
    booting.open_for_all()
    cluster.expect_generation(2)


# ── new code that does not boot ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hows", [_SEEN_BEFORE_ANY_SWITCH, _SEEN_LATER], ids=["seen before any switch", "seen later"])
def test_reload_with_broken_code_keeps_old_workers(site: Site, start: Start, hows: list[str]) -> None:
    site.use("chores", as_="agent")
    cluster = start("--boot-timeout", "4", workers=3)
    before = cluster.tree()
    good = (site.app / "main.py").read_text()
    with Load(cluster.place) as load:
        for how in hows:
            told = broken(site, how)
            load.wait_answered(50)
            with pytest.raises(ControlError) as refused:
                cluster.call("reload")
            assert told in f"{refused.value.detail}\n{refused.value}", how
            while (status := cluster.status())["degraded"]:
                pass  # what had left for the new generation comes back
            assert (status["generation"], status["state"]) == (1, "ready"), how
            # What is left of the new generation may still be on its way out.
            assert set(before.values()) <= set(cluster.tree().values()), how
            if hows is _SEEN_BEFORE_ANY_SWITCH:
                assert before.items() <= cluster.tree().items(), f"{how}: nobody was touched"
            site.write("main.py", good)
            site.use("chores", as_="agent")
        load.wait_answered(50)
        # And with good code it works again.
        assert cluster.call("reload")["generation"] > 1
    load.assert_none_lost()


def test_the_traceback_of_the_new_code_is_printed_once_by_the_command(site: Site, start: Start) -> None:
    cluster = start()
    broken(site, "import error")
    result = cluster.cli("reload")
    assert result.returncode == 1
    assert result.stderr.count("Traceback (most recent call last)") == 1
    assert result.stderr.count("tamago: ") == 1


def test_slots_that_had_switched_are_filled_again_from_the_old_code(site: Site, start: Start) -> None:
    cluster = start(workers=3)
    site.write("main.py", (site.app / "main.py").read_text().replace('say("up", version=VERSION)', "tamago.me.slot == 3 and os._exit(9)"))
    site.release("2")
    assert cluster.cli("reload").returncode == 1
    for slot in (1, 2):
        cluster.expect(rf"worker {slot} gen=2 .* left")
    assert {cluster.who()["version"] for _ in range(30)} == {"1"}
    assert len(cluster.workers()) == 3


def test_a_new_worker_killed_in_the_middle_rolls_the_reload_back(site: Site, start: Start) -> None:
    cluster = start()
    site.gate("booting")
    source = (
        (site.app / "main.py")
        .read_text()
        .replace('say("up", version=VERSION)', 'say("up")\n            __import__("report").hold("booting")')
    )
    site.write("main.py", source)
    cluster.output.mark()
    cluster.signal(signal.SIGHUP)
    pid = int(cluster.expect(r"@up role=worker .*pid=(\d+)")[0][1])
    proc.end(pid)
    cluster.expect("reload failed, the old generation serves on")
    assert cluster.get().text == "hello"


def test_an_old_worker_killed_while_it_drains_is_not_replaced_from_old_code(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    site.gate("gate")
    old = cluster.pid_of("worker 1")
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        site.release("2")
        hang_up(cluster, 2)
        proc.end(old)
        with pytest.raises((LostError, ConnectionError)):
            connection.receive()
    cluster.expect(rf"worker 1 gen=1 pid={old} left")
    assert cluster.who()["version"] == "2"
    assert len(cluster.workers()) == 1


# ── nothing stands in the way ────────────────────────────────────────────────────────────────────────────────────────


def test_reload_with_endless_request_does_not_block_supervision(site: Site, start: Start) -> None:
    cluster = start("--stop-timeout", "600")
    with cluster.connect() as connection:
        connection.send("/stream")
        cluster.expect("@streaming")
        site.release("2")
        cluster.call("reload")
        cluster.output.mark()
        proc.end(cluster.expect_slot(1, version="2"))
        cluster.expect(r"@ready role=worker slot=1 .*version=2")
        cluster.begin_stop()
        cluster.signal(signal.SIGTERM)
        assert cluster.wait() == 0


def test_sigterm_during_reload_is_honoured(site: Site, start: Start) -> None:
    cluster = start("--stop-timeout", "600", "--boot-timeout", "600")
    site.gate("importing")
    site.write("main.py", f"from report import hold, say\nsay('new')\nhold('importing')\n{without_future(site)}")
    cluster.signal(signal.SIGHUP)
    cluster.expect("@new")
    assert cluster.stop() == 0


def test_a_stop_while_new_workers_boot_ends_both_generations(site: Site, start: Start) -> None:
    cluster = start()
    source = (site.app / "main.py").read_text()
    site.write("main.py", source.replace('say("up", version=VERSION)', 'say("stuck")\n            await asyncio.Event().wait()'))
    cluster.signal(signal.SIGHUP)
    cluster.expect("@stuck")
    assert cluster.cli("stop").returncode == 0
    assert cluster.wait() == 0


def test_a_reload_while_it_stops_is_refused(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start(workers=1)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        result = cluster.cli("reload")
        assert result.returncode == 1
        assert "stopping" in result.stderr
        gate.open()
        assert connection.receive().text == "held"
    assert cluster.wait() == 0


def test_a_reload_while_it_starts_comes_after_the_start(site: Site, start: Start) -> None:
    importing = site.gate("importing")
    site.write("main.py", f"from report import hold, say\nsay('new')\nhold('importing')\n{without_future(site)}")
    cluster = start(ready=False)
    cluster.expect("@new")
    cluster.signal(signal.SIGHUP)
    importing.open()
    cluster.wait_ready()
    importing.open()
    cluster.expect_generation(2)


def test_a_crash_in_the_old_generation_is_repaired_while_the_new_one_imports(site: Site, start: Start) -> None:
    cluster = start()
    importing = site.gate("importing")
    site.write("main.py", f"from report import hold, say\nsay('new')\nhold('importing')\n{without_future(site)}")
    cluster.expect_ready(count=2)
    cluster.output.mark()
    cluster.signal(signal.SIGHUP)
    cluster.expect("@new")
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    importing.open()
    cluster.expect_generation(2)


# ── many reloads ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_reloads_asked_for_during_a_reload_are_joined_into_one_more(site: Site, start: Start) -> None:
    cluster = start()
    importing = site.gate("importing")
    site.write("main.py", f"from report import hold, say\nsay('new')\nhold('importing')\n{without_future(site)}")
    controls = [Control(cluster) for _ in range(20)]
    controls[0].send("reload")
    cluster.expect("@new", count=1)
    for control in controls[1:]:
        control.send("reload")
        assert control.event("accepted")
    importing.open()
    assert controls[0].event("done")["result"]["generation"] == 2
    importing.open()
    for control in controls[1:]:
        assert control.event("done")["result"]["generation"] == 3
    for control in controls:
        control.close()
    assert cluster.stop() == 0
    assert len(cluster.output.found("@new")) == 2


def test_a_storm_of_sighups_ends_in_one_generation(start: Start) -> None:
    cluster = start()
    for _ in range(200):
        cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    # This one comes after all of them.
    cluster.call("reload")
    status = cluster.status()
    assert (status["state"], status["degraded"]) == ("ready", False)
    assert status["generation"] <= 5, "they were joined"
    assert cluster.get().text == "hello"


def test_a_third_generation_makes_the_oldest_finish_now(site: Site, start: Start) -> None:
    site.gate("gate")
    cluster = start("--stop-timeout", "60", workers=1)
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        hang_up(cluster, 2)
        assert len(cluster.pids_of("worker 1")) == 2
        hang_up(cluster, 3)
        with pytest.raises((LostError, ConnectionError)):
            connection.receive()
    cluster.expect("two generations old")


def test_a_long_request_across_a_reload_is_cut_at_the_stop_timeout(start: Start) -> None:
    cluster = start("--stop-timeout", "1")
    with cluster.connect() as connection:
        connection.send("/stream")
        pid = int(cluster.expect(r"@streaming .*pid=(\d+)")[0][1])
        hang_up(cluster, 2)
        with proc.watching(pid) as pidfd:
            proc.wait_ended(pidfd)
    cluster.expect(rf"pid={pid} did not leave")


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_changed_address_is_refused_before_anything_changes(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = 0\nworkers = 2\n')
    cluster = start(app=None, port=None, workers=None)
    before = cluster.tree()
    with socket.create_server(("127.0.0.1", 0)) as other:
        site.write("tamago.toml", f'app = "main:app"\nport = {other.getsockname()[1]}\nworkers = 2\n')
    result = cluster.cli("reload")
    assert result.returncode == 1
    assert "port" in result.stderr
    assert cluster.tree() == before


def test_a_changed_number_of_workers_is_taken_over(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = 0\nworkers = 2\n')
    cluster = start(app=None, port=None, workers=None)
    for workers in (4, 1):
        site.write("tamago.toml", f'app = "main:app"\nport = 0\nworkers = {workers}\n')
        result = cluster.cli("reload")
        assert result.returncode == 0, result.stderr
        assert cluster.status()["workers"] == workers
    for slot in (2, 3, 4):
        cluster.expect(rf"worker {slot} gen=2 .* left")
    assert list(cluster.workers()) == [1]


def test_each_of_two_reloads_takes_the_number_of_workers_it_read(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = 0\nworkers = 2\n')
    cluster = start(app=None, port=None, workers=None)
    with two_reloads(cluster, "workers = 3", "workers = 2") as (first, second):
        assert first.event("done")["result"]["generation"] == 2
        assert second.event("done")["result"]["generation"] == 3
    assert cluster.status()["workers"] == 2


def test_the_settings_of_a_reload_that_was_rolled_back_are_not_taken_over(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = 0\nworkers = 2\n')
    cluster = start(app=None, port=None, workers=None)
    site.gate("held")
    with two_reloads(cluster, "stop_timeout = 0", "stop_timeout = 600", broken=True) as (first, second):
        assert first.event("done")["result"]["generation"] == 2
        assert "the new code is broken" in second.event("error")["detail"]
    with cluster.connect() as connection:
        connection.send("/hold/held")
        cluster.expect("@holding")
        cluster.begin_stop()
        cluster.expect("did not leave in time")
    assert cluster.wait() == 0


@contextmanager
def two_reloads(cluster: Cluster, setting: str, later: str, *, broken: bool = False) -> Iterator[tuple[Control, Control]]:
    """Reload with one setting, and before that is done once more with another; `broken` says that this one's code is."""
    site = cluster.site
    settings, code = (site.app / "tamago.toml").read_text(), without_future(site)
    importing = site.gate("importing")
    with closing(Control(cluster)) as first, closing(Control(cluster)) as second:
        site.write("tamago.toml", replaced(settings, setting))
        site.write("main.py", f"from report import hold, say\nsay('new')\nhold('importing')\n{code}")
        first.send("reload")
        cluster.expect("@new")
        site.write("tamago.toml", replaced(settings, later))
        site.write("main.py", _IMPORT_ERROR if broken else code)
        second.send("reload")
        assert second.event("accepted")
        importing.open()
        yield first, second


def replaced(settings: str, line: str) -> str:
    """These settings with another line in the place of the one for the same setting, if there is one."""
    name = line.partition(" ")[0]
    return "".join(each for each in settings.splitlines(keepends=True) if not each.startswith(name)) + f"{line}\n"


def test_a_setting_that_is_wrong_now_is_told_and_nothing_changes(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = 0\n')
    cluster = start(app=None, port=None, workers=1)
    site.write("tamago.toml", 'app = "main:app"\nport = 0\nstop_timeout = "soon"\n')
    result = cluster.cli("reload")
    assert result.returncode != 0
    assert "stop_timeout" in result.stderr
    assert cluster.status()["generation"] == 1


# ── the agent ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_old_agent_has_ended_before_the_new_one_is_active(site: Site, start: Start) -> None:
    site.use("chores", as_="agent")
    cluster = start()
    cluster.expect("@agent-ready")
    hang_up(cluster, 2)
    cluster.expect("@agent-ready .*gen=2")
    order = [(match[1], match[2]) for match in cluster.output.found(r"@agent-(\w+) .*gen=(\d)")]
    assert order == [("start", "1"), ("ready", "1"), ("start", "2"), ("stop", "1"), ("ready", "2")]


def test_ten_reload_commands_at_once_all_succeed(cluster_of_one: Cluster) -> None:
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda _: cluster_of_one.call("reload"), range(10)))
    assert all(result["generation"] >= 2 for result in results)
    assert cluster_of_one.status()["generation"] <= 11


@pytest.fixture
def cluster_of_one(start: Start) -> Cluster:
    return start(workers=1)


def without_future(site: Site) -> str:
    """The application's source, to be put behind something else."""
    return (site.app / "main.py").read_text().replace("from __future__ import annotations\n", "")
