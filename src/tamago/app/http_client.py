"""What can be configured about `app.httpclient`, what it tells whoever traces it, and how it is made. Knows httpx only once it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tamago.errors import TamagoError

if TYPE_CHECKING:
    import httpx

    from tamago.app.http_session import HttpClient


class HttpClientConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part `httpclient`. Times in seconds; None for one of the particular timeouts: as `timeout`.

    Connections are kept for `keep_alive` seconds after their last use. `trust_env` has proxies and certificates taken from the environment.
    """

    timeout: float = 5.0
    connect_timeout: float | None = None
    read_timeout: float | None = None
    pool_timeout: float | None = None
    max_connections: int = 256
    max_idle_connections: int = 64
    keep_alive: float = 4.0
    follow_redirects: bool = False
    base_url: str = ""
    headers: dict[str, str] = {}
    trust_env: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """A request is about to be sent: `request.headers` may still be added to. `context` is the context it is sent for, if any."""

    request: httpx.Request
    context: object | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEvent:
    """A request is over after `seconds`: with a response, or with an error. Of a stream, the head of the response is there."""

    request: httpx.Request
    context: object | None
    response: httpx.Response | None
    error: BaseException | None
    seconds: float


class MissingHttpxError(TamagoError):
    """`app.httpclient` was asked for, and its library is not installed."""

    def __init__(self) -> None:
        super().__init__("app.httpclient needs httpx, which is not installed", hint="pip install 'tamago[httpclient]'")


def make_http_client(config: HttpClientConfig, *, current: Callable[[], object | None] = lambda: None, transport: Any = None) -> HttpClient:
    """Make the client of a process. `current` returns the running context; `transport` takes the place of the network, in tests.

    Raises MissingHttpxError.
    """
    try:
        from tamago.app.http_session import HttpClient  # noqa: PLC0415 - an extra, and a hundred milliseconds to import
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingHttpxError from None
    return HttpClient(config, current=current, transport=transport)
