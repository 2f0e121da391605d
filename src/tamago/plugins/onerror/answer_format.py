"""Which kind of answer a client understands. Pure."""

from __future__ import annotations

from enum import Enum

from tamago.app import accepts
from tamago.plugins.onerror.request_facts import RequestFacts


class Format(Enum):
    """Kinds of answers to an error."""

    HTML = "html"
    JSON = "json"
    TEXT = "text"


def choose(request: RequestFacts) -> Format:
    """Choose what the client likes best; one that takes anything gets JSON if it sent JSON or asked for a path in `.json`, else text.

    Egg sends HTML to the latter. Browsers ask for HTML; who does not is a program, or a person at a terminal.
    """
    if request.path.endswith(".json"):
        return Format.JSON
    spoken = request.content_type.partition(";")[0].strip().lower()
    order = ("json", "text", "html") if spoken == "application/json" or spoken.endswith("+json") else ("text", "html", "json")
    return Format(accepts.best(request.accept, order) or "text")
