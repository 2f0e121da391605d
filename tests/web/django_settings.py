"""Django's settings are one for the process: what every test with Django in it shares, whichever comes first."""

from __future__ import annotations

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]

urlpatterns: list[object] = []


def configure() -> None:
    """Have Django configured; routes are each test's own."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="x",
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        )
        django.setup()
