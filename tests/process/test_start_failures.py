"""What can keep a cluster from starting: each ends with an exit code, two lines or the user's own traceback once, and nothing left."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.privilege import AS_NOBODY, needs_root
from tests.process.site import TAMAGO, Site

_LIFESPAN = """
import os
import tamago
_DONE = {{"type": "lifespan.startup.complete"}}
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        {startup}
"""
_AGENT = "class Agent:\n    async def start(self):\n        {start}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """How a start that failed ended."""

    code: int
    problem: str
    hint: str
    stderr: str
    stdout: str

    @property
    def tracebacks(self) -> int:
        return self.stderr.count("Traceback (most recent call last)") + self.stdout.count("Traceback (most recent call last)")

    @property
    def imported(self) -> bool:
        return "@import" in self.stdout


def fail(
    site: Site,
    *arguments: str,
    app: str = "main:app",
    workers: int = 2,
    port: int | None = 0,
    prefix: Sequence[str] = (),
    **environment: str,
) -> Failed:
    """Start what must not start. It returns only when nobody holds the command's output any more."""
    flags = ["--title", site.title, "--app", app, "--workers", str(workers), *(() if port is None else ("--port", str(port)))]
    return fail_bare(site, *flags, *arguments, prefix=prefix, **environment)


def fail_bare(site: Site, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> Failed:
    result = site.run("start", *arguments, prefix=prefix, **environment)
    assert not site.sockets()
    assert "Warning: " not in result.stderr + result.stdout, "nothing is left open, and nothing is used that Python is to drop"
    lines = result.stderr.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("tamago: ")]
    assert len(starts) == 1, f"the problem is said once, in the end:\n{result.stderr}"
    said = lines[starts[0] :]
    assert len(said) >= 2, f"an error is two lines, the problem and what to do:\n{result.stderr}"
    problem = said[0].removeprefix("tamago: ")
    assert result.stderr.count(problem) == 1, f"the problem is said once:\n{result.stderr}"
    return Failed(code=result.returncode, problem=said[0], hint="\n".join(said[1:]), stderr=result.stderr, stdout=result.stdout)


# ── where to listen ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_taken_port_is_the_first_and_only_error(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = fail(site, port=port)
    assert failed.code == 1
    assert failed.problem == f"tamago: cannot listen on 127.0.0.1:{port}: the address is already in use"
    assert f"ss -ltnp 'sport = :{port}'" in failed.hint
    assert not failed.imported, "nothing was imported"
    assert failed.tracebacks == 0


# A network namespace whose kernel has no room for the program; it comes before what shares the socket out.
_NO_ROOM_FOR_BPF = ("unshare", "--net", "sh", "-c", 'echo 64 > /proc/sys/net/core/optmem_max && exec "$@"', "sh")


@needs_root
def test_sticky_is_refused_where_its_program_cannot_be_attached(site: Site) -> None:
    before = Path("/proc/sys/net/core/optmem_max").read_text()
    if subprocess.run([*_NO_ROOM_FOR_BPF, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us not make a network that refuses it")
    if (now := Path("/proc/sys/net/core/optmem_max").read_text()) != before:
        Path("/proc/sys/net/core/optmem_max").write_text(before)
        pytest.skip(f"this kernel has one limit for all its networks, now {now}")
    failed = fail(site, "--sticky", "--host", "0.0.0.0", prefix=_NO_ROOM_FOR_BPF)
    assert failed.code == 1
    assert "sticky" in failed.problem
    assert "Cannot allocate memory" in failed.problem
    assert "without --sticky" in failed.hint
    assert not failed.imported
    assert failed.tracebacks == 0


@needs_root
def test_a_low_port_without_the_right_to_it(site: Site) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81:
        pytest.skip("this machine lets everybody listen on port 81")
    site.give_to_nobody()
    failed = fail(site, port=81, prefix=AS_NOBODY)
    assert failed.code == 1
    assert failed.problem == "tamago: cannot listen on 127.0.0.1:81: no permission for port 81"
    assert "--port 1024 or higher" in failed.hint


def test_an_unknown_host(site: Site) -> None:
    failed = fail(site, "--host", "no..such..host")
    assert failed.code == 1
    assert "the host 'no..such..host' is unknown" in failed.problem


def test_an_address_of_another_machine(site: Site) -> None:
    failed = fail(site, "--host", "192.0.2.1")
    assert failed.code == 1
    assert "no interface of this machine has that address" in failed.problem


def test_a_unix_socket_in_a_directory_that_is_not_there(site: Site) -> None:
    failed = fail(site, "--bind", f"unix:{site.root}/none/s", port=None)
    assert failed.code == 1
    assert f"{site.root}/none" in failed.problem


def test_a_unix_socket_path_that_is_too_long(site: Site) -> None:
    failed = fail(site, "--bind", f"unix:{site.root}/{'x' * 120}", port=None)
    assert failed.code == 1
    assert "107" in failed.problem


def test_a_file_in_the_place_of_a_unix_socket_is_not_touched(site: Site) -> None:
    site.write("precious", "data")
    failed = fail(site, "--bind", f"unix:{site.app}/precious", port=None)
    assert failed.code == 1
    assert (site.app / "precious").read_text() == "data"


def test_a_unix_socket_somebody_listens_on(site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{site.root}/s")
        other.listen()
        failed = fail(site, "--bind", f"unix:{site.root}/s", port=None)
        assert failed.code == 1
        assert "another process listens there" in failed.problem
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{site.root}/s")
    os.unlink(f"{site.root}/s")


def test_a_descriptor_that_is_no_socket(site: Site) -> None:
    failed = fail(site, "--bind", "fd://0", port=None)
    assert failed.code == 1
    assert "fd://0" in failed.problem


# ── the application ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_application_module_that_is_missing(site: Site) -> None:
    failed = fail(site, app="nowhere:app")
    assert failed.code == 1
    assert "there is no module 'nowhere'" in failed.problem
    assert str(site.app) in failed.hint
    assert failed.tracebacks == 0


def test_an_attribute_that_is_missing_comes_with_a_suggestion(site: Site) -> None:
    failed = fail(site, app="main:ap")
    assert failed.code == 1
    assert "has no 'ap'" in failed.problem
    assert "main:app" in failed.hint
    assert failed.tracebacks == 0


def test_an_attribute_that_is_not_callable(site: Site) -> None:
    site.write("main.py", "app = 42\n")
    failed = fail(site)
    assert failed.code == 1
    assert "main:app is an int, which cannot be called" in failed.problem
    assert failed.tracebacks == 0


@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_an_application_that_raises_on_import_shows_its_traceback_once(site: Site, preload: bool) -> None:
    site.write("main.py", "def build():\n    raise RuntimeError('no database')\n\napp = build()\n")
    failed = fail(site, *(() if preload else ("--no-preload",)), workers=3)
    assert failed.code == 1
    assert "RuntimeError: no database" in failed.problem
    assert failed.tracebacks == 1, failed.stderr
    assert failed.stderr.count("raise RuntimeError('no database')") == 1
    assert "importlib" not in failed.stderr, "only the user's own frames"


def test_an_application_whose_error_is_about_a_name_that_is_no_utf_8_shows_its_traceback_too(site: Site) -> None:
    site.write("main.py", "raise RuntimeError('cannot read no\\udcff.txt')\n")
    failed = fail(site)
    assert failed.code == 1
    assert r"RuntimeError: cannot read no\udcff.txt" in failed.problem
    assert failed.tracebacks == 1, failed.stderr


def test_an_application_that_does_not_compile_shows_where(site: Site) -> None:
    site.write("main.py", "def app(:\n    pass\n")
    failed = fail(site)
    assert failed.code == 1
    assert "SyntaxError" in failed.problem
    assert failed.stderr.count("main.py") >= 1
    assert "line 1" in failed.stderr


def test_an_import_inside_of_the_application_that_fails_shows_the_traceback(site: Site) -> None:
    site.write("main.py", "import not_installed_anywhere\n")
    failed = fail(site)
    assert failed.code == 1
    assert "not_installed_anywhere" in failed.problem
    assert failed.tracebacks == 1


@pytest.mark.parametrize("preload", [True, False], ids=["preloaded", "spawned"])
def test_an_application_that_hangs_on_import_is_given_up_after_the_boot_timeout(site: Site, preload: bool) -> None:
    site.write("main.py", "import select\n\ndef wait_for_ever():\n    select.select([], [], [])\n\nwait_for_ever()\n")
    failed = fail(site, "--boot-timeout", "2", *(() if preload else ("--no-preload",)))
    assert failed.code == 1
    assert "did not get ready in 2 s" in failed.problem
    assert "--boot-timeout" in failed.hint
    assert "in wait_for_ever" in failed.stderr, "its stack shows where it hangs"


@pytest.mark.parametrize(
    ("statement", "end"),
    [
        ("raise SystemExit(3)", "SystemExit"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
    ids=["SystemExit", "os._exit", "SIGKILL", "SIGSEGV"],
)
def test_an_import_that_ends_the_process_says_how(site: Site, statement: str, end: str) -> None:
    site.write("main.py", f"{statement}\n")
    failed = fail(site)
    assert failed.code == 1
    assert end in failed.problem


def test_nothing_to_run_says_what_was_looked_for_and_suggests(site: Site) -> None:
    failed = fail_bare(site, "--title", site.title, "--port", "0")
    assert failed.code == 2
    assert "--app main:app" in failed.hint
    assert failed.tracebacks == 0


# ── the processes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lifespan_startup_that_says_it_failed(site: Site) -> None:
    site.write("main.py", _LIFESPAN.format(startup="await send({'type': 'lifespan.startup.failed', 'message': 'the pool is empty'})"))
    failed = fail(site)
    assert failed.code == 1
    assert "the pool is empty" in failed.stderr
    assert failed.tracebacks == 0


def test_a_lifespan_startup_that_raises_shows_its_traceback_once(site: Site) -> None:
    site.use("fast")
    site.write("main.py", site.app.joinpath("main.py").read_text().replace('say("up")', 'raise RuntimeError("no cache")'))
    failed = fail(site, workers=4)
    assert failed.code == 1
    assert "no cache" in failed.stderr
    assert failed.stderr.count('raise RuntimeError("no cache")') == 1, failed.stderr


def test_one_worker_of_several_that_fails_ends_the_start(site: Site) -> None:
    startup = (
        "await send({'type': 'lifespan.startup.failed', 'message': 'slot 3 is cursed'} if tamago.me.slot == 3 else _DONE); await receive()"
    )
    site.write("main.py", _LIFESPAN.format(startup=startup))
    failed = fail(site, workers=4)
    assert failed.code == 1
    assert "worker 3" in failed.problem
    assert "lifespan" in failed.problem
    assert failed.stderr.count("slot 3 is cursed") == 1


def test_one_worker_of_several_that_dies_ends_the_start(site: Site) -> None:
    startup = "os._exit(9) if tamago.me.slot == 2 else await send(_DONE); await receive()"
    site.write("main.py", _LIFESPAN.format(startup=startup))
    failed = fail(site, workers=3)
    assert failed.code == 1
    assert "worker 2" in failed.problem
    assert "exit code 9" in failed.problem


def test_a_worker_that_is_never_ready_is_given_up_after_the_boot_timeout(site: Site) -> None:
    site.write("main.py", _LIFESPAN.format(startup="import asyncio; await asyncio.Event().wait()"))
    failed = fail(site, "--boot-timeout", "4")
    assert failed.code == 1
    assert "did not get ready in 4 s" in failed.problem


def test_an_agent_that_raises_ends_the_start_with_its_traceback(site: Site) -> None:
    site.write("agent.py", _AGENT.format(start="raise RuntimeError('no queue')"))
    failed = fail(site)
    assert failed.code == 1
    assert "agent" in failed.problem
    assert "RuntimeError: no queue" in failed.problem
    assert failed.tracebacks == 1, failed.stderr
    assert "@up" not in failed.stdout, "no worker was started"


def test_an_agent_that_is_never_ready_is_given_up_after_the_boot_timeout(site: Site) -> None:
    site.write("agent.py", _AGENT.format(start="import asyncio; await asyncio.Event().wait()"))
    failed = fail(site, "--boot-timeout", "4")
    assert failed.code == 1
    assert "agent" in failed.problem
    assert "did not get ready in 4 s" in failed.problem


def test_an_agent_that_dies_before_it_is_ready_ends_the_start(site: Site) -> None:
    site.write("agent.py", _AGENT.format(start="import os; os._exit(5)"))
    failed = fail(site)
    assert failed.code == 1
    assert "agent" in failed.problem
    assert "exit code 5" in failed.problem


def test_an_agent_that_is_killed_while_the_workers_boot_ends_the_start(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", source.replace('say("up", version=VERSION)', 'say("booting")\n            await asyncio.Event().wait()'))
    cluster = start(ready=False)
    cluster.expect("@booting", count=2)
    proc.end(cluster.pid_of("agent"))
    assert cluster.wait() == 1
    assert re.search(r"^tamago: agent gen=1 pid=\d+ died .*SIGKILL", cluster.output.text, re.MULTILINE), cluster.output.text


def test_an_agent_module_that_is_missing(site: Site) -> None:
    failed = fail(site, "--agent", "no_agent_here:Agent")
    assert failed.code == 1
    assert "there is no module 'no_agent_here'" in failed.problem
    assert failed.tracebacks == 0


# ── directories and files ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_start_that_fails_ends_although_nobody_reads_why(site: Site) -> None:
    site.write("main.py", "raise RuntimeError('never read')\n")
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb", buffering=0) as pipe:
        os.set_blocking(writer, False)
        while pipe.write(b"\n" * 4096) is not None:
            pass
        os.set_blocking(writer, True)
        command = [str(TAMAGO), "start", "--app", "main:app", "--port", "0"]
        result = subprocess.run(
            command, cwd=site.app, env=site.environment(), stdout=pipe, stderr=pipe, stdin=subprocess.DEVNULL, check=False
        )
    assert result.returncode == 1


def test_a_directory_that_does_not_exist(site: Site) -> None:
    failed = fail_bare(site, "/no/such/place", "--app", "main:app")
    assert failed.code == 2
    assert "/no/such/place" in failed.problem + failed.hint


@needs_root
def test_a_home_that_cannot_be_written_to(site: Site) -> None:
    failed = fail(site, prefix=AS_NOBODY)
    assert failed.code == 1
    assert str(site.home) in failed.problem
    assert "TAMAGO_HOME" in failed.hint


def test_a_home_that_others_can_write_to_is_refused(site: Site) -> None:
    site.home.mkdir()
    site.home.chmod(0o777)
    failed = fail(site)
    assert failed.code == 1
    assert f"chmod 0755 {site.home}" in failed.hint


def test_a_home_that_is_a_link_is_refused(site: Site) -> None:
    (site.root / "elsewhere").mkdir()
    site.home.symlink_to(site.root / "elsewhere")
    failed = fail(site)
    assert failed.code == 1
    assert "symbolic link" in failed.problem
    assert not list((site.root / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["control.sock", "lock"])
def test_a_link_in_the_run_directory_is_refused_and_its_target_untouched(site: Site, name: str) -> None:
    target = site.write("precious", "data")
    run = site.home / "run" / site.title
    run.mkdir(parents=True, mode=0o700)
    (site.home / "run").chmod(0o700)
    (run / name).symlink_to(target)
    failed = fail(site)
    assert failed.code == 1
    assert name in failed.problem
    assert target.read_text() == "data"
    (run / name).unlink()


def test_a_file_in_the_place_of_the_control_socket_is_refused(site: Site) -> None:
    run = site.home / "run" / site.title
    run.mkdir(parents=True, mode=0o700)
    (site.home / "run").chmod(0o700)
    (run / "control.sock").write_text("mine")
    failed = fail(site)
    assert failed.code == 1
    assert "control.sock" in failed.problem
    assert (run / "control.sock").read_text() == "mine"


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("file", "text", "environment", "flags", "source"),
    [
        ("tamago.toml", "port = 99999\n", {}, [], "tamago.toml"),
        ("pyproject.toml", "[tool.tamago]\nport = 99999\n", {}, [], "pyproject.toml"),
        ("", "", {"TAMAGO_PORT": "99999"}, [], "environment"),
        ("", "", {"PORT": "99999"}, [], "PORT"),
        ("", "", {}, ["--port", "99999"], "command line"),
    ],
    ids=["tamago.toml", "pyproject.toml", "TAMAGO_PORT", "PORT", "flag"],
)
def test_a_bad_setting_names_its_source(
    site: Site, file: str, text: str, environment: dict[str, str], flags: list[str], source: str
) -> None:
    if file:
        site.write(file, text)
    failed = fail_bare(site, "--app", "main:app", "--title", site.title, *flags, **environment)
    assert failed.code == 2
    said = failed.problem + failed.hint
    assert "99999" in said
    assert source in said
    assert "must be between 0 and 65535" in said


def test_all_bad_settings_are_said_at_once_with_a_guess_at_what_was_meant(site: Site) -> None:
    site.write("tamago.toml", 'worker = 3\nboot_timeout = "soon"\n')
    failed = fail_bare(site, "--app", "main:app", "--title", site.title, TAMAGO_WORKERS="many")
    assert failed.code == 2
    said = failed.problem + failed.hint
    for word in ("worker", "workers", "boot_timeout", "soon", "many"):
        assert word in said, failed.stderr


def test_a_file_that_is_no_toml_is_named_with_its_line(site: Site) -> None:
    site.write("tamago.toml", 'app = "main:app"\nport = \n')
    failed = fail_bare(site, "--title", site.title)
    assert failed.code == 2
    assert "tamago.toml:2:" in failed.problem + failed.hint


def test_an_unknown_flag_is_bad_usage(site: Site) -> None:
    result = site.run("start", "--wrokers", "2")
    assert result.returncode == 2
    assert "--workers" in result.stderr


@needs_root
def test_an_unknown_user_is_bad_usage(site: Site) -> None:
    failed = fail(site, "--user", "nobody-of-that-name")
    assert failed.code == 2
    assert "nobody-of-that-name" in failed.problem


def test_too_few_descriptors_are_said_before_anything_starts(site: Site) -> None:
    failed = fail(site, prefix=("prlimit", "--nofile=40:40"), workers=64)
    assert failed.code in {1, 2}
    assert "ulimit -Hn" in failed.problem + failed.hint
    assert failed.tracebacks == 0


# ── where the command is called ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("daemon", [(), ("--daemon",)], ids=["foreground", "daemon"])
def test_a_directory_that_was_removed_under_the_shell_is_said(site: Site, daemon: tuple[str, ...]) -> None:
    removed = ("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh")
    failed = fail_bare(site, *daemon, prefix=removed)
    assert failed.code == 2
    assert "the current directory does not exist any more" in failed.problem
    assert "cd" in failed.hint
    assert failed.tracebacks == 0


@pytest.mark.parametrize("command", ["status", "stop", "reload"])
def test_a_command_in_a_directory_that_was_removed_is_two_lines(site: Site, command: str) -> None:
    result = site.run(command, prefix=("sh", "-c", 'mkdir gone && cd gone && rmdir ../gone && exec "$@"', "sh"))
    assert result.returncode == 2
    assert "the current directory does not exist any more" in result.stderr.splitlines()[0]
    assert len(result.stderr.splitlines()) == 2


def test_a_directory_whose_name_is_not_utf8_is_refused_and_can_be_started_through_a_link(site: Site, start: Start) -> None:
    odd, link = os.fsdecode(os.fsencode(site.root) + b"/\xff"), site.root / "link"
    shutil.copytree(site.app, odd)
    link.symlink_to(odd)
    failed = fail_bare(site, odd)
    assert failed.code == 2
    assert "the name is not UTF-8" in failed.problem
    assert "symbolic link" in failed.hint
    assert failed.tracebacks == 0
    assert start(str(link)).get().text == "hello"


@needs_root
def test_where_no_process_may_be_started_the_limits_are_named(site: Site) -> None:
    site.give_to_nobody()
    failed = fail(site, prefix=(*AS_NOBODY, "prlimit", "--nproc=0:0"))
    assert failed.code == 1
    assert "Resource temporarily unavailable" in failed.problem
    assert "BlockingIOError(" not in failed.problem
    assert "ulimit -u" in failed.hint
    assert failed.tracebacks == 0


def test_an_application_that_ends_its_process_at_import_is_told_where_to_look(site: Site) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nos._exit(0)\n")
    failed = fail(site)
    assert failed.code == 1
    assert "died while it was booting: exit code 0" in failed.problem
    assert "os._exit" in failed.hint
