"""A project made by `tamago new`, whose tests are run in a process of their own, as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.testing.project import TestedProject, make


@pytest.fixture
def project(tmp_path: Path) -> TestedProject:
    """An application, as new; its own tests are left out."""
    project = make(tmp_path / "shop", "app")
    for path in (project.directory / "tests").iterdir():
        path.unlink()
    return project
