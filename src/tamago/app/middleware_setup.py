"""From `config.core_middleware` and `config.middleware` to the compiled chains."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tamago.app.chain import CallNext, Chain, Middleware, compile_outermost
from tamago.app.host import Endpoint
from tamago.app.middleware_result import checked
from tamago.app.middleware_shape import is_async, misfit, named
from tamago.app.path_rules import Applies, applies
from tamago.core.called import place_of
from tamago.core.config import Config
from tamago.core.load_error import LoadError
from tamago.core.suggest import close_match

if TYPE_CHECKING:
    from tamago.app.context import Context

_NO_OPTIONS = Config()

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class MiddlewareError(LoadError):
    """The list of middlewares cannot be had as configured. `problems` has one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            problems,
            hint="see `middleware` in config, and the files in app/middleware: each has `async def middleware(ctx, call_next)`, "
            "or `def middleware(options, app)` that returns one",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMiddleware:
    """What a file in `app/middleware` exports as `middleware`: `async def (ctx, call_next)`, or a factory `(options, app)` of one."""

    exported: Any
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedMiddleware:
    """A middleware in its place. `methods` None: it is for all."""

    name: str
    run: Middleware
    methods: frozenset[str] | None = None


def set_up(core: Sequence[str], own: Sequence[str], found: Mapping[str, FoundMiddleware], app: Any) -> list[NamedMiddleware]:
    """Return the enabled middlewares in order: the framework's and plugins' (`core`), then the application's `own`.

    Each gets the part of config with its name as options; `enable: False` there leaves it out, and so does a factory that returns None.
    Raises MiddlewareError with everything that is wrong, PathRuleError for `match` and `ignore`.
    """
    if problems := _misnamed(core, own, found):
        raise MiddlewareError(problems)
    made: list[NamedMiddleware | None] = []
    for name in (*core, *own):
        try:
            made.append(make(name, found[name], app.config.get(name, _NO_OPTIONS), app))
        except MiddlewareError as error:
            problems.extend(error.problems)
    if problems:
        raise MiddlewareError(problems)
    return [middleware for middleware in made if middleware is not None]


def check_middleware(core: Sequence[str], own: Sequence[str], found: Mapping[str, FoundMiddleware], config: Mapping[str, Any]) -> None:
    """Look at names, files and rules only; nothing is called. Raises MiddlewareError with everything that is wrong, then PathRuleError."""
    options = {name: config.get(name, _NO_OPTIONS) for name in (*core, *own) if name in found}
    wanted = [name for name in options if _is_wanted(options[name])]
    problems = _misnamed(core, own, found)
    problems += [problem for name in wanted if (problem := _no_options(name, options[name]) or _misfit(found[name]))]
    if problems:
        raise MiddlewareError(problems)
    for name in wanted:
        applies(name, options[name])


def _misnamed(core: Sequence[str], own: Sequence[str], found: Mapping[str, FoundMiddleware]) -> list[str]:
    names = [*core, *own]
    problems = [_unknown(name, found) for name in dict.fromkeys(names) if name not in found]
    return problems + [_repeated(name, core, own) for name in dict.fromkeys(names) if names.count(name) > 1]


def _no_options(name: str, options: Any) -> str:
    return f'config.{name} is False, which turns nothing off: write {{"enable": False}}' if options is False else ""


def _is_wanted(options: Any) -> bool:
    return bool(getattr(options, "enable", True))


def make(name: str, found: FoundMiddleware, options: Any, app: Any) -> NamedMiddleware | None:
    """Return one middleware, None for one that is not wanted. Raises MiddlewareError, and what its factory raises."""
    if problem := _no_options(name, options):
        raise MiddlewareError([problem])
    if not _is_wanted(options):
        return None
    exported = found.exported
    if problem := _misfit(found):
        raise MiddlewareError([problem])
    run = exported if is_async(exported) else exported(options, app)
    if run is None:
        return None
    if not callable(run) or isinstance(run, type):
        raise MiddlewareError([f"`middleware` in {found.source} returned {run!r}, which is no function"])
    if problem := misfit(run):
        raise MiddlewareError([f"`middleware` in {found.source} returned {named(run)}, which {problem}"])
    methods = getattr(run, "methods", None) or getattr(exported, "methods", None)
    rule, run = applies(name, options), checked(run)
    return NamedMiddleware(name=name, run=run if rule is None else _conditional(run, rule), methods=methods)


def _misfit(found: FoundMiddleware) -> str:
    """Return what is wrong with what a file exports, "" for nothing."""
    exported = found.exported
    if exported is None:
        return f"{found.source} defines no `middleware`"
    if not callable(exported):
        return f"`middleware` in {found.source} is {exported!r}, which is no function"
    if is_async(exported) or inspect.isasyncgenfunction(exported):
        problem = misfit(exported)
        return f"{_labelled(found)} {problem}" if problem else ""
    if inspect.isfunction(exported) and not inspect.iscoroutinefunction(exported) and "ctx" in inspect.signature(exported).parameters:
        # Called as a factory it would fail somewhere inside.
        return f"{_labelled(found)} takes ctx, but is not async"
    return ""


def _labelled(found: FoundMiddleware) -> str:
    """Return what messages call the function a file exports, which need not be written there."""
    place = place_of(found.exported)
    if place.rpartition(":")[0] == found.source:
        return f"`middleware` in {place}"
    return f"`middleware` in {found.source}, which is {named(found.exported)},"


def compile_chains(middlewares: Sequence[NamedMiddleware], endpoint: Endpoint) -> tuple[dict[str, Chain], Chain]:
    """Return the chain of each common method, and the one of all others. Methods with the same middlewares share theirs."""
    compiled: dict[tuple[str, ...], Chain] = {}

    def chain(method: str) -> Chain:
        chosen = [middleware for middleware in middlewares if middleware.methods is None or method in middleware.methods]
        key = tuple(middleware.name for middleware in chosen)
        if key not in compiled:
            compiled[key] = compile_outermost([middleware.run for middleware in chosen], endpoint)
        return compiled[key]

    return {method: chain(method) for method in METHODS}, chain("")


def _conditional(run: Middleware, rule: Applies) -> Middleware:
    def middleware(ctx: Context, call_next: CallNext) -> Awaitable[object]:
        return run(ctx, call_next) if rule(ctx) else call_next(ctx)

    middleware.__qualname__ = getattr(run, "__qualname__", type(run).__qualname__)
    return middleware


def _repeated(name: str, core: Sequence[str], own: Sequence[str]) -> str:
    if name in core and name in own:
        return f"middleware {name!r} is in config.core_middleware already: take it out of config.middleware"
    return f"middleware {name!r} is named {(*core, *own).count(name)} times"


def _unknown(name: str, found: Mapping[str, FoundMiddleware]) -> str:
    close = close_match(name, found)
    return f"there is no middleware {name!r}" + (f", did you mean {close!r}?" if close else f" among {', '.join(sorted(found)) or 'none'}")
