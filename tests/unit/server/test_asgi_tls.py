from __future__ import annotations

import pytest

from tamago.server.asgi_tls import distinguished_name

Subject = tuple[tuple[tuple[str, str], ...], ...]


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ((), ""),
        (((("countryName", "DE"),), (("organizationName", "Shop"),), (("commonName", "till 1"),)), "CN=till 1,O=Shop,C=DE"),
        (((("commonName", "a"), ("userId", "7")),), "CN=a+UID=7"),
        (((("commonName", 'Smith, "J" <a+b;c>\\'),),), 'CN=Smith\\, \\"J\\" \\<a\\+b\\;c\\>\\\\'),
        (((("commonName", " a "),),), "CN=\\ a\\ "),
        (((("commonName", "#a#"),),), "CN=\\#a#"),
        (((("commonName", "a\0b"),),), "CN=a\\00b"),
        (((("emailAddress", "a@b"),),), "emailAddress=a@b"),
    ],
)
def test_a_subject_is_written_as_the_rfc_has_it(subject: Subject, written: str) -> None:
    assert distinguished_name(subject) == written
