"""`tamago new` makes projects that pass their own tests and checks, and never touches what is there."""

from __future__ import annotations

import ast
import asyncio
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.unit.app.application.project import project
from tests.unit.cli.command import Tamago
from tests.unit.testing.project import TestedProject, make

from tamago.cli.new import Template, next_steps
from tamago.cli.project import PARTS_OF_CONFIG, BadProjectNameError, named
from tamago.cli.template import render

PROJECTS = [*Template]


@pytest.mark.slow
@pytest.mark.parametrize("template", PROJECTS)
def test_a_new_project_passes_its_own_tests_and_checks(tmp_path: Path, template: Template) -> None:
    project = make(tmp_path / "first-shop", template)
    outcome = project.test()
    assert outcome.code == 0, outcome.text
    for command in (["mypy"], ["ruff", "check"], ["ruff", "format", "--check"]):
        done = project.python(*command)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_new_application_has_types_that_its_checks_like(tmp_path: Path) -> None:
    project = make(tmp_path / "shop", "app")
    for command in (["tamago", "types"], ["mypy"], ["ruff", "check"], ["ruff", "format", "--check"], ["tamago", "types", "--check"]):
        done = project.python(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert project.test().code == 0


@pytest.mark.slow
@pytest.mark.parametrize("template", PROJECTS)
def test_the_command_writes_what_the_template_says(tamago: Tamago, template: Template) -> None:
    done = tamago.run("new", "first-shop", "--template", template)
    assert (done.returncode, done.stderr) == (0, "")
    place = tamago.directory / "first-shop"
    assert done.stdout.startswith(f"first-shop is in {place}\n")
    written = {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}
    assert written == render(template, named("first-shop", is_package=template is Template.PLUGIN))


@pytest.mark.slow
def test_an_empty_directory_is_taken_and_any_other_is_left_alone(tamago: Tamago) -> None:
    place = tamago.directory / "shop"
    place.mkdir()
    assert tamago.run("new", "shop").returncode == 0
    before = sorted(place.rglob("*"))
    again = tamago.run("new", "shop", "--template", "fastapi")
    assert again.returncode == 2
    assert again.stderr.splitlines() == [
        f"tamago: {place} is not empty, and nothing in it is overwritten",
        "choose another name, or move what is there",
    ]
    assert sorted(place.rglob("*")) == before
    tamago.write("file", "")
    assert f"{tamago.directory}/file is not a directory" in tamago.run("new", "file").stderr


@pytest.mark.slow
def test_a_place_that_cannot_be_written_to_is_two_lines(tamago: Tamago) -> None:
    tamago.write("file", "")
    done = tamago.run("new", "file/shop")
    assert done.returncode == 1
    assert re.fullmatch(r"tamago: cannot write .*/file/shop.*: not a directory\nchoose a directory you may write to\n", done.stderr)


@pytest.mark.slow
def test_a_bad_name_is_two_lines(tamago: Tamago) -> None:
    done = tamago.run("new", "My Shop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "tamago: 'My Shop' cannot be the name of a project",
        "use lower-case letters, digits, - and _, beginning with a letter, such as my-shop",
    ]
    assert not [*tamago.directory.iterdir()]


def test_the_path_of_a_project_may_be_given(tmp_path: Path) -> None:
    project = TestedProject(tmp_path)
    assert project.python("tamago", "new", "a/b/shop").returncode == 0
    assert (tmp_path / "a/b/shop/app/router.py").is_file()


@pytest.mark.parametrize("name", ["", "1st", "Shop", "a b", "a.b", "-a", "a-", "a--b", "ä", "a/b", "tamago"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(BadProjectNameError):
        named(name, is_package=False)


@pytest.mark.parametrize("name", ["class", "json", "app", "config", "static", "plugins"])
def test_a_plugin_cannot_be_called_like_a_package_that_is_there(name: str) -> None:
    assert named(name, is_package=False).name == name
    with pytest.raises(BadProjectNameError, match="means something else"):
        named(name, is_package=True)


@pytest.mark.parametrize(
    ("name", "plugin"),
    [
        ("tamago-cache", "cache"),
        ("tamago-rate-limit", "rate_limit"),
        ("blog-cache", "blog_cache"),
        ("tamago-logger", "tamago_logger"),
        ("tamago-static", "tamago_static"),
        ("tamago-class", "tamago_class"),
        ("tamago-2fa", "tamago_2fa"),
    ],
)
def test_a_plugin_is_called_like_its_package_without_tamago_unless_that_means_something_else(name: str, plugin: str) -> None:
    files = render(Template.PLUGIN, named(name, is_package=True))
    package = name.replace("-", "_")
    assert f'{plugin} = "{package}"' in files["pyproject.toml"]
    assert f'Plugin(name="{plugin}"' in files[f"{package}/__init__.py"]
    assert f"{package}/app/service/{plugin}.py" in files


def test_what_is_the_frameworks_own_in_the_configuration_is_known(tmp_path: Path) -> None:
    with project(tmp_path) as site:
        values = asyncio.run(site.load().read_configuration()).values
    assert set(values) - {"onerror", "static"} == PARTS_OF_CONFIG


@given(st.text(max_size=20))
def test_the_name_that_is_suggested_is_legal(name: str) -> None:
    try:
        named(name, is_package=False)
    except BadProjectNameError as error:
        if "such as" in error.hint:
            named(error.hint.rpartition(" ")[2], is_package=False)


@pytest.mark.parametrize("template", PROJECTS)
@pytest.mark.parametrize("name", ["a", "shop", "first-shop_2"])
def test_every_file_of_a_project_can_be_read_and_none_has_a_hole(template: Template, name: str) -> None:
    for path, text in render(template, named(name, is_package=True)).items():
        assert "{{" not in text
        assert "__package__" not in path
        assert "__plugin__" not in path
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".toml"):
            assert tomllib.loads(text)["project"]["name"].startswith(name)


@pytest.mark.parametrize("template", PROJECTS)
def test_the_next_steps_install_what_the_tests_of_the_project_need(template: Template) -> None:
    before, pytest_, _after = next_steps("shop", template).partition("pytest")
    wanted = tomllib.loads(render(template, named("shop", is_package=False))["pyproject.toml"])["project"]["dependencies"]
    assert pytest_
    for name in (re.split(r"\W", requirement)[0] for requirement in wanted):
        assert name in before


def test_every_template_has_a_directory_and_the_other_way_round() -> None:
    assert {entry.name for entry in (files("tamago.cli") / "templates").iterdir()} == set(Template)
