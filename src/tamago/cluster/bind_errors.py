"""Why an address cannot be listened on, each with what to do about it. Raised before anything else of a cluster starts."""

from __future__ import annotations

from tamago.errors import TamagoError


class BindError(TamagoError):
    """Base class: `address` is what was asked for, as it was written."""

    def __init__(self, address: str, problem: str, *, hint: str) -> None:
        super().__init__(f"cannot listen on {address}: {problem}", hint=hint)
        self.address = address


class PortInUseError(BindError):
    """Another process listens there."""

    def __init__(self, address: str, port: int) -> None:
        hint = f"find its owner with `ss -ltnp 'sport = :{port}'`, or pass another --port (0 picks a free one)"
        super().__init__(address, "the address is already in use", hint=hint)
        self.port = port


class PortNotPermittedError(BindError):
    """A port below 1024 without the right to it."""

    def __init__(self, address: str, port: int) -> None:
        hint = "pass --port 1024 or higher, or grant the right, such as AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit"
        super().__init__(address, f"no permission for port {port}", hint=hint)
        self.port = port


class UnknownHostError(BindError):
    """The name does not resolve."""

    def __init__(self, address: str, host: str, reason: str) -> None:
        super().__init__(
            address, f"the host {host!r} is unknown ({reason})", hint="pass an address of this machine, such as --host 127.0.0.1"
        )
        self.host = host


class AddressNotLocalError(BindError):
    """An address of another machine."""

    def __init__(self, address: str) -> None:
        hint = "list this machine's addresses with `ip address`; --host 0.0.0.0 or :: listens on all"
        super().__init__(address, "no interface of this machine has that address", hint=hint)


class SocketPathError(BindError):
    """A Unix socket cannot be made at that path: it is too long, its directory is missing or closed to us, or something else is there."""

    def __init__(self, address: str, path: str, problem: str, *, hint: str) -> None:
        super().__init__(address, problem, hint=hint)
        self.path = path


class SocketInUseError(SocketPathError):
    """Another process listens on that Unix socket."""

    def __init__(self, address: str, path: str) -> None:
        super().__init__(address, path, "another process listens there", hint=f"find it with `ss -lxp src {path}`, or pass another --bind")


class BadDescriptorError(BindError):
    """An inherited descriptor that is not a listening socket."""

    def __init__(self, address: str, fd: int, problem: str) -> None:
        hint = "pass the number of a listening stream socket, such as fd://3 under a systemd socket unit"
        super().__init__(address, problem, hint=hint)
        self.fd = fd


class StickyUnavailableError(BindError):
    """Sticky sessions cannot be had for that address, or on this system."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(
            address, f"--sticky is not possible: {problem}", hint="start without --sticky, or keep sessions outside of the workers"
        )


class ListenError(BindError):
    """Anything else the kernel may say."""

    def __init__(self, address: str, error: OSError) -> None:
        super().__init__(address, error.strerror or str(error), hint="check the address given with --bind, or --host and --port")
        self.errno = error.errno
