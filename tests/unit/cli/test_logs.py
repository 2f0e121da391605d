"""The end of log files, and what follows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.unit.cli.command import INSTALLED, Tamago

from tamago.cli.logs import Followed


def news(followed: Followed) -> bytes:
    return b"".join(followed.news())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "stderr.log"
    path.write_text("".join(f"line {number}\n" for number in range(20_000)))
    return path


@pytest.mark.parametrize("lines", [0, 1, 3, 15_000])
def test_the_last_lines_are_shown(log: Path, lines: int) -> None:
    with Followed(log) as followed:
        tail = followed.tail(lines).decode().splitlines()
    assert tail == [f"line {number}" for number in range(20_000 - lines, 20_000)]


def test_a_short_file_is_shown_whole_also_without_a_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("a\nb")
    with Followed(path) as followed:
        assert followed.tail(10) == b"a\nb"


def test_what_is_written_later_follows(log: Path) -> None:
    with Followed(log) as followed:
        followed.tail(1)
        assert news(followed) == b""
        with log.open("a") as file:
            file.write("more\n")
        assert news(followed) == b"more\n"


def test_a_file_that_was_rotated_is_read_to_its_end_and_then_the_new_one(log: Path) -> None:
    with Followed(log) as followed:
        followed.tail(1)
        with log.open("a") as file:
            log.rename(log.with_suffix(".1"))
            file.write("last\n")
        log.write_text("first\n")
        assert news(followed) == b"last\nfirst\n"


def test_a_file_that_was_cut_is_read_from_its_beginning(log: Path) -> None:
    with Followed(log) as followed:
        followed.tail(1)
        log.write_text("anew\n")
        assert news(followed) == b"anew\n"


def test_a_file_that_is_not_there_yet_is_read_once_it_is(tmp_path: Path) -> None:
    with Followed(tmp_path / "x") as followed:
        assert (followed.is_there, followed.tail(5), news(followed)) == (False, b"", b"")
        (tmp_path / "x").write_text("now\n")
        assert news(followed) == b"now\n"


@pytest.fixture
def logged(tamago: Tamago) -> Path:
    logs = tamago.home / "logs" / "app"
    logs.mkdir(parents=True)
    (logs / "stdout.log").write_text("printed\n")
    (logs / "stderr.log").write_text("logged\n")
    return logs


@pytest.mark.slow
@pytest.mark.usefixtures("logged")
def test_the_command_shows_both_files_or_one(tamago: Tamago) -> None:
    assert tamago.run("logs").stdout == "printed\nlogged\n"
    assert tamago.run("logs", "--stream", "stderr").stdout == "logged\n"
    assert tamago.run("logs", "-n", "0").stdout == ""


@pytest.mark.slow
def test_the_command_follows(tamago: Tamago, logged: Path) -> None:
    with subprocess.Popen(
        [INSTALLED, "logs", "-f", "-n", "1", "--stream", "stderr"],
        cwd=tamago.directory,
        env=tamago.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "logged\n"
        with (logged / "stderr.log").open("a") as file:
            file.write("more\n")
        assert process.stdout.readline() == "more\n"
        process.kill()


@pytest.mark.slow
def test_without_log_files_it_says_why(tamago: Tamago) -> None:
    result = tamago.run("logs")
    assert result.returncode == 1
    assert "only a daemon writes log files" in result.stderr
