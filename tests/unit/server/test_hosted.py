from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.web.edge import context

from tamago import hooks
from tamago.server.agent import IdleAgent
from tamago.server.hosted import HostedTarget
from tamago.server.interface import UnknownInterfaceError
from tamago.server.loading import AttributeMissingError, BadReferenceError, ModuleMissingError, NotCallableError
from tamago.server.worker import AsgiWorker
from tamago.types import AgentContext, Identity, Role, Target, TargetSpec
from tamago.user_traceback import user_traceback

Write = Callable[[str, str], None]
ASGI = "async def app(scope, receive, send): ...\n"
AGENT = AgentContext(identity=Identity(role=Role.AGENT, slot=0, generation=1, title="t", pid=1))


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write a module into the project's directory; whatever was imported from there is forgotten afterwards."""
    path, modules = list(sys.path), set(sys.modules)

    def to(name: str, source: str) -> None:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))

    yield to
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def target(tmp_path: Path, app: str | None = "main_h:app", **fields: str) -> HostedTarget:
    hosted = HostedTarget(TargetSpec(loader="tamago.server.hosted:HostedTarget", directory=str(tmp_path), app=app, **fields))
    _is_a_target: Target = hosted
    return hosted


@pytest.mark.parametrize(
    "app", ["main_h:app", "main_h", "main_h:holder.inner.app", "main_h:make", "main_h:make()", "main_h:Holder", "package_h.web:app"]
)
def test_an_application_is_found_by_its_name(tmp_path: Path, write: Write, app: str) -> None:
    write(
        "main_h.py",
        """
        async def app(scope, receive, send): ...
        class Holder:
            async def __call__(self, scope, receive, send): ...
        holder = Holder()
        holder.inner = Holder()
        holder.inner.app = app
        def make(): return app
        """,
    )
    write("package_h/__init__.py", "")
    write("package_h/web.py", ASGI)
    hosted = target(tmp_path, app)
    hosted.load()
    assert isinstance(hosted.worker(context()), AsgiWorker)


def test_the_directory_comes_first_on_the_path(tmp_path: Path, write: Write) -> None:
    write("main_h.py", ASGI)
    hosted = target(tmp_path)
    hosted.load()
    hosted.load()
    assert sys.path[0] == str(tmp_path)
    assert sys.path.count(str(tmp_path)) == 1


@pytest.mark.parametrize("app", ["", "main:1", "main:app:app", "main.py:app", "main:app(1)", ":app", "my-app:app"])
def test_a_name_that_cannot_be_one_is_refused_with_an_example(tmp_path: Path, app: str) -> None:
    with pytest.raises(BadReferenceError, match="main:app"):
        target(tmp_path, app).load()


@pytest.mark.parametrize("app", ["nowhere_h:app", "nowhere_h.web:app"])
def test_a_missing_module_is_named_with_where_it_was_looked_for(tmp_path: Path, write: Write, app: str) -> None:
    with pytest.raises(ModuleMissingError) as caught:
        target(tmp_path, app).load()
    assert "nowhere_h" in caught.value.problem
    assert str(tmp_path) in caught.value.hint


def test_a_module_missing_inside_of_the_users_module_is_their_own_error(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "import nowhere_h\n" + ASGI)
    with pytest.raises(ModuleNotFoundError) as caught:
        target(tmp_path).load()
    assert caught.value.name == "nowhere_h"


def test_a_missing_attribute_suggests_what_may_be_meant(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "from fastapi import FastAPI\nservice = FastAPI()\n")
    with pytest.raises(AttributeMissingError) as caught:
        target(tmp_path).load()
    assert caught.value.suggestions[0] == "service"
    assert caught.value.hint == "did you mean main_h:service?"
    assert "main_h.py" in caught.value.problem


def test_what_cannot_be_called_is_refused(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "app = 3\nfrom fastapi import FastAPI\napi = FastAPI()\n")
    with pytest.raises(NotCallableError, match="main_h:app is an int") as caught:
        target(tmp_path).load()
    assert "main_h:api" in caught.value.hint


def test_a_factory_that_makes_no_application_is_named(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "def app(): return None\n")
    with pytest.raises(UnknownInterfaceError, match="the factory returned"):
        target(tmp_path).load()


def test_the_interface_setting_overrides_the_guess(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "def app(*args): ...\n" + "def make(*args):\n    async def app(scope, receive, send): ...\n    return app\n")
    target(tmp_path, "main_h:app", interface="asgi").load()
    target(tmp_path, "main_h:make", interface="asgi-factory").load()


def test_an_error_of_the_users_module_comes_through_and_its_traceback_starts_at_their_code(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "from helper_h import answer\n" + ASGI)
    write("helper_h.py", "answer = 1 / 0\n")
    with pytest.raises(ZeroDivisionError) as caught:
        target(tmp_path).load()
    assert caught.value.__traceback__ is not None
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # this test's own frame
    lines = user_traceback(caught.value).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{tmp_path}/main_h.py", line 1')
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert not any("importlib" in line or "hosted.py" in line for line in lines)


def test_the_traceback_of_a_syntax_error_shows_where_it_is_and_nothing_of_ours(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "def app(:\n    pass\n")
    with pytest.raises(SyntaxError) as caught:
        target(tmp_path).load()
    text = user_traceback(caught.value)
    assert f'File "{tmp_path}/main_h.py", line 1' in text
    assert "loading.py" not in text


def test_the_traceback_shows_the_cause_as_well(tmp_path: Path, write: Write) -> None:
    write("main_h.py", "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise RuntimeError('settings') from error\n" + ASGI)
    with pytest.raises(RuntimeError) as caught:
        target(tmp_path).load()
    text = user_traceback(caught.value)
    assert "ZeroDivisionError" in text
    assert "direct cause" in text
    assert "importlib" not in text


def test_without_an_agent_the_agent_process_is_idle(tmp_path: Path, write: Write) -> None:
    write("main_h.py", ASGI)
    hosted = target(tmp_path)
    hosted.load()

    async def life() -> None:
        agent = hosted.agent(AGENT)
        assert isinstance(agent, IdleAgent)
        await agent.start()
        await agent.ready()
        await agent.stop()

    asyncio.run(life())


@pytest.mark.parametrize("agent", ["agent_h", "agent_h:Agent"])
def test_an_agent_class_is_found(tmp_path: Path, write: Write, agent: str) -> None:
    write(
        "agent_h.py",
        "events = []\nclass Agent:\n    async def start(self): events.append('start')\n    def stop(self): events.append('stop')\n",
    )
    hosted = target(tmp_path, None, agent=agent)
    hosted.load()

    async def life() -> None:
        runtime = hosted.agent(AGENT)
        await runtime.start()
        await runtime.ready()
        await runtime.stop()

    asyncio.run(life())
    assert sys.modules["agent_h"].events == ["start", "stop"]


def test_an_agent_function_is_found(tmp_path: Path, write: Write) -> None:
    write("agent_h.py", "async def agent(): ...\n")
    hosted = target(tmp_path, None, agent="agent_h")
    hosted.load()


def test_a_missing_agent_suggests_classes_that_look_like_one(tmp_path: Path, write: Write) -> None:
    write("agent_h.py", "class Chores:\n    def start(self): ...\n")
    with pytest.raises(AttributeMissingError) as caught:
        target(tmp_path, None, agent="agent_h").load()
    assert caught.value.hint == "did you mean agent_h:Chores?"


def test_fork_hooks_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_before", [])
    monkeypatch.setattr(hooks, "_after", [])
    events: list[str] = []
    for name in ("first", "second"):
        hooks.before_fork(lambda name=name: events.append(f"before {name}"))
        hooks.after_fork(lambda name=name: events.append(f"after {name}"))
    hosted = target(tmp_path)
    hosted.before_fork()
    hosted.after_fork()
    assert events == ["before second", "before first", "after first", "after second"]
