"""Configuration in use: readable both ways, writable in none."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tamago.core.config import Config, FrozenConfigError, FrozenList, freeze
from tamago.errors import TamagoError


class Inner(msgspec.Struct, frozen=True):
    names: list[str] = []
    sizes: dict[str, int] = {}


class Model(msgspec.Struct, frozen=True):
    inner: Inner
    level: str = "INFO"


def config() -> Any:
    return freeze({"logger": {"level": "INFO", "names": ["a", "b"]}, "items": 1, "tags": {"x"}, "pair": ({"a": 1},)})


def test_a_key_is_reached_by_item_and_by_attribute() -> None:
    assert config()["logger"]["level"] == config().logger.level == "INFO"
    assert config().get("nothing", 3) == 3
    assert "logger" in config()
    assert [*config()] == ["logger", "items", "tags", "pair"]


def test_a_missing_attribute_suggests_one() -> None:
    with pytest.raises(AttributeError, match="configuration has no 'loger'; did you mean logger"):
        _ = config().loger
    with pytest.raises(KeyError):
        _ = config()["loger"]
    assert not hasattr(config(), "zzz")


def test_a_key_called_like_a_method_is_reached_by_item() -> None:
    assert config()["items"] == 1
    assert callable(config().items)


def test_it_is_a_dict_with_lists_for_whoever_wants_one() -> None:
    assert config()["logger"] == {"level": "INFO", "names": ["a", "b"]}
    assert dict(**config().logger) == {"level": "INFO", "names": ["a", "b"]}
    assert json.loads(json.dumps(config().logger)) == config().logger
    assert msgspec.json.decode(msgspec.json.encode(config().logger)) == config().logger
    assert config().logger | {"level": "DEBUG"} == {"level": "DEBUG", "names": ["a", "b"]}


def set_attribute(part: Any) -> None:
    part.level = "DEBUG"


def delete_attribute(part: Any) -> None:
    del part.level


def set_item(part: Any) -> None:
    part["level"] = "DEBUG"


def delete_item(part: Any) -> None:
    del part["level"]


def merge_in_place(part: Any) -> None:
    part |= {"level": "DEBUG"}


@pytest.mark.parametrize(
    "write",
    [
        set_attribute,
        delete_attribute,
        set_item,
        delete_item,
        merge_in_place,
        pytest.param(lambda part: part.update(level="DEBUG"), id="update"),
        pytest.param(lambda part: part.update({}), id="update_nothing"),
        pytest.param(lambda part: part.setdefault("new", 1), id="setdefault"),
        pytest.param(lambda part: part.pop("level"), id="pop"),
        pytest.param(lambda part: part.popitem(), id="popitem"),
        pytest.param(lambda part: part.clear(), id="clear"),
    ],
)
def test_every_way_of_writing_a_part_raises_and_says_where_to_write(write: Callable[[Any], None]) -> None:
    part = config().logger
    with pytest.raises(FrozenConfigError, match="configuration cannot be changed any more") as caught:
        write(part)
    assert "config_will_load" in caught.value.hint
    assert isinstance(caught.value, TamagoError)
    assert part == {"level": "INFO", "names": ["a", "b"]}


def add_in_place(names: Any) -> None:
    names += ["c"]


def multiply_in_place(names: Any) -> None:
    names *= 2


@pytest.mark.parametrize(
    "write",
    [
        add_in_place,
        multiply_in_place,
        pytest.param(lambda names: names.append("c"), id="append"),
        pytest.param(lambda names: names.extend("c"), id="extend"),
        pytest.param(lambda names: names.insert(0, "c"), id="insert"),
        pytest.param(lambda names: names.pop(), id="pop"),
        pytest.param(lambda names: names.remove("a"), id="remove"),
        pytest.param(lambda names: names.clear(), id="clear"),
        pytest.param(lambda names: names.sort(), id="sort"),
        pytest.param(lambda names: names.reverse(), id="reverse"),
        pytest.param(lambda names: names.__setitem__(0, "c"), id="setitem"),
        pytest.param(lambda names: names.__delitem__(slice(None)), id="delitem"),
    ],
)
def test_every_way_of_writing_a_list_raises(write: Callable[[Any], None]) -> None:
    names = config().logger.names
    with pytest.raises(FrozenConfigError):
        write(names)
    assert names == ["a", "b"]


def test_no_method_that_writes_was_forgotten() -> None:
    reading = {"copy", "fromkeys", "get", "items", "keys", "values", "count", "index"}
    for frozen, plain in ((Config, dict), (FrozenList, list)):
        inherited = {name for name in vars(plain) if not name.startswith("_") and getattr(frozen, name) == getattr(plain, name)}
        assert inherited <= reading


def test_sets_and_what_is_in_tuples_are_frozen_too() -> None:
    assert config().tags == frozenset({"x"})
    with pytest.raises(FrozenConfigError):
        config().pair[0]["a"] = 2


def test_models_are_frozen_all_the_way_down() -> None:
    model = freeze(Model(inner=Inner(names=["a"], sizes={"a": 1})))
    assert model == Model(inner=Inner(names=["a"], sizes={"a": 1}))
    assert model.inner.sizes.a == 1
    with pytest.raises(FrozenConfigError):
        model.inner.names.append("b")
    with pytest.raises(FrozenConfigError):
        model.inner.sizes["b"] = 2


def test_freezing_leaves_what_was_given_as_it_is() -> None:
    values: dict[str, Any] = {"a": {"b": [1]}}
    freeze(values)
    values["a"]["b"].append(2)
    assert values == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, dict, lambda part: pickle.loads(pickle.dumps(part)), Config.copy],
    ids=["copy", "deepcopy", "dict", "pickle", "method"],
)
def test_a_copy_may_be_changed(copied: Callable[[Any], Any]) -> None:
    part = copied(config().logger)
    assert type(part) is dict
    part["level"] = "DEBUG"
    assert config().logger.level == "INFO"


def test_a_deep_copy_may_be_changed_all_the_way_down() -> None:
    copied = copy.deepcopy(config())
    copied["logger"]["names"].append("c")
    assert type(copied["logger"]["names"]) is list


def test_it_is_made_as_a_dict_is() -> None:
    assert Config() == {}
    assert Config({"a": 1}, b=2).b == Config([("a", 1)]).a + 1 == 2


def test_an_interactive_user_sees_the_keys() -> None:
    assert {"logger", "tags", "get"} <= set(dir(config()))
