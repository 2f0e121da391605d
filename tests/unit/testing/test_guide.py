"""The tests in the guide's page on testing pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.fenced import blocks
from tests.unit.testing.project import TestedProject

PAGE = Path(__file__).parents[3] / "docs/guide/testing.md"


@pytest.mark.slow
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    project = TestedProject(tmp_path)
    project.write("pyproject.toml", "[project]\nname = 'eggs'\n[tool.pytest.ini_options]\ntestpaths = ['tests']\n")
    project.write("config/unittest.py", "config = {'dump': {'enable': False}}\n")
    files = [block for block in blocks(PAGE) if block.mark == "file"]
    for block in files:
        project.write(block.file, block.text)
    outcome = project.test()
    assert outcome.counts == {"passed": sum(block.text.count("def test_") for block in files)}, outcome.text
