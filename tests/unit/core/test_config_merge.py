"""Layers of configuration become one, and every value knows its writer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tamago.core.config import freeze
from tamago.core.config_merge import MISSING, Layer, Writer, clone, lookup, merge, merged, nearest_origin, origins, why


def layers(**values: dict[str, Any]) -> list[Layer]:
    return [Layer(origin=origin, values=said) for origin, said in values.items()]


def test_eggs_own_merge_check() -> None:
    found = layers(
        plugin={"custom": {"fromPlugin": True, "a": 0}},
        default={"custom": {"a": 1, "arr": [1, 2], "nested": {"x": 1}}},
        prod={"custom": {"arr": [9], "nested": {"y": 2}}},
    )
    assert merged(found) == {"custom": {"fromPlugin": True, "a": 1, "arr": [9], "nested": {"x": 1, "y": 2}}}
    assert origins(found) == {"custom": {"fromPlugin": "plugin", "a": "default", "arr": "prod", "nested": {"x": "default", "y": "prod"}}}


def test_a10_other_keys_of_a_part_are_kept() -> None:
    found = merged(layers(framework={"urllib": {"keepAlive": True, "timeout": 30000}}, app={"urllib": {"keepAlive": False}}))
    assert found == {"urllib": {"keepAlive": False, "timeout": 30000}}


@pytest.mark.parametrize(
    ("below", "above", "result"),
    [
        ([1, 2], [3], [3]),
        ([1], [], []),
        ({"x": 1}, None, None),
        (None, {"x": 1}, {"x": 1}),
        ({"x": 1}, 3, 3),
        (3, {"x": 1}, {"x": 1}),
        ({"x": 1}, {}, {"x": 1}),
        ({"x": {"y": 1}}, {"x": {"z": None}}, {"x": {"y": 1, "z": None}}),
        ((1,), (2,), (2,)),
    ],
)
def test_dicts_merge_and_all_else_is_replaced(below: object, above: object, result: object) -> None:
    assert merged(layers(a={"key": below}, b={"key": above})) == {"key": result}


def test_objects_are_shared_but_nothing_that_a_hook_could_change_in_the_file() -> None:
    class Connection: ...

    connection, file = Connection(), {"list": [[1]], "part": {"set": {1}}, "connection": Connection, "pair": ([1],)}
    file["object"] = connection
    before = copy.copy(file)
    found = merged(layers(a=file))
    assert found["object"] is connection
    found["list"][0].append(2)
    found["part"]["set"].add(2)
    found["pair"][0].append(2)
    assert file == before
    assert file["list"] == [[1]]
    assert file["part"] == {"set": {1}}
    assert file["pair"] == ([1],)


def test_what_is_taken_from_frozen_configuration_may_be_changed_again() -> None:
    found = clone(freeze({"a": {"b": [{"c": 1}]}}))
    found["a"]["b"][0]["c"] = 2
    found["a"]["b"].append(3)
    assert found == {"a": {"b": [{"c": 2}, 3]}}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {}, "second"),
        ({"x": 1}, {}, {"x": "first"}),
        ({}, {"x": 1}, {"x": "second"}),
        ({"x": 1}, 3, "second"),
        (3, {"x": 1}, {"x": "second"}),
        (3, {}, "second"),
        ([1], [2], "second"),
    ],
)
def test_an_empty_dict_has_an_origin_of_its_own(first: object, second: object, expected: object) -> None:
    assert origins(layers(first={"key": first}, second={"key": second})) == {"key": expected}


words = st.sampled_from("abc")
parts = st.recursive(st.integers() | st.none() | st.lists(st.integers()), lambda inner: st.dictionaries(words, inner), max_leaves=6)
values = st.dictionaries(words, parts)


@given(st.lists(values, max_size=4))
def test_origins_have_the_shape_of_the_values_and_name_a_layer_that_wrote_it(said: list[dict[str, Any]]) -> None:
    found = [Layer(origin=str(number), values=each) for number, each in enumerate(said)]
    check_shape(merged(found), origins(found), (), found)


def check_shape(value: Any, origin: Any, path: tuple[str, ...], found: list[Layer]) -> None:
    if isinstance(value, dict) and (value or not path):
        assert value.keys() == origin.keys()
        for key in value:
            check_shape(value[key], origin[key], (*path, key), found)
    else:
        writers = why(found, ".".join(path))
        assert origin == writers[-1].origin
        assert value == writers[-1].value


@given(values)
def test_merging_twice_changes_nothing(said: dict[str, Any]) -> None:
    once = merged(layers(a=said))
    twice = copy.deepcopy(once)
    merge(twice, said)
    assert twice == once


def test_why_lists_every_writer_and_the_last_wins() -> None:
    found = layers(
        default={"logger": {"level": "INFO", "dir": "/x"}},
        prod={"logger": {"level": None}},
        other={"x": 1},
        env={"logger": {"level": "DEBUG"}},
    )
    assert why(found, "logger.level") == [
        Writer(origin="default", value="INFO"),
        Writer(origin="prod", value=None),
        Writer(origin="env", value="DEBUG"),
    ]
    assert [writer.origin for writer in why(found, "logger")] == ["default", "prod", "env"]
    assert why(found, "logger.levl") == []
    assert why(found, "x.y") == []


def test_a_value_inside_of_a_list_has_the_origin_of_the_list() -> None:
    known = origins(layers(a={"names": ["x"], "part": {"y": 1}}))
    assert nearest_origin(known, ("names", "0")) == "a"
    assert nearest_origin(known, ("part", "y")) == "a"
    assert nearest_origin(known, ("part",)) == ""
    assert nearest_origin(known, ("nowhere",)) == ""


def test_lookup_tells_missing_from_none() -> None:
    assert lookup({"a": {"b": None}}, ("a", "b")) is None
    assert lookup({"a": {"b": None}}, ("a", "c")) is MISSING
    assert lookup({"a": 1}, ("a", "b")) is MISSING
    assert lookup({"a": 1}, ()) == {"a": 1}
