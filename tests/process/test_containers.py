"""What containers do to a process: it is PID 1, its root is read-only, its user has no name and no home, or is given away."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.privilege import NOBODY, needs_root
from tests.process.site import Site

import tamago

_STRANGER = 12345
AS_STRANGER = (
    "setpriv",
    f"--reuid={_STRANGER}",
    f"--regid={_STRANGER}",
    "--clear-groups",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)


def permitted(*command: str) -> bool:
    """Whether this machine lets us use a namespace."""
    return shutil.which(command[0]) is not None and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def everybody_reaches_python(site: Site) -> tuple[str, ...]:
    """A command prefix under which `nobody` can read interpreter and package, if need be in a mount namespace of its own."""
    needed = {os.path.realpath(path) for path in (sys.base_prefix, sys.prefix, Path(tamago.__file__).parents[1])}
    closed: dict[Path, list[str]] = {}
    for path in needed:
        for parent in reversed([Path(path), *Path(path).parents]):
            if not parent.stat().st_mode & 0o001:
                closed.setdefault(parent, []).append(path)
                break
    if not closed:
        return ()
    if not permitted("unshare", "--mount"):
        pytest.skip("nobody else can read the interpreter, and there are no mount namespaces")
    lines = []
    for number, (directory, paths) in enumerate(closed.items()):
        stage = site.root / f"stage{number}"
        stage.mkdir()
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {stage}")
        for path in paths:
            inside = stage / Path(path).relative_to(directory)
            lines += [f"mkdir -p {inside}", f"mount --bind {path} {inside}"]
        lines.append(f"mount --rbind {stage} {directory}")
    return ("unshare", "--mount", "sh", "-c", " && ".join([*lines, 'exec "$@"']), "sh")


@needs_root
def test_a_start_that_fails_as_pid_1_ends_with_its_exit_code(site: Site) -> None:
    if not permitted("unshare", "--pid", "--fork", "--mount-proc"):
        pytest.skip("there are no PID namespaces")
    site.write("main.py", "raise RuntimeError('no database')\n")
    prefix = ("unshare", "--pid", "--fork", "--mount-proc")
    result = site.run("start", "--app", "main:app", "--port", "0", "--title", site.title, prefix=prefix)
    assert result.returncode == 1
    assert "RuntimeError: no database" in result.stderr


@needs_root
def test_pid_1_that_is_killed_takes_everybody_along(site: Site, start: Start) -> None:
    if not permitted("unshare", "--pid", "--fork", "--mount-proc"):
        pytest.skip("there are no PID namespaces")
    cluster = start(prefix=("unshare", "--pid", "--fork", "--mount-proc"))
    cluster.may_leave_sockets = True
    proc.end(proc.children_of(cluster.pid)[0])
    cluster.wait()


@needs_root
def test_a_read_only_root_is_enough_as_long_as_home_can_be_written(site: Site, start: Start) -> None:
    if not permitted("unshare", "--mount"):
        pytest.skip("there are no mount namespaces")
    site.home.mkdir()
    script = f'mount -t tmpfs -o mode=700 tmpfs {site.home} && mount -o remount,ro,bind / && exec "$@"'
    cluster = start(prefix=("unshare", "--mount", "sh", "-c", script, "sh"))
    assert cluster.get().text == "hello"
    assert cluster.stop() == 0


@needs_root
def test_a_read_only_root_without_a_home_says_what_to_set(site: Site) -> None:
    if not permitted("unshare", "--mount"):
        pytest.skip("there are no mount namespaces")
    script = 'mount -o remount,ro,bind / && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", script, "sh")
    result = site.run("start", "--app", "main:app", "--port", "0", "--title", site.title, prefix=prefix)
    assert result.returncode == 1
    assert "TAMAGO_HOME" in result.stderr
    assert "Traceback" not in result.stderr


@needs_root
def test_a_user_without_name_and_home_can_start(site: Site, start: Start) -> None:
    home = Path(f"/tmp/tamago-{_STRANGER}")
    shutil.rmtree(home, ignore_errors=True)
    try:
        cluster = start(prefix=AS_STRANGER, environment={"TAMAGO_HOME": "", "HOME": "/"})
        assert cluster.get().text == "hello"
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in (cluster.pid, *cluster.tree())} == {_STRANGER}
        assert home.stat().st_mode & 0o777 == 0o700
        result = site.run("status", "--title", cluster.title, prefix=AS_STRANGER, TAMAGO_HOME="", HOME="/")
        assert result.returncode == 0, result.stderr
        assert cluster.stop() == 0
    finally:
        shutil.rmtree(home, ignore_errors=True)


@needs_root
@pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_user_and_group_are_given_to_everybody_but_the_master_for_good(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    whoami = """
async def privileges(_rest, _receive, send):
    try:
        os.setuid(0)
        again = "root again"
    except PermissionError:
        again = "never root again"
    await answer(send, f"{os.getresuid()} {os.getresgid()} {os.getgroups()} {again}".encode())
PATHS["privileges"] = privileges
say("imported-as", uid=os.getuid())
"""
    site.write("main.py", (site.app / "main.py").read_text() + whoami)
    cluster = start("--user", str(NOBODY), "--group", str(NOBODY), *mode, prefix=everybody_reaches_python(site))
    assert cluster.get("/privileges").text == f"({NOBODY}, {NOBODY}, {NOBODY}) ({NOBODY}, {NOBODY}, {NOBODY}) [] never root again"
    for pid, title in cluster.tree().items():
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY or title.startswith("nest"), title
    assert {match[1] for match in cluster.output.found(r"@imported-as .*uid=(\d+)")} == {str(NOBODY)}
    # A death is repaired and a reload works without root.
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    cluster.call("reload")
    assert cluster.stop() == 0


def test_only_root_can_give_processes_away(site: Site) -> None:
    if os.geteuid() == 0:
        pytest.skip("we are root")
    result = site.run("start", "--app", "main:app", "--port", "0", "--user", "nobody")
    assert result.returncode == 2
    assert "only root" in result.stderr


@pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_everybody_may_open_as_many_files_as_the_hard_limit_allows(start: Start, mode: tuple[str, ...]) -> None:
    cluster = start(*mode, workers=1, prefix=("sh", "-c", 'ulimit -Sn 512 && ulimit -Hn 1024 && exec "$@"', "sh"))
    for pid, title in {cluster.pid: "master", **cluster.tree()}.items():
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (1024, 1024), title


def test_umask_is_everybodys(start: Start) -> None:
    cluster = start("--umask", "027", workers=1)
    for pid in (cluster.pid, *cluster.tree()):
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Umask:\t0027" in status
