"""Errors are two lines and an exit code, whatever state the standard files are in."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.command import INSTALLED, Tamago

from tamago.cli.main import show_error
from tamago.errors import TamagoError

pytestmark = pytest.mark.slow


def test_an_error_is_what_is_wrong_and_what_to_do_after_the_users_traceback() -> None:
    stream = io.StringIO()
    show_error(TamagoError("no", hint="try", detail="Traceback\n"), stream)
    assert stream.getvalue() == "Traceback\ntamago: no\ntry\n"


def test_a_command_without_a_cluster_says_so_in_two_lines(tamago: Tamago) -> None:
    for command in (["stop"], ["status"], ["reload"], ["scale", "2"], ["kick", "1"], ["restart-agent"]):
        result = tamago.run(*command)
        assert (result.returncode, result.stdout) == (3, ""), command
        problem, hint = result.stderr.splitlines()
        assert problem == f"tamago: no cluster runs from {tamago.directory}"
        assert "tamago start" in hint


def test_python_m_tamago_is_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "tamago", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("tamago ")


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_a_missing_standard_file_is_made_before_anything_else_could_get_its_number(tmp_path: Path, closed: tuple[int, ...]) -> None:
    code = (
        "import os, sys\n"
        "from tamago.cli.standard_files import open_standard_files\n"
        f"for fd in {closed}: os.close(fd)\n"
        "open_standard_files()\n"
        "next_one = os.open(os.devnull, os.O_RDONLY)\n"
        "os.write(int(sys.argv[1]), str(next_one > 2).encode())"
    )
    reader, writer = os.pipe()
    with open(reader, "rb") as answer:
        subprocess.run([sys.executable, "-c", code, str(writer)], pass_fds=[writer], check=True, cwd=tmp_path)
        os.close(writer)
        assert answer.read() == b"True"


def test_the_command_works_without_any_standard_file(tamago: Tamago) -> None:
    shell = f"exec {INSTALLED} config >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", shell], cwd=tamago.directory, env=tamago.environment, check=False).returncode == 0


def test_a_reader_that_leaves_is_no_error(tamago: Tamago) -> None:
    with subprocess.Popen(
        [INSTALLED, "config"], cwd=tamago.directory, env=tamago.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_full_disk_behind_the_output_is_two_lines(tamago: Tamago) -> None:
    with open("/dev/full", "wb") as full:
        result = subprocess.run([INSTALLED, "config"], cwd=tamago.directory, env=tamago.environment, stdout=full, stderr=-1, check=False)
    problem, hint = result.stderr.decode().splitlines()
    assert problem == "tamago: cannot write to standard output: no space left on device"
    assert "make room" in hint
    assert result.returncode == 1


def test_the_exit_code_is_right_although_nobody_reads_the_error(tamago: Tamago) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run([INSTALLED, "status"], cwd=tamago.directory, env=tamago.environment, stderr=writer, check=False)
    finally:
        os.close(writer)
    assert result.returncode == 3
