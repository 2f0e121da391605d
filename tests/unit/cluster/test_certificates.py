"""Certificates from files: what is wrong with them is said with the file's name and what to do."""

from __future__ import annotations

import datetime as dt
import logging
import os
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from tests.web.certificates import ca, client_context, leaf

from tamago.cluster.certificates import CertificateError, load_certificates
from tamago.ipc.control_messages import Tls


def write(directory: Path, name: str, certificate: trustme.LeafCert, *, password: str = "") -> None:
    (directory / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key = certificate.private_key_pem.bytes()
    if password:
        loaded = load_pem_private_key(key, None)
        key = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    (directory / f"{name}.key").write_bytes(key)


def tls(name: str = "a", **more: object) -> Tls:
    return Tls(**{"certificates": (f"{name}.pem",), "keys": (f"{name}.key",), **more})  # type: ignore[arg-type]


def refused(directory: Path, settings: Tls) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        load_certificates(settings, str(directory))
    assert "\n" not in caught.value.problem
    assert "\n" not in caught.value.hint
    return caught.value


def shake_hands(server: ssl.SSLContext, name: str, client: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """A handshake in memory; returns the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = server.wrap_bio(to_server, to_client, server_side=True)
    here = (client or client_context()).wrap_bio(to_client, to_server, server_hostname=name or None)
    for end in (here, there, here, there):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return here


def names_of(end: ssl.SSLObject) -> list[str]:
    certificate = end.getpeercert()
    assert certificate is not None
    return [str(pair[1]) for pair in certificate["subjectAltName"]]


# ── what works ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_certificate_and_its_key_make_a_modern_context(tmp_path: Path) -> None:
    write(tmp_path, "a", leaf("shop.example"))
    context = load_certificates(tls(), str(tmp_path))
    end = shake_hands(context, "shop.example")
    assert end.version() == "TLSv1.3"
    assert end.selected_alpn_protocol() is None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_the_key_may_be_in_the_same_file(tmp_path: Path) -> None:
    leaf("shop.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    shake_hands(load_certificates(Tls(certificates=("both.pem",)), str(tmp_path)), "shop.example")


def test_an_encrypted_key_opens_with_the_password_from_a_file_or_the_environment(tmp_path: Path) -> None:
    write(tmp_path, "a", leaf("shop.example"), password="hunter2 ü")
    (tmp_path / "password").write_bytes("hunter2 ü\r\nnot this".encode())
    for settings in (tls(password="hunter2 ü"), tls(password_file="password")):
        shake_hands(load_certificates(settings, str(tmp_path)), "shop.example")


def test_the_password_shows_in_no_log(tmp_path: Path) -> None:
    assert "hunter2" not in repr(tls(password="hunter2"))


def test_the_name_the_client_asks_for_decides_which_certificate_it_gets(tmp_path: Path) -> None:
    for name, certificate in {"a": leaf("a.example"), "b": leaf("b.example", "*.b.example"), "c": leaf("c.example", "b.example")}.items():
        write(tmp_path, name, certificate)
    settings = Tls(certificates=("a.pem", "b.pem", "c.pem"), keys=("a.key", "b.key", "c.key"))
    context = load_certificates(settings, str(tmp_path))
    for name, first in {"a.example": "a.example", "b.example": "b.example", "X.b.example": "b.example", "c.example": "c.example"}.items():
        assert names_of(shake_hands(context, name))[0] == first
    anybody = client_context()
    anybody.check_hostname = False
    assert names_of(shake_hands(context, "b.example"))[-1] == "*.b.example", "the first certificate with that name"
    for name in ("d.example", "x.y.b.example", "example"):
        assert names_of(shake_hands(context, name, anybody)) == ["a.example"], "the first is for all others"
    assert names_of(shake_hands(context, "", anybody)) == ["a.example"]


@pytest.mark.parametrize(("mode", "expected"), [("optional", ssl.CERT_OPTIONAL), ("required", ssl.CERT_REQUIRED), ("none", ssl.CERT_NONE)])
def test_clients_may_or_must_show_a_certificate(tmp_path: Path, mode: str, expected: ssl.VerifyMode) -> None:
    write(tmp_path, "a", leaf("shop.example"))
    ca().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    assert load_certificates(tls(client_ca="ca.pem", client_certificate=mode), str(tmp_path)).verify_mode is expected


# ── what does not ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = refused(tmp_path, tls())
    assert error.problem == f"cannot read the certificate in {tmp_path}/a.pem: No such file or directory"
    write(tmp_path, "a", leaf("shop.example"))
    for settings, path in {
        tls(keys=("none",)): "none",
        tls(password_file="gone"): "gone",
        tls(client_ca="no-ca", client_certificate="required"): "no-ca",
    }.items():
        assert f"{tmp_path}/{path}: No such file" in refused(tmp_path, settings).problem


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *args: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    write(tmp_path, "a", leaf("shop.example"))
    monkeypatch.setattr("builtins.open", refuse)
    error = refused(tmp_path, tls())
    assert error.problem.endswith("a.pem: Permission denied")
    assert f"ls -l {tmp_path}/a.pem" in error.hint


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    write(tmp_path, "a", leaf("a.example"))
    write(tmp_path, "b", leaf("b.example"))
    error = refused(tmp_path, tls(keys=("b.key",)))
    assert error.problem == f"the key in {tmp_path}/b.key is not that of the certificate in {tmp_path}/a.pem"


def test_a_password_that_is_missing_or_wrong_is_not_repeated(tmp_path: Path) -> None:
    write(tmp_path, "a", leaf("shop.example"), password="hunter2")
    error = refused(tmp_path, tls())
    assert "is encrypted, and there is no password" in error.problem
    assert "ssl_password_file" in error.hint
    wrong = refused(tmp_path, tls(password="hunter3"))
    assert wrong.problem == f"the password does not open the key in {tmp_path}/a.key"
    assert "hunter" not in str(wrong)
    assert wrong.__cause__ is None


@pytest.mark.parametrize("content", ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_with_something_else_in_it(tmp_path: Path, content: str) -> None:
    write(tmp_path, "a", leaf("shop.example"))
    (tmp_path / "odd").write_text(content)
    assert refused(tmp_path, tls(certificates=("odd",))).problem == f"there is no certificate in {tmp_path}/odd"
    assert refused(tmp_path, tls(keys=("odd",))).problem == f"there is no usable key in {tmp_path}/odd"
    assert refused(tmp_path, tls(client_ca="odd", client_certificate="required")).problem == f"there is no certificate in {tmp_path}/odd"


def test_a_certificate_without_the_key_in_it(tmp_path: Path) -> None:
    write(tmp_path, "a", leaf("shop.example"))
    assert "ssl_keyfile" in refused(tmp_path, tls(keys=())).hint


def test_an_expired_certificate_is_served_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    write(tmp_path, "a", ca().issue_cert("old.example", not_before=now - 3 * day, not_after=now - day))
    write(tmp_path, "b", ca().issue_cert("new.example", not_before=now + day, not_after=now + 3 * day))
    logging.getLogger("tamago").propagate = True
    load_certificates(tls(), str(tmp_path))
    assert f"{os.fspath(tmp_path)}/a.pem expired on " in caplog.text
    load_certificates(tls("b"), str(tmp_path))
    assert f"{os.fspath(tmp_path)}/b.pem is not valid before " in caplog.text
