"""The text of `app/types.py`."""

from __future__ import annotations

import ast

from tamago.cli.app_types import AppTypes
from tamago.cli.type_module import render

BASES = {
    "Application": ("tamago.app.application.Application",),
    "Agent": ("tamago.app.agent.Agent",),
    "Context": ("shop.app.extend.context.Context", "tamago.app.context.Context"),
    "Helper": ("tamago.core.context_class.Helper",),
    "RequestView": ("tamago.app.request.RequestView",),
    "ResponseView": ("tamago.app.response.ResponseView",),
}


def lines(**more: dict[str, str]) -> list[str]:
    text = render(AppTypes(bases=BASES, **more))
    ast.parse(text)
    return [line.strip() for line in text.splitlines()]


def test_an_application_without_anything_of_its_own_has_types() -> None:
    assert "class Services:" in lines()


def test_an_extend_goes_before_what_it_extends() -> None:
    assert "class Context(ShopAppExtendContextContext, TamagoAppContextContext):" in lines()


def test_services_in_directories_are_nested() -> None:
    text = lines(services={"user": "app.service.user.UserService", "admin.user": "app.service.admin.user.UserService"})
    assert text[text.index("class Services_admin:") + 1] == "user: AppServiceAdminUserUserService"
    at = text.index("class Services:")
    assert text[at + 1 : at + 3] == ["admin: Services_admin", "user: UserService"]


def test_a_part_of_configuration_that_is_no_name_is_left_out() -> None:
    text = lines(config={"mail": "config.models.MailConfig", "my-part": "config.models.Part", "class": "config.models.Part"})
    at = text.index("class Config(TamagoCoreConfigConfig):")
    assert text[at + 1 : at + 3] == ["mail: MailConfig", ""]
