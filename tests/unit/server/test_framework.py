from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.web.edge import context

from tamago.server.framework import FrameworkTarget, NotAFrameworkError
from tamago.server.loading import ModuleMissingError
from tamago.types import AgentContext, Identity, Role, Target, TargetSpec

AGENT = AgentContext(identity=Identity(role=Role.AGENT, slot=0, generation=1, title="t", pid=1))

FRAMEWORK = """
    from tamago.types import TimedStep

    class Agent:
        log = []
        phases = ()

        @classmethod
        def load(cls, directory, *, env):
            cls.log.append((cls.__name__, directory, env))
            return cls()

        def __getattr__(self, name):
            async def hook():
                self.log.append((type(self).__name__, name))

            return hook

        def before_fork(self):
            self.log.append((type(self).__name__, "before_fork"))

        def after_fork(self):
            self.log.append((type(self).__name__, "after_fork"))

        def timed_steps(self):
            return [TimedStep(f"Load {type(self).__name__}", 2.0 if type(self) is Agent else 1.0, 0.5, 0.5)]

    class Application(Agent):
        mounts = ()
"""

Write = Callable[[str], None]


@pytest.fixture
def framework(tmp_path: Path) -> Iterator[Write]:
    path = list(sys.path)

    def write(source: str) -> None:
        (tmp_path / "acme_framework.py").write_text(textwrap.dedent(source))

    yield write
    sys.path[:] = path
    sys.modules.pop("acme_framework", None)


def target(tmp_path: Path, framework: str = "acme_framework") -> FrameworkTarget:
    made = FrameworkTarget(TargetSpec(loader="tamago.server.framework:FrameworkTarget", directory=str(tmp_path), framework=framework))
    _is_a_target: Target = made
    return made


def test_application_and_agent_are_loaded_once_and_told_of_forks(tmp_path: Path, framework: Write) -> None:
    framework(FRAMEWORK)
    made = target(tmp_path)
    made.load()
    made.before_fork()
    made.after_fork()
    assert sys.modules["acme_framework"].Agent.log == [
        ("Application", str(tmp_path), "local"),
        ("Agent", str(tmp_path), "local"),
        ("Application", "before_fork"),
        ("Agent", "before_fork"),
        ("Application", "after_fork"),
    ]


def test_the_steps_of_both_are_told_in_the_order_they_began(tmp_path: Path, framework: Write) -> None:
    framework(FRAMEWORK)
    made = target(tmp_path)
    made.load()
    assert [step.name for step in made.timed_steps()] == ["Load Application", "Load Agent"]


def test_each_moment_of_a_worker_and_of_the_agent_has_its_hook(tmp_path: Path, framework: Write) -> None:
    framework(FRAMEWORK)
    made = target(tmp_path)
    made.load()
    log = sys.modules["acme_framework"].Agent.log
    log.clear()

    async def live() -> None:
        for life in (made.worker(context()), made.agent(AGENT)):
            await life.start()
            await life.ready()
            await life.stop()

    asyncio.run(live())
    assert log == [(who, hook) for who in ("Application", "Agent") for hook in ("start", "server_ready", "close")]


@pytest.mark.parametrize(
    ("source", "missing"), [("", "Application"), ("class Application: ...", "Agent"), ("Application = 1", "Application")]
)
def test_a_module_that_is_no_framework_is_refused(tmp_path: Path, framework: Write, source: str, missing: str) -> None:
    framework(source)
    with pytest.raises(NotAFrameworkError, match=f"'acme_framework' is no framework: it has no class {missing!r}"):
        target(tmp_path).load()


def test_a_framework_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = list(sys.path)
    with pytest.raises(ModuleMissingError, match="no module 'acme_missing'"):
        target(tmp_path, "acme_missing").load()
    sys.path[:] = path
