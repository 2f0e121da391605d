"""What every process test is given: a site of its own, and a way to start clusters that are checked when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.process.harness import Start, starting
from tests.process.site import Site, new_site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def site() -> Iterator[Site]:
    with new_site() as site:
        yield site


@pytest.fixture
def start(site: Site) -> Iterator[Start]:
    with starting(site) as start:
        yield start
