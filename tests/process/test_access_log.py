"""The access log of a whole cluster: several workers into one file or pipe, rotation, and the end."""

from __future__ import annotations

import json
import signal
from collections import Counter

from tests.process.harness import Start
from tests.process.load import Load
from tests.process.site import Site


def test_the_workers_share_a_file_that_can_be_rotated_and_has_a_line_for_each_answer(site: Site, start: Start) -> None:
    path, rotated = site.app / "access.log", site.app / "access.log.1"
    cluster = start("--access-log", "--access-log-file", path.name, "--access-log-format", "json")
    with Load(cluster.place) as load:
        load.wait_answered(200)
        path.rename(rotated)
        cluster.signal(signal.SIGUSR1)
        load.wait_answered(200)
        cluster.call("reload")
        load.wait_answered(200)
    assert cluster.stop() == 0
    load.assert_none_lost()
    lines = [json.loads(line) for file in (rotated, path) for line in file.read_text().splitlines()]
    assert len(lines) == load.answered
    assert Counter(line["status"] for line in lines) == {200: load.answered}
    assert {line["worker"] for line in lines} == {1, 2}
    assert len({line["request_id"] for line in lines}) == load.answered
    assert path.stat().st_size, "SIGUSR1 opened it again"


def test_on_standard_output_it_stands_between_whatever_else_is_written(start: Start) -> None:
    cluster = start("--access-log", "--access-log-format", "seen {method} {path} {status} worker {worker} {pid}")
    cluster.get("/say/hello?secret=1")
    line = cluster.expect(r"^seen GET /say/hello 200 worker (?P<slot>\d) (?P<pid>\d+)$")[0]
    assert cluster.workers()[int(line["slot"])] == int(line["pid"])


def test_a_bad_format_ends_the_start_and_names_what_is_wrong(site: Site) -> None:
    result = site.run("start", "--app", "main:app", "--port", "0", "--access-log-format", "{client} {stauts}")
    assert result.returncode == 2
    assert "access_log_format" in result.stderr
    assert "has the placeholder {stauts}, which there is not; did you mean {status}?" in result.stderr


def test_a_file_that_cannot_be_written_ends_the_start(site: Site) -> None:
    result = site.run("start", "--app", "main:app", "--port", "0", "--access-log", "--access-log-file", "missing/access.log")
    assert result.returncode == 1
    assert "cannot write the log file missing/access.log: no such file or directory" in result.stderr
    assert "--access-log-file" in result.stderr
    assert "Traceback" not in result.stderr
