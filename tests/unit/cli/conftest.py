"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.command import Tamago


@pytest.fixture
def tamago(tmp_path: Path) -> Tamago:
    """The installed command."""
    return Tamago(tmp_path)
