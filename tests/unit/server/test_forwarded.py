from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

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
    ("value", "scheme"),
    [(b"https", "https"), (b" HTTPS ", "https"), (b"wss", "https"), (b"http", "http"), (b"gopher", None), (b"https,http", None)],
)
def test_the_scheme_is_one_we_know(value: bytes, scheme: str | None) -> None:
    assert TrustedProxies(("*",)).scheme([(b"x-forwarded-proto", value)]) == scheme


def test_the_last_scheme_is_the_nearest_proxys() -> None:
    assert TrustedProxies(("*",)).scheme([(b"x-forwarded-proto", b"http"), (b"x-forwarded-proto", b"https")]) == "https"


@pytest.mark.parametrize(
    ("hop", "client"),
    [
        (b"1.2.3.4:567", "1.2.3.4"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"unknown", None),
        (b"_hidden", None),
        (b"1.2.3", None),
        (b"1.2.3.4.5", None),
        (b"1.2.3.4 5", None),
        (b"[2001:db8::1", "2001:db8::1"),
        (b"<script>", None),
        (b"\xff\x00", None),
    ],
)
def test_a_hop_is_an_address_or_nothing(hop: bytes, client: str | None) -> None:
    assert TrustedProxies(("10.0.0.0/8",)).client([(b"x-forwarded-for", b"6.6.6.6, " + hop)]) == client
    assert TrustedProxies(("*",)).client([(b"x-forwarded-for", hop)]) == client


def test_a_proxy_on_a_unix_socket_is_passed_over() -> None:
    assert TrustedProxies(("unix",)).client([(b"x-forwarded-for", b"1.1.1.1, unix:")]) == "1.1.1.1"
    assert TrustedProxies(("10.0.0.1",)).client([(b"x-forwarded-for", b"1.1.1.1, unix:")]) is None


def test_thousands_of_hops_are_not_all_looked_at() -> None:
    proxies = TrustedProxies(("10.0.0.0/8",))
    assert proxies.client([(b"x-forwarded-for", b"1.1.1.1," + b"10.0.0.1," * 5000)]) == "10.0.0.1"


FORWARDED = [
    (b"for=1.1.1.1", "1.1.1.1", None),
    (b"For=1.1.1.1;Proto=HTTPS", "1.1.1.1", "https"),
    (b"proto=https;by=10.0.0.1;for=1.1.1.1:80;host=evil", "1.1.1.1", "https"),
    (b'for="[2001:db8::1]:4711";proto=http', "2001:db8::1", "http"),
    (b'for="1.1.1.1"', "1.1.1.1", None),
    (b"for=6.6.6.6;proto=http, for=1.1.1.1;proto=https, for=10.0.0.1;proto=http", "1.1.1.1", "https"),
    (b"for=6.6.6.6;proto=http ,\tfor=1.1.1.1 ; proto=https", "1.1.1.1", "https"),
    (b'for=6.6.6.6, for=1.1.1.1;by="a,b;c\\"d";proto=https', "1.1.1.1", "https"),
    (b", ,for=1.1.1.1,", "1.1.1.1", None),
    (b"proto=https", None, "https"),
    (b"for=unknown;proto=https", None, "https"),
    (b"for=_secret", None, None),
    (b"for=6.6.6.6, for=unknown", None, None),
    (b"for=1.1.1.1;for=2.2.2.2", None, None),
    (b"for = 1.1.1.1", None, None),
    (b'for="1.1.1.1', None, None),
    (b"for=1.1.1.1 2.2.2.2", None, None),
    (b"=1.1.1.1", None, None),
    (b"for", None, None),
    (b"", None, None),
    (b"\x00\xff", None, None),
]


@pytest.mark.parametrize(("value", "client", "scheme"), FORWARDED)
def test_forwarded_is_read_as_the_standard_says(value: bytes, client: str | None, scheme: str | None) -> None:
    proxies = TrustedProxies(("10.0.0.0/8",))
    fields = [(b"forwarded", value)]
    assert (proxies.client(fields), proxies.scheme(fields)) == (client, scheme)


def test_several_forwarded_fields_are_one() -> None:
    fields = [(b"forwarded", b"for=1.1.1.1"), (b"forwarded", b"for=10.0.0.1;proto=https")]
    assert TrustedProxies(("10.0.0.0/8",)).client(fields) == "1.1.1.1"


@pytest.mark.parametrize("other", [(b"x-forwarded-for", b"2.2.2.2"), (b"x-forwarded-proto", b"http")])
def test_x_forwarded_wins(other: tuple[bytes, bytes]) -> None:
    proxies = TrustedProxies(("10.0.0.0/8",))
    fields = [(b"forwarded", b"for=1.1.1.1;proto=https"), other]
    assert proxies.client(fields) != "1.1.1.1"
    assert proxies.scheme(fields) != "https"


@given(st.lists(st.sampled_from([b"for=", b"proto=", b"1.1.1.1", b'"', b"\\", b";", b",", b" ", b"a", b"https"])).map(b"".join))
def test_whatever_forwarded_holds_is_read_to_its_end(value: bytes) -> None:
    assert TrustedProxies(("*",)).client([(b"forwarded", value)]) in {None, "1.1.1.1"}


def test_a_bad_entry_is_named() -> None:
    with pytest.raises(TrustedProxiesError, match=r"10\.0\.0\.256"):
        TrustedProxies(["10.0.0.256"])
