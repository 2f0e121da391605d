"""Turns a request into a WSGI environ (PEP 3333). Pure."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from tamago.server.file_wrapper import FileWrapper
from tamago.server.request_head import split_target

Environ = dict[str, Any]

# Not for the application under this name. HTTP_PROXY would be taken for the setting of that name by HTTP clients in the application.
_DROPPED = frozenset({b"proxy", b"content-type", b"content-length", b"transfer-encoding"})

# The key of each field name, made once; "" for one that is dropped. Clients choose the names, so only so many are kept.
_keys: dict[bytes, str] = {}
_MAX_KEYS = 1024


def environ_template(root_path: str) -> Environ:
    """Return what is the same in every environ of an application. `root_path` is where it is mounted, without a slash at the end."""
    return {
        "SCRIPT_NAME": root_path.encode().decode("latin-1"),
        "wsgi.version": (1, 0),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
    }


def add_request(environ: Environ, method: str, target: bytes, version: str, fields: list[tuple[bytes, bytes]]) -> None:
    """Add what the request said. PATH_INFO is empty for `OPTIONS *`, which is about no path."""
    path, query = split_target(target)
    if b"%" in path:
        path = unquote_to_bytes(path)
    environ["REQUEST_METHOD"] = method
    environ["PATH_INFO"] = "" if path == b"*" else path.decode("latin-1")
    environ["QUERY_STRING"] = query.decode("latin-1")
    environ["RAW_URI"] = environ["REQUEST_URI"] = target.decode("latin-1")
    environ["SERVER_PROTOCOL"] = f"HTTP/{version}"
    keys = _keys
    for field, value in fields:
        key = keys.get(field)
        if key is None:
            key = _key(field)
        if not key:
            if field == b"content-type":
                environ["CONTENT_TYPE"] = value.decode("latin-1")
        elif key in environ:
            environ[key] += ("; " if field == b"cookie" else ",") + value.decode("latin-1")
        else:
            environ[key] = value.decode("latin-1")


def add_connection(environ: Environ, scheme: str, client: tuple[str, int] | None, server: tuple[str, int | None] | None) -> None:
    """Add who talks with whom. Over a Unix socket neither side has an address."""
    name, port = server or ("", None)
    environ["wsgi.url_scheme"] = scheme
    if port is None:
        environ["SERVER_NAME"] = "localhost"
        environ["SERVER_PORT"] = "443" if scheme == "https" else "80"
    else:
        environ["SERVER_NAME"] = name
        environ["SERVER_PORT"] = str(port)
    if client is None:
        environ["REMOTE_ADDR"] = environ["REMOTE_PORT"] = ""
    else:
        environ["REMOTE_ADDR"] = client[0]
        environ["REMOTE_PORT"] = str(client[1])


def _key(field: bytes) -> str:
    # An underscore would become the same variable as a hyphen, and pass for a field that a proxy in front of us has checked.
    dropped = field in _DROPPED or b"_" in field
    key = "" if dropped else "HTTP_" + field.decode("latin-1").upper().replace("-", "_")
    if len(_keys) < _MAX_KEYS:
        _keys[field] = key
    return key
