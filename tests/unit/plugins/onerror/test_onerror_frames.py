from __future__ import annotations

import json
import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamago.plugins.onerror.frames import MOST_ERRORS, MOST_FRAMES, take_apart
from tamago.plugins.onerror.highlight import spans
from tamago.plugins.onerror.source_view import code_block

HERE = Path(__file__).parent


def caught(function: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as info:
        function()
    return info.value


def test_the_innermost_frame_comes_first_with_the_source_around_it() -> None:
    (raised,) = take_apart(caught(lambda: json.loads("{")), HERE)
    assert raised.kind == "json.decoder.JSONDecodeError"
    frames = raised.frames
    assert (frames[0].function, frames[0].shown_file, frames[0].ours) == ("raw_decode", "json/decoder.py", False)
    assert (frames[-1].function, frames[-1].shown_file, frames[-1].ours) == ("caught", "test_onerror_frames.py", True)
    assert frames[-1].code[frames[-1].line - frames[-1].first].strip() == "function()"


def test_the_running_part_is_told_in_characters() -> None:
    def fail() -> int:
        return len("äöü€") + {"a": 1}["b"]

    frame = take_apart(caught(fail), HERE)[0].frames[0]
    assert frame.code[frame.line - frame.first][frame.start : frame.end] == '{"a": 1}["b"]'


def test_causes_contexts_and_members_of_groups_are_told_apart() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")  # noqa: TRY301
        except KeyError as error:
            try:
                raise ValueError("second") from error  # noqa: TRY301
            except ValueError:
                raise ExceptionGroup("all", [OSError("one"), TypeError("two")])  # noqa: B904

    found = [(raised.relation, raised.kind) for raised in take_apart(caught(fail), HERE)]
    assert found == [
        ("", "ExceptionGroup"),
        ("1 of 2 in the group", "OSError"),
        ("2 of 2 in the group", "TypeError"),
        ("raised while handling", "ValueError"),
        ("caused by", "KeyError"),
    ]


def test_a_suppressed_context_is_not_shown() -> None:
    def fail() -> None:
        try:
            raise KeyError("inside")  # noqa: TRY301
        except KeyError:
            raise ValueError("outside") from None

    assert [raised.kind for raised in take_apart(caught(fail), HERE)] == ["ValueError"]


def test_errors_that_cause_each_other_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert [raised.message for raised in take_apart(one, HERE)] == ["one", "two"]


def test_a_long_chain_and_an_endless_recursion_are_cut() -> None:
    error = ValueError("0")
    for number in range(1, 30):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    assert len(take_apart(error, HERE)) == MOST_ERRORS

    def endless() -> None:
        endless()

    (raised,) = take_apart(caught(endless), HERE)
    assert len(raised.frames) == MOST_FRAMES
    assert raised.left_out > 500


def test_an_error_that_cannot_say_itself_is_shown_all_the_same() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert take_apart(BrokenError(), HERE)[0].message == "<its message cannot be had: RuntimeError>"


def test_code_without_a_source_is_shown_without() -> None:
    code = compile("1/0", "<made up>", "exec")  # "<string>" has one from Python 3.13 on, where the interpreter runs what `-c` gave it
    frame = take_apart(caught(lambda: exec(code)), HERE)[0].frames[0]
    assert (frame.file, list(frame.code), frame.ours) == ("<made up>", [], False)


def test_keywords_strings_numbers_comments_and_builtins_have_a_kind() -> None:
    source = ["def f():  # why\n", "    return len('a', 7)\n", '    x = """one\n', 'two"""\n']
    found = {number: [kind for *_, kind in line] for number, line in spans(source).items()}
    assert found == {1: ["k", "c"], 2: ["k", "b", "s", "n"], 3: ["s"], 4: ["s"]}


def test_source_that_is_no_python_has_colours_up_to_there() -> None:
    assert spans(["return 1\n", "'''never closed\n"])[1][0][2] == "k"


def test_lines_are_escaped_numbered_and_the_running_part_marked(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text("def f(a):\n    return a < (1 / 0)\n")
    linecache.checkcache(str(file))
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    html = code_block(take_apart(caught(lambda: names["f"](1)), tmp_path)[0].frames[0])
    assert '<li data-n=1><code><span class="k">def</span> f(a):</code></li>' in html
    assert '<li class=here data-n=2><code>    <span class="k">return</span> a &lt; (' in html
    assert re.sub("<.*?>", "", re.search(r'(<span class="n m">.*)\)</code>', html).group(1)) == "1 / 0"  # type: ignore[union-attr]
