"""The page a client gets in production: status, a sentence, and an id to ask about."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from tamago.plugins.onerror.style_policy import policy_for

STYLE = files(__package__).joinpath("short_page.css").read_text("utf-8")
POLICY = policy_for(STYLE)


def render(status: int, phrase: str, message: str, request_id: str) -> str:
    """Return the page; `request_id` "" leaves that line out."""
    told = "" if message == phrase else f"<p>{escape(message)}</p>"
    asked = f"<p class=id>Request id <code>{escape(request_id)}</code></p>" if request_id else ""
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{status} {escape(phrase)}</title><style>{STYLE}</style>"
        f"<main><h1><b>{status}</b> {escape(phrase)}</h1>{told}{asked}</main></html>"
    )
