"""Which user and group the children run as: names are looked up once, before anything starts."""

from __future__ import annotations

import grp
import os
import pwd
from typing import ClassVar

from tamago.errors import ExitCode, TamagoError


class UserError(TamagoError):
    """--user or --group cannot be used."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE


def resolve_user(user: str, group: str) -> tuple[int, int] | None:
    """Return (uid, gid) for the children, or None when they stay who we are. Raises `UserError`."""
    if not user and not group:
        return None
    uid, gid = os.geteuid(), os.getegid()
    if user:
        uid, gid = _user(user)
    if group:
        gid = _group(group)
    if (uid, gid) == (os.geteuid(), os.getegid()):
        return None
    if os.geteuid() != 0:
        raise UserError("only root can start processes as another user", hint="start as root, or leave --user and --group out")
    return uid, gid


def resolve_socket_owner(user: str, group: str) -> tuple[int, int]:
    """Return (uid, gid) for Unix sockets, -1 for what is not given: then it is ours. Raises `UserError`."""
    return _user(user)[0] if user else -1, _group(group) if group else -1


def _user(user: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return int(user), int(user)
        raise UserError(f"there is no user {user!r}", hint="`getent passwd` lists them") from None
    return entry.pw_uid, entry.pw_gid


def _group(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UserError(f"there is no group {group!r}", hint="`getent group` lists them") from None
