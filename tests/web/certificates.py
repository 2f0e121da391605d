"""Certificates for tests, made once for each process that runs them."""

from __future__ import annotations

import functools
import ssl

import trustme

ca = functools.cache(trustme.CA)


@functools.cache
def leaf(*names: str) -> trustme.LeafCert:
    return ca().issue_cert(*names, key_type=trustme.KeyType.ECDSA)


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts the authority, with a certificate of its own if one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context
