"""The lock of a title is the truth about who runs."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tamago.cluster.private_dir import DirectoryError
from tamago.cluster.rundir import AlreadyRunningError, Owner, RunDir, RunFileError, this_process
from tamago.errors import ExitCode, TamagoError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "home"


def me() -> Owner:
    return this_process(title="shop", directory="/srv/shop")


def locked(base: Path) -> RunDir:
    rundir = RunDir(base, "shop", create=True)
    rundir.lock(me())
    return rundir


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_private(base: Path) -> None:
    with locked(base) as rundir:
        rundir.write_state({"a": 1})
        os.close(rundir.open_trace())
        assert mode_of(rundir.path) == 0o700
        assert {mode_of(rundir.path / name) for name in ("lock", "state.json", "trace.jsonl")} == {0o600}


def test_a_second_start_is_told_who_runs_and_where(base: Path) -> None:
    with locked(base), RunDir(base, "shop", create=True) as second, pytest.raises(AlreadyRunningError) as caught:
        second.lock(me())
    assert caught.value.exit_code is ExitCode.ALREADY_RUNNING
    assert caught.value.problem == f"shop is already running: pid {os.getpid()} in /srv/shop"


def test_the_owner_is_known_while_the_lock_is_held_and_not_longer(base: Path) -> None:
    with RunDir(base, "shop", create=True) as watcher:
        assert watcher.read_owner() is None
        with locked(base) as rundir:
            assert watcher.read_owner() == me()
            rundir.write_owner(msgspec.structs.replace(me(), addresses=["http://127.0.0.1:8000"]))
            found = watcher.read_owner()
            assert found is not None
            assert found.addresses == ["http://127.0.0.1:8000"]
            assert found.is_alive
            rundir.write_owner(me())
            assert watcher.read_owner() == me()
        assert watcher.read_owner() is None
        assert watcher.wait_released(0)


def test_a_lock_file_of_a_dead_owner_is_taken_over(base: Path) -> None:
    with locked(base) as rundir:
        stale = (rundir.path / "lock").read_bytes()
    (base / "run/shop/lock").write_bytes(stale)
    with RunDir(base, "shop", create=False) as watcher:
        assert watcher.read_owner() is None
    with locked(base):
        pass


def test_a_lock_held_by_somebody_who_wrote_no_name_is_respected(base: Path) -> None:
    with RunDir(base, "shop", create=True) as rundir:
        fd = os.open(rundir.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunningError):
            rundir.lock(me())
        os.close(fd)


def test_an_owner_of_a_former_boot_or_of_a_reused_pid_is_not_alive() -> None:
    assert me().is_alive
    assert not msgspec.structs.replace(me(), boot_id="another").is_alive
    assert not msgspec.structs.replace(me(), start_time=1).is_alive


def test_what_a_dead_master_left_is_removed_by_the_next(base: Path) -> None:
    with RunDir(base, "shop", create=True) as rundir, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(rundir.path / "control.sock"))
        (rundir.path / "state.json").write_text("{}")
    with locked(base) as rundir:
        assert os.listdir(rundir.path) == ["lock"]


def test_what_a_dead_master_left_can_be_cleared_and_a_living_one_loses_nothing(base: Path) -> None:
    with RunDir(base, "shop", create=True) as watcher:
        with locked(base) as rundir:
            rundir.write_state({"n": 1})
            watcher.clear()
            assert watcher.read_state() == {"n": 1}
        (watcher.path / "state.json").write_text("{}")
        watcher.clear()
        assert os.listdir(watcher.path) == ["lock"]
        assert watcher.read_owner() is None


def test_closing_removes_our_own_socket_and_no_other(base: Path) -> None:
    with locked(base) as rundir, socket.socket(socket.AF_UNIX) as ours, socket.socket(socket.AF_UNIX) as others:
        ours.bind(rundir.control_address)
        rundir.note_socket()
        # The number of the first inode must not be free for the second one.
        os.link(rundir.path / "control.sock", rundir.path / "keep")
        (rundir.path / "control.sock").unlink()
        others.bind(rundir.control_address)
    assert sorted(os.listdir(rundir.path)) == ["control.sock", "keep", "lock"]
    with locked(base) as rundir, socket.socket(socket.AF_UNIX) as ours:
        ours.bind(rundir.control_address)
        rundir.note_socket()
    assert sorted(os.listdir(rundir.path)) == ["keep", "lock"]


@pytest.mark.parametrize("name", ["lock", "control.sock", "state.json"])
def test_a_link_planted_in_place_of_a_file_is_refused_and_its_target_untouched(base: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / "precious"
    target.write_text("untouched")
    with RunDir(base, "shop", create=True) as rundir:
        (rundir.path / name).symlink_to(target)
        with pytest.raises(RunFileError, match=name):
            rundir.lock(me())
    assert target.read_text() == "untouched"


@pytest.mark.parametrize("name", ["lock", "control.sock", "state.json"])
def test_a_pipe_or_directory_in_place_of_a_file_is_refused(base: Path, name: str) -> None:
    with RunDir(base, "shop", create=True) as rundir:
        os.mkfifo(rundir.path / name)
        with pytest.raises(RunFileError, match=name):
            rundir.lock(me())
        (rundir.path / name).unlink()
        (rundir.path / name).mkdir()
        with pytest.raises(RunFileError, match=name):
            rundir.lock(me())


def test_a_trace_that_is_a_link_is_refused(base: Path, tmp_path: Path) -> None:
    with locked(base) as rundir:
        (rundir.path / "trace.jsonl").symlink_to(tmp_path / "x")
        with pytest.raises(RunFileError, match="symbolic link"):
            rundir.open_trace()


def test_a_reader_sees_the_whole_old_or_the_whole_new_state(base: Path) -> None:
    with locked(base) as rundir:
        assert rundir.read_state() == {}
        rundir.write_state({"n": 1})
        rundir.write_state({"n": 2})
        assert rundir.read_state() == {"n": 2}
        (rundir.path / "state.json").write_text('{"n":')
        assert rundir.read_state() == {}


def test_a_disk_that_takes_no_more_is_a_clear_error(base: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with locked(base) as rundir:
        # SIGXFSZ is ignored by Python, so the write fails with EFBIG as a full disk fails with ENOSPC.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(RunFileError, match="state"):
                rundir.write_state({"text": "x" * 1000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert rundir.read_state() == {}


def test_a_deleted_run_directory_is_made_again(base: Path) -> None:
    with locked(base) as rundir:
        assert not rundir.ensure()
        for name in os.listdir(rundir.path):
            (rundir.path / name).unlink()
        rundir.path.rmdir()
        with pytest.raises(RunFileError, match="removed"):
            rundir.write_state({})
        assert rundir.ensure()
        rundir.write_state({"n": 1})
        with RunDir(base, "shop", create=False) as watcher:
            assert watcher.read_owner() == me()
            assert watcher.read_state() == {"n": 1}
        assert not rundir.ensure()


def test_a_deleted_lock_file_is_made_again(base: Path) -> None:
    with locked(base) as rundir:
        (rundir.path / "lock").unlink()
        assert rundir.ensure()
        with RunDir(base, "shop", create=False) as watcher:
            assert watcher.read_owner() == me()


def test_a_control_socket_works_also_where_its_path_is_too_long(tmp_path: Path) -> None:
    base = tmp_path / ("x" * 100)
    with locked(base) as rundir, socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(rundir.control_address)
        server.listen()
        with RunDir(base, "shop", create=False) as other:
            client.connect(other.control_address)
        assert (rundir.path / "control.sock").is_socket()


@pytest.mark.parametrize("title", ["", "..", "a/b", "a\nb"])
def test_no_title_leads_out_of_the_directory(base: Path, title: str) -> None:
    with pytest.raises(TamagoError, match="title"):
        RunDir(base, title, create=True)


def test_a_home_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DirectoryError, match="home"):
        RunDir(tmp_path / "home", "shop", create=True)


RACER = """
import sys
from pathlib import Path
from tamago.cluster.rundir import AlreadyRunningError, RunDir, this_process
rundir = RunDir(Path(sys.argv[1]), "shop", create=True)
sys.stdin.readline()
try:
    rundir.lock(this_process(title="shop", directory="/"))
except AlreadyRunningError as error:
    print("lost", error.owner.pid, flush=True)
else:
    print("won", flush=True)
    sys.stdin.readline()
    rundir.close()
    print("left", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_of_two_starts_at_once_exactly_one_wins_and_the_other_names_it(base: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(base)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.stdout.readline().split() for racer in racers if racer.stdout]
    winner = answers.index(["won"])
    assert answers[1 - winner] == ["lost", str(racers[winner].pid)]
    with RunDir(base, "shop", create=False) as watcher:
        # However the owner dies, the kernel lets go of the lock.
        racers[winner].kill()
        racers[winner].wait()
        assert watcher.read_owner() is None
    for racer in racers:
        racer.communicate()


def test_many_races_in_one_process_have_one_winner_each(base: Path) -> None:
    for _ in range(50):
        with RunDir(base, "shop", create=True) as first, RunDir(base, "shop", create=True) as second:
            first.lock(me())
            with pytest.raises(AlreadyRunningError):
                second.lock(me())
