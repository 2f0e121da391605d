from __future__ import annotations

import keyword

import pytest
from hypothesis import given, strategies

from tamago.core.naming import class_name, is_legal


@pytest.mark.parametrize("name", ["user", "user_admin", "u", "v2", "a__b", "match", "type"])
def test_lower_case_words_are_legal_names(name: str) -> None:
    assert is_legal(name)


@pytest.mark.parametrize(
    "name", ["", "User", "userAdmin", "_private", "2fa", "a-b", "a.b", ".a", "a b", "é", "a\n", "class", "import", "async"]
)
def test_what_python_could_not_import_or_egg_would_rename_is_illegal(name: str) -> None:
    assert not is_legal(name)


@given(strategies.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True))
def test_every_legal_name_is_an_identifier(name: str) -> None:
    assert is_legal(name) == (not keyword.iskeyword(name))
    assert class_name(name).isidentifier()


@pytest.mark.parametrize(
    ("name", "suffix", "expected"),
    [("user", "Service", "UserService"), ("user_admin", "", "UserAdmin"), ("a_b2_c", "X", "AB2CX"), ("context", "", "Context")],
)
def test_a_class_is_called_like_its_file(name: str, suffix: str, expected: str) -> None:
    assert class_name(name, suffix) == expected
