"""Signals to the master in numbers and at bad moments: it ends where it was told to, and loses nobody on the way."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest
from tests.process.barrier import wait_heard
from tests.process.harness import Start
from tests.process.load import Load
from tests.process.site import Site


def serving(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Who does the work; those they replaced may still be on their way out."""
    return [process for process in status["processes"] if process["active"] and process["state"] == "ready"]


def slots_of(status: dict[str, Any]) -> list[int]:
    """The slots that are served."""
    return [process["slot"] for process in serving(status) if process["role"] == "worker"]


def test_a_thousand_mixed_signals_end_in_the_right_state(start: Start) -> None:
    cluster = start()
    order = random.Random(47)
    for _ in range(1000):
        cluster.signal(order.choice((signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD, signal.SIGUSR1)))
    wait_heard(cluster)
    # What the storm asked for is done before this is: 1 to a handful of workers, and one reload more.
    cluster.call("reload")
    cluster.call("scale", workers=3)
    status = cluster.status()
    assert slots_of(status) == [1, 2, 3]
    assert (status["state"], status["degraded"], status["workers"]) == ("ready", False, 3)
    assert len({process["generation"] for process in serving(status)}) == 1
    assert "Traceback" not in cluster.output.text
    assert cluster.stop() == 0


def test_a_storm_of_reloads_and_reopens_under_load_loses_nothing(start: Start) -> None:
    cluster = start()
    with Load(cluster.place, rate=100) as load:
        load.wait_answered(20)
        for _ in range(100):
            cluster.signal(signal.SIGHUP)
            cluster.signal(signal.SIGUSR1)
        wait_heard(cluster)
        cluster.call("reload")
        load.wait_answered(20)
    load.assert_none_lost()
    assert cluster.status()["state"] == "ready"


@pytest.mark.parametrize("number", [signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2], ids=lambda number: number.name)
def test_a_signal_while_it_starts_is_no_end_of_it(site: Site, start: Start, number: signal.Signals) -> None:
    gate = site.gate("gate")
    source = (site.app / "main.py").read_text()
    site.write("main.py", f"{source}\nfrom report import hold\nhold('gate')\n")
    cluster = start(ready=False)
    cluster.expect("@import")
    cluster.signal(number)
    wait_heard(cluster)
    gate.open()
    cluster.wait_ready()
    assert cluster.get().text == "hello"
    wanted = {signal.SIGTTIN: 3, signal.SIGTTOU: 1}.get(number, 2)
    # Asked for anew, so that what was asked for before is done.
    cluster.call("kick", slot=1)
    assert slots_of(cluster.status()) == list(range(1, wanted + 1))


def test_signals_while_it_stops_do_not_bring_it_back(site: Site, start: Start) -> None:
    gate = site.gate("gate")
    cluster = start()
    with cluster.connect() as connection:
        connection.send("/hold/gate")
        cluster.expect("@holding")
        cluster.begin_stop()
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1, signal.SIGUSR2):
            cluster.signal(number)
        wait_heard(cluster)
        gate.open()
        assert connection.receive().text == "held"
    assert cluster.wait() == 0
    assert "Traceback" not in cluster.output.text
    assert not cluster.output.found("generation 2 serves", everywhere=True)


def test_a_report_names_every_process_and_the_state(start: Start) -> None:
    cluster = start()
    cluster.expect_ready(count=2)
    cluster.signal(signal.SIGUSR2)
    cluster.expect(r"INFO .*\bready, generation 1, 2 slots")
    for pid, name in cluster.tree().items():
        cluster.expect(rf"  {name.removesuffix(' gen 1')} gen=1 pid={pid}: ready")


def test_usr1_in_the_foreground_is_harmless(start: Start) -> None:
    cluster = start()
    for _ in range(50):
        cluster.signal(signal.SIGUSR1)
    wait_heard(cluster)
    assert cluster.get().text == "hello"
    assert cluster.output.found("log files reopened", everywhere=True)
