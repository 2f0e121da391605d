"""The example of a sub command is found through its entry point, and greets who runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.process.harness import Start
from tests.process.site import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter-command"


@pytest.fixture
def installed(site: Site) -> str:
    """What PYTHONPATH has to be for the example to count as installed: its code, and the metadata pip would have written."""
    metadata = site.root / "installed" / "greeter_command-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greeter-command\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[tamago.commands]\ngreet = greeter_command:register\n")
    return os.pathsep.join((str(metadata.parent), str(EXAMPLE / "src")))


def test_a_plugin_command_asks_the_clusters_that_run(site: Site, start: Start, installed: str) -> None:
    assert site.run("greet", PYTHONPATH=installed).stdout == "hello, nobody\n"
    cluster = start()
    done = site.run("greet", "--greeting", "good morning", PYTHONPATH=installed)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"good morning, {cluster.title}: you are ready\n", "")


def test_a_plugin_command_is_in_the_help(site: Site, installed: str) -> None:
    assert "Greet every cluster that runs." in site.run("--help", PYTHONPATH=installed).stdout


def test_the_metadata_here_is_that_of_the_example() -> None:
    assert 'greet = "greeter_command:register"' in (EXAMPLE / "pyproject.toml").read_text()
