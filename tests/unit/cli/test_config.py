"""`tamago config` prints what could stand in tamago.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.unit.cli.command import Tamago

from tamago.cli.config import toml
from tamago.cluster.settings import KNOBS, Kind

pytestmark = pytest.mark.slow
GIVEN = ["--bind", ":80", "--bind", "unix:/tmp/a b", "--socket-mode", "600", "--no-preload", "--linger", "0.5", "--title", 'sh"op\\']


def test_its_output_is_a_file_that_means_the_same(tamago: Tamago) -> None:
    text = tamago.run("config", *GIVEN).stdout
    settings = tomllib.loads(text)
    assert settings.keys() == KNOBS.keys() - {"directory", "umask", "host", "port", "ssl_password"}
    assert settings["title"] == 'sh"op\\'
    tamago.write("tamago.toml", text)
    assert tamago.run("config").stdout == text


def test_explain_says_where_each_value_comes_from(tamago: Tamago) -> None:
    tamago.write("pyproject.toml", "[project]\nname = 'acme'\n[tool.tamago]\nlinger = 2\n")
    tamago.write("tamago.toml", "workers = 2\n")
    lines = tamago.run("config", "--explain", "--port", "1", TAMAGO_ENV="test").stdout.splitlines()
    told = {line.split()[0]: line.partition(" # ")[2] for line in lines if " = " in line and not line.startswith("#")}
    assert told["linger"] == "pyproject.toml [tool.tamago]"
    assert told["workers"] == "tamago.toml"
    assert told["env"] == "environment TAMAGO_ENV"
    assert told["port"] == "command line"
    assert told["title"] == "pyproject.toml [project] name"
    assert told["sticky"] == "default"


def test_json_has_every_setting(tamago: Tamago) -> None:
    assert json.loads(tamago.run("config", "--json").stdout).keys() == KNOBS.keys()
    explained = json.loads(tamago.run("config", "--json", "--explain", "--workers", "3").stdout)
    assert explained["workers"] == {"value": 3, "origin": "command line"}


def test_a_secret_is_never_shown(tamago: Tamago) -> None:
    environment = {"TAMAGO_SSL_PASSWORD": "hunter2", "TAMAGO_SSL_CERTFILE": "cert.pem"}
    for arguments in (["--explain"], ["--json"], ["--json", "--explain"], []):
        text = tamago.run("config", *arguments, **environment).stdout
        assert "hunter2" not in text
        assert "(secret)" in text


def test_the_directory_may_be_given(tamago: Tamago, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    settings = json.loads(tamago.run("config", str(tmp_path / "other"), "--json").stdout)
    assert (settings["directory"], settings["title"]) == (str(tmp_path / "other"), "other")


@pytest.mark.parametrize("value", ["a", 'q"\\', "ü", 3, 0.25, 1e9, True, (), ("a", "b")])
def test_a_value_is_written_as_toml_reads_it(value: str | float | bool | tuple[str, ...]) -> None:
    knob = next(knob for knob in KNOBS.values() if knob.kind is Kind.TEXT)
    read = tomllib.loads(f"x = {toml(value, knob)}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)
