"""Other applications below a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tamago.app.mounts import MountError, Mounts, is_asgi

pytestmark = pytest.mark.anyio


class Other:
    """An ASGI application that notes its scopes, with a lifespan."""

    def __init__(self, *, fails: str = "") -> None:
        self.scopes: list[Any] = []
        self.said: list[str] = []
        self.fails = fails

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self.scopes.append(scope)
            return
        for phase in ("startup", "shutdown"):
            message = await receive()
            self.said.append(message["type"])
            failed = phase == self.fails
            await send({"type": f"lifespan.{phase}.{'failed' if failed else 'complete'}", "message": "no database"})
            if failed:
                return


async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


async def nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def ignore(message: Any) -> None: ...


def http(path: str, root: str = "") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": root,
        "query_string": b"",
        "headers": [],
        "server": ("x", 80),
        "client": ("y", 1),
    }


def test_the_longest_prefix_wins_and_segments_are_whole() -> None:
    mounts, outer, inner = Mounts(), Other(), Other()
    mounts.add("/a", outer)
    mounts.add("/a/b/", inner)

    def found(path: str) -> object:
        mount = mounts.find(path)
        return mount and mount.app

    assert [found(path) for path in ("/a", "/a/", "/a/x", "/a/b", "/a/b/c", "/ab", "/")] == [outer, outer, outer, inner, inner, None, None]
    assert mounts.prefixes == (b"/a/b", b"/a")


@pytest.mark.parametrize("prefix", ["", "/", "a", "/a?b", "//a"])
def test_what_is_no_prefix_is_refused(prefix: str) -> None:
    with pytest.raises(MountError, match="cannot mount"):
        Mounts().add(prefix, Other())


def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(MountError, match="cannot mount 'main:app' at '/a'"):
        Mounts().add("/a", "main:app")


def test_two_applications_in_one_place_are_refused() -> None:
    mounts = Mounts()
    mounts.add("/a", Other())
    with pytest.raises(MountError, match="already"):
        mounts.add("/a/", Other())


@pytest.mark.parametrize(("root", "path"), [("", "/a/x"), ("/root", "/root/a/x")])
async def test_a_mounted_application_is_told_where_it_is(root: str, path: str) -> None:
    mounts, other = Mounts(), Other()
    mounts.add("/a", other)
    mount = mounts.find("/a/x")
    assert mount is not None
    await mounts(mount, http(path, root), nothing, ignore)
    (scope,) = other.scopes
    assert (scope["root_path"], scope["path"]) == (f"{root}/a", path)


async def test_a_wsgi_application_is_mounted_by_a_bridge() -> None:
    mounts, sent = Mounts(), list[Any]()

    async def send(message: Any) -> None:
        sent.append(message)

    mounts.add("/old", wsgi)
    mount = mounts.find("/old/x")
    assert mount is not None
    await mounts.start(2)
    await mounts(mount, http("/old/x"), nothing, send)
    await mounts.stop()
    assert b"".join(message.get("body", b"") for message in sent) == b"/old|/x"


async def test_mounted_applications_start_and_stop_with_ours() -> None:
    mounts, other = Mounts(), Other()
    mounts.add("/a", other)
    mounts.add("/b", without_lifespan)
    await mounts.start(2)
    assert other.said == ["lifespan.startup"]
    await mounts.stop()
    assert other.said == ["lifespan.startup", "lifespan.shutdown"]
    await mounts.stop()


async def test_a_mounted_application_that_cannot_start_says_why() -> None:
    mounts = Mounts()
    mounts.add("/a", Other(fails="startup"))
    with pytest.raises(MountError, match="failed at startup: no database"):
        await mounts.start(2)
    await mounts.stop()


async def test_a_mounted_application_that_fails_halfway_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("no database")

    mounts = Mounts()
    mounts.add("/a", broken)
    mounts.add("/b", without_lifespan)
    await mounts.start(2)
    await mounts.stop()
    assert caplog.text.count("a mounted application failed in its lifespan") == 1
    assert "no database" in caplog.text


@pytest.mark.parametrize(
    ("root", "path", "mounted"),
    [("", "/a/x", True), ("/r", "/r/a/x", True), ("/r", "/a", True), ("/r", "/r/b", False), ("/r", "/ra", False)],
)
def test_the_root_path_of_all_does_not_hide_a_mount(root: str, path: str, mounted: bool) -> None:
    mounts = Mounts()
    mounts.add("/a", Other())
    assert (mounts.of(http(path, root)) is not None) is mounted


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class SyncAsgi:
    def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "asgi"), [(without_lifespan, True), (AsgiObject(), True), (SyncAsgi(), True), (WsgiObject(), False), (wsgi, False)]
)
def test_asgi_and_wsgi_are_told_apart(app: Any, asgi: bool) -> None:
    assert is_asgi(app) is asgi
