"""Lets an application that runs believe that it is in another environment. Egg's `mockEnv`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tamago.app import Application


class EnvironmentMock:
    """What the fixture `mock_env` is."""

    def __init__(self, app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._monkeypatch = monkeypatch

    def __call__(self, env: str) -> None:
        """Have `app.env` and `app.info.env` be this until the test ends."""
        loaded = self._app.loaded
        self._monkeypatch.setattr(self._app, "loaded", replace(loaded, info=replace(loaded.info, env=env)))
