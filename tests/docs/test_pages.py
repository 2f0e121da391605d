"""What the pages say can be run, configured and typed."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs import fenced
from tests.docs.fenced import Block

from tamago.access_format import PLACEHOLDERS
from tamago.cli.application import CommandGroup, build
from tamago.cli.commands import COMMANDS
from tamago.cluster.settings import KNOBS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in fenced.blocks(page)]
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+\.md)(?:#[^)\s]*)?\)")


def _name(value: object) -> str:
    if isinstance(value, Block):
        return f"{value.page.relative_to(ROOT)}:{value.line}"
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS if block.mark}), ids=_name)
def test_the_marked_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    done = _run(page, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mark", "text", "complaint"),
    [
        ("run", "raise ValueError('egg')", 'page.md", line 7'),
        ("file app/boot.py", "from tamago.app import Boot", "defines neither AppBoot nor AgentBoot"),
        ("ask", "GET /\n→ 200 egg", "wanted 200 egg"),
    ],
)
def test_a_marked_block_that_is_wrong_is_found(mark: str, text: str, complaint: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"<!-- file config/default.py -->\n```python\nconfig = {{}}\n```\n<!-- {mark} -->\n```python\n{text}\n```\n")
    done = _run(page, tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr


def _run(page: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: the messenger of this one, and what `app` means in it, belong to other tests.
    return subprocess.run(
        [sys.executable, "-m", fenced.__name__, str(page)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_stands_above_a_block_is_a_mark(page: Path) -> None:
    above = re.findall(r"^<!-- (.*) -->\n```", page.read_text(), re.MULTILINE)
    known = [block.mark if not block.file else f"{block.mark} {block.file}" for block in fenced.blocks(page) if block.mark]
    assert above == known


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=_name)
def test_python_blocks_are_python(block: Block) -> None:
    compile(block.text, _name(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "toml"], ids=_name)
def test_toml_blocks_name_settings_that_exist(block: Block) -> None:
    document = tomllib.loads(block.text)
    table = document["tool"]["tamago"] if "tool" in document else document
    if "project" not in document:
        assert not table.keys() - KNOBS.keys()


def test_the_page_of_the_access_log_explains_every_placeholder() -> None:
    page = (ROOT / "docs/guide/access-log.md").read_text()
    assert not [name for name in PLACEHOLDERS if f"`{{{name}}}`" not in page]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match["target"] for match in _LINK.finditer(page.read_text())]
    assert not [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Every `tamago ...` a person is told to type, as (where, words)."""
    for block in BLOCKS:
        if block.language in {"console", "sh", "ini", "yaml", "dockerfile"}:
            for line in block.text.splitlines():
                if match := re.search(r"(?:^|[$/\s=])tamago (?P<words>[a-z][^|>;&#]*)", line):
                    yield _name(block), shlex.split(match["words"].replace("'", ""))


def test_commands_in_pages_exist_with_their_flags() -> None:
    group = build()
    wrong = [where for where, words in _commands() if not _is_right(group, words)]
    assert not wrong


def _is_right(group: CommandGroup, words: list[str]) -> bool:
    if words[0] not in COMMANDS:
        # What a plugin adds, and the example of a mistake.
        return words[0] in {"greet", "strat"}
    command = group.get_command(None, words[0])
    known = {"--help", *(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))}
    flags = {word.partition("=")[0] for word in words[1:] if word.startswith("-") and not re.fullmatch(r"-+|-\d+", word)}
    return flags <= known | {"--color"}  # that one is a mistake on purpose
