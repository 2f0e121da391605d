"""Numbers of processes are used again: whoever has one that was ours is never taken for us, and never signalled."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from tests.process.privilege import needs_root
from tests.process.site import TAMAGO, Site

_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

# Runs as PID 1 of a namespace, where it chooses the numbers.
_COMMON = """
import json, os, signal, subprocess, sys
tamago, title = sys.argv[1:]

def run(*arguments):
    return subprocess.run([tamago, *arguments, "--title", title], capture_output=True, text=True)

def start():
    result = run("start", "--daemon", "--json", "--app", "main:app", "--workers", "2", "--port", "0")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["pid"]

def workers():
    result = run("status", "--json")
    return {each["slot"]: each["pid"] for each in json.loads(result.stdout)["processes"] if each["role"] == "worker"}

def end(pid):
    # Whoever was given to us as PID 1 has to be reaped before its number is free.
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    import select
    select.select([pidfd], [], [])
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass

def stranger(pid):
    # Somebody else who has this number now, and would end of any signal.
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(pid - 1))
    process = subprocess.Popen(["sleep", "1000"])
    assert process.pid == pid, (process.pid, pid)
    return process

def wait_free(pid):
    # The master reaps its children; that it has done so is all we wait for.
    while os.path.exists(f"/proc/{pid}"):
        run("status", "--json")
"""

_MASTER = """
master = start()
end(master)
other = stranger(master)
result = run("stop")
assert result.returncode == 3, result
assert "not running" in result.stderr, result
assert run("status").returncode == 3
assert run("reload").returncode == 3
assert start() != master
assert run("stop").returncode == 0
assert other.poll() is None
other.kill()
print("done")
"""

_WORKER = """
master = start()
old = workers()[1]
end(old)
wait_free(old)
other = stranger(old)
assert run("kick", "1").returncode == 0
now = workers()
assert old not in now.values() and len(now) == 2, (old, now)
assert run("scale", "1").returncode == 0
assert run("reload").returncode == 0
assert run("stop").returncode == 0
assert other.poll() is None
other.kill()
print("done")
"""


def possible() -> bool:
    """Whether we may choose the next number in a namespace of our own."""
    command = [*_NAMESPACE, "sh", "-c", "echo 1000 > /proc/sys/kernel/ns_last_pid"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


@needs_root
@pytest.mark.parametrize("whose", [_MASTER, _WORKER], ids=["master", "worker"])
def test_a_stranger_with_a_number_that_was_ours_is_left_alone(site: Site, whose: str) -> None:
    if not possible():
        pytest.skip("this kernel does not let us choose the number of the next process")
    command = [*_NAMESPACE, sys.executable, "-c", _COMMON + whose, str(TAMAGO), site.title]
    result = subprocess.run(command, cwd=site.app, env=site.environment(), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
