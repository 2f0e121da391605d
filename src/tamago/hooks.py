"""Callbacks around the fork, for applications that open at import what two processes must not share.

Importing happens once, in the nest; each worker and the agent is forked from it. Like `os.register_at_fork`, but only for tamago's own
forks, not for every subprocess the application starts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Callback = TypeVar("_Callback", bound=Callable[[], object])

_before: list[Callable[[], object]] = []
_after: list[Callable[[], object]] = []


def before_fork(callback: _Callback) -> _Callback:
    """Call this in the nest before it forks, last registered first. Usable as a decorator.

    Processes that are asked for together are forked together, after one call.
    """
    _before.append(callback)
    return callback


def after_fork(callback: _Callback) -> _Callback:
    """Call this in each new process right after the fork, in the order of registration. Usable as a decorator."""
    _after.append(callback)
    return callback


def run_before_fork() -> None:
    """Run what was registered with `before_fork`."""
    for callback in reversed(_before):
        callback()


def run_after_fork() -> None:
    """Run what was registered with `after_fork`."""
    for callback in _after:
        callback()
