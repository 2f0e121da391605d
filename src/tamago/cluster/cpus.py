"""How many CPUs this process may use: its affinity, and the CPU quota of its control group and of each group above it.

In a container `os.cpu_count()` is the machine's; 64 workers that share a quota of two CPUs mostly wait for each other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


def allowed_cpus(root: Path = Path("/")) -> int:
    """Return that number, quotas rounded up, at least 1. `root` is where /proc and the control groups are looked for."""
    return max(1, min([_affinity(), *(math.ceil(quota) for quota in _quotas(root))]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    """A mounted control group hierarchy: `group` is seen at `point`. `controllers` is empty for version 2."""

    version: int
    controllers: frozenset[str]
    group: str
    point: str


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield the limits, in CPUs, from this process' own group up to the topmost one that can be seen."""
    mounts = list(_mounts(root))
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, group = line.split(":", 2)
        for mount in mounts:
            if number == "0" and mount.version == 2:
                yield from filter(None, (_quota_v2(directory) for directory in _upwards(root, mount, group)))
            elif mount.version == 1 and "cpu" in controllers.split(",") and "cpu" in mount.controllers:
                yield from filter(None, (_quota_v1(directory) for directory in _upwards(root, mount, group)))


def _mounts(root: Path) -> Iterator[_Mount]:
    """Read mountinfo: `36 25 0:31 /group /sys/fs/cgroup/cpu rw,... shared:9 - cgroup cgroup rw,cpu,cpuacct`."""
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, filesystem = line.partition(" - ")
        fields, kind = mount.split(), filesystem.split()
        if len(fields) >= 5 and len(kind) >= 3 and kind[0] in ("cgroup", "cgroup2"):
            version = 2 if kind[0] == "cgroup2" else 1
            yield _Mount(version=version, controllers=frozenset(kind[2].split(",")), group=fields[3], point=fields[4])


def _upwards(root: Path, mount: _Mount, group: str) -> Iterator[Path]:
    """Yield the directory of a group and those above it.

    Without a namespace of its own a container sees its group's full path, but only that part of the tree mounted. What lies outside is
    left out ("/.." at the front says so).
    """
    try:
        relative = PurePosixPath(group).relative_to(mount.group)
    except ValueError:
        relative = PurePosixPath()
    if ".." in relative.parts:
        relative = PurePosixPath()
    top = root / mount.point.lstrip("/")
    for part in [relative, *relative.parents] if relative.parts else [relative]:
        yield top / part


def _quota_v2(directory: Path) -> float | None:
    """Read `cpu.max`: "200000 100000", or "max 100000" for no limit."""
    quota, _, period = "".join(_lines(directory / "cpu.max")).partition(" ")
    return _ratio(quota, period)


def _quota_v1(directory: Path) -> float | None:
    """Read `cpu.cfs_quota_us`, -1 for no limit, and its period."""
    return _ratio("".join(_lines(directory / "cpu.cfs_quota_us")), "".join(_lines(directory / "cpu.cfs_period_us")))


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
