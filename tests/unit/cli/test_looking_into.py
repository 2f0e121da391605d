"""The commands that say what an application consists of: plugins, routes, types and config --why."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.command import Tamago
from tests.unit.testing.project import MYPY_CACHE

pytestmark = pytest.mark.slow
BLOG = Path(__file__).parents[3] / "examples/blog"

PROBE = """
from app.types import Boot, Context, Controller, Helper, Service


class Probe(Controller):
    def probe(self) -> None:
        reveal_type(self.service.post.find(1))
        reveal_type(self.ctx.service.search.find("a"))
        reveal_type(self.ctx.db)
        reveal_type(self.app.db)
        reveal_type(self.app.announce)
        reveal_type(self.config.blog.page_size)
        reveal_type(self.ctx.status)
        self.ctx.service.psot


def middleware(ctx: Context) -> None:
    reveal_type(ctx.helper.service.comment.count(1))
    reveal_type(ctx.app.queue.mail.size)
    reveal_type(ctx.app.queue.fast.mail.app)
    reveal_type(ctx.draft.post.title())
    ctx.app.draft
    ctx.queue
    ctx.draft.psot
"""
REVEALED = [
    "app.schema.Post",
    "list[int]",
    "sqlalchemy.orm.session.Session",
    "sqlalchemy.engine.base.Engine",
    "def (news: Any)",
    "int",
    "int",
    "int",
    "int",
    "app.types.Application",
    "str",
]
CUSTOM_LOADERS = {
    "config/local.py": "config = {'custom_loader': {"
    "'queue': {'directory': 'app/queue'}, 'draft': {'directory': 'app/draft', 'inject': 'ctx'}}}\n",
    "app/queue/mail.py": "class MailQueue:\n    size = 3\n\n    def __init__(self, app: object) -> None: ...\n",
    "app/queue/fast/mail.py": "from __future__ import annotations\n\nfrom app.types import Application\n\n\n"
    "class MailQueue:\n    def __init__(self, app: Application) -> None:\n        self.app = app\n",
    "app/draft/post.py": "class PostDraft:\n    def __init__(self, ctx: object) -> None: ...\n\n"
    "    def title(self) -> str:\n        return ''\n",
}


@pytest.fixture
def blog(tamago: Tamago) -> Tamago:
    """The command, in a copy of the example."""
    shutil.rmtree(tamago.directory)
    shutil.copytree(BLOG, tamago.directory, ignore=shutil.ignore_patterns("run", "logs", "__pycache__", "*.sqlite3*", "types.py"))
    return tamago


def out(tamago: Tamago, *arguments: str, **environment: str) -> str:
    done = tamago.run(*arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plugins_are_listed_in_the_order_they_load(blog: Tamago) -> None:
    lines = [line.split() for line in out(blog, "plugins").splitlines()]
    assert lines[0][:3] == ["PLUGIN", "STATE", "PACKAGE"]
    names = [line[0] for line in lines[1:]]
    assert names.index("db") < names.index("search") < names.index("feed")
    listed = json.loads(out(blog, "plugins", "list", "--json"))
    assert [*listed] == names
    assert listed["search"]["dependencies"] == ["db"]


def test_a_plugin_says_why_it_is_there(blog: Tamago) -> None:
    text = out(blog, "plugins", "why", "db")
    assert "needed by search" in text
    assert "config/plugin.py" in text
    assert "did you mean db?" in blog.run("plugins", "why", "dbb").stderr


def test_plugins_are_drawn(blog: Tamago) -> None:
    assert "search\n└─ db" in out(blog, "plugins", "graph")
    assert out(blog, "plugins", "graph", "--format", "mermaid").startswith("graph TD\n")
    assert '"search" -> "db";' in out(blog, "plugins", "graph", "--format", "dot")


@pytest.mark.parametrize(("arguments", "hint"), [(["why"], "plugins why static"), (["list", "db"], "plugins why db")])
def test_only_why_takes_a_name(blog: Tamago, arguments: list[str], hint: str) -> None:
    done = blog.run("plugins", *arguments)
    assert done.returncode == 2
    assert hint in done.stderr


def test_routes_are_listed_in_the_order_they_are_tried(blog: Tamago) -> None:
    lines = out(blog, "routes").splitlines()
    assert lines[0].split() == ["METHODS", "PATH", "NAME", "HANDLER", "SOURCE"]
    assert any(re.fullmatch(r"GET +/api/posts/\{id\} +post +PostController\.show +app/router\.py:\d+", line) for line in lines)
    assert any(line.startswith("WEBSOCKET  /api/live") for line in lines)
    rows = json.loads(out(blog, "routes", "--json"))
    assert len(rows) == len(lines) - 1
    assert rows[0]["handler"] == "HomeController.index"


def test_nothing_of_the_application_runs(blog: Tamago) -> None:
    blog.write(
        "app/boot.py",
        "from tamago.app import Boot\n\n\nclass AppBoot(Boot):\n    def config_will_load(self):\n        raise SystemExit(9)\n",
    )
    before = sorted(blog.directory.rglob("*"))
    for command in (["routes"], ["plugins"], ["types"]):
        out(blog, *command)
    made = set(blog.directory.rglob("*")) - set(before)
    assert {path.name for path in made if "__pycache__" not in str(path)} == {"types.py"}


def test_what_the_application_prints_is_not_part_of_the_result(blog: Tamago) -> None:
    blog.write("app/schema.py", (blog.directory / "app/schema.py").read_text() + "print('hello')\n")
    done = blog.run("routes", "--json")
    assert json.loads(done.stdout)
    assert done.stderr == "hello\n"


@pytest.mark.parametrize("command", [["routes"], ["types"], ["config", "--why", "blog.title"]])
def test_an_application_that_does_not_import_is_shown_with_its_own_line(blog: Tamago, command: list[str]) -> None:
    blog.write("app/boot.py", "import nowhere\n")
    done = blog.run(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert f'File "{blog.directory}/app/boot.py", line 1' in done.stderr
    assert "tamago: the application could not be loaded: ModuleNotFoundError: No module named 'nowhere'" in done.stderr
    assert "/tamago/cli/" not in done.stderr


def test_an_application_that_exits_when_it_is_imported_is_no_success(blog: Tamago) -> None:
    blog.write("app/boot.py", "raise SystemExit(0)\n")
    done = blog.run("routes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "tamago: the application could not be loaded: SystemExit: 0" in done.stderr


@pytest.mark.parametrize("command", [["routes"], ["types"], ["plugins"], ["config", "--why", "a"]])
def test_a_directory_that_is_no_application_is_named(tamago: Tamago, command: list[str]) -> None:
    done = tamago.run(*command)
    assert done.returncode == 2
    assert f"{tamago.directory} is no application of the framework" in done.stderr


# ── config --why ─────────────────────────────────────────────────────────────────────────────────────────────────────


def why(blog: Tamago, key: str, *arguments: str, **environment: str) -> Any:
    return json.loads(out(blog, "config", "--why", key, "--json", *arguments, **environment))


def test_every_layer_that_sets_a_key_is_told_and_the_last_one_wins(blog: Tamago) -> None:
    found = why(blog, "blog.page_size", TAMAGO__BLOG__PAGE_SIZE="3")
    origins = [layer["origin"].rpartition("/blog/")[2] for layer in found["layers"]]
    assert found["value"] == 3
    assert origins[0].startswith("default of BlogConfig")
    assert origins[1].endswith("config/default.py")
    assert origins[2] == "TAMAGO__BLOG__PAGE_SIZE"
    lines = out(blog, "config", "--why", "blog.page_size", TAMAGO__BLOG__PAGE_SIZE="3").splitlines()
    assert lines[0] == "blog.page_size = 3"
    assert [line.endswith("<- wins") for line in lines[1:]] == [False, False, True]


def test_another_environment_has_other_files(blog: Tamago) -> None:
    assert why(blog, "db.url", "--env", "unittest")["value"] == "sqlite://"
    assert why(blog, "db.url")["value"].endswith("blog.sqlite3")


def test_a_hook_that_changes_a_value_is_told(blog: Tamago) -> None:
    found = why(blog, "core_middleware")
    assert "static" in found["value"]
    assert found["layers"][-1]["origin"].startswith("a hook in boot.py")


def test_secrets_are_not_shown(blog: Tamago) -> None:
    done = blog.run("config", "--why", "keys", TAMAGO__KEYS="hunter2")
    assert "hunter2" not in done.stdout + done.stderr
    assert "<str len: 7>" in done.stdout


@pytest.mark.parametrize(
    ("key", "problem", "hint"),
    [
        ("loger.level", "configuration has no key 'loger'; did you mean logger?", "there are: blog,"),
        ("blog.titel", "blog has no key 'titel'; did you mean title?", "there are: page_size, title"),
        ("blog.title.x", "blog.title has no key 'x'", "it is a value, and nothing is below it"),
    ],
)
def test_an_unknown_key_is_a_mistake(blog: Tamago, key: str, problem: str, hint: str) -> None:
    done = blog.run("config", "--why", key)
    assert done.returncode == 2
    assert problem in done.stderr
    assert hint in done.stderr


# ── types ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_type_checker_knows_services_and_what_plugins_and_custom_loaders_add(blog: Tamago) -> None:
    out(blog, "types")
    for path, text in CUSTOM_LOADERS.items():
        (blog.directory / path).parent.mkdir(parents=True, exist_ok=True)
        blog.write(path, text)
    out(blog, "types", "--env", "local")
    blog.write("probe.py", PROBE)
    command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "probe.py"]
    environment = {**os.environ, "MYPY_CACHE_DIR": str(MYPY_CACHE)}
    text = subprocess.run(command, cwd=blog.directory, env=environment, capture_output=True, text=True, check=False).stdout
    assert re.findall(r'Revealed type is "(.+)"', text) == REVEALED, text
    errors = [
        line.partition("error: ")[2].partition("  [")[0] for line in text.splitlines() if line.startswith("probe.py") and "error:" in line
    ]
    assert errors == [
        '"Services" has no attribute "psot"',
        '"Application" has no attribute "draft"',
        '"Context" has no attribute "queue"',
        '"Context_draft" has no attribute "psot"',
    ]


def test_at_run_time_the_types_are_the_frameworks(blog: Tamago) -> None:
    out(blog, "types")
    blog.write(
        "app/controller/other.py",
        "from app.types import Controller\nfrom tamago.app import get\n\n\nclass OtherController(Controller):\n"
        "    @get('/other')\n    def index(self) -> str:\n        return ''\n",
    )
    assert "OtherController.index" in out(blog, "routes")


@pytest.mark.parametrize(
    "there", [None, "<<<<<<< ours\n", "import app.service.gone\n"], ids=["missing", "half merged", "of a service that is gone"]
)
def test_types_are_written_although_the_application_imports_them(blog: Tamago, there: str | None) -> None:
    if there is not None:
        out(blog, "types")
        place = blog.directory / "app/types.py"
        place.write_text(there + place.read_text())
    blog.write(
        "app/controller/other.py",
        "from app.types import Context, Controller\nfrom tamago.app import get\n\n\nclass OtherController(Controller):\n"
        "    @get('/other')\n    def index(self) -> str:\n        return Context.__name__\n",
    )
    if there is None:
        assert "`tamago types` writes app/types.py" in blog.run("routes").stderr
    out(blog, "types")
    assert "OtherController.index" in out(blog, "routes")


def test_types_that_are_not_up_to_date_are_told(blog: Tamago) -> None:
    assert "does not exist" in blog.run("types", "--check").stderr
    out(blog, "types")
    assert out(blog, "types", "--check") == ""
    (blog.directory / "app/service/tag.py").write_text("from tamago.app import Service\n\n\nclass TagService(Service):\n    pass\n")
    stale = blog.run("types", "--check")
    assert stale.returncode == 1
    assert "app/types.py is not up to date" in stale.stderr
    out(blog, "types")
    assert "tag: TagService" in (blog.directory / "app/types.py").read_text()


def test_a_file_of_the_user_is_not_overwritten(blog: Tamago) -> None:
    blog.write("app/types.py", "mine = 1\n")
    done = blog.run("types")
    assert done.returncode == 1
    assert "was not written by this command" in done.stderr
    assert (blog.directory / "app/types.py").read_text() == "mine = 1\n"
