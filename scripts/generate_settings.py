"""Writes docs/reference/settings.md from the settings class, so that the page cannot say what the code does not.

python scripts/generate_settings.py            write the page
python scripts/generate_settings.py --check    write nothing; exit 1 if the page is not what the code says
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tamago.cluster.settings import KNOBS, Kind, Knob, default_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "settings.md"

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
    flag = "none: it is a secret" if knob.secret else flag
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


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = reference()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE} is not what the code says; run python scripts/generate_settings.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
