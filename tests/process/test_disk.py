"""Disks that are full, and files that somebody moved or took away: serving goes on, and so does logging once there is room again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.process import proc
from tests.process.barrier import wait_heard
from tests.process.harness import Start
from tests.process.http_client import Place, get
from tests.process.load import Load
from tests.process.privilege import needs_root
from tests.process.site import Site

_TALKATIVE = """
import logging
async def log(rest, _receive, send):
    for _ in range(int(rest[0])):
        logging.getLogger("shop").warning("%s", "x" * 900)
    await answer(send, b"logged")
PATHS["log"] = log
"""


class Daemon(NamedTuple):
    """A cluster in the background: its master's pid, and where it listens."""

    master: int
    place: Place


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = site.root / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", str(path)], check=False).returncode:
        pytest.skip("this machine does not let us mount")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def daemon(site: Site, small_disk: Path) -> Iterator[Daemon]:
    """A daemon that logs to the small disk."""
    site.write("main.py", (site.app / "main.py").read_text() + _TALKATIVE)
    logs = ["--stdout", str(small_disk / "out"), "--stderr", str(small_disk / "err")]
    command = ["start", "--daemon", "--json", "--title", site.title, "--app", "main:app", "--workers", "2", "--port", "0", *logs]
    result = site.run(*command)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    host, _, port = said["addresses"][0].removeprefix("http://").partition(":")
    with proc.watching(said["pid"]) as pidfd:
        yield Daemon(said["pid"], (host, int(port)))
        assert site.run("stop", "--title", site.title).returncode == 0
        # The command returns when the title is free; the master has a few instructions to go.
        proc.wait_ended(pidfd)
    assert not proc.holders_of(site.root, site.marker)


@needs_root
def test_a_log_on_a_full_disk_stops_nobody_and_goes_on_when_there_is_room(site: Site, small_disk: Path, daemon: Daemon) -> None:
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    with Load(daemon.place, rate=100) as load:
        load.wait_answered(20)
        for _ in range(4):
            assert get(daemon.place, "/log/100").text == "logged"
        filler.unlink()
        for _ in range(50):
            assert get(daemon.place, "/log/1").text == "logged"
        load.wait_answered(20)
        assert site.run("reload", "--title", site.title).returncode == 0
        load.wait_answered(20)
    load.assert_none_lost()
    text = (small_disk / "err").read_text(errors="replace")
    assert "log lines were dropped: nobody took them, or the disk was full" in text
    assert "generation 2 serves" in text


@needs_root
def test_a_log_that_was_rotated_away_by_rename_grows_no_more_after_usr1(site: Site, small_disk: Path, daemon: Daemon) -> None:
    (small_disk / "err").rename(small_disk / "err.1")
    get(daemon.place, "/log/1")
    assert not (small_disk / "err").exists()
    os.kill(daemon.master, signal.SIGUSR1)
    while not (small_disk / "err").exists() or "shop: xxx" not in (small_disk / "err").read_text():
        assert get(daemon.place, "/log/1").text == "logged"
    size = (small_disk / "err.1").stat().st_size
    # Each of the two workers has said something to the new file, so both let go of the old one.
    while len({line.partition("[worker ")[2][:1] for line in (small_disk / "err").read_text().splitlines() if "shop: xxx" in line}) < 2:
        get(daemon.place, "/log/1")
    assert (small_disk / "err.1").stat().st_size - size < 4096


@needs_root
def test_logs_that_cannot_be_opened_anew_go_on_in_the_old_files(site: Site, small_disk: Path, daemon: Daemon) -> None:
    log = small_disk / "err"
    log.rename(small_disk / "err.1")
    log.mkdir()
    os.kill(daemon.master, signal.SIGUSR1)
    before = (small_disk / "err.1").read_text().count("shop: xxx")
    assert site.run("status", "--title", site.title).returncode == 0
    get(daemon.place, "/log/1")
    while (small_disk / "err.1").read_text().count("shop: xxx") == before:
        get(daemon.place, "/log/1")
    text = (small_disk / "err.1").read_text()
    assert f"still writing to the old log files: cannot write the log file {log}: is a directory" in text
    assert "Traceback" not in text
    assert site.run("status", "--title", site.title).returncode == 0


def test_a_run_directory_deleted_twice_is_made_again_and_the_stop_leaves_nothing(site: Site, start: Start) -> None:
    cluster = start()
    for directory in (site.home, site.home / "run"):
        cluster.output.mark()
        shutil.rmtree(directory)
        assert cluster.get().text == "hello"
        # It looks every few seconds.
        cluster.expect("was removed; it is made again")
        assert json.loads(cluster.cli("status", "--json").stdout)["pid"] == cluster.pid
    second = site.run("start", "--app", "main:app", "--port", "0", "--title", cluster.title)
    assert second.returncode == 4
    assert cluster.call("reload")["generation"] == 2
    result = cluster.cli("stop")
    assert result.returncode == 0, result.stderr
    assert cluster.wait() == 0
    assert not site.sockets()


def test_a_control_socket_that_was_deleted_does_not_keep_anybody_from_stopping_it(site: Site, start: Start) -> None:
    cluster = start()
    (socket,) = site.sockets()
    socket.unlink()
    wait_heard(cluster)
    result = cluster.cli("stop")
    assert result.returncode in {0, 1}, result.stderr
    assert cluster.wait() == 0
    assert "Traceback" not in result.stderr


def test_a_link_planted_in_place_of_the_deleted_run_directory_is_not_followed(site: Site, start: Start) -> None:
    cluster = start()
    elsewhere = site.root / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "precious").write_text("data")
    run = site.home / "run" / cluster.title
    shutil.rmtree(run)
    run.symlink_to(elsewhere)
    cluster.expect("WARNING.*" + str(run))
    assert cluster.get().text == "hello"
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]
    run.unlink()
    cluster.output.mark()
    cluster.expect("was removed; it is made again")
    assert json.loads(cluster.cli("status", "--json").stdout)["pid"] == cluster.pid
