from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tamago.cluster.interpreter import CHILD_MODULE, NEST_MODULE


@pytest.mark.parametrize("module", [NEST_MODULE, CHILD_MODULE])
def test_who_has_no_master_leaves_in_silence(module: str) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        left = subprocess.run(
            [sys.executable, "-W", "default", "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            capture_output=True,
            check=False,
            text=True,
        )
    assert (left.returncode, left.stdout, left.stderr) == (1, "", "")
