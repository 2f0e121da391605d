from __future__ import annotations

import msgspec
import pytest

from tamago.ipc import bodies
from tamago.ipc.bodies import ErrorBody, NotSendableError
from tamago.ipc.wire import MalformedFrameError


@pytest.mark.parametrize(
    "data",
    [object(), {"deep": [lambda: None]}, 2**64, -(2**63) - 1, 1 + 2j],
    ids=["object", "function", "too large", "too small", "complex"],
)
def test_what_msgpack_cannot_carry_is_refused_with_its_action(data: object) -> None:
    with pytest.raises(NotSendableError, match="the data of 'prices'"):
        bodies.encode_message("prices", data)


def test_data_that_contains_itself_is_refused() -> None:
    data: list[object] = []
    data.append(data)
    with pytest.raises(NotSendableError):
        bodies.encode_reply(data)


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x92\x01\x02", b"\x91\xa1a", b"\x93\xa1a\x01\x02", b"\x92\xa1\xff\xc0"], ids=repr)
def test_a_message_that_is_no_pair_of_action_and_data_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        bodies.decode_message(body)


def test_an_extension_type_is_malformed() -> None:
    body = msgspec.msgpack.encode(("action", msgspec.msgpack.Ext(5, b"payload")))
    with pytest.raises(MalformedFrameError, match="extension 5"):
        bodies.decode_message(body)


def test_an_error_comes_back_the_same() -> None:
    error = ErrorBody("ValueError", "no", "Traceback ...")
    assert bodies.decode_error(bodies.encode_error(error)) == error


def test_an_error_that_is_none_is_malformed() -> None:
    with pytest.raises(MalformedFrameError):
        bodies.decode_error(b"\x80")
