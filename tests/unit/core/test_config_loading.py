"""From files of all units to one merged configuration, in Egg's order."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from tests.unit.core.config_disk import Project, project

from tamago.core.config_errors import ConfigError
from tamago.core.config_files import import_config
from tamago.core.config_loading import load_config
from tamago.core.config_merge import LoadedConfig, why
from tamago.core.config_module import MissingExportError
from tamago.core.config_problems import Models
from tamago.core.importing import BrokenFileError, ForeignModuleError
from tamago.core.unit import LoadUnit, UnitKind


@pytest.fixture(name="blog")
def _blog(tmp_path: Path) -> Iterator[Project]:
    with project(tmp_path) as made:
        yield made


def plugin_unit(blog: Project, name: str = "foo") -> LoadUnit:
    return LoadUnit(kind=UnitKind.PLUGIN, name=name, package=f"plugins.{name}", directory=blog.directory / "plugins" / name)


def load(
    blog: Project,
    *units: LoadUnit,
    env: str = "prod",
    scope: str = "",
    environ: Mapping[str, str] | None = None,
    models: Models | None = None,
) -> LoadedConfig:
    everything: Sequence[LoadUnit] = (*units, blog.app())
    return asyncio.run(load_config(everything, blog.info(env, scope), models or {}, environ or {}))


def test_every_units_default_comes_before_any_units_environment(blog: Project) -> None:
    framework = blog.framework("fw")
    order = []
    for file in ("default", "en", "prod", "en_prod"):
        for unit, write in (("plugin", blog.write), ("framework", blog.install), ("app", blog.write)):
            place = {"plugin": "plugins/foo/", "framework": "fw/", "app": ""}[unit]
            write(f"{place}config/{file}.py", f"config = {{'last': '{unit} {file}', '{unit}_{file}': True}}")
            order.append(f"{place}config/{file}.py")
    loaded = load(blog, plugin_unit(blog), framework, scope="en")
    assert [writer.value for writer in why(loaded.layers, "last")] == [
        f"{unit} {file}" for file in ("default", "en", "prod", "en_prod") for unit in ("plugin", "framework", "app")
    ]
    assert loaded.values["last"] == "app en_prod"
    assert loaded.origins["last"] == f"{blog.directory}/config/en_prod.py"
    assert [str(Path(writer.origin)) for writer in why(loaded.layers, "last")] == [
        str((blog.site if place.startswith("fw/") else blog.directory) / place) for place in order
    ]


def test_a_plugins_environment_beats_the_applications_default(blog: Project) -> None:
    blog.write("plugins/foo/config/prod.py", "config = {'foo': {'size': 2}}")
    blog.write("config/default.py", "config = {'foo': {'size': 1, 'name': 'x'}}")
    assert load(blog, plugin_unit(blog)).values["foo"] == {"size": 2, "name": "x"}


def test_eggs_own_custom_check_with_files(blog: Project) -> None:
    blog.write("plugins/foo/config/default.py", "config = {'custom': {'fromPlugin': True, 'a': 0}}")
    blog.write("config/default.py", "config = {'custom': {'a': 1, 'arr': [1, 2], 'nested': {'x': 1}}}")
    blog.write("config/prod.py", "config = {'custom': {'arr': [9], 'nested': {'y': 2}}}")
    loaded = load(blog, plugin_unit(blog))
    assert loaded.values["custom"] == {"fromPlugin": True, "a": 1, "arr": [9], "nested": {"x": 1, "y": 2}}
    assert loaded.origins["custom"]["nested"] == {"x": f"{blog.directory}/config/default.py", "y": f"{blog.directory}/config/prod.py"}


def test_an_environment_called_default_reads_default_and_scope_only(blog: Project) -> None:
    for file in ("default", "en", "en_default"):
        blog.write(f"config/{file}.py", f"config = {{'{file}': True}}")
    assert set(load(blog, env="default", scope="en").values) == {"core_middleware", "middleware", "default", "en"}


def test_an_application_without_configuration_has_no_middleware(blog: Project) -> None:
    loaded = load(blog)
    assert loaded.values == {"core_middleware": [], "middleware": []}
    assert loaded.origins == {"core_middleware": "default of tamago", "middleware": "default of tamago"}


def test_the_environment_comes_last(blog: Project) -> None:
    blog.write("config/default.py", "config = {'egg': 'file', 'logger': {'level': 'INFO', 'dir': '/x'}}")
    loaded = load(blog, environ={"TAMAGO_CONFIG": '{"egg": "x"}', "TAMAGO__LOGGER__LEVEL": "DEBUG"})
    assert (loaded.values["egg"], loaded.values["logger"]) == ("x", {"level": "DEBUG", "dir": "/x"})
    assert (loaded.origins["egg"], loaded.origins["logger"]["level"]) == ("TAMAGO_CONFIG", "TAMAGO__LOGGER__LEVEL")


def test_hooks_see_a_variable_as_text_where_the_files_have_text(blog: Project) -> None:
    blog.write("config/default.py", "config = {'keys': '', 'size': 1}")
    values = load(blog, environ={"TAMAGO__KEYS": "12345", "TAMAGO__SIZE": "2"}).values
    assert (values["keys"], values["size"]) == ("12345", 2)


def test_an_environment_that_cannot_be_read_stops_before_any_function_is_called(blog: Project) -> None:
    blog.write("config/default.py", "def config(info): raise RuntimeError('called')")
    with pytest.raises(ConfigError) as caught:
        load(blog, environ={"TAMAGO_CONFIG": "{", "TAMAGO__": "1"})
    assert len(caught.value.problems) == 2
    assert caught.value.hint.startswith("write TAMAGO_CONFIG=")  # no file is to be looked into


# ── functions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_functions_may_be_async_and_get_what_is_known_of_the_application(blog: Project) -> None:
    blog.write("config/default.py", "def config(info): return {'name': info.name, 'env': info.env}")
    blog.write(
        "config/prod.py", "import asyncio\nasync def config(info):\n    await asyncio.sleep(0)\n    return {'env': 'async ' + info.env}"
    )
    values = load(blog).values
    assert (values["name"], values["env"]) == ("blog", "async prod")


def test_a_plugin_may_look_at_the_applications_configuration_but_not_write_to_it(blog: Project) -> None:
    blog.write("config/default.py", "def config(info): return {'redis': {'host': 'a', 'port': 1}}")
    blog.write("config/prod.py", "config = {'redis': {'host': 'b'}}")
    blog.write("config/en.py", "config = {'redis': {'host': 'not shown'}}")
    blog.write(
        "plugins/foo/config/default.py",
        """
        def config(info, app_config):
            try:
                app_config.redis.host = "c"
            except TypeError as error:
                failed = "frozen"
            return {"foo": {"redis": app_config.redis, "failed": failed}}
        """,
    )
    foo = load(blog, plugin_unit(blog), scope="en").values["foo"]
    assert foo == {"redis": {"host": "b", "port": 1}, "failed": "frozen"}
    foo["redis"]["host"] = "a hook may"


def test_every_function_is_called_once(blog: Project) -> None:
    blog.write("config/calls.py", "calls = []")
    for file in ("config/default.py", "config/prod.py", "plugins/foo/config/default.py"):
        blog.write(file, f"from config.calls import calls\ndef config(info):\n    calls.append({file!r})\n    return {{}}")
    load(blog, plugin_unit(blog))
    assert sorted(sys.modules["config.calls"].calls) == ["config/default.py", "config/prod.py", "plugins/foo/config/default.py"]


def test_importing_calls_nothing(blog: Project) -> None:
    blog.write("config/default.py", "def config(info): raise RuntimeError('called')")
    files = import_config([blog.app()], blog.info())
    assert [file.path for file in files] == [f"{blog.directory}/config/default.py"]


def test_what_a_function_raises_comes_through(blog: Project) -> None:
    blog.write("config/default.py", "async def config(info): raise RuntimeError('no vault')")
    with pytest.raises(RuntimeError, match="no vault"):
        load(blog)


def test_a_hook_that_appends_to_a_list_does_not_change_the_file(blog: Project) -> None:
    blog.write("config/default.py", "config = {'middleware': ['a']}")
    load(blog).values["middleware"].append("b")
    assert load(blog).values["middleware"] == ["a"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("config = 3", "config in {file} must be a dict or a function, not an int"),
        ("config = None", "config in {file} must be a dict or a function, not None"),
        ("class config: ...", "config in {file} must be a dict or a function, not a type"),
        ("def config(): ...", r"the function config in {file} must have one parameter \(info\), not 0"),
        ("def config(info, app_config): ...", r"the function config in {file} must have one parameter \(info\), not 2"),
        ("def config(info): ...", "config in {file} returned None, not a dict"),
        ("async def config(info): return 3", "config in {file} returned an int, not a dict"),
        ("config = {'core_middleware': []}", "{file} defines core_middleware, which only a framework may"),
    ],
)
def test_a_file_that_is_no_configuration_is_an_error(blog: Project, source: str, problem: str) -> None:
    file = blog.write("config/default.py", source)
    with pytest.raises(ConfigError, match=problem.format(file=file)):
        load(blog)


def test_a_plugins_function_has_one_or_two_parameters(blog: Project) -> None:
    blog.write("plugins/foo/config/default.py", "def config(info, app_config, more): ...")
    with pytest.raises(ConfigError, match=r"one or two parameters \(info, app_config\), not 3"):
        load(blog, plugin_unit(blog))


@pytest.mark.parametrize("key", ["core_middleware", "middleware"])
def test_a_plugin_defines_no_middleware(blog: Project, key: str) -> None:
    blog.write("plugins/foo/config/default.py", f"config = {{{key!r}: ['x']}}")
    with pytest.raises(ConfigError, match=f"defines {key}, which only") as caught:
        load(blog, plugin_unit(blog))
    assert "config_will_load" in caught.value.hint


def test_a_framework_defines_core_middleware_and_the_application_its_own(blog: Project) -> None:
    framework = blog.framework("fw")
    blog.install("fw/config/default.py", "config = {'core_middleware': ['meta']}")
    blog.write("config/default.py", "config = {'middleware': ['mine']}")
    values = load(blog, framework).values
    assert (values["core_middleware"], values["middleware"]) == (["meta"], ["mine"])
    blog.install("fw/config/prod.py", "config = {'middleware': []}")
    with pytest.raises(ConfigError, match=r"fw/config/prod\.py defines middleware, which only the application may"):
        load(blog, framework)


def test_a_file_that_forgets_its_name_says_what_to_write(blog: Project) -> None:
    blog.write("config/default.py", "CONFIG = {}")
    with pytest.raises(MissingExportError, match=r"config/default\.py defines no 'config'") as caught:
        load(blog)
    assert caught.value.hint == "did you mean to call 'CONFIG' 'config'?"


def test_an_empty_file_says_what_to_write(blog: Project) -> None:
    blog.write("config/default.py", "")
    with pytest.raises(MissingExportError) as caught:
        load(blog)
    assert caught.value.hint.startswith('write: config = {"logger"')


def test_a_syntax_error_names_its_file_and_line(blog: Project) -> None:
    file = blog.write("config/default.py", "x = 1\nconfig = {\n")
    with pytest.raises(BrokenFileError, match=f"{file}:2: "):
        load(blog)


def test_a_package_called_config_elsewhere_is_never_taken_for_the_applications(blog: Project) -> None:
    blog.write("config/default.py", "config = {'right': True}")
    blog.install("config/__init__.py")
    blog.install("config/prod.py", "config = {'wrong': True}")
    assert load(blog).values.keys() == {"core_middleware", "middleware", "right"}


def test_a_module_that_was_already_imported_from_elsewhere_is_an_error(blog: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    blog.write("config/default.py", "config = {}")
    other = ModuleType("config.default")
    other.__file__ = str(blog.install("other.py"))
    monkeypatch.setitem(sys.modules, "config.default", other)
    with pytest.raises(ForeignModuleError, match=r"`config\.default` is already imported from .*other\.py"):
        load(blog)


def test_what_a_file_fails_to_import_comes_through(blog: Project) -> None:
    blog.write("config/default.py", "import not_there_at_all")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        load(blog)
