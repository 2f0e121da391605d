"""Configuration of a whole application: typed and frozen when hooks end, by file, environment and scope; plugins by environment."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from tests.unit.app.application.project import Project, boot

from tamago.app import Agent
from tamago.app.logging import LoggerConfig
from tamago.core.config import FrozenConfigError
from tamago.core.config_errors import ConfigError
from tamago.core.plugin_declaring import PluginDeclarationError
from tamago.core.plugin_loading import DisabledPluginError
from tamago.errors import TamagoError

pytestmark = pytest.mark.anyio

_MODEL = (
    "import msgspec\nfrom tamago.app import Plugin\n\n"
    "class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):\n"
    "    size: int = 1\n    names: list[str] = []\n    password: str = ''\n\n"
    "plugin = Plugin(name='one', config=Options)\n"
)


def typed_plugin(site: Project, **files: str) -> None:
    site.plugin("one", {"__init__.py": _MODEL, **files})
    site.enable("one")


def test_a_file_of_configuration_that_nobody_reads_is_an_error(site: Project) -> None:
    site.write({"config/plugins.py": "plugins = {}"})
    with pytest.raises(ConfigError, match=r"did you mean plugin\.py"):
        site.load()


def test_an_environment_without_files_is_warned_of_if_one_spelt_alike_has_some(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    site.write({"config/prod.py": "config = {}"})
    site.load(env="prod")
    Agent.load(site.directory, env="prd")  # the application warns, which is loaded beside it
    assert caplog.messages == []
    site.load(env="prd")
    (message,) = caplog.messages
    assert message.startswith(f"no file in config/ is for the environment 'prd', but {site.directory}/config/prod.py is there: ")


# ── from dicts to frozen, typed values ───────────────────────────────────────────────────────────────────────────────


async def test_configuration_is_open_in_its_hooks_and_typed_and_frozen_from_did_load_on(site: Project) -> None:
    body = """
    def config_will_load(self):
        self.config["one"]["size"] = 2

    def config_did_load(self):
        self.config["one"]["names"].append("late")
        self.app.seen = [type(self.config["one"]).__name__]

    def did_load(self):
        self.app.seen += [type(self.config.one).__name__, self.config.one.size, list(self.config.one.names)]
        self.config["one"] = {}
    """
    typed_plugin(site)
    site.write({"app/boot.py": boot(body)})
    app = site.load()
    with pytest.raises(FrozenConfigError, match="cannot be changed any more") as caught:
        await app.start()
    assert app.seen == ["dict", "Options", 2, ["late"]]
    assert "config_will_load" in caught.value.hint


async def test_every_way_of_writing_is_refused_once_it_runs(site: Project) -> None:
    site.configure(own={"list": [1], "inner": {"a": 1}})
    async with site.running() as app:
        config: Any = app.config
        assert isinstance(config.logger, LoggerConfig)
        assert config.own.inner.a == config["own"]["inner"]["a"] == 1
        for write in (
            lambda: config.own.list.append(2),
            lambda: config["own"].update(a=1),
            lambda: setattr(config.own, "inner", 1),
            lambda: config.own.inner.pop("a"),
            lambda: setattr(config.logger, "dir", "/"),
        ):
            with pytest.raises((FrozenConfigError, AttributeError)):
                write()
        assert app.create_anonymous_context().config is config


async def test_a_value_a_hook_made_wrong_is_told_as_the_hooks(site: Project) -> None:
    typed_plugin(site)
    site.write({"app/boot.py": boot("def config_will_load(self):\n    self.config['one']['size'] = 'large'")})
    with pytest.raises(ConfigError, match=r"one\.size='large' \(changed by a hook in boot\.py\)"):
        await site.load().start()


async def test_all_that_is_wrong_is_told_at_once(site: Project) -> None:
    typed_plugin(site)
    site.configure(one={"size": "x", "nams": []}, logger={"level": "LOUD"}, threads={"size": 0}, close_timeout=-1)
    with pytest.raises(ConfigError) as caught:
        await site.load().start()
    for part in ("one.size='x'", "one.nams", "logger.level='LOUD'", "threads.size=0", "close_timeout=-1"):
        assert part in caught.value.problem
    assert str(site.directory / "config/default.py") in caught.value.problem


@pytest.mark.parametrize(
    ("key", "value"), [("close_timeout", "soon"), ("close_timeout", -1), ("middleware", "gzip"), ("core_middleware", [1]), ("keys", 5)]
)
async def test_a_value_of_the_frameworks_own_must_be_what_it_can_use(site: Project, key: str, value: object) -> None:
    if key == "core_middleware":
        site.write({"app/boot.py": boot(f"def config_will_load(self):\n    self.config[{key!r}] = {value!r}")})
    else:
        site.configure(**{key: value})
    app = site.load()
    with pytest.raises(TamagoError, match=key):
        await app.start()


# ── layers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_frameworks_on_frameworks_configure_from_the_base_upwards(site: Project) -> None:
    site.plugin("one", {"config/default.py": "config = {'who': 'one', 'one': {'a': 1}}", "config/prod.py": "config = {'who': 'one prod'}"})
    site.framework("base", {"config/default.py": "config = {'who': 'base', 'base': 1, 'deep': {'base': 1, 'list': [1, 2]}}"})
    top = site.framework(
        "top",
        {
            "config/default.py": "config = {'who': 'top', 'deep': {'top': 2, 'list': [3]}}",
            "config/plugin.py": "plugins = {'one': {'package': 'one'}}",
        },
        base="base",
    )
    site.configure(deep={"app": 3}, logger={"buffer": False, "dir": "logs"})
    async with site.running(top, env="unittest") as app:
        assert [unit.name for unit in app.loaded.units] == ["onerror", "static", "one", "tamago.app", "base", "top", "small"]
        assert app.config.who == "top"
        assert app.config.deep == {"base": 1, "top": 2, "app": 3, "list": [3]}
    agent = sys.modules["top"].Agent.load(site.directory, env="unittest")
    assert agent.loaded.units == app.loaded.units
    async with site.running(top, env="prod") as app:
        assert app.config.who == "one prod", "a plugin's file for the environment wins over everyone's default"


async def test_a_framework_that_keeps_its_classes_deeper_is_a_load_unit_all_the_same(site: Project) -> None:
    site.framework(
        "deep",
        {
            "__init__.py": "from deep.web.application import Application\nfrom tamago.app import Agent\n",
            "web/__init__.py": "",
            "web/application.py": "import tamago.app\nclass Application(tamago.app.Application): ...\n",
            "config/default.py": "config = {'greeting': 'hello'}\n",
        },
    )
    import deep  # type: ignore[import-not-found]

    async with site.running(deep.Application) as app:
        assert app.config.greeting == "hello"


async def test_scope_and_environment_choose_the_files(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    site.configure(who="default")
    for name in ("en", "prod", "en_prod"):
        site.write({f"config/{name}.py": f"config = {{'who': {name!r}, {name!r}: 1}}\n"})
    site.configure(who="default", en=0, prod=0, en_prod=0)
    async with site.running(env="prod", scope="en") as app:
        assert (app.config.who, app.config.en, app.config.prod, app.config.en_prod) == ("en_prod", 1, 1, 1)
    monkeypatch.setenv("TAMAGO_ENV", "prod")
    monkeypatch.setenv("TAMAGO_HOME", str(site.directory.parent))
    async with site.running() as app:
        assert (app.env, app.config.who, app.config.en) == ("prod", "prod", 0)
    (site.directory / "config/env").write_text("unittest\n")
    async with site.running() as app:
        assert (app.env, app.config.who) == ("unittest", "default")


async def test_the_environment_has_the_last_word(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    typed_plugin(site)
    site.configure(one={"size": 3}, own={"a": {"b": 1}})
    monkeypatch.setenv("TAMAGO_CONFIG", json.dumps({"one": {"size": 4, "names": ["x"]}, "own": {"a": {"c": 2}}}))
    monkeypatch.setenv("TAMAGO__ONE__SIZE", "5")
    monkeypatch.setenv("TAMAGO__ONE__PASSWORD", "0123")
    async with site.running() as app:
        assert (app.config.one.size, app.config.one.names, app.config.one.password) == (5, ["x"], "0123")
        assert app.config.own.a == {"b": 1, "c": 2}


@pytest.mark.parametrize(("name", "value"), [("TAMAGO_CONFIG", "{"), ("TAMAGO_CONFIG", "[]"), ("TAMAGO__OWNN__A", "1")])
async def test_an_environment_that_cannot_be_meant_ends_the_start(
    site: Project, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=name):
        await site.load().start()


async def test_asynchronous_providers_are_awaited_with_what_they_may_know(site: Project) -> None:
    site.plugin(
        "one",
        {"config/default.py": "async def config(info, app_config):\n    return {'one': {'for': app_config['who'], 'env': info.env}}\n"},
    )
    site.enable("one")
    site.configure(who="me")
    async with site.running(env="unittest") as app:
        assert app.config.one == {"for": "me", "env": "unittest"}


async def test_a_provider_that_fails_ends_the_start_as_it_is(site: Project) -> None:
    site.write({"config/default.py": "async def config(info):\n    raise OSError('no secrets today')\n"})
    with pytest.raises(OSError, match="no secrets today"):
        await site.load().start()


# ── plugins ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_plugins_are_in_the_order_of_their_dependencies_and_switched_by_the_environment(
    site: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.plugin("one", {}, dependencies=("two",))
    site.plugin("two", {})
    site.plugin("three", {}, optional=("one",))
    site.enable("three", "one", "two")
    assert list(site.load().plugins) == ["onerror", "static", "two", "one", "three"]
    monkeypatch.setenv("TAMAGO_PLUGINS", json.dumps({"one": False, "static": False}))
    assert list(site.load().plugins) == ["onerror", "three", "two"]
    monkeypatch.setenv("TAMAGO_PLUGINS", json.dumps({"two": False}))
    with pytest.raises(DisabledPluginError, match=r"the plugin 'two' is disabled .*, but 'one' needs it"):
        site.load()
    monkeypatch.setenv("TAMAGO_PLUGINS", "{two}")
    with pytest.raises(PluginDeclarationError, match="TAMAGO_PLUGINS is not JSON"):
        site.load()


async def test_a_disabled_plugin_configures_nothing_and_brings_nothing(site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    site.plugin("one", {"config/default.py": "1 / 0\n", "app/boot.py": "1 / 0\n", "app/service/cache.py": "1 / 0\n"})
    site.enable("one")
    monkeypatch.setenv("TAMAGO_PLUGINS", '{"one": false, "onerror": false}')
    async with site.running() as app:
        assert "one" not in app.plugins
        assert app.loaded.plugins.all["one"].enable is False
