"""What a cluster may be called. Pure: the title becomes a directory name and a part of process titles and log lines."""

from __future__ import annotations

import re

LONGEST_TITLE = 64
_UNFIT = re.compile(r"[^\w.+@-]+")


def title_problem(title: str) -> str | None:
    """Return why this cannot be the title of a cluster, or None."""
    if not title:
        return "must not be empty"
    if len(title) > LONGEST_TITLE:
        return f"must not be longer than {LONGEST_TITLE} characters"
    if title[0] in ".-":
        return "must not start with a dot or a dash"
    if "/" in title:
        return "must not contain a slash"
    if not title.isprintable():
        return "must not contain newlines, NUL, other control characters or what is not UTF-8"
    return None


def title_from(name: str) -> str:
    """Make a title out of any project or directory name.

    >>> title_from("My shop (new)"), title_from("/"), title_from(".hidden")
    ('My-shop-new', 'tamago', 'hidden')
    """
    return _UNFIT.sub("-", name).lstrip(".-")[:LONGEST_TITLE].rstrip(".-") or "tamago"
