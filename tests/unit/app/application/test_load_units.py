"""What each load unit brings, and who wins: the application over frameworks over plugins (Egg 1.2 to 1.5)."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest
from tests.unit.app.application.project import Project, boot

from tamago.app import Agent, Application
from tamago.app.logging.options import CustomLoggerError
from tamago.app.middleware_setup import MiddlewareError
from tamago.core.importing import BrokenFileError
from tamago.core.load_error import LoadError
from tamago.errors import TamagoError

pytestmark = pytest.mark.anyio

_KINDS = ("application", "context", "request", "response", "helper")


def extend(kind: str, by: str, *more: str) -> str:
    """Return an extend that says by whom it is, and by whom what it covers is."""
    body = "".join(f"    {line}\n" for line in more)
    return (
        f"class {kind.capitalize()}:\n"
        f"    who = {by!r}\n"
        f"    only_{by} = True\n"
        "    def chain(self):\n"
        f"        return [{by!r}, *(super().chain() if hasattr(super(), 'chain') else [])]\n{body}"
    )


def extends(by: str, *kinds: str, env: str = "") -> dict[str, str]:
    return {f"app/extend/{kind}{'_' + env if env else ''}.py": extend(kind, by + env) for kind in kinds or (*_KINDS, "agent")}


def extended(app: Any) -> dict[str, Any]:
    ctx = app.create_anonymous_context()
    return {"application": app, "context": ctx, "request": ctx.request, "response": ctx.response, "helper": ctx.helper}


# ── extends ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", _KINDS)
async def test_the_application_extends_over_frameworks_and_they_over_plugins(site: Project, kind: str) -> None:
    site.plugin("one", extends("one"))
    site.plugin("two", extends("two"), dependencies=("one",))
    site.enable("two", "one")
    framework = site.framework("acme", extends("acme"))
    site.write(extends("app"))
    async with site.running(framework) as app:
        subject = extended(app)[kind]
        assert subject.chain() == ["app", "acme", "two", "one"]
        assert subject.who == "app"
        assert subject.only_one is True


@pytest.mark.parametrize("kind", _KINDS)
async def test_an_extend_for_the_environment_wins_over_every_general_one(site: Project, kind: str) -> None:
    site.plugin("one", extends("one", env="unittest") | extends("other", env="prod"))
    site.enable("one")
    site.write(extends("app") | extends("app", env="unittest"))
    async with site.running(env="unittest") as app:
        subject = extended(app)[kind]
        assert subject.chain() == ["appunittest", "oneunittest", "app"]
        assert not hasattr(subject, "only_otherprod")


def test_the_agent_is_extended_as_well_and_by_nothing_else(site: Project) -> None:
    site.plugin("one", extends("one"))
    site.enable("one")
    site.write(extends("app", "agent") | extends("app", "agent", env="unittest"))
    agent: Any = Agent.load(site.directory, env="unittest")
    assert agent.chain() == ["appunittest", "app", "one"]
    assert isinstance(agent, Agent)


async def test_an_extend_may_subclass_what_it_extends_and_call_it(site: Project) -> None:
    site.write(
        {
            "app/extend/context.py": (
                "from tamago.app import Context as Base\n\nclass Context(Base):\n"
                "    @property\n    def ip(self):\n        return 'from ' + super().ip\n"
            ),
            "app/extend/helper.py": (
                "from tamago.app import Helper as Base\n\nclass Helper(Base):\n    def shout(self, text):\n        return text.upper()\n"
            ),
        }
    )
    async with site.running() as app:
        ctx = app.create_anonymous_context()
        assert ctx.ip == "from 127.0.0.1"
        assert ctx.helper.shout("egg") == "EGG"
        assert ctx.helper is ctx.helper


def test_two_applications_in_one_process_share_no_class(site: Project) -> None:
    first, second = site.load(), site.load()
    first.context_class.mark = 1
    assert not hasattr(second.context_class, "mark")
    assert not hasattr(Application, "mark")
    assert first.context_class.app is first
    assert second.context_class.app is second


@pytest.mark.parametrize("name", ["contexts", "ctx", "context/more"])
def test_a_file_that_extends_nothing_is_refused(site: Project, name: str) -> None:
    site.write({f"app/extend/{name}.py": "class Context: ..."})
    with pytest.raises(LoadError, match=f"{name}.py extends nothing"):
        site.load()


def test_a_directory_in_plural_that_nobody_reads_is_refused(site: Project) -> None:
    site.write({"app/controllers/home.py": "from tamago.app import Controller\n\nclass HomeController(Controller): ..."})
    with pytest.raises(LoadError, match=r"app/controllers is not read; did you mean .*app/controller\?"):
        site.load()


def test_schedules_which_nothing_runs_are_warned_of_in_one_line(site: Project, caplog: pytest.LogCaptureFixture) -> None:
    site.plugin("one", {"app/schedule/sweep.py": "every = 60"})
    site.enable("one")
    site.write({"app/schedule/__init__.py": ""})
    site.load()
    Agent.load(site.directory)
    site.write({"app/schedule/mail.py": "every = 60"})
    site.load()
    first, second = caplog.messages
    one, own = site.libraries / "one/app/schedule", site.directory / "app/schedule"
    assert first.startswith(f"nothing runs the schedules in {one}: ")
    assert second.startswith(f"nothing runs the schedules in {one}, {own}: ")


async def test_a_check_finds_a_custom_loader_of_a_directory_that_does_not_exist(site: Project) -> None:
    site.configure(custom_loader={"repository": {"directory": "app/repositry"}})
    app = site.load()
    with pytest.raises(LoadError, match=r"custom_loader\.repository: there is no directory .*app/repositry"):
        await app.check()


async def test_a_check_finds_a_custom_logger_that_no_start_would_take(site: Project) -> None:
    site.configure(custom_logger={"audit": {"fiel": "audit.log"}})
    app = site.load()
    with pytest.raises(CustomLoggerError, match=r"custom_logger\.audit: .*`fiel`"):
        await app.check()


# ── services ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_SERVICE = "from tamago.app import Service\n\nclass {name}Service(Service):\n    made = 0\n    def who(self):\n        return {by!r}\n"


async def test_services_come_from_every_unit_nested_and_once_for_each_context(site: Project) -> None:
    site.plugin("one", {"app/service/cache.py": _SERVICE.format(name="Cache", by="one")})
    site.enable("one")
    framework = site.framework("acme", {"app/service/deep/down/mail.py": _SERVICE.format(name="Mail", by="acme")})
    site.write({"app/service/user.py": _SERVICE.format(name="User", by="app")})
    async with site.running(framework) as app:
        ctx, other = app.create_anonymous_context(), app.create_anonymous_context()
        assert (ctx.service.cache.who(), ctx.service.deep.down.mail.who(), ctx.service.user.who()) == ("one", "acme", "app")
        assert ctx.service.user is ctx.service.user
        assert ctx.service.user is not other.service.user
        assert ctx.service.deep.down.mail.ctx is ctx
        assert ctx.service.user.service.cache is ctx.service.cache
        assert ctx.service.user.config is app.config
        with pytest.raises(AttributeError, match=r"there is no `service\.usr`; did you mean 'user"):
            ctx.service.usr  # noqa: B018


PLAIN_CONSTRUCTOR = "    def __init__(self):\n        pass\n"


@pytest.mark.parametrize(
    ("path", "head", "made"),
    [
        ("app/controller/home.py", "from tamago.app import Controller\n\nclass HomeController(Controller):\n", "HomeController(ctx)"),
        ("app/service/user.py", "from tamago.app import Service\n\nclass UserService(Service):\n", "UserService(ctx)"),
        ("app/extend/helper.py", "\n\nclass Helper:\n", "Helper(ctx)"),
        ("app/extend/request.py", "\n\nclass Request:\n", "Request(ctx)"),
        ("app/extend/response.py", "\n\nclass Response:\n", "Response(ctx)"),
        ("app/extend/context.py", "\n\nclass Context:\n", "Context(exchange, route, params)"),
        ("app/extend/application.py", "\n\nclass Application:\n", "Application(loaded)"),
    ],
)
def test_a_class_whose_constructor_does_not_take_what_it_is_made_with_is_refused(site: Project, path: str, head: str, made: str) -> None:
    site.write({path: head + PLAIN_CONSTRUCTOR})
    with pytest.raises(LoadError) as caught:
        site.load()
    assert caught.value.problem == f"{made} cannot be made: too many positional arguments ({site.directory / path}:4)"
    assert caught.value.hint


@pytest.mark.parametrize("later", ["framework", "app"])
def test_a_service_two_units_define_is_an_error_that_names_both_files(site: Project, later: str) -> None:
    again = {"app/service/cache.py": _SERVICE.format(name="Cache", by="again")}
    site.plugin("one", {"app/service/cache.py": _SERVICE.format(name="Cache", by="one")})
    site.enable("one")
    framework = Application
    if later == "framework":
        framework = site.framework("acme", again)
    else:
        site.write(again)
    place = (site.libraries / "acme" if later == "framework" else site.directory) / "app/service/cache.py"
    with pytest.raises(LoadError, match=r"`service\.cache` is defined twice") as caught:
        site.load(framework)
    assert str(site.libraries / "one/app/service/cache.py") in caught.value.problem
    assert str(place) in caught.value.problem


async def test_a_controller_and_a_service_are_given_the_services_they_annotate(site: Project) -> None:
    site.write(
        {
            "app/service/user.py": _SERVICE.format(name="User", by="user"),
            "app/service/post.py": (
                "from tamago.app import Service\nfrom app.service.user import UserService\n\n"
                "class PostService(Service):\n    users: UserService\n"
            ),
        }
    )
    site.write(
        {
            "app/controller/home.py": (
                "from tamago.app import Controller\nfrom app.service.post import PostService\n\n"
                "class HomeController(Controller):\n    posts: PostService\n\n"
                "    async def index(self):\n"
                "        return [self.posts is self.service.post, self.posts.users is self.ctx.service.user, self.posts.users.who()]\n"
            ),
            "app/router.py": "def routes(router):\n    router.get('/', 'home.index')\n",
        }
    )
    async with site.running() as app:
        assert await answer(app) == b'[true,true,"user"]'


def test_services_that_need_each_other_are_told_when_the_application_is_loaded(site: Project) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        site.write(
            {
                f"app/service/{name}.py": (
                    "from __future__ import annotations\nfrom tamago.app import Service\n"
                    f"import app.service.{other}\n\nclass {name.upper()}Service(Service):\n"
                    f"    other: app.service.{other}.{other.upper()}Service\n"
                )
            }
        )
    with pytest.raises(TamagoError, match=r"cycle: AService → BService → AService"):
        site.load()


# ── middleware ───────────────────────────────────────────────────────────────────────────────────────────────────────

_MARK = "async def middleware(ctx, call_next):\n    ctx.state.setdefault('way', []).append({by!r})\n    await call_next(ctx)\n"


def mark(by: str) -> str:
    return _MARK.format(by=by)


async def way(app: Any, target: str = "/") -> list[str]:
    """Return what the middlewares on the way to a target left, and the framework's own not."""
    seen: list[Any] = []
    app.on("response", seen.append)
    await answer(app, target)
    return list(seen[-1].state.get("way", []))


async def answer(app: Any, target: str = "/", method: str = "GET") -> bytes:
    """Return the body of the answer to a request that nobody made."""
    ctx = app.create_anonymous_context(url=target, method=method)
    await asyncio.create_task(app.handle(ctx.exchange))
    data: bytes = ctx.exchange.answer.data
    return data


async def test_middleware_of_a_later_unit_takes_the_place_of_an_earlier_one(site: Project) -> None:
    site.plugin("one", {"app/middleware/shared.py": mark("plugin"), "app/middleware/mine.py": mark("one")})
    site.enable("one")
    framework = site.framework("acme", {"app/middleware/shared.py": mark("acme"), "app/middleware/both.py": mark("acme's both")})
    site.write({"app/middleware/both.py": mark("app's both")})
    site.configure(middleware=["both", "shared", "mine"])
    async with site.running(framework) as app:
        assert await way(app) == ["app's both", "acme", "one"]


async def test_core_middleware_runs_before_the_applications_own(site: Project) -> None:
    insert = "self.app.config['core_middleware'].insert(0, 'first')"
    site.plugin("one", {"app/middleware/first.py": mark("first"), "app/boot.py": boot(f"def config_will_load(self):\n    {insert}")})
    site.enable("one")
    site.write({"app/middleware/second.py": mark("second")})
    site.configure(middleware=["second"])
    async with site.running() as app:
        assert await way(app) == ["first", "second"]
        names = [middleware.name for middleware in app.middlewares]
        assert names[0] == "first"
        assert names[-1] == "second"
        assert {"meta", "notfound", "body_parser", "override_method"} < set(names)


@pytest.mark.parametrize(
    ("middleware", "said"),
    [
        (["gzp"], "there is no middleware 'gzp', did you mean 'gzip'?"),
        (["gzip", "gzip"], "middleware 'gzip' is named 2 times"),
        (["meta"], "middleware 'meta' is in config.core_middleware already"),
    ],
)
async def test_unknown_and_repeated_middleware_ends_the_start(site: Project, middleware: list[str], said: str) -> None:
    site.write({"app/middleware/gzip.py": mark("gzip")})
    site.configure(middleware=middleware)
    app = site.load()
    with pytest.raises(MiddlewareError) as caught:
        await app.start()
    assert said in caught.value.problem


@pytest.mark.parametrize(
    ("options", "marked"),
    [
        ({"enable": False}, []),
        ({"match": "/api"}, ["/api/x"]),
        ({"ignore": ["/api"]}, ["/", "/other"]),
        ({}, ["/", "/api/x", "/other"]),
    ],
)
async def test_options_say_whether_and_where_a_middleware_runs(site: Project, options: dict[str, object], marked: list[str]) -> None:
    site.write({"app/middleware/some.py": mark("some")})
    site.configure(middleware=["some"], some=options)
    async with site.running() as app:
        assert [target for target in ("/", "/api/x", "/other") if await way(app, target)] == marked


async def test_a_factory_gets_its_options_and_the_application(site: Project) -> None:
    site.write(
        {
            "app/middleware/some.py": (
                "def middleware(options, app):\n"
                "    async def run(ctx, call_next):\n        ctx.body = [options.greeting, app.name]\n"
                "    return run\n"
            )
        }
    )
    site.configure(middleware=["some"], some={"greeting": "hello"})
    async with site.running() as app:
        assert await answer(app) == b'["hello","small"]'


@pytest.mark.parametrize("place", ["app", "plugin"])
async def test_middleware_is_configured_by_who_may(site: Project, place: str) -> None:
    site.plugin("one", {"config/default.py": "config = {'middleware': ['some']}\n"} if place == "plugin" else {})
    site.enable("one")
    if place == "app":
        site.configure(core_middleware=["meta"])
    with pytest.raises(TamagoError, match=r"core_middleware" if place == "app" else r"middleware"):
        await site.load().start()


# ── controllers and router ───────────────────────────────────────────────────────────────────────────────────────────

_CONTROLLER = "from tamago.app import Controller\n\nclass HomeController(Controller):\n    async def index(self):\n        return {by!r}\n"


async def test_controllers_have_the_names_of_their_files(site: Project) -> None:
    site.write({"app/controller/home.py": _CONTROLLER.format(by="app"), "app/controller/admin/home.py": _CONTROLLER.format(by="admin")})
    site.router("router.get('/', 'home.index')\nrouter.get('/admin', 'admin.home.index')")
    async with site.running() as app:
        assert sorted(app.controllers.flat()) == ["admin.home", "home"]
        assert (await answer(app), await answer(app, "/admin")) == (b"app", b"admin")


def test_a_router_or_controllers_of_others_are_refused_and_not_imported(site: Project) -> None:
    site.plugin("one", {"app/controller/away.py": "1 / 0\n"})
    site.enable("one")
    framework = site.framework("acme", {"app/router.py": "1 / 0\n"})
    with pytest.raises(LoadError) as caught:
        site.load(framework)
    assert [problem.partition(" is not read")[0] for problem in caught.value.problems] == [
        str(site.libraries / "one/app/controller"),
        str(site.libraries / "acme/app/router.py"),
    ]


async def test_decorated_methods_need_no_router(site: Project) -> None:
    site.controller("@get('/things/{id:int}', name='thing')\nasync def show(self, id: int):\n    return {'id': id}")
    async with site.running() as app:
        assert await answer(app, "/things/7") == b'{"id":7}'
        assert app.url_for("thing", id=8) == "/things/8"
        assert [route.name for route in app.routes] == ["thing"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "defines no function `routes`"),
        ("routes = 1\n", "defines no function `routes`"),
        ("async def routes(router):\n    ...\n", "`routes` is async"),
        ("def routes():\n    ...\n", r"router.py:1 does not take \(router\): too many positional arguments"),
    ],
)
def test_a_router_file_that_would_register_nothing_is_refused(site: Project, source: str, said: str) -> None:
    site.write({"app/router.py": source})
    with pytest.raises(LoadError, match=said) as caught:
        site.load()
    assert str(site.directory / "app/router.py") in caught.value.problem


@pytest.mark.parametrize("hook", ["__init__(self, app)", "config_will_load(self)", "config_did_load(self)"])
async def test_a_plugin_registers_routes_in_its_boot_class_before_those_of_the_application(site: Project, hook: str) -> None:
    said = "\n    super().__init__(app)" if "__init__" in hook else ""
    body = f"def {hook}:{said}\n    self.app.router.get('/health', lambda ctx: 'fine', name='health')"
    site.plugin("one", {"app/boot.py": boot(body)})
    site.enable("one")
    site.controller("async def index(self):\n    return 'home'", "router.get('/', 'home.index')")
    async with site.running() as app:
        assert await answer(app, "/health") == b"fine"
        assert await answer(app) == b"home"
        assert [route.path for route in app.routes] == ["/health", "/"]


async def test_a_route_that_comes_too_late_is_refused_with_the_way_out(site: Project) -> None:
    site.write({"app/boot.py": boot("def did_load(self):\n    self.app.router.get('/late', print)")})
    with pytest.raises(TamagoError, match="the routes are compiled already"):
        await site.load().start()


# ── custom loaders ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_custom_loaders_fill_the_application_and_the_context(site: Project) -> None:
    repository = "class {name}Repository:\n    def __init__(self, owner):\n        self.owner = owner\n"
    site.plugin("one", {"app/repository/mail.py": repository.format(name="Mail")})
    site.enable("one")
    site.write(
        {
            "app/repository/post.py": repository.format(name="Post"),
            "app/adapter/deep/disk.py": "class Disk:\n    def __init__(self, app):\n        self.app = app\n",
        }
    )
    site.configure(
        custom_loader={
            "repository": {"directory": "app/repository", "inject": "ctx", "loadunit": True},
            "adapter": {"directory": "app/adapter"},
        }
    )
    async with site.running() as app:
        ctx = app.create_anonymous_context()
        assert ctx.repository.post.owner is ctx
        assert ctx.repository.mail is ctx.repository.mail
        assert app.adapter.deep.disk.app is app


async def test_a_custom_loader_must_not_hide_what_is_there(site: Project) -> None:
    site.configure(custom_loader={"service": {"directory": "app/x", "inject": "ctx"}, "router": {"directory": "app/x"}})
    with pytest.raises(LoadError) as caught:
        await site.load().start()
    assert "would hide ctx.service" in caught.value.problem
    assert "would hide app.router" in caught.value.problem


# ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "file", ["service/user.py", "controller/home.py", "middleware/some.py", "boot.py", "extend/context.py", "router.py"]
)
def test_a_syntax_error_names_file_and_line(site: Project, file: str) -> None:
    site.write({f"app/{file}": "a = 1\nclass (:\n"})
    with pytest.raises(BrokenFileError, match=re.escape(f"{site.directory / 'app' / file}:2: ")):
        site.load()


def test_application_code_is_imported_under_plain_names(site: Project) -> None:
    site.write({"app/service/user.py": _SERVICE.format(name="User", by="app")})
    site.load()
    assert sys.modules["app.service.user"].__file__ == str(site.directory / "app/service/user.py")


def test_an_application_reached_by_a_link_is_known_by_it(site: Project) -> None:
    link = site.directory.parent / "current"
    link.symlink_to(site.directory)
    app = Application.load(link)
    assert app.directory == link
