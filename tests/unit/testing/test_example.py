"""The tests of the example pass, in several processes as they would in one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.testing.project import TestedProject

BLOG = Path(__file__).parents[3] / "examples/blog"


@pytest.mark.slow
def test_the_tests_of_the_blog_pass(tmp_path: Path) -> None:
    project = TestedProject(tmp_path / "blog")
    shutil.copytree(BLOG, project.directory, ignore=shutil.ignore_patterns("run", "logs", "__pycache__", "*.sqlite3*"))
    outcome = project.test("-n", "2")
    assert outcome.counts.keys() == {"passed"}, outcome.text
