from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tamago import log
from tamago.line_writer import BUFFER_LIMIT
from tamago.log import LineFormatter, LogFileError, SteadyHandler, to_log
from tamago.types import Identity, Peer, Role

LINE = "x" * 999


def identity(role: Role = Role.WORKER, slot: int = 2) -> Identity:
    return Identity(role=role, slot=slot, generation=1, title="shop", pid=4711)


def record(message: str, *args: object, name: str = "tamago.cluster", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file.py", 1, message, args, None)


def send(handler: logging.Handler, count: int = 1) -> None:
    for number in range(count):
        handler.handle(record(f"{number:06d} {LINE}"))


@contextmanager
def steady(fd: int) -> Iterator[SteadyHandler]:
    handler = SteadyHandler(fd)
    try:
        yield handler
    finally:
        handler.close()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def read_available(fd: int) -> bytes:
    os.set_blocking(fd, False)
    data = b""
    while True:
        try:
            data += os.read(fd, 1 << 20)
        except BlockingIOError:
            return data


# ── names and lines ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("role", "slot", "name"),
    [
        (Role.MASTER, 0, "master pid=4711"),
        (Role.NEST, 0, "nest gen=1 pid=4711"),
        (Role.AGENT, 0, "agent gen=1 pid=4711"),
        (Role.WORKER, 2, "worker 2 gen=1 pid=4711"),
    ],
)
def test_each_process_has_one_name(role: Role, slot: int, name: str) -> None:
    assert to_log(identity(role, slot)) == name
    assert to_log(Peer(role=role, slot=slot, generation=1, pid=4711)) == name


def test_a_line_has_time_with_offset_level_process_and_message() -> None:
    line = LineFormatter("master pid=1").format(record("listening on %s", "http://127.0.0.1:8000"))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO    \[master pid=1\] listening on http://127\.0\.0\.1:8000", line
    )


def test_time_zones_west_and_with_half_hours_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "NST3:30")
    time.tzset()
    try:
        entry = record("now")
        entry.created, entry.msecs = 1_700_000_000.25, 250.0
        assert LineFormatter("m").format(entry).startswith("2023-11-14T18:43:20.250-03:30 ")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_logger_that_is_not_ours_is_named() -> None:
    formatter = LineFormatter("m")
    assert formatter.format(record("hello", name="sqlalchemy.pool")).endswith("[m] sqlalchemy.pool: hello")
    assert formatter.format(record("hello", name="root")).endswith("[m] hello")


def test_a_traceback_stands_below_its_line() -> None:
    try:
        int("wrong")
    except ValueError as error:
        entry = logging.LogRecord("tamago", logging.ERROR, "f", 1, "it broke", None, (ValueError, error, error.__traceback__))
    first, second, *_, last = LineFormatter("m").format(entry).split("\n")
    assert first.endswith("[m] it broke")
    assert second == "Traceback (most recent call last):"
    assert last == "ValueError: invalid literal for int() with base 10: 'wrong'"


# ── a handler that neither blocks nor dies ──────────────────────────────────────────────────────────────────────────


def test_a_full_pipe_does_not_block_and_loses_nothing_that_fits_the_buffer() -> None:
    with pipe() as (reader, writer), steady(writer) as handler:
        send(handler, 100)  # the pipe takes 64 of these
        first = read_available(reader)
        handler.flush()
        rest = read_available(reader)
        numbers = [int(line[:6]) for line in (first + rest).decode().splitlines()]
        assert numbers == list(range(100))
        assert handler.dropped == 0


def test_beyond_the_buffer_lines_are_dropped_and_the_count_is_reported_when_there_is_room() -> None:
    with pipe() as (reader, writer), steady(writer) as handler:
        send(handler, 1000)
        dropped = handler.dropped
        assert 1000 - dropped == pytest.approx((BUFFER_LIMIT + 65536) / 1007, abs=2)
        text = b""
        while chunk := read_available(reader):
            text += chunk
            handler.flush()
        lines = text.decode().splitlines()
        assert [int(line[:6]) for line in lines[:-1]] == list(range(1000 - dropped))
        assert lines[-1] == f"{dropped} log lines were dropped: nobody took them, or the disk was full"
        assert handler.dropped == 0


def test_the_file_behind_stderr_keeps_its_own_blocking_mode() -> None:
    with pipe() as (_, writer), steady(writer) as handler:
        send(handler)
        assert os.get_blocking(writer)


def test_a_full_pipe_does_not_block_where_it_cannot_be_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    with pipe() as (reader, writer):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            handler = SteadyHandler(writer)
        send(handler, 100)
        text = read_available(reader)
        handler.flush()
        assert len((text + read_available(reader)).splitlines()) == 100
        handler.close()


def test_a_full_socket_does_not_block() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, steady(ours.fileno()) as handler:
        send(handler, 1000)
        assert handler.dropped > 0
        assert read_available(theirs.fileno()).startswith(b"000000 xxx")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_lines_after_the_end_of_logging_are_written_and_do_not_block(kind: str) -> None:
    theirs, ours = (sock.detach() for sock in socket.socketpair()) if kind == "socket" else os.pipe()
    handler = SteadyHandler(ours)
    handler.close()
    send(handler)
    assert read_available(theirs).decode() == f"000000 {LINE}\n"
    send(handler, 1000)
    assert handler.dropped > 0
    handler.close()
    os.close(ours)
    os.close(theirs)


def test_a_pipe_nobody_reads_any_more_is_survived_and_counted() -> None:
    reader, writer = os.pipe()
    with steady(writer) as handler:
        os.close(reader)
        send(handler, 3)
        assert handler.dropped == 3
    os.close(writer)


def test_a_closed_descriptor_is_survived_and_counted() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    spare = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, 900)  # a number nothing else opens meanwhile
    os.close(writer)
    os.close(spare)
    with steady(spare) as handler:
        send(handler, 2)
        assert handler.dropped == 2


def test_a_full_disk_is_survived_and_reported_once_there_is_room(tmp_path: Path) -> None:
    full, target = os.open("/dev/full", os.O_WRONLY), os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    with steady(full) as handler:
        send(handler, 3)
        assert handler.dropped == 3
        handler.redirect(target)
        send(handler)
    os.close(full)
    os.close(target)
    assert (tmp_path / "log").read_text().splitlines() == [
        f"000000 {LINE}",
        "3 log lines were dropped: nobody took them, or the disk was full",
    ]


def test_a_line_torn_by_a_full_disk_is_ended_before_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    answers: list[int | None] = [4, None]  # four bytes fit, then none
    write = os.write

    def almost_full(fd: int, data: bytes) -> int:
        answer = answers.pop(0)
        if answer is None:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data[:answer])

    with steady(target) as handler:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", almost_full)
            handler.handle(record("first"))
        handler.handle(record("second"))
    os.close(target)
    text = (tmp_path / "log").read_text()
    assert text == "firs\nsecond\n1 log lines were dropped: nobody took them, or the disk was full\n"


def test_a_bad_log_call_becomes_a_line() -> None:
    with pipe() as (reader, writer), steady(writer) as handler:
        handler.handle(record("%d apples", "seven"))
        assert b"bad log call: '%d apples'" in read_available(reader)


def test_text_that_is_no_unicode_is_written_all_the_same() -> None:
    with pipe() as (reader, writer), steady(writer) as handler:
        handler.handle(record("caf\udce9"))
        assert read_available(reader) == b"caf\\udce9\n"


def test_drain_waits_for_a_slow_reader_but_not_for_ever() -> None:
    with pipe() as (reader, writer), steady(writer) as handler:
        send(handler, 100)
        handler.drain(0.01)
        assert len(read_available(reader).splitlines()) == 64
        handler.drain(60)
        assert len(read_available(reader).splitlines()) == 36


# ── configure and reopen ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    level = logger.level
    yield logger
    for handler in [handler for handler in logger.handlers if isinstance(handler, SteadyHandler)]:
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)


def test_configuring_again_replaces_the_handler(root: logging.Logger) -> None:
    with pipe() as (reader, writer):
        log.configure(identity(Role.NEST), fd=writer)
        log.configure(identity(Role.WORKER), level="warning", fd=writer)
        logging.getLogger("tamago").info("too quiet")
        logging.getLogger("tamago").warning("loud")
        (line,) = read_available(reader).decode().splitlines()
        assert line.endswith("WARNING [worker 2 gen=1 pid=4711] loud")


def test_a_forked_child_does_not_write_what_waited_in_its_parent(root: logging.Logger) -> None:
    with pipe() as (reader, writer):
        log.configure(identity(), fd=writer)
        for _ in range(100):
            logging.getLogger("tamago").info(LINE)
        read_available(reader)
        pid = os.fork()
        if pid == 0:
            log.configure(identity(), fd=writer)
            os._exit(0)
        os.waitpid(pid, 0)
        assert read_available(reader) == b""


@pytest.fixture
def standard_streams() -> Iterator[None]:
    saved = {fd: os.dup(fd) for fd in (1, 2)}
    yield
    for fd, copy in saved.items():
        os.dup2(copy, fd)
        os.close(copy)


@pytest.mark.usefixtures("standard_streams")
def test_reopen_puts_the_files_in_the_place_of_stdout_and_stderr(tmp_path: Path, root: logging.Logger) -> None:
    out, err = tmp_path / "out.log", tmp_path / "err.log"
    log.configure(identity())
    log.reopen(str(out), str(err))
    os.write(1, b"printed\n")
    logging.getLogger("tamago").error("logged")
    err.rename(tmp_path / "err.log.1")
    log.reopen(str(out), str(err))
    os.write(1, b"printed again\n")
    logging.getLogger("tamago").error("logged again")
    assert out.read_text() == "printed\nprinted again\n"
    assert (tmp_path / "err.log.1").read_text().endswith("] logged\n")
    assert err.read_text().endswith("] logged again\n")
    assert out.stat().st_mode & 0o777 == 0o640 & ~current_umask()
    assert fcntl.fcntl(1, fcntl.F_GETFL) & os.O_APPEND


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.usefixtures("standard_streams")
def test_one_file_may_take_both_streams(tmp_path: Path) -> None:
    path = str(tmp_path / "both.log")
    log.reopen(path, path)
    os.write(1, b"a\n")
    os.write(2, b"b\n")
    assert Path(path).read_text() == "a\nb\n"


@pytest.mark.usefixtures("standard_streams")
def test_an_empty_path_leaves_its_stream(tmp_path: Path) -> None:
    before = os.fstat(1).st_ino
    log.reopen("", str(tmp_path / "err.log"))
    assert os.fstat(1).st_ino == before


def test_a_link_a_fifo_and_a_missing_directory_are_refused_and_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "fifo")
    before = os.fstat(1).st_ino, os.fstat(2).st_ino
    for bad, reason in {"link": "symbolic link", "fifo": "not a regular file", "missing/err.log": "no such file"}.items():
        with pytest.raises(LogFileError, match=reason) as caught:
            log.reopen(str(tmp_path / "out.log"), str(tmp_path / bad))
        assert caught.value.path == str(tmp_path / bad)
    assert (os.fstat(1).st_ino, os.fstat(2).st_ino) == before
    assert not (tmp_path / "elsewhere").exists()
