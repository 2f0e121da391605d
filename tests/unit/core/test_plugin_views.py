"""How plugins look, and the answer to why one is there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tamago.core.plugin import Declaration, PluginEntry
from tamago.core.plugin_resolved import Plugins, ResolvedPlugin, UnknownPluginError
from tamago.core.plugin_views import COLUMNS, GraphFormat, describe, graph, rows

PLACE = Path("/blog/plugins")


def plugin(name: str, **changes: object) -> ResolvedPlugin:
    fields: dict[str, object] = {
        "name": name,
        "enable": True,
        "package": f"plugins.{name}",
        "directory": PLACE / name,
        "dependencies": (),
        "optional": (),
        "env": (),
        "version": "",
        "declared_in": "/blog/config/plugin.py",
        "reason": "is enabled in /blog/config/plugin.py",
    }
    return ResolvedPlugin(**(fields | changes))  # type: ignore[arg-type]


def word(**entry: object) -> Declaration:
    return Declaration(entry=PluginEntry(**entry), source="/blog/config/plugin.py", base=Path("/blog"), by_app=True)  # type: ignore[arg-type]


REDIS = plugin(
    "redis", version="1.0", implicit=True, dependents=("cache", "session"), reason="is enabled because it is needed: cache → redis"
)
CACHE = plugin("cache", dependencies=("redis",), dependents=("session",))
SESSION = plugin("session", dependencies=("cache", "redis"), optional=("metrics", "nowhere"), history=(word(path="plugins/session"),))
METRICS = plugin("metrics", enable=False, directory=None, reason="is disabled in /blog/config/plugin.py")
PLUGINS = Plugins(all={each.name: each for each in (SESSION, METRICS, CACHE, REDIS)}, enabled=(REDIS, CACHE, SESSION))
ALSO_METRICS = Plugins(
    all={**PLUGINS.all, "metrics": plugin("metrics")},
    enabled=(plugin("metrics"), REDIS, CACHE, SESSION),
)


def test_rows_are_in_loading_order_with_the_disabled_ones_last() -> None:
    assert rows(PLUGINS) == [
        ("redis", "implicit", "1.0", "plugins.redis", "", "", "/blog/config/plugin.py"),
        ("cache", "enabled", "", "plugins.cache", "redis", "", "/blog/config/plugin.py"),
        ("session", "enabled", "", "plugins.session", "cache, redis", "metrics, nowhere", "/blog/config/plugin.py"),
        ("metrics", "disabled", "", "plugins.metrics", "", "", "/blog/config/plugin.py"),
    ]
    assert {len(row) for row in rows(PLUGINS)} == {len(COLUMNS)}


def test_plain_values_have_every_plugin_with_its_reason() -> None:
    described = describe(PLUGINS)
    assert list(described) == ["redis", "cache", "session", "metrics"]
    assert described["redis"] == {
        "enable": True,
        "implicit": True,
        "package": "plugins.redis",
        "path": "/blog/plugins/redis",
        "dependencies": [],
        "optional": [],
        "env": [],
        "version": "1.0",
        "from": "/blog/config/plugin.py",
        "dependents": ["cache", "session"],
        "reason": "is enabled because it is needed: cache → redis",
    }
    assert described["metrics"]["path"] is None
    assert msgspec.json.decode(msgspec.json.encode(described)) == described


def test_the_tree_begins_with_what_nobody_needs() -> None:
    assert graph(PLUGINS, GraphFormat.TREE).splitlines() == [
        "session",
        "├─ cache",
        "│  └─ redis 1.0",
        "├─ redis 1.0",
        "└─ metrics (optional) (disabled)",
        "(metrics: is disabled in /blog/config/plugin.py)",
    ]


def test_the_tree_unfolds_a_plugin_once() -> None:
    top = plugin("top", dependencies=("session", "cache"))
    middle = plugin("session", dependencies=("cache",), dependents=("top",))
    found = Plugins(all={each.name: each for each in (REDIS, CACHE, middle, top)}, enabled=(REDIS, CACHE, middle, top))
    assert graph(found, GraphFormat.TREE).splitlines() == ["top", "├─ session", "│  └─ cache", "│     └─ redis 1.0", "└─ cache …"]


def test_mermaid_draws_optional_edges_broken_and_only_what_is_enabled() -> None:
    assert graph(ALSO_METRICS, GraphFormat.MERMAID).splitlines() == [
        "graph TD",
        '    p0["metrics"]',
        '    p1["redis 1.0"]',
        '    p2["cache"]',
        '    p3["session"]',
        "    p2 --> p1",
        "    p3 --> p2",
        "    p3 --> p1",
        "    p3 -.-> p0",
        "    style p1 stroke-dasharray: 4",
    ]


def test_dot_draws_the_same() -> None:
    assert graph(ALSO_METRICS, GraphFormat.DOT).splitlines() == [
        "digraph plugins {",
        '    "metrics" [label="metrics"];',
        '    "redis" [label="redis 1.0", style=dashed];',
        '    "cache" [label="cache"];',
        '    "session" [label="session"];',
        '    "cache" -> "redis";',
        '    "session" -> "cache";',
        '    "session" -> "redis";',
        '    "session" -> "metrics" [style=dashed];',
        "}",
    ]


@pytest.mark.parametrize("form", GraphFormat)
def test_no_plugins_make_no_error(form: GraphFormat) -> None:
    assert isinstance(graph(Plugins(all={}, enabled=()), form), str)


def test_why_names_the_chain_and_the_place() -> None:
    assert PLUGINS.why("redis") == [
        "redis is enabled, number 1 of 3 to load",
        "it is enabled because it is needed: cache → redis",
        "needed by cache, session",
        "package plugins.redis 1.0 in /blog/plugins/redis",
    ]


def test_why_shows_every_declaration() -> None:
    assert PLUGINS.why("session") == [
        "session is enabled, number 3 of 3 to load",
        "it is enabled in /blog/config/plugin.py",
        "needs cache, redis",
        "loads after, where enabled: metrics, nowhere",
        "package plugins.session in /blog/plugins/session",
        "/blog/config/plugin.py: enable=True, path='plugins/session'",
    ]


def test_why_of_a_disabled_plugin_says_who_disabled_it() -> None:
    assert PLUGINS.why("metrics") == ["metrics is not enabled", "it is disabled in /blog/config/plugin.py", "package plugins.metrics"]


def test_why_of_an_unknown_plugin_suggests_one() -> None:
    with pytest.raises(UnknownPluginError, match=r"no plugin is called 'sesion'; did you mean session\?"):
        PLUGINS.why("sesion")
    with pytest.raises(UnknownPluginError, match=r"plugins are declared in config/plugin\.py"):
        Plugins(all={}, enabled=()).why("a")
