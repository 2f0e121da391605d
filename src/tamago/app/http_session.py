"""`app.httpclient`: httpx's client with pooled connections, that tells whoever traces it of each request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter
from typing import Any, Literal, TypeVar

import httpx

from tamago.app.events import UnknownEventError, refuse_async
from tamago.app.http_client import HttpClientConfig, RequestEvent, ResponseEvent

_log = logging.getLogger("tamago.app.httpclient")

AnyListener = TypeVar("AnyListener", bound=Callable[..., object])


class HttpClient(httpx.AsyncClient):
    """An httpx.AsyncClient: `await app.httpclient.get(url)`. Its connections belong to the event loop it is used in first."""

    def __init__(
        self, config: HttpClientConfig, *, current: Callable[[], object | None], transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        timeout = httpx.Timeout(config.timeout)
        for name in ("connect", "read", "pool"):
            if (seconds := getattr(config, f"{name}_timeout")) is not None:
                setattr(timeout, name, seconds)
        limits = httpx.Limits(
            max_connections=config.max_connections,
            max_keepalive_connections=config.max_idle_connections,
            keepalive_expiry=config.keep_alive,
        )
        self._current = current
        self._listeners: dict[str, list[Callable[..., object]]] = {"request": [], "response": []}
        super().__init__(
            timeout=timeout,
            limits=limits,
            transport=transport,
            follow_redirects=config.follow_redirects,
            base_url=config.base_url,
            headers=config.headers,
            trust_env=config.trust_env,
            # One client serves all requests: a cookie kept from one user's answer would be sent with the next one's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    def on(self, name: Literal["request", "response"], listener: AnyListener) -> AnyListener:
        """Call `listener` with a RequestEvent before each request, or a ResponseEvent after it.

        Raises UnknownEventError, and TypeError for a coroutine function, which nobody would await.
        """
        if name not in self._listeners:
            raise UnknownEventError(name, sorted(self._listeners))
        refuse_async(listener)
        self._listeners[name].append(listener)
        return listener

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, as every method does in the end."""
        context = self._current()
        self._tell("request", RequestEvent(request=request, context=context))
        began = perf_counter()
        response: httpx.Response | None = None
        failure: BaseException | None = None
        try:
            response = await super().send(request, **options)
        except BaseException as error:
            failure = error
            raise
        finally:
            seconds = perf_counter() - began
            self._tell("response", ResponseEvent(request=request, context=context, response=response, error=failure, seconds=seconds))
        return response

    def _tell(self, name: str, event: RequestEvent | ResponseEvent) -> None:
        for listener in self._listeners[name]:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - whatever it raises
                _log.exception("a listener of the http client's %r failed", name)
