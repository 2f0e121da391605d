"""What an application does to its process at import, where it is done once for all: threads, signals, connections, hooks."""

from __future__ import annotations

import re
import socket

import pytest
from tests.process import proc
from tests.process.harness import Start
from tests.process.site import Site

_MODES = pytest.mark.parametrize("mode", [(), ("--no-preload",)], ids=["preloaded", "spawned"])


@_MODES
@pytest.mark.parametrize(
    "handlers",
    [
        "signal.signal(signal.SIGTERM, lambda *_: say('mine'))\nsignal.signal(signal.SIGINT, lambda *_: say('mine'))",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)",
        "signal.signal(signal.SIGCHLD, lambda *_: [os.waitpid(-1, os.WNOHANG)])",
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
        "signal.set_wakeup_fd(os.open('/dev/null', os.O_WRONLY | os.O_NONBLOCK))",
    ],
    ids=["own handlers", "ignored", "a reaper", "no zombies", "all blocked", "wakeup fd"],
)
def test_an_application_that_takes_signals_at_import_starts_reloads_and_stops(
    site: Site, start: Start, mode: tuple[str, ...], handlers: str
) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\n{handlers}\n")
    cluster = start(*mode, "--stop-timeout", "5", workers=1)
    assert cluster.get().text == "hello"
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    cluster.call("reload")
    assert cluster.stop() == 0
    assert not re.search("did not leave|killed", cluster.output.text), cluster.output.text


def test_an_application_that_closes_all_descriptors_at_import_is_told_so(site: Site) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nos.closerange(3, 1000)\n")
    result = site.run("start", "--app", "main:app", "--port", "0")
    assert result.returncode == 1
    assert "the application closed descriptors that are not its own while it was imported" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_copy_that_the_application_forks_at_import_ends_and_the_nest_goes_on(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nos.fork()\n")
    cluster = start()
    assert cluster.get().text == "hello"
    cluster.expect("this copy of the nest ran on; it ends here")


def test_threads_at_import_are_named_and_each_process_imports_for_itself(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    threads = (
        "import threading\nthreading.Thread(target=threading.Event().wait, name='the-poller', daemon=True).start()\n"
        "libc = ctypes.CDLL(None)\nnative = ctypes.c_ulong()\n"
        "libc.pthread_create(ctypes.byref(native), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)\n"
        "libc.pthread_setname_np(native, b'the-native')\n"
    )
    site.write("main.py", f"{source}\n{threads}")
    cluster = start()
    warning = cluster.output.found("started threads while it was imported", everywhere=True)
    assert len(warning) == 1
    assert "the-poller (Python)" in warning[0].string
    assert re.search(r"the-native \(native, id \d+\)", warning[0].string)
    importers = {int(match[1]) for match in cluster.output.found(r"^@import .*pid=(\d+)", everywhere=True)}
    assert set(cluster.workers().values()) < importers
    assert proc.threads_of(cluster.pid_of("nest")) == 1, "the threads ended with the image that had them"
    assert all(proc.threads_of(pid) >= 3 for pid in cluster.workers().values()), "and each worker has its own"
    cluster.output.mark()
    proc.end(cluster.workers()[1])
    cluster.expect_ready(slot=1)
    cluster.call("reload")


def test_a_thread_that_ended_before_the_import_did_costs_nothing(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nimport threading\nthread = threading.Thread(target=int)\nthread.start()\nthread.join()\n")
    cluster = start()
    assert len(cluster.output.found("^@import", everywhere=True)) == 1
    assert "started threads" not in cluster.output.text


def test_a_connection_opened_at_import_is_warned_of(site: Site, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        source = (site.app / "main.py").read_text()
        site.write("main.py", f"{source}\nimport socket\nkept = socket.create_connection(('127.0.0.1', {port}))\n")
        cluster = start()
        warning = cluster.output.found("opened a connection while it was imported", everywhere=True)
        assert len(warning) == 1
        assert f"to 127.0.0.1:{port}" in warning[0].string
        cluster.stop()


def test_fork_hooks_run_in_the_nest_before_and_in_the_child_after_each_fork(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    hooks = (
        "from tamago.hooks import after_fork, before_fork\n"
        "before_fork(lambda: say('before', who=1))\nbefore_fork(lambda: say('before', who=2))\n"
        "after_fork(lambda: say('after', who=1))\nafter_fork(lambda: say('after', who=2))\n"
    )
    site.write("main.py", f"{source}\n{hooks}")
    cluster = start()
    nest, workers = cluster.pid_of("nest"), cluster.workers()
    before = cluster.output.found(r"^@before role=nest .*pid=(\d+) who=(\d)")
    whos = [match[2] for match in before]
    # Once for the agent, and once or twice for the workers: what is asked for together is forked together.
    assert whos in (["2", "1"] * 2, ["2", "1"] * 3), "last registered first"
    assert {int(match[1]) for match in before} == {nest}
    for slot, pid in workers.items():
        after = cluster.output.found(rf"^@after role=worker slot={slot} .*pid={pid} who=(\d)")
        assert [match[1] for match in after] == ["1", "2"]


@pytest.mark.parametrize("which", ["before", "after"])
def test_a_fork_hook_that_raises_ends_the_start_and_says_why(site: Site, start: Start, which: str) -> None:
    source = (site.app / "main.py").read_text()
    hook = f"import tamago.hooks\n@tamago.hooks.{which}_fork\ndef hook():\n    raise LookupError('the hook is broken')\n"
    site.write("main.py", f"{source}\n{hook}")
    cluster = start(ready=False)
    assert cluster.wait() == 1
    assert "the hook is broken" in cluster.output.text


def test_an_application_that_installs_a_handler_in_its_lifespan_still_stops(site: Site, start: Start) -> None:
    source = (site.app / "main.py").read_text()
    install = 'say("up", version=VERSION)\n            signal.signal(signal.SIGTERM, lambda *_: say("mine"))'
    site.write("main.py", source.replace('say("up", version=VERSION)', install))
    cluster = start("--stop-timeout", "600")
    assert cluster.stop() == 0


def test_standard_streams_of_the_application_are_the_commands(site: Site, start: Start) -> None:
    said = "import logging\nprint('to stdout', flush=True)\nprint('to stderr', file=sys.stderr)\n"
    logged = "logging.getLogger('shop').warning('to the log')\n"
    site.write("main.py", (site.app / "main.py").read_text() + said + logged)
    cluster = start()
    cluster.expect("^to stdout")
    cluster.expect("^to stderr")
    cluster.expect("to the log")


@_MODES
def test_what_is_printed_at_import_is_written_once_and_before_the_cluster_is_ready(site: Site, start: Start, mode: tuple[str, ...]) -> None:
    source = (site.app / "main.py").read_text()
    # Into a pipe, so it waits in a buffer of which every fork has a copy.
    site.write("main.py", f"{source}\nprint('printed at import by', os.getpid(), end=' ')\nprint('and more', file=sys.stderr, end='')\n")
    cluster = start(*mode)
    assert cluster.stop() == 0
    written = re.findall(r"printed at import by \d+|ready on", cluster.output.text)
    printed = written[: written.index("ready on")] if not mode else written[:-1]
    assert len(printed) == len(set(printed)) == (3 if mode else 1), cluster.output.text
    assert len(written) == len(printed) + 1, cluster.output.text
