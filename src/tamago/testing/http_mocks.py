"""Answers what an application asks of other servers. Egg's `mockHttpclient`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from tamago.errors import TamagoError
from tamago.testing.applications import import_httpx

if TYPE_CHECKING:
    import httpx
    import pytest


class NotMockedError(TamagoError):
    """A request went out that no mock answers."""

    def __init__(self, request: httpx.Request, mocks: list[HttpMock]) -> None:
        listed = ", ".join(mock.describe() for mock in mocks) or "nothing"
        super().__init__(
            f"{request.method} {request.url} is not mocked, and tests with mock_httpclient reach no network",
            hint=f"mock it too; mocked is {listed}",
        )


@dataclass(kw_only=True)
class HttpMock:
    """One kind of request and its answer; `requests` are those that were answered by it."""

    url: Any
    method: str | None
    answer: Callable[[httpx.Request], Any]
    times: int | None = None
    requests: list[httpx.Request] = field(default_factory=list)

    def takes(self, request: httpx.Request) -> bool:
        """Return whether this request is meant, and not answered often enough yet."""
        if (self.method is not None and request.method != self.method) or (self.times is not None and len(self.requests) >= self.times):
            return False
        match self.url:
            case str():
                asked = str(request.url)
                return self.url in {asked, asked.partition("?")[0]}
            case re.Pattern():
                return self.url.search(str(request.url)) is not None
            case _:
                return bool(self.url(request))

    def describe(self) -> str:
        """Name what is meant, for a message."""
        url = self.url.pattern if isinstance(self.url, re.Pattern) else self.url
        return f"{self.method or 'any method'} {url}{f' ({self.times} times)' if self.times is not None else ''}"


class HttpMocks:
    """What the fixture `mock_httpclient` is: it takes the place of the network for all clients of httpx in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._httpx = import_httpx()
        self._mocks: list[HttpMock] = []

        async def answer(_: object, request: httpx.Request) -> httpx.Response:
            await request.aread()
            response: Any = self._find(request).answer(request)
            if isawaitable(response):
                response = await response
            return cast("httpx.Response", response)

        def answer_now(_: object, request: httpx.Request) -> httpx.Response:
            request.read()
            return cast("httpx.Response", self._find(request).answer(request))

        # The transports that open sockets; `client` has another one. Not the clients: what they do with an answer is not to be mocked.
        monkeypatch.setattr(self._httpx.AsyncHTTPTransport, "handle_async_request", answer)
        monkeypatch.setattr(self._httpx.HTTPTransport, "handle_request", answer_now)

    def __call__(
        self,
        url: Any,
        answer: Callable[[httpx.Request], Any] | BaseException | None = None,
        *,
        method: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
        **content: Any,
    ) -> HttpMock:
        """Answer requests for `url`: a URL (with its query, or for all queries without one), a pattern, or a function that chooses.

        The answer is made of `status`, `headers` and one of `json`, `text`, `html`, `content` (httpx.Response's), or is what the function
        `answer(request)` returns, or the error it is: `httpx.ConnectTimeout("…")`. Of several mocks the newest one that fits answers;
        one with `times` only so often.
        """

        def respond(request: httpx.Request) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            if answer is not None:
                return answer(request)
            return self._httpx.Response(status, headers=headers, **content)

        mock = HttpMock(url=url, method=method.upper() if method else None, answer=respond, times=times)
        self._mocks.insert(0, mock)
        return mock

    def _find(self, request: httpx.Request) -> HttpMock:
        for mock in self._mocks:
            if mock.takes(request):
                mock.requests.append(request)
                return mock
        raise NotMockedError(request, self._mocks)
