"""What every test shares: hypothesis profiles, chosen with HYPOTHESIS_PROFILE=deep, and the bytecode of tamago."""

from __future__ import annotations

import compileall
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# deadline=None: a busy machine is no bug of the code under test.
settings.register_profile("fast", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_SOURCE = Path(__file__).parents[1] / "src"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile tamago once, for all the interpreters that tests start.

    Nobody else does: pytest keeps modules it rewrote under names of its own, and the processes of tests are told to write none. Each
    of them, and each worker that is not forked, would compile every module it imports.
    """
    if not hasattr(session.config, "workerinput"):
        compileall.compile_dir(_SOURCE, quiet=2)
