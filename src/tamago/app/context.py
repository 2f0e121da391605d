"""The context: one request, its answer, and the way from them to everything else. Egg's `ctx`."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from tamago.app.body.parsing import decode_text, parse_form, parse_json
from tamago.app.body.whole import read_whole
from tamago.app.cookies import Cookies
from tamago.app.delegation import OfRequest, OfResponse
from tamago.app.errors import HttpError
from tamago.app.header_values import Fields, HeaderValue
from tamago.app.headers import Headers
from tamago.app.lazy import lazy
from tamago.app.route_finding import find_route

if TYPE_CHECKING:
    from tamago.app.host import ContextHost
    from tamago.app.request import RequestView
    from tamago.app.response import ResponseView
    from tamago.app.routing import Route
    from tamago.app.websocket import WebSocket
    from tamago.types import Exchange


MadeServices = tuple[str, "MadeServices"] | None
"""Attributes, the last one first. A chain of tuples, as most contexts have one service or none."""


class Context:
    """One request and its answer.

    Set `body` to answer: text, bytes, a dict, list, Struct or dataclass (JSON), a Path (file), an async iterator (stream), an EventStream,
    a Response, or None (204). Everything else is made when it is first asked for: a context costs a handler that needs nothing of it
    the time of a few assignments. `app` belongs to the class, of which each application has its own.
    """

    app: ClassVar[ContextHost]

    body: Any = None
    """The answer. While it was never set the status is 404; None that was set means 204. So it is the class's until then."""
    body_as_read: bytes | None = None
    made_services: MadeServices = None
    """What was made for this context and refers back to it; see `forget_services`."""
    goes_on = False
    """Whether work in the background uses it after the request."""
    depth = 0
    """How far into its chain of middleware the request is; `compile_chain` keeps count."""
    answered = False
    """The head of the answer is on its way, and nothing about it can be changed any more."""
    websocket: WebSocket
    """The websocket, in the handler of a websocket route."""

    def __init__(self, exchange: Exchange, route: Route, params: Mapping[str, Any]) -> None:
        self.exchange = exchange
        self.route = route
        self.params = params
        self.started = perf_counter()
        # Each request reads these. From an instance that is quick; a default of the class is looked for in the instance first, which
        # costs five times as much, and more than setting it here.
        self.made_services = None
        self.answer_status = 0  # 0: what goes with the body
        self.answer_type: bytes | None = None  # None: what goes with the body
        self.answer_fields: Fields = ()  # all but the type

    def __repr__(self) -> str:
        return f"<Context {self.method} {self.url} {self.status}>"

    # ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

    @lazy
    def method(self) -> str:
        """The method; may be rewritten."""
        return self.exchange.method

    @lazy
    def target(self) -> bytes:
        """The target of the request line, path and query; may be rewritten."""
        return self.exchange.target

    @lazy
    def request(self) -> RequestView:
        return self.app.request_class(self)

    @lazy
    def response(self) -> ResponseView:
        return self.app.response_class(self)

    url = OfRequest(str)
    path = OfRequest(str)
    querystring = OfRequest(str)
    query = OfRequest(dict[str, str])
    queries = OfRequest(dict[str, list[str]])
    ip = OfRequest(str)
    protocol = OfRequest(str)
    secure = OfRequest(bool)
    host = OfRequest(str)
    hostname = OfRequest(str)
    origin = OfRequest(str)
    href = OfRequest(str)
    headers = OfRequest(Headers)
    content_type = OfRequest(str)
    accept_json = OfRequest(bool)
    fresh = OfRequest(bool)

    def get(self, name: str, default: str = "") -> str:
        """Return a header field of the request by name, whatever the case."""
        return self.request.get(name, default)

    def accepts(self, *offered: str) -> str | None:
        """Return which of these the client likes best ("json", "html", "image/png"), as given here; None if it takes none of them."""
        return self.request.accepts(*offered)

    def rewrite(self, *, method: str | None = None, path: str | None = None) -> None:
        """Go on as if the request had this method, or this path (with a query, if it has one): it is routed again."""
        if method is not None:
            self.method = method
        if path is not None:
            self.target = path.encode()
        # Made from the old line; cookies and the like come from elsewhere and stay.
        vars(self).pop("request", None)
        self.route, self.params = find_route(self.app.table, self.method, self.target, self.exchange.fields)

    async def raw_body(self) -> bytes:
        """Read the body as bytes, once. Raises PayloadTooLargeError past its kind's limit in `config.body_parser`."""
        if self.body_as_read is None:
            self.body_as_read = await read_whole(self)
        return self.body_as_read

    async def json(self) -> Any:
        """Read the body as JSON, whatever its content-type claims. Raises BadRequestError for what is none."""
        return parse_json(await self.raw_body(), self.get("content-type"), strict=False)

    async def text(self) -> str:
        """Read the body as text, in its charset or UTF-8."""
        return decode_text(await self.raw_body(), self.get("content-type"))

    async def form(self) -> dict[str, str | list[str]]:
        """Read the body as a form; a name that came several times, or ends in `[]`, has a list."""
        return parse_form(await self.raw_body(), self.get("content-type"))

    # ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────

    type = OfResponse(str)
    length = OfResponse["int | None"](int)
    etag = OfResponse(str)
    last_modified = OfResponse["datetime | float | str"](datetime)

    @property
    def status(self) -> int:
        """The status of the answer: 404 until a body is set, 200 then, 204 for a body set to None; or what it was set to."""
        if self.answer_status:
            return self.answer_status
        if self.body is not None:
            return 200
        return 204 if "body" in vars(self) else 404

    @status.setter
    def status(self, status: int) -> None:
        if not (isinstance(status, int) and 200 <= status <= 999):
            raise ValueError(f"{status!r} is not the status of an answer: use 200 to 999")
        self.answer_status = status

    def set(self, name: str, value: HeaderValue) -> None:
        """Set a header field of the answer, in place of those with its name. Raises HeaderError for what cannot be sent."""
        self.response.set(name, value)

    def append(self, name: str, value: HeaderValue) -> None:
        """Add a header field to the answer, beside those with its name."""
        self.response.append(name, value)

    def remove(self, name: str) -> None:
        """Take a header field of the answer back."""
        self.response.remove(name)

    def vary(self, name: str) -> None:
        """Say that the answer depends on this header field of the request."""
        self.response.vary(name)

    def redirect(self, url: str, status: int = 302) -> None:
        """Send the client to a path on this site or to an http(s) URL. Raises UnsafeRedirectError (400) for anything else."""
        self.response.redirect(url, status)

    def attachment(self, filename: str = "") -> None:
        """Have the client save the body as a file; its ending sets the type unless one is set."""
        self.response.attachment(filename)

    def throw(self, status: int, message: str = "", **props: Any) -> NoReturn:
        """Raise an HttpError; `props` are its arguments and whatever else it should carry."""
        raise HttpError(status, message, **props)

    # ── everything else ──────────────────────────────────────────────────────────────────────────────────────────────

    @lazy
    def cookies(self) -> Cookies:
        return Cookies(self)

    @lazy
    def state(self) -> dict[str, Any]:
        """What middleware, handlers and views tell each other about this request."""
        return {}

    @lazy
    def service(self) -> Any:
        """The services, one instance of each for this context."""
        return self.app.services(self)

    @lazy
    def helper(self) -> Any:
        return self.app.helper_class(self)

    @lazy
    def request_id(self) -> str:
        """The id of this request: the edge's if it gave one (`--request-id`), else one of our own."""
        given: str | None = getattr(self.exchange, "request_id", None)
        return given or secrets.token_hex(16)

    @property
    def config(self) -> Any:
        return self.app.config

    @property
    def logger(self) -> Any:
        """The application's logger, which adds this context to its lines by itself."""
        return self.app.logger

    @property
    def httpclient(self) -> Any:
        return self.app.httpclient

    @property
    def elapsed(self) -> float:
        """Seconds since the request began."""
        return perf_counter() - self.started

    def forget_services(self) -> None:
        """Let go of the services, as the request is over; unless work in the background goes on with them.

        They and their context refer to each other. Left so, each request would wait for the garbage collector, in memory that the next
        ones could have used.
        """
        made = None if self.goes_on else self.made_services
        while made is not None:
            name, made = made
            try:  # noqa: SIM105 - `suppress` takes longer than all the rest
                delattr(self, name)
            except AttributeError:
                pass  # noted twice, by two threads that asked for it at the same time
        self.made_services = None

    def run_in_background(self, task: Callable[[Context], Awaitable[object]], *, name: str = "") -> None:
        """Run `await task(ctx)` beside the request, or after it. It is logged, and waited for before the process ends."""
        self.app.background.run(task, self, name=name)
