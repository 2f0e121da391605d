from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tamago import log
from tamago.app.logging import queued_file
from tamago.app.logging.queued_file import QueuedFile, WriterThread
from tamago.log import LogFileError

LONG = 10.0  # seconds no test needs


@pytest.fixture
def thread() -> Iterator[WriterThread]:
    made = WriterThread()
    yield made
    made.close(LONG)


def open_file(thread: WriterThread, path: Path) -> QueuedFile:
    return QueuedFile(str(path), thread, lambda text: text.encode() + b"\n")


class StuckDisk:
    """Takes the place of a file's writer; nothing gets out before `release`."""

    def __init__(self, file: QueuedFile, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Event()
        self._go = threading.Event()
        self._write: Callable[[], bool] = file.writer.write
        monkeypatch.setattr(file.writer, "write", self._stuck)

    def _stuck(self) -> bool:
        self.reached.set()
        assert self._go.wait(LONG)
        return self._write()

    def release(self) -> None:
        self._go.set()


def test_lines_are_written_by_a_thread_that_begins_with_the_first(thread: WriterThread, tmp_path: Path) -> None:
    before = threading.active_count()
    file = open_file(thread, tmp_path / "a" / "b" / "x.log")
    assert threading.active_count() == before
    file.push(b"one\n")
    file.push(b"two\n")
    assert threading.active_count() == before + 1
    file.drain(LONG)
    assert (tmp_path / "a/b/x.log").read_bytes() == b"one\ntwo\n"


def test_a_stuck_disk_keeps_nobody_waiting_and_loses_nothing_the_queue_holds(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(thread, tmp_path / "x.log")
    disk = StuckDisk(file, monkeypatch)
    file.push(b"0\n", urgent=True)
    assert disk.reached.wait(LONG)
    for number in range(1, 1000):
        file.push(b"%d\n" % number)  # would not return, if it waited
    file.reopen()
    disk.release()
    file.drain(LONG)
    assert [int(line) for line in (tmp_path / "x.log").read_bytes().split()] == list(range(1000))


def test_beyond_the_queue_lines_are_dropped_counted_and_said(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queued_file, "QUEUE_LIMIT", 100)
    file = open_file(thread, tmp_path / "x.log")
    disk = StuckDisk(file, monkeypatch)
    file.push(b"first\n", urgent=True)
    assert disk.reached.wait(LONG)
    for number in range(60):
        file.push(b"line %04d\n" % number)
    disk.release()
    file.drain(LONG)
    lines = (tmp_path / "x.log").read_text().splitlines()
    assert lines == ["first", *(f"line {number:04d}" for number in range(10)), "50 log lines were dropped: the disk was full or too slow"]


def test_a_full_disk_is_said_once_and_counted_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    thread = WriterThread(buffer=False)
    file = open_file(thread, Path("/dev/full"))
    with caplog.at_level(logging.WARNING, logger="tamago.app.logging"):
        file.push(b"one\n")
        file.push(b"two\n")
    assert caplog.messages == ["log lines for /dev/full are being dropped: the disk is full or too slow"]
    monkeypatch.setattr(file, "_path", str(tmp_path / "x.log"))
    file.reopen()
    file.push(b"three\n")
    assert (tmp_path / "x.log").read_text().splitlines() == ["three", "2 log lines were dropped: the disk was full or too slow"]
    thread.close(LONG)


def test_without_a_buffer_a_line_is_written_at_once_and_by_no_thread(tmp_path: Path) -> None:
    thread = WriterThread(buffer=False)
    before = threading.active_count()
    file = open_file(thread, tmp_path / "x.log")
    file.push(b"one\n")
    assert (tmp_path / "x.log").read_bytes() == b"one\n"
    assert threading.active_count() == before
    thread.close(LONG)


def test_a_file_rotated_away_is_let_go_of_by_the_clusters_own_reopening(thread: WriterThread, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "x.log"
    file = open_file(thread, path)
    file.push(b"old\n")
    file.drain(LONG)
    path.parent.rename(tmp_path / "rotated")
    log.replace({})  # what a child does at USR1
    file.push(b"new\n")
    file.drain(LONG)
    assert (tmp_path / "rotated" / "x.log").read_bytes() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_an_old_file_is_closed_once_the_new_one_is_there(thread: WriterThread, tmp_path: Path) -> None:
    file = open_file(thread, tmp_path / "x.log")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        file.reopen()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_opened_again_while_the_disk_is_stuck_is_not_left_open(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(thread, tmp_path / "x.log")
    disk = StuckDisk(file, monkeypatch)
    file.push(b"one\n", urgent=True)
    assert disk.reached.wait(LONG)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        file.reopen()
    assert len(os.listdir("/proc/self/fd")) == before + 1
    disk.release()
    file.drain(LONG)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_is_not_done_while_the_one_before_is_being_closed(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(thread, tmp_path / "x.log")
    closing, go_on = threading.Event(), threading.Event()

    def close(fd: int) -> None:
        closing.set()
        assert go_on.wait(LONG)
        os.close(fd)

    monkeypatch.setattr(queued_file, "_close", close)
    opening = threading.Thread(target=file.reopen)
    opening.start()
    assert closing.wait(LONG)
    assert file.waiting
    go_on.set()
    opening.join(LONG)
    assert not file.waiting


def test_a_file_that_cannot_be_opened_again_stays_as_it_is(thread: WriterThread, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    file = open_file(thread, path)
    path.rename(tmp_path / "old.log")
    path.symlink_to("/dev/null")
    with pytest.raises(LogFileError, match="symbolic link"):
        file.reopen()
    file.push(b"goes on\n")
    file.drain(LONG)
    assert (tmp_path / "old.log").read_bytes() == b"goes on\n"


def test_a_directory_that_cannot_be_made_is_an_error_with_the_path(thread: WriterThread, tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(LogFileError, match=r"cannot write the log file .*/logs/x\.log"):
        open_file(thread, tmp_path / "logs" / "x.log")


def test_the_end_writes_what_is_queued_and_ends_the_thread(tmp_path: Path) -> None:
    thread = WriterThread()
    file = open_file(thread, tmp_path / "x.log")
    before = threading.active_count()
    file.push(b"last\n")
    thread.close(LONG)
    assert threading.active_count() == before
    assert (tmp_path / "x.log").read_bytes() == b"last\n"
    assert file not in log._files


def test_several_threads_lose_no_line_while_the_file_is_opened_again_and_again(thread: WriterThread, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    file = open_file(thread, path)

    def write(name: int) -> None:
        for number in range(1000):
            file.push(b"%d %d\n" % (name, number), urgent=number % 100 == 0)

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for writer in writers:
        writer.start()
    for number in range(20):
        path.rename(tmp_path / f"x.log.{number}")
        file.reopen()
    for writer in writers:
        writer.join()
    file.drain(LONG)
    lines = [line for found in tmp_path.iterdir() for line in found.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in range(4) for number in range(1000))


def test_the_end_waits_once_for_a_stuck_disk_and_not_for_each_file(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [open_file(thread, tmp_path / name) for name in ("a.log", "b.log")]
    waits: list[float] = []
    monkeypatch.setattr(thread, "drain", waits.append)
    for file in files:
        file.drain(0.5)
        file.drain(0.0)
    monkeypatch.undo()
    assert waits == [0.5]


def test_a_forked_child_writes_its_own_lines_and_not_its_parents(
    thread: WriterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(thread, tmp_path / "x.log")
    disk = StuckDisk(file, monkeypatch)
    file.push(b"parent\n", urgent=True)
    assert disk.reached.wait(LONG)  # the thread holds the turn, and the child has no such thread
    file.push(b"parent, queued\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: there are threads, which is the point here
        pid = os.fork()
    if not pid:
        file.push(b"child\n")
        file.drain(LONG)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "x.log").read_bytes() == b"child\n"
    disk.release()
    file.drain(LONG)
    assert (tmp_path / "x.log").read_bytes() == b"child\nparent\nparent, queued\n"
