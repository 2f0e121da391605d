from __future__ import annotations

from typing import Any

import pytest
from benchmarks.goals import PEERS, PRELOADING, Goal, goals
from benchmarks.results import Result, summary, table
from benchmarks.servers import SERVERS, TAMAGO


def result(name: str, rows: list[dict[str, Any]]) -> Result:
    return Result(name=name, rows=rows, settings={}, notes=[], machine={}, versions={}, when="")


def start_row(server: str, workers: int, seconds: float) -> dict[str, Any]:
    return {"server": server, "workers": workers, "served": summary([seconds])}


def test_every_server_is_tamago_or_preloads_or_is_a_plain_peer() -> None:
    assert {TAMAGO} | PRELOADING | PEERS == set(SERVERS)


@pytest.mark.parametrize(("seconds", "met"), [(1.5, True), (1.6, False)])
def test_a_start_of_32_may_take_half_as_long_again_as_one(seconds: float, met: bool) -> None:
    rows = [start_row(TAMAGO, 1, 1.0), start_row(TAMAGO, 32, seconds)]
    rows += [start_row(peer, 32, 100.0) for peer in PEERS | PRELOADING]
    verdicts = {goal.text: goal.is_met for goal in goals(result("start", rows))}
    assert verdicts["32 workers: times the start of 1"] is met


def test_the_start_is_judged_against_the_fastest_peer() -> None:
    rows = [start_row(TAMAGO, 1, 1.0), start_row(TAMAGO, 32, 1.0), start_row("uvicorn", 32, 20.0), start_row("granian", 32, 4.0)]
    rows += [start_row(peer, 32, 2.0) for peer in PRELOADING]
    verdicts = {goal.text: goal for goal in goals(result("start", rows))}
    assert not verdicts["32 workers: share of the fastest peer without preload"].is_met


def test_without_tamago_among_the_rows_there_is_nothing_to_judge() -> None:
    assert goals(result("start", [start_row("uvicorn", 32, 20.0)])) == []


def test_a_rate_has_to_reach_its_limit_and_a_time_to_stay_under_it() -> None:
    assert Goal(text="", measured=3, limit=2, at_least=True).is_met
    assert not Goal(text="", measured=3, limit=2).is_met


def test_a_table_shows_numbers_on_the_right_and_gaps_as_dashes() -> None:
    assert table([["a", 1234.5], ["bb", None]], ["name", "value"]).splitlines() == [
        "| name | value |",
        "|------|------:|",
        "| a    | 1,234 |",
        "| bb   |     - |",
    ]
