"""The page of settings is up to date and names every setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tamago.cluster.settings import KNOBS, Knob

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_code_says() -> None:
    script = ROOT / "scripts/generate_settings.py"
    result = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("knob", KNOBS.values(), ids=KNOBS.keys())
def test_every_setting_has_a_row_with_its_flag_and_variable(knob: Knob) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{knob.name}` |"))
    if knob.name != "directory":
        assert (f"`{knob.flag}`" if knob.flag else "none: it is a secret") in row
        assert f"`{knob.environment_name}`" in row
