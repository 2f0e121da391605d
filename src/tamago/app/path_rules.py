"""Which requests a middleware is for: its options `match` and `ignore`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tamago.errors import TamagoError

if TYPE_CHECKING:
    from tamago.app.context import Context

Applies = Callable[["Context"], bool]


class PathRuleError(TamagoError):
    """`match` or `ignore` cannot be understood."""


def applies(name: str, options: Any) -> Applies | None:
    """Return what decides whether middleware `name` is for a request; None: it is for all. Raises PathRuleError."""
    match, ignore = getattr(options, "match", None), getattr(options, "ignore", None)
    if match is not None and ignore is not None:
        raise PathRuleError(f"middleware {name!r} has both `match` and `ignore` in its config", hint="keep one of them")
    if match is not None:
        return _rule(name, match)
    if ignore is not None:
        ignored = _rule(name, ignore)
        return lambda ctx: not ignored(ctx)
    return None


def _rule(name: str, rule: object) -> Applies:
    """Return the test of one rule: the beginning of a path, a regular expression, a function of the context, or a list of these."""
    if isinstance(rule, str):
        return _beginning(name, rule)
    if isinstance(rule, re.Pattern):
        search = rule.search
        return lambda ctx: search(ctx.path) is not None
    if isinstance(rule, list | tuple):
        rules = [_rule(name, item) for item in rule]
        return lambda ctx: any(item(ctx) for item in rules)
    if callable(rule):
        return lambda ctx: bool(rule(ctx))
    raise PathRuleError(
        f"middleware {name!r} cannot be matched by {rule!r}",
        hint="use the beginning of a path, re.compile(…), a function of ctx, or a list of these",
    )


def _beginning(name: str, path: str) -> Applies:
    """Whole segments: `/api` is the beginning of `/api` and `/api/x`, not of `/apix`."""
    if not path.startswith("/"):
        raise PathRuleError(f"middleware {name!r} cannot be matched by {path!r}: a path begins with `/`", hint=f"use {'/' + path!r}")
    whole = path.rstrip("/")
    inner = whole + "/"
    return lambda ctx: ctx.path == whole or ctx.path.startswith(inner)
