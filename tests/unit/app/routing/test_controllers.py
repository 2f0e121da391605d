from __future__ import annotations

from typing import Any

import pytest
from tests.unit.app.routing.routes import handler

from tamago.app.routing.controllers import Controllers, actions_of, flatten
from tamago.app.routing.errors import RouteError


class Base:
    def index(self) -> None: ...
    def _hidden(self) -> None: ...


class PostController(Base):
    title = "posts"

    def show(self) -> None: ...

    @property
    def current(self) -> None: ...

    @staticmethod
    def helper() -> None: ...


class DraftController(PostController): ...


class Stranger:
    def show(self) -> None: ...


TREE: dict[str, Any] = {"post": PostController, "admin": {"draft": DraftController}}


def test_a_tree_is_flattened_by_name() -> None:
    assert flatten(TREE) == {"admin.draft": DraftController, "post": PostController}


def test_actions_are_public_functions_inherited_ones_included() -> None:
    assert list(actions_of(DraftController)) == ["index", "show"]


@pytest.mark.parametrize(
    ("given", "handler", "controller"),
    [
        ("post.show", PostController.show, PostController),
        ("admin.draft.index", Base.index, DraftController),
        (PostController.show, PostController.show, PostController),
        (Stranger.show, Stranger.show, Stranger),
        (handler, handler, None),
        (PostController().show, None, None),
    ],
    ids=["name", "nested name", "method", "method of a class that is in no file of controllers", "function", "bound method"],
)
def test_a_handler_is_found_with_its_controller(given: Any, handler: Any, controller: type | None) -> None:
    assert Controllers(TREE).find(given) == (handler or given, controller)


def test_a_local_function_has_no_controller() -> None:
    def local() -> None: ...

    assert Controllers(TREE).find(local) == (local, None)


def test_a_method_that_several_controllers_inherit_must_be_named() -> None:
    with pytest.raises(RouteError) as caught:
        Controllers(TREE).find(Base.index)
    assert caught.value.problem.startswith("Base.index belongs to several controllers")
    assert caught.value.hint == "name the one you mean: 'admin.draft.index', 'post.index'"


def test_a_method_of_a_class_nobody_can_find_is_refused() -> None:
    class Local:
        class Inner:
            def show(self) -> None: ...

    with pytest.raises(RouteError, match=r"Inner.show is a method of a class that is no controller"):
        Controllers(TREE).find(Local.Inner.show)


@pytest.mark.parametrize("name", ["post._hidden", "post.title", "post.current", "post.helper", "post.", "post", ".show", "", "admin.show"])
def test_a_name_that_is_no_action_is_refused(name: str) -> None:
    with pytest.raises(RouteError, match="does not exist"):
        Controllers(TREE).find(name)


def test_without_controllers_the_hint_says_so() -> None:
    with pytest.raises(RouteError) as caught:
        Controllers({}).find("post.show")
    assert caught.value.hint == "app/controller has none"
