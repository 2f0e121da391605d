"""Which target the settings and the directory mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tamago.cluster.loaders import FRAMEWORK_LOADER
from tamago.cluster.settings import Settings
from tamago.cluster.target import TargetNotFoundError, find_target, suggestions


def test_an_app_is_hosted(tmp_path: Path) -> None:
    target = find_target(Settings(directory=str(tmp_path), app="main:app", interface="wsgi"))
    assert target.loader == "tamago.server.hosted:HostedTarget"
    assert (target.directory, target.app, target.interface, target.agent) == (str(tmp_path), "main:app", "wsgi", None)


def test_an_agent_file_beside_the_app_is_its_agent(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("")
    settings: dict[str, Any] = {"directory": str(tmp_path), "app": "main:app"}
    assert find_target(Settings(**settings)).agent == "agent"
    assert find_target(Settings(**settings, agent="x:Y")).agent == "x:Y"
    assert find_target(Settings(**settings, no_agent=True)).agent is None


def test_with_nothing_given_one_error_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TargetNotFoundError) as caught:
        find_target(Settings(directory=str(tmp_path)))
    assert len(caught.value.looked_for) == 3
    assert caught.value.suggestion == ""


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("main.py", "app = FastAPI()", "main:app"),
        ("main.py", "app: FastAPI = FastAPI()", "main:app"),
        ("app.py", "def create_app(): ...", "app:create_app"),
        ("wsgi.py", "application = get()", "wsgi:application"),
        ("app/__init__.py", "from .x import make as app", "app:app"),
    ],
)
def test_an_app_in_a_usual_place_is_suggested_and_not_imported(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{text}\nraise SystemExit('imported')\n")
    with pytest.raises(TargetNotFoundError, match=f"did you mean --app {expected}"):
        find_target(Settings(directory=str(tmp_path)))


@pytest.mark.parametrize("text", ["def broken(", "app: int", "x = 1", "\0"])
def test_a_file_without_an_app_is_not_suggested(tmp_path: Path, text: str) -> None:
    (tmp_path / "main.py").write_text(text)
    assert list(suggestions(tmp_path)) == []


@pytest.mark.parametrize("framework", ["", "acme"])
def test_a_directory_with_app_and_config_is_a_framework_application(tmp_path: Path, framework: str) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "config").mkdir()
    spec = find_target(Settings(directory=str(tmp_path), framework=framework))
    assert (spec.loader, spec.framework, spec.app) == (FRAMEWORK_LOADER, framework or None, None)


def test_a_named_framework_needs_no_such_directories(tmp_path: Path) -> None:
    assert find_target(Settings(directory=str(tmp_path), framework="acme")).framework == "acme"
