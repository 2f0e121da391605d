from __future__ import annotations

import pytest

from tamago.plugins.static.conditions import Decision, Failed, NotModified, Part, Unsatisfiable, Whole, decide
from tamago.plugins.static.encodings import acceptable

ETAG = '"1f-3e8"'
DATE = "Sat, 28 Nov 2026 06:00:00 GMT"
LATER = "Sat, 28 Nov 2026 06:00:01 GMT"
EARLIER = "Sat, 28 Nov 2026 05:59:59 GMT"


def given(headers: dict[str, str], method: str = "GET", size: int = 1000) -> Decision:
    return decide(method, headers, size=size, etag=ETAG, last_modified=DATE)


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        ({}, Whole()),
        ({"if-none-match": ETAG}, NotModified()),
        ({"if-none-match": f'"other", W/{ETAG}'}, NotModified()),
        ({"if-none-match": "*"}, NotModified()),
        ({"if-none-match": '"other"'}, Whole()),
        ({"if-none-match": ETAG, "cache-control": "no-cache"}, Whole()),
        ({"if-modified-since": DATE}, NotModified()),
        ({"if-modified-since": LATER}, NotModified()),
        ({"if-modified-since": EARLIER}, Whole()),
        ({"if-modified-since": "yesterday"}, Whole()),
        ({"if-none-match": '"other"', "if-modified-since": DATE}, Whole()),
        ({"if-match": ETAG}, Whole()),
        ({"if-match": "*"}, Whole()),
        ({"if-match": '"other"'}, Failed()),
        ({"if-match": f"W/{ETAG}"}, Failed()),
    ],
)
def test_conditions_decide_in_the_order_of_the_rfc(headers: dict[str, str], decision: Decision) -> None:
    assert given(headers) == decision


@pytest.mark.parametrize(
    ("wanted", "decision"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=0-499", Part(0, 500)),
        ("bytes=500-", Part(500, 1000)),
        ("bytes=-1", Part(999, 1000)),
        ("bytes=-5000", Part(0, 1000)),
        ("bytes=999-5000", Part(999, 1000)),
        ("bytes=0-" + "9" * 5000, Part(0, 1000)),
        ("Bytes = 1 - 2", Part(1, 3)),
        ("bytes=1000-", Unsatisfiable()),
        ("bytes=" + "9" * 5000 + "-", Unsatisfiable()),
        ("bytes=-0", Unsatisfiable()),
        ("bytes=-", Whole()),
        ("bytes=2-1", Whole()),
        ("bytes=0-1,5-6", Whole()),
        ("lines=0-1", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=٣-", Whole()),
        ("", Whole()),
    ],
)
def test_a_part_is_what_was_asked_for_or_all_or_refused(wanted: str, decision: Decision) -> None:
    assert given({"range": wanted}) == decision


@pytest.mark.parametrize(
    ("condition", "decision"), [(ETAG, Part(0, 2)), (DATE, Part(0, 2)), ('"other"', Whole()), (f"W/{ETAG}", Whole()), (LATER, Whole())]
)
def test_a_part_of_another_version_is_not_sent(condition: str, decision: Decision) -> None:
    assert given({"range": "bytes=0-1", "if-range": condition}) == decision


def test_a_fresh_copy_needs_no_part_and_a_head_has_none() -> None:
    assert given({"range": "bytes=0-1", "if-none-match": ETAG}) == NotModified()
    assert given({"range": "bytes=0-1"}, method="HEAD") == Whole()


def test_an_empty_file_has_no_parts() -> None:
    assert given({"range": "bytes=0-"}, size=0) == Unsatisfiable()


@pytest.mark.parametrize(
    ("accept", "codings"),
    [
        ("", []),
        ("identity", []),
        ("gzip, deflate, br, zstd", ["br", "zstd", "gzip"]),
        ("gzip", ["gzip"]),
        ("X-GZIP", ["gzip"]),
        ("gzip;q=1, br;q=0.5", ["gzip", "br"]),
        ("br;q=0, gzip", ["gzip"]),
        ("*", ["br", "zstd", "gzip"]),
        ("*, br;q=0", ["zstd", "gzip"]),
        ("gzip;q=nonsense", []),
        ("gzip;q=0.2, identity;q=0.5", []),
    ],
)
def test_codings_are_those_the_client_takes_best_first(accept: str, codings: list[str]) -> None:
    assert acceptable(accept, ("br", "zstd", "gzip")) == codings
