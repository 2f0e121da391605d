"""Drives wrk, for benchmarks that need a client far cheaper than the server. Bounded by time, loopback only."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import dataclass

from benchmarks.paths import DEBIAN
from benchmarks.running import MeasurementError


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


async def load(url: str, *, connections: int, seconds: int, close: bool = False) -> Load:
    """Load `url`; with `close` each request has a connection of its own."""
    header = ["--header", "Connection: close"] if close else []
    process = await asyncio.create_subprocess_exec(
        executable(), "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency", *header, url,
        stdout=asyncio.subprocess.PIPE, env={"LD_LIBRARY_PATH": str(DEBIAN / "usr/lib/x86_64-linux-gnu")},
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if total is None or p99 is None:
        raise MeasurementError(f"wrk did not report: {output}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    failed = sum(int(number) for number in errors.groups()) if errors else 0
    failed += int(refused[1]) if refused else 0
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    seconds_per = {"ms": 0.001, "s": 1.0, "m": 60.0}
    return Load(requests=int(total[1]), seconds=float(total[2]) * seconds_per[total[3]], p99=float(p99[1]) * scale[p99[2]], failed=failed)
