"""Files of configuration that nobody would read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.core.config_disk import Project, project

from tamago.core.config_errors import ConfigError
from tamago.core.config_strays import check_config_names, like_the_environment


@pytest.fixture(name="blog")
def _blog(tmp_path: Path) -> Iterator[Project]:
    with project(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("plugins", "plugin"),
        ("defualt", "default"),
        ("defaults", "default"),
        ("model", "models"),
        ("config", "default"),
        ("config_default", "default"),
        ("config.default", "default"),
        ("config.prod", "prod"),
        ("plugin_default", "plugin"),
        ("plugin.default", "plugin"),
        ("plugin.local", "plugin_local"),
    ],
)
def test_a_file_that_was_meant_to_be_another_is_an_error(blog: Project, name: str, meant: str) -> None:
    file = blog.write(f"config/{name}.py", "config = {}")
    with pytest.raises(ConfigError) as caught:
        check_config_names([blog.app()], blog.info())
    assert caught.value.problem == f"{file} is not read; did you mean {meant}.py?"


@pytest.mark.parametrize(
    "name", ["default", "models", "plugin", "prod", "local", "staging", "plugin_local", "plugin_staging", "en_prod", "secrets", "__init__"]
)
def test_what_is_read_in_some_environment_and_modules_of_ones_own_are_left_alone(blog: Project, name: str) -> None:
    blog.write(f"config/{name}.py", "config = {}")
    check_config_names([blog.app()], blog.info())


def test_an_environment_may_be_called_as_one_likes(blog: Project) -> None:
    blog.write("config/defaults.py", "config = {}")
    check_config_names([blog.app()], blog.info(env="defaults"))


def test_all_units_are_looked_at_and_all_problems_told_at_once(blog: Project) -> None:
    framework = blog.framework("eggs")
    (blog.directory / "config").rmdir()
    check_config_names([framework, blog.app()], blog.info())
    blog.install("eggs/config/plugins.py")
    blog.write("config/config.py")
    with pytest.raises(ConfigError) as caught:
        check_config_names([framework, blog.app()], blog.info())
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ("prd", "prod"),
        ("production", "prod"),
        ("prod", "production"),
        ("prod", "prd"),
        ("develop", "dev"),
        ("stagng", "staging"),
        ("stagng", "plugin_staging"),
    ],
)
def test_a_file_for_an_environment_spelt_like_one_without_files_is_found(blog: Project, env: str, name: str) -> None:
    blog.write("config/default.py", "config = {}")
    file = blog.write(f"config/{name}.py", "def config(info):\n    return {}\n\nplugins = {}\n")
    assert like_the_environment([blog.app()], blog.info(env)) == file


@pytest.mark.parametrize("name", ["prd", "plugin_prd", "eu_prd"])
def test_one_file_for_the_environment_in_any_unit_will_do(blog: Project, name: str) -> None:
    framework = blog.framework("eggs")
    blog.install(f"eggs/config/{name}.py", "config = plugins = {}")
    blog.write("config/prod.py", "config = {}")
    assert like_the_environment([framework, blog.app()], blog.info("prd", scope="eu")) is None


@pytest.mark.parametrize(
    ("env", "name"),
    [("test", "local"), ("test", "unittest"), ("prod", "preprod"), ("pre", "prod"), ("uat", "prod"), ("default", "defaults")],
)
def test_an_environment_of_another_name_may_run_on_the_defaults(blog: Project, env: str, name: str) -> None:
    blog.write(f"config/{name}.py", "config = {}")
    assert like_the_environment([blog.app()], blog.info(env)) is None


def test_a_module_of_ones_own_is_for_no_environment(blog: Project) -> None:
    blog.write("config/products.py", "configured = [1]\n")
    assert like_the_environment([blog.app()], blog.info("prod")) is None
