"""The quick way to read `tamago start` means what the full parser means, or leaves it to that."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tamago.cli import start as start_module
from tamago.cli.flags import accepts_settings, given as given_flags
from tamago.cli.plain_start import StartRequest, parse_start, start_request
from tamago.cli.typer_command import typer_command
from tamago.cluster.settings import KNOBS


def full_parser() -> Any:
    """Return a parser for the flags of `start` that returns what it read."""

    @accepts_settings
    @functools.wraps(start_request, assigned=())
    def read(**arguments: Any) -> StartRequest:
        return start_request(**given_flags(arguments))

    return typer_command("start", read)


FULL = full_parser()
FLAGS = [flag for knob in KNOBS.values() for flag in (knob.flag, knob.opposite_flag) if flag]
WORDS = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(FLAGS).map(lambda flag: f"{flag}=7"),
    st.sampled_from(
        ["", "x", "4", "-", "--", "-5", "--wor", "--daemon", "--json", "--timeout", "--timeout=3", "--help", "a=b", ":80", "--port="]
    ),
)


@given(st.lists(WORDS, max_size=6))
def test_what_is_read_quickly_is_read_the_same_by_the_full_parser(words: list[str]) -> None:
    quick = parse_start(words)
    if quick is None:
        return
    assert quick == FULL.main(args=words, standalone_mode=False)


@pytest.mark.parametrize(
    "words",
    [
        ["--daemon=yes"],
        ["--help"],
        ["--timeout", "0"],
        ["--timeout", "--workers", "2", "5"],
        ["a", "b"],
        ["--workers"],
        ["--workers", "-1"],
        ["--sticky=1"],
        ["--"],
        ["--workes", "1"],
    ],
)
def test_what_is_not_plain_is_left_to_the_full_parser(words: list[str]) -> None:
    assert parse_start(words) is None


def test_a_plain_start() -> None:
    request = parse_start(["shop", "--workers=2", "--no-preload", "--bind", ":80", "--bind=:81", "--sticky"])
    assert request is not None
    assert request.directory == "shop"
    assert request.flags == {"workers": "2", "preload": False, "bind": [":80", ":81"], "sticky": True}


def test_a_plain_start_of_a_daemon() -> None:
    request = parse_start(["--daemon", "--workers", "2", "shop", "--timeout", "7", "--json"])
    assert request == StartRequest(directory="shop", daemon=True, timeout=7.0, as_json=True, flags={"workers": "2"})


def test_the_settings_are_options_of_the_real_command() -> None:
    names = {
        name for parameter in typer_command("start", start_module.start).params for name in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(FLAGS) - {"--directory"} <= names
