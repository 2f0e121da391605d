"""`scripts/venv` takes the Python it is told to, with interpreters that only pretend."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/venv"

# Says which installation it is of, makes an environment of itself, and has pip, which does nothing.
_PYTHON = """#!/bin/sh
case "$*" in
*base_prefix*) echo {name} ;;
"-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*version_info*) exit {unfit} ;;
esac
"""


def make_python(directory: Path, name: str, *, unfit: bool = False) -> str:
    path = directory / name
    path.write_text(_PYTHON.format(name=name, unfit=int(unfit)))
    path.chmod(0o755)
    return str(path)


def make_venv(directory: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": python}
    return subprocess.run([SCRIPT, directory / "venv"], env=environment, capture_output=True, text=True, check=False)


def python_in(directory: Path) -> str:
    return subprocess.check_output([directory / "venv/bin/python", "base_prefix"], text=True).strip()


def test_an_environment_of_another_python_is_made_anew(tmp_path: Path) -> None:
    for name in ("one", "another"):
        assert make_venv(tmp_path, make_python(tmp_path, name)).returncode == 0
        assert python_in(tmp_path) == name


@pytest.mark.parametrize("named", ["", "the same"])
def test_an_environment_stays_as_it_is_when_no_other_python_is_named(tmp_path: Path, named: str) -> None:
    python = make_python(tmp_path, "same")
    assert make_venv(tmp_path, python).returncode == 0
    result = make_venv(tmp_path, named and python)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("there", [False, True], ids=["nothing is there", "an environment is there"])
@pytest.mark.parametrize("unfit", ["missing", "too old"])
def test_a_python_that_is_named_is_not_replaced_by_any_other(tmp_path: Path, unfit: str, there: bool) -> None:
    if there:
        make_venv(tmp_path, make_python(tmp_path, "fit"))
    python = make_python(tmp_path, "old", unfit=True) if unfit == "too old" else str(tmp_path / "missing")
    result = make_venv(tmp_path, python)
    problem, hint = result.stderr.splitlines()
    assert result.returncode == 1
    assert problem == f"scripts/venv: PYTHON={python} does not run, or is no Python 3.11 or later with the venv module"
    assert hint.startswith("install one")
    assert (tmp_path / "venv").exists() == there
