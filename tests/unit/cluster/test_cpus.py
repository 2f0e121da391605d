from __future__ import annotations

import os
from pathlib import Path

import pytest

from tamago.cluster.cpus import allowed_cpus

V2 = "30 24 0:26 {group} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 24 0:27 {group} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


@pytest.fixture(autouse=True)
def sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))


def machine(root: Path, *, cgroup: str, mountinfo: str, files: dict[str, str]) -> Path:
    for name, text in {"proc/self/cgroup": cgroup, "proc/self/mountinfo": mountinfo, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(root: Path, group: str, files: dict[str, str], *, mounted: str = "/") -> int:
    files = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    return allowed_cpus(machine(root, cgroup=f"0::{group}\n", mountinfo=V2.format(group=mounted), files=files))


def v1(root: Path, group: str, files: dict[str, str], *, mounted: str = "/") -> int:
    files = {f"sys/fs/cgroup/cpu,cpuacct/{name}": text for name, text in files.items()}
    return allowed_cpus(machine(root, cgroup=f"9:memory:/m\n4:cpu,cpuacct:{group}\n", mountinfo=V1.format(group=mounted), files=files))


def test_without_control_groups_the_affinity_counts(tmp_path: Path) -> None:
    assert allowed_cpus(tmp_path) == 16


def test_a_quota_in_version_2_is_rounded_up(tmp_path: Path) -> None:
    assert v2(tmp_path, "/app", {"app/cpu.max": "250000 100000\n"}) == 3


def test_no_quota_in_version_2_is_max(tmp_path: Path) -> None:
    assert v2(tmp_path, "/app", {"app/cpu.max": "max 100000\n"}) == 16


def test_less_than_one_cpu_is_one(tmp_path: Path) -> None:
    assert v2(tmp_path, "/app", {"app/cpu.max": "5000 100000\n"}) == 1


def test_the_smallest_quota_of_the_groups_above_counts(tmp_path: Path) -> None:
    files = {"system.slice/cpu.max": "200000 100000", "system.slice/app.service/cpu.max": "800000 100000"}
    assert v2(tmp_path, "/system.slice/app.service", files) == 2


def test_a_namespace_shows_the_group_as_the_root(tmp_path: Path) -> None:
    assert v2(tmp_path, "/", {"cpu.max": "400000 100000"}) == 4


def test_a_group_outside_of_what_is_mounted_is_left_out(tmp_path: Path) -> None:
    assert v2(tmp_path, "/../other", {"cpu.max": "400000 100000"}) == 4


def test_more_quota_than_cpus_changes_nothing(tmp_path: Path) -> None:
    assert v2(tmp_path, "/app", {"app/cpu.max": "6400000 100000"}) == 16


def test_a_quota_in_version_1(tmp_path: Path) -> None:
    assert v1(tmp_path, "/app", {"app/cpu.cfs_quota_us": "150000\n", "app/cpu.cfs_period_us": "100000\n"}) == 2


def test_no_quota_in_version_1_is_minus_one(tmp_path: Path) -> None:
    assert v1(tmp_path, "/app", {"app/cpu.cfs_quota_us": "-1\n", "app/cpu.cfs_period_us": "100000\n"}) == 16


def test_version_1_in_a_container_without_a_namespace(tmp_path: Path) -> None:
    files = {"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"}
    assert v1(tmp_path, "/docker/abc", files, mounted="/docker/abc") == 3


def test_files_that_say_nonsense_are_no_limit(tmp_path: Path) -> None:
    assert v2(tmp_path, "/app", {"app/cpu.max": "lots\n", "cpu.max": "100000 0"}) == 16


def test_this_machine_has_some() -> None:
    assert 1 <= allowed_cpus() <= 16
