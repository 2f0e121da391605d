"""Channels run on uvloop in workers and on asyncio's own loop in the master and in tests: every async test here runs on both."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected Unix stream sockets, closed afterwards."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs
