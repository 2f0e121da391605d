"""A Django application with one view, under WSGI."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(DEBUG=False, SECRET_KEY="benchmark", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True)


def hello(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"hello")


urlpatterns = [path("", hello)]
app = get_wsgi_application()
