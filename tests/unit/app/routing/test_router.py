from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.routing.routes import handler

from tamago.app.routing.declared import get, routes
from tamago.app.routing.errors import RouteError, UrlError
from tamago.app.routing.route import UNBOUND, Endpoint, Outcome, Route
from tamago.app.routing.route_group import RouteGroup
from tamago.app.routing.router import Router


class PostController:
    async def index(self) -> None: ...
    async def show(self, post_id: int) -> None: ...


async def first(ctx: Any, call_next: Endpoint) -> None: ...
async def second(ctx: Any, call_next: Endpoint) -> None: ...


def endpoint_of(route: Route) -> Endpoint:
    return route.handler if route.endpoint is UNBOUND else route.endpoint


@pytest.fixture
def router() -> Router:
    return Router({"post": PostController, "admin": {"post": type("PostController", (PostController,), {})}})


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_a_verb_takes_its_method(router: Router, verb: str) -> None:
    getattr(router, verb)("/a", handler)
    assert [(route.methods, route.path, route.handler) for route in router.routes] == [((verb.upper(),), "/a", handler)]


def test_a_verb_hands_on_what_it_was_given(router: Router) -> None:
    router.get("/a", first, second, "post.index", name="posts", host="api.example.com", timeout=2.5)
    (route,) = router.routes
    assert (route.middleware, route.handler, route.controller) == ((first, second), PostController.index, PostController)
    assert (route.name, route.host, route.timeout, route.websocket) == ("posts", "api.example.com", 2.5, False)


def test_several_paths_share_a_handler_and_the_first_is_the_url(router: Router) -> None:
    router.get(["/posts", "/articles"], handler, name="posts")
    assert [(route.path, route.name) for route in router.routes] == [("/posts", "posts"), ("/articles", "posts")]
    assert router.url_for("posts") == "/posts"


def test_all_takes_what_is_left(router: Router) -> None:
    router.get("/a", "post.index")
    router.all("/a", handler)
    match = router.compile(endpoint_of).match
    assert [match(method, b"/a")[0].handler for method in ("GET", "HEAD", "DELETE")] == [
        PostController.index,
        PostController.index,
        handler,
    ]


def test_register_takes_any_methods(router: Router) -> None:
    router.register(["PROPFIND", "GET"], "/a", handler)
    assert router.routes[0].methods == ("PROPFIND", "GET")


def test_a_websocket_is_no_http_route(router: Router) -> None:
    router.websocket("/chat/{room}", first, handler, name="chat")
    table = router.compile(endpoint_of)
    assert table.match("GET", b"/chat/1")[0].outcome is Outcome.NOT_FOUND
    assert table.match_websocket(b"/chat/1")[0].middleware == (first,)
    assert router.url_for("chat", room=1) == "/chat/1"


def test_a_route_knows_where_it_was_registered(router: Router) -> None:
    with router.group("/x") as group:
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        group.get("/a", handler)
    assert router.routes[0].source == f"{__file__}:{line}"


def test_groups_add_prefix_middleware_and_host(router: Router) -> None:
    with router.group("/api/", middleware=[first], host="api.example.com") as api, api.group("/{tenant}", middleware=[second]) as tenant:
        api.get("/", handler)
        api.get("", handler, host="old.example.com")
        tenant.get("/posts/{id}", handler, name="post")
    assert [(route.path, route.middleware, route.host) for route in router.routes] == [
        ("/api", (first,), "api.example.com"),
        ("/api", (first,), "old.example.com"),
        ("/api/{tenant}/posts/{id}", (first, second), "api.example.com"),
    ]
    assert router.url_for("post", tenant="x", id=1) == "/api/x/posts/1"


def test_a_group_without_prefix_leaves_paths_as_they_are(router: Router) -> None:
    router.group(middleware=[first]).get("/", handler)
    assert [(route.path, route.middleware) for route in router.routes] == [("/", (first,))]


def test_a_name_can_be_shared_by_routes_with_one_path_only(router: Router) -> None:
    router.get("/posts/{id}", handler, name="post")
    router.put("/posts/{key}", handler, name="post")
    with pytest.raises(RouteError, match=r"the name 'post' of GET /articles/{id} .* belongs to GET /posts/{id}"):
        router.get("/articles/{id}", handler, name="post")


def test_an_unknown_name_has_no_url(router: Router) -> None:
    router.get("/posts", handler, name="posts")
    with pytest.raises(UrlError) as caught:
        router.url_for("post")
    assert str(caught.value) == "no route is named 'post'\ndid you mean 'posts'?"


def test_a_parameter_may_be_called_name(router: Router) -> None:
    router.get("/users/{name}", handler, name="user")
    assert router.url_for("user", name="ann") == "/users/ann"


def test_a_converter_of_your_own_is_matched_converted_and_written(router: Router) -> None:
    router.converter("tags", r"[a-zé]+(,[a-zé]+)*", convert=lambda text: text.split(","), format=",".join)
    router.get("/tagged/{tags:tags}", handler, name="tagged")
    match = router.compile(endpoint_of).match
    assert match("GET", b"/tagged/a,caf%C3%A9")[1] == {"tags": ["a", "café"]}
    assert match("GET", b"/tagged/A")[0].outcome is Outcome.NOT_FOUND
    assert router.url_for("tagged", tags=["a", "é"]) == "/tagged/a%2C%C3%A9"
    with pytest.raises(UrlError, match=r"\['A'\] cannot be the 'tags'"):
        router.url_for("tagged", tags=["A"])


def test_a_converter_that_raises_value_error_leaves_the_path_to_others(router: Router) -> None:
    def even(text: str) -> int:
        number = int(text)
        if number % 2:
            raise ValueError(text)
        return number

    router.converter("even", "[0-9]+", convert=even)
    router.get("/n/{n:even}", "post.index")
    router.get("/n/{n}", "post.show")
    match = router.compile(endpoint_of).match
    assert [match("GET", path)[1] for path in (b"/n/2", b"/n/3")] == [{"n": 2}, {"n": "3"}]


def forgot(ctx: Any, call_next: Endpoint) -> None:
    call_next(ctx)


@routes(middleware=[forgot])  # type: ignore[list-item]
class GroupForgotController:
    @get("/a")
    async def index(self) -> None: ...


class ForgotController:
    @get("/a", forgot)  # type: ignore[arg-type]
    async def index(self) -> None: ...


@pytest.mark.parametrize(
    "register",
    [
        lambda router: router.get("/a", first, forgot, handler),
        lambda router: router.register(["PURGE"], "/a", forgot, handler),
        lambda router: router.websocket("/a", forgot, handler),
        lambda router: router.resources("/posts", forgot, "post"),
        lambda router: router.group("/api", middleware=[first, forgot]),
        lambda router: router.group(middleware=[first]).group(middleware=[forgot]),
        lambda router: router.add_controllers({"a": GroupForgotController}),
        lambda router: router.add_controllers({"a": ForgotController}),
    ],
    ids=["get", "register", "websocket", "resources", "group", "group in a group", "decorated class", "decorated method"],
)
def test_a_middleware_that_can_never_be_awaited_is_refused_however_it_is_given(
    router: Router, register: Callable[[Router], object]
) -> None:
    with pytest.raises(RouteError) as caught:
        register(router)
    line = forgot.__code__.co_firstlineno
    assert caught.value.problem.startswith(f"the middleware forgot ({__file__}:{line}) is not async, and returns nothing to await")
    assert "write `async def`" in caught.value.hint


@pytest.mark.parametrize(
    ("register", "problem", "hint"),
    [
        (lambda router: router.get("home", "/", handler), "the path 'home' does not begin with a slash", "name=…"),
        (lambda router: router.get("/a"), "the route '/a' has no handler", "'post.show'"),
        (lambda router: router.get([], handler), "no path", "list"),
        (lambda router: router.get("/a", "post.sow"), "'post.sow' does not exist", "did you mean 'post.show'?"),
        (lambda router: router.get("/a", "index"), "'index' does not exist", "did you mean"),
        (lambda router: router.get("/a", "admin.post.nothing"), "'admin.post.nothing' does not exist", "'admin.post."),
        (lambda router: router.get("/a", PostController), "is a class", "PostController.index"),
        (lambda router: router.get("/a", 7), "7 is not a handler", "function"),
        (lambda router: router.get("/a", "gzip", handler), "'gzip' is not a middleware", "call_next"),
        (lambda router: router.get("/a", PostController, handler), "is not a middleware", "call_next"),
        (lambda router: router.register(["get"], "/a", handler), "'get' is no HTTP method", "'GET'"),
        (lambda router: router.register([], "/a", handler), "no method", "['GET']"),
        (lambda router: router.get("/a", handler, host="A.b"), "the host 'A.b' is none", "lower case"),
        (lambda router: router.get("/a", handler, timeout=-1), "-1 seconds", "0 for no timeout"),
        (lambda router: router.get("/a", handler, timeout=float("nan")), "nan seconds", "0 for no timeout"),
        (lambda router: router.get("/a", handler, timeout="5"), "'5' seconds", "0 for no timeout"),
        (lambda router: router.get("/a", handler, nmae="a"), "an option 'nmae', which does not exist; did you mean name?", "timeout"),
        (lambda router: router.register(["GET"], "/a", handler, x=1), "an option 'x', which does not exist", "name, host, timeout"),
        (lambda router: router.websocket("/a", handler, tiemout=1), "did you mean timeout?", "name, host, timeout"),
        (lambda router: router.get("/a", handler, middleware=[]), "the route '/a' has an option 'middleware'", "in order, without a name"),
        (lambda router: router.resources("/posts", "post", nmae="a"), "the resource '/posts' has an option 'nmae'", "name, param, host"),
        (lambda router: router.resources("/posts", "post", parm="x"), "which does not exist; did you mean param?", "before the controller"),
        (lambda router: router.redirect("/a", "/b", stauts=301), "the redirect from '/a' has an option 'stauts'", "status, name, host"),
        (lambda router: router.group("/api", midleware=[]), "the group '/api' has an option 'midleware', which does", "prefix, middleware"),
        (lambda _: routes("/posts", hots="a.b"), "`@routes('/posts')` has an option 'hots', which does not exist; did you", "host"),  # type: ignore[arg-type]
        (lambda router: router.group("api"), "the prefix 'api'", "'/api'"),
        (lambda router: router.group("/api", middleware=["x"]), "'x' is not a middleware", "call_next"),
        (lambda router: router.converter("int", "x"), "converter 'int' already", "another name"),
        (lambda router: router.converter("a b", "x"), "'a b' cannot name", "letters"),
        (lambda router: router.converter("x", "("), "the regex '(' of converter 'x' is wrong", "re"),
        (lambda router: router.resources("/posts"), "has no controller", "'post'"),
        (lambda router: router.resources("/posts", "psot"), "'psot' does not exist", "did you mean 'post'?"),
        (lambda router: router.resources("/posts", int), "no method for a resource", "index"),
        (lambda router: router.redirect("/a", "/b", 200), "200 is no status", "301"),
        (lambda router: router.redirect("/a", "//evil.com"), "'//evil.com' is nowhere to redirect to", "http(s)"),
        (lambda router: router.redirect("/a", "/b\r\nx: y"), "nowhere to redirect to", "http(s)"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(router: Router, register: Callable[[Router], object], problem: str, hint: str) -> None:
    with pytest.raises(RouteError) as caught:
        register(router)
    assert problem in caught.value.problem
    assert hint in caught.value.hint
    assert router.routes == ()


def test_what_cannot_be_right_is_told_with_the_line_that_registers_it(router: Router) -> None:
    with pytest.raises(RouteError) as caught:
        router.get("/a", "post.sow")
    line = inspect.getsourcelines(test_what_cannot_be_right_is_told_with_the_line_that_registers_it)[1] + 2
    assert caught.value.problem == f"the controller method 'post.sow' does not exist ({__file__}:{line})"


def test_a_compiled_router_is_closed(router: Router) -> None:
    group = router.group("/a")
    router.compile(endpoint_of)
    for late in (router, group):
        with pytest.raises(RouteError, match="compiled already"):
            late.get("/b", handler)
    with pytest.raises(RouteError, match="compiled already"):
        router.converter("x", "x")


def test_compiling_gives_each_route_its_endpoint(router: Router) -> None:
    async def endpoint(ctx: Any) -> None: ...

    router.get("/a", handler)
    table = router.compile(lambda _route: endpoint)
    assert table.match("GET", b"/a")[0].endpoint is endpoint


def test_a_redirect_alone_has_its_endpoint_before_it_is_compiled(router: Router) -> None:
    router.get("/a", handler)
    router.redirect("/b", "/a")
    assert [route.endpoint is UNBOUND for route in router.routes] == [True, False]


def test_every_verb_is_there_in_a_group() -> None:
    assert issubclass(Router, RouteGroup)
    assert Path(inspect.getfile(RouteGroup)).name == "route_group.py"
