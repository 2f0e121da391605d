"""Which keys of a default.py, and which options of a middleware, are taken for others, misspelt."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tamago.core.config_merge import Layer
from tamago.core.config_misspelt import misspelt, misspelt_switches


class Logger(msgspec.Struct, frozen=True):
    level: str = "INFO"
    directory: str = ""


MODELS = {"logger": Logger}
FRAMEWORK = {"middleware": [], "close_timeout": 10, "custom_loader": {"repository": {}}, "keys": "", "logger": {"level": "INFO"}}


def meant(key: str, value: object, **more: Any) -> str:
    own = Layer(origin="default.py", values={key: value, **more}, defines=True)
    return misspelt(key, own, [Layer(origin="framework", values=FRAMEWORK, defines=True), own], MODELS)


@pytest.mark.parametrize(
    ("key", "value", "surely"),
    [
        ("loger", {"level": "DEBUG"}, "logger"),
        ("loger", {"directory": "logs"}, "logger"),
        ("midleware", ["stamp"], "middleware"),
        ("close_timout", 5, "close_timeout"),
        ("custom_loaders", {"repository": {"directory": "app/repository"}}, "custom_loader"),
    ],
)
def test_what_is_spelt_like_another_key_and_right_for_it_is_that_one(key: str, value: object, surely: str) -> None:
    assert meant(key, value) == surely


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loger", {"height": 3}),
        ("loger", {}),
        ("loger", "oak"),
        ("close_timout", "never"),
        ("key", "secret"),
        ("currency", "EUR"),
    ],
)
def test_anything_else_is_a_key_of_the_applications_own(key: str, value: object) -> None:
    assert meant(key, value) == ""


def test_what_stands_beside_the_other_key_is_another_one() -> None:
    assert meant("loger", {"level": "DEBUG"}, logger={"level": "INFO"}) == ""


def test_what_has_a_model_or_is_defined_by_somebody_else_as_well_is_meant() -> None:
    own = Layer(origin="default.py", values={"loger": {"level": "DEBUG"}}, defines=True)
    framework = Layer(origin="framework", values=FRAMEWORK, defines=True)
    plugin = Layer(origin="plugin", values={"loger": {}}, defines=True)
    assert misspelt("loger", own, [framework, own], {**MODELS, "loger": Logger}) == ""
    assert misspelt("loger", own, [framework, plugin, own], MODELS) == ""


def switches(options: object, *, model: bool = False, names: str = "middleware") -> list[tuple[str, str]]:
    models = {"stamp": Logger} if model else {}
    return [(f"{name}.{key}", meant) for name, key, meant in misspelt_switches({names: ["other", "stamp"], "stamp": options}, models)]


@pytest.mark.parametrize("names", ["middleware", "core_middleware"])
@pytest.mark.parametrize(("option", "surely"), [("enabled", "enable"), ("enables", "enable"), ("ignored", "ignore"), ("ignores", "ignore")])
def test_an_option_spelt_like_what_every_middleware_has_is_that_one(option: str, surely: str, names: str) -> None:
    assert switches({option: False, "text": "x"}, names=names) == [(f"stamp.{option}", surely)]


@pytest.mark.parametrize("options", [{"enable": False, "enabled": 1}, {"patch": "/x", "disable": 1, "able": 2, 3: 4}, {}, None, "enabled"])
def test_any_other_option_is_the_middlewares_own(options: object) -> None:
    assert switches(options) == []


def test_what_is_no_middleware_or_has_a_model_may_have_any_option() -> None:
    assert list(misspelt_switches({"middleware": [], "core_middleware": "stamp", "stamp": {"enabled": True}}, {})) == []
    assert switches({"enabled": True}, model=True) == []
