"""Posts in the database. Everything here blocks, so it is for handlers that are plain functions, which run in threads."""

from __future__ import annotations

from datetime import UTC

from app.schema import NewPost, Post
from app.service.comment import CommentService
from app.tables import PostRow
from sqlalchemy import select

from tamago.app import Service


class PostService(Service):
    comments: CommentService

    def latest(self, page: int) -> list[Post]:
        """Return a page of posts, the newest first; pages count from 1."""
        size = self.config.blog.page_size
        rows = self.ctx.db.scalars(select(PostRow).order_by(PostRow.id.desc()).limit(size).offset((page - 1) * size))
        return [self._post(row) for row in rows]

    def some(self, numbers: list[int]) -> list[Post]:
        """Return these posts, in this order."""
        found = {row.id: row for row in self.ctx.db.scalars(select(PostRow).where(PostRow.id.in_(numbers)))}
        return [self._post(found[number]) for number in numbers if number in found]

    def find(self, number: int) -> Post:
        """Return one post; 404 if there is none."""
        return self._post(self._row(number))

    def create(self, new: NewPost) -> Post:
        row = PostRow(title=new.title, body=new.body)
        self.ctx.db.add(row)
        self.ctx.db.commit()
        return self._post(row)

    def update(self, number: int, new: NewPost) -> Post:
        row = self._row(number)
        row.title, row.body = new.title, new.body
        self.ctx.db.commit()
        return self._post(row)

    def delete(self, number: int) -> None:
        self.ctx.db.delete(self._row(number))
        self.ctx.db.commit()

    def _row(self, number: int) -> PostRow:
        row = self.ctx.db.get(PostRow, number)
        if row is None:
            self.ctx.throw(404, f"there is no post {number}")
        return row

    def _post(self, row: PostRow) -> Post:
        return Post(
            id=row.id, title=row.title, body=row.body, published=row.published.replace(tzinfo=UTC), comments=self.comments.count(row.id)
        )
