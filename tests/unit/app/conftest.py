"""Async tests of the framework run on asyncio; the loops differ nowhere it could see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.unit.app.fakes import FakeApplication

from tamago.app.current import current


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def app() -> FakeApplication:
    return FakeApplication()


@pytest.fixture(autouse=True)
def no_current_context() -> Iterator[None]:
    """Whatever runs a request in a context of its own; tests do not, so they clean up."""
    token = current.set(None)
    yield
    current.reset(token)
