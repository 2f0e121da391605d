"""The answer to an error. Pure but for the source that a page quotes: error and request in; status, header fields and body out."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tamago.app.errors import reason
from tamago.plugins.onerror import page, short_page
from tamago.plugins.onerror.answer_format import Format
from tamago.plugins.onerror.frames import kind_of, message_of, take_apart
from tamago.plugins.onerror.problem import Problem, problem_of, root_of
from tamago.plugins.onerror.request_facts import RequestFacts

TALKATIVE = frozenset({"local", "unittest"})
"""Environments in which whoever asks is whoever develops."""

# An error is answered in the name of the whole site, whatever went wrong before its own headers were set.
_SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The application: `config` is redacted already."""

    name: str
    env: str
    directory: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    error_page_url: str = ""

    @property
    def talkative(self) -> bool:
        """Whether the inside of the application may be shown."""
        return self.env in TALKATIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """An answer."""

    status: int
    fields: Mapping[str, str]
    body: str


def render_error(error: BaseException, request: RequestFacts, kind: Format, about: About) -> Rendered:
    """Answer an error in this format. In production an error of ours is "Internal Server Error" and nothing else."""
    problem = problem_of(error)
    match kind:
        case Format.JSON:
            return _rendered(problem, "application/json; charset=utf-8", _json(error, problem, request, about))
        case Format.TEXT:
            return _rendered(problem, "text/plain; charset=utf-8", _text(error, problem, request, about))
        case Format.HTML:
            return _html(error, problem, request, about)


def _rendered(problem: Problem, content_type: str, body: str, policy: str = "default-src 'none'; frame-ancestors 'none'") -> Rendered:
    fields = {**_SECURITY, "content-type": content_type, "content-security-policy": policy}
    return Rendered(status=problem.status, fields={**fields, **_lower(problem.headers)}, body=body)


def _json(error: BaseException, problem: Problem, request: RequestFacts, about: About) -> str:
    body: dict[str, Any] = {"message": problem.message}
    if problem.code:
        body["code"] = problem.code
    if problem.errors:
        body["errors"] = list(problem.errors)
    if problem.ours and request.request_id:
        body["request_id"] = request.request_id
    if about.talkative and problem.ours:
        root = root_of(error)
        body |= {"message": message_of(root), "name": kind_of(root), "stack": _stack(error)}
    return msgspec.json.encode(body, enc_hook=repr).decode()


def _text(error: BaseException, problem: Problem, request: RequestFacts, about: About) -> str:
    if about.talkative and problem.ours:
        root = root_of(error)
        return f"{kind_of(root)}: {message_of(root)}\n\n{_stack(error)}"
    # Bad values of a request are in the message already, in words.
    lines = [problem.message, *(f"- {_plain(item)}" for item in problem.errors if str(item) not in problem.message)]
    if problem.ours and request.request_id:
        lines.append(f"request id: {request.request_id}")
    return "\n".join(lines) + "\n"


def _html(error: BaseException, problem: Problem, request: RequestFacts, about: About) -> Rendered:
    html = "text/html; charset=utf-8"
    if about.talkative and (problem.ours or about.env == "local"):
        raised = take_apart(root_of(error), about.directory)
        whole = page.Page(
            problem=problem,
            raised=raised,
            hint=getattr(root_of(error), "hint", ""),
            stack=_stack(error),
            request=request,
            name=about.name,
            env=about.env,
            config=about.config,
        )
        return _rendered(problem, html, page.render(whole), page.POLICY)
    if problem.ours and about.error_page_url and urlsplit(about.error_page_url).path != request.path:
        to = about.error_page_url
        joint = "&" if "?" in to else "?"
        return Rendered(status=302, fields={**_SECURITY, "location": f"{to}{joint}real_status={problem.status}"}, body="")
    shown = short_page.render(problem.status, reason(problem.status), problem.message, request.request_id if problem.ours else "")
    return _rendered(problem, html, shown, short_page.POLICY)


def _stack(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _plain(item: object) -> str:
    return item if isinstance(item, str) else msgspec.json.encode(item, enc_hook=repr).decode()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
