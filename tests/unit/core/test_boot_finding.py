from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.core.disk import Disk, temporary

from tamago.core.boot_finding import HOOKS, find_boots
from tamago.core.load_error import LoadError

HEAD = "from tamago.core.boot import Boot\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with temporary(tmp_path) as disk:
        yield disk


def test_the_hooks_are_those_of_the_base_class_in_their_order() -> None:
    assert HOOKS == (
        "before_fork",
        "after_fork",
        "config_will_load",
        "config_did_load",
        "did_load",
        "will_ready",
        "did_ready",
        "server_did_ready",
        "before_close",
    )


def test_each_unit_has_a_boot_for_the_application_the_agent_or_both(disk: Disk) -> None:
    both = disk.plugin("both", {"app/boot.py": HEAD + "class Shared(Boot): pass\nAppBoot = AgentBoot = Shared"})
    agent = disk.plugin("chores", {"app/boot.py": HEAD + "class AgentBoot(Boot): pass"})
    none = disk.plugin("none", {})
    app = disk.app({"app/boot.py": HEAD + "class AppBoot(Boot): pass"})
    units = [both, agent, none, app]
    assert [(name, boot.__name__) for name, boot in find_boots(units, "AppBoot")] == [
        ("both/app/boot.py", "Shared"),
        ("app/boot.py", "AppBoot"),
    ]
    assert [name for name, _ in find_boots(units, "AgentBoot")] == ["both/app/boot.py", "chores/app/boot.py"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("class Boot2(Boot): pass", "defines neither AppBoot nor AgentBoot"),
        ("class AppBoot: pass", "AppBoot is not a subclass of Boot"),
        ("def AppBoot(app): pass", "AppBoot is not a subclass of Boot"),
        ("class AppBoot(Boot):\n def didLoad(self): pass", "AppBoot.didLoad is no hook; did you mean `did_load`?"),
        ("class AppBoot(Boot):\n def will_raedy(self): pass", "AppBoot.will_raedy is no hook; did you mean `will_ready`?"),
        (
            "class AppBoot(Boot):\n async def before_fork(self): pass",
            "AppBoot.before_fork is async, and no event loop runs around the fork",
        ),
        ("class AppBoot(Boot):\n def did_ready(self): pass", "AppBoot.did_ready must be `def did_ready(self, error)`"),
        ("class AppBoot(Boot):\n def did_load(self, app): pass", "AppBoot.did_load must be `def did_load(self)`"),
        (
            "class AppBoot(Boot):\n async def did_load(self): yield",
            "AppBoot.did_load is a generator, of which nothing would run: take out `yield`",
        ),
        (
            "class AppBoot(Boot):\n def after_fork(self): yield",
            "AppBoot.after_fork is a generator, of which nothing would run: take out `yield`",
        ),
        ("class AppBoot(Boot):\n def __init__(self): pass", "AppBoot.__init__ must be `def __init__(self, app)`"),
    ],
)
def test_a_boot_that_would_not_be_called_as_written_is_refused(disk: Disk, text: str, problem: str) -> None:
    app = disk.app({"app/boot.py": HEAD + text})
    with pytest.raises(LoadError) as caught:
        find_boots([app], "AppBoot")
    assert caught.value.problem.removeprefix(f"{app.directory / 'app/boot.py'}").lstrip(": ") == problem


def test_methods_that_are_like_no_hook_are_the_authors_own(disk: Disk) -> None:
    app = disk.app({"app/boot.py": HEAD + "class AppBoot(Boot):\n limit = 3\n def connect(self): pass\n def _did_laod(self): pass"})
    assert len(find_boots([app], "AppBoot")) == 1


def test_the_agents_boot_is_checked_with_the_applications(disk: Disk) -> None:
    app = disk.app({"app/boot.py": HEAD + "class AppBoot(Boot): pass\nclass AgentBoot: pass"})
    with pytest.raises(LoadError, match="AgentBoot is not a subclass of Boot"):
        find_boots([app], "AppBoot")


def test_the_problems_of_all_units_are_reported_at_once(disk: Disk) -> None:
    plugin = disk.plugin("cache", {"app/boot.py": ""})
    app = disk.app({"app/boot.py": ""})
    with pytest.raises(LoadError) as caught:
        find_boots([plugin, app], "AppBoot")
    assert len(caught.value.problems) == 2
