"""Certificates and keys from files to one `ssl.SSLContext`, with an error for whatever can be wrong with them.

Imports ssl, which the master has not: this runs in the process that loads the application, before it gives up its rights.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from tamago.errors import TamagoError
from tamago.ipc.control_messages import Tls

_log = logging.getLogger("tamago")

_VERIFY: Final = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class CertificateError(TamagoError):
    """A certificate, a key or its password cannot be used. `path` is the file."""

    def __init__(self, path: str, problem: str, *, hint: str) -> None:
        super().__init__(problem, hint=hint)
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A certificate with its chain, the key to it, and the DNS names it is for."""

    certificate: str
    key: str
    names: tuple[str, ...]


def load_certificates(tls: Tls, directory: str) -> ssl.SSLContext:
    """Return the context to accept connections with. Relative paths are below `directory`. Raises `CertificateError`.

    With several certificates the client's server name decides; the first one is for all other names.
    """
    password = _password(tls, directory)
    pairs = [_pair(directory, certificate, key) for certificate, key in zip(tls.certificates, tls.keys or tls.certificates, strict=True)]
    contexts = [_context(tls, pair, password, directory) for pair in pairs]
    if len(contexts) > 1:
        by_name: dict[str, ssl.SSLContext] = {}
        for pair, context in zip(pairs, contexts, strict=True):
            for name in pair.names:
                by_name.setdefault(name, context)
        contexts[0].sni_callback = _chooser(by_name)
    return contexts[0]


def _context(tls: Tls, pair: _Pair, password: str, directory: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # A client could ask for a new handshake, which costs us much and it nothing, as often as it likes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, pair, password)
    context.verify_mode = _VERIFY[tls.client_certificate]
    if tls.client_ca:
        path = os.path.join(directory, tls.client_ca)
        _read(path, "the certificates that ssl_client_ca names")
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError:
            hint = "ssl_client_ca must be a PEM file with the certificates of those who sign your clients'"
            raise CertificateError(path, f"there is no certificate in {path}", hint=hint) from None
    return context


def _chooser(by_name: Mapping[str, ssl.SSLContext]) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], int | None]:
    def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if name is None:  # typeshed says never; OpenSSL says when the client gives no name
            return
        name = name.lower().rstrip(".")
        # A wildcard stands for one whole label, the first (RFC 6125, 6.4.3).
        connection.context = by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}") or context

    return choose


# ── one certificate and its key ──────────────────────────────────────────────────────────────────────────────────────


def _pair(directory: str, certificate: str, key: str) -> _Pair:
    certificate, key = os.path.join(directory, certificate), os.path.join(directory, key)
    _read(certificate, "the certificate")
    _read(key, "the key")
    try:
        # Of the module behind ssl: ssl itself tells of a certificate only once a peer has shown it.
        found: Mapping[str, object] = ssl._ssl._test_decode_cert(certificate)  # type: ignore[attr-defined]  # noqa: SLF001
    except (ssl.SSLError, ValueError):
        hint = "ssl_certfile must be a PEM file: the server's certificate first, then those it was signed with"
        raise CertificateError(certificate, f"there is no certificate in {certificate}", hint=hint) from None
    _check_dates(certificate, found)
    names = cast("Sequence[tuple[str, str]]", found.get("subjectAltName", ()))
    return _Pair(certificate=certificate, key=key, names=tuple(name.lower() for kind, name in names if kind == "DNS"))


def _check_dates(path: str, found: Mapping[str, object]) -> None:
    now = time.time()
    begins, ends = (ssl.cert_time_to_seconds(str(found[key])) for key in ("notBefore", "notAfter"))
    if ends < now:
        _log.warning("the certificate in %s expired on %s: clients will refuse it", path, found["notAfter"])
        _log.warning("renew it, then `tamago reload`")
    elif begins > now:
        _log.warning("the certificate in %s is not valid before %s: clients will refuse it until then", path, found["notBefore"])
        _log.warning("look at the clock of this machine, and at that of whoever made it")


def _load_pair(context: ssl.SSLContext, pair: _Pair, password: str) -> None:
    asked = False

    def tell() -> str:
        nonlocal asked
        asked = True
        return password

    try:
        context.load_cert_chain(pair.certificate, pair.key, password=tell)
    except (ssl.SSLError, ValueError) as error:  # ValueError: a password of more than a kilobyte
        raise _explain(error, pair, password, asked=asked) from None


def _explain(error: Exception, pair: _Pair, password: str, *, asked: bool) -> CertificateError:
    reason = getattr(error, "reason", None) or str(error)
    if reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
        problem = f"the key in {pair.key} is not that of the certificate in {pair.certificate}"
        return CertificateError(
            pair.key, problem, hint="ssl_certfile begins with the server's own certificate; ssl_keyfile is the key it was made with"
        )
    if asked and not password:
        problem = f"the key in {pair.key} is encrypted, and there is no password for it"
        return CertificateError(
            pair.key, problem, hint="put it into a file and say which with ssl_password_file, or into TAMAGO_SSL_PASSWORD"
        )
    if asked:
        problem = f"the password does not open the key in {pair.key}"
        return CertificateError(pair.key, problem, hint="check ssl_password_file, or TAMAGO_SSL_PASSWORD")
    if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
        problem = f"the certificate in {pair.certificate} is too weak ({reason.replace('_', ' ').lower()})"
        return CertificateError(
            pair.certificate, problem, hint="make one with a key of at least 2048 bits (RSA) or 256 (EC), signed with SHA-256"
        )
    if pair.key == pair.certificate:
        return CertificateError(
            pair.key,
            f"there is no usable key in {pair.key}",
            hint="put the key into the same PEM file, or say where it is with ssl_keyfile",
        )
    return CertificateError(pair.key, f"there is no usable key in {pair.key}", hint="ssl_keyfile must be a PEM file with the private key")


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _password(tls: Tls, directory: str) -> str:
    if not tls.password_file:
        return tls.password
    path = os.path.join(directory, tls.password_file)
    return _read(path, "the password").decode("utf-8", "surrogateescape").partition("\n")[0].rstrip("\r")


def _read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        hint = f"look at it with `ls -l {path}`; relative paths begin at the directory of the application"
        raise CertificateError(path, f"cannot read {what} in {path}: {error.strerror}", hint=hint) from None
