"""Replaces methods of services. Egg's `mockService` and `mockServiceError`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

from tamago.core.suggest import which_one
from tamago.errors import TamagoError

if TYPE_CHECKING:
    import pytest

    from tamago.app import Application, Service


class MockError(TamagoError):
    """What is to be mocked is not there, or cannot be mocked like that."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a mocked method."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class MockedMethod:
    """A method that is replaced; `calls` are those made so far."""

    name: str
    calls: list[Call] = field(default_factory=list)


class ServiceMocks:
    """What the fixture `mock_service` is."""

    def __init__(self, app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
        self._app = app
        self._monkeypatch = monkeypatch

    def __call__(self, service: str | type[Service], method: str, result: Any = None) -> MockedMethod:
        """Have a method of a service ("post", "admin.user", or its class) return `result`, for all contexts, until the test ends.

        A function is called in the method's place, with the arguments and without `self`; an error, or its class, is raised. Calls that do
        not fit the real method's parameters raise TypeError, as they would without the mock. Raises MockError.
        """
        cls = self._class_of(service)
        original = inspect.getattr_static(cls, method, None)
        name = f"{cls.__name__}.{method}"
        if not inspect.isfunction(original):
            known = [name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]
            raise MockError(f"there is no method {name}", hint=which_one(method, known, nothing=f"{cls.__name__} has no methods"))
        mocked = MockedMethod(name)
        self._monkeypatch.setattr(cls, method, _replacement(original, result, mocked))
        return mocked

    def _class_of(self, service: str | type[Service]) -> type[Service]:
        index = self._app.service_index
        if isinstance(service, type):
            index.path_of(service)
            return service
        if service not in index.by_name:
            raise MockError(f"there is no service {service!r}", hint=which_one(service, index.by_name, nothing="app/service/ is empty"))
        return index.by_name[service]


def _replacement(original: Callable[..., Any], result: Any, mocked: MockedMethod) -> Callable[..., Any]:
    signature = inspect.signature(original)
    replacement = _answer(result)
    is_async = inspect.iscoroutinefunction(original)
    if inspect.iscoroutinefunction(result) and not is_async:
        raise MockError(f"{mocked.name} is a plain method", hint="mock it with a plain function")

    def called(self: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        signature.bind(self, *args, **kwargs)
        mocked.calls.append(Call(args, kwargs))
        return replacement(*args, **kwargs)

    @wraps(original)
    async def waited_for(self: object, *args: Any, **kwargs: Any) -> Any:
        value = called(self, args, kwargs)
        return await value if inspect.isawaitable(value) else value

    @wraps(original)
    def plain(self: object, *args: Any, **kwargs: Any) -> Any:
        return called(self, args, kwargs)

    return waited_for if is_async else plain


def _answer(result: Any) -> Callable[..., Any]:
    if isinstance(result, BaseException) or (isinstance(result, type) and issubclass(result, BaseException)):

        def fail(*_: Any, **__: Any) -> Any:
            raise result

        return fail
    if inspect.isroutine(result):
        return result
    return lambda *_, **__: result
