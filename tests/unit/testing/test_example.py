"""The tests of the example pass, alone and in several processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.testing.project import TestedProject

BLOG = Path(__file__).parents[3] / "examples/blog"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "parallel"])
def test_the_tests_of_the_blog_pass(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    project = TestedProject(tmp_path / "blog")
    shutil.copytree(BLOG, project.directory, ignore=shutil.ignore_patterns("run", "logs", "__pycache__", "*.sqlite3*"))
    outcome = project.test(*arguments)
    assert outcome.counts.keys() == {"passed"}, outcome.text
