"""A file as the body of an answer: by sendfile(2) where that can be, else read and written.

Owns the open file and how its bytes travel. Knows no HTTP.

No event loop does it for us: uvloop has no `sendfile`, and asyncio's wants a transport of its own. So it is done beside the transport, on a
duplicate of its socket (a loop watches a descriptor for one owner only), once all the transport had to write has left. TLS encrypts in
this process; there the bytes must pass through it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tamago.server.exchange import Exchange

# Bytes for one system call. Reading from a disk blocks the loop, as it does in nginx; after so much of it others have their turn.
_PIECE = 512 * 1024

# Filesystems that know no sendfile, such as some in user space.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK})


class FileBody:
    """An open file. `size` is its length in bytes when it was opened. Raises OSError for what is no readable, regular file."""

    __slots__ = ("_file", "size")

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without the latter a FIFO would block until somebody writes to it
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._file)
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.size = status.st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        os.close(self._file)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes from the beginning."""
        return os.pread(self._file, size, 0)

    async def send(self, exchange: Exchange, size: int) -> int:
        """Send `size` bytes from the beginning; return how many were sent: fewer if the file has become shorter, or the client left."""
        connection = exchange.connection
        transport = connection.transport
        if transport.get_extra_info("sslcontext") is not None:
            return await self._copy(exchange, size)
        transport.set_write_buffer_limits(0)  # so that the transport says when it has nothing left
        try:
            if connection.write_paused:
                await connection.writable()
            if exchange.gone or transport.is_closing():
                return 0
            return await self._sendfile(exchange, size)
        finally:
            if not transport.is_closing():
                transport.set_write_buffer_limits()

    async def _sendfile(self, exchange: Exchange, size: int) -> int:
        connection = exchange.connection
        sent = 0
        socket = os.dup(connection.sock.fileno())
        try:
            while sent < size and not exchange.gone:
                try:
                    count = os.sendfile(socket, self._file, sent, min(size - sent, _PIECE))
                except BlockingIOError:
                    await _writable(exchange, socket)
                    continue
                if not count:
                    break
                sent += count
                await asyncio.sleep(0)
        except ConnectionError:
            connection.cut()  # nobody reads; the transport, which has nothing to write, may not know
        except OSError as error:
            if sent or error.errno not in _UNSUPPORTED:
                raise
            sent = await self._copy(exchange, size)
        finally:
            os.close(socket)
        return sent

    async def _copy(self, exchange: Exchange, size: int) -> int:
        connection = exchange.connection
        sent = 0
        while sent < size and not exchange.gone:
            data = os.pread(self._file, min(size - sent, _PIECE), sent)
            if not data:
                break
            connection.transport.write(data)
            sent += len(data)
            if connection.write_paused:
                await connection.writable()
            else:
                await asyncio.sleep(0)
        return sent


async def _writable(exchange: Exchange, socket: int) -> None:
    """Return when there is room in the socket, or the client is gone. Like any that reads slowly, it must keep a pace."""
    connection = exchange.connection
    loop = connection.server.loop
    connection.pause_writing()
    waiter = connection.writer()
    loop.add_writer(socket, _resume, waiter)
    try:
        await waiter
    finally:
        loop.remove_writer(socket)
        connection.resume_writing()


def _resume(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
