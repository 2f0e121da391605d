from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tamago.core.app_info import AppInfo
from tamago.plugins.static.app.boot import AppBoot
from tamago.plugins.static.app.middleware.static import middleware
from tamago.plugins.static.directories import StaticConfigError
from tamago.plugins.static.options import Served, StaticConfig

pytestmark = pytest.mark.anyio

CSS = b"body { margin: 0 }\n" * 50


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    public = tmp_path / "app/public"
    public.mkdir(parents=True)
    (public / "site.css").write_bytes(CSS)
    os.utime(public / "site.css", ns=(0, 1_790_000_000_123_456_789))
    return tmp_path


class FakeContext:
    """A context, as far as the plugin knows it."""

    body: Any = None
    status = 404

    def __init__(self, path: str, method: str = "GET", **headers: str) -> None:
        self.method = method
        self.path = path
        self.exchange = SimpleNamespace(target=path.encode())
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.sent: dict[str, Any] = {}
        self.passed = False

    def get(self, name: str) -> str:
        return self.headers.get(name, "")

    def set(self, name: str, value: Any) -> None:
        self.sent[name] = value

    def vary(self, name: str) -> None:
        self.sent["vary"] = name

    def remove(self, name: str) -> None:
        self.sent.pop(name, None)


def application(home: Path, config: StaticConfig, env: str = "prod") -> Any:
    info = AppInfo(name="blog", directory=home, env=env, scope="", home=home, root=home)
    return SimpleNamespace(config=SimpleNamespace(static=config), info=info)


async def run(home: Path, ctx: FakeContext, config: StaticConfig | None = None, env: str = "prod") -> FakeContext:
    made: Any = middleware({}, application(home, config or StaticConfig(), env))

    async def call_next(ctx: FakeContext) -> None:
        ctx.passed = True

    await made(ctx, call_next)
    return ctx


async def read(body: Any) -> bytes:
    return body.read_bytes() if isinstance(body, Path) else b"".join([piece async for piece in body])


async def test_a_file_is_sent_with_what_a_client_needs_to_keep_it(home: Path) -> None:
    ctx = await run(home, FakeContext("/public/site.css"))
    assert await read(ctx.body) == CSS
    assert ctx.sent == {
        "content-type": "text/css; charset=utf-8",
        "etag": f'"{1_790_000_000_123_456_789:x}-{len(CSS):x}"',
        "last-modified": formatdate(1_790_000_000, usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize("path", ["/", "/public", "/public/", "/publicity", "/public/missing.css", "/public/../boot.py", "/public/.env"])
async def test_everything_else_goes_on(home: Path, path: str) -> None:
    (home / "app/public/.env").write_text("secret")
    (home / "app/boot.py").write_text("secret")
    ctx = await run(home, FakeContext(path))
    assert ctx.passed
    assert (ctx.body, ctx.sent) == (None, {})


async def test_a_fresh_copy_is_not_sent_again(home: Path) -> None:
    etag = (await run(home, FakeContext("/public/site.css"))).sent["etag"]
    ctx = await run(home, FakeContext("/public/site.css", if_none_match=etag))
    assert (ctx.status, ctx.body, ctx.sent["etag"]) == (304, None, etag)


async def test_a_part_is_sent_as_one(home: Path) -> None:
    ctx = await run(home, FakeContext("/public/site.css", range="bytes=5-13"))
    assert (ctx.status, await read(ctx.body)) == (206, CSS[5:14])
    assert (ctx.sent["content-range"], ctx.sent["content-length"]) == (f"bytes 5-13/{len(CSS)}", 9)


async def test_a_part_larger_than_a_piece_is_whole(home: Path) -> None:
    data = os.urandom(600_000)
    (home / "app/public/big.bin").write_bytes(data)
    ctx = await run(home, FakeContext("/public/big.bin", range="bytes=1-"))
    assert await read(ctx.body) == data[1:]


async def test_what_cannot_be_had_is_refused_without_the_files_fields(home: Path) -> None:
    ctx = await run(home, FakeContext("/public/site.css", range="bytes=5000-"))
    assert (ctx.status, ctx.body, ctx.sent["content-range"]) == (416, None, f"bytes */{len(CSS)}")
    assert not {"etag", "content-type", "cache-control"} & set(ctx.sent)
    (home / "app/public/site.css.br").write_bytes(b"brotli")
    ctx = await run(home, FakeContext("/public/site.css", if_match='"old"', accept_encoding="br"))
    assert (ctx.status, ctx.body) == (412, None)
    assert "content-encoding" not in ctx.sent


async def test_a_compressed_form_is_sent_to_who_takes_it_and_caches_know(home: Path) -> None:
    public = home / "app/public"
    (public / "site.css.br").write_bytes(b"brotli")
    (public / "site.css.gz").write_bytes(b"gzip")
    ctx = await run(home, FakeContext("/public/site.css", accept_encoding="gzip, br"))
    assert await read(ctx.body) == b"brotli"
    assert (ctx.sent["content-encoding"], ctx.sent["vary"], ctx.sent["content-type"]) == (
        "br",
        "accept-encoding",
        "text/css; charset=utf-8",
    )
    assert ctx.sent["etag"].endswith('-br"')
    plain = await run(home, FakeContext("/public/site.css"))
    assert await read(plain.body) == CSS
    assert plain.sent["vary"] == "accept-encoding"
    assert "content-encoding" not in plain.sent


async def test_a_compressed_form_that_is_older_than_the_file_is_left_alone(home: Path) -> None:
    (home / "app/public/site.css.br").write_bytes(b"of last week")
    os.utime(home / "app/public/site.css.br", ns=(0, 1))
    ctx = await run(home, FakeContext("/public/site.css", accept_encoding="br"))
    assert await read(ctx.body) == CSS
    assert "vary" not in ctx.sent


async def test_a_compressed_form_that_leads_out_is_left_alone(home: Path) -> None:
    (home / "secret").write_text("secret")
    (home / "app/public/site.css.br").symlink_to(home / "secret")
    assert await read((await run(home, FakeContext("/public/site.css", accept_encoding="br"))).body) == CSS


@pytest.mark.parametrize(
    ("name", "env", "cached"),
    [
        ("app.3f2a9c1b.js", "prod", "public, max-age=31536000, immutable"),
        ("app-3f2a9c1b4d5e.min.js", "staging", "public, max-age=31536000, immutable"),
        ("app.js", "prod", "public, max-age=60"),
        ("report-20240101.pdf", "prod", "public, max-age=60"),
        ("app-deadbeef.js", "prod", "public, max-age=60"),
        ("app.3f2a9c1b.js", "local", "no-cache"),
        ("app.js", "unittest", "no-cache"),
    ],
)
async def test_how_long_a_file_may_be_kept(home: Path, name: str, env: str, cached: str) -> None:
    (home / "app/public" / name).write_text("x")
    ctx = await run(home, FakeContext(f"/public/{name}"), StaticConfig(max_age=60), env)
    assert ctx.sent["cache-control"] == cached


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.html", "text/html; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown-thing", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
async def test_a_files_name_says_its_type(home: Path, name: str, kind: str) -> None:
    (home / "app/public" / name).write_text("x")
    assert (await run(home, FakeContext(f"/public/{name}"))).sent["content-type"] == kind


async def test_several_directories_the_longest_prefix_first(home: Path) -> None:
    for place, text in (("vendor", "vendor"), ("images", "images"), ("more", "more")):
        (home / place / "img").mkdir(parents=True)
        (home / place / "x.txt").write_text(text)
    (home / "more/only.txt").write_text("only")
    (home / "app/public/img").mkdir()
    (home / "app/public/img/x.txt").write_text("public")
    dirs = (
        Served(prefix="/", dir="vendor"),
        Served(prefix="/public/img/", dir=str(home / "images")),
        Served(prefix="/public/", dir="more"),
    )
    config = StaticConfig(dirs=dirs)
    found = {path: await read((await run(home, FakeContext(path), config)).body) for path in ("/x.txt", "/public/img/x.txt")}
    assert found == {"/x.txt": b"vendor", "/public/img/x.txt": b"images"}
    assert await read((await run(home, FakeContext("/public/only.txt"), config)).body) == b"only"


def test_only_get_and_head_come_here(home: Path) -> None:
    made: Any = middleware({}, application(home, StaticConfig()))
    assert made.methods == {"GET", "HEAD"}


def test_without_a_public_directory_there_is_no_middleware(tmp_path: Path) -> None:
    assert middleware({}, application(tmp_path, StaticConfig())) is None


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (StaticConfig(dir="missing"), "missing is to be served at /public/ and is no directory"),
        (StaticConfig(dirs=(Served(prefix="/x/", dir="gone"),)), "gone is to be served at /x/ and is no directory"),
        (StaticConfig(dir="."), "holds the application's own code"),
        (StaticConfig(dir="app"), "holds the application's own code"),
        (StaticConfig(dir="/"), "holds the application's own code"),
        (StaticConfig(immutable="("), "static.immutable '\\(' is no regular expression"),
        (StaticConfig(precompressed=("br", "deflate")), "static.precompressed has 'deflate'"),
    ],
)
def test_a_wrong_configuration_is_an_error_at_boot(home: Path, config: StaticConfig, problem: str) -> None:
    with pytest.raises(StaticConfigError, match=problem):
        middleware({}, application(home, config))


@pytest.mark.parametrize("prefix", ["public/", "/public", "", "//x"])
def test_a_prefix_begins_and_ends_with_a_slash(prefix: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.prefix"):
        msgspec.convert({"prefix": prefix}, StaticConfig)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["meta", "notfound", "body_parser", "override_method"], ["meta", "notfound", "static", "body_parser", "override_method"]),
        (["meta"], ["meta", "static"]),
        (["static", "meta", "body_parser"], ["static", "meta", "body_parser"]),
    ],
)
def test_files_are_answered_before_bodies_are_read(before: list[str], after: list[str]) -> None:
    app = SimpleNamespace(config={"core_middleware": before})
    AppBoot(app).config_will_load()
    assert app.config["core_middleware"] == after
