"""Turns a request into a WSGI environ (PEP 3333). Pure."""

from __future__ import annotations

import sys
from typing import IO, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

from tamago.server.request_head import split_target

Environ = dict[str, Any]

# HTTP_PROXY would be taken for the setting of that name by HTTP clients in the application.
_DROPPED = frozenset({b"proxy", b"content-type", b"content-length", b"transfer-encoding"})


def make_environ(  # noqa: PLR0913 - what a request consists of
    *,
    method: str,
    target: bytes,
    version: str,
    fields: list[tuple[bytes, bytes]],
    root_path: str,
    scheme: str,
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    body: IO[bytes],
    length: int,
) -> Environ:
    """Return the environ. `length` is that of the whole body, however it travelled."""
    path, query = split_target(target)
    name, port = server or ("", None)
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": root_path.encode().decode("latin-1"),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": target.decode("latin-1"),
        "REQUEST_URI": target.decode("latin-1"),
        "SERVER_NAME": name if port is not None else "localhost",
        "SERVER_PORT": str(port if port is not None else 443 if scheme == "https" else 80),
        "SERVER_PROTOCOL": f"HTTP/{version}",
        "REMOTE_ADDR": client[0] if client else "",
        "REMOTE_PORT": str(client[1]) if client else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }
    if length:
        environ["CONTENT_LENGTH"] = str(length)
    for field, value in fields:
        _add(environ, field, value.decode("latin-1"))
    return environ


def _add(environ: Environ, field: bytes, value: str) -> None:
    if field == b"content-type":
        environ["CONTENT_TYPE"] = value
    # An underscore would become the same variable as a hyphen, and pass for a field that a proxy in front of us has checked.
    if field in _DROPPED or b"_" in field:
        return
    key = "HTTP_" + field.decode("latin-1").upper().replace("-", "_")
    before = environ.get(key)
    if before is not None:
        value = f"{before}{'; ' if field == b'cookie' else ','}{value}"
    environ[key] = value
