"""A daemon: the command returns when it serves or has failed, and everything it says is in files of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.process import proc
from tests.process.activation import as_systemd
from tests.process.http_client import get
from tests.process.privilege import NOBODY, needs_root
from tests.process.site import TAMAGO, Site
from tests.process.test_containers import everybody_reaches_python
from tests.process.transcript import Transcript

from tamago.cluster.control_client import ControlClient
from tamago.cluster.running import list_running


class Daemons:
    """Starts daemons and stops what still runs in the end."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def start(self, *arguments: str, title: str = "", prefix: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `tamago start --daemon` to its end. It ends although the daemon lives on: nobody there holds its output."""
        flags = ["--title", title or self.site.title, "--app", "main:app", "--workers", "2", "--port", "0"]
        return self.site.run("start", "--daemon", *flags, *arguments, prefix=prefix, **environment)

    def serving(self, *arguments: str, title: str = "", prefix: Sequence[str] = ()) -> dict[str, Any]:
        """Start one that serves; return what it says about itself."""
        result = self.start("--json", *arguments, title=title, prefix=prefix)
        assert result.returncode == 0, result.stderr
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        """Have the master carry out a command, and return its result."""
        with ControlClient(self.site.home, self.site.title) as client:
            return client.call(command, params)

    def log(self, stream: str = "stderr", title: str = "") -> Path:
        return self.site.home / "logs" / (title or self.site.title) / f"{stream}.log"

    def launching(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin a start whose end is not waited for."""
        flags = ["--title", self.site.title, "--app", "main:app", "--workers", "2", "--port", "0"]
        return subprocess.Popen(
            [str(TAMAGO), "start", "--daemon", *flags, *arguments],
            cwd=self.site.app,
            env=self.site.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def stuck_importing(self) -> None:
        """Make the application one whose import does not end; it says so through a FIFO."""
        os.mkfifo(self.site.app / "begun")
        self.site.write("main.py", "import os, select\nopen('begun', 'w').write(str(os.getpid()))\nselect.select([], [], [])\n")

    def wait_importing(self) -> int:
        """Block until that import has begun; return the pid of the nest."""
        return int((self.site.app / "begun").read_text())


@pytest.fixture
def daemons(site: Site) -> Iterator[Daemons]:
    yield Daemons(site)
    for running in list_running(site.home):
        with proc.watching(running.owner.pid) as pidfd:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
            proc.wait_ended(pidfd)
    assert not proc.holders_of(site.root, site.marker)
    assert not site.sockets()


def place_of(said: dict[str, Any]) -> tuple[str, int]:
    host, _, port = said["addresses"][0].removeprefix("http://").partition(":")
    return host, int(port)


def test_a_daemon_serves_when_the_command_returns_and_says_where(daemons: Daemons) -> None:
    result = daemons.start()
    assert result.returncode == 0, result.stderr
    assert f"{daemons.site.title} is ready on http://127.0.0.1:" in result.stdout
    address = next(word.rstrip(",") for word in result.stdout.split() if word.startswith("http://"))
    host, _, port = address.removeprefix("http://").partition(":")
    assert get((host, int(port))).text == "hello"
    assert daemons.site.run("status", "--title", daemons.site.title).returncode == 0
    assert daemons.site.run("stop", "--title", daemons.site.title).returncode == 0


def test_a_daemon_has_no_terminal_and_no_parent_of_ours(daemons: Daemons) -> None:
    pid = daemons.serving()["pid"]
    assert proc.parent_of(pid) != os.getpid()
    assert proc.session_of(pid) != os.getsid(0)
    held = proc.descriptors_of(pid)
    assert held[0] == "/dev/null"
    assert held[1] == str(daemons.log("stdout"))
    assert held[2] == str(daemons.log("stderr"))


def test_what_a_daemon_says_is_in_its_own_log_files(daemons: Daemons) -> None:
    daemons.serving(title="one")
    daemons.serving(title="two")
    for title in ("one", "two"):
        log = daemons.log(title=title)
        assert f"{title} is ready on" in log.read_text()
        assert log.stat().st_mode & 0o777 == 0o640
        assert log.parent.stat().st_mode & 0o777 == 0o750
        assert "@ready role=worker" in daemons.log("stdout", title=title).read_text()
    assert "two" not in daemons.log(title="one").read_text()
    shown = daemons.site.run("logs", "--title", "one")
    assert "one is ready on" in shown.stdout


def test_a_daemon_that_cannot_start_shows_the_traceback_once_and_leaves_nothing(daemons: Daemons) -> None:
    daemons.site.write("main.py", "raise RuntimeError('no database')\n")
    result = daemons.start()
    assert result.returncode == 1
    assert result.stderr.count("Traceback (most recent call last)") == 1
    assert result.stderr.count("tamago: ") == 1
    assert "RuntimeError: no database" in result.stderr
    assert not proc.holders_of(daemons.site.root, daemons.site.marker)


def test_a_second_daemon_of_a_title_is_refused(daemons: Daemons) -> None:
    pid = daemons.serving()["pid"]
    result = daemons.start()
    assert result.returncode == 4
    assert f"pid {pid}" in result.stderr
    assert daemons.call("status")["ready"]


def test_a_bad_setting_is_told_by_the_command_itself(daemons: Daemons) -> None:
    result = daemons.start("--stop-timeout", "soon")
    assert result.returncode == 2
    assert "soon" in result.stderr


def test_a_start_that_takes_too_long_is_given_up_and_cleaned_up(daemons: Daemons) -> None:
    daemons.site.write("main.py", "import select\nselect.select([], [], [])\n")
    result = daemons.start("--timeout", "1.5")
    assert result.returncode == 1
    assert "was not ready after 1.5 s" in result.stderr
    assert "--timeout" in result.stderr
    assert not proc.holders_of(daemons.site.root, daemons.site.marker)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_launcher_that_dies_takes_the_start_along(daemons: Daemons, number: signal.Signals) -> None:
    daemons.stuck_importing()
    with daemons.launching() as launcher:
        with proc.watching(daemons.wait_importing()) as nest:
            launcher.send_signal(number)
            proc.wait_ended(nest)
        assert launcher.wait() != 0
    # The master is on its way out as well: nobody would ever learn that it succeeded.
    for holder in proc.holders_of(daemons.site.root, daemons.site.marker):
        with proc.watching(int(holder.split()[0])) as pidfd:
            proc.wait_ended(pidfd)
    assert daemons.site.run("status", "--title", daemons.site.title).returncode == 3


def test_nobody_but_the_master_has_the_line_to_the_launcher(daemons: Daemons) -> None:
    daemons.stuck_importing()
    with daemons.launching("--timeout", "60") as launcher:
        nest = daemons.wait_importing()
        sockets = [each for each in proc.descriptors_of(nest).values() if each.startswith("socket:")]
        launcher.send_signal(signal.SIGINT)
    assert len(sockets) == 1, "only the channel to the master"


def test_a_master_that_dies_silently_ends_the_wait_of_the_launcher_at_once(daemons: Daemons) -> None:
    daemons.stuck_importing()
    with daemons.launching() as launcher:
        nest = daemons.wait_importing()
        with proc.watching(nest) as pidfd:
            os.kill(proc.parent_of(nest), signal.SIGKILL)
            proc.wait_ended(pidfd)
        out, _ = launcher.communicate()
        assert launcher.returncode == 1
        assert b"ended before it was ready" in out
    for left in daemons.site.sockets():
        left.unlink()


def test_logs_are_reopened_after_they_were_renamed(daemons: Daemons) -> None:
    said = daemons.serving()
    for stream in ("stdout", "stderr"):
        daemons.log(stream).rename(daemons.log(stream).with_suffix(".1"))
    os.kill(said["pid"], signal.SIGUSR1)
    # This answer comes after the master has reopened its own; the children are told before it answers.
    daemons.call("reload")
    assert "generation 2 serves" in daemons.log("stderr").read_text()
    assert "gen=2" in daemons.log("stdout").read_text()
    rotated = daemons.log("stderr").with_suffix(".1").read_text()
    assert "generation 2 serves" not in rotated


def test_children_that_live_on_write_to_the_reopened_log(daemons: Daemons) -> None:
    said = daemons.serving()
    daemons.log().rename(daemons.log().with_suffix(".1"))
    os.kill(said["pid"], signal.SIGUSR1)
    place = place_of(said)
    while not daemons.log().exists() or "LookupError" not in daemons.log().read_text():
        assert get(place, "/fail").status == 500


@needs_root
@pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_children_that_run_as_another_user_write_to_the_reopened_log(daemons: Daemons, mode: tuple[str, ...]) -> None:
    prefix = everybody_reaches_python(daemons.site)
    said = daemons.serving("--user", str(NOBODY), "--group", str(NOBODY), *mode, prefix=prefix)
    place = place_of(said)
    daemons.log().parent.chmod(0o700)  # where only root may open a file
    for stream in ("stdout", "stderr"):
        daemons.log(stream).rename(daemons.log(stream).with_suffix(".1"))
    os.kill(said["pid"], signal.SIGUSR1)
    for slot in (1, 2):
        while not daemons.log().exists() or not re.search(rf"\[worker {slot} .*\n(.*\n)*?LookupError", daemons.log().read_text()):
            assert get(place, "/fail").status == 500
    # What the nest forks from now on, too.
    daemons.call("kick", slot=1)
    assert "@up role=worker slot=1" in daemons.log("stdout").read_text()
    assert "still writing to the old log files" not in daemons.log().read_text() + daemons.log().with_suffix(".1").read_text()


def test_logs_are_followed_beyond_their_rotation_until_ctrl_c(daemons: Daemons) -> None:
    said = daemons.serving()
    place = place_of(said)
    command = [str(TAMAGO), "logs", "--title", daemons.site.title, "-f", "--stream", "stderr"]
    with subprocess.Popen(
        command, cwd=daemons.site.app, env=daemons.site.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        seen = Transcript(process.stdout)
        seen.expect("is ready on")
        assert get(place, "/fail").status == 500
        seen.expect("LookupError: this request fails")
        seen.mark()
        daemons.log().rename(daemons.log().with_suffix(".1"))
        with daemons.log().with_suffix(".1").open("a") as old:
            old.write("last words in the old file\n")
        os.kill(said["pid"], signal.SIGUSR1)
        seen.expect("last words in the old file")
        seen.expect("log files reopened")
        while not seen.found("LookupError: this request fails"):
            assert get(place, "/fail").status == 500
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        seen.wait_end()
    assert "KeyboardInterrupt" not in seen.text
    assert "Aborted" not in seen.text


def test_a_link_in_the_place_of_a_log_is_refused(daemons: Daemons) -> None:
    precious = daemons.site.write("precious", "data")
    daemons.log().parent.mkdir(parents=True, mode=0o750)
    for directory in (daemons.site.home, daemons.site.home / "logs"):
        directory.chmod(0o700)
    daemons.log().symlink_to(precious)
    result = daemons.start()
    assert result.returncode == 1
    assert "symbolic link" in result.stderr
    assert precious.read_text() == "data"


def test_a_pid_file_is_there_while_it_runs_and_gone_afterwards(daemons: Daemons) -> None:
    path = daemons.site.root / "pid"
    said = daemons.serving("--pid-file", str(path))
    assert int(path.read_text()) == said["pid"]
    assert daemons.site.run("stop", "--title", daemons.site.title).returncode == 0
    assert not path.exists()


def test_a_start_that_is_refused_leaves_the_pid_file_of_who_runs(daemons: Daemons) -> None:
    path = daemons.site.root / "pid"
    said = daemons.serving("--pid-file", str(path))
    assert daemons.start("--pid-file", str(path)).returncode == 4
    assert int(path.read_text()) == said["pid"]


def test_a_socket_of_systemd_is_taken_over_by_a_daemon(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        result = subprocess.run(
            [*as_systemd(fd), str(TAMAGO), "start", "--daemon", "--json", "--title", daemons.site.title, "--app", "main:app"],
            cwd=daemons.site.app,
            env=daemons.site.environment(),
            pass_fds=(fd,),
            stdout=subprocess.PIPE,
            check=True,
        )
        assert json.loads(result.stdout)["addresses"] == [f"http://127.0.0.1:{listener.getsockname()[1]}"]
        assert get(listener.getsockname()).text == "hello"


def test_logs_of_their_own_names_are_used(daemons: Daemons) -> None:
    daemons.serving("--stdout", str(daemons.site.root / "out"), "--stderr", str(daemons.site.root / "err"))
    assert "is ready on" in (daemons.site.root / "err").read_text()
    assert "@ready" in (daemons.site.root / "out").read_text()


def test_a_stop_by_directory_finds_the_daemon(daemons: Daemons) -> None:
    daemons.serving(title="somewhere-else")
    result = daemons.site.run("stop", str(daemons.site.app))
    assert result.returncode == 0, result.stderr
    assert "somewhere-else is stopped" in result.stdout
