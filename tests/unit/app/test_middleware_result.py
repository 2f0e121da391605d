"""What is said of a middleware that is no `async def` and returns something nobody can await."""

from __future__ import annotations

import types
from collections.abc import Awaitable, Iterator
from typing import Any, cast

import pytest

from tamago.app.middleware_result import NothingToAwaitError, checked

pytestmark = pytest.mark.anyio


async def following(ctx: Any) -> str:
    return f"answered {ctx}"


def passing_on(ctx: Any, call_next: Any) -> Awaitable[object]:
    return cast("Awaitable[object]", call_next(ctx))


@types.coroutine
def old_style(ctx: Any, call_next: Any) -> Iterator[Any]:
    return (yield from call_next(ctx).__await__())  # type: ignore[no-any-return]


@pytest.mark.parametrize("middleware", [passing_on, old_style])
async def test_what_returns_something_to_await_is_left_alone(middleware: Any) -> None:
    assert await checked(middleware)(cast("Any", "ctx"), following) == "answered ctx"


def test_what_is_async_costs_no_look() -> None:
    async def middleware(ctx: Any, call_next: Any) -> None: ...

    assert checked(middleware) is middleware


def test_what_a_plain_one_returned_is_told_with_its_place_and_what_to_write() -> None:
    def counting(ctx: Any, call_next: Any) -> int:
        return len(ctx)

    with pytest.raises(NothingToAwaitError) as caught:
        checked(cast("Any", counting))(cast("Any", "ctx"), following)
    assert (
        caught.value.problem == f"the middleware counting ({__file__}:{counting.__code__.co_firstlineno}) returned 3, and it is not async"
    )
    assert "`await call_next(ctx)`" in caught.value.hint


def test_it_is_still_known_by_its_name_and_its_methods() -> None:
    passing_on.methods = {"GET"}  # type: ignore[attr-defined]
    look: Any = checked(passing_on)
    assert (look.__qualname__, look.methods) == ("passing_on", {"GET"})
