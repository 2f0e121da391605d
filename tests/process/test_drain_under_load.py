"""All kinds of requests while workers are swapped in all ways there are: none is lost, cut short or answered twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.process.harness import Start
from tests.process.site import Site
from tests.process.test_tls import CERTIFIED, certify
from tests.web.certificates import ca, leaf

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("tls", [False, True], ids=["in clear", "with TLS"])
def test_no_request_of_any_kind_is_lost_while_workers_are_swapped(site: Site, start: Start, tls: bool) -> None:
    site.write("main.py", (ROOT / "benchmarks/apps/drained.py").read_text())
    seen = site.root / "seen"
    if tls:
        certify(site, leaf("localhost"))
    flags = CERTIFIED if tls else ()
    # A client that gets no CPU for a while must not find its idle connection closed: that would be no fault of ours.
    cluster = start("--max-requests", "400", "--linger", "5", *flags, workers=2, environment={"BENCH_SEEN": str(seen)})
    trust = ("--ca", str(site.write("ca.pem", ca().cert_pem.bytes().decode()))) if tls else ()
    command = [sys.executable, "-m", "benchmarks.traffic", str(cluster.port), *trust]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as traffic:
        cluster.call("kick", slot=1)
        cluster.call("reload")
        cluster.expect("--max-requests")
        output, _ = traffic.communicate(b"")  # the end of its input ends it
    report: dict[str, Any] = json.loads(output)
    assert report["lost"] == []
    assert len(report["answered"]) == 8, "every kind was answered"
    assert cluster.stop() == 0
    reached = Counter(int(number) for line in seen.read_text().splitlines() for number in line.split()[1:])
    assert set(report["numbers"]) == set(reached)
    assert max(reached.values()) == 1
