"""ASGI's `tls` extension: what an application learns of the TLS its request came through, and of the client's certificate.

Source: https://asgi.readthedocs.io/en/latest/specs/tls.html, version 0.2.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from typing import Any

from tamago.server.asgi import AsgiHost, Scope
from tamago.server.exchange import Exchange
from tamago.server.tls import TlsConnection

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}

# RFC 4514, section 3.
_SHORT = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = re.compile(r'^[ #]|[\\"+,;<>]| $')


class TlsAsgiHost(AsgiHost):
    """An ASGI application of a worker that speaks TLS."""

    def scope(self, exchange: Exchange) -> Scope:
        """Return the connection scope of a request, with the extension where there is TLS."""
        scope = super().scope(exchange)
        connection = exchange.connection
        if isinstance(connection, TlsConnection):
            if connection.facts is None:
                connection.facts = describe(connection.ssl_object)
            scope["extensions"] = {**scope.get("extensions", {}), "tls": dict(connection.facts)}
        return scope


def describe(ssl_object: ssl.SSLObject) -> dict[str, Any]:
    """Return what the extension says. Python tells neither our own certificate nor the number of the cipher suite: they are None."""
    certificate = ssl_object.getpeercert(binary_form=True)
    parsed = ssl_object.getpeercert() or {}
    subject: Iterable[Iterable[tuple[str, str]]] = parsed.get("subject", ())  # type: ignore[assignment]  # typeshed: any value of the mapping
    return {
        "server_cert": None,
        "client_cert_chain": [ssl.DER_cert_to_PEM_cert(certificate)] if certificate else [],
        "client_cert_name": distinguished_name(subject) if certificate else None,
        "client_cert_error": None,  # with a bad one there is no connection
        "tls_version": _VERSIONS.get(ssl_object.version() or ""),
        "cipher_suite": None,
    }


def distinguished_name(subject: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Write a subject, as Python's ssl tells it, as RFC 4514 has it: the last part first."""
    parts = ["+".join(f"{_SHORT.get(name, name)}={_escaped(value)}" for name, value in part) for part in subject]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda match: f"\\{match[0]}", value).replace("\0", "\\00")
