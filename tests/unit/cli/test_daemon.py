"""The launcher of a daemon waits, and always says how it ended. A script stands in for the master."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.command import Tamago

from tamago.cluster.process_id import is_same_process

pytestmark = pytest.mark.slow

LAUNCHER = """
import sys
from tamago.cli import launching
script = sys.argv.pop()
from tamago.cli import daemon
daemon.CLEAN_UP_SECONDS = 1.0
launching.master_command = lambda fd: [sys.executable, "-c", script, "--launch-fd", str(fd)]
from tamago.cli.main import main
main()
"""
MASTER = """
import os, select, signal, sys
from tamago.cluster.launch import read_launch
from tamago.cluster.launch_report import LaunchReport
from tamago.errors import TamagoError
signal.pthread_sigmask(signal.SIG_SETMASK, [])
launch = read_launch(int(sys.argv[-1]))
report = LaunchReport(launch.report_fd)
print("out", flush=True)
print("the log", file=sys.stderr, flush=True)
"""
READY = "report.ready(pid=os.getpid(), title='shop', addresses=['http://127.0.0.1:1'], seconds=0.5)"
# Until the launcher leaves; then there is nobody whose boot this is.
WAIT = "select.select([report.fileno()], [], [])"


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", LAUNCHER, "start", "--daemon", "--app", "main:app", "--title", "shop", *arguments, MASTER + script]


def start(tamago: Tamago, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(script, *arguments), cwd=tamago.directory, env=tamago.environment, capture_output=True, text=True, check=False
    )


def pid_of(tamago: Tamago) -> int:
    return int((tamago.directory / "pid").read_text())


WRITE_PID = "open('pid', 'w').write(str(os.getpid()))\n"


def test_it_leaves_when_the_master_is_ready_and_prints_where(tamago: Tamago) -> None:
    result = start(tamago, "report.progress('importing')\n" + READY)
    assert (result.returncode, result.stderr) == (0, "waiting: importing\n")
    assert result.stdout.startswith("shop is ready on http://127.0.0.1:1 after 0.50 s (pid ")
    told = json.loads(start(tamago, READY, "--json").stdout)
    assert (told["title"], told["addresses"]) == ("shop", ["http://127.0.0.1:1"])


def test_the_master_is_detached_and_its_output_goes_to_private_files(tamago: Tamago) -> None:
    script = f"""
print(os.getsid(0) != os.getpid(), os.getppid() != {os.getpid()}, os.isatty(0), os.read(0, 1), flush=True)
print(sorted(os.listdir("/proc/self/fd"))[:3], flush=True)
"""
    assert start(tamago, script + READY).returncode == 0
    logs = tamago.home / "logs" / "shop"
    assert stat.S_IMODE(logs.stat().st_mode) == 0o750
    assert [stat.S_IMODE((logs / name).stat().st_mode) for name in ("stdout.log", "stderr.log")] == [0o640, 0o640]
    assert (logs / "stdout.log").read_text() == "out\nTrue True False b''\n['0', '1', '2']\n"
    assert (logs / "stderr.log").read_text() == "the log\n"


def test_log_files_are_appended_to_and_may_be_elsewhere(tamago: Tamago) -> None:
    for _ in range(2):
        assert start(tamago, READY, "--stderr", "err.log").returncode == 0
    assert (tamago.directory / "err.log").read_text() == "the log\nthe log\n"


def test_a_failure_is_told_in_the_words_of_the_master(tamago: Tamago) -> None:
    result = start(tamago, "report.failed(TamagoError('no', hint='try', detail='Traceback'))")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Traceback\ntamago: no\ntry\n"


def test_a_master_that_dies_without_a_word_is_noticed_at_once_with_the_end_of_its_log(tamago: Tamago) -> None:
    start(tamago, "print('of a former start', file=sys.stderr)\n" + READY)
    result = start(tamago, "os.kill(os.getpid(), signal.SIGKILL)")
    assert result.returncode == 1
    log = tamago.home / "logs/shop/stderr.log"
    assert result.stderr == f"the log\ntamago: the master of shop ended before it was ready\nsee {log}\n"


def test_a_master_that_cannot_even_begin_is_noticed(tamago: Tamago) -> None:
    broken = [*command("")[:-1], "raise SystemExit('broken')"]
    result = subprocess.run(broken, cwd=tamago.directory, env=tamago.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "broken" in result.stderr


def test_a_start_that_takes_too_long_is_cleaned_up(tamago: Tamago) -> None:
    result = start(tamago, WRITE_PID + "report.progress('importing')\nsignal.pause()", "--timeout", "3")
    assert result.returncode == 1
    assert result.stderr.splitlines()[1] == "tamago: shop was not ready after 3 s (last: importing); it was stopped"
    assert not is_same_process(pid_of(tamago), 0)


def test_a_master_that_ignores_the_end_is_killed(tamago: Tamago) -> None:
    script = WRITE_PID + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nreport.progress('importing')\n" + "while True: signal.pause()"
    assert start(tamago, script, "--timeout", "3").returncode == 1
    assert not is_same_process(pid_of(tamago), 0)


def test_ctrl_c_while_waiting_cleans_up(tamago: Tamago) -> None:
    script = WRITE_PID + "report.progress('importing')\nsignal.pause()"
    with subprocess.Popen(command(script), cwd=tamago.directory, env=tamago.environment, stderr=subprocess.PIPE, text=True) as launcher:
        assert launcher.stderr
        assert launcher.stderr.readline() == "waiting: importing\n"
        launcher.send_signal(signal.SIGINT)
        assert launcher.wait() == 130
    assert not is_same_process(pid_of(tamago), 0)


def test_a_launcher_that_is_killed_is_noticed_by_the_master(tamago: Tamago) -> None:
    os.mkfifo(tamago.directory / "left")
    script = "report.progress('importing')\n" + WAIT + "\nopen('left', 'w').write(str(report.launcher_gone()))"
    with subprocess.Popen(command(script), cwd=tamago.directory, env=tamago.environment, stderr=subprocess.PIPE, text=True) as launcher:
        assert launcher.stderr
        assert launcher.stderr.readline() == "waiting: importing\n"
        launcher.kill()
    assert (tamago.directory / "left").read_text() == "True"


@pytest.mark.parametrize("name", ["stdout.log", "stderr.log"])
def test_a_link_planted_at_a_log_path_is_refused(tamago: Tamago, tmp_path: Path, name: str) -> None:
    logs = tamago.home / "logs" / "shop"
    logs.mkdir(parents=True, mode=0o750)
    logs.chmod(0o750)
    tamago.home.chmod(0o700)
    (tmp_path / "precious").write_text("untouched")
    (logs / name).symlink_to(tmp_path / "precious")
    result = start(tamago, READY)
    assert result.returncode == 1
    assert "symbolic link" in result.stderr
    assert (tmp_path / "precious").read_text() == "untouched"


def test_a_fifo_in_the_place_of_a_log_is_refused_at_once(tamago: Tamago) -> None:
    os.mkfifo(tamago.directory / "fifo")
    result = start(tamago, READY, "--stderr", "fifo")
    assert result.returncode == 1
    assert f"cannot write the log file {tamago.directory}/fifo: it is not a regular file" in result.stderr


def test_a_start_that_nobody_watches_goes_on(tamago: Tamago) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        launcher = subprocess.run(
            command("report.progress('importing')\n" + READY),
            cwd=tamago.directory,
            env=tamago.environment,
            stdout=subprocess.PIPE,
            stderr=writer,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert launcher.returncode == 0
    assert launcher.stdout.startswith("shop is ready")
