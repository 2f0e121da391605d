from __future__ import annotations

from types import ModuleType

import pytest

from tamago.core.load_error import LoadError
from tamago.core.picking import pick


class Service:
    pass


class Imported(Service):
    pass


def module(name: str, **values: object) -> ModuleType:
    made = ModuleType(name)
    made.__file__ = f"/blog/{name.replace('.', '/')}.py"
    vars(made).update(values)
    return made


def define(name: str, home: str, *bases: type) -> type:
    return type(name, bases or (Service,), {"__module__": home})


def test_the_only_class_is_picked_whatever_it_is_called() -> None:
    found = define("Anything", "app.service.user")
    assert pick(module("app.service.user", Anything=found, Service=Service, Imported=Imported, x=1), Service, "Service") is found


def test_of_several_the_one_called_like_the_file_is_picked() -> None:
    home = "app.service.user_admin"
    other, wanted = define("Other", home), define("UserAdminService", home)
    assert pick(module(home, Other=other, UserAdminService=wanted), Service, "Service") is wanted


def test_a_class_with_two_names_is_one_class() -> None:
    found = define("UserService", "app.service.user")
    assert pick(module("app.service.user", UserService=found, Legacy=found), Service, "Service") is found


def test_private_classes_do_not_count() -> None:
    home = "app.service.user"
    base = define("_Base", home)
    found = define("Accounts", home, base)
    assert pick(module(home, _Base=base, Accounts=found), Service, "Service") is found


def test_several_of_which_none_is_called_like_the_file_are_listed() -> None:
    home = "app.service.user"
    with pytest.raises(LoadError) as caught:
        pick(module(home, A=define("A", home), B=define("B", home)), Service, "Service")
    assert caught.value.problem == "/blog/app/service/user.py defines A, B, and none is called UserService"


def test_a_file_without_such_a_class_is_refused_with_what_to_write() -> None:
    with pytest.raises(LoadError) as caught:
        pick(module("app.service.user", Imported=Imported, helper=len), Service, "Service")
    assert caught.value.problem == "/blog/app/service/user.py defines no subclass of Service"
    assert caught.value.hint.startswith("write `class UserService(Service)` there")


def test_any_class_will_do_for_a_loader_without_a_base() -> None:
    plain = type("Plain", (), {"__module__": "app.repository.post"})
    assert pick(module("app.repository.post", Plain=plain), object, "Repository") is plain
    with pytest.raises(LoadError) as caught:
        pick(module("app.repository.post"), object, "Repository")
    assert caught.value.problem.endswith("defines no class")
