"""A cluster inside of somebody else's program, through `tamago.Cluster` alone."""

from __future__ import annotations

import subprocess
import sys

from tests.process.site import Site

_PROGRAM = """
import asyncio, os, sys
from tamago import Cluster
from tamago.cluster import events
from tamago.cluster.settings import Settings

def say(*parts):
    # One write: the cluster's processes write to the same pipe.
    os.write(1, (" ".join(map(str, parts)) + "\\n").encode())

async def main():
    cluster = Cluster(Settings(app="main:app", directory=os.getcwd(), workers=2, port=0, title=sys.argv[1]))
    cluster.ready(lambda: say("callback: ready"))
    seen = []
    for kind in (events.ProcessForked, events.ProcessBooted, events.ProcessExited):
        cluster.on(kind, lambda event: seen.append(type(event).__name__))
    await cluster.start()
    await cluster.ready()
    say("started on", *cluster.addresses)
    # Its own children are its own business.
    own = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
    say("own child:", await own.wait())
    say("reload:", await cluster.reload())
    say("scale:", await cluster.scale(3))
    own = await asyncio.create_subprocess_exec("sh", "-c", "exit 8")
    ended = await cluster.stop()
    say("own child:", await own.wait())
    say("stopped with", ended.code)
    say("events:", sorted(set(seen)), seen.count("ProcessForked"))

asyncio.run(main())
"""

_FAILING = """
import asyncio, os, sys
from tamago import Cluster
from tamago.cluster.settings import Settings
from tamago.errors import TamagoError

def say(*parts):
    # One write: the cluster's processes write to the same pipe.
    os.write(1, (" ".join(map(str, parts)) + "\\n").encode())

async def main():
    cluster = Cluster(Settings(app="main:app", directory=os.getcwd(), workers=2, port=0, title=sys.argv[1]))
    cluster.ready(lambda error: say("callback:", type(error).__name__))
    try:
        await cluster.start()
    except TamagoError as error:
        say("failed:", error.problem)
        say("detail:", "Traceback" in error.detail)

asyncio.run(main())
"""


def run(site: Site, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, which is when nobody holds its output any more."""
    return subprocess.run(
        [sys.executable, "-c", program, site.title],
        cwd=site.app,
        env=site.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_program_starts_watches_reloads_scales_and_stops_a_cluster(site: Site) -> None:
    result = run(site, _PROGRAM)
    assert result.returncode == 0, result.stderr
    said = [line for line in result.stdout.splitlines() if not line.startswith("@")]
    assert said[0] == "callback: ready"
    assert said[1].startswith("started on http://127.0.0.1:")
    assert said[2] == "own child: 7"
    assert said[3] == "reload: generation 2 serves"
    assert said[4] == "scale: 3 workers"
    assert said[5] == "own child: 8"
    assert said[6] == "stopped with 0"
    assert said[7] == "events: ['ProcessBooted', 'ProcessExited', 'ProcessForked'] 9"
    assert not site.sockets()


def test_a_program_is_told_why_a_cluster_does_not_start_and_lives_on(site: Site) -> None:
    site.write("main.py", "raise RuntimeError('no database')\n")
    result = run(site, _FAILING)
    assert result.returncode == 0, result.stderr
    assert "failed: the application cannot be imported: RuntimeError: no database" in result.stdout
    assert "detail: True" in result.stdout
    assert "callback: StartFailedError" in result.stdout
    assert not site.sockets()
