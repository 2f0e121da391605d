"""The blog in this process, without a socket. `client` and `app` are tamago's fixtures."""

from __future__ import annotations

import httpx
import pytest

from tamago.app import Application

EGG = {"title": "Egg", "body": "An egg is an egg."}


@pytest.mark.anyio
async def test_a_post_is_saved_found_changed_and_deleted(app: Application, client: httpx.AsyncClient) -> None:
    made = await client.post("/api/posts", json=EGG)
    assert (made.status_code, made.json()["title"]) == (201, "Egg")
    path = made.headers["location"]
    assert (await client.get(path)).json()["body"] == EGG["body"]
    assert (await client.put(path, json={**EGG, "title": "Eggs"})).json()["title"] == "Eggs"
    await app.background_tasks_finished()
    assert [post["id"] for post in (await client.get("/api/posts", params={"q": "egg"})).json()] == [made.json()["id"]]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


@pytest.mark.anyio
async def test_a_post_without_a_title_is_refused_with_all_that_is_wrong(client: httpx.AsyncClient) -> None:
    refused = await client.post("/api/posts", json={"title": "", "body": ""})
    assert refused.status_code == 400
    assert "title" in refused.text


@pytest.mark.anyio
async def test_comments_belong_to_a_post(client: httpx.AsyncClient) -> None:
    path = (await client.post("/api/posts", json=EGG)).headers["location"]
    assert (await client.post(f"{path}/comments", json={"author": "Ann", "text": "Yes."})).status_code == 201
    assert [comment["author"] for comment in (await client.get(f"{path}/comments")).json()] == ["Ann"]
    assert (await client.get("/api/posts/99/comments")).status_code == 404


@pytest.mark.anyio
async def test_the_page_and_its_parts_are_served(client: httpx.AsyncClient) -> None:
    assert "An Egg a Day" in (await client.get("/")).text
    assert (await client.get("/public/style.css")).headers["content-type"].startswith("text/css")
