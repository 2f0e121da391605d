"""Each test has an application of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.app.application.project import Project, project


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    for name in ("TAMAGO_ENV", "TAMAGO_SCOPE", "TAMAGO_HOME", "TAMAGO_CONFIG", "TAMAGO_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    with project(tmp_path) as made:
        yield made
