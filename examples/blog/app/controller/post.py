"""Posts as a REST resource. Handlers that touch the database are plain functions: they run in threads."""

from __future__ import annotations

import asyncio
from typing import Annotated

from app.schema import NewPost, Post
from app.service.post import PostService
from msgspec import Meta
from plugins.search.app.service.search import SearchService

from tamago.app import Controller


class PostController(Controller):
    posts: PostService
    search: SearchService

    def index(self, page: Annotated[int, Meta(ge=1)] = 1, q: str = "") -> list[Post]:
        """List posts, or find those that have the words `q` in them."""
        return self.posts.some(self.search.find(q)) if q else self.posts.latest(page)

    def show(self, id: int) -> Post:  # noqa: A002 - the name in the path
        return self.posts.find(id)

    async def create(self, post: NewPost) -> Post:
        """Save it, and have the rest done after the answer."""
        saved = await asyncio.to_thread(self.posts.create, post)
        self.ctx.run_in_background(lambda _: self._publish(saved), name="publish")
        self.ctx.status = 201
        self.ctx.set("location", self.app.url_for("post", id=saved.id))
        return saved

    def update(self, id: int, post: NewPost) -> Post:  # noqa: A002
        return self.posts.update(id, post)

    def destroy(self, id: int) -> None:  # noqa: A002
        self.posts.delete(id)
        self.ctx.status = 204

    async def _publish(self, post: Post) -> None:
        await asyncio.to_thread(self.search.add, post.id, post.title, post.body)
        self.app.messenger.send_to_agent("blog.published", post.title)
        self.app.announce({"kind": "post", "id": post.id, "title": post.title})
