from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tamago.cluster.bind_errors import SocketInUseError, SocketPathError
from tamago.cluster.unix_socket import MAX_PATH, bind_unix, unlink_own


def bind(path: Path, mode: int = 0o660) -> socket.socket:
    sock, _ = bind_unix(str(path), mode=mode, address=f"unix:{path}")
    return sock


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bind(path).close()
    assert path.is_socket()
    with bind(path) as live, socket.socket(socket.AF_UNIX) as client:
        live.listen()
        client.connect(str(path))


def test_a_live_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(path) as live:
        live.listen()
        with pytest.raises(SocketInUseError, match="another process listens") as caught:
            bind(path)
        assert caught.value.path == str(path)
        assert path.is_socket()


def test_a_live_socket_whose_queue_is_full_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bind(path) as live, socket.socket(socket.AF_UNIX) as waiting:
        live.listen(0)
        waiting.connect(str(path))
        with pytest.raises(SocketInUseError):
            bind(path)


def test_a_datagram_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(SocketInUseError):
            bind(path)


def test_a_file_and_a_link_in_its_place_are_left_alone(tmp_path: Path) -> None:
    target, file, link = tmp_path / "target", tmp_path / "file", tmp_path / "link"
    bind(target).close()
    file.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(SocketPathError, match="not a socket"):
        bind(file)
    with pytest.raises(SocketPathError, match="symbolic link"):
        bind(link)
    assert file.read_text() == "mine"
    assert link.is_symlink()
    assert target.is_socket()


def test_a_path_too_long_says_how_long_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError, match=f"allows {MAX_PATH}"):
        bind(tmp_path / ("x" * MAX_PATH))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError, match="no directory") as caught:
        bind(tmp_path / "missing" / "s")
    assert caught.value.hint == f"make it: `mkdir -p {tmp_path / 'missing'}`"


def test_a_directory_that_is_closed_to_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(SocketPathError, match="no permission"):
        bind(tmp_path / "s")


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_set_and_the_umask_put_back(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o022)
    try:
        with bind(tmp_path / "s", mode):
            assert (tmp_path / "s").stat().st_mode & 0o777 == mode
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_only_our_own_inode_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    sock, inode = bind_unix(str(path), mode=0o660, address="unix:s")
    sock.close()
    unlink_own(str(path), (inode[0], inode[1] + 1))
    assert path.exists()
    unlink_own(str(path), inode)
    unlink_own(str(path), inode)
    assert not path.exists()
