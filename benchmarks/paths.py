"""Where the benchmarks keep things. Everything but `results/` is ignored by git and may be deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
APPS: Final = HERE / "apps"
RESULTS: Final = HERE / "results"
REPORT: Final = ROOT / "docs" / "benchmarks.md"

VENV: Final = HERE / ".venv-peers"
PYTHON: Final = VENV / "bin" / "python"
EGG: Final = HERE / ".egg"
EGG_APP: Final = EGG / "pingpong"
DEBIAN: Final = HERE / ".debian"
SCRATCH: Final = HERE / ".run"
