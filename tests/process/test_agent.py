"""The agent: one process for what must happen once, whatever it is made of."""

from __future__ import annotations

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.site import Site

_JOB = """
import asyncio
from report import say

class Agent:
    async def ready(self):
        self.task = asyncio.get_running_loop().create_task(self.work())

    async def work(self):
        for number in range(1000):
            say("job", number=number)
            await asyncio.sleep(0.02)  # app under test

    async def stop(self):
        self.task.cancel()
        say("agent-stop")
"""


def test_agent_runs_job_once_with_n_workers(site: Site, start: Start) -> None:
    site.write("agent.py", _JOB)
    cluster = start(workers=4)
    cluster.expect(r"@job .*number=20")
    jobs = [(match[1], match[2]) for match in cluster.output.found(r"@job role=(\w+) .*pid=(\d+)")]
    assert set(jobs) == {("agent", str(cluster.pid_of("agent")))}
    numbers = [match[1] for match in cluster.output.found(r"@job .*number=(\d+)")]
    assert len(numbers) == len(set(numbers)), "each once"


def test_the_job_goes_on_in_the_next_agent_when_this_one_dies(site: Site, start: Start) -> None:
    site.write("agent.py", _JOB)
    cluster = start()
    cluster.expect("@job")
    cluster.output.mark()
    old = cluster.pid_of("agent")
    proc.end(old)
    cluster.expect(r"@job .*number=3")
    assert cluster.pid_of("agent") != old


def test_every_hook_of_egg_runs_once_and_in_order(site: Site, start: Start) -> None:
    hooks = ["config_did_load", "did_load", "will_ready", "did_ready", "server_did_ready", "before_close"]
    methods = "".join(f"    async def {hook}(self):\n        say('hook', name='{hook}')\n" for hook in hooks)
    site.write("agent.py", f"from report import say\nclass Agent:\n{methods}")
    cluster = start()
    cluster.expect("@hook .*name=server_did_ready")
    cluster.stop()
    assert [match[1] for match in cluster.output.found(r"@hook role=agent .*name=(\w+)")] == hooks


def test_an_async_function_is_an_agent_that_runs_until_the_stop_cancels_it(site: Site, start: Start) -> None:
    site.write(
        "agent.py",
        "import asyncio\nfrom report import say\n"
        "async def agent():\n    say('running')\n    try:\n        await asyncio.Event().wait()\n    finally:\n        say('cancelled')\n",
    )
    cluster = start()
    cluster.expect("@running role=agent")
    cluster.stop()
    assert cluster.output.found("@cancelled role=agent")


def test_an_agent_function_that_fails_is_shown_and_started_again(site: Site, start: Start) -> None:
    site.write(
        "agent.py",
        """
import asyncio
from pathlib import Path
from report import say

async def agent():
    if not Path("failed").exists():
        Path("failed").touch()
        raise OSError("the queue is gone")
    say("running")
    await asyncio.Event().wait()
""",
    )
    cluster = start()
    cluster.expect("OSError: the queue is gone")
    cluster.expect("@running role=agent")
    assert cluster.get().text == "hello"


def test_an_agent_is_named_with_a_flag(site: Site, start: Start) -> None:
    site.use("chores", as_="background")
    cluster = start("--agent", "background:Agent")
    cluster.expect("@agent-ready")


@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_an_agent_that_crash_loops_leaves_the_workers_alone(site: Site, start: Start, preload: bool) -> None:
    site.write(
        "agent.py",
        "from pathlib import Path\nimport os\nclass Agent:\n    async def start(self):\n        Path('crash').exists() and os._exit(3)\n",
    )
    cluster = start(*(() if preload else ("--no-preload",)))
    workers = cluster.workers()
    site.write("crash", "")
    cluster.output.mark()
    proc.end(cluster.pid_of("agent"))
    cluster.expect(r"agent .*next try in 0\.\d s")
    cluster.expect(r"agent .*next try in [01]\.\d s", count=2)
    assert cluster.workers() == workers
    assert cluster.get().text == "hello"
    (site.app / "crash").unlink()
    cluster.expect("@ready role=agent")
