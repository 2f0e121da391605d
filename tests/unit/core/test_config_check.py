"""All that is wrong with merged configuration, each with its key and file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from tamago.core.config import Config, FrozenConfigError
from tamago.core.config_check import CONFUSED, check_config
from tamago.core.config_environment import environment_layers, texts
from tamago.core.config_errors import ConfigError
from tamago.core.config_merge import Layer, LoadedConfig, merged, origins
from tamago.core.config_models import default_layers
from tamago.core.config_problems import Models


class Rotate(msgspec.Struct, frozen=True):
    size: Annotated[int, msgspec.Meta(ge=1)] = 10
    when: str = "day"


class Logger(msgspec.Struct, frozen=True):
    level: str = "INFO"
    directory: Path | None = None
    rotate: Rotate = Rotate()
    custom: dict[str, Rotate] = {}
    names: list[str] = []
    steps: tuple[int, ...] = ()
    filter: Callable[..., Any] | None = None
    pattern: re.Pattern[str] | None = None
    extra: Rotate | None = None
    delay: float = 0


class Sink(msgspec.Struct, frozen=True, tag="sink"):
    path: str


class Sinks(msgspec.Struct, frozen=True):
    all: list[Sink] = []


class Db(msgspec.Struct, frozen=True):
    url: str
    password: str = ""
    pool: int | str = 5

    def __post_init__(self) -> None:
        if self.url.startswith("sqlite:") and self.password:
            raise ValueError("sqlite has no password")


def loaded(models: Models, *said: tuple[str, dict[str, Any]], environ: dict[str, str] | None = None, defines: bool = True) -> LoadedConfig:
    problems: list[str] = []
    variables = environment_layers(environ or {}, problems)
    assert problems == []
    layers = (*default_layers(models), *(Layer(origin=origin, values=values, defines=defines) for origin, values in said), *variables)
    return LoadedConfig(values=merged(layers), origins=origins(layers), layers=layers, texts=dict(texts(environ or {})))


def problems(config: LoadedConfig, models: Models) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_config(config, models)
    return caught.value.problems


LOGGER: Models = {"logger": Logger}


def test_a_part_with_a_model_becomes_one_and_all_else_stays() -> None:
    config = check_config(
        loaded(LOGGER, ("default.py", {"logger": {"level": "DEBUG", "names": ["a"], "rotate": {"size": 3}}, "other": {"x": [1]}})), LOGGER
    )
    assert isinstance(config, Config)
    assert config.logger == Logger(level="DEBUG", names=["a"], rotate=Rotate(size=3))
    assert config["logger"].rotate.size == 3
    assert config.other == {"x": [1]}


def test_all_of_it_is_frozen() -> None:
    config = check_config(loaded(LOGGER, ("default.py", {"logger": {"names": ["a"], "custom": {"x": {}}}, "other": {"x": [1]}})), LOGGER)
    for write in (
        lambda: config.other.x.append(2),
        lambda: config.logger.names.append("b"),
        lambda: config.logger.custom.update(y=1),
        lambda: setattr(config, "other", 1),
    ):
        with pytest.raises(FrozenConfigError):
            write()
    with pytest.raises(AttributeError):
        config.logger.level = "x"


def test_a_model_takes_objects_that_only_python_has_and_paths_as_text() -> None:
    pattern = re.compile("x")
    config = check_config(loaded(LOGGER, ("default.py", {"logger": {"filter": len, "pattern": pattern, "directory": "/logs"}})), LOGGER)
    assert config.logger == Logger(filter=len, pattern=pattern, directory=Path("/logs"))
    assert check_config(loaded(LOGGER, ("default.py", {"logger": {"directory": Path("/logs")}})), LOGGER).logger.directory == Path("/logs")


def test_all_problems_are_told_at_once_each_with_key_value_and_file() -> None:
    models: Models = {"logger": Logger, "db": Db}
    config = loaded(
        models,
        ("default.py", {"logger": {"level": 3, "rotate": {"size": 0, "wen": "x"}, "custom": {"a": {"size": "1"}, "b": 5}}}),
        ("prod.py", {"logger": {"names": ["x", 1, 2], "steps": [1, "2"], "delay": "now", "filter": "f"}, "db": {"password": 12345}}),
    )
    assert problems(config, models) == (
        "logger.level=3 (default.py): expected str, got int",
        "logger.rotate.size=0 (default.py): expected int >= 1",
        "logger.rotate.wen (default.py): there is no such key in Rotate; did you mean when?",
        "logger.custom.a.size='1' (default.py): expected int, got str",
        "logger.custom.b=5 (default.py): expected dict, got int",
        "logger.names.1=1 (prod.py): expected str, got int",
        "logger.names.2=2 (prod.py): expected str, got int",
        "logger.steps.1='2' (prod.py): expected int, got str",
        "logger.filter='f' (prod.py): expected Callable, got str",
        "logger.delay='now' (prod.py): expected float, got str",
        "db.password='<int>' (prod.py): expected str, got int",
        "db.url (not set anywhere): is required by Db",
    )


def test_one_problem_is_one_sentence_and_several_are_a_list() -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(loaded(LOGGER, ("default.py", {"logger": {"level": 3}})), LOGGER)
    assert caught.value.problem == "logger.level=3 (default.py): expected str, got int"
    with pytest.raises(ConfigError) as caught:
        check_config(loaded(LOGGER, ("default.py", {"logger": {"level": 3, "lvl": 1}})), LOGGER)
    assert caught.value.problem.splitlines()[0] == "2 things are wrong with the configuration:"


def test_a_long_value_is_cut() -> None:
    (problem,) = problems(loaded(LOGGER, ("default.py", {"logger": {"delay": "x" * 500}})), LOGGER)
    assert len(problem) < 150
    assert "…" in problem


def test_a_models_tag_is_no_unknown_key() -> None:
    models: Models = {"sinks": Sinks}
    config = check_config(loaded(models, ("default.py", {"sinks": {"all": [{"type": "sink", "path": "x"}]}})), models)
    assert config.sinks == Sinks(all=[Sink(path="x")])
    assert problems(loaded(models, ("default.py", {"sinks": {"all": [{"typ": "sink"}]}})), models) == (
        "sinks.all.0.typ (default.py): there is no such key in Sink",
        "sinks.all.0.path (default.py): is required by Sink",
    )


def test_a_part_that_is_no_dict_is_an_error() -> None:
    assert problems(loaded(LOGGER, ("default.py", {"logger": None})), LOGGER) == ("logger=None (default.py): expected dict, got None",)


def test_a_model_instance_in_a_file_would_hide_the_defaults_and_is_an_error() -> None:
    assert problems(loaded(LOGGER, ("default.py", {"logger": {"rotate": Rotate()}})), LOGGER) == (
        "logger.rotate (default.py): must be a dict, so that it merges with the defaults, not a Rotate",
    )


def test_checks_of_the_model_itself_run_once_every_value_is_right() -> None:
    models: Models = {"db": Db}
    config = loaded(models, ("default.py", {"db": {"url": "sqlite:///x", "password": "hush"}}))
    assert problems(config, models) == ("db (default.py): sqlite has no password",)


def test_a_value_that_a_hook_changed_is_blamed_on_the_hook() -> None:
    config = loaded(LOGGER, ("default.py", {"logger": {"level": "INFO", "names": ["a"]}}))
    config.values["logger"]["level"] = 3
    config.values["logger"]["names"].append(4)
    assert problems(config, LOGGER) == (
        "logger.level=3 (changed by a hook in boot.py): expected str, got int",
        "logger.names.1=4 (changed by a hook in boot.py): expected str, got int",
    )


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_value_without_a_model_is_told_with_all_the_others_and_blamed_on_who_set_it() -> None:
    config = loaded(LOGGER, ("default.py", {"names": ["a", 5], "wait": 1.0, "fine": 1, "logger": {"level": 3}}))
    config.values["wait"] = "long"
    with pytest.raises(ConfigError) as caught:
        check_config(config, LOGGER, {"names": list[str], "wait": float, "fine": int})
    assert caught.value.problems == (
        "names.1=5 (default.py): expected str, got int",
        "wait='long' (changed by a hook in boot.py): expected float, got str",
        "logger.level=3 (default.py): expected str, got int",
    )


def test_a_key_that_no_default_file_and_no_model_knows_is_an_error_with_a_suggestion() -> None:
    config = loaded(LOGGER, ("default.py", {"session": {}}))
    extended = LoadedConfig(
        values=config.values,
        origins=config.origins,
        texts={},
        layers=(*config.layers, Layer(origin="prod.py", values={"sesion": {}, "loger": 1})),
    )
    assert problems(extended, LOGGER) == (
        "sesion (prod.py): there is no such key; did you mean session?; a new one must first stand in config/default.py",
        "loger (prod.py): there is no such key; did you mean logger?; a new one must first stand in config/default.py",
    )


@pytest.mark.parametrize("environ", [{"TAMAGO_CONFIG": '{"loger": 1}'}, {"TAMAGO__LOGER__LEVEL": "x"}])
def test_an_unknown_key_from_the_environment_names_the_variable(environ: dict[str, str]) -> None:
    (problem,) = problems(loaded(LOGGER, environ=environ), LOGGER)
    assert problem.startswith(f"loger ({next(iter(environ))}): there is no such key; did you mean logger?")


def test_a_default_file_can_define_any_key_but_one_that_is_surely_another() -> None:
    config = loaded(LOGGER, ("default.py", {"loger": {"level": "DEBUG"}}))
    assert problems(config, LOGGER) == (
        "loger (default.py): is read by nobody; did you mean logger? If not, give it a model in config/models.py",
    )


def test_a_misspelt_option_of_a_middleware_without_a_model_is_an_error_with_its_file() -> None:
    config = loaded(
        {},
        ("default.py", {"middleware": ["stamp", "cors"], "core_middleware": [], "stamp": {"text": "x"}, "cors": {"ignore": "/api"}}),
        ("prod.py", {"stamp": {"enabled": False}}),
    )
    assert problems(config, {}) == (
        "stamp.enabled (prod.py): means nothing to tamago; did you mean enable? If not, give stamp a model in config/models.py",
    )


def test_a_key_that_a_hook_adds_is_known() -> None:
    config = loaded(LOGGER)
    config.values["new"] = {"x": 1}
    assert check_config(config, LOGGER).new.x == 1


@pytest.mark.parametrize(("wrong", "right"), CONFUSED.items())
def test_a_key_that_only_looks_right_is_named_even_in_a_default_file(wrong: str, right: str) -> None:
    config = loaded({}, ("fw/default.py", {right: {}}), ("default.py", {wrong: {}}))
    assert problems(config, {}) == (f"{wrong} (default.py): has no meaning; use {right}",)


def test_a_key_that_resembles_nothing_of_this_framework_is_fine() -> None:
    assert check_config(loaded({}, ("default.py", {"bodyparser": 1})), {}).bodyparser == 1


# ── variables ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "password"),
    [("12345", "12345"), ("12e4", "12e4"), ("true", "true"), ("null", "null"), ('"quoted"', "quoted"), ("plain", "plain"), ("[1]", "[1]")],
)
def test_a_variable_is_text_where_the_model_wants_text(text: str, password: str) -> None:
    models: Models = {"db": Db}
    config = check_config(loaded(models, ("default.py", {"db": {"url": "pg://"}}), environ={"TAMAGO__DB__PASSWORD": text}), models)
    assert config.db.password == password


def test_a_variable_is_json_where_the_model_takes_it() -> None:
    models: Models = {"db": Db}
    config = check_config(loaded(models, ("default.py", {"db": {"url": "pg://"}}), environ={"TAMAGO__DB__POOL": "7"}), models)
    assert config.db.pool == 7


def test_a_variable_is_text_also_below_free_names() -> None:
    config = check_config(loaded(LOGGER, environ={"TAMAGO__LOGGER__CUSTOM__AUDIT__WHEN": "7"}), LOGGER)
    assert config.logger.custom.audit == Rotate(when="7")


def test_a_variable_that_fits_neither_way_is_an_error() -> None:
    assert problems(loaded(LOGGER, environ={"TAMAGO__LOGGER__ROTATE__SIZE": "big"}), LOGGER) == (
        "logger.rotate.size='big' (TAMAGO__LOGGER__ROTATE__SIZE): expected int, got str",
    )


def test_a_variable_for_what_is_in_no_model_stays_json() -> None:
    config = loaded({}, ("default.py", {"pool": {}}), environ={"TAMAGO__POOL__SIZE": "7"})
    assert check_config(config, {}).pool.size == 7
