"""Every setting has what the command line, the environment and the reference need."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tamago.cluster.settings import KNOBS, Kind, Knob, Settings, diff_live
from tamago.types import ServerOptions

EVERY_KNOB = pytest.mark.parametrize("knob", KNOBS.values(), ids=KNOBS.keys())


@EVERY_KNOB
def test_every_setting_has_a_doc_a_flag_and_a_variable(knob: Knob) -> None:
    assert knob.doc
    assert not knob.doc.endswith(".")
    assert knob.group
    assert knob.flag == ("" if knob.secret else "--" + knob.name.replace("_", "-"))
    assert knob.environment_name == "TAMAGO_" + knob.name.upper()


@EVERY_KNOB
def test_every_number_has_a_range_that_holds_its_default(knob: Knob) -> None:
    if knob.kind in (Kind.WHOLE, Kind.NUMBER, Kind.OCTAL):
        assert knob.low is not None
        assert knob.high is not None
        assert knob.default is None or (isinstance(knob.default, int | float) and knob.low <= knob.default <= knob.high)


@EVERY_KNOB
def test_every_choice_includes_the_default(knob: Knob) -> None:
    assert not knob.choices or knob.default in knob.choices


def test_no_flag_means_two_things() -> None:
    flags = [flag for knob in KNOBS.values() for flag in (knob.flag, knob.opposite_flag) if flag]
    assert len(flags) == len(set(flags))


def test_every_option_of_the_http_edge_is_a_setting_with_the_same_default() -> None:
    assert Settings().server_options() == ServerOptions()
    assert {field.name for field in dataclasses.fields(ServerOptions)} <= KNOBS.keys()


@pytest.mark.parametrize(
    ("change", "binds"),
    [
        ({}, ("127.0.0.1:8000",)),
        ({"host": "::1", "port": 0}, ("[::1]:0",)),
        ({"bind": ("unix:/run/x", ":80"), "port": 1}, ("unix:/run/x", ":80")),
    ],
)
def test_there_is_always_something_to_listen_on(change: dict[str, Any], binds: tuple[str, ...]) -> None:
    assert Settings(**change).binds == binds


@pytest.mark.parametrize(("text", "budget"), [("", (0, 0.0)), ("10/60", (10, 60.0))])
def test_the_restart_budget_is_deaths_in_seconds(text: str, budget: tuple[int, float]) -> None:
    assert Settings(max_restarts=text).restart_budget == budget


def test_a_change_is_live_unless_the_setting_says_otherwise() -> None:
    old = Settings(title="shop")
    assert diff_live(old, dataclasses.replace(old, workers=4, linger=1.0, app="main:app")) == ()
    assert diff_live(old, dataclasses.replace(old, port=1, workers=4, title="x", sticky=True)) == ("title", "port", "sticky")


def test_other_certificates_may_come_but_tls_itself_cannot_come_or_go() -> None:
    one, two = Settings(ssl_certfile=("a.pem",)), Settings(ssl_certfile=("a.pem", "b.pem"), ssl_password_file="p")
    assert diff_live(one, two) == ()
    assert diff_live(one, Settings()) == diff_live(Settings(), one) == ("ssl_certfile",)
