"""TLS of a whole cluster: several addresses at once, certificates that change or are wrong, and who can read the key."""

from __future__ import annotations

import signal
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from tests.process.harness import Cluster, Start
from tests.process.http_client import Place
from tests.process.load import Load
from tests.process.privilege import NOBODY, needs_root, nobody_can_run_python
from tests.process.site import Site
from tests.process.test_start_failures import fail
from tests.web.certificates import ca, client_context, leaf

CERTIFIED = ("--ssl-certfile", "shop.pem", "--ssl-keyfile", "shop.key")
_BOTH = ("--bind", "https://127.0.0.1:0", "--bind", "http://127.0.0.1:0")


def certify(site: Site, certificate: trustme.LeafCert | None = None, *, password: str = "") -> None:
    """Put a certificate and its key into the site, in place of those that are there."""
    certificate = certificate or leaf("127.0.0.1")
    key = certificate.private_key_pem.bytes()
    if password:
        loaded = load_pem_private_key(key, None)
        key = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    site.write("shop.pem", b"".join(blob.bytes() for blob in certificate.cert_chain_pems).decode())
    site.write("shop.key", key.decode()).chmod(0o600)


def connect(place: Place) -> ssl.SSLSocket:
    return client_context().wrap_socket(socket.create_connection((place[0], int(place[1]))), server_hostname="127.0.0.1")


def ask(sock: socket.socket, path: str = "/") -> bytes:
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return sock.recv(65536)


def serial(sock: ssl.SSLSocket) -> object:
    certificate = sock.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def served_serial(cluster: Cluster) -> object:
    with connect(cluster.place) as sock:
        assert ask(sock).endswith(b"hello")
        return serial(sock)


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_several_addresses_at_once_in_clear_and_with_tls(site: Site, start: Start) -> None:
    certify(site)
    unix = f"unix:{site.root}/s"
    cluster = start(*CERTIFIED, *_BOTH, "--bind", "[::1]:0", "--bind", unix, port=None)
    addresses = cluster.status()["addresses"]
    assert [address.rpartition(":")[0] for address in addresses] == ["https://127.0.0.1", "http://127.0.0.1", "https://[::1]", "unix"]
    secure, clear, six, path = cluster.places
    for place in (secure, six):
        with connect(place) as sock:
            assert ask(sock).endswith(b"hello")
    for place in (clear, path):
        cluster.places = [place]
        assert cluster.get().text == "hello"
    cluster.places = [secure]
    assert cluster.get().status == 400, "plain HTTP to the port of TLS"
    cluster.places = [secure, clear, six, path]


@needs_root
def test_a_unix_socket_is_given_to_the_user_of_the_proxy(site: Site, start: Start) -> None:
    path = site.root / "s"
    start("--bind", f"unix:{path}", "--socket-user", str(NOBODY), "--socket-group", "12345", "--socket-mode", "600", port=None, workers=1)
    status = path.lstat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (NOBODY, 12345, 0o600)


# ── reload ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_certificate_is_taken_at_a_reload_and_nothing_is_lost(site: Site, start: Start) -> None:
    certify(site)
    cluster = start(*CERTIFIED, "--linger", "20", workers=1)
    before = served_serial(cluster)
    with connect(cluster.place) as opened, Load(cluster.place, tls=client_context()) as load:
        assert ask(opened).endswith(b"hello")
        load.wait_answered(100)
        certify(site, ca().issue_cert("127.0.0.1"))
        cluster.signal(signal.SIGHUP)
        cluster.expect_generation(2)
        while b"connection: close" not in (answer := ask(opened).lower()):
            assert answer.endswith(b"hello")  # the old worker has not been told yet
        assert answer.endswith(b"hello"), "a connection of the old certificate is still served"
        assert served_serial(cluster) != before
        load.wait_answered(100)
    load.assert_none_lost()


def test_a_bad_certificate_is_refused_at_a_reload_and_the_old_one_serves_on(site: Site, start: Start) -> None:
    certify(site)
    cluster = start(*CERTIFIED, workers=1)
    before = served_serial(cluster)
    site.write("shop.key", leaf("other.example").private_key_pem.bytes().decode())
    result = cluster.cli("reload")
    assert result.returncode == 1
    problem, hint = result.stderr.splitlines()
    assert f"the key in {site.app}/shop.key is not that of the certificate in {site.app}/shop.pem" in problem
    assert "ssl_certfile" in hint
    assert served_serial(cluster) == before
    assert cluster.status()["generation"] == 1


def test_tls_itself_cannot_come_at_a_reload(site: Site, start: Start) -> None:
    certify(site)
    cluster = start(workers=1)
    site.write("tamago.toml", 'ssl_certfile = "shop.pem"\nssl_keyfile = "shop.key"\n')
    result = cluster.cli("reload")
    assert result.returncode == 1
    assert "ssl_certfile" in result.stderr
    assert cluster.get().text == "hello"


# ── the start ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("preload", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_a_certificate_that_is_missing_ends_the_start_before_the_application_is_imported(site: Site, preload: tuple[str, ...]) -> None:
    failed = fail(site, *CERTIFIED, *preload)
    assert failed.code == 1
    assert f"cannot read the certificate in {site.app}/shop.pem: No such file or directory" in failed.problem
    assert (failed.imported, failed.tracebacks) == (False, 0)


def test_a_wrong_password_ends_the_start_and_is_not_repeated(site: Site) -> None:
    certify(site, password="hunter2")
    failed = fail(site, *CERTIFIED, TAMAGO_SSL_PASSWORD="hunter3")
    assert failed.code == 1
    assert f"the password does not open the key in {site.app}/shop.key" in failed.problem
    assert "hunter" not in failed.stderr + failed.stdout
    assert (failed.imported, failed.tracebacks) == (False, 0)


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_password_is_in_no_process_but_the_master(site: Site, start: Start) -> None:
    certify(site, password="hunter2")
    cluster = start(*CERTIFIED, environment={"TAMAGO_SSL_PASSWORD": "hunter2"}, workers=1)
    assert served_serial(cluster)
    for pid in cluster.tree():
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert b"hunter2" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert "hunter2" not in cluster.cli("status", "--json").stdout
    assert "hunter2" not in cluster.cli("trace").stdout
    assert "hunter2" not in cluster.output.text


@needs_root
@nobody_can_run_python
@pytest.mark.parametrize("preload", [(), ("--no-preload",)], ids=["preloaded", "spawned"])
def test_a_key_that_only_root_can_read_serves_a_worker_that_is_nobody(site: Site, start: Start, preload: tuple[str, ...]) -> None:
    certify(site)
    site.write("password", "unused\n").chmod(0o600)
    cluster = start(*CERTIFIED, "--ssl-password-file", "password", "--user", str(NOBODY), "--group", str(NOBODY), *preload, workers=1)
    before = served_serial(cluster)
    for name in ("worker 1", "agent"):
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}" in Path(f"/proc/{cluster.pid_of(name)}/status").read_text()
    certify(site, ca().issue_cert("127.0.0.1"))
    cluster.signal(signal.SIGHUP)
    cluster.expect_generation(2)
    assert served_serial(cluster) != before
