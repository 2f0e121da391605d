from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from tamago.core.boot import Boot
from tamago.core.lifecycle import BootStoppedError, CloseTimeoutError, Lifecycle, TooLateError
from tamago.core.timing import Timing

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class BrokenError(Exception):
    pass


class Recorder(Boot):
    """Writes every hook down; fails in those it was told to."""

    def __init__(self, app: Any, log: list[str], name: str = "app", fail: Sequence[str] = (), pause: int = 0) -> None:
        super().__init__(app)
        self.log, self.name, self.fail, self.pause = log, name, fail, pause

    def note(self, hook: str) -> None:
        if hook in self.fail:
            raise BrokenError(f"{self.name} {hook}")
        self.log.append(f"{hook} {self.name}")

    async def note_later(self, hook: str) -> None:
        for _ in range(self.pause):
            await asyncio.sleep(0)
        self.note(hook)

    def before_fork(self) -> None:
        self.note("before_fork")

    def after_fork(self) -> None:
        self.note("after_fork")

    def config_will_load(self) -> None:
        self.note("config_will_load")

    async def config_did_load(self) -> None:
        await self.note_later("config_did_load")

    async def did_load(self) -> None:
        await self.note_later("did_load")

    async def will_ready(self) -> None:
        await self.note_later("will_ready")

    async def did_ready(self, error: BaseException | None) -> None:
        await self.note_later("did_ready")
        if error is not None:
            self.log[-1] += f" ({error})"

    async def server_did_ready(self) -> None:
        await self.note_later("server_did_ready")

    async def before_close(self) -> None:
        await self.note_later("before_close")


def life(*boots: Boot, **options: Any) -> Lifecycle:
    return Lifecycle([(f"{getattr(boot, 'name', 'app')}/app/boot.py", boot) for boot in boots], Timing(), **options)


def recorded(log: list[str], *names: str, **options: Any) -> list[Recorder]:
    return [Recorder(None, log, name, **options) for name in names]


async def start(lifecycle: Lifecycle) -> None:
    await lifecycle.configure_will()
    await lifecycle.configure_did()
    await lifecycle.boot()


async def test_hooks_run_in_eggs_order() -> None:
    log: list[str] = []
    lifecycle = life(*recorded(log, "foo", "app"))
    lifecycle.before_fork()
    lifecycle.after_fork()
    await start(lifecycle)
    await lifecycle.server_ready()
    await lifecycle.close(60)
    assert log == [
        "before_fork app",
        "before_fork foo",
        "after_fork foo",
        "after_fork app",
        "config_will_load foo",
        "config_will_load app",
        "config_did_load foo",
        "config_did_load app",
        "did_load foo",
        "did_load app",
        "will_ready foo",
        "will_ready app",
        "did_ready foo",
        "did_ready app",
        "server_did_ready foo",
        "server_did_ready app",
        "before_close app",
        "before_close foo",
    ]


async def test_ready_does_not_wait_for_did_ready() -> None:
    log: list[str] = []
    lifecycle = life(*recorded(log, "app", pause=3))
    lifecycle.ready(lambda: log.append("ready callback"))
    await start(lifecycle)
    log.append("ready")
    await lifecycle.server_ready()
    await lifecycle.close(60)
    assert log == [
        "config_will_load app",
        "config_did_load app",
        "did_load app",
        "will_ready app",
        "ready callback",
        "ready",
        "did_ready app",
        "server_did_ready app",
        "before_close app",
    ]


@pytest.mark.parametrize(
    ("fails_in", "expected"),
    [
        ("config_will_load", []),
        ("config_did_load", ["config_will_load app"]),
        ("did_load", ["config_will_load app", "config_did_load app", "did_ready app (app did_load)", "before_close app"]),
        (
            "will_ready",
            ["config_will_load app", "config_did_load app", "did_load app", "did_ready app (app will_ready)", "before_close app"],
        ),
    ],
)
async def test_a_start_that_fails_runs_what_eggs_does(fails_in: str, expected: list[str]) -> None:
    log: list[str] = []
    lifecycle = life(*recorded(log, "app", fail=[fails_in]))
    with pytest.raises(BrokenError, match=f"app {fails_in}"):
        await start(lifecycle)
    await lifecycle.close(60)
    assert log == expected
    assert not lifecycle.ready.is_ready


async def test_whoever_waits_for_ready_gets_the_error_of_the_start() -> None:
    lifecycle = life(*recorded([], "app", fail=["did_load"]))
    waiting = asyncio.ensure_future(wait(lifecycle))  # noqa: TID251
    with pytest.raises(BrokenError):
        await start(lifecycle)
    with pytest.raises(BrokenError, match="app did_load"):
        await waiting


async def wait(lifecycle: Lifecycle) -> None:
    await lifecycle.ready()


@pytest.mark.parametrize("fails_in", ["did_ready", "server_did_ready"])
async def test_an_error_after_ready_is_told_and_stops_nothing(fails_in: str) -> None:
    log, errors = list[str](), list[Exception]()
    first, second = Recorder(None, log, "foo", fail=[fails_in]), Recorder(None, log, "app")
    lifecycle = life(first, second, on_error=errors.append)
    await start(lifecycle)
    await lifecycle.server_ready()
    assert [str(error) for error in errors] == [f"foo {fails_in}"]
    assert f"{fails_in} app" in log
    assert lifecycle.ready.is_ready


async def test_an_error_after_ready_is_logged_if_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle = life(*recorded([], "app", fail=["server_did_ready"]))
    await start(lifecycle)
    await lifecycle.server_ready()
    assert "app server_did_ready" in caplog.text
    assert "in app/app/boot.py:server_did_ready" in caplog.text


async def test_only_units_that_were_configured_are_closed() -> None:
    log: list[str] = []
    lifecycle = life(Recorder(None, log, "foo"), Recorder(None, log, "bar", fail=["config_did_load"]), Recorder(None, log, "app"))
    with pytest.raises(BrokenError):
        await start(lifecycle)
    await lifecycle.close(60)
    assert log[3:] == ["config_did_load foo", "before_close foo"]


async def test_all_units_load_at_once() -> None:
    meeting = asyncio.Barrier(3)

    class Meets(Boot):
        async def did_load(self) -> None:
            await meeting.wait()

        async def will_ready(self) -> None:
            await meeting.wait()

    await start(life(Meets(None), Meets(None), Meets(None)))


async def test_no_unit_warms_up_before_all_are_loaded() -> None:
    log: list[str] = []
    await start(life(Recorder(None, log, "slow", pause=5), Recorder(None, log, "quick")))
    assert log.index("did_load slow") < log.index("will_ready quick")


async def test_errors_of_several_hooks_come_in_a_group() -> None:
    class Fails(Boot):
        async def did_load(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise BrokenError("could not be stopped") from None

    log: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await start(life(*recorded(log, "app", fail=["did_load"]), Fails(None)))
    assert [str(error) for error in caught.value.exceptions] == ["app did_load", "could not be stopped"]
    assert log[-1].startswith("did_ready app (several steps failed")


async def test_a_hook_that_fails_stops_the_others() -> None:
    stopped: list[str] = []

    class Waits(Boot):
        async def did_load(self) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append("waits")
                raise

    with pytest.raises(BrokenError, match="app did_load") as caught:
        await start(life(Waits(None), *recorded([], "app", fail=["did_load"], pause=1)))
    assert stopped == ["waits"]
    assert caught.value.__notes__ == ["in app/app/boot.py:did_load"]


async def test_sync_and_async_hooks_are_both_run() -> None:
    log: list[str] = []

    class Mixed(Boot):
        def did_load(self) -> None:
            log.append("sync")

        async def will_ready(self) -> None:
            log.append("async")

        def before_close(self) -> None:
            log.append("closed")

    lifecycle = life(Mixed(None))
    await start(lifecycle)
    await lifecycle.close(60)
    assert log == ["sync", "async", "closed"]


async def test_the_server_is_ready_once() -> None:
    log: list[str] = []
    lifecycle = life(*recorded(log, "app"))
    await start(lifecycle)
    await lifecycle.server_ready()
    await lifecycle.server_ready()
    assert log.count("server_did_ready app") == 1


# ── boot tasks ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_start_waits_for_boot_tasks_added_before_and_while_loading() -> None:
    log: list[str] = []

    async def task() -> None:
        await asyncio.sleep(0)
        log.append("task")

    class Adds(Boot):
        async def did_load(self) -> None:
            lifecycle.add_boot_task("late", task)

        async def will_ready(self) -> None:
            log.append("will_ready")

    lifecycle = life(Adds(None))
    lifecycle.add_boot_task("early", task)
    await start(lifecycle)
    assert log == ["task", "task", "will_ready"]


async def test_a_boot_task_that_fails_fails_the_start() -> None:
    async def task() -> None:
        raise BrokenError("no cache")

    lifecycle = life()
    lifecycle.add_boot_task("cache", task)
    with pytest.raises(BrokenError) as caught:
        await start(lifecycle)
    assert caught.value.__notes__ == ["in cache"]


async def test_a_boot_task_comes_too_late_after_did_load() -> None:
    async def task() -> None:
        pass

    class Late(Boot):
        def will_ready(self) -> None:
            lifecycle.add_boot_task("cache", task)

    lifecycle = life(Late(None))
    with pytest.raises(TooLateError, match="the boot task cache was added after `did_load`"):
        await start(lifecycle)


# ── the timeline, slow hooks, a start that is given up ──────────────────────────────────────────────────────────────


async def test_hooks_are_timed_under_eggs_names() -> None:
    class Hooks(Boot):
        def did_load(self) -> None:
            pass

        def will_ready(self) -> None:
            pass

    async def task() -> None:
        pass

    timing = Timing()
    timing.clear()
    lifecycle = Lifecycle([("plugins/foo/app/boot.py", Hooks(None))], timing)
    lifecycle.add_boot_task("cache", task)
    await start(lifecycle)
    assert [item["name"] for item in timing.to_list()] == [
        "Did Load in plugins/foo/app/boot.py:did_load",
        "Before Start in cache",
        "Will Ready in plugins/foo/app/boot.py:will_ready",
    ]


class Until(Boot):
    """Loads until somebody says in the log that it takes long."""

    name = "slow"

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.noticed = threading.Event()
        self.unfinished: list[str] = []

    def handler(self) -> logging.Handler:
        handler = logging.Handler()
        handler.emit = lambda record: self.notice(record.getMessage())  # type: ignore[method-assign]
        return handler

    def notice(self, message: str) -> None:
        self.message = message
        self.noticed.set()


class BlocksUntil(Until):
    def did_load(self) -> None:
        assert self.noticed.wait(60)


class WaitsUntil(Until):
    async def did_load(self) -> None:
        assert await asyncio.to_thread(self.noticed.wait, 60)


@pytest.mark.parametrize("boot", [BlocksUntil, WaitsUntil])
async def test_a_slow_hook_is_named_while_it_runs_even_if_it_blocks_the_loop(boot: type[Until]) -> None:
    slow = boot(None)
    log = logging.getLogger("test.lifecycle")
    handler = slow.handler()
    log.addHandler(handler)
    try:
        await start(life(slow, slow_after=0.01, log=log))
    finally:
        log.removeHandler(handler)
    assert slow.message == "after 0.01 s slow/app/boot.py:did_load has not finished"


async def test_a_start_that_is_given_up_says_what_did_not_finish() -> None:
    reached = asyncio.Event()

    class Hangs(Boot):
        async def did_load(self) -> None:
            reached.set()
            await asyncio.Event().wait()

    lifecycle = life(Hangs(None), *recorded([], "app"))
    task = asyncio.create_task(lifecycle.boot())
    await reached.wait()
    await asyncio.sleep(0)
    assert lifecycle.unfinished() == ["app/app/boot.py:did_load"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.unfinished() == ["app/app/boot.py:did_load"]
    assert isinstance(lifecycle.ready.error, BootStoppedError)
    assert "unfinished: app/app/boot.py:did_load" in lifecycle.ready.error.problem


async def test_nothing_is_unfinished_after_a_start() -> None:
    lifecycle = life(*recorded([], "foo", "app"))
    await start(lifecycle)
    await lifecycle.close(60)
    assert lifecycle.unfinished() == []


# ── close ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_callbacks_and_hooks_are_closed_in_reverse_order_of_their_registration() -> None:
    log: list[str] = []

    class Opens(Recorder):
        async def did_load(self) -> None:
            lifecycle.before_close(self.shut)

        async def shut(self) -> None:
            log.append("shut")

    lifecycle = life(Opens(None, log, "app"))

    @lifecycle.before_close
    def framework() -> None:
        log.append("framework")

    await start(lifecycle)
    await lifecycle.close(60)
    assert log[-3:] == ["shut", "before_close app", "framework"]


async def test_every_one_is_closed_even_if_one_fails_and_the_error_comes_after() -> None:
    log: list[str] = []
    lifecycle = life(Recorder(None, log, "foo"), Recorder(None, log, "bar", fail=["before_close"]), Recorder(None, log, "app"))
    await start(lifecycle)
    with pytest.raises(BrokenError, match="bar before_close"):
        await lifecycle.close(60)
    assert log[-2:] == ["before_close app", "before_close foo"]


async def test_several_errors_of_a_close_come_in_a_group() -> None:
    lifecycle = life(*recorded([], "foo", "app", fail=["before_close"]))
    await start(lifecycle)
    with pytest.raises(ExceptionGroup) as caught:
        await lifecycle.close(60)
    assert [str(error) for error in caught.value.exceptions] == ["app before_close", "foo before_close"]


class Obeys(Boot):
    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.released = asyncio.Event()

    async def before_close(self) -> None:
        await self.released.wait()


class Refuses(Obeys):
    async def before_close(self) -> None:
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            await self.released.wait()


@pytest.mark.parametrize("hanging", [Obeys, Refuses])
async def test_a_close_that_hangs_is_given_up_and_the_others_have_their_turn(hanging: type[Obeys]) -> None:
    log: list[str] = []
    hangs = hanging(None)
    lifecycle = life(Recorder(None, log, "foo"), hangs)
    await start(lifecycle)
    with pytest.raises(CloseTimeoutError) as caught:
        await lifecycle.close(0.01)
    assert caught.value.problem == "app/app/boot.py:before_close did not finish within 0.01 s and was cancelled"
    assert log[-1] == "before_close foo"
    hangs.released.set()
    if left := [task for task in asyncio.all_tasks() if task.get_name().endswith(":before_close")]:
        await asyncio.wait(left)


async def test_a_second_close_waits_for_the_first_and_ends_as_it_does() -> None:
    log: list[str] = []
    lifecycle = life(Recorder(None, log, "app", pause=3), Recorder(None, log, "foo", fail=["before_close"]))
    await start(lifecycle)
    results = await asyncio.gather(lifecycle.close(60), lifecycle.close(60), return_exceptions=True)
    assert [type(result) for result in results] == [BrokenError, BrokenError]
    assert log.count("before_close app") == 1
    with pytest.raises(BrokenError):
        await lifecycle.close(60)


async def test_a_close_is_not_stopped_by_whoever_gave_up_waiting_for_it() -> None:
    log: list[str] = []
    lifecycle = life(*recorded(log, "app", pause=3))
    await start(lifecycle)
    impatient = asyncio.create_task(lifecycle.close(60))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await lifecycle.close(60)
    assert log[-1] == "before_close app"


async def test_nothing_can_be_registered_once_closing_began() -> None:
    lifecycle = life()
    await lifecycle.close(60)
    with pytest.raises(TooLateError, match="while the application was closing"):
        lifecycle.before_close(gc.collect)


async def test_a_did_ready_that_hangs_does_not_keep_the_process() -> None:
    class Hangs(Boot):
        async def did_ready(self, error: BaseException | None) -> None:
            await asyncio.Event().wait()

    log: list[str] = []
    lifecycle = life(Hangs(None), *recorded(log, "app"))
    await start(lifecycle)
    await lifecycle.close(0.01)
    assert log[-1] == "before_close app"


def test_an_error_before_the_fork_comes_through() -> None:
    with pytest.raises(BrokenError):
        life(*recorded([], "app", fail=["before_fork"])).before_fork()
