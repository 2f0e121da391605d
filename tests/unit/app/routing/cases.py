"""Paths that match a pattern, with the parameters, and paths that do not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

MATCHES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("/", b"/", {}),
    ("/about", b"/about", {}),
    ("/about", b"/about/", {}),
    ("/about/", b"/about", {}),
    ("/posts/{id}", b"/posts/7", {"id": "7"}),
    ("/posts/{id}", b"/posts/7/", {"id": "7"}),
    ("/posts/{id}", b"/posts/a%20b", {"id": "a b"}),
    ("/posts/{id}", b"/posts/a%2Fb", {"id": "a/b"}),
    ("/posts/{id}", b"/posts/%E4%B8%AD", {"id": "中"}),
    ("/posts/{id}", "/posts/中".encode(), {"id": "中"}),
    ("/posts/{id}", b"/posts/100%", {"id": "100%"}),
    ("/posts/{id:int}", b"/posts/007", {"id": 7}),
    ("/at/{x:float}", b"/at/1.50", {"x": 1.5}),
    ("/at/{x:float}", b"/at/3", {"x": 3.0}),
    ("/u/{u:uuid}", b"/u/12345678-1234-5678-1234-567812345678", {"u": UUID("12345678123456781234567812345678")}),
    ("/files/{rest:path}", b"/files/a/b%20c/", {"rest": "a/b c/"}),
    ("/files/{rest:path}/raw", b"/files/a/raw/b/raw", {"rest": "a/raw/b"}),
    ("/{name}.{ext}", b"/archive.tar.gz", {"name": "archive", "ext": "tar.gz"}),
    ("/{major:int}.{minor:int}", b"/3.11", {"major": 3, "minor": 11}),
    ("/v{version:int}/{id}:publish", b"/v2/x:publish", {"version": 2, "id": "x"}),
    ("/café", b"/caf%C3%A9", {}),
    ("/café", b"/caf%c3%a9", {}),
    ("/caf%c3%a9", b"/caf%C3%A9", {}),
    ("/a.b", b"/a.b", {}),
]

MISSES = [
    ("/", b""),
    ("/", b"//"),
    ("/about", b"/About"),
    ("/about", b"/about//"),
    ("/about", b"/%61bout"),
    ("/posts/{id}", b"/posts/"),
    ("/posts/{id}", b"/posts//"),
    ("/posts/{id}", b"/posts/a/b"),
    ("/posts/{id}", b"/posts/%FF"),
    ("/posts/{id:int}", b"/posts/-1"),
    ("/posts/{id:int}", b"/posts/1_0"),
    ("/posts/{id:int}", b"/posts/+1"),
    ("/posts/{id:int}", b"/posts/\xd9\xa1"),
    ("/posts/{id:int}", b"/posts/" + b"9" * 5000),
    ("/at/{x:float}", b"/at/1e5"),
    ("/at/{x:float}", b"/at/nan"),
    ("/at/{x:float}", b"/at/" + b"9" * 400),
    ("/u/{u:uuid}", b"/u/12345678"),
    ("/files/{rest:path}", b"/files/"),
    ("/files/{rest:path}", b"/files//etc/passwd"),
    ("/files/{rest:path}", b"/files/%2Fetc/passwd"),
    ("/a.b", b"/axb"),
    ("/{a}-{b}/x", b"/" + b"-" * 8000),
]
