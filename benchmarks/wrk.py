"""Drives wrk, for benchmarks that need a client far cheaper than the server. Bounded by time, loopback only."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass

from benchmarks.paths import DEBIAN, HERE
from benchmarks.running import MeasurementError

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of wrk did. `p99` is in milliseconds; `failed` counts socket errors, timeouts and answers other than 2xx and 3xx."""

    requests: int
    seconds: float
    p99: float
    failed: int


def executable() -> str:
    extracted = DEBIAN / "usr" / "bin" / "wrk"
    found = str(extracted) if extracted.exists() else shutil.which("wrk")
    if not found:
        raise MeasurementError("wrk is missing: run `python -m benchmarks setup`")
    return found


async def load(url: str, *, connections: int, seconds: int, post: int = 0, close: bool = False) -> Load:
    """Send requests for so long. `post`: each has a JSON body of so many bytes; `close`: each has a connection of its own."""
    command = [
        executable(),
        "--threads",
        "1",
        "--connections",
        str(connections),
        "--duration",
        f"{seconds}s",
        "--timeout",
        "10s",
        "--latency",
    ]
    if close:
        command += ["--header", "Connection: close"]
    if post:
        command += ["--script", str(HERE / "wrk_scripts" / "post.lua"), url, "--", str(post)]
    else:
        command.append(url)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={"LD_LIBRARY_PATH": str(DEBIAN / "usr/lib/x86_64-linux-gnu")}
    )
    return _read((await process.communicate())[0].decode())


def _read(output: str) -> Load:
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", output)
    if total is None or p99 is None:
        raise MeasurementError(f"wrk did not report: {output}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    failed = sum(int(number) for number in errors.groups()) if errors else 0
    failed += int(refused[1]) if refused else 0
    return Load(
        requests=int(total[1]), seconds=float(total[2]) * _SECONDS[total[3]], p99=1000 * float(p99[1]) * _SECONDS[p99[2]], failed=failed
    )
