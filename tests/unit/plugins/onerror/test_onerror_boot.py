from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tamago.app.errors import HttpError
from tamago.core.app_info import AppInfo
from tamago.plugins.onerror.app.boot import AppBoot
from tamago.plugins.onerror.options import OnerrorConfig

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class FakeContext:
    """A context, as far as the plugin knows it."""

    body: Any = None
    type = ""
    status = 404
    method, path, ip, request_id = "GET", "/users/2", "127.0.0.1", "r-1"

    def __init__(self, accept: str) -> None:
        secrets = {"authorization": "Bearer abc", "cookie": "EGG_SESS=abc", "x-api-key": "abc"}
        self.headers: dict[str, str] = {"accept": accept, "host": "localhost", **secrets}
        self.queries: dict[str, list[str]] = {"api_key": ["abc"], "q": ["x"]}
        self.params: dict[str, Any] = {}
        self.route = SimpleNamespace(path="/users/{id}", source="/srv/blog/app/router.py:3")
        self.sent: dict[str, str] = {}
        self.logger = logging.getLogger("app")

    def get(self, name: str) -> str:
        return self.headers.get(name, "")

    def set(self, name: str, value: str) -> None:
        self.sent[name] = value


def application(env: str = "prod", **options: Any) -> Any:
    home = Path("/srv/blog")
    emitted: list[tuple[Any, ...]] = []

    class Config(dict[str, Any]):
        onerror = OnerrorConfig(**options)

    app = SimpleNamespace(
        config=Config(keys="abc", level="INFO"),
        info=AppInfo(name="blog", directory=home, env=env, scope="", home=home, root=home),
        events=SimpleNamespace(emit=lambda *event: emitted.append(event)),
        emitted=emitted,
        on_error=None,
    )
    AppBoot(app).did_load()
    return app


async def answer(app: Any, error: Exception, accept: str = "text/plain") -> FakeContext:
    ctx = FakeContext(accept)
    await app.on_error(error, ctx)
    return ctx


async def test_an_error_of_ours_is_logged_with_its_traceback_told_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    app, error = application(), ValueError("why")
    ctx = await answer(app, error)
    assert (ctx.status, ctx.body) == (500, "Internal Server Error\nrequest id: r-1\n")
    assert ctx.sent["content-type"] == "text/plain; charset=utf-8"
    (record,) = caplog.records
    assert (record.levelname, record.getMessage(), record.exc_info) == ("ERROR", "ValueError: why", (ValueError, error, None))
    assert app.emitted == [("error", error, ctx)]


async def test_an_error_of_the_client_is_a_warning_and_told_nobody(caplog: pytest.LogCaptureFixture) -> None:
    app = application()
    ctx = await answer(app, HttpError(404, "no user 2"))
    assert (ctx.status, ctx.body) == (404, "no user 2\n")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage(), record.exc_info) == ("WARNING", "404 no user 2", None)
    assert app.emitted == []


async def test_the_page_hides_what_is_secret_in_request_and_configuration() -> None:
    ctx = await answer(application("local"), ValueError("why"), "text/html")
    assert "abc" not in ctx.body
    for shown in ("authorization", "cookie", "x-api-key", "api_key", "localhost", ">/users/{id} · app/router.py:3", "INFO"):
        assert shown in ctx.body


async def test_errors_can_be_kept_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = application(app_error_filter=lambda error, ctx: not isinstance(error, ValueError))
    assert (await answer(app, ValueError("quiet"))).status == 500
    assert caplog.records == []
    await answer(app, TypeError("loud"))
    assert len(caplog.records) == 1


async def test_an_application_may_answer_in_a_format_itself() -> None:
    async def own(error: Exception, ctx: Any) -> None:
        ctx.body = {"failed": str(error)}

    app = application(json=own, text=lambda error, ctx: setattr(ctx, "body", "mine"))
    ctx = await answer(app, HttpError(409, "twice"), "application/json")
    assert (ctx.status, ctx.body) == (409, {"failed": "twice"})
    assert (await answer(app, HttpError(409))).body == "mine"
    assert "<h1>" in (await answer(app, HttpError(409), "text/html")).body


@pytest.mark.parametrize(
    ("set_by_it", "kind"), [({"body": "<p>mine"}, "html"), ({"body": {}}, ""), ({"body": "<svg>", "type": "svg"}, "svg")]
)
async def test_an_answer_for_browsers_is_html_unless_it_says_otherwise(set_by_it: dict[str, Any], kind: str) -> None:
    def own(error: Exception, ctx: Any) -> None:
        for name, value in set_by_it.items():
            setattr(ctx, name, value)

    ctx = await answer(application(html=own), HttpError(409), "text/html")
    assert (ctx.body, ctx.type) == (set_by_it["body"], kind)
