from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tamago.cluster import bind_errors
from tamago.cluster.bind_errors import (
    AddressNotLocalError,
    BadDescriptorError,
    BindError,
    PortInUseError,
    PortNotPermittedError,
    SocketPathError,
    StickyUnavailableError,
    UnknownHostError,
)
from tamago.cluster.sockets import Listener, ListenOptions, open_listeners

Open = Callable[..., list[Listener]]


@pytest.fixture
def listen() -> Iterator[Open]:
    opened: list[Listener] = []

    def listen(*binds: str, options: ListenOptions | None = None, **kwargs: object) -> list[Listener]:
        listeners = open_listeners(binds, options=options, environ={}, **kwargs)  # type: ignore[arg-type]
        opened.extend(listeners)
        return listeners

    yield listen
    for listener in opened:
        listener.close()


def talk(listener: Listener, client: socket.socket) -> bytes:
    client.sendall(b"hello")
    listener.sockets[0].setblocking(True)
    connection, _ = listener.sockets[0].accept()
    with connection:
        return connection.recv(16)


def test_port_0_gets_a_real_port_that_answers(listen: Open) -> None:
    (listener,) = listen("127.0.0.1:0")
    assert listener.port is not None
    assert listener.address == f"http://127.0.0.1:{listener.port}"
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        assert talk(listener, client) == b"hello"


def test_host_and_port_are_used_without_binds(listen: Open) -> None:
    (listener,) = listen(host="127.0.0.2", port=0)
    assert listener.address == f"http://127.0.0.2:{listener.port}"


def test_sockets_neither_block_nor_leak_into_programs_that_are_run(listen: Open) -> None:
    (listener,) = listen("127.0.0.1:0")
    (sock,) = listener.sockets
    assert not sock.getblocking()
    assert not sock.get_inheritable()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert listener.for_slot(1) is listener.for_slot(7) is sock


def test_no_host_means_every_interface_in_both_families(listen: Open) -> None:
    (listener,) = listen(":0")
    assert listener.address == f"http://[::]:{listener.port}"
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, listener.port)) as client:
            assert talk(listener, client) == b"hello"


def test_an_ipv6_address_is_only_that(listen: Open) -> None:
    (listener,) = listen("[::1]:0")
    assert listener.address == f"http://[::1]:{listener.port}"
    (other,) = listen(f"127.0.0.1:{listener.port}")
    assert other.port == listener.port


def test_without_ipv6_no_host_means_every_interface_of_ipv4(listen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (listener,) = listen(":0")
    assert listener.address == f"http://0.0.0.0:{listener.port}"


def resolves_to(*found: tuple[socket.AddressFamily, tuple[object, ...]]) -> Callable[..., object]:
    return lambda *args, **kwargs: [(family, socket.SOCK_STREAM, 6, "", where) for family, where in found]


def test_a_name_with_two_addresses_is_listened_on_at_both(listen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = listen("127.0.0.1:0")
    free.close()
    monkeypatch.setattr(socket, "getaddrinfo", resolves_to((socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))))
    both = listen(f"localhost:{free.port}")
    assert [listener.address for listener in both] == [f"http://[::1]:{free.port}", f"http://127.0.0.1:{free.port}"]


def test_of_a_name_those_addresses_are_left_out_that_this_machine_lacks(listen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    (free,) = listen("127.0.0.1:0")
    free.close()
    monkeypatch.setattr(socket, "getaddrinfo", resolves_to((socket.AF_INET, ("192.0.2.1", 0)), (socket.AF_INET, ("127.0.0.1", 0))))
    (listener,) = listen(f"name:{free.port}")
    assert listener.address == f"http://127.0.0.1:{free.port}"


def test_several_binds_are_all_opened_and_the_same_one_once(listen: Open, tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    first, second = listen("127.0.0.1:0", f"unix:{path}", f"unix:{path}")
    assert first.port
    assert second.address == f"unix:{path}"


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_taken_port_is_named_with_how_to_find_its_owner(listen: Open) -> None:
    (listener,) = listen("127.0.0.1:0")
    with pytest.raises(PortInUseError) as caught:
        listen(f"127.0.0.1:{listener.port}")
    assert caught.value.port == listener.port
    assert caught.value.address == f"127.0.0.1:{listener.port}"
    assert f"ss -ltnp 'sport = :{listener.port}'" in caught.value.hint


def test_all_addresses_are_opened_or_none(listen: Open, tmp_path: Path) -> None:
    (taken,) = listen("127.0.0.1:0")
    path = tmp_path / "shop.sock"
    with pytest.raises(PortInUseError):
        listen(f"unix:{path}", f"127.0.0.1:{taken.port}")
    assert not path.exists()


def test_a_port_without_the_right_to_it(listen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortNotPermittedError) as caught:
        listen("127.0.0.1:80")
    assert caught.value.port == 80
    assert "CAP_NET_BIND_SERVICE" in caught.value.hint


def test_an_unknown_host(listen: Open) -> None:
    with pytest.raises(UnknownHostError) as caught:
        listen("no-such-host.invalid:0")
    assert caught.value.host == "no-such-host.invalid"


def test_a_name_no_resolver_takes(listen: Open) -> None:
    with pytest.raises(UnknownHostError):
        listen(f"{'a' * 64}.invalid:0")


def test_an_address_of_another_machine(listen: Open) -> None:
    with pytest.raises(AddressNotLocalError, match=r"192\.0\.2\.1:0"):
        listen("192.0.2.1:0")


def test_what_else_the_kernel_says_is_passed_on(listen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, backlog: int) -> None:
        raise OSError(105, "No buffer space available")

    monkeypatch.setattr(socket.socket, "listen", refuse)
    with pytest.raises(BindError, match="No buffer space"):
        listen("127.0.0.1:0")


# ── Unix sockets: the file ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_unix_socket_answers_with_its_mode_and_is_removed_on_close(listen: Open, tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    (listener,) = listen(f"unix:{path}", options=ListenOptions(socket_mode=0o600))
    assert listener.port is None
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert talk(listener, client) == b"hello"
    listener.close()
    assert not path.exists()


def test_a_successors_socket_at_the_same_path_is_not_removed(listen: Open, tmp_path: Path) -> None:
    path = tmp_path / "shop.sock"
    (old,) = listen(f"unix:{path}")
    path.unlink()
    listen(f"unix:{path}")
    old.close()
    assert path.exists()


def test_a_relative_path_is_removed_also_after_a_change_of_directory(listen: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (listener,) = listen("unix:shop.sock")
    monkeypatch.chdir("/")
    listener.close()
    assert not (tmp_path / "shop.sock").exists()


def test_a_unix_socket_can_be_given_to_somebody_else(listen: Open, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = tmp_path / "shop.sock"
    listen(f"unix:{path}", options=ListenOptions(socket_owner=(65534, 12345)))
    status = path.lstat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 12345, 0o660)


def test_a_socket_that_cannot_be_given_away_is_not_left_behind(listen: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    path = tmp_path / "shop.sock"
    with pytest.raises(SocketPathError, match="owner cannot be changed") as caught:
        listen(f"unix:{path}", options=ListenOptions(socket_owner=(1, -1)))
    assert "socket_user" in caught.value.hint
    assert not path.exists()


# ── TLS: what is spoken where ───────────────────────────────────────────────────────────────────────────────────────


def test_an_address_says_by_its_scheme_what_is_spoken_there(listen: Open, tmp_path: Path, inherited: int) -> None:
    options = ListenOptions(certified=True)
    binds = (
        "https://127.0.0.1:0",
        "http://127.0.0.2:0",
        "[::1]:0",
        f"unix:{tmp_path}/a",
        f"https://unix:{tmp_path}/b",
        f"fd://{inherited}",
    )
    listeners = listen(*binds, options=options)
    assert [listener.tls for listener in listeners] == [True, False, True, False, True, True]
    a, b, c, d, e, f = listeners
    assert a.address == f"https://127.0.0.1:{a.port}"
    assert b.address == f"http://127.0.0.2:{b.port}"
    assert c.address == f"https://[::1]:{c.port}"
    assert (d.address, e.address) == (f"unix:{tmp_path}/a", f"https://unix:{tmp_path}/b")
    assert f.address == f"https://127.0.0.1:{f.port}"


# ── inherited sockets ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def inherited() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.detach()


def test_an_inherited_descriptor_is_adopted(listen: Open, inherited: int) -> None:
    (listener,) = listen(f"fd://{inherited}")
    assert listener.address == f"http://127.0.0.1:{listener.port}"
    assert not listener.sockets[0].getblocking()
    assert not os.get_inheritable(inherited)


def test_sockets_from_systemd_are_used_without_binds_and_its_variables_removed(inherited: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamago.cluster.inherited.FIRST_SYSTEMD_FD", inherited)
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "HOME": "/"}
    (listener,) = open_listeners([], environ=environ)
    listener.close()
    assert listener.sockets[0].fileno() == -1
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(("ours", "count"), [(False, "1"), (True, "x"), (True, "9" * 9), (True, "9" * 30)])
def test_sockets_that_systemd_passed_to_another_process_or_did_not_count_are_not_ours(ours: bool, count: str) -> None:
    environ = {"LISTEN_PID": str(os.getpid() if ours else 1), "LISTEN_FDS": count}
    (listener,) = open_listeners([], port=0, environ=environ)
    assert listener.address.startswith("http://127.0.0.1:")
    listener.close()
    assert environ == {}


def test_descriptors_that_are_no_listening_stream_sockets_are_refused_and_left_open(listen: Open) -> None:
    reader, writer = os.pipe()
    datagram, plain = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
    for fd, problem in {reader: "not an open socket", datagram.fileno(): "stream", plain.fileno(): "does not listen"}.items():
        with pytest.raises(BadDescriptorError, match=problem) as caught:
            listen(f"fd://{fd}")
        assert caught.value.fd == fd
        os.fstat(fd)
    datagram.close()
    plain.close()
    os.close(reader)
    os.close(writer)


def test_an_inherited_socket_cannot_be_sticky(listen: Open, inherited: int) -> None:
    with pytest.raises(StickyUnavailableError, match="each slot needs its own"):
        listen(f"fd://{inherited}", options=ListenOptions(slots=2))
    os.close(inherited)


def test_every_error_names_the_address_and_says_what_to_do() -> None:
    errors: list[BindError] = [
        bind_errors.PortInUseError("a:1", 1),
        bind_errors.PortNotPermittedError("a:1", 1),
        bind_errors.UnknownHostError("a:1", "a", "no such name"),
        bind_errors.AddressNotLocalError("a:1"),
        bind_errors.SocketPathError("a:1", "/p", "it is odd", hint="look"),
        bind_errors.SocketInUseError("a:1", "/p"),
        bind_errors.BadDescriptorError("a:1", 3, "it is odd"),
        bind_errors.StickyUnavailableError("a:1", "it is odd"),
        bind_errors.ListenError("a:1", OSError(105, "No buffer space available")),
    ]
    families = {BindError, *BindError.__subclasses__(), *bind_errors.SocketPathError.__subclasses__()}
    assert families == {BindError} | {type(error) for error in errors}
    for error in errors:
        assert error.problem.startswith("cannot listen on a:1: ")
        assert error.address == "a:1"
        assert error.hint
