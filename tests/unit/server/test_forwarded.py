from __future__ import annotations

import pytest

from tamago.server.forwarded import TrustedProxies, TrustedProxiesError


@pytest.mark.parametrize(
    ("entries", "host", "trusted"),
    [
        ((), "127.0.0.1", False),
        (("127.0.0.1",), "127.0.0.1", True),
        (("127.0.0.1",), "127.0.0.2", False),
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.1/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("*",), "8.8.8.8", True),
        (("*",), None, True),
        (("unix",), None, True),
        (("127.0.0.1",), None, False),
        (("127.0.0.1",), "testclient", False),
    ],
)
def test_a_peer_is_trusted_by_address_or_network(entries: tuple[str, ...], host: str | None, *, trusted: bool) -> None:
    assert TrustedProxies(entries).trusts(host) is trusted


@pytest.mark.parametrize(
    ("entries", "values", "client"),
    [
        (("10.0.0.0/8",), [b"1.1.1.1, 2.2.2.2, 10.0.0.1"], "2.2.2.2"),
        (("10.0.0.0/8",), [b"1.1.1.1", b"10.0.0.1"], "1.1.1.1"),
        (("10.0.0.0/8",), [b"10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        (("10.0.0.0/8",), [b"forged, 2.2.2.2"], "2.2.2.2"),
        (("10.0.0.0/8",), [b"[2001:db8::1]:123"], "2001:db8::1"),
        (("*",), [b"1.1.1.1, 2.2.2.2"], "1.1.1.1"),
        (("*",), [b", ,"], None),
        (("*",), [], None),
    ],
)
def test_the_client_is_the_last_hop_that_is_not_ours(entries: tuple[str, ...], values: list[bytes], client: str | None) -> None:
    assert TrustedProxies(entries).client([(b"x-forwarded-for", value) for value in values]) == client


@pytest.mark.parametrize(
    ("value", "scheme"), [(b"https", "https"), (b" HTTPS ", "https"), (b"wss", "https"), (b"http", "http"), (b"gopher", None)]
)
def test_the_scheme_is_one_we_know(value: bytes, scheme: str | None) -> None:
    assert TrustedProxies.scheme([(b"x-forwarded-proto", value)]) == scheme


def test_a_bad_entry_is_named() -> None:
    with pytest.raises(TrustedProxiesError, match=r"10\.0\.0\.256"):
        TrustedProxies(["10.0.0.256"])
