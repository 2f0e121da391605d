"""Requests and replies as lines of JSON."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.control_protocol import (
    COMMANDS,
    BadRequestError,
    ControlError,
    Reply,
    decode_reply,
    encode_reply,
    encode_request,
    error_reply,
    parse_request,
)
from tamago.errors import TamagoError


def test_a_request_comes_back_as_it_was_made() -> None:
    request, params = parse_request(encode_request(3, "scale", {"workers": 2}))
    assert (request.id, request.command, params) == (3, "scale", {"workers": 2, "relative": False})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_its_parameters_are(command: str) -> None:
    assert COMMANDS[command].__doc__


def test_an_error_travels_with_all_it_has() -> None:
    reply = decode_reply(encode_reply(error_reply(4, ControlError("p", hint="h", detail="d", exit_code=3))))
    assert reply == Reply(id=4, event="error", problem="p", hint="h", detail="d", exit_code=3)
    assert error_reply(4, TamagoError("p")).exit_code == 1


def test_what_json_cannot_say_is_said_as_text() -> None:
    assert decode_reply(encode_reply(Reply(id=1, event="done", result={"x": 1j}))).result == {"x": "1j"}


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_line_is_a_request_or_a_bad_request(line: bytes) -> None:
    with suppress(BadRequestError):
        parse_request(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*COMMANDS]), st.dictionaries(st.sampled_from(["workers", "slot", "timeout", "now", "x"]), JSON, max_size=3))
def test_any_parameters_are_right_or_a_bad_request(command: str, params: dict[str, object]) -> None:
    try:
        request, checked = parse_request(encode_request(1, command, params))
    except BadRequestError:
        return
    except Exception as error:  # noqa: BLE001
        pytest.fail(repr(error))
    assert request.command == command
    assert checked.keys() == set(COMMANDS[command].__struct_fields__)
