"""The parts of configuration every application has. Times are in seconds, sizes in bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tamago.app.cookie_encryption import CookieCipher
from tamago.app.http_client import HttpClientConfig
from tamago.app.logging import LoggerConfig

Seconds = Annotated[float, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=1)]


class Dump(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written to the `run` directory once a process is ready; `directory` "": `run` in the application's.

    `ignore_paths` are dotted keys of configuration that are shown as their type only; secrets are hidden anyway. Steps of the start that
    took `slow_step` seconds or more are named in the log.
    """

    enable: bool = True
    directory: str = ""
    ignore_paths: tuple[str, ...] = ()
    slow_step: Seconds = 5.0


class Threads(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The threads for handlers that are plain functions: `size` in each worker, None: as many as `--threads` says.

    A mounted WSGI application has as many of its own.
    """

    size: Annotated[int, Meta(ge=1, le=1024)] | None = None


class Cookies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What cookies are set with unless told otherwise."""

    path: str = "/"
    domain: str = ""
    http_only: bool = True
    same_site: Literal["lax", "strict", "none"] | None = None
    secure: bool | None = None
    priority: Literal["low", "medium", "high"] | None = None
    partitioned: bool = False
    signed: bool = True
    encrypt: bool = False
    cipher: CookieCipher = CookieCipher.AES_GCM


class Filtered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every middleware can be told: whether it is there, and for which paths."""

    enable: bool = True
    match: Any = None
    ignore: Any = None


class MetaOptions(Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`x-readtime`, and with `logging` a line when a request begins."""

    logging: bool = False


class NotFound(Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nobody answered. `page_url`: where browsers are sent."""

    page_url: str = ""


class BodyParser(Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bodies that are read before the handler runs, and how large they may be. `strict`: JSON must be an object or an array."""

    enable_types: tuple[Literal["json", "form", "text"], ...] = ("json", "form")
    json_limit: Bytes = 1024 * 1024
    form_limit: Bytes = 1024 * 1024
    text_limit: Bytes = 1024 * 1024
    raw_limit: Bytes = 10 * 1024 * 1024
    strict: bool = True


class RequestId(Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id for each request, told in `header`; `trust`: one the client sends counts."""

    enable: bool = False
    header: str = "x-request-id"
    trust: bool = False


class RequestTimeout(Filtered, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After how long a request is given up; 0: never. A route's own `timeout` wins."""

    seconds: Seconds = 0.0


models = {
    "logger": LoggerConfig,
    "httpclient": HttpClientConfig,
    "dump": Dump,
    "threads": Threads,
    "cookies": Cookies,
    "meta": MetaOptions,
    "notfound": NotFound,
    "body_parser": BodyParser,
    "override_method": Filtered,
    "request_id": RequestId,
    "request_timeout": RequestTimeout,
}
