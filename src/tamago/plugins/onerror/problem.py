"""What an error means to a client: status, message, and what else it may know. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tamago.app.errors import HttpError, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as an answer. `message` is for the client: that of the error only if it is exposed."""

    status: int
    message: str
    exposed: bool = False
    code: str = ""
    errors: Sequence[object] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether it is the application's fault rather than the client's."""
        return self.status >= 500


def root_of(error: BaseException) -> BaseException:
    """Return the error itself, or the only one in a group: what a task group makes of a single failure."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def problem_of(error: BaseException) -> Problem:
    """Say what an error means. Only an HttpError means anything but 500: the status of another one may be that of another server."""
    error = root_of(error)
    if not isinstance(error, HttpError):
        return Problem(status=500, message=reason(500))
    if not error.expose:
        return Problem(status=error.status, message=reason(error.status), headers=error.headers)
    return Problem(status=error.status, message=error.problem, exposed=True, code=error.code, errors=error.errors, headers=error.headers)
