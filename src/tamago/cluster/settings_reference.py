"""The reference of all settings as a Markdown page. Pure: it is made from the class, and a test says when the page is old."""

from __future__ import annotations

from collections.abc import Iterator

from tamago.cluster.settings import KNOBS, Kind, Knob, default_text

_INTRODUCTION = """\
<!-- Written by scripts/generate_settings.py; edit src/tamago/cluster/settings.py instead. -->
# Settings

Every setting can be said in four places. The later one wins:

1. `[tool.tamago]` in `pyproject.toml`
2. `tamago.toml` in the directory of the application
3. the environment: `TAMAGO_` and the name in capitals. `PORT` and `WEB_CONCURRENCY` (workers) count as well, less than ours. A variable
   that is set to nothing says nothing
4. flags of `tamago start`

All mistakes of all four are reported at once, each with its source, and the command ends with exit code 2. A name that is no setting is a
mistake too. `tamago config --explain` shows every setting and where its value comes from.

In the files a list is a TOML array, and a mode is octal digits in quotes: `socket_mode = "660"`. In the environment a list is separated by
commas; a flag for a list may be repeated. If `host` or `port` is said later than `bind`, it replaces `bind`.

A setting without *reload* keeps its value until the next start; `tamago reload` refuses to change it, before it does anything.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([_INTRODUCTION, *_tables()])


def _tables() -> Iterator[str]:
    group = ""
    for knob in KNOBS.values():
        if knob.group != group:
            group = knob.group
            yield f"## {group}\n\n| name | flag | environment | default | reload | meaning |\n|---|---|---|---|---|---|"
            yield from (_row(member) for member in KNOBS.values() if member.group == group)
            yield ""


def _row(knob: Knob) -> str:
    argument = knob.name == "directory"
    flag = "first argument" if argument else f"`{knob.flag}`" + (f", `{knob.opposite_flag}`" if knob.opposite_flag else "")
    environment = "" if argument else f"`{knob.environment_name}`"
    cells = (f"`{knob.name}`", flag, environment, default_text(knob), "yes" if knob.live else "", _meaning(knob))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _meaning(knob: Knob) -> str:
    facts = [knob.doc]
    if knob.choices:
        facts.append("one of " + ", ".join(f"`{choice}`" for choice in knob.choices))
    elif knob.kind in (Kind.WHOLE, Kind.NUMBER) and knob.low is not None and knob.high is not None:
        facts.append(f"{knob.low:.15g} to {knob.high:.15g}" + (f" {knob.unit}" if knob.unit else ""))
    return "; ".join(facts).replace("<", "&lt;")
