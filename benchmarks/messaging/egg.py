"""Egg's own messenger: an app worker and the agent, through the master, on Node."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time

from benchmarks import procfs
from benchmarks.messaging.plan import FiguresBySize, Plan
from benchmarks.paths import EGG
from benchmarks.running import MeasurementError, free_port

WITHIN = 180.0


def measure(plan: Plan) -> FiguresBySize:
    """Start Egg, wait for the line with the figures, end it."""
    if not (EGG / "node_modules" / "egg").exists():
        raise MeasurementError("Egg is not installed here: run `python -m benchmarks setup`")
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"], "HOME": home, "EGG_HOME": home,
            "EGG_SERVER_ENV": "prod", "NODE_ENV": "production", "BENCH_PLAN": plan.to_json(),
        }  # fmt: skip
        node = shutil.which("node")
        if node is None:
            raise MeasurementError("node is missing")
        process = subprocess.Popen(
            [node, "start.js", str(free_port())], cwd=EGG, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        try:
            return _figures(process)
        finally:
            _end(process)


def _figures(process: subprocess.Popen[bytes]) -> FiguresBySize:
    assert process.stdout is not None
    output, deadline = b"", time.monotonic() + WITHIN
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), 65536)
            output += chunk
            for line in output.split(b"\n")[:-1]:
                if line.startswith(b"FIGURES "):
                    figures: FiguresBySize = json.loads(line.removeprefix(b"FIGURES "))
                    return figures
            if not chunk or b"FAILED" in output:
                break
    raise MeasurementError(f"Egg gave no figures: {output.decode()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    family = procfs.tree(process.pid)
    process.terminate()  # Egg stops its workers and its agent, each with a timeout of its own
    try:
        process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        for member in family:
            if procfs.is_alive(member):
                os.kill(member.pid, 9)
        process.communicate()
