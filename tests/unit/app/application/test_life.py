"""The life of a whole application: hooks in order over plugin, framework and application, failures, and the end (Egg 3.1 to 3.6)."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from tests.unit.app.application.project import HOOKS, Project, boot, open_files
from tests.web.edge import until

from tamago.app import Agent, Application
from tamago.core.lifecycle import BootStoppedError, CloseTimeoutError
from tamago.errors import TamagoError

pytestmark = pytest.mark.anyio

UNITS = ("one", "acme", "app")
BEFORE_LOAD = ("constructor", "config_will_load", "config_did_load")


@pytest.fixture
def framework(site: Project) -> type[Application]:
    """A plugin, a framework and the application, all of which tell of their hooks."""
    site.plugin("one", {"app/boot.py": HOOKS})
    site.enable("one")
    site.write({"app/boot.py": HOOKS})
    return site.framework("acme", {"app/boot.py": HOOKS})


def fail(site: Project, unit: str, *hooks: str) -> None:
    """Have hooks of a unit fail."""
    source = HOOKS.replace("fails = ()", f"fails = {hooks!r}")
    place = site.directory if unit == "app" else site.libraries / unit
    (place / "app/boot.py").write_text(source)


def each(*hooks: str) -> list[tuple[str, str]]:
    return [(hook, unit) for hook in hooks for unit in UNITS]


def closes(*units: str) -> list[tuple[str, str]]:
    return [("before_close", unit) for unit in units]


# ── all goes well ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_hooks_run_in_the_order_of_the_units_and_close_in_reverse(site: Project, framework: type[Application]) -> None:
    app = site.load(framework)
    assert app.told == each("constructor")
    app.before_fork()
    app.after_fork()
    await app.start()
    await app.server_ready()
    await app.server_ready()
    await app.close()
    assert app.told == [
        *each("constructor"),
        *reversed(each("before_fork")),
        *each("after_fork", "config_will_load", "config_did_load", "did_load", "will_ready", "did_ready", "server_did_ready"),
        *closes("app", "acme", "one"),
    ]
    assert app.got is None


async def test_the_agent_has_the_same_life_with_hooks_of_its_own(site: Project) -> None:
    site.write({"app/boot.py": HOOKS})
    async with site.agent() as agent:
        assert [hook for hook, _ in agent.told][-1] == "server_did_ready"
    assert agent.told[-1] == ("before_close", "app")


async def test_ready_tells_those_who_asked_before_and_after(site: Project) -> None:
    site.write({"app/boot.py": boot("async def will_ready(self):\n    self.app.seen = self.app.ready.is_ready")})
    app, told = site.load(), list[Any]()
    app.ready(lambda: told.append("before"))
    waiting = asyncio.create_task(asyncio.wait_for(app.ready(), 10))
    await app.start()
    app.ready(lambda: told.append("after"))
    await waiting
    await app.ready()
    assert (app.seen, told, app.ready.is_ready) == (False, ["before", "after"], True)
    await app.close()


async def test_did_ready_is_not_waited_for(site: Project) -> None:
    site.write({"app/boot.py": boot("async def did_ready(self, error):\n    await self.app.gate.wait()\n    self.app.through = True")})
    app = site.load()
    app.gate, app.through = asyncio.Event(), False
    await app.start()
    assert not app.through
    app.gate.set()
    await app.server_ready()
    assert app.through
    await app.close()


async def test_a_boot_class_can_use_the_whole_application_in_its_constructor(site: Project) -> None:
    body = """
    def __init__(self, app):
        super().__init__(app)
        app.done = []
        app.ready(lambda: app.done.append("ready"))
        app.on("server", lambda app: app.done.append("server"))
        app.before_close(lambda: app.done.append("closed"))
        app.add_boot_task("warm", self.warm)

    async def warm(self):
        self.app.done.append("warm")
    """
    site.write({"app/boot.py": boot(body)})
    async with site.running() as app:
        assert app.done == ["warm", "ready", "server"]
    assert app.done[-1] == "closed"


async def test_boot_tasks_are_waited_for_and_a_failed_one_ends_the_start(site: Project) -> None:
    site.write(
        {"app/boot.py": boot("def config_did_load(self):\n    self.app.add_boot_task('db', self.fill)\nasync def fill(self):\n    1 / 0")}
    )
    app = site.load()
    with pytest.raises(ZeroDivisionError) as caught:
        await app.start()
    assert "in db" in caught.value.__notes__


async def test_close_tells_once_however_often_it_is_asked(site: Project) -> None:
    told: list[str] = []
    async with site.running() as app:
        app.on("close", lambda: told.append("close"))
        app.before_close(lambda: told.append("before_close"))
        await asyncio.gather(app.close(), app.close())
    assert told == ["close", "before_close"]


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        ("config_will_load", [("config_will_load", "one"), ("config_will_load", "acme")]),
        (
            "config_did_load",
            [*each("config_will_load"), ("config_did_load", "one"), ("config_did_load", "acme"), *closes("one")],
        ),
        ("did_load", [*each("config_will_load", "config_did_load", "did_load", "did_ready"), *closes("app", "acme", "one")]),
        (
            "will_ready",
            [*each("config_will_load", "config_did_load", "did_load", "will_ready", "did_ready"), *closes("app", "acme", "one")],
        ),
    ],
)
async def test_a_hook_that_fails_ends_the_start(
    site: Project, framework: type[Application], hook: str, expected: list[tuple[str, str]]
) -> None:
    fail(site, "acme", hook)
    app = site.load(framework)
    with pytest.raises(LookupError, match=f"{hook} failed") as caught:
        await app.start()
    assert caught.value.__notes__ == [f"in acme/app/boot.py:{hook}"]
    # What runs together is started together: the units after the one that failed may or may not have begun.
    told = [item for item in app.told[3:] if item != (hook, "app")]
    assert told == [item for item in expected if item != (hook, "app")]
    if ("did_ready", "app") in expected:
        assert app.got is caught.value


@pytest.mark.parametrize("hook", ["config_will_load", "config_did_load", "did_load", "will_ready"])
async def test_whoever_waits_for_ready_gets_the_error_of_a_failed_start(site: Project, framework: type[Application], hook: str) -> None:
    fail(site, "app", hook)
    app, told = site.load(framework), list[Any]()
    app.ready(told.append)
    waiting = asyncio.create_task(asyncio.wait_for(app.ready(), 10))
    await asyncio.sleep(0)
    with pytest.raises(LookupError) as caught:
        await app.start()
    assert told == [caught.value]
    with pytest.raises(LookupError):
        await waiting
    with pytest.raises(LookupError):
        await app.ready()


async def test_whoever_waits_for_ready_hears_of_a_broken_configuration(site: Project) -> None:
    site.configure(logger={"level": "LOUD"})
    app, told = site.load(), list[Any]()
    app.ready(told.append)
    with pytest.raises(Exception, match=r"logger\.level") as caught:
        await app.start()
    assert told == [caught.value]


async def test_several_hooks_that_fail_together_are_all_told(site: Project, framework: type[Application]) -> None:
    for unit in UNITS:
        fail(site, unit, "did_load")
    with pytest.raises(ExceptionGroup) as caught:
        await site.load(framework).start()
    assert len(caught.value.exceptions) == 3


@pytest.mark.parametrize("hook", ["did_ready", "server_did_ready"])
async def test_hooks_after_ready_that_fail_are_errors_and_no_end(site: Project, framework: type[Application], hook: str) -> None:
    fail(site, "acme", hook)
    errors: list[Any] = []
    app = site.load(framework)
    app.on("error", lambda error, ctx: errors.append((str(error), ctx)))
    await app.start()
    await app.server_ready()
    assert errors == [(f"{hook} failed", None)]
    assert app.told[-3:] == each("server_did_ready")
    await app.close()


async def test_a_before_close_that_fails_keeps_no_other_from_its_turn(site: Project, framework: type[Application]) -> None:
    fail(site, "acme", "before_close")
    app = site.load(framework)
    await app.start()
    with pytest.raises(LookupError, match="before_close failed"):
        await app.close()
    with pytest.raises(LookupError, match="before_close failed"):
        await app.close()
    assert app.told[-3:] == closes("app", "acme", "one")
    assert str(site.directory) not in " ".join(open_files()), "a log file is still open"


async def test_a_before_close_that_hangs_is_cut_off_and_named(site: Project) -> None:
    site.configure(close_timeout=0.01)
    site.write({"app/boot.py": boot("async def before_close(self):\n    await asyncio.Event().wait()")})
    app = site.load()
    closed: list[int] = []
    app.before_close(lambda: closed.append(1))
    await app.start()
    with pytest.raises(CloseTimeoutError, match=r"app/boot\.py:before_close did not finish"):
        await app.close()
    assert closed == [1]


async def test_a_start_that_is_given_up_says_what_it_waited_for_and_closes(
    site: Project, framework: type[Application], caplog: pytest.LogCaptureFixture
) -> None:
    (site.directory / "app/boot.py").write_text(
        HOOKS.replace(
            "async def will_ready(self): self.tell", "async def will_ready(self):\n        await self.app.gate.wait()\n        self.tell"
        )
    )
    app = site.load(framework)
    app.gate = asyncio.Event()
    starting = asyncio.create_task(app.start())
    await until(lambda: "app/boot.py:will_ready" in app.progress().partition("\n")[0])
    assert "start timeline:" in app.progress()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert "the start was stopped: unfinished: app/boot.py:will_ready" in caplog.text
    assert isinstance(app.ready.error, BootStoppedError)
    assert app.told[-3:] == closes("app", "acme", "one")


# ── nothing is left ──────────────────────────────────────────────────────────────────────────────────────────────────


def leavings(site: Project) -> tuple[set[str], set[asyncio.Task[Any]], list[str]]:
    """Return files, tasks and handlers that an application could leave behind."""
    files = {name for name in open_files() if name.startswith(str(site.directory))}
    return files, asyncio.all_tasks() - {asyncio.current_task()}, [repr(handler) for handler in logging.getLogger().handlers]


def ended(before: set[threading.Thread]) -> None:
    """Wait until no thread is left but those from before; they end on their own, some after they were told to."""
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert not [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]


def test_loading_makes_nothing_that_must_not_be_forked(site: Project, framework: type[Application]) -> None:
    files, threads = open_files(), set(threading.enumerate())
    site.controller("def index(self):\n    return 'sync'", "router.get('/', 'home.index')")
    app = site.load(framework)
    app.before_fork()
    agent = Agent.load(site.directory)
    agent.before_fork()
    assert open_files() == files
    assert set(threading.enumerate()) == threads
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    assert not (site.directory / "logs").exists()


async def test_an_application_leaves_nothing_behind(site: Project, framework: type[Application]) -> None:
    before, threads = leavings(site), set(threading.enumerate())
    site.configure(logger={"buffer": True})
    site.controller("def index(self):\n    self.logger.info('hello')\n    return 'sync'", "router.get('/', 'home.index')")
    async with site.running(framework) as app:
        ctx = app.create_anonymous_context()
        await asyncio.create_task(app.handle(ctx.exchange))
        assert ctx.exchange.answer.data == b"sync"
        assert set(threading.enumerate()) != threads
        app.logger.info("text")
    assert leavings(site) == before
    ended(threads)


@pytest.mark.parametrize("where", ["config_will_load", "config_did_load", "did_load", "will_ready", "router", "middleware", "logger"])
async def test_a_failed_start_leaves_nothing_behind(site: Project, framework: type[Application], where: str) -> None:
    before, threads = leavings(site), set(threading.enumerate())
    body = """
    async def did_load(self):
        self.app.run_in_background(self.forever)
        self.logger.info("text")

    async def forever(self, ctx):
        await asyncio.Event().wait()
    """
    site.write({"app/boot.py": boot(body)})
    options: dict[str, object] = {"logger": {"buffer": True}, "close_timeout": 0.01}
    if where == "router":
        site.router("router.get('/', 'nowhere.index')")
    elif where == "middleware":
        options["middleware"] = ["nowhere"]
    elif where == "logger":
        (site.directory / "logs").write_text("no directory")
        options["logger"] = {"buffer": True, "dir": "logs"}
    else:
        fail(site, "acme", where)
    site.configure(**options)
    app = site.load(framework)
    with pytest.raises(Exception, match=r"."):
        await app.start()
    assert leavings(site) == before
    ended(threads)


@pytest.mark.parametrize("ended", [False, True])
async def test_an_application_is_started_once(site: Project, ended: bool) -> None:
    async with site.running() as app:
        if ended:
            await app.close()
        with pytest.raises(TamagoError, match="was started already") as caught:
            await app.start()
        assert "Application.load" in caught.value.hint
        assert app.ready.is_ready


async def test_an_application_whose_start_failed_is_loaded_anew(site: Project, framework: type[Application]) -> None:
    fail(site, "app", "did_load")
    app = site.load(framework)
    with pytest.raises(LookupError):
        await app.start()
    with pytest.raises(TamagoError, match="was started already"):
        await app.start()


async def test_applications_can_follow_each_other_in_one_process(site: Project, framework: type[Application]) -> None:
    for _ in range(2):
        async with site.running(framework) as app:
            assert app.ready.is_ready
    first = site.load(framework)
    await first.start()
    await first.close()
    with pytest.raises(Exception, match=r"closing|closed"):
        first.before_close(print)
