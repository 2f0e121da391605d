from __future__ import annotations

import asyncio

import pytest

from tamago.server.agent import AgentEndedError, AmbiguousHookError, HostedAgent, NotAnAgentError, make_agent
from tamago.types import AgentRuntime


async def live(agent: HostedAgent) -> None:
    runtime: AgentRuntime = agent
    await runtime.start()
    await runtime.ready()
    await runtime.stop()


def test_all_hooks_of_egg_run_in_eggs_order() -> None:
    events: list[str] = []

    class Agent:
        def config_did_load(self) -> None:
            events.append("config_did_load")

        async def did_load(self) -> None:
            events.append("did_load")

        async def will_ready(self) -> None:
            events.append("will_ready")

        def did_ready(self) -> None:
            events.append("did_ready")

        async def server_did_ready(self) -> None:
            events.append("server_did_ready")

        async def before_close(self) -> None:
            events.append("before_close")

    asyncio.run(live(make_agent("x", Agent)))
    assert events == ["config_did_load", "did_load", "will_ready", "did_ready", "server_did_ready", "before_close"]


def test_simple_names_stand_for_eggs() -> None:
    events: list[str] = []

    class Agent:
        async def start(self) -> None:
            events.append("start")

        def ready(self) -> None:
            events.append("ready")

        async def stop(self) -> None:
            events.append("stop")

    asyncio.run(live(make_agent("x", Agent)))
    assert events == ["start", "ready", "stop"]


def test_an_object_with_hooks_will_do() -> None:
    events: list[str] = []

    class Agent:
        def __init__(self, name: str) -> None:
            self.name = name

        def ready(self) -> None:
            events.append(self.name)

    asyncio.run(live(make_agent("x", Agent("chores"))))
    assert events == ["chores"]


@pytest.mark.parametrize(("simple", "egg"), [("start", "will_ready"), ("ready", "server_did_ready"), ("stop", "before_close")])
def test_two_names_for_one_moment_are_refused(simple: str, egg: str) -> None:
    agent = type("Agent", (), {simple: lambda self: None, egg: lambda self: None})
    with pytest.raises(AmbiguousHookError) as caught:
        make_agent("agent:Agent", agent)
    assert caught.value.hooks == (simple, egg)


def no_agent() -> None: ...


async def greedy(app: object) -> None: ...


class NeedsArguments:
    def __init__(self, app: object) -> None: ...

    def start(self) -> None: ...


class NoHooks: ...


@pytest.mark.parametrize("agent", [no_agent, greedy, NeedsArguments, NoHooks])
def test_what_is_no_agent_is_refused(agent: object) -> None:
    with pytest.raises(NotAnAgentError, match="agent:x cannot be the agent"):
        make_agent("agent:x", agent)


def test_an_error_in_a_boot_hook_is_the_boots() -> None:
    class Agent:
        def start(self) -> None:
            raise ValueError("no cache")

    with pytest.raises(ValueError, match="no cache"):
        asyncio.run(live(make_agent("x", Agent)))


def test_a_function_runs_from_ready_until_it_is_cancelled() -> None:
    async def main() -> None:
        events: list[str] = []
        running = asyncio.Event()

        async def agent() -> None:
            events.append("running")
            running.set()
            try:
                await asyncio.Event().wait()
            finally:
                events.append("finished")

        runtime = make_agent("x", agent)
        await runtime.start()
        await asyncio.sleep(0)
        assert events == []
        await runtime.ready()
        await running.wait()
        await runtime.stop()
        assert events == ["running", "finished"]
        assert runtime.failed is not None
        assert not runtime.failed.done()

    asyncio.run(main())


def test_a_function_that_fails_is_told_through_failed() -> None:
    async def main() -> None:
        async def agent() -> None:
            raise ValueError("lost the feed")

        runtime = make_agent("agent:agent", agent)
        await runtime.start()
        await runtime.ready()
        assert runtime.failed is not None
        with pytest.raises(AgentEndedError, match="agent:agent") as caught:
            await runtime.failed
        assert str(caught.value.__cause__) == "lost the feed"

    asyncio.run(main())


def test_a_function_that_returns_has_not_failed() -> None:
    async def main() -> None:
        async def agent() -> None: ...

        runtime = make_agent("x", agent)
        await runtime.start()
        await runtime.ready()
        await runtime.stop()
        assert runtime.failed is not None
        assert not runtime.failed.done()

    asyncio.run(main())


def test_an_error_while_a_function_finishes_is_raised_by_stop() -> None:
    async def main() -> None:
        running = asyncio.Event()

        async def agent() -> None:
            running.set()
            try:
                await asyncio.Event().wait()
            finally:
                raise ValueError("could not save")

        runtime = make_agent("x", agent)
        await runtime.start()
        await runtime.ready()
        await running.wait()
        with pytest.raises(ValueError, match="could not save"):
            await runtime.stop()

    asyncio.run(main())
