from __future__ import annotations

from typing import Any, ClassVar

import pytest

from tamago.core.context_class import ContextClass, Service
from tamago.core.namespace import provide
from tamago.core.naming import instance_key
from tamago.core.tree import Tree


class UserService(Service):
    made = 0

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        type(self).made += 1


class RoleService(Service):
    @property
    def user(self) -> Any:
        return self.service.user


class App:
    config: ClassVar = {"key": "value"}


class Context:
    app = App()
    logger = "the context's logger"
    service: Any


TREE: Tree[Any] = Tree.grow({("user",): UserService, ("admin", "role"): RoleService, ("admin", "deep", "er"): UserService})


@pytest.fixture
def context() -> type[Context]:
    composed = type("Context", (Context,), {})
    provide(composed, TREE, "service")
    return composed


def test_a_service_is_made_when_first_asked_for_and_once_for_each_context(context: type[Context]) -> None:
    one, other = context(), context()
    before = UserService.made
    assert one.service.user is one.service.user
    assert one.service.user is not other.service.user
    assert UserService.made == before + 2
    assert one.service.user.ctx is one


def test_directories_are_namespaces_of_their_own(context: type[Context]) -> None:
    ctx = context()
    assert isinstance(ctx.service.admin.role, RoleService)
    assert ctx.service.admin.role is ctx.service.admin.role
    assert ctx.service.admin.deep.er.ctx is ctx


def test_services_reach_each_other_and_the_application_through_their_context(context: type[Context]) -> None:
    role = context().service.admin.role
    assert role.user is role.ctx.service.user
    assert role.app is Context.app
    assert role.config == {"key": "value"}
    assert role.logger == "the context's logger"


def test_two_trees_on_one_context_share_nothing(context: type[Context]) -> None:
    provide(context, TREE, "repository")
    ctx: Any = context()
    assert ctx.repository.user is not ctx.service.user


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda service: service.usr, "there is no `service.usr`; did you mean 'user'?"),
        (lambda service: service.admin.zzz, "there is no `service.admin.zzz`; there is: deep, role"),
    ],
)
def test_a_name_that_is_not_there_is_an_attribute_error_with_a_hint(context: type[Context], ask: Any, said: str) -> None:
    with pytest.raises(AttributeError) as caught:
        ask(context().service)
    assert str(caught.value) == said


def test_an_error_in_a_constructor_comes_through_and_the_next_access_tries_again(context: type[Context]) -> None:
    class FragileService(ContextClass):
        fail = True

        def __init__(self, ctx: Any) -> None:
            super().__init__(ctx)
            if self.fail:
                raise LookupError("no database")

    provide(context, Tree.grow({("fragile",): FragileService}), "service")
    ctx = context()
    with pytest.raises(LookupError):
        _ = ctx.service.fragile
    FragileService.fail = False
    assert isinstance(ctx.service.fragile, FragileService)


def test_an_instance_is_an_attribute_of_its_context_under_its_key(context: type[Context]) -> None:
    ctx = context()
    assert getattr(ctx, instance_key("service", "user")) is ctx.service.user
    assert ctx.service.admin.role is getattr(ctx, instance_key("service", "admin.role"))


def test_namespaces_say_what_they_are(context: type[Context]) -> None:
    assert repr(context().service.admin) == "<service.admin>"
    assert repr(TREE) == "<Tree user, admin.role, admin.deep.er>"


def test_an_attribute_error_of_a_constructor_is_seen_as_it_is(context: type[Context]) -> None:
    class BrokenService(ContextClass):
        def __init__(self, ctx: Any) -> None:
            super().__init__(ctx)
            self.key = ctx.app.no_such_thing

    provide(context, Tree.grow({("broken",): BrokenService}), "service")
    with pytest.raises(AttributeError, match="'App' object has no attribute 'no_such_thing'"):
        _ = context().service.broken


def test_a_service_can_be_replaced_for_one_context(context: type[Context]) -> None:
    ctx, other = context(), context()
    ctx.service.user = "a fake"
    assert ctx.service.user == "a fake"
    assert getattr(ctx, instance_key("service", "user")) == "a fake"
    assert isinstance(other.service.user, UserService)


def test_the_names_of_a_namespace_can_be_listed(context: type[Context]) -> None:
    assert dir(context().service) == ["admin", "user"]
