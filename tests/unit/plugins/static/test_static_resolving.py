from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tamago.plugins.static.resolving import resolve_static


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "public"
    (root / "css").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "css/site.css").write_text("body {}")
    (root / ".env").write_text("secret")
    (root / ".git/config").write_text("secret")
    (root / "css/.hidden.css").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public-too").mkdir()
    (tmp_path / "public-too/x").write_text("secret")
    return root


def test_a_file_is_found_with_size_and_time(root: Path) -> None:
    found = resolve_static(root, "css/site.css")
    assert found is not None
    assert (found.path, found.size, found.mtime_ns) == (root / "css/site.css", 7, (root / "css/site.css").stat().st_mtime_ns)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        ".",
        "..",
        "css",
        "css/",
        "css/site.css/",
        "css//site.css",
        "/css/site.css",
        "css/./site.css",
        "css/../css/site.css",
        "../secret.txt",
        "css/../../secret.txt",
        "../public-too/x",
        "..\\secret.txt",
        "css\\site.css",
        "/etc/passwd",
        "//etc/passwd",
        ".env",
        ".git/config",
        "css/.hidden.css",
        "css/site.css\0.png",
        "css/\udcff",
        "missing.css",
        "x" * 5000,
        "css/site.css/x",
    ],
)
def test_nothing_is_found_hidden_above_or_in_odd_ways(root: Path, path: str) -> None:
    assert resolve_static(root, path) is None


def test_links_within_are_followed_and_links_out_are_not(root: Path) -> None:
    (root / "inside.css").symlink_to("css/site.css")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "absolute.txt").symlink_to(root.parent / "secret.txt")
    (root / "dir").symlink_to(root.parent)
    (root / "env.txt").symlink_to(".env")
    (root / "beside").symlink_to(root.parent / "public-too")
    (root / "loop").symlink_to("loop")
    inside = resolve_static(root, "inside.css")
    assert inside is not None
    assert inside.path == root / "css/site.css"
    for path in ("out.txt", "absolute.txt", "dir/secret.txt", "dir/public/css/../../secret.txt", "env.txt", "beside/x", "loop"):
        assert resolve_static(root, path) is None, path


def test_only_regular_files_are_found(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "null").symlink_to("/dev/null")
    assert resolve_static(root, "pipe") is None
    assert resolve_static(root, "null") is None


@given(st.lists(st.sampled_from(["..", ".", "", "css", "site.css", "secret.txt", ".env", "public", "up", "%2e%2e", "/", "\\"]), max_size=7))
def test_no_path_leads_to_a_secret(tmp_path_factory: pytest.TempPathFactory, segments: list[str]) -> None:
    base = tmp_path_factory.getbasetemp() / "static-property"
    root = base / "public"
    if not root.exists():
        (root / "css").mkdir(parents=True)
        (root / "css/site.css").write_text("body {}")
        (root / ".env").write_text("secret")
        (base / "secret.txt").write_text("secret")
        (root / "up").symlink_to("..")
    found = resolve_static(root, "/".join(segments))
    assert found is None or found.path.read_text() != "secret"
