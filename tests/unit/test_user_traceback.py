"""What of an error is shown to the user: his own lines of its traceback, and one line that says it all."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamago.core.steps import noting, raise_all
from tamago.user_traceback import exc_info, summary, user_traceback


def failed(raising: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        raising()
    return caught.value


def noted(error: BaseException, *notes: str) -> BaseException:
    for note in notes:
        error.add_note(note)
    return error


def several() -> None:
    raise_all([noted(ValueError("one"), "in a/boot.py:did_load"), noted(KeyError("two"), "in b/boot.py:did_load")])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (ValueError(), "ValueError"),
        (noted(ValueError("boom"), "in app/boot.py:did_load"), "ValueError: boom (in app/boot.py:did_load)"),
        (noted(ValueError("boom"), "in x", "while y"), "ValueError: boom (in x; while y)"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("1 validation error for Settings\nurl\n  Field required"), "ValueError: 1 validation error for Settings …"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 288} …"),
        (SyntaxError("invalid syntax", ("home.py", 1, 1, "def", 1, 2)), "SyntaxError: invalid syntax"),
    ],
)
def test_a_summary_has_what_was_raised_and_then_where(error: BaseException, said: str) -> None:
    assert summary(error) == said


def test_a_summary_names_each_of_several_errors() -> None:
    text = summary(failed(several))
    assert text == "ValueError: one (in a/boot.py:did_load); KeyError: 'two' (in b/boot.py:did_load)"


def test_several_errors_are_shown_without_the_frames_that_only_gathered_them() -> None:
    error = failed(several)
    frames = error.__traceback__
    assert frames is not None
    assert frames.tb_next is not None
    error.__traceback__ = frames.tb_next.tb_next  # without those of this file, for the framework is called by itself only
    assert "steps.py" in "".join(traceback.format_exception(error))
    text = user_traceback(error)
    assert "ValueError: one" in text
    assert "KeyError: 'two'" in text
    assert "steps.py" not in text


def test_the_event_loop_around_the_users_code_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    code = compile("async def config():\n    return {}['db']\n", str(file), "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    error = failed(lambda: asyncio.run(names["config"]()))
    frames = error.__traceback__
    assert frames is not None
    assert frames.tb_next is not None
    error.__traceback__ = frames.tb_next.tb_next  # without those of this file
    text = user_traceback(error)
    assert text.splitlines()[1].startswith(f'  File "{file}", line 2')
    assert text.endswith("KeyError: 'db'")


def test_a_log_line_begins_with_the_users_own_frame_behind_ours(tmp_path: Path) -> None:
    file = tmp_path / "boot.py"
    names: dict[str, Any] = {}
    exec(compile("def hook():\n    1 / 0\n", str(file), "exec"), names)

    def call() -> None:
        with noting("app/boot.py:did_load"):
            names["hook"]()

    error = failed(call)
    frames = error.__traceback__
    assert frames is not None
    assert frames.tb_next is not None
    ours = frames.tb_next.tb_next  # without those of this file
    error.__traceback__ = ours
    assert exc_info(error)[:2] == (ZeroDivisionError, error)
    first = exc_info(error)[2]
    assert first is not None
    assert first.tb_frame.f_code.co_filename == str(file)


def test_an_error_of_ours_alone_is_logged_with_all_of_its_frames() -> None:
    error = failed(lambda: raise_all([LookupError()]))
    frames = error.__traceback__
    assert frames is not None
    assert frames.tb_next is not None
    error.__traceback__ = frames.tb_next.tb_next
    assert error.__traceback__ is not None
    assert exc_info(error)[2] is error.__traceback__
