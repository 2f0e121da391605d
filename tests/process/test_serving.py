"""Serving over time and under trouble: quiet spells, too many connections, files and pipes that are gone or full."""

from __future__ import annotations

import resource
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.harness import Cluster, Start, place_of
from tests.process.load import Load
from tests.process.privilege import needs_root
from tests.process.site import TAMAGO, Site


def wait(cluster: Cluster, seconds: float) -> None:
    """Let time go by while the master lives."""
    with proc.watching(cluster.pid) as pidfd:
        assert not select.select([pidfd], [], [], seconds)[0], "the master ended"


def test_the_first_connection_after_a_quiet_spell_is_served(start: Start) -> None:
    cluster = start("--header-timeout", "0.5", "--keep-alive", "0.5", workers=1)
    for _ in range(3):
        assert cluster.get().text == "hello"
        wait(cluster, 1.2)


def test_both_workers_get_connections(start: Start) -> None:
    cluster = start("--linger", "0")
    connections = [cluster.connect() for _ in range(40)]
    slots = [connection.get("/who").json()["slot"] for connection in connections]
    for connection in connections:
        connection.close()
    assert min(slots.count(1), slots.count(2)) >= 8, slots


def test_running_out_of_descriptors_does_not_spin_keeps_what_is_open_and_recovers(start: Start) -> None:
    cluster = start(workers=1)
    worker = cluster.pid_of("worker 1")
    with cluster.connect() as old:
        assert old.get().text == "hello"
        full = len(proc.descriptors_of(worker))
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (full + 5, full + 5))
        crowd = [cluster.connect() for _ in range(20)]
        cluster.expect("cannot accept connections for now")
        before = proc.cpu_seconds(worker)
        wait(cluster, 2)
        assert proc.cpu_seconds(worker) - before < 0.3, "it does not spin"
        assert old.get().text == "hello"
        assert len(cluster.output.found("cannot accept connections for now")) <= 2, "it says so now and then"
        for connection in crowd:
            connection.close()
        assert cluster.get().text == "hello"


def test_a_closed_output_pipe_stops_nobody(site: Site) -> None:
    process, place = _started_on_a_pipe(site)
    assert process.stdout is not None
    process.stdout.close()
    # Every one of these writes a line to the pipe that is not there any more.
    try:
        with Load(place) as load:
            load.wait_answered(100)
            process.send_signal(signal.SIGUSR2)
            process.send_signal(signal.SIGHUP)
            load.wait_answered(300)
        load.assert_none_lost()
    finally:
        _ended(process)


def test_a_full_output_pipe_that_nobody_reads_stops_nobody(site: Site) -> None:
    process, place = _started_on_a_pipe(site, "--access-log")
    try:
        # More lines than any pipe holds: 64 KiB is about 700 of them.
        with Load(place, rate=1000) as load:
            load.wait_answered(3000)
            process.send_signal(signal.SIGUSR2)
        load.assert_none_lost()
    finally:
        _ended(process)
        assert process.stdout is not None
        process.stdout.close()


def _started_on_a_pipe(site: Site, *arguments: str) -> tuple[subprocess.Popen[bytes], tuple[str, int]]:
    """Start without anybody who reads on; return the process and where it listens."""
    site.write("main.py", (site.app / "main.py").read_text().replace("say(", "(lambda *_, **__: None)("))
    command = [str(TAMAGO), "start", "--title", site.title, "--app", "main:app", "--workers", "2", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, cwd=site.app, env=site.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if b" is ready on " in line:
            place = place_of(next(word for word in line.decode().split() if word.startswith("http://")))
            assert not isinstance(place, str)
            return process, place
    raise AssertionError("it did not start")


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    assert process.wait() == 0


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = site.root / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", str(path)], check=False).returncode:
        pytest.skip("this machine does not let us mount")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@needs_root
def test_a_full_disk_under_the_run_directory_stops_nobody(site: Site, start: Start, small_disk: Path) -> None:
    cluster = start(environment={"TAMAGO_HOME": str(small_disk)})
    filler = small_disk / "filler"
    fill(filler)
    cluster.expect_ready(count=2)
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    with Load(cluster.place) as load:
        load.wait_answered(50)
        cluster.signal(signal.SIGHUP)
        cluster.expect_generation(2)
        load.wait_answered(50)
    load.assert_none_lost()
    filler.unlink()
    assert cluster.stop() == 0


@needs_root
def test_a_start_on_a_full_disk_says_so(site: Site, small_disk: Path) -> None:
    fill(small_disk / "filler")
    result = site.run("start", "--app", "main:app", "--port", "0", "--title", site.title, TAMAGO_HOME=str(small_disk))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert str(small_disk) in result.stderr


def test_closed_standard_descriptors_are_not_taken_by_something_else(site: Site, start: Start) -> None:
    # Without 0: the first descriptor opened would be 0, and a child that reads its standard input would read the lock.
    cluster = start(prefix=("sh", "-c", 'exec "$@" <&-', "sh"))
    for pid in (cluster.pid, *cluster.tree()):
        assert proc.descriptors_of(pid).get(0, "/dev/null") == "/dev/null", proc.descriptors_of(pid)
    assert cluster.get().text == "hello"
