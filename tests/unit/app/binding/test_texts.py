from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, strategies as st

from tamago.app.binding.texts import read_float, read_int


@given(st.integers())
def test_every_integer_is_read_back(number: int) -> None:
    assert read_int(str(number)) == number


@given(st.text(max_size=8))
def test_text_that_is_read_as_an_integer_is_how_that_integer_is_written(text: str) -> None:
    try:
        number = read_int(text)
    except ValueError:
        return
    assert text in {str(number), "-0"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_is_read_back(number: float) -> None:
    assert read_float(repr(number)) == number


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "", "1,5", " 1", "0x10"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_float(text)
