"""What an application leaves in `run/` for people and tools: configuration, where it comes from, the start, the routes (Egg 1.8, 1.9)."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.application.project import Project, boot

pytestmark = pytest.mark.anyio


@pytest.fixture
def dumping(site: Project) -> Project:
    """An application with secrets and a route, which writes its dumps."""
    site.plugin("one", {"config/default.py": "config = {'one': {'kept': 1, 'api_key': 'hidden'}}"}, version="1.2.3", dependencies=("two",))
    site.plugin("two", {})
    entries = {"one": {"package": "one"}, "two": {"package": "two"}, "three": {"enable": False, "package": "three"}}
    site.write({"config/plugin.py": f"plugins = {entries!r}\n"})
    site.configure(
        dump={"enable": True, "ignore_paths": ["own.private"]},
        keys="abc,def",
        own={"password": "hunter2", "url": "postgres://me:hunter2@db/x", "private": {"a": "hunter2"}, "shown": [1, None]},
    )
    site.controller("async def index(self):\n    return 'home'", "router.get('/posts/{id:int}', 'home.index', name='post')")
    return site


def read(site: Project, name: str, place: str = "run") -> Any:
    return json.loads((site.directory / place / name).read_text())


async def test_configuration_plugins_and_facts_are_written_without_secrets(dumping: Project) -> None:
    async with dumping.running(env="unittest"):
        text = (dumping.directory / "run/application_config.json").read_text()
    dump = json.loads(text)
    assert sorted(dump) == ["config", "info", "plugins"]
    assert "hunter2" not in text
    assert "abc,def" not in text
    assert dump["config"]["keys"] == "<str len: 7>"
    assert dump["config"]["own"] == {
        "password": "<str len: 7>",
        "url": "postgres://me:***@db/x",
        "private": "<Config>",
        "shown": [1, None],
    }
    assert dump["config"]["one"] == {"kept": 1, "api_key": "<str len: 6>"}
    assert dump["config"]["logger"]["level"] == "INFO"
    assert dump["info"] == {
        "name": "small",
        "directory": str(dumping.directory),
        "env": "unittest",
        "scope": "",
        "home": dump["info"]["home"],
        "root": str(dumping.directory),
    }
    assert {name: entry["enable"] for name, entry in dump["plugins"].items()} == {
        "onerror": True,
        "static": True,
        "one": True,
        "two": True,
        "three": False,
    }
    assert dump["plugins"]["one"]["version"] == "1.2.3"
    assert dump["plugins"]["one"]["from"] == str(dumping.directory / "config/plugin.py")
    assert dump["plugins"]["two"]["dependents"] == ["one"]


async def test_every_value_has_its_origin_beside_it(dumping: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMAGO__OWN__PASSWORD", "other")
    async with dumping.running(env="unittest"):
        origins = read(dumping, "application_config_meta.json")
    assert origins["keys"] == origins["own"]["url"] == str(dumping.directory / "config/default.py")
    assert origins["own"]["password"] == "TAMAGO__OWN__PASSWORD"
    assert origins["one"]["kept"] == str(dumping.libraries / "one/config/default.py")
    assert "default of" in origins["logger"]["level"]


async def test_changes_by_hooks_are_in_the_dump(dumping: Project) -> None:
    dumping.write({"app/boot.py": boot("def config_did_load(self):\n    self.config['own']['shown'] = 'late'")})
    async with dumping.running():
        assert read(dumping, "application_config.json")["config"]["own"]["shown"] == "late"


async def test_routes_are_written(dumping: Project) -> None:
    async with dumping.running():
        (route,) = read(dumping, "router.json")
    assert (route["path"], route["name"]) == ("/posts/{id:int}", "post")
    assert "GET" in route["methods"]


async def test_the_start_is_written_step_by_step(dumping: Project) -> None:
    dumping.write({"app/boot.py": boot("async def did_load(self): ...\nasync def will_ready(self): ...")})
    dumping.write({"app/service/user.py": "from tamago.app import Service\nclass UserService(Service): ...\n"})
    dumping.write({"app/extend/context.py": "class Context: ...\n"})
    async with dumping.running():
        items = read(dumping, f"application_timing_{os.getpid()}.json")
    assert all(sorted(item) == ["duration", "end", "index", "name", "pid", "start"] for item in items)
    assert [item["index"] for item in items] == list(range(len(items)))
    assert all(item["end"] is not None for item in items)
    names = [re.sub(r"\(\d+\)", "(n)", item["name"]) for item in items]
    golden = [
        "Process Start",
        "Load Application",
        "Load Plugin",
        "Import Config",
        "Require(n) app.extend.context",
        "Load Service",
        "Require(n) app.service.user",
        "Load Middleware",
        "Load Controller",
        "Require(n) app.controller.home",
        "Require(n) app.router",
        "Load Boot",
        "Require(n) app.boot",
        "Load Config",
        "Check Config",
        "Load Custom",
        "Load Router",
        "Did Load in tamago/plugins/onerror/app/boot.py:did_load",
        "Did Load in app/boot.py:did_load",
        "Will Ready in app/boot.py:will_ready",
    ]
    assert [name for name in names if name in golden] == golden


async def test_a_slow_step_is_named(dumping: Project, caplog: pytest.LogCaptureFixture) -> None:
    dumping.configure(dump={"enable": False, "slow_step": 0})
    async with dumping.running():
        assert "Load Config" in caplog.text
    assert next(record.levelno for record in caplog.records if "slow start" in record.message) == logging.WARNING


async def test_only_the_owner_may_read_and_a_second_start_replaces(dumping: Project) -> None:
    for _ in range(2):
        async with dumping.running():
            files = list((dumping.directory / "run").iterdir())
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert len(files) == 4


async def test_the_agent_writes_files_of_its_own(dumping: Project) -> None:
    async with dumping.agent():
        names = {file.name for file in (dumping.directory / "run").iterdir()}
    assert names == {"agent_config.json", "agent_config_meta.json", f"agent_timing_{os.getpid()}.json"}


async def test_a_directory_for_dumps_is_the_applications_unless_absolute(dumping: Project, tmp_path: Path) -> None:
    for given, place in (("var/run", dumping.directory / "var/run"), (str(tmp_path / "elsewhere"), tmp_path / "elsewhere")):
        dumping.configure(dump={"directory": given})
        async with dumping.running():
            assert (place / "application_config.json").is_file()
        from tamago.core.importing import forget

        forget(dumping.directory)


async def test_what_cannot_be_written_is_a_warning_and_no_failure(dumping: Project, caplog: pytest.LogCaptureFixture) -> None:
    (dumping.directory / "run").write_text("no directory")  # root may write anywhere, but not below a file
    async with dumping.running() as app:
        assert app.ready.is_ready
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for name in ("application_config.json", "application_config_meta.json", f"application_timing_{os.getpid()}.json", "router.json"):
        assert any(f"cannot write {dumping.directory / 'run' / name}" in line for line in warnings)


async def test_values_json_has_no_word_for_are_shown_by_name(dumping: Project) -> None:
    dumping.write(
        {"app/boot.py": boot("def config_did_load(self):\n    self.config['own'] = {'call': print, 'kind': dict, 'object': self}")}
    )
    async with dumping.running():
        own = read(dumping, "application_config.json")["config"]["own"]
    assert own == {"call": "<function print>", "kind": "<class dict>", "object": "<AppBoot>"}
