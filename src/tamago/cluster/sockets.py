"""The listening sockets, which the master opens before anything else starts and keeps for as long as the cluster lives.

Workers only borrow them, so that an address is never given up while one process follows another. Knows nothing of processes.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tamago.cluster import sticky
from tamago.cluster.addresses import Address, FdAddress, TcpAddress, UnixAddress, parse_bind, speaks_tls
from tamago.cluster.bind_errors import (
    AddressNotLocalError,
    BindError,
    ListenError,
    PortInUseError,
    PortNotPermittedError,
    StickyUnavailableError,
    UnknownHostError,
)
from tamago.cluster.inherited import adopt, systemd_fds
from tamago.cluster.unix_socket import Inode, bind_unix, unlink_own

SocketAddress = tuple[int, str, int, int]
"""Family, host, port and IPv6 scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address that is listened on.

    `address` is how a person (or a browser) writes it; `port` is the real one, None for a Unix socket. `sockets` is one socket that all
    workers share or, when `sticky`, one for each slot in order. `path` and `inode` are those of a Unix socket file made here.
    `tls`: it speaks TLS.
    """

    address: str
    port: int | None
    sockets: tuple[socket.socket, ...]
    sticky: bool = False
    path: str | None = None
    inode: Inode | None = None
    tls: bool = False

    def for_slot(self, slot: int) -> socket.socket:
        """Return the socket from which the worker in that slot (1..N) accepts."""
        return self.sockets[slot - 1] if self.sticky else self.sockets[0]

    def move(self, moved: Mapping[int, int]) -> None:
        """When sticky: from now on let the connections of empty slots go to others (indexes from 0; see `sticky.neighbours`)."""
        if self.sticky:
            _attach(self.sockets[0], len(self.sockets), moved, self.address)

    def resized(self, slots: int, *, backlog: int) -> tuple[Listener, tuple[socket.socket, ...]]:
        """When sticky: return this listener for another number of slots, and the sockets left over.

        From then on no connection goes to a socket left over. Close it once its worker has emptied its queue, or what waits in it is reset.
        """
        if not self.sticky:
            return self, ()
        keep, left_over = self.sockets[:slots], self.sockets[slots:]
        where, options = self.sockets[0].getsockname(), ListenOptions(backlog=backlog, slots=slots)
        with ExitStack() as cleanup_on_fail:
            for _ in range(len(keep), slots):
                sock = _open_tcp(self.sockets[0].family, where, self.address, options, first=False)
                cleanup_on_fail.callback(sock.close)
                keep += (sock,)
            _attach(keep[0], slots, {}, self.address)
            cleanup_on_fail.pop_all()
        return replace(self, sockets=keep), left_over

    def close(self) -> None:
        """Stop listening: who waits in the queue is reset, who comes is refused. Removes the socket file if it still is ours."""
        if self.path is not None and self.inode is not None:
            unlink_own(self.path, self.inode)
        for sock in self.sockets:
            sock.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """How to listen. `slots` > 0 asks for sticky sessions over that many slots; `certified`: there is a certificate for TLS.

    `socket_mode` is the file mode of Unix sockets, `socket_owner` user and group id of their file (-1: ours).
    """

    backlog: int = 2048
    socket_mode: int = 0o660
    socket_owner: tuple[int, int] = (-1, -1)
    slots: int = 0
    certified: bool = False


def open_listeners(
    binds: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    options: ListenOptions | None = None,
    environ: MutableMapping[str, str] | None = None,
) -> list[Listener]:
    """Listen on every address, or on none: a `BindError` says why.

    Without binds: on the sockets systemd passed (`environ` is os.environ unless given, and loses LISTEN_*), else on host and port.
    """
    options = options or ListenOptions()
    inherited = systemd_fds(os.environ if environ is None else environ)
    addresses: list[Address] = [parse_bind(bind) for bind in binds] or [FdAddress(fd) for fd in inherited]
    with ExitStack() as cleanup_on_fail:
        listeners = []
        for address in dict.fromkeys(addresses or [TcpAddress(host, port)]):
            for listener in _listen(address, options):
                cleanup_on_fail.callback(listener.close)
                listeners.append(_with_tls(listener) if speaks_tls(address, certified=options.certified) else listener)
        cleanup_on_fail.pop_all()
    return listeners


def _with_tls(listener: Listener) -> Listener:
    where = listener.address.removeprefix("http://")
    return replace(listener, tls=True, address=f"https://{where}")


def _listen(address: Address, options: ListenOptions) -> Iterable[Listener]:
    match address:
        case TcpAddress():
            return _listen_tcp(address, options)
        case UnixAddress():
            return [_listen_unix(address, options)]
        case FdAddress():
            return [_listen_fd(address, options)]


# ── TCP ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _listen_tcp(address: TcpAddress, options: ListenOptions) -> Iterable[Listener]:
    """Listen on every address the name has: `localhost` is 127.0.0.1 and ::1 on most machines, and browsers try either."""
    candidates = _resolve(address)
    if address.port == 0:
        del candidates[1:]  # each would get another port
    opened = 0
    missing: AddressNotLocalError | None = None
    for candidate in candidates:
        try:
            listener = _listen_at(candidate, str(address), options)
        except AddressNotLocalError as error:
            missing = error  # /etc/hosts names ::1 also where IPv6 is switched off
            continue
        opened += 1
        yield listener
    if missing is not None and not opened:
        raise missing


def _resolve(address: TcpAddress) -> list[SocketAddress]:
    if not address.host:
        return [(socket.AF_INET6, "::", address.port, 0)] if socket.has_dualstack_ipv6() else [(socket.AF_INET, "0.0.0.0", address.port, 0)]  # noqa: S104
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise UnknownHostError(str(address), address.host, reason or str(error)) from error
    internet = (socket.AF_INET, socket.AF_INET6)
    scoped = [
        (family, str(where[0]), address.port, int(where[3]) if len(where) == 4 else 0)
        for family, _, _, _, where in found
        if family in internet
    ]
    return list(dict.fromkeys(scoped))


def _listen_at(candidate: SocketAddress, written: str, options: ListenOptions) -> Listener:
    family, host, port, scope = candidate
    if options.slots and sys.platform != "linux":
        raise StickyUnavailableError(written, "only Linux lets a program pick the worker")
    with ExitStack() as cleanup_on_fail:
        sockets: list[socket.socket] = []
        for index in range(options.slots or 1):
            where = (host, port, 0, scope) if family == socket.AF_INET6 else (host, port)
            sock = _open_tcp(family, where, written, options, first=index == 0)
            cleanup_on_fail.callback(sock.close)
            sockets.append(sock)
            port = sock.getsockname()[1]  # with port 0 the others share the first one's
        if options.slots:
            _attach(sockets[0], len(sockets), {}, written)
        cleanup_on_fail.pop_all()
    return Listener(address=_printable(sockets[0]), port=port, sockets=tuple(sockets), sticky=bool(options.slots))


def _open_tcp(family: int, where: tuple[object, ...], written: str, options: ListenOptions, *, first: bool) -> socket.socket:
    """Open one listening socket. In a SO_REUSEPORT group their order is that in which they began to listen."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _explain(error, written, where) from error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted inherits it
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
        # The first one binds alone, and so fails if another cluster of this user is there; bound with the option it would quietly share.
        if not first:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(where)
        if first and options.slots:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.listen(options.backlog)
    except OSError as error:
        sock.close()
        raise _explain(error, written, where) from error
    return sock


def _explain(error: OSError, written: str, where: tuple[object, ...]) -> BindError:
    port = int(str(where[1]))
    match error.errno:
        case errno.EADDRINUSE:
            return PortInUseError(written, port)
        case errno.EACCES | errno.EPERM:
            return PortNotPermittedError(written, port)
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return AddressNotLocalError(written)
        case _:
            return ListenError(written, error)


def _attach(sock: socket.socket, slots: int, moved: Mapping[int, int], written: str) -> None:
    """Attach the program that picks the slot to the group `sock` is in; it replaces the one before."""
    code = sticky.program(slots, moved)
    buffer = array("B", sticky.encode(code))  # struct sock_fprog points at it
    try:
        sock.setsockopt(socket.SOL_SOCKET, sticky.SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", len(code), buffer.buffer_info()[0]))
    except OSError as error:
        raise StickyUnavailableError(written, f"the kernel refused the program that picks the worker ({error.strerror})") from error


# ── Unix sockets and inherited ones ─────────────────────────────────────────────────────────────────────────────────


def _listen_unix(address: UnixAddress, options: ListenOptions) -> Listener:
    """Listen at a path. There are no client addresses to be sticky by, so its workers always share one socket."""
    sock, inode = bind_unix(address.path, mode=options.socket_mode, owner=options.socket_owner, address=str(address))
    listener = Listener(address=f"unix:{address.path}", port=None, sockets=(sock,), path=os.path.abspath(address.path), inode=inode)
    try:
        sock.setblocking(False)
        sock.listen(options.backlog)
    except OSError as error:
        listener.close()
        raise ListenError(str(address), error) from error
    return listener


def _listen_fd(address: FdAddress, options: ListenOptions) -> Listener:
    if options.slots:
        raise StickyUnavailableError(str(address), "an inherited socket is one, and each slot needs its own")
    sock = adopt(address.fd)
    sock.setblocking(False)
    port = sock.getsockname()[1] if sock.family in (socket.AF_INET, socket.AF_INET6) else None
    return Listener(address=_printable(sock), port=port, sockets=(sock,))


def _printable(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_INET6:
        return f"http://[{name[0]}]:{name[1]}"
    if sock.family == socket.AF_INET:
        return f"http://{name[0]}:{name[1]}"
    return f"unix:{os.fsdecode(name)}"
