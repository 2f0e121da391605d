"""What a cluster may be called."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.title import title_from, title_problem


@pytest.mark.parametrize("title", ["shop", "Shop 2", "a", "x" * 64, "größe", "a.b", "shop@1"])
def test_a_usual_name_is_a_title(title: str) -> None:
    assert title_problem(title) is None


@pytest.mark.parametrize("title", ["", ".", "..", ".shop", "-x", "a/b", "a\nb", "a\0b", "a\x1b[2J", "x" * 65])
def test_what_could_leave_its_directory_or_break_a_line_is_no_title(title: str) -> None:
    assert title_problem(title) is not None


@given(st.text())
def test_any_name_makes_a_title(name: str) -> None:
    assert title_problem(title_from(name)) is None
