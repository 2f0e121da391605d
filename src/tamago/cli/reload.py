"""`tamago reload`: replace agent and workers by new ones with new code, without losing a request."""

from __future__ import annotations

from tamago.cli.choice import AsJson, Directory, Title, carry_out


def reload(directory: Directory = ".", *, title: Title = "", json: AsJson = False) -> int:
    """Load new code without losing a request.

    Every process is replaced by one with the new code. If that does not boot, the old ones serve on and this exits 1.
    """
    return carry_out(directory, title, "reload", {}, as_json=json)
