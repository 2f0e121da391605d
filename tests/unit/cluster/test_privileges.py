"""Names become numbers once, before anything starts."""

import os

import pytest

from tamago.cluster.privileges import UserError, resolve_socket_owner, resolve_user


def test_nobody_asked_for_nobody_changed() -> None:
    assert resolve_user("", "") is None


def test_who_we_are_already_is_no_change() -> None:
    assert resolve_user(str(os.geteuid()), str(os.getegid())) is None


@pytest.mark.parametrize(("user", "group"), [("no-such-user", ""), ("", "no-such-group")])
def test_an_unknown_name_is_an_error_with_the_name_in_it(user: str, group: str) -> None:
    with pytest.raises(UserError, match=user or group):
        resolve_user(user, group)


def test_root_can_become_anybody_by_name_or_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert resolve_user("4711", "") == (4711, 4711)
    assert resolve_user("4711", "12") == (4711, 12)


def test_the_owner_of_a_socket_is_looked_up_and_what_is_not_said_stays() -> None:
    assert resolve_socket_owner("", "") == (-1, -1)
    assert resolve_socket_owner("root", "") == (0, -1)
    assert resolve_socket_owner("", "12345") == (-1, 12345)
    for user, group in (("no-such-user", ""), ("", "no-such-group")):
        with pytest.raises(UserError, match="no-such"):
            resolve_socket_owner(user, group)


def test_others_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="only root"):
        resolve_user("4711", "")
