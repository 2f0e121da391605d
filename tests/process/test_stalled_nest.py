"""A nest that does not answer holds up nobody, and its end during a stop is no news that could confuse the master."""

from __future__ import annotations

import os
import signal

from tests.process import proc
from tests.process.harness import Start


def test_a_nest_that_stalls_and_dies_during_a_stop_does_not_take_the_master_with_it(start: Start) -> None:
    cluster = start("--no-agent", "--workers", "2")
    nest = cluster.pid_of("nest")
    os.kill(nest, signal.SIGSTOP)
    proc.end(cluster.pid_of("worker 1"))
    cluster.expect(r"worker 1 .* died")  # its replacement has been asked for, and stays asked for
    cluster.begin_stop()
    cluster.expect(r"worker 2 .* left")
    proc.end(nest)
    assert cluster.wait() == 0
    assert "a bug in tamago" not in cluster.output.text
