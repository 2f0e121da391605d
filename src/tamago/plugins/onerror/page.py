"""The page for whoever develops: what went wrong, where, with the source, for which request. No script; frames fold by themselves."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from tamago.plugins.onerror.frames import Frame, Raised
from tamago.plugins.onerror.problem import Problem
from tamago.plugins.onerror.request_facts import RequestFacts
from tamago.plugins.onerror.source_view import code_block
from tamago.plugins.onerror.style_policy import policy_for

STYLE = files(__package__).joinpath("page.css").read_text("utf-8")
POLICY = policy_for(STYLE)

_CLIPPED = 4_000  # characters of one error's message or one value; more than that nobody reads on a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that stands on the page; secrets are redacted already."""

    problem: Problem
    raised: Sequence[Raised]
    hint: str
    stack: str
    request: RequestFacts
    name: str
    env: str
    config: Mapping[str, Any]


def render(page: Page) -> str:
    """Return the page."""
    first = page.raised[0]
    request = page.request
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width">',
        f"<title>{escape(first.kind)}: {escape(first.message[:80])}</title><style>{STYLE}</style>",
        "<header><div class=wrap>",
        f"<p class=where><b class=status>{page.problem.status}</b> <b>{escape(request.method)}</b> <span>{escape(request.path)}</span></p>",
        f"<h1>{_kind(first.kind)}</h1>",
        f"<p class=message>{_clip(first.message)}</p>" if first.message else "",
        *(f"<p class=note>{escape(note)}</p>" for note in first.notes),
        f"<p class=hint><b>What to do</b> {_clip(page.hint)}</p>" if page.hint else "",
        "</div></header><main class=wrap>",
        *(_error(raised) for raised in page.raised),
        _request(page),
        f"<details class=panel><summary>Traceback as text</summary><pre class=text>{escape(page.stack)}</pre></details>",
        _config(page.config),
        f"</main><footer class=wrap>{escape(page.name)} in <b>{escape(page.env)}</b> · Python {platform.python_version()}",
        " · only <b>local</b> and <b>unittest</b> show this page</footer></html>",
    ]
    return "".join(parts)


def _kind(kind: str) -> str:
    module, dot, name = kind.rpartition(".")
    # On a narrow screen the line is broken at a dot, and not within the name.
    return f"<small>{escape(module + dot).replace('.', '.<wbr>')}</small>{escape(name)}"


def _clip(text: str) -> str:
    return escape(text if len(text) <= _CLIPPED else f"{text[:_CLIPPED]}…")


# ── frames ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _error(raised: Raised) -> str:
    heading = ""
    if raised.relation:
        notes = "".join(f"<p class=note>{escape(note)}</p>" for note in raised.notes)
        heading = f"<h2><i>{escape(raised.relation)}</i> {_kind(raised.kind)}</h2><p class=message>{_clip(raised.message)}</p>{notes}"
    if not raised.frames:
        return f"<section>{heading}<p class=none>It was never raised, so there is no traceback.</p></section>"
    return f"<section>{heading}<div class=frames>{''.join(_frames(raised))}</div></section>"


def _frames(raised: Raised) -> Iterator[str]:
    frames = raised.frames
    opened = next((frame for frame in frames if frame.ours), frames[0])
    gap = len(frames) // 2 if raised.left_out else -1
    for number, frame in enumerate(frames):
        if number == gap:
            yield f"<p class=gap>{raised.left_out} more frames</p>"
        yield _frame(frame, is_open=frame is opened)


def _frame(frame: Frame, *, is_open: bool) -> str:
    kind = "ours" if frame.ours else "theirs"
    head = (
        f"<summary><code class=function>{escape(frame.function)}</code>"
        f'<span class=file title="{escape(frame.file)}">{escape(frame.shown_file)}<b>:{frame.line}</b></span></summary>'
    )
    body = code_block(frame) if frame.code else "<p class=none>The source is not there.</p>"
    return f"<details class={kind}{' open' if is_open else ''}>{head}{body}</details>"


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _request(page: Page) -> str:
    request = page.request
    facts = {"Route": request.route or "none", "Client": request.ip, "Request id": request.request_id}
    tables = [
        _table("", {name: value for name, value in facts.items() if value}),
        _table("Path parameters", request.params),
        _table("Query", request.query),
        _table("Headers", request.headers),
    ]
    return f"<section class=request><h2>Request</h2>{''.join(tables)}</section>"


def _table(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}<td>{_value(value)}" for name, value in values.items())
    return (f"<h3>{title}</h3>" if title else "") + f"<table>{rows}</table>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(str(item) for item in value)
    return _clip(str(value))


def _config(config: Mapping[str, Any]) -> str:
    if not config:
        return ""
    text = json.dumps(config, indent=2, ensure_ascii=False, default=repr)
    return f"<details class=panel><summary>Configuration</summary><pre class=text>{escape(text)}</pre></details>"
