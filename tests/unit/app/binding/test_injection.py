from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest
from tests.unit.app.binding.fakes import FakeApp, FakeContext

from tamago.app.binding import InjectionError, ServiceIndex, inject
from tamago.app.binding.injection import Injected, cycles
from tamago.core.context_class import Controller, Service

if TYPE_CHECKING:
    from somewhere import ClockService, Connection  # type: ignore[import-not-found]


class Store(Protocol):
    size: int

    def load(self, key: str) -> bytes: ...


class Mailer(ABC, Service):
    @abstractmethod
    def send(self) -> str: ...


class SmtpMailer(Mailer):
    def send(self) -> str:
        return "sent"


class DiskService(Service):
    size = 10

    def load(self, key: str) -> bytes:
        return key.encode()


class PostService(Service):
    disk: DiskService
    limit: int
    shared: ClassVar[dict[str, str]] = {}


class PostController(Controller):
    posts: PostService
    store: Store
    mailer: Mailer
    clock: ClockService
    connection: Connection
    title: str = "posts"


class DetailController(PostController):
    """Inherits what it asks for."""


def _clock() -> type[Service]:
    return type("ClockService", (Service,), {"__module__": __name__})


TREE: dict[str, type[Service]] = {"post": PostService, "data.disk": DiskService, "mailer": SmtpMailer, "clock": _clock()}


@pytest.mark.parametrize("controller", [PostController, DetailController])
def test_what_a_class_asks_for_is_the_same_object_as_by_name(controller: type[PostController]) -> None:
    app = FakeApp(TREE)
    inject([controller], app.service_index)
    ctx = FakeContext(app=app)
    made = controller(ctx)
    assert vars(made).keys() == {"ctx"}, "made before it is used"
    assert made.posts is ctx.service.post
    assert made.posts.disk is ctx.service.data.disk
    assert made.store is ctx.service.data.disk
    assert made.mailer.send() == "sent"
    assert made.clock is ctx.service.clock
    assert made.posts is made.posts
    assert made.title == "posts"
    assert not hasattr(made, "connection")
    assert controller(FakeContext(app=app)).posts is not made.posts, "each context has its own"


def test_a_value_set_by_hand_goes_first() -> None:
    app = FakeApp(TREE)
    inject([PostController], app.service_index)
    made = PostController(FakeContext(app=app))
    other = PostService(made.ctx)
    made.posts = other
    assert made.posts is other


def test_on_the_class_it_says_which_service_it_is_and_may_be_asked_for_again() -> None:
    inject([PostController], ServiceIndex(TREE))
    inject([PostController], ServiceIndex(TREE))
    attribute = vars(PostController)["posts"]
    assert isinstance(attribute, Injected)
    assert attribute.service is PostService
    assert getattr(PostController, "posts") is attribute  # noqa: B009 - to the type checker it is a PostService


class AService(Service):
    b: BService


class BService(Service):
    c: CService


class CService(Service):
    a: AService


class SelfService(Service):
    me: SelfService


def test_services_that_need_each_other_are_told_as_a_cycle() -> None:
    with pytest.raises(InjectionError) as caught:
        inject([], ServiceIndex({"a": AService, "b": BService, "c": CService, "self": SelfService}))
    assert caught.value.problems == (
        "cycle: AService → BService → CService → AService",
        "cycle: SelfService → SelfService",
    )


def test_services_that_share_one_are_no_cycle() -> None:
    assert cycles({int: [str, bytes], str: [float], bytes: [float]}) == []


class OtherDiskService(DiskService):
    pass


class StoreController(Controller):
    store: Store


class HandmadeController(Controller):
    store: Store

    def __init__(self, ctx: Any) -> None:
        super().__init__(ctx)
        self.store = DiskService(ctx)


class GenericController(Controller):
    posts: PostService


def test_a_protocol_that_none_or_several_implement_is_an_error() -> None:
    with pytest.raises(InjectionError) as caught:
        inject([StoreController], ServiceIndex({"disk": DiskService, "other": OtherDiskService}))
    (problem,) = caught.value.problems
    assert problem.startswith(
        f"{__name__}.StoreController.store: exactly one service has to implement {__name__}.Store, and 2 services do: "
    )
    assert problem.endswith(f"{__name__}.DiskService, {__name__}.OtherDiskService")
    with pytest.raises(InjectionError, match="Store, and no service does"):
        inject([StoreController], ServiceIndex({}))


def test_a_class_with_a_constructor_of_its_own_may_set_a_protocol_itself() -> None:
    inject([HandmadeController], ServiceIndex({}))
    assert isinstance(HandmadeController(FakeContext()).store, DiskService)


def test_all_that_cannot_be_given_is_told_at_once() -> None:
    with pytest.raises(InjectionError) as caught:
        inject([StoreController, GenericController], ServiceIndex({}))
    assert len(caught.value.problems) == 2
    assert caught.value.problems[1] == (
        f"{__name__}.GenericController.posts: {__name__}.PostService is no service of this application: nothing in app/service defines it"
    )
    assert "2 things are wrong" in str(caught.value)
    assert "self.service.NAME" in str(caught.value)
