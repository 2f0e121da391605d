"""What the environment says about configuration."""

from __future__ import annotations

import pytest

from tamago.core.config_environment import environment_layers, is_variable_of, texts
from tamago.core.config_merge import Layer, merged


def layers(environ: dict[str, str]) -> list[Layer]:
    problems: list[str] = []
    found = environment_layers(environ, problems)
    assert problems == []
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DEBUG", "DEBUG"),
        ('"DEBUG"', "DEBUG"),
        ("5", 5),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("007", "007"),
        ("True", "True"),
        ("{not json", "{not json"),
        ("postgres://u:p@h", "postgres://u:p@h"),
    ],
)
def test_a_variable_is_json_or_else_text(text: str, value: object) -> None:
    assert layers({"TAMAGO__LOGGER__LEVEL": text}) == [Layer(origin="TAMAGO__LOGGER__LEVEL", values={"logger": {"level": value}})]


@pytest.mark.parametrize(
    ("text", "value"),
    [("12345", "12345"), ("true", "true"), ("[1]", "[1]"), ('"5"', "5"), ("plain", "plain"), ("null", None)],
)
def test_in_the_place_of_a_text_a_variable_is_text(text: str, value: object) -> None:
    (layer,) = environment_layers({"TAMAGO__DB__PASSWORD": text}, [], {"db": {"password": ""}})
    assert layer.values == {"db": {"password": value}}


def test_names_become_keys_in_lower_case_with_single_underscores_kept() -> None:
    assert merged(layers({"TAMAGO__BODY_PARSER__JSON_LIMIT": "1mb", "TAMAGO__A": "1"})) == {"body_parser": {"json_limit": "1mb"}, "a": 1}


def test_single_variables_beat_the_json_for_all() -> None:
    found = layers({"TAMAGO__A__X": "2", "TAMAGO_CONFIG": '{"a": {"x": 1, "y": 1}}', "OTHER": "3", "TAMAGO_PORT": "4"})
    assert [layer.origin for layer in found] == ["TAMAGO_CONFIG", "TAMAGO__A__X"]
    assert merged(found) == {"a": {"x": 2, "y": 1}}


def test_a_variable_set_to_nothing_says_nothing() -> None:
    assert layers({"TAMAGO_CONFIG": "", "TAMAGO__A": ""}) == []


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"TAMAGO_CONFIG": '{"password": "hush'}, "TAMAGO_CONFIG: is not JSON: "),
        ({"TAMAGO_CONFIG": "[1]"}, "TAMAGO_CONFIG: must be a JSON object, not list"),
        ({"TAMAGO__": "1"}, "TAMAGO__: names no key"),
        ({"TAMAGO__A____B": "1"}, "TAMAGO__A____B: names no key"),
        ({"TAMAGO__A__": "1"}, "TAMAGO__A__: names no key"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_shown(environ: dict[str, str], problem: str) -> None:
    problems: list[str] = []
    assert environment_layers(environ, problems) == []
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert "hush" not in problems[0]


def test_the_texts_are_kept_by_key() -> None:
    assert list(texts({"TAMAGO__DB__PASSWORD": "0123", "TAMAGO_CONFIG": "{}", "TAMAGO__E": ""})) == [(("db", "password"), "0123")]


def test_an_origin_is_the_variable_of_one_key() -> None:
    assert is_variable_of(("db", "password"), "TAMAGO__DB__PASSWORD")
    assert not is_variable_of(("db", "password"), "TAMAGO__DB")
    assert not is_variable_of(("db",), "/config/default.py")
