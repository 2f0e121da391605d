"""A service that is asked for by a class nobody has."""

from __future__ import annotations

from typing import Any

import pytest

from tamago.app.binding.errors import InjectionError
from tamago.app.binding.injection import inject
from tamago.app.binding.service_index import ServiceIndex
from tamago.core.context_class import Controller, Service


class PostService(Service): ...


class MisspeltController(Controller):
    posts: PsotService  # type: ignore[name-defined]  # noqa: F821 - the mistake

    async def show(self) -> Any:
        return self.posts


def test_an_annotation_that_surely_means_a_service_is_refused_with_the_one_it_means() -> None:
    with pytest.raises(InjectionError, match=r"MisspeltController\.posts: .*PsotService.*did you mean PostService\?"):
        inject([MisspeltController], ServiceIndex({"post": PostService}))
