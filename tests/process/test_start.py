"""What a start does, in what order, and who is there when it is over."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.activation import as_systemd
from tests.process.harness import READY, Start
from tests.process.http_client import get
from tests.process.site import TAMAGO, Site


def test_the_start_order_is_sockets_then_nest_then_agent_then_workers_then_ready(site: Site, start: Start) -> None:
    bind = f"unix:{site.root}/s"
    importing, booting = site.gate("importing"), site.gate("booting")
    site.write(
        "main.py",
        f"from report import hold\nhold('importing')\n{(site.app / 'main.py').read_text()}".replace(
            "from __future__ import annotations", ""
        ),
    )
    site.write(
        "agent.py",
        "from report import hold, say\n"
        "class Agent:\n"
        "    async def start(self):\n"
        "        say('agent-start')\n"
        "        hold('booting')\n"
        "    async def ready(self):\n"
        "        say('agent-ready')\n",
    )
    cluster = start("--bind", bind, port=None, ready=False)
    importing.open()
    # It was bound before the import: who connects now waits in the queue and is served in the end.
    early = socket.socket(socket.AF_UNIX)
    early.connect(f"{site.root}/s")
    cluster.expect("@agent-start")
    assert not cluster.workers(), "workers start after the agent"
    assert not cluster.output.found("@up")
    booting.open()
    cluster.wait_ready()
    cluster.expect("@agent-ready")
    assert len(cluster.output.found("@up")) == 2
    lines = cluster.output.text.splitlines()
    ready = next(number for number, line in enumerate(lines) if " is ready on " in line)
    assert max(number for number, line in enumerate(lines) if line.startswith("@up")) < ready
    early.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert early.recv(65536).startswith(b"HTTP/1.")
    early.close()


def test_the_process_tree_is_a_master_with_nest_agent_and_workers(start: Start) -> None:
    cluster = start(workers=3)
    assert proc.title_of(cluster.pid) == f"tamago: master [{cluster.title}]"
    assert sorted(cluster.tree().values()) == ["agent", "nest gen 1", "worker 1", "worker 2", "worker 3"]
    for pid in cluster.tree():
        assert proc.parent_of(pid) == cluster.pid
        assert proc.session_of(pid) == pid, "each is the head of a session of its own"
        assert f"[{cluster.title}]" in proc.title_of(pid)


def test_the_command_itself_becomes_the_master(start: Start) -> None:
    cluster = start(workers=1)
    assert cluster.status()["pid"] == cluster.process.pid
    assert proc.parent_of(cluster.process.pid) == os.getpid()


def test_the_master_is_small_and_loads_no_command_line_library_and_no_application(site: Site, start: Start) -> None:
    site.write("main.py", "import sqlite3\n" + site.app.joinpath("main.py").read_text().replace("from __future__ import annotations", ""))
    cluster = start()
    nest = proc.maps_of(cluster.pid_of("nest"))
    master = proc.maps_of(cluster.pid)
    assert "_sqlite3" in nest
    for foreign in ("_sqlite3", "uvloop", "httptools"):
        assert foreign not in master
    assert cluster.pid not in {int(match[1]) for match in cluster.output.found(r"@import .*pid=(\d+)")}
    assert proc.resident_kib(cluster.pid) <= 25 * 1024


def test_the_application_is_imported_once_however_many_workers_there_are(start: Start) -> None:
    cluster = start(workers=4)
    cluster.expect_ready(count=4)
    assert [match[1] for match in cluster.output.found(r"@import role=(\w+)")] == ["nest"]


def test_without_preload_each_process_imports_for_itself(start: Start) -> None:
    cluster = start("--no-preload", workers=2)
    cluster.expect_ready(count=2)
    importers = [match[1] for match in cluster.output.found(r"@import role=(\w+)")]
    assert importers.count("worker") == 2
    assert "nest" not in importers
    assert cluster.get().text == "hello"


def test_ready_is_told_once_to_the_agent_and_to_each_worker(start: Start) -> None:
    cluster = start(workers=3)
    cluster.expect("^@ready", count=4)
    told = [match[1] for match in cluster.output.found(r"^@ready .*pid=(\d+)")]
    assert len(told) == len(set(told)) == 4
    cluster.stop()
    assert len(cluster.output.found("^@ready")) == 4


def test_port_0_listens_on_a_free_port_and_says_which(start: Start) -> None:
    first, second = start(title="one", workers=1), start(title="two", workers=1)
    assert first.port != second.port
    assert first.get().text == second.get().text == "hello"


def test_several_binds_serve_side_by_side(site: Site, start: Start) -> None:
    cluster = start("--bind", "127.0.0.1:0", "--bind", f"unix:{site.root}/s", "--bind", "127.0.0.2:0", port=None)
    assert len(cluster.places) == 3
    assert [get(place).text for place in cluster.places] == ["hello"] * 3
    assert Path(f"{site.root}/s").stat().st_mode & 0o777 == 0o660


def test_ipv6_is_served(start: Start) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no ::1")
    cluster = start("--bind", "[::1]:0", port=None, workers=1)
    assert cluster.place[0] == "::1"
    assert cluster.get().text == "hello"


def test_the_number_of_workers_is_that_of_the_cpus_it_may_use(start: Start) -> None:
    if shutil.which("taskset") is None:
        pytest.skip("there is no taskset here")
    one = str(min(os.sched_getaffinity(0)))
    cluster = start(workers=None, prefix=("taskset", "-c", one))
    assert list(cluster.workers()) == [1]


def test_no_agent_runs_none(start: Start) -> None:
    assert sorted(start("--no-agent", workers=1).tree().values()) == ["nest gen 1", "worker 1"]


def test_settings_in_tamago_toml_are_enough_to_start(site: Site, start: Start) -> None:
    site.write("tamago.toml", 'app = "main:app"\nworkers = 3\nport = 0\nenv = "staging"\n')
    cluster = start(app=None, workers=None, port=None)
    assert len(cluster.workers()) == 3
    assert cluster.status()["env"] == "staging"


# ── who supervises the supervisor ────────────────────────────────────────────────────────────────────────────────────


def test_systemd_is_told_ready_reloading_and_stopping(site: Site, start: Start) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{site.root}/notify")
        cluster = start(environment={"NOTIFY_SOCKET": f"{site.root}/notify"})
        assert b"READY=1" in manager.recv(4096).split(b"\n")
        for pid in cluster.tree():
            assert not any(entry.startswith(b"NOTIFY_SOCKET=") for entry in proc.environment_of(pid))
        cluster.signal(signal.SIGHUP)
        reloading = manager.recv(4096)
        assert b"RELOADING=1" in reloading
        assert b"MONOTONIC_USEC=" in reloading
        assert b"READY=1" in manager.recv(4096).split(b"\n")
        cluster.stop()
        assert b"STOPPING=1" in manager.recv(4096).split(b"\n")


def test_the_watchdog_of_systemd_is_fed_from_ready_on_and_all_is_said_in_order(site: Site, start: Start) -> None:
    began = time.monotonic()
    feeds = 0

    def hear(*, food: bool) -> list[str]:
        """Block until the master feeds the watchdog, or until it says something else."""
        nonlocal feeds
        while True:
            lines = manager.recv(4096).decode().split("\n")
            feeds += lines == ["WATCHDOG=1"]
            if food == (lines == ["WATCHDOG=1"]):
                return lines
            assert not food, lines

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{site.root}/notify")
        cluster = start(environment={"NOTIFY_SOCKET": f"{site.root}/notify", "WATCHDOG_USEC": "1000000"}, workers=1)
        where = f"http://127.0.0.1:{cluster.port}"
        # The first of all: nothing is said before it serves.
        assert manager.recv(4096).decode().split("\n") == ["READY=1", f"MAINPID={cluster.pid}", f"STATUS=generation 1 serves on {where}"]
        hear(food=True)
        before = time.monotonic_ns() // 1000
        cluster.signal(signal.SIGHUP)
        first, second, third = hear(food=False)
        assert (first, third) == ("RELOADING=1", "STATUS=reloading")
        assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert hear(food=False) == ["READY=1", f"MAINPID={cluster.pid}", f"STATUS=generation 2 serves on {where}"]
        hear(food=True)
        cluster.signal(signal.SIGTERM)
        assert hear(food=False) == ["STOPPING=1", "STATUS=stopping"]
        assert cluster.wait() == 0
    # Twice an interval, one for the moment it got ready.
    assert feeds <= (time.monotonic() - began) / 0.5 + 1


def test_a_socket_of_systemd_is_taken_over(site: Site, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        cluster = start(port=None, prefix=as_systemd(fd), pass_fds=(fd,))
        place = listener.getsockname()
        assert get(place).text == "hello"
        for pid in cluster.tree():
            assert not any(entry.startswith(b"LISTEN_") for entry in proc.environment_of(pid))
        assert cluster.stop() == 0
        cluster.places = []  # systemd, that is we, still listens


def test_two_sockets_of_systemd_are_served_and_only_workers_have_them(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        fds = (one.fileno(), other.fileno())
        cluster = start(port=None, prefix=as_systemd(*fds), pass_fds=fds)
        assert cluster.places == [one.getsockname(), other.getsockname()[:2]]
        for place in cluster.places:
            assert get(place).text == "hello"
        listening = [f"socket:[{os.fstat(fd).st_ino}]" for fd in fds]
        for pid, name in cluster.tree().items():
            held = [each for each in proc.descriptors_of(pid).values() if each in listening or "tamago-launch" in each]
            assert sorted(held) == (sorted(listening) if name.startswith("worker") else []), name
        assert cluster.stop() == 0
        cluster.places = []  # systemd, that is we, still listens


def test_a_bind_to_an_inherited_descriptor_is_taken_over(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cluster = start("--bind", f"fd://{listener.fileno()}", port=None, pass_fds=(listener.fileno(),))
        assert get(listener.getsockname()).text == "hello"
        assert cluster.stop() == 0
        cluster.places = []


# ── titles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_title_that_runs_is_refused_and_the_first_is_not_disturbed(site: Site, start: Start) -> None:
    cluster = start(workers=1)
    second = site.run("start", "--app", "main:app", "--port", "0", "--title", cluster.title)
    assert second.returncode == 4
    assert f"{cluster.title} is already running: pid {cluster.pid} in {site.app}" in second.stderr
    assert "tamago stop" in second.stderr
    assert cluster.get().text == "hello"


def test_of_two_racing_starts_exactly_one_wins(start: Start) -> None:
    racers = [start(ready=False, workers=1) for _ in range(5)]
    for racer in racers:
        racer.expect(rf"{READY}|already running")
    winners = [racer for racer in racers if racer.output.found(READY)]
    assert len(winners) == 1
    winner = winners[0].wait_ready()
    assert sorted(racer.wait() for racer in racers if racer is not winner) == [4] * 4
    assert winner.get().text == "hello"


def test_two_apps_same_user_do_not_share_control_socket(site: Site, start: Start) -> None:
    one, two = start(title="one", workers=1), start(title="two", workers=1)
    assert len(site.sockets()) == 2
    assert (one.status()["pid"], two.status()["pid"]) == (one.pid, two.pid)
    assert one.stop() == 0
    assert [path.parent.name for path in site.sockets()] == ["two"]
    assert two.status()["state"] == "ready"


# ── what is hosted ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fastapi_application_is_served_with_its_lifespan_threads_and_background_tasks(site: Site, start: Start) -> None:
    site.use("fast")
    cluster = start()
    with cluster.connect() as connection:
        body = b'{"name": "egg", "price": 0.5}'
        connection.send("/items", body=body, headers="Content-Type: application/json\r\n")
        assert connection.receive().json() == {"name": "egg", "price": 0.5}
        assert connection.get("/sync").json() == {"ran": "in a thread"}
        assert len(connection.get("/lines").text.splitlines()) == 1000
    cluster.expect("@created .*name=egg")
    cluster.stop()
    assert len(cluster.output.found("@down")) == 2


def test_a_flask_application_is_served_by_threads(site: Site, start: Start) -> None:
    site.write("main.py", "from flask import Flask\napp = Flask('shop')\n@app.get('/')\ndef index():\n    return 'flask says hello'\n")
    cluster = start(workers=1)
    assert cluster.get().text == "flask says hello"


def test_a_factory_is_called(site: Site, start: Start) -> None:
    site.write("main.py", (site.app / "main.py").read_text() + "\n\ndef create_app():\n    return app\n")
    assert start(app="main:create_app", workers=1).get().text == "hello"


def test_the_start_needs_no_terminal_no_home_and_no_standard_input(start: Start) -> None:
    cluster = start(environment={"HOME": "/nonexistent"}, stdin=None, close_fds=True, workers=1)
    assert cluster.get().text == "hello"


def test_the_installed_command_is_what_these_tests_run() -> None:
    assert TAMAGO.stat().st_mode & 0o111
