"""Errors that are answers: an HTTP status with a message for the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from tamago.errors import TamagoError


def reason(status: int) -> str:
    """Return the standard phrase of a status, such as "Not Found"; the number itself where there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)


class StatusError(TamagoError, ValueError):
    """An HttpError is made with a `status` that no error has, or with something else in its place."""

    def __init__(self, status: object) -> None:
        super().__init__(
            f"{status!r} is not the status of an error",
            hint="give one from 400 to 599, and the message after it: ctx.throw(404, 'no such egg')",
        )
        self.status = status


class HttpError(TamagoError):
    """Ends a request with this status. `ctx.throw` raises it.

    `expose`: the client may read the message; so by default below 500. `headers` go out with the answer. `code` and `errors` tell
    programs more, such as which fields are wrong; `props` is whatever else the thrower wants to keep with it. Raises StatusError.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        expose: bool | None = None,
        code: str = "",
        errors: Sequence[object] = (),
        hint: str = "",
        **props: object,
    ) -> None:
        if not isinstance(status, int) or not 400 <= status <= 599:
            raise StatusError(status)
        super().__init__(message or reason(status), hint=hint)
        self.status = status
        self.headers = dict(headers or {})
        self.expose = status < 500 if expose is None else expose
        self.code = code
        self.errors = errors
        self.props = props


class BadRequestError(HttpError):
    """400: the request cannot be understood. `errors` has one entry for each thing that is wrong with it."""

    def __init__(self, message: str = "", *, errors: Sequence[object] = (), code: str = "", hint: str = "") -> None:
        super().__init__(400, message, errors=errors, code=code, hint=hint)


class PayloadTooLargeError(HttpError):
    """413: the body of the request is larger than `limit` bytes."""

    def __init__(self, limit: int, *, setting: str) -> None:
        super().__init__(
            413, f"request body is larger than {limit} bytes", hint=f"raise config.body_parser.{setting} if such bodies are expected"
        )
        self.limit = limit


class UnsupportedMediaTypeError(HttpError):
    """415: the body of the request is in a form we do not read."""

    def __init__(self, problem: str) -> None:
        super().__init__(415, problem)


class UnsafeRedirectError(BadRequestError):
    """A redirection to `url` could lead to anywhere, or run a script. 400, since such an address comes from the client."""

    def __init__(self, url: str) -> None:
        super().__init__(
            "the address to redirect to is not allowed",
            hint=f"{url[:200]!r} is neither a path on this site nor an http(s) URL; to mean it, set `location` and `status` yourself",
        )
        self.url = url


class ExitError(TamagoError):
    """Work for a request, or in the background, called `sys.exit` (as libraries for commands do): that fails, and the process lives on."""

    def __init__(self, raised: SystemExit) -> None:
        super().__init__(
            f"sys.exit({raised.code!r}) was called, which ends no worker", hint="raise an HttpError, or return; see the call above"
        )
        self.__cause__ = raised
