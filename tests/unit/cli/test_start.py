"""`tamago start` checks everything before it becomes the master."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from tests.unit.cli.command import Tamago

from tamago.cli import launching
from tamago.cli.launching import become_master
from tamago.cli.plain_start import StartRequest
from tamago.cluster.held_signals import HELD_SIGNALS, hold_signals, release_signals
from tamago.cluster.launch import read_launch


class Became(Exception):  # noqa: N818 - it is no error
    """Stands for the exec that never returns."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self.arguments = arguments


@pytest.fixture
def _no_exec(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(path: str, arguments: list[str]) -> NoReturn:
        assert path == sys.executable
        raise Became(arguments)

    monkeypatch.setattr(os, "execv", execv)


@pytest.mark.usefixtures("_no_exec")
def test_the_master_gets_the_request_behind_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "src" + os.pathsep + "/abs")
    with pytest.raises(Became) as became:
        become_master(StartRequest(directory=str(tmp_path), flags={"app": "main:app", "port": "0"}))
    assert "-P" in became.value.arguments
    launch = read_launch(int(became.value.arguments[-1]))
    assert (launch.directory, launch.flags, launch.report_fd) == (str(tmp_path), {"app": "main:app", "port": "0"}, -1)
    assert launch.began == launching.BEGAN
    assert os.environ["PYTHONPATH"] == f"{Path.cwd()}/src{os.pathsep}/abs"


def test_signals_are_held_until_the_master_handles_them() -> None:
    hold_signals()
    try:
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= HELD_SIGNALS
    finally:
        release_signals()
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & HELD_SIGNALS


@pytest.mark.slow
def test_signals_are_held_before_anything_is_loaded_that_takes_time(tmp_path: Path) -> None:
    # msgspec is the first of them.
    code = (
        "import signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'msgspec':\n"
        "            sys.exit(signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from tamago.cli.main import run\n"
        "run(['start', '--app', 'main:app'])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.slow
def test_neither_a_master_nor_who_waits_for_a_daemon_loads_a_command_line_library(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tamago.cli.main import run\n"
        "import tamago.cli.daemon\n"
        "for daemon in [], ['--daemon', '--timeout', '3', '--json']:\n"
        "    assert run(['start', *daemon, '--app', 'main:app', '--port', 'x']) == 2\n"
        "print(sorted({'typer', 'pydantic', 'rich', 'asyncio'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("daemon", [(), ("--daemon",)])
def test_a_wrong_setting_in_any_source_is_told_and_nothing_starts(tamago: Tamago, daemon: tuple[str, ...]) -> None:
    tamago.write("pyproject.toml", "[tool.tamago]\nworkers = -1\nunknown = 1\n")
    tamago.write("tamago.toml", "port = 'x'\n")
    result = tamago.run("start", *daemon, "--interface", "asg", TAMAGO_LINGER="long")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines()[:-1] == [
        "tamago: 5 settings are wrong:",
        "  workers=-1 (pyproject.toml [tool.tamago]): must be between 0 and 1024",
        "  unknown (pyproject.toml [tool.tamago]): there is no such setting",
        "  port='x' (tamago.toml): must be a whole number",
        "  linger='long' (environment TAMAGO_LINGER): must be a number",
        "  interface='asg' (command line): must be one of auto, asgi, asgi-factory, wsgi, native; did you mean asgi?",
    ]
    assert not tamago.home.exists()


@pytest.mark.slow
def test_a_syntax_error_names_the_line(tamago: Tamago) -> None:
    path = tamago.write("tamago.toml", "a = 1\nb = \n")
    result = tamago.run("start")
    assert result.returncode == 2
    assert result.stderr.startswith(f"tamago: {path}:2:")


@pytest.mark.slow
def test_nothing_to_run_is_told_with_a_suggestion(tamago: Tamago) -> None:
    tamago.write("main.py", "app = 1\n")
    result = tamago.run("start")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == "did you mean --app main:app?"
