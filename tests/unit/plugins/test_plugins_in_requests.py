"""The plugins `onerror` and `static` with the context, middleware and dispatch of an application: what reaches the client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.fakes import FakeApplication, FakeExchange, request

from tamago.app.context import Context
from tamago.app.middleware_setup import FoundMiddleware, set_up
from tamago.core.app_info import AppInfo
from tamago.plugins.onerror.app.boot import AppBoot
from tamago.plugins.onerror.options import OnerrorConfig
from tamago.plugins.static.app.middleware import static
from tamago.plugins.static.options import StaticConfig

pytestmark = pytest.mark.anyio

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
DATA = bytes(range(256)) * 40


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Application(FakeApplication):
    """With both plugins, and a route that fails."""

    def __init__(self, home: Path, env: str = "prod") -> None:
        super().__init__(onerror=OnerrorConfig(), static=StaticConfig(), password="not-to-be-shown")
        self.info = AppInfo(name="blog", directory=home, env=env, scope="", home=home, root=home)
        AppBoot(self).did_load()
        self.router.get("/fail", self.fail)
        self.error: Exception = ValueError("the inside")

    async def fail(self, ctx: Context) -> None:
        ctx.set("set-cookie", "seen=1")
        ctx.set("strict-transport-security", "max-age=1")
        ctx.set("content-encoding", "br")
        ctx.body = b"half an answer"
        raise self.error

    async def send(self, target: str, method: str = "GET", **headers: str) -> FakeExchange:
        files = set_up(["static"], [], {"static": FoundMiddleware(exported=static.middleware, source="static")}, self)
        return await self.answer(request(method, target, None, **headers), [*self.built_in("notfound"), *files])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "app/public").mkdir(parents=True)
    (tmp_path / "app/public/data.bin").write_bytes(DATA)
    return tmp_path


async def test_a_file_is_sent_and_a_head_has_its_fields(home: Path) -> None:
    sent = await Application(home).send("/public/data.bin")
    assert (sent.status, sent.data, sent["content-type"]) == (200, DATA, "application/octet-stream")
    head = await Application(home).send("/public/data.bin", "HEAD")
    assert (head.status, head["etag"]) == (200, sent["etag"])


async def test_a_target_that_names_the_whole_url_is_understood(home: Path) -> None:
    assert (await Application(home).send("http://shop.example/public/data.bin")).data == DATA


async def test_a_part_of_a_file_is_sent(home: Path) -> None:
    sent = await Application(home).send("/public/data.bin", range="bytes=1-9")
    assert (sent.status, sent.data, sent["content-range"], sent["content-length"]) == (206, DATA[1:10], f"bytes 1-9/{len(DATA)}", "9")


async def test_a_copy_that_is_fresh_gets_304_and_keeps_its_fields(home: Path) -> None:
    app = Application(home)
    etag = (await app.send("/public/data.bin"))["etag"]
    sent = await app.send("/public/data.bin", if_none_match=str(etag))
    assert (sent.status, sent.data, sent["etag"], sent["cache-control"]) == (304, b"", etag, "no-cache")
    assert sent["content-length"] is None


async def test_a_part_beyond_the_end_is_refused(home: Path) -> None:
    sent = await Application(home).send("/public/data.bin", range="bytes=99999-")
    assert (sent.status, sent["content-range"], sent["etag"]) == (416, f"bytes */{len(DATA)}", None)


@pytest.mark.parametrize(
    "target",
    [
        "/public/missing",
        "/public/../../secret",
        "/public/%2e%2e/%2e%2e/secret",
        "/public/..%2f..%2fsecret",
        "/public/%2fetc/passwd",
        "/public/%00",
        "/public/%ff",
        "/public/data.bin%00.txt",
    ],
)
async def test_what_is_not_there_or_not_to_be_had_is_404(home: Path, target: str) -> None:
    (home / "secret").write_text("secret")
    sent = await Application(home).send(target)
    assert sent.status == 404
    assert b"secret" not in sent.data


async def test_an_error_replaces_the_half_answer_and_keeps_cookies_and_security(home: Path) -> None:
    sent = await Application(home).send("/fail", accept="application/json")
    body = json.loads(sent.data)
    assert (sent.status, body["message"], sorted(body)) == (500, "Internal Server Error", ["message", "request_id"])
    assert (sent["set-cookie"], sent["strict-transport-security"], sent["content-encoding"]) == ("seen=1", "max-age=1", None)
    assert (sent["content-type"], sent["x-content-type-options"]) == ("application/json; charset=utf-8", "nosniff")


async def test_a_browser_gets_the_page_while_developing(home: Path) -> None:
    sent = await Application(home, "local").send("/fail?token=hush", accept=BROWSER, cookie="session=hush", authorization="hush")
    page = sent.data.decode()
    assert sent["content-type"] == "text/html; charset=utf-8"
    assert "<h1><small></small>ValueError</h1><p class=message>the inside</p>" in page
    assert "hush" not in page
    assert "not-to-be-shown" not in page
    assert "test_plugins_in_requests.py<b>:" in page


@pytest.mark.parametrize("accept", [BROWSER, "application/json", "*/*"])
async def test_production_tells_nothing_in_any_format(home: Path, accept: str) -> None:
    app: Any = Application(home)
    sent = await app.send("/fail", accept=accept)
    assert sent.status == 500
    assert b"inside" not in sent.data
    assert b"Traceback" not in sent.data
