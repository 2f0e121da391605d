"""What can be a middleware, and what surely cannot."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tamago.app.chain import After
from tamago.app.middleware_shape import is_async, misfit, named


async def right(ctx: Any, call_next: Any) -> None:
    await call_next(ctx)


def passing_on(ctx: Any, call_next: Any) -> Awaitable[object]:
    awaitable: Awaitable[object] = call_next(ctx)
    return awaitable


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


def given_more(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(ctx: Any, call_next: Any) -> Any:
        return await function(ctx, call_next, "more")

    return wrapper


@given_more
async def wanting_more(ctx: Any, call_next: Any, more: str) -> None: ...


class Right:
    async def __call__(self, ctx: Any, call_next: Any) -> None: ...

    async def method(self, ctx: Any, call_next: Any) -> None: ...

    @classmethod
    async def of_class(cls, ctx: Any, call_next: Any) -> None: ...

    @staticmethod
    async def static(ctx: Any, call_next: Any) -> None: ...


async def with_options(options: Any, ctx: Any, call_next: Any) -> None: ...


def only_for_some(ctx: Any, call_next: Any) -> Awaitable[object] | None:
    """Fail for the others: nobody can tell from outside which there are."""
    if ctx:
        return passing_on(ctx, call_next)
    return None


def either(ctx: Any, call_next: Any) -> Awaitable[object] | None:
    return call_next(ctx) if ctx else None


def within(ctx: Any, call_next: Any) -> Awaitable[object]:
    with contextlib.nullcontext():
        return passing_on(ctx, call_next)


def refusing(ctx: Any, call_next: Any) -> Awaitable[object]:
    raise PermissionError


@types.coroutine
def old_style(ctx: Any, call_next: Any) -> Iterator[Any]:
    yield


@pytest.mark.parametrize(
    "middleware",
    [
        right,
        Right(),
        Right().method,
        Right.of_class,
        Right.static,
        functools.partial(with_options, {}),
        functools.partial(functools.partial(with_options), {}),
        After(lambda _: None),
        wanting_more,
    ],
)
def test_what_is_async_is_right_however_it_is_given(middleware: Any) -> None:
    assert is_async(middleware)
    assert misfit(middleware) == ""


@pytest.mark.parametrize(
    "middleware",
    [
        passing_on,
        decorated(right),
        lambda ctx, call_next: call_next(ctx),
        only_for_some,
        either,
        within,
        refusing,
        old_style,
        max,  # written in C
    ],
)
def test_what_may_return_something_to_await_is_not_refused(middleware: Any) -> None:
    assert not is_async(middleware)
    assert misfit(middleware) == ""


def forgot(ctx: Any, call_next: Any) -> None:
    call_next(ctx)


def forgot_it_twice(ctx: Any, call_next: Any) -> None:
    if ctx:
        return
    call_next(ctx)


def allowed(ctx: Any, call_next: Any) -> bool:
    if ctx:
        raise PermissionError
    return True


class Forgot:
    def __call__(self, ctx: Any, call_next: Any) -> None: ...

    def method(self, ctx: Any, call_next: Any) -> None: ...


def forgot_with_options(options: Any, ctx: Any, call_next: Any) -> None: ...


@pytest.mark.parametrize(
    "middleware",
    [
        forgot,
        forgot_it_twice,
        allowed,
        Forgot(),
        Forgot().method,
        functools.partial(forgot_with_options, {}),
        lambda ctx, call_next: None,
    ],
)
def test_what_never_returns_something_to_await_is_refused(middleware: Any) -> None:
    assert misfit(middleware) == "is not async, and returns nothing to await"


def generator(ctx: Any, call_next: Any) -> Iterator[Any]:
    yield call_next(ctx)


async def async_generator(ctx: Any, call_next: Any) -> AsyncIterator[Any]:
    yield await call_next(ctx)


@pytest.mark.parametrize("middleware", [generator, async_generator, functools.partial(async_generator)])
def test_a_generator_is_refused(middleware: Any) -> None:
    assert misfit(middleware) == "is a generator, which nobody can await"


async def handler(ctx: Any) -> None: ...


async def with_keyword(ctx: Any, *, call_next: Any) -> None: ...


@pytest.mark.parametrize(
    ("middleware", "why"),
    [
        (handler, "too many positional arguments"),
        (with_keyword, "too many positional arguments"),
        (with_options, "missing a required argument: 'call_next'"),
        (lambda ctx: None, "too many positional arguments"),
    ],
)
def test_what_takes_something_else_is_refused(middleware: Any, why: str) -> None:
    assert misfit(middleware) == f"does not take (ctx, call_next): {why}"


@pytest.mark.parametrize(
    ("middleware", "name", "definition"),
    [
        (forgot, "forgot", forgot),
        (Forgot(), "Forgot", Forgot.__call__),
        (Forgot().method, "Forgot.method", Forgot.method),
        (functools.partial(forgot_with_options, {}), "forgot_with_options", forgot_with_options),
        (decorated(right), "right", right),
    ],
)
def test_it_is_named_with_the_line_of_its_definition(middleware: Any, name: str, definition: Any) -> None:
    assert named(middleware) == f"{name} ({__file__}:{definition.__code__.co_firstlineno})"


def test_what_is_written_in_c_has_a_name_only() -> None:
    assert named(max) == "max"
