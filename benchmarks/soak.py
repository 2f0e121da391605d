"""Faults at random under load, every one to three seconds: nothing wrong is answered, nothing leaks, all is as it should be in the end."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from benchmarks import procfs
from benchmarks.chaos import HANG_TIMEOUT, Chaos
from benchmarks.paths import APPS
from benchmarks.soak_load import SoakLoad

WORKERS = 3
TITLE = "soak"
# Of memory; descriptors and threads must be the very same.
TOLERANCE = 0.10
WARM_UP = 0.2  # of the time, before the first count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=None, help="of the faults; printed, so that a run can be had again")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default: 100)")


def run(arguments: argparse.Namespace) -> int:
    """Run it; return the exit code: 0 if all was well."""
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="tamago-soak-"))
    log = home / "log"
    try:
        problems = _soak(home, log, random.Random(seed), arguments.minutes * 60, arguments.rate)
    except BaseException:
        print(f"seed {seed}; the log is {log}")
        raise
    if problems:
        print("\n".join([*problems, f"seed {seed}; the log is {log}"]))
        return 1
    shutil.rmtree(home)
    return 0


def _soak(home: Path, log: Path, random_: random.Random, seconds: float, rate: float) -> list[str]:
    master = _start(home, log)
    try:
        port = _port(master, log)
        chaos = Chaos(random_, home=home / "tamago", title=TITLE, master=master.pid, port=port, workers=WORKERS)
        problems = asyncio.run(_under_load(chaos, random_, master.pid, port, seconds, rate))
        master.send_signal(signal.SIGTERM)
        if code := master.wait(60):
            problems.append(f"the stop ended with {code}")
    finally:
        for process in procfs.tree(master.pid) if master.poll() is None else []:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    text = log.read_text(errors="replace")
    return problems + [f"in the log: {line}" for line in re.findall(r".*a bug in tamago.*|Exception in callback.*|Task exception.*", text)]


def _start(home: Path, log: Path) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "TAMAGO_HOME": str(home / "tamago")}
    flags = ["--app", "soak:app", "--workers", str(WORKERS), "--port", "0", "--title", TITLE, "--hang-timeout", str(HANG_TIMEOUT)]
    command = [sys.executable, "-m", "tamago", "start", *flags, "--stop-timeout", "5"]
    with log.open("wb") as out:
        return subprocess.Popen(command, cwd=APPS, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)


def _port(master: subprocess.Popen[bytes], log: Path) -> int:
    while not (found := re.search(r"is ready on http://127\.0\.0\.1:(\d+)", log.read_text())):
        if master.poll() is not None:
            raise RuntimeError(log.read_text())
        select.select([], [], [], 0.05)
    return int(found[1])


async def _under_load(chaos: Chaos, random_: random.Random, master: int, port: int, seconds: float, rate: float) -> list[str]:
    load = SoakLoad(port, rate=rate, clients=12)
    began = time.monotonic()
    await _faults(chaos, random_, began + seconds * WARM_UP)
    before = await _count(chaos, master)
    await _faults(chaos, random_, began + seconds)
    after = await _count(chaos, master)
    await load.stop()
    unexcused = [lost for lost in load.lost if not (lost.in_flight and chaos.is_excused(lost.at))]
    print(f"{load.answered} answered, {len(load.lost)} lost, {len(unexcused)} of them without excuse, {len(load.wrong)} wrong")
    print(", ".join(f"{count} times {name.replace('_', ' ')}" for name, count in sorted(chaos.done.items())))
    print(f"master before: {before}; after: {after}", flush=True)
    problems = [f"wrong: {each}" for each in load.wrong[:20]]
    problems += [f"lost without excuse {each.at - began:.1f} s after the beginning: {each.how}" for each in unexcused[:20]]
    problems += [f"{name}: {before[name]} before, {after[name]} after" for name in ("descriptors", "threads") if after[name] > before[name]]
    if after["memory"] > before["memory"] * (1 + TOLERANCE):
        problems.append(f"the master's memory grew from {before['memory']:,} to {after['memory']:,} bytes")
    return problems


async def _faults(chaos: Chaos, random_: random.Random, until: float) -> None:
    while time.monotonic() < until:
        await chaos.act()
        await asyncio.sleep(random_.uniform(1.0, 3.0))


async def _count(chaos: Chaos, master: int) -> dict[str, int]:
    await chaos.settle()
    await asyncio.sleep(3.0)  # the kin of those who left is looked for two seconds after their end
    root = procfs.identify(master)
    assert root is not None, "the master is gone"
    return {
        "descriptors": len(os.listdir(f"/proc/{master}/fd")),
        "threads": len(os.listdir(f"/proc/{master}/task")),
        "memory": procfs.rss(root),
        "processes": len(procfs.tree(master)),
    }
