"""`tamago check` says whether a start would work."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.command import Tamago

pytestmark = pytest.mark.slow
APP = "async def app(scope, receive, send): ...\n"


def test_an_application_that_imports_is_right(tamago: Tamago) -> None:
    tamago.write("main.py", "print('imported')\n" + APP)
    result = tamago.run("check", "--app", "main:app")
    assert (result.returncode, result.stdout) == (0, "app: the settings are right, and main:app can be imported\n")
    assert result.stderr == "imported\n"
    assert json.loads(tamago.run("check", "--app", "main:app", "--json").stdout)["ok"] is True


def test_one_that_raises_shows_its_own_traceback_once(tamago: Tamago) -> None:
    path = tamago.write("main.py", "import json\njson.loads('{')\n")
    result = tamago.run("check", "--app", "main:app")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("Traceback") == 1
    assert f'File "{path}", line 2' in result.stderr
    assert "site-packages/tamago" not in result.stderr
    assert "src/tamago" not in result.stderr
    assert result.stderr.splitlines()[-2].startswith("tamago: main:app could not be imported: json.decoder.JSONDecodeError")


@pytest.mark.parametrize(("app", "word"), [("nope:app", "nope"), ("main:nope", "nope")])
def test_what_is_not_there_is_named(tamago: Tamago, app: str, word: str) -> None:
    tamago.write("main.py", APP)
    result = tamago.run("check", "--app", app)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 2
    assert word in result.stderr


def test_settings_are_checked_first(tamago: Tamago) -> None:
    assert tamago.run("check", "--app", "main:app", "--port", "x").returncode == 2


def test_an_import_that_hangs_is_ended(tamago: Tamago) -> None:
    tamago.write("main.py", "import threading\nthreading.Event().wait()\n")
    result = tamago.run("check", "--app", "main:app", "--boot-timeout", "0.5")
    assert result.returncode == 1
    assert "took longer than 0.5 s" in result.stderr


def test_an_import_that_exits_is_a_failure(tamago: Tamago) -> None:
    tamago.write("main.py", "raise SystemExit(0)\n")
    assert tamago.run("check", "--app", "main:app").returncode == 1


def test_certificates_are_checked_too(tamago: Tamago) -> None:
    path = tamago.write("main.py", APP)
    result = tamago.run("check", "--app", "main:app", "--ssl-certfile", "none.pem")
    assert (result.returncode, result.stdout) == (1, "")
    problem, _ = result.stderr.splitlines()
    assert problem == f"tamago: cannot read the certificate in {path.parent}/none.pem: No such file or directory"
