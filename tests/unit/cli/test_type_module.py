"""The text of `app/types.py`."""

from __future__ import annotations

import ast
from typing import Any

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


def lines(**more: Any) -> list[str]:
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


def test_what_custom_loaders_put_on_application_and_context_is_theirs() -> None:
    post, deep = "app.repository.post.PostRepository", "app.repository.deep.post.PostRepository"
    text = lines(custom={"Context": {"repository": {"post": post, "deep.post": deep}}, "Application": {"job": {}}})
    at = text.index("class Context_repository:")
    assert text[at + 1 : at + 3] == ["deep: Context_repository_deep", "post: PostRepository"]
    at = text.index("class Context_repository_deep:")
    assert text[at + 1] == "post: AppRepositoryDeepPostPostRepository"
    assert text.count("repository: Context_repository") == 1
    assert text[text.index("class Application_job:") + 1] == "pass"
    at = text.index("class Application(TamagoAppApplicationApplication):")
    assert text[at + 1 : at + 3] == ["config: Config", "job: Application_job"]
