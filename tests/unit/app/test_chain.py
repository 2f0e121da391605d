"""The onion: what runs before, what after, and never twice."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.app.fakes import FakeApplication, request

from tamago.app.chain import After, CallNext, CallNextTwiceError, Chain, Middleware, compile_chain, compile_outermost, only_for
from tamago.app.context import Context
from tamago.app.dispatch import call_route, compile_dispatch
from tamago.app.host import Endpoint
from tamago.app.middleware_setup import FoundMiddleware, MiddlewareError, check_middleware, compile_chains, set_up
from tamago.app.path_rules import PathRuleError
from tamago.core.config import Config

pytestmark = pytest.mark.anyio


def noting(name: str, log: list[str]) -> Middleware:
    async def middleware(ctx: Context, call_next: CallNext) -> None:
        log.append(f"{name} in")
        await call_next(ctx)
        log.append(f"{name} out")

    return middleware


def ending(log: list[str]) -> Endpoint:
    async def endpoint(ctx: Context) -> None:
        log.append("end")

    return endpoint


def ctx_of(app: FakeApplication, path: str = "/") -> Context:
    return app.context(request("GET", path), *app.table.match("GET", path.encode()))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
async def test_the_first_middleware_is_the_outermost(app: FakeApplication, count: int) -> None:
    log: list[str] = []
    names = [str(number) for number in range(count)]
    await compile_chain([noting(name, log) for name in names], ending(log))(ctx_of(app))
    assert log == [f"{name} in" for name in names] + ["end"] + [f"{name} out" for name in reversed(names)]


async def twice(ctx: Context, call_next: CallNext) -> None:
    await call_next(ctx)
    await call_next(ctx)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_going_on_twice_is_an_error_that_names_who_did(app: FakeApplication, place: int) -> None:
    log: list[str] = []
    around: list[Middleware] = [noting("a", log), noting("b", log)]
    around.insert(place, twice)
    with pytest.raises(CallNextTwiceError, match="middleware twice called"):
        await compile_chain(around, ending(log))(ctx_of(app))
    assert log.count("end") == 1


async def test_going_on_again_after_an_error_is_twice_as_well(app: FakeApplication) -> None:
    async def stubborn(ctx: Context, call_next: CallNext) -> None:
        try:
            await call_next(ctx)
        except KeyError:
            await call_next(ctx)

    async def failing(ctx: Context) -> None:
        raise KeyError

    with pytest.raises(CallNextTwiceError, match="stubborn"):
        await compile_chain([stubborn], failing)(ctx_of(app))


async def test_going_on_twice_is_an_error_also_when_the_next_one_answers_itself(app: FakeApplication) -> None:
    async def answering(ctx: Context, call_next: CallNext) -> None:
        ctx.body = "enough"

    with pytest.raises(CallNextTwiceError, match="middleware twice called"):
        await compile_chain([twice, answering], ending([]))(ctx_of(app))


async def test_twice_is_noticed_in_the_chain_of_a_route_and_around_it(app: FakeApplication) -> None:
    log: list[str] = []
    inner = compile_chain([noting("c", log), twice], ending(log), outer=2)
    with pytest.raises(CallNextTwiceError, match="twice"):
        await compile_chain([noting("a", log), noting("b", log)], inner)(ctx_of(app))
    log.clear()
    inner = compile_chain([noting("c", log)], ending(log), outer=2)
    with pytest.raises(CallNextTwiceError, match="twice"):
        await compile_chain([noting("a", log), twice], inner)(ctx_of(app))
    assert log == ["a in", "c in", "end", "c out"]


@pytest.mark.parametrize(
    "kinds", [kinds for count in (1, 2, 3) for kinds in itertools.product(["around", "after", "always"], repeat=count)]
)
@pytest.mark.parametrize("failing", ["", "end", "0", "1"])
async def test_what_acts_only_afterwards_does_so_in_its_place(app: FakeApplication, kinds: tuple[str, ...], failing: str) -> None:
    log: list[str] = []

    def note(name: str) -> None:
        log.append(name)
        if name == failing:
            raise KeyError(name)

    async def around(ctx: Context, call_next: CallNext) -> None:
        await call_next(ctx)
        note("around")

    async def end(ctx: Context) -> None:
        note("end")
        ctx.body = "ended"

    def made(kind: str, name: str) -> Middleware:
        return around if kind == "around" else After(lambda _: note(name), always=kind == "always")

    app.route("GET", "/", end)
    middlewares = [made(kind, str(place)) for place, kind in enumerate(kinds)]
    outcomes = []
    for chain in (compile_outermost(middlewares, call_route), Chain(compile_chain(middlewares, call_route))):
        log.clear()
        exchange = request("GET", "/")
        await compile_dispatch(app.context, {}, chain)(exchange)
        outcomes.append((exchange.status, exchange.data, tuple(log)))
    assert outcomes[0] == outcomes[1]


async def test_what_acts_afterwards_does_so_only_after_success_unless_always(app: FakeApplication) -> None:
    log: list[str] = []

    async def failing(ctx: Context) -> None:
        raise KeyError

    around = [After(lambda _: log.append("always"), always=True), After(lambda _: log.append("after"))]
    await compile_chain(around, ending(log))(ctx_of(app))
    assert log == ["end", "after", "always"]
    log.clear()
    with pytest.raises(KeyError):
        await compile_chain(around, failing)(ctx_of(app))
    assert log == ["always"]


# ── which ones, and for what ─────────────────────────────────────────────────────────────────────────────────────────


def found(**exported: Any) -> dict[str, FoundMiddleware]:
    return {name: FoundMiddleware(exported=value, source=f"app/middleware/{name}.py") for name, value in exported.items()}


async def plain(ctx: Context, call_next: CallNext) -> None:
    await call_next(ctx)


def test_names_come_in_the_order_of_config_core_first(app: FakeApplication) -> None:
    middlewares = set_up(["b"], ["c", "a"], found(a=plain, b=plain, c=plain), app)
    assert [middleware.name for middleware in middlewares] == ["b", "c", "a"]


def test_everything_wrong_with_the_names_is_said_at_once(app: FakeApplication) -> None:
    with pytest.raises(MiddlewareError) as raised:
        set_up(["metta"], ["gzip", "plain", "plain"], found(meta=plain, plain=plain), app)
    assert raised.value.problems == (
        "there is no middleware 'metta', did you mean 'meta'?",
        "there is no middleware 'gzip' among meta, plain",
        "middleware 'plain' is named 2 times",
    )
    assert raised.value.problem.startswith("3 problems:\n  - there is no middleware 'metta'")


def test_everything_wrong_with_the_files_is_said_at_once(app: FakeApplication) -> None:
    def forgot_async(ctx: Context, call_next: CallNext) -> object:
        return call_next(ctx)

    with pytest.raises(MiddlewareError) as raised:
        set_up([], ["a", "b", "c", "d"], found(a=None, b=forgot_async, c=lambda _options, _app: 7, d=plain), app)
    first, second, third = raised.value.problems
    assert first == "app/middleware/a.py defines no `middleware`"
    line = forgot_async.__code__.co_firstlineno
    assert second == f"`middleware` in app/middleware/b.py, which is forgot_async ({__file__}:{line}), takes ctx, but is not async"
    assert third == "`middleware` in app/middleware/c.py returned 7, which is no function"


def test_a_factory_gets_options_and_application_and_may_decline() -> None:
    got: list[Any] = []

    def factory(options: Any, app: Any) -> Middleware | None:
        got.append((options, app))
        return plain if options.get("wanted") else None

    app = FakeApplication(a=Config(wanted=True))
    (middleware,) = set_up([], ["a", "b"], found(a=factory, b=factory), app)
    assert middleware.run is plain
    assert got == [({"wanted": True}, app), ({}, app)]


class Counting:
    """A middleware that is an object."""

    def __init__(self, *_: Any) -> None:
        self.seen = 0

    async def __call__(self, ctx: Context, call_next: CallNext) -> None:
        self.seen += 1
        await call_next(ctx)

    async def method(self, ctx: Context, call_next: CallNext) -> None:
        await self(ctx, call_next)


@pytest.mark.parametrize(
    "exported",
    [Counting(), Counting().method, functools.partial(Counting.__call__, Counting()), Counting, lambda _options, _app: Counting()],
    ids=["object", "method", "partial", "class", "factory"],
)
async def test_a_file_may_export_whatever_is_async_or_makes_that(app: FakeApplication, exported: Any) -> None:
    (middleware,) = set_up([], ["a"], found(a=exported), app)
    log: list[str] = []
    await compile_chain([middleware.run], ending(log))(ctx_of(app))
    assert log == ["end"]


def test_a_factory_that_returns_what_can_never_be_awaited_is_refused(app: FakeApplication) -> None:
    def returned(ctx: Context, call_next: CallNext) -> None:
        call_next(ctx)

    with pytest.raises(MiddlewareError) as raised:
        set_up([], ["a"], found(a=lambda _options, _app: returned), app)
    line = returned.__code__.co_firstlineno
    assert raised.value.problem == (
        f"`middleware` in app/middleware/a.py returned returned ({__file__}:{line}), which is not async, and returns nothing to await"
    )


async def of_one_parameter(ctx: Context) -> None: ...


async def streaming(ctx: Context, call_next: CallNext) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(("exported", "why"), [(of_one_parameter, "does not take (ctx, call_next)"), (streaming, "is a generator")])
def test_an_async_export_that_is_no_middleware_is_refused(app: FakeApplication, exported: Any, why: str) -> None:
    with pytest.raises(MiddlewareError) as raised:
        set_up([], ["a"], found(a=exported), app)
    line = exported.__code__.co_firstlineno
    assert f"`middleware` in app/middleware/a.py, which is {exported.__name__} ({__file__}:{line}), {why}" in raised.value.problem


def test_a_function_that_stands_in_the_file_itself_is_named_by_its_line_alone(app: FakeApplication) -> None:
    with pytest.raises(MiddlewareError) as raised:
        set_up([], ["a"], {"a": FoundMiddleware(exported=of_one_parameter, source=__file__)}, app)
    line = of_one_parameter.__code__.co_firstlineno
    assert raised.value.problem.startswith(f"`middleware` in {__file__}:{line} does not take (ctx, call_next)")


def test_what_is_exported_can_be_checked_without_a_call() -> None:
    def must_not_run(options: Any, app: Any) -> Middleware:
        raise AssertionError("it ran")

    there = found(a=must_not_run, b=streaming, c=None, e=plain)
    with pytest.raises(MiddlewareError) as raised:
        check_middleware(["a"], ["b", "c", "d", "e"], there, Config(c=Config(enable=False), e=False))
    unknown, generator, off = raised.value.problems
    assert "no middleware 'd'" in unknown
    assert "is a generator" in generator
    assert "config.e is False" in off
    with pytest.raises(PathRuleError, match="both"):
        check_middleware([], ["a"], there, Config(a=Config(match="/a", ignore="/b")))


def test_a_middleware_can_be_turned_off_by_its_config() -> None:
    assert set_up([], ["a"], found(a=plain), FakeApplication(a=Config(enable=False))) == []


def test_a_config_of_false_is_an_error_that_says_how_to_turn_it_off() -> None:
    with pytest.raises(MiddlewareError, match=r'config\.a is False, which turns nothing off: write {"enable": False}'):
        set_up([], ["a"], found(a=plain), FakeApplication(a=False))


def test_what_the_framework_names_already_is_said_to_be_there(app: FakeApplication) -> None:
    with pytest.raises(MiddlewareError, match=r"middleware 'a' is in config\.core_middleware already"):
        set_up(["a"], ["a"], found(a=plain), app)


@pytest.mark.parametrize("exported", [None, 7, lambda _options, _app: 7])
def test_what_cannot_be_called_is_named_with_its_file(app: FakeApplication, exported: Any) -> None:
    with pytest.raises(MiddlewareError, match=r"app/middleware/a\.py"):
        set_up([], ["a"], found(a=exported), app)


def test_match_and_ignore_together_are_an_error() -> None:
    with pytest.raises(PathRuleError, match="both"):
        set_up([], ["a"], found(a=plain), FakeApplication(a=Config(match="/a", ignore="/b")))


@pytest.mark.parametrize("rule", [7, "api", ["/x", 7]])
def test_a_rule_that_means_nothing_is_an_error(rule: Any) -> None:
    with pytest.raises(PathRuleError):
        set_up([], ["a"], found(a=plain), FakeApplication(a=Config(match=rule)))


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("/api", ["/api", "/api/", "/api/x", "/%61pi/x"], ["/apix", "/", "/x/api"]),
        ("/api/", ["/api", "/api/x"], ["/apix"]),
        ("/", ["/", "/x"], []),
        (re.compile(r"\.json$"), ["/a.json"], ["/a.jsonx"]),
        (lambda ctx: ctx.get("x-in") == "1", [], ["/"]),
        (["/a", re.compile("^/b$")], ["/a/x", "/b"], ["/b/x"]),
    ],
)
async def test_match_and_ignore_choose_by_path(rule: Any, inside: list[str], outside: list[str]) -> None:
    async def mark(ctx: Context, call_next: CallNext) -> None:
        ctx.state["marked"] = True
        await call_next(ctx)

    for option, expected in (("match", True), ("ignore", False)):
        app = FakeApplication(a=Config({option: rule}))
        chain = compile_chains(set_up([], ["a"], found(a=mark), app), call_route)[1]
        for path, is_inside in [(path, True) for path in inside] + [(path, False) for path in outside]:
            ctx = ctx_of(app, path)
            await chain.run(ctx)
            assert ("marked" in ctx.state) is (is_inside is expected), (option, path)


async def test_a_middleware_for_some_methods_is_left_out_for_others(app: FakeApplication) -> None:
    @only_for("POST")
    async def posts(ctx: Context, call_next: CallNext) -> None:
        await call_next(ctx)

    middlewares = set_up([], ["plain", "posts"], found(plain=plain, posts=posts), app)
    chains, others = compile_chains(middlewares, call_route)
    assert chains["GET"] is chains["HEAD"] is chains["PUT"] is others
    assert chains["POST"] is not chains["GET"]
