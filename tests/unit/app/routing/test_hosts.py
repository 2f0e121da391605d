from __future__ import annotations

import pytest

from tamago.app.routing.errors import RouteError
from tamago.app.routing.hosts import HostPattern, bare_host


@pytest.mark.parametrize(
    "text", ["", "Example.com", "example.com:80", "http://x", "a..b", "*", "*.", "a.*.b", "ex ample.com", "*example.com"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(RouteError, match="is none"):
        HostPattern.parse(text)


@pytest.mark.parametrize(
    ("field", "host"),
    [
        (b"example.com", b"example.com"),
        (b"Example.COM:8000", b"example.com"),
        (b"example.com.", b"example.com"),
        (b"example.com.:80", b"example.com"),
        (b"[::1]", b"[::1]"),
        (b"[FE80::1]:80", b"[fe80::1]"),
        (b"[::1", b"[::1"),
        (b"", b""),
        (b":80", b""),
    ],
)
def test_a_host_field_is_reduced_to_its_host(field: bytes, host: bytes) -> None:
    assert bare_host(field) == host


def test_a_star_takes_what_is_below_a_name_and_not_the_name() -> None:
    star = HostPattern.parse("*.example.com")
    assert [star.matches(host) for host in (b"a.example.com", b"a.b.example.com", b"example.com", b".example.com", b"anexample.com")] == [
        True,
        True,
        False,
        False,
        False,
    ]
