"""The plugin of pytest, in projects of users."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.process.proc import state_of
from tests.unit.testing.project import TestedProject

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent

WEATHER = """
from tamago.app import Controller, get


class WeatherController(Controller):
    @get("/weather")
    async def today(self) -> dict[str, object]:
        answer = await self.app.httpclient.get("http://weather.test/today", params={"city": "Oslo"})
        return {"status": answer.status_code, "body": answer.json(), "x-a": answer.headers.get("x-a")}
"""

TALK = """
from tamago.app import Controller, websocket


class TalkController(Controller):
    @websocket("/talk/{number}")
    async def talk(self, number: str) -> None:
        socket = self.ctx.websocket
        await socket.accept(socket.subprotocols[0])
        await socket.send_json([number, self.ctx.query.get("a", ""), self.ctx.get("x-who")])
        async for message in socket:
            if message == "enough":
                await socket.close(4000, "enough")
                return
            await socket.send(message)
        self.app.ended = "over"

    @websocket("/greet")
    async def greet(self) -> None:
        await self.ctx.websocket.send(await self.service.greeting.greet("Ann", 1))

    @websocket("/refused")
    async def refused(self) -> None:
        self.ctx.throw(401)
"""

MOUNTED = """
from tamago.app import Boot


async def mounted(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        raise LookupError("mounted")


class AppBoot(Boot):
    def did_load(self) -> None:
        self.app.mount("/mounted", mounted)
"""

SHARED = """
import pytest

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("number", range(6))
async def test_one_of_many(client, mock_service, number):
    mock_service("greeting", "greet", str(number))
    assert (await client.get("/hello/Ann")).json() == {"greeting": str(number)}
"""

CLUSTER = """
import os


def test_it_serves(cluster):
    assert cluster.client.get("/").text == "It works.\\n"
    assert "state" in cluster.tamago("status", "--json", "--title", cluster.title)
    assert "is ready on" in cluster.log
    with open("pid", "w") as file:
        file.write(str(cluster.pid))
"""


def test_each_test_finds_everything_as_it_was(project: TestedProject) -> None:
    project.write("tests/test_inside.py", (HERE / "inside_restoring.py").read_text())
    outcome = project.test(TAMAGO_ENV="prod")
    assert outcome.counts == {"passed": 11}, outcome.text


def test_requests_to_other_servers_are_answered_by_mocks(project: TestedProject) -> None:
    project.write("app/controller/weather.py", WEATHER)
    project.write("tests/test_inside.py", (HERE / "inside_http.py").read_text())
    outcome = project.test()
    assert outcome.counts == {"passed": 6}, outcome.text


def test_websockets_need_no_server(project: TestedProject) -> None:
    project.write("app/controller/talk.py", TALK)
    project.write("app/boot.py", MOUNTED)
    project.write("tests/test_inside.py", (HERE / "inside_websockets.py").read_text())
    outcome = project.test()
    assert outcome.counts == {"passed": 7}, outcome.text


def test_tests_run_in_several_processes(project: TestedProject) -> None:
    project.write("tests/test_shared.py", SHARED)
    outcome = project.test("-n", "2")
    assert outcome.counts == {"passed": 6}, outcome.text


def test_the_cluster_serves_and_is_gone_afterwards(project: TestedProject, tmp_path: Path) -> None:
    project.write("tests/test_cluster.py", CLUSTER)
    home = tmp_path / "tmp"
    home.mkdir()
    outcome = project.test(TMPDIR=str(home))
    assert outcome.counts == {"passed": 1}, outcome.text
    # A daemon's parent is process 1 of wherever this runs, which reaps it when it likes.
    assert state_of(int((project.directory / "pid").read_text())) in {"", "Z", "X"}
    assert not [path for path in home.iterdir() if path.name.startswith("tamago-")]


def test_a_cluster_that_does_not_start_says_why(project: TestedProject) -> None:
    project.write("tests/test_cluster.py", CLUSTER)
    project.write("app/boot.py", "raise RuntimeError('no luck')\n")
    outcome = project.test()
    assert outcome.counts == {"error": 1}
    assert "RuntimeError: no luck" in outcome.text


def test_an_application_that_does_not_start_says_why(project: TestedProject) -> None:
    project.write("tests/test_app.py", "def test_it(app):\n    pass\n")
    project.write("config/unittest.py", "config = {'lgger': {}}\n")
    outcome = project.test()
    assert outcome.counts == {"error": 1}
    assert "lgger" in outcome.text
    assert "did you mean logger" in outcome.text


def test_what_was_not_logged_is_told_with_what_was(project: TestedProject) -> None:
    project.write("tests/test_log.py", "def test_it(app, expect_log):\n    app.logger.info('a')\n    expect_log('b', logger='app')\n")
    outcome = project.test()
    assert outcome.counts == {"failed": 1}
    assert "'b' was not logged by the logger 'app'; this was:" in outcome.text
    assert "INFO app: a" in outcome.text


def test_a_project_that_is_no_application_is_left_alone(tmp_path: Path) -> None:
    project = TestedProject(tmp_path)
    project.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    project.write(
        "test_it.py",
        "import sys\n\n\ndef test_it(request):\n"
        "    assert not request.config.pluginmanager.has_plugin('tamago-asyncio')\n"
        "    assert not [name for name in sys.modules if name.startswith(('tamago.app', 'tamago.core', 'tamago.cluster'))]\n"
        "    assert 'httpx' not in sys.modules\n\n\n"
        "def test_app(app):\n    pass\n",
    )
    outcome = project.test("-p", "no:xdist")
    assert outcome.counts == {"passed": 1, "error": 1}, outcome.text
    assert f"there is no application in {tmp_path}" in outcome.text


def test_a_directory_can_be_named_and_several_tested_in_turn(project: TestedProject) -> None:
    for name in ("one", "two"):
        project.write(f"more/{name}/pyproject.toml", f"[project]\nname = '{name}'\n")
        project.write(f"more/{name}/config/default.py", "config = {'dump': {'enable': False}}\n")
        project.write(
            f"more/{name}/app/router.py", f"async def say(ctx):\n    return '{name}'\n\n\ndef routes(router):\n    router.get('/', say)\n"
        )
    project.write(
        "tests/test_two.py",
        "import pytest\n\n\n@pytest.fixture(params=['one', 'two', 'one'])\ndef app_directory(request, pytestconfig):\n"
        "    return pytestconfig.rootpath / 'more' / request.param\n\n\n"
        "@pytest.mark.anyio\nasync def test_it(client, app_directory):\n    assert (await client.get('/')).text == app_directory.name\n",
    )
    outcome = project.test()
    assert outcome.counts == {"passed": 3}, outcome.text
