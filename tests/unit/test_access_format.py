from __future__ import annotations

import re

import pytest

from tamago.access_format import JSON_FIELDS, LONGEST, MOST, NAMED, PLACEHOLDERS, FormatError, Placeholder, Text, parse, problem


def test_a_format_is_text_and_placeholders_in_order() -> None:
    assert parse("{{{client}}} {header:X-Foo}!") == [
        Text("{"),
        Placeholder("client"),
        Text("}"),
        Text(" "),
        Placeholder("header", "x-foo"),
        Text("!"),
    ]


@pytest.mark.parametrize("name", [*NAMED, "json", "{client}"])
def test_a_good_format_has_no_problem(name: str) -> None:
    assert problem(name) is None


def test_every_placeholder_can_be_used() -> None:
    assert problem(" ".join(f"{{{name}}}" for name in PLACEHOLDERS)) is None
    assert set(JSON_FIELDS) <= set(PLACEHOLDERS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{client} {usr_agent}", "has the placeholder {usr_agent}, which there is not; did you mean {user_agent}?"),
        ("{client} {}", "has the placeholder {}, which there is not"),
        ("{header:}", "has the placeholder {header:}"),
        ("{header:a b}", "has the placeholder {header:a b}"),
        ("{client", "has a { without its partner at character 1; write {{ for the character itself"),
        ("{client} }", "has a } without its partner at character 10"),
        ("combined!", "must be common, combined, json, or have placeholders"),
        ("", "must be common, combined, json, or have placeholders"),
        ("{client}\nforged", "must not have a line break"),
        ("{client}\x1b[31m", "must not have a line break or another control character"),
        ("{client}" + "x" * LONGEST, f"must not be longer than {LONGEST} bytes"),
        ("{pid}" * (MOST + 1), f"must not have more than {MOST} placeholders, and has {MOST + 1}"),
    ],
)
def test_a_bad_format_is_told_by_what_is_wrong_in_it(text: str, said: str) -> None:
    with pytest.raises(FormatError, match=re.escape(said)):
        parse(text)
    assert said in (problem(text) or "")
