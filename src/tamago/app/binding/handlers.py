"""What a route calls: a method of a controller or a function, and how its result comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tamago.app.binding.contract import Route
from tamago.core.called import constructor_problem, function_of, name_of, place_of
from tamago.core.context_class import ContextClass


class Flow(Enum):
    """How a handler's result comes."""

    ASYNC = "async"  # awaited
    STREAM = "stream"  # an async generator: its pieces are the body
    THREAD = "thread"  # a plain function: it may block, so it runs in a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """`controller` is made for each request and is the first argument; None for a function."""

    function: Callable[..., Any]
    controller: type | None
    flow: Flow
    parameters: tuple[inspect.Parameter, ...]

    @property
    def name(self) -> str:
        inner = name_of(self.function)
        return f"{name_of(self.controller)}.{inner.rpartition('.')[2]}" if self.controller is not None else inner

    @property
    def place(self) -> str:
        """File and line, "" if nobody knows."""
        return place_of(self.function)


def handler_of(route: Route) -> tuple[Handler, list[str]]:
    """Return what the route calls, and what is wrong with it."""
    function = route.handler
    controller = route.controller
    problems = []
    try:
        parameters = tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        problems.append(f"its parameters cannot be seen ({error}): write a function around it")
        parameters = ()
    if controller is not None:
        parameters = parameters[1:]
        if problem := constructor_problem(controller, "ctx"):
            problems.append(f"{problem}: write `def __init__(self, ctx)`")
    elif isinstance(owner := getattr(function, "__self__", None), ContextClass):
        problems.append(f"it is bound to one {name_of(type(owner))}, and each request has its own: give the method of the class")
    elif parameters and parameters[0].name == "self":
        problems.append("it has a parameter self but is no method of a controller: put its class into app/controller")
    flow = _flow(function)
    if flow is None:
        problems.append("it is a generator without async, which would block the event loop between pieces: write async def")
    if flow in {Flow.THREAD, Flow.STREAM} and route.websocket:
        problems.append(f"a websocket's handler must be async def{', without yield' if flow is Flow.STREAM else ''}")
    return Handler(function=function, controller=controller, flow=flow or Flow.THREAD, parameters=parameters), problems


def _flow(function: Callable[..., Any]) -> Flow | None:
    """Return how the result comes, None for a generator. An object is called by its `__call__`."""
    called = function_of(function)
    if inspect.isasyncgenfunction(called):
        return Flow.STREAM
    if inspect.iscoroutinefunction(called):
        return Flow.ASYNC
    return None if inspect.isgeneratorfunction(called) else Flow.THREAD
