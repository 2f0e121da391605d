from __future__ import annotations

import threading

from tamago.core.slow_watch import SlowWatch


def test_what_runs_too_long_is_named_while_it_runs() -> None:
    said = threading.Event()
    names: list[str] = []

    def report(name: str) -> None:
        names.append(name)
        said.set()

    watch = SlowWatch(0.01, report)
    token = watch.begin("app/boot.py:did_load")
    assert said.wait(60)
    watch.finish(token)
    assert names == ["app/boot.py:did_load"]


def test_only_what_still_runs_is_named() -> None:
    said = threading.Event()
    names: list[str] = []

    def report(name: str) -> None:
        names.append(name)
        said.set()

    watch = SlowWatch(0.05, report)
    watch.finish(watch.begin("quick"))
    watch.begin("slow")
    assert said.wait(60)
    assert names == ["slow"]


def test_two_of_one_name_are_watched_apart() -> None:
    said = threading.Event()
    names: list[str] = []

    def report(name: str) -> None:
        names.append(name)
        said.set()

    watch = SlowWatch(0.05, report)
    first = watch.begin("task")
    watch.begin("task")
    watch.finish(first)
    assert said.wait(60)
    assert names == ["task"]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tamago-slow-watch"]


def test_the_thread_ends_when_nothing_is_watched_and_comes_back() -> None:
    before = threads()
    watch = SlowWatch(600, lambda name: None)
    for _ in range(2):
        token = watch.begin("quick")
        (thread,) = [thread for thread in threads() if thread not in before]
        watch.finish(token)
        watch.rest()
        thread.join(60)
        assert not thread.is_alive()
