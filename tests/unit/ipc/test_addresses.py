from __future__ import annotations

from typing import Any

import pytest

from tamago.ipc.addresses import BadAddressError, header_fields, one_receiver
from tamago.ipc.wire import Route
from tamago.types import Group, Pid, Slot


@pytest.mark.parametrize(
    ("to", "fields"),
    [
        (Slot(3), (Route.SLOT, 3, 0)),
        (Pid(4711), (Route.PID, 0, 4711)),
        (Group.AGENT, (Route.AGENT, 0, 0)),
        (Group.APP, (Route.APP, 0, 0)),
        (Group.ALL, (Route.ALL, 0, 0)),
        (Group.RANDOM, (Route.RANDOM, 0, 0)),
    ],
)
def test_an_address_becomes_header_fields(to: Any, fields: tuple[int, int, int]) -> None:
    assert header_fields(to) == fields


@pytest.mark.parametrize("to", [Slot(0), Slot(-1), Slot(70_000), Pid(0), Pid(2**32), 4711, "agent", None, []], ids=repr)
def test_what_is_no_address_is_refused_with_what_is_one(to: Any) -> None:
    with pytest.raises(BadAddressError, match=r"Slot\(1\.\.\)"):
        header_fields(to)


@pytest.mark.parametrize("to", [Group.APP, Group.ALL])
def test_a_request_to_many_is_refused(to: Group) -> None:
    with pytest.raises(BadAddressError, match="one receiver"):
        one_receiver(to)


def test_every_group_has_a_route() -> None:
    assert {header_fields(group)[0] for group in Group} == {Route.AGENT, Route.APP, Route.ALL, Route.RANDOM}
