"""A tamago that was upgraded under a running master: children that speak another version are refused, and it is said why."""

from __future__ import annotations

import re

import pytest
from tests.process import proc
from tests.process.control import Control
from tests.process.harness import Start
from tests.process.site import Site
from tests.process.test_start_failures import fail

# Found on PYTHONPATH by every interpreter of the cluster, as another version in site-packages would be.
_UPGRADED = """
import os, sys
if "{module}" in sys.orig_argv and os.path.exists("{flag}"):
    import tamago.ipc.control_messages
    tamago.ipc.control_messages.PROTOCOL_VERSION = 99
"""


def upgrade(site: Site, module: str) -> str:
    """Have fresh interpreters of that module speak version 99 while the file `upgraded` is there; return the PYTHONPATH for it."""
    directory = site.root / "upgrade"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(_UPGRADED.format(module=module, flag=site.root / "upgraded"))
    return str(directory)


@pytest.mark.parametrize(
    ("module", "role", "mode"),
    [("tamago.cluster.nest", "nest", ()), ("tamago.cluster.child", "agent", ("--no-preload",))],
    ids=["nest", "spawned"],
)
def test_a_start_whose_processes_speak_another_version_fails_and_says_so(site: Site, module: str, role: str, mode: tuple[str, ...]) -> None:
    path = upgrade(site, module)
    (site.root / "upgraded").touch()
    failed = fail(site, *mode, PYTHONPATH=path)
    assert failed.code == 1
    assert re.fullmatch(rf"tamago: {role} speaks protocol version 99, the master \d+", failed.problem)
    assert "stop and start it" in failed.hint
    assert failed.tracebacks == 0


def test_a_child_that_speaks_another_version_is_refused_until_one_speaks_ours(site: Site, start: Start) -> None:
    cluster = start("--no-preload", environment={"PYTHONPATH": upgrade(site, "tamago.cluster.child")})
    cluster.expect_ready(count=2)
    cluster.output.mark()
    (site.root / "upgraded").touch()
    proc.end(cluster.workers()[1])
    cluster.expect(r"worker speaks protocol version 99, the master \d+")
    assert cluster.who()["slot"] == 2
    (site.root / "upgraded").unlink()
    control = Control(cluster)
    control.call("kick", slot=1)
    control.close()
    assert sorted(cluster.workers()) == [1, 2]


def test_a_reload_to_another_version_is_rolled_back_with_what_to_do(site: Site, start: Start) -> None:
    cluster = start(environment={"PYTHONPATH": upgrade(site, "tamago.cluster.nest")})
    (site.root / "upgraded").touch()
    result = cluster.cli("reload")
    assert result.returncode == 1
    assert "nest speaks protocol version 99" in result.stderr
    assert "stop and start it" in result.stderr
    assert cluster.who()["generation"] == 1
