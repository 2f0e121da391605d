from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tamago.line_writer import BUFFER_LIMIT, CHUNK, LineWriter


def test_a_pipe_gets_whole_lines_in_writes_that_are_never_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, fd = os.pipe()
    writes: list[bytes] = []
    write = os.write

    def noting(to: int, data: bytes) -> int:
        writes.append(bytes(data))
        return write(to, data)

    writer = LineWriter(fd)
    for number in range(200):
        writer.push(b"%d %b\n" % (number, b"x" * (number * 7 % 300)))
    monkeypatch.setattr(os, "write", noting)
    assert writer.write()
    monkeypatch.undo()
    assert all(len(data) <= CHUNK and data.endswith(b"\n") for data in writes)
    assert len(writes) < 20
    assert b"".join(writes).count(b"\n") == 200
    writer.close()
    os.close(reader)
    os.close(fd)


def test_two_writers_into_one_pipe_and_one_file_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    reader, pipe = os.pipe()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    got: list[bytes] = []
    reading = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(reader, 65536), b"")))
    reading.start()
    children = []
    for letter in b"ab":
        if (pid := os.fork()) == 0:
            line = bytes([letter]) * 700 + b"\n"
            for fd in (pipe, file):
                writer = LineWriter(fd)
                for _ in range(60):
                    for _ in range(10):
                        writer.push(line)
                    writer.drain(20)
            os._exit(0)
        children.append(pid)
    os.close(pipe)
    os.close(file)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
    reading.join()
    os.close(reader)
    for text in (b"".join(got), path.read_bytes()):
        lines = text.splitlines()
        assert len(lines) == 1200
        assert {(len(line), len(set(line))) for line in lines} == {(700, 1)}


def test_what_finds_no_room_waits_in_bounds_and_what_is_dropped_is_counted() -> None:
    reader, fd = os.pipe()
    writer = LineWriter(fd)
    line = b"x" * 1023 + b"\n"
    for _ in range(1000):
        writer.push(line)
        writer.write()
    assert writer.size <= BUFFER_LIMIT
    assert writer.dropped == 1000 - (BUFFER_LIMIT + 65536) // 1024
    os.read(reader, 8192)
    assert not writer.write()
    assert writer.size == BUFFER_LIMIT - 8192
    writer.close()
    os.close(reader)
    os.close(fd)
