"""Applications of the framework under the whole cluster: the installed command, real processes, real sockets."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.process.harness import Cluster, Start
from tests.process.http_client import Connection, Place, get
from tests.process.site import Site

_BLOG = Path(__file__).parents[2] / "examples" / "blog"

_HOOKS = """
from pathlib import Path
import tamago
from tamago.app import Boot

class Told(Boot):
    unit = {unit!r}

    def __init__(self, app):
        super().__init__(app)
        self.tell("constructor")

    def tell(self, hook):
        who = "nest" if hook == "constructor" else f"{{tamago.me.role.value}}{{tamago.me.slot or ''}}"
        with open(Path(__file__).parents[{up}] / "hooks.txt", "a") as file:
            print(who, self.unit, type(self).__name__, hook, file=file)

    def before_fork(self): self.tell("before_fork")
    def after_fork(self): self.tell("after_fork")
    async def config_will_load(self): self.tell("config_will_load")
    def config_did_load(self): self.tell("config_did_load")
    async def did_load(self): self.tell("did_load")
    async def will_ready(self): self.tell("will_ready")
    def did_ready(self, error): self.tell("did_ready")
    async def server_did_ready(self): self.tell("server_did_ready")
    async def before_close(self): self.tell("before_close")

class AppBoot(Told): ...
class AgentBoot(Told): ...
"""

_MINIMAL = {
    "pyproject.toml": "[project]\nname = 'small'\n",
    "config/default.py": "config = {'dump': {'enable': False}}\n",
    "app/router.py": "from app.controller.home import HomeController\n\ndef routes(router):\n    router.get('/', HomeController.index)\n",
    "app/controller/home.py": (
        "from tamago.app import Controller\n\nclass HomeController(Controller):\n    async def index(self):\n        return 'first'\n"
    ),
}


@pytest.fixture
def blog(site: Site) -> Site:
    """The example, in a place of its own."""
    shutil.rmtree(site.app)
    shutil.copytree(_BLOG, site.app, ignore=shutil.ignore_patterns("__pycache__", "run", "logs", "*.sqlite3*"))
    return site


@pytest.fixture
def small(site: Site) -> Site:
    """An application with one route."""
    (site.app / "main.py").unlink()
    for name, text in _MINIMAL.items():
        site.write(name, text)
    return site


@pytest.fixture
def serve(start: Start) -> Callable[..., Cluster]:
    return lambda *arguments, **options: start(*arguments, app=None, **options)


@contextmanager
def events(place: Place) -> Iterator[Connection]:
    """A client of the blog's news, once it surely gets them."""
    with Connection(place, timeout=30) as client:
        client.send("/api/events")
        assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
        yield client


def post(place: Place, title: str) -> dict[str, object]:
    with Connection(place) as client:
        body = json.dumps({"title": title, "body": "An egg is an egg."}).encode()
        client.send("/api/posts", body=body, headers="content-type: application/json\r\n")
        made = client.receive()
    assert made.status == 201, made.text
    answer: dict[str, object] = made.json()
    return answer


def test_the_blog_serves_its_pages_its_api_and_what_its_agent_knows(blog: Site, serve: Callable[..., Cluster]) -> None:
    place = serve().places[0]
    assert "An Egg a Day" in get(place, "/").text
    assert get(place, "/public/style.css").status == 200
    assert post(place, "Egg")["id"] == 1
    assert get(place, "/api/posts/1").json()["title"] == "Egg"
    assert get(place, "/api/posts/2").status == 404
    while (stats := get(place, "/api/stats").json())["published"] == 0:
        pass  # the agent is told in the background
    assert stats["last"] == "Egg"


def test_news_reach_readers_of_every_worker(blog: Site, serve: Callable[..., Cluster]) -> None:
    place = serve(workers=2).places[0]
    with events(place) as one, events(place) as other:
        post(place, "Egg")
        for reader in (one, other):
            reader.read_until(b'"title":"Egg"')


def test_a_reader_who_left_keeps_no_worker_from_stopping(blog: Site, serve: Callable[..., Cluster]) -> None:
    cluster = serve("--stop-timeout", "60")
    with events(cluster.places[0]):
        pass
    cluster.begin_stop()
    assert cluster.output.wait_end(20), "a stream without a reader still runs"


def test_hooks_run_in_order_in_every_process(small: Site, serve: Callable[..., Cluster]) -> None:
    small.write("app/boot.py", _HOOKS.format(unit="app", up=1))
    small.write("plugins/one/__init__.py", "from tamago.app import Plugin\nplugin = Plugin(name='one')\n")
    small.write("plugins/one/app/boot.py", _HOOKS.format(unit="one", up=3))
    small.write("config/plugin.py", "plugins = {'one': {'path': 'plugins/one'}}\n")
    cluster = serve(workers=1)
    cluster.begin_stop()
    cluster.output.wait_end()
    told = [line.split() for line in (small.app / "hooks.txt").read_text().splitlines()]

    def of(who: str, boot: str) -> list[tuple[str, str]]:
        return [(hook, unit) for by, unit, name, hook in told if by == who and name == boot]

    both = ("one", "app")
    assert of("nest", "AppBoot")[:2] == [("constructor", unit) for unit in both]
    assert ("before_fork", "app") in of("nest", "AppBoot")
    in_order = ("after_fork", "config_will_load", "config_did_load", "did_load", "will_ready", "did_ready", "server_did_ready")
    expected = [*((hook, unit) for hook in in_order for unit in both), ("before_close", "app"), ("before_close", "one")]
    assert of("worker1", "AppBoot") == expected
    assert of("agent", "AgentBoot") == expected
    assert not of("worker1", "AgentBoot")


def test_a_reload_brings_new_controllers(small: Site, serve: Callable[..., Cluster]) -> None:
    cluster = serve()
    assert get(cluster.places[0]).text == "first"
    controller = _MINIMAL["app/controller/home.py"]
    small.write("app/controller/home.py", controller.replace("first", "second"))
    assert small.run("reload", "--title", cluster.title).returncode == 0
    assert get(cluster.places[0]).text == "second"


def test_the_trace_has_the_steps_of_every_process_also_of_a_reload(small: Site, serve: Callable[..., Cluster]) -> None:
    small.write("app/boot.py", _HOOKS.format(unit="app", up=1))
    cluster = serve()
    cluster.call("reload")
    for generation in (1, 2):
        shown = cluster.cli("trace", "--format", "json", "--generation", str(generation))
        steps = {each["name"]: [step["name"] for step in each["steps"]] for each in json.loads(shown.stdout)["start"]["processes"]}
        assert sorted(steps) == ["agent", "nest", "worker 1", "worker 2"]
        assert {"Load Application", "Load Agent"} <= set(steps["nest"])
        assert any(name.endswith(" app.controller.home") for name in steps["nest"])
        assert not any("app.controller" in name for name in steps["worker 1"])
        for process in ("agent", "worker 1", "worker 2"):
            assert "Will Ready in app/boot.py:will_ready" in steps[process]
    assert " Load Router\n" in cluster.cli("trace", "--all").stdout


def test_a_reload_to_a_broken_file_keeps_the_old_code_and_names_file_and_line(small: Site, serve: Callable[..., Cluster]) -> None:
    cluster = serve()
    small.write("app/controller/home.py", "class HomeController(:\n")
    refused = small.run("reload", "--title", cluster.title)
    assert refused.returncode == 1
    assert "home.py:1: invalid syntax" in refused.stderr + refused.stdout
    assert get(cluster.places[0]).text == "first"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config/default.py", "config = {'logger': {'level': 'LOUD'}}", ["logger.level='LOUD'", "default.py"]),
        ("config/default.py", "config = {'bodyparser': {}}", ["bodyparser", "use body_parser"]),
        ("config/plugin.py", "plugins = {'statik': True}", ["'statik'", "did you mean static?"]),
        (
            "app/router.py",
            "def routes(router):\n    router.get('/', 'hom.index')",
            ["the controller method 'hom.index' does not exist", "did you mean 'home.index'?"],
        ),
        (
            "app/boot.py",
            "from tamago.app import Boot\nclass AppBoot(Boot):\n    def did_load(self):\n        1 / 0",
            ["cannot start: ZeroDivisionError: division by zero (in app/boot.py:did_load)"],
        ),
        (
            "app/boot.py",
            "from tamago.app import Boot\nclass AgentBoot(Boot):\n    def did_load(self):\n        1 / 0",
            ["ZeroDivisionError"],
        ),
        (
            "app/boot.py",
            "from tamago.app import Boot\nclass AppBoot(Boot):\n    def before_fork(self):\n        1 / 0",
            [
                "before_fork failed: ZeroDivisionError: division by zero (in app/boot.py:before_fork)",
                'boot.py", line 4',
                "correct the application",
            ],
        ),
        (
            "app/boot.py",
            "from tamago.app import Boot\nclass AppBoot(Boot):\n    def after_fork(self):\n        1 / 0",
            [
                "cannot start: ZeroDivisionError: division by zero (in app/boot.py:after_fork)",
                'boot.py", line 4',
                "correct the application",
            ],
        ),
        ("pyproject.toml", "[project]\n", ["has no name in [project]"]),
    ],
)
def test_what_is_wrong_with_an_application_ends_its_start(small: Site, file: str, text: str, said: list[str]) -> None:
    small.write(file, text)
    failed = small.run("start", "--title", small.title, "--port", "0", "--workers", "1")
    assert failed.returncode == 1
    output = failed.stderr + failed.stdout
    for part in said:
        assert part in output, output
    problem = output[output.rindex("tamago: ") :].splitlines()[0].removeprefix("tamago: ")
    assert output.count(problem) == 1, output
    assert output.count("Traceback (most recent call last)") == int("1 / 0" in text), output


@pytest.mark.parametrize("hook", ["before_fork", "did_load"])
def test_a_daemon_that_cannot_start_says_why_to_its_launcher_and_to_its_log(small: Site, hook: str) -> None:
    small.write("app/boot.py", f"from tamago.app import Boot\nclass AppBoot(Boot):\n    def {hook}(self):\n        1 / 0")
    failed = small.run("start", "--daemon", "--title", small.title, "--port", "0", "--workers", "1")
    assert failed.returncode == 1
    (log,) = small.home.rglob("stderr.log")
    for text in (failed.stderr, log.read_text()):
        assert text.count('boot.py", line 4') == 1, text
        assert text.count(f"ZeroDivisionError: division by zero (in app/boot.py:{hook})") == 1, text


def test_check_finds_what_is_wrong_with_the_configuration_and_starts_nothing(small: Site) -> None:
    assert small.run("check").returncode == 0
    small.write("config/default.py", "async def config(info):\n    return {'notfound': {'page': '/'}}\n")
    failed = small.run("check")
    assert failed.returncode == 2
    assert "notfound.page" in failed.stderr
    assert not (small.home / "logs").exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config/default.py", "config = {'middleware': ['gzipp']}", "there is no middleware 'gzipp'"),
        ("app/router.py", "def routes(router):\n    router.get('/', 'hom.index')", "the controller method 'hom.index' does not exist"),
        ("app/router.py", "async def a(x): ...\ndef routes(router):\n    router.get('/', a)", "x has no annotation"),
        (
            "app/router.py",
            "async def a(ctx): ...\ndef routes(router):\n    router.get('/{x}', a)\n    router.get('/y', a)",
            "can never match",
        ),
    ],
)
def test_check_finds_what_is_wrong_with_routes_and_middleware(small: Site, file: str, text: str, said: str) -> None:
    small.write(file, text)
    failed = small.run("check")
    assert failed.returncode != 0
    assert said in failed.stderr


def test_check_looks_at_the_environment_a_start_would_use(small: Site) -> None:
    small.write("config/prod.py", "config = {'notfound': {'page': '/'}}\n")
    assert "prod.py" in small.run("check").stderr
    assert small.run("check", "--env", "local").returncode == 0
    small.write("config/env", "staging\n")
    assert small.run("check").returncode == 0


def test_a_hook_that_never_ends_is_named_when_the_boot_times_out(small: Site) -> None:
    small.write(
        "app/boot.py",
        "import asyncio\nfrom tamago.app import Boot\n"
        "class AppBoot(Boot):\n    async def will_ready(self):\n        await asyncio.Event().wait()\n",
    )
    failed = small.run("start", "--title", small.title, "--port", "0", "--workers", "1", "--boot-timeout", "3")
    assert failed.returncode == 1
    output = failed.stderr + failed.stdout
    assert "unfinished: app/boot.py:will_ready" in output
    assert "start timeline:" in output
    assert "... Will Ready in app/boot.py:will_ready\n" in small.run("trace", "--title", small.title).stdout


def test_a_framework_on_top_brings_its_own_application_and_files(small: Site, serve: Callable[..., Cluster]) -> None:
    small.write(
        "acme/__init__.py",
        "import tamago.app as base\n\nclass Application(base.Application):\n    made_by = 'acme'\n\nclass Agent(base.Agent): ...\n",
    )
    small.write("acme/config/default.py", "config = {'greeting': 'hello'}\n")
    small.write("acme/app/service/greeting.py", (
        "from tamago.app import Service\n\nclass GreetingService(Service):\n"
        "    def text(self):\n        return f'{self.config.greeting} from {self.app.made_by}'\n"
    ))  # fmt: skip
    small.write("app/controller/home.py", (
        "from tamago.app import Controller\n\nclass HomeController(Controller):\n"
        "    async def index(self):\n        return self.service.greeting.text()\n"
    ))  # fmt: skip
    assert get(serve("--framework", "acme").places[0]).text == "hello from acme"


def test_log_files_that_were_moved_away_are_opened_again_on_usr1(small: Site, serve: Callable[..., Cluster]) -> None:
    small.write("config/default.py", f"config = {{'logger': {{'dir': {str(small.root / 'logs')!r}, 'buffer': False}}}}\n")
    controller = _MINIMAL["app/controller/home.py"].replace("return", "self.logger.info('asked')\n        return")
    small.write("app/controller/home.py", controller)
    cluster = serve(workers=1)
    log = small.root / "logs" / "small-web.log"
    assert get(cluster.places[0]).text == "first"
    assert "asked" in log.read_text()
    log.rename(log.with_suffix(".old"))
    cluster.signal(signal.SIGUSR1)
    while not log.exists() or "asked" not in log.read_text():
        get(cluster.places[0])
    assert "[-/127.0.0.1/" in log.read_text()
