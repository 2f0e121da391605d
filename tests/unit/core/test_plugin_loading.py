"""From declarations in files to plugins in order: Egg's named cases, and the strictness that Egg lacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.core.config_disk import Project, project

from tamago.core.plugin import PluginEntry, PluginWordError
from tamago.core.plugin_declaring import PluginDeclarationError
from tamago.core.plugin_finding import BadPluginError, PluginNotFoundError
from tamago.core.plugin_graph import PluginOrderError
from tamago.core.plugin_loading import DisabledPluginError
from tamago.core.unit import LoadUnit, UnitKind


@pytest.fixture(name="blog")
def _blog(tmp_path: Path) -> Iterator[Project]:
    with project(tmp_path) as made:
        yield made


def declare(blog: Project, file: str = "config/plugin.py", **plugins: object) -> None:
    """Write `plugins`; True and False become a declaration with the path of the plugin's directory."""
    said = {name: {"enable": value, "path": f"plugins/{name}"} if isinstance(value, bool) else value for name, value in plugins.items()}
    blog.write(file, f"from tamago.core.plugin import PluginEntry\nplugins = {said!r}\n")


def plugins(blog: Project, **says: dict[str, tuple[str, ...]]) -> None:
    for name, word in says.items():
        blog.plugin(name, says=word)


# ── Egg's named cases ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a1_complex_dependencies(blog: Project) -> None:
    plugins(
        blog,
        rpc={"optional": ("zookeeper", "vip", "zoneclient")},
        ldc={"dependencies": ("rpc", "zoneclient", "vip")},
        zoneclient={"dependencies": ("vip", "ddcs")},
        zookeeper={},
        vip={"dependencies": ("ddcs", "zookeeper")},
        ddcs={"dependencies": ("zookeeper",)},
    )
    declare(blog, rpc=True, ldc=True, zoneclient=True, zookeeper=True, vip=True, ddcs=True)
    assert blog.order() == ["zookeeper", "ddcs", "vip", "zoneclient", "rpc", "ldc"]


def test_a2_what_is_needed_is_enabled_and_knows_why(blog: Project) -> None:
    plugins(
        blog,
        tracelog={"optional": ("rpcServer",)},
        gateway={"dependencies": ("rpcServer",), "optional": ("tracelog",)},
        rpcServer={"optional": ("ldc", "zoneclient")},
        ldc={"dependencies": ("zoneclient",)},
        zoneclient={},
    )
    framework = blog.framework("fw")
    blog.install("fw/config/plugin.py", f"plugins = {{'rpcServer': {_off('rpcServer', blog)}, 'zoneclient': {_off('zoneclient', blog)}}}")
    declare(blog, tracelog=True, gateway=True, ldc=True)
    found = blog.plugins(framework)
    assert [plugin.name for plugin in found.enabled] == ["zoneclient", "ldc", "rpcServer", "tracelog", "gateway"]
    zoneclient = found.all["zoneclient"]
    assert (zoneclient.enable, zoneclient.implicit, zoneclient.dependents) == (True, True, ("ldc",))
    assert zoneclient.reason == "is enabled because it is needed: ldc → zoneclient"
    assert not found.all["ldc"].implicit


def _off(name: str, blog: Project) -> dict[str, object]:
    return {"enable": False, "path": str(blog.directory / "plugins" / name)}


def framework_plugins(blog: Project) -> LoadUnit:
    """Return a framework with three plugins of its own, which are declared before the application's and load first."""
    plugins(blog, session={}, zzz={}, package={})
    framework = blog.framework("fw")
    said = {name: {"path": str(blog.directory / "plugins" / name)} for name in ("session", "zzz", "package")}
    blog.install("fw/config/plugin.py", f"plugins = {said!r}")
    return framework


def test_a3_optional_dependencies_order_and_never_enable(blog: Project) -> None:
    plugins(
        blog,
        a={"dependencies": ("b",), "optional": ("d", "e")},
        b={"dependencies": ("e",), "optional": ("c",)},
        c={},
        d={},
        e={},
        f={"optional": ("opt",)},
    )
    declare(blog, a=True, b=True, c=False, d=False, e=True, f=True)
    found = blog.plugins(framework_plugins(blog))
    assert [plugin.name for plugin in found.enabled] == ["session", "zzz", "package", "e", "b", "a", "f"]
    assert not found.all["c"].enable
    assert not found.all["d"].enable


def test_a4_dependencies(blog: Project) -> None:
    plugins(
        blog,
        a={"dependencies": ("b", "f")},
        b={},
        c1={"dependencies": ("b",)},
        d={"dependencies": ("a",)},
        e={"dependencies": ("f",)},
        f={"dependencies": ("c1",)},
    )
    declare(blog, a=True, b=True, c1=True, d=True, e=True, f=True)
    assert blog.order(framework_plugins(blog)) == ["session", "zzz", "package", "b", "c1", "f", "a", "d", "e"]


def test_a5_what_is_only_optional_stays_disabled_and_is_not_even_imported(blog: Project) -> None:
    plugins(blog, tracelog={"optional": ("gw", "rpcServer")})
    blog.write("plugins/gw/__init__.py", "raise RuntimeError('imported')")
    blog.write("plugins/rpcServer/__init__.py", "raise RuntimeError('imported')")
    declare(blog, tracelog=True, gw=False, rpcServer=False)
    found = blog.plugins()
    assert [plugin.name for plugin in found.enabled] == ["tracelog"]
    assert (found.all["gw"].enable, found.all["rpcServer"].enable) == (False, False)
    assert found.all["gw"].reason == f"is disabled in {blog.directory}/config/plugin.py"


def a6(blog: Project) -> LoadUnit:
    plugins(blog, a={"dependencies": ("b", "c")}, b={}, c={"dependencies": ("e",)}, d={"dependencies": ("b",)}, e={})
    framework = blog.framework("fw")
    said = {name: _off(name, blog) | {"enable": name in "ade"} for name in "abcde"}
    blog.install("fw/config/plugin.py", f"plugins = {said!r}")
    return framework


def test_a6_what_the_framework_disabled_may_be_needed(blog: Project) -> None:
    found = blog.plugins(a6(blog))
    assert [plugin.name for plugin in found.enabled] == ["b", "e", "c", "a", "d"]
    assert {plugin.name: plugin.dependents for plugin in found.enabled} == {"b": ("a", "d"), "e": ("c",), "c": ("a",), "a": (), "d": ()}
    assert {plugin.name for plugin in found.enabled if plugin.implicit} == {"b", "c"}


def test_a6_what_the_application_disabled_and_another_needs_is_an_error_with_both_ways_out(blog: Project) -> None:
    framework = a6(blog)
    declare(blog, e=PluginEntry(enable=False))
    with pytest.raises(DisabledPluginError) as caught:
        blog.plugins(framework)
    assert caught.value.problem == f"the plugin 'e' is disabled ({blog.directory}/config/plugin.py), but 'c' needs it (a → c → e)"
    assert caught.value.hint == "enable 'e', or disable 'c' as well"
    assert [(conflict.name, conflict.needing) for conflict in caught.value.conflicts] == [("e", ("c",))]


def test_all_disabled_plugins_that_are_needed_are_named_and_none_of_them_is_imported(blog: Project) -> None:
    framework = a6(blog)
    for name in "be":
        blog.write(f"plugins/{name}/__init__.py", "raise RuntimeError('imported')")
    with pytest.raises(DisabledPluginError) as caught:
        blog.plugins(framework, variable='{"b": false, "e": false}')
    assert caught.value.problem.splitlines() == [
        "the plugin 'b' is disabled (TAMAGO_PLUGINS), but 'a' and 'd' need it",
        "the plugin 'e' is disabled (TAMAGO_PLUGINS), but 'c' needs it (a → c → e)",
    ]
    assert caught.value.hint == "enable 'b', or disable 'a' and 'd' as well; enable 'e', or disable 'c' as well"


def test_the_application_may_disable_both_the_needed_and_the_needing(blog: Project) -> None:
    framework = a6(blog)
    assert blog.order(framework, variable='{"e": false, "c": false, "a": false}') == ["b", "d"]


def test_a7_a_missing_plugin_and_a_circle_are_told_together(blog: Project) -> None:
    plugins(blog, a={"dependencies": ("b",)}, b={"dependencies": ("c",)}, c={"dependencies": ("a",)}, d={"dependencies": ("a1",)})
    declare(blog, a=True, b=True, c=True, d=True)
    with pytest.raises(PluginOrderError) as caught:
        blog.plugins()
    assert caught.value.problem.startswith("plugins cannot be ordered, missing: [a1], recursive: [a → b → c → a]")
    assert "a1 is needed by d: no plugin is declared by that name" in caught.value.problem


def test_a7_a_plugin_of_another_environment_is_missing_and_the_error_says_so(blog: Project) -> None:
    plugins(blog, dev={"env": ("local",)}, a={"dependencies": ("dev",)})
    declare(blog, a=True, dev=True)
    assert blog.order(env="local") == ["dev", "a"]
    with pytest.raises(PluginOrderError, match="dev is needed by a: it is only for env local, and this is prod"):
        blog.plugins(env="prod")


def test_a_plugin_of_another_environment_that_nobody_needs_is_left_out(blog: Project) -> None:
    plugins(blog, dev={"env": ("local", "unittest")}, a={"optional": ("dev",)})
    declare(blog, dev=True, a=True)
    found = blog.plugins(env="prod")
    assert [plugin.name for plugin in found.enabled] == ["a"]
    assert (found.all["dev"].enable, found.all["dev"].reason) == (False, "is only for env local and unittest, and this is prod")


def test_a_plugin_of_another_environment_brings_nothing_it_needs(blog: Project) -> None:
    plugins(blog, dev={"env": ("local",), "dependencies": ("tool",)}, tool={})
    declare(blog, dev=True)
    assert blog.order(env="prod") == []


def test_a8_a_later_place_replaces_an_earlier_one(blog: Project) -> None:
    blog.install("session_package/__init__.py", "from tamago.core.plugin import Plugin\nplugin = Plugin(name='session', version='1')")
    blog.plugin("session", says={"version": "2"})
    framework = blog.framework("fw")
    blog.install("fw/config/plugin.py", "plugins = {'session': {'package': 'session_package'}}")
    assert blog.plugins(framework).all["session"].version == "1"
    blog.write("config/plugin_local.py", "plugins = {'session': {'path': 'plugins/session'}}")
    assert blog.plugins(framework, env="local").all["session"].version == "2"
    blog.write("config/plugin_staging.py", "plugins = {'session': {'package': 'session_package'}}")
    blog.write("config/plugin_eu.py", "plugins = {'session': {'path': 'plugins/session'}}")
    assert blog.plugins(framework, env="staging", scope="eu").all["session"].package == "session_package"


@pytest.mark.parametrize(
    ("env", "scope", "said_in", "order"),
    [
        ("default", "en", "plugin_en.py", ["b"]),
        ("default", "", "plugin.py", ["a"]),
        ("prod", "", "plugin_prod.py", ["a", "b", "c"]),
        ("prod", "en", "plugin_en_prod.py", ["a", "d"]),
    ],
)
def test_a9_files_of_scope_and_environment_apply_in_order(blog: Project, env: str, scope: str, said_in: str, order: list[str]) -> None:
    plugins(blog, a={}, b={}, c={}, d={})
    declare(blog, a=True, b=False, c=False, d=False)
    declare(blog, "config/plugin_en.py", a=False, b=True)
    declare(blog, "config/plugin_prod.py", a=True, b=True, c=True)
    declare(blog, "config/plugin_en_prod.py", a=True, b=False, c=False, d=True)
    assert blog.order(env=env, scope=scope) == order
    assert blog.plugins(env=env, scope=scope).all["a"].declared_in == f"{blog.directory}/config/{said_in}"


# ── what is declared, and where ──────────────────────────────────────────────────────────────────────────────────────


def test_the_application_wins_over_the_frameworks_and_the_derived_one_over_its_base(blog: Project) -> None:
    plugins(blog, a={}, b={}, c={})
    base, derived = blog.framework("base_fw"), blog.framework("derived_fw")
    said = {name: {"path": str(blog.directory / "plugins" / name)} for name in "abc"}
    blog.install("base_fw/config/plugin.py", f"plugins = {said!r}")
    blog.install("derived_fw/config/plugin_prod.py", "plugins = {'a': False, 'b': False}")
    blog.write("config/plugin.py", "plugins = {'b': True}")
    assert blog.order(base, derived) == ["b", "c"]
    assert blog.order(base) == ["a", "b", "c"]


def test_an_entry_without_enable_enables_and_empty_tuples_say_nothing(blog: Project) -> None:
    plugins(blog, a={"dependencies": ("b",)}, b={}, c={})
    declare(blog, a=False, b=True, c=True)
    blog.write("config/plugin_prod.py", "plugins = {'a': {'dependencies': ['c'], 'optional': []}}")
    found = blog.plugins()
    assert (found.all["a"].enable, found.all["a"].dependencies) == (True, ("c",))
    assert found.all["a"].package == "plugins.a"


def test_the_variable_comes_last(blog: Project) -> None:
    plugins(blog, a={}, b={})
    declare(blog, a=True, b=True)
    found = blog.plugins(variable=json.dumps({"a": False}))
    assert [plugin.name for plugin in found.enabled] == ["b"]
    assert found.all["a"].declared_in == "TAMAGO_PLUGINS"


def test_a_variable_that_is_no_json_is_an_error_with_an_example(blog: Project) -> None:
    with pytest.raises(PluginDeclarationError, match="TAMAGO_PLUGINS is not JSON") as caught:
        blog.plugins(variable="a=false")
    assert "TAMAGO_PLUGINS='{" in caught.value.hint
    with pytest.raises(PluginDeclarationError, match=r"plugins \(TAMAGO_PLUGINS\) must be a dict of names, not list"):
        blog.plugins(variable="[1]")


def test_all_wrong_declarations_are_told_at_once(blog: Project) -> None:
    blog.write(
        "config/plugin.py",
        """
        plugins = {
            "a": "yes",
            "b": {"enabled": True},
            "c": {"dependencies": [1]},
            "d": {"path": "x", "package": "y"},
            "e": {"package": "../e"},
            "f": {"package": 3},
        }
        """,
    )
    file = blog.directory / "config" / "plugin.py"
    with pytest.raises(PluginDeclarationError) as caught:
        blog.plugins()
    assert caught.value.problems == (
        f"plugins['a'] ({file}): expected True, False or a dict, got str",
        f"plugins['b']['enabled'] ({file}): there is no such key in PluginEntry; did you mean enable?",
        f"plugins['c']['dependencies']['0'] ({file}): expected str, got int",
        f"plugins['d'] ({file}): has both a package and a path",
        f"plugins['e'] ({file}): package='../e' is no dotted module name; use path for a directory",
        f"plugins['f']['package'] ({file}): expected str, got int",
    )


def test_a_file_without_plugins_says_what_is_missing(blog: Project) -> None:
    blog.write("config/plugin.py", "plugin = {}")
    with pytest.raises(Exception, match="defines no 'plugins'") as caught:
        blog.plugins()
    assert "did you mean to call 'plugin' 'plugins'?" in str(caught.value)


def test_an_application_without_declarations_has_no_plugins(blog: Project) -> None:
    assert blog.plugins().enabled == ()


# ── where a plugin is ────────────────────────────────────────────────────────────────────────────────────────────────


def entry_point(blog: Project, distribution: str, name: str, package: str) -> None:
    blog.install(f"{distribution}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    blog.install(f"{distribution}-1.0.dist-info/entry_points.txt", f"[tamago.plugins]\n{name} = {package}\n")
    blog.install(f"{package}/__init__.py", f"from tamago.core.plugin import Plugin\n__version__ = '1.2'\nplugin = Plugin(name={name!r})")


def test_an_entry_point_makes_a_plugin_known_but_never_enables_it(blog: Project) -> None:
    entry_point(blog, "tamago_redis", "redis", "tamago_redis")
    assert blog.order() == []
    assert "tamago_redis" not in sys.modules
    declare(blog, redis={"enable": True})
    redis = blog.plugins().all["redis"]
    assert (redis.package, redis.version, redis.directory) == ("tamago_redis", "1.2", blog.site / "tamago_redis")


def test_a_known_plugin_that_another_needs_is_enabled_with_it(blog: Project) -> None:
    entry_point(blog, "tamago_redis", "redis", "tamago_redis")
    plugins(blog, cache={"dependencies": ("redis",)})
    declare(blog, cache=True)
    found = blog.plugins()
    assert [plugin.name for plugin in found.enabled] == ["redis", "cache"]
    assert (found.all["redis"].implicit, found.all["redis"].declared_in) == (True, "")


def test_installed_plugins_are_only_looked_up_where_a_name_needs_it(blog: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins(blog, a={"dependencies": ("b",)}, b={})
    declare(blog, a=True, b=True)
    monkeypatch.setitem(sys.modules, "importlib.metadata", None)  # importing it now fails
    assert blog.order() == ["b", "a"]


def test_two_installed_plugins_of_one_name_must_be_told_apart(blog: Project) -> None:
    entry_point(blog, "one_redis", "redis", "one_redis")
    entry_point(blog, "two_redis", "redis", "two_redis")
    blog.write("config/plugin.py", "plugins = {'redis': True}")
    with pytest.raises(PluginNotFoundError, match="several installed packages are plugins called 'redis'"):
        blog.plugins()
    blog.write("config/plugin_prod.py", "plugins = {'redis': {'package': 'two_redis'}}")
    assert blog.plugins().all["redis"].package == "two_redis"


@pytest.mark.parametrize("enable", [True, False])
def test_an_unknown_name_is_an_error_with_a_suggestion_also_where_it_is_disabled(blog: Project, enable: bool) -> None:
    entry_point(blog, "tamago_static", "static", "tamago_static")
    blog.write("config/plugin.py", f"plugins = {{'statik': {enable}, 'nothing': {enable}}}")
    with pytest.raises(PluginNotFoundError) as caught:
        blog.plugins()
    file = blog.directory / "config" / "plugin.py"
    assert caught.value.problem.splitlines() == [
        f"no plugin is called 'statik' ({file}); did you mean static?",
        f"no plugin is called 'nothing' ({file})",
    ]


def test_a_path_outside_of_the_application_is_imported_by_its_own_name(blog: Project, tmp_path: Path) -> None:
    outside = Project(directory=tmp_path / "elsewhere", site=blog.site)
    outside.plugin("shared_db")
    blog.write("config/plugin.py", "plugins = {'shared_db': {'path': '../elsewhere/plugins/shared_db'}}")
    found = blog.plugins().all["shared_db"]
    assert (found.package, found.directory) == ("shared_db", tmp_path / "elsewhere" / "plugins" / "shared_db")
    assert sys.path[-1] == str(tmp_path / "elsewhere" / "plugins")


def test_a_path_whose_name_is_taken_by_another_module_is_an_error(blog: Project, tmp_path: Path) -> None:
    Project(directory=tmp_path / "elsewhere", site=blog.site).plugin("json")
    blog.write("config/plugin.py", "plugins = {'json': {'path': '../elsewhere/plugins/json'}}")
    with pytest.raises(BadPluginError, match="but Python has 'json' from"):
        blog.plugins()


def test_a_path_in_a_framework_starts_at_the_framework(blog: Project) -> None:
    framework = blog.framework("fw")
    blog.install("fw/plugins/inner_fw/__init__.py", "from tamago.core.plugin import Plugin\nplugin = Plugin(name='inner_fw')")
    blog.install("fw/config/plugin.py", "plugins = {'inner_fw': {'path': 'plugins/inner_fw'}}")
    assert blog.plugins(framework).all["inner_fw"].directory == framework.directory / "plugins" / "inner_fw"


@pytest.mark.parametrize(
    ("source", "problem", "hint"),
    [
        ("", "the package 'plugins.db' of the plugin 'db' defines no plugin", 'plugin = Plugin(name="db")'),
        ("plugin = 3", "defines plugin as a int", "plugin = Plugin"),
        (
            "from tamago.core.plugin import Plugin\nplugin = Plugin(name='mysql')",
            "the plugin 'db' .* is 'plugins.db', which calls itself 'mysql'",
            "declare it as 'mysql'",
        ),
    ],
)
def test_a_package_that_is_not_the_plugin_is_an_error(blog: Project, source: str, problem: str, hint: str) -> None:
    blog.write("plugins/db/__init__.py", source)
    declare(blog, db=True)
    with pytest.raises(BadPluginError, match=problem) as caught:
        blog.plugins()
    assert hint in caught.value.hint


def test_a_dependency_that_is_text_and_no_tuple_is_an_error(blog: Project) -> None:
    plugins(blog, cache={"dependencies": "redis"})  # type: ignore[dict-item]
    declare(blog, cache=True)
    with pytest.raises(PluginWordError, match=r"Plugin\(name='cache', dependencies='redis'\): must be a tuple of names") as caught:
        blog.plugins()
    assert caught.value.hint == 'write dependencies=("redis",)'


def test_a_directory_that_is_missing_or_no_package_is_an_error(blog: Project) -> None:
    blog.write("config/plugin.py", "plugins = {'db': {'path': 'plugins/db'}}")
    with pytest.raises(PluginNotFoundError, match="which is no directory"):
        blog.plugins()
    blog.write("plugins/db/config/default.py")
    with pytest.raises(BadPluginError, match=r"has no __init__\.py"):
        blog.plugins()


def test_a_directory_that_is_missing_is_no_error_where_the_plugin_is_disabled_and_not_needed(blog: Project) -> None:
    framework = blog.framework("eggs")
    blog.install("eggs/config/plugin.py", "plugins = {'db': {'path': 'plugins/db', 'enable': False}}")
    assert blog.order(framework) == []
    plugins(blog, cache={"dependencies": ("db",)})
    declare(blog, cache=True)
    with pytest.raises(PluginNotFoundError, match="which is no directory"):
        blog.plugins(framework)


def test_a_directory_with_a_name_that_cannot_be_imported_is_an_error(blog: Project) -> None:
    blog.write("plugins/my-db/__init__.py")
    blog.write("config/plugin.py", "plugins = {'db': {'path': 'plugins/my-db'}}")
    with pytest.raises(PluginNotFoundError, match="cannot be imported by that name"):
        blog.plugins()


def test_a_module_that_is_no_package_is_an_error(blog: Project) -> None:
    blog.install("single_module.py", "from tamago.core.plugin import Plugin\nplugin = Plugin(name='one')")
    blog.write("config/plugin.py", "plugins = {'one': {'package': 'single_module'}}")
    with pytest.raises(BadPluginError, match=r"is a module .* not a package"):
        blog.plugins()


def test_a_package_that_is_not_installed_is_an_error_only_where_it_is_enabled(blog: Project) -> None:
    blog.write("config/plugin.py", "plugins = {'db': {'package': 'not_installed.db'}}")
    with pytest.raises(PluginNotFoundError, match=r"there is no package 'not_installed\.db' for the plugin 'db'"):
        blog.plugins()
    blog.write("config/plugin_local.py", "plugins = {'db': False}")
    assert blog.order(env="local") == []


def test_what_a_plugin_raises_when_imported_comes_through(blog: Project) -> None:
    blog.write("plugins/db/__init__.py", "import not_there_at_all")
    declare(blog, db=True)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        blog.plugins()


# ── what comes of it ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_enabled_plugins_are_load_units_in_order(blog: Project) -> None:
    plugins(blog, a={"dependencies": ("b",)}, b={})
    declare(blog, a=True, b=True)
    assert blog.plugins().units() == tuple(
        LoadUnit(kind=UnitKind.PLUGIN, name=name, package=f"plugins.{name}", directory=blog.directory / "plugins" / name) for name in "ba"
    )


def test_the_model_of_its_configuration_comes_with_it(blog: Project) -> None:
    blog.write(
        "plugins/db/__init__.py",
        """
        import msgspec
        from tamago.core.plugin import Plugin
        class DbConfig(msgspec.Struct, frozen=True):
            url: str
        plugin = Plugin(name="db", config=DbConfig)
        """,
    )
    declare(blog, db=True)
    config = blog.plugins().all["db"].config
    assert config is not None
    assert issubclass(config, msgspec.Struct)


def test_a_disabled_plugin_is_no_load_unit(blog: Project) -> None:
    plugins(blog, a={})
    declare(blog, a=False)
    with pytest.raises(ValueError, match="is not loaded"):
        blog.plugins().all["a"].to_unit()
