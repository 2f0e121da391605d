"""What the server itself answers when a request can't be given to the application. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tamago.server.status import reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer without the application: a status, one sentence for the client, and whether the connection ends with it."""

    status: int
    why: str
    closes: bool = True
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the header fields of the answer."""
        fields = [(b"content-type", b"text/plain; charset=utf-8"), *self.fields]
        if self.closes:
            fields.append((b"connection", b"close"))
        return fields

    def body(self) -> bytes:
        """Return the text of the answer."""
        return f"{self.status} {reason(self.status)}: {self.why}\n".encode()


def bad_request(why: str) -> Refusal:
    """The bytes are no request we could answer without guessing."""
    return Refusal(status=400, why=why)


REQUEST_TIMED_OUT = Refusal(status=408, why="the request did not arrive in time")
URI_TOO_LONG = Refusal(status=414, why="the request line is too long")
HEADERS_TOO_LARGE = Refusal(status=431, why="the header fields are too large or too many")
BODY_TOO_LARGE = Refusal(status=413, why="the request body is too large")
EXPECTATION_FAILED = Refusal(status=417, why="the only expectation known here is 100-continue")
NO_TUNNELS = Refusal(status=501, why="CONNECT is not available here")
METHOD_UNKNOWN = Refusal(status=501, why="the method is none of HTTP")
CODING_UNKNOWN = Refusal(status=501, why="chunked is the only transfer coding known here")
VERSION_NOT_SUPPORTED = Refusal(status=505, why="use HTTP/1.1")
OVERLOADED = Refusal(status=503, why="too many requests at once", closes=False, fields=((b"retry-after", b"1"),))
INTERNAL_ERROR = Refusal(status=500, why="the application failed", closes=False)
NO_WEBSOCKETS = Refusal(status=501, why="websockets are not available here")
