"""Comments in the database. Blocks, as `post` does."""

from __future__ import annotations

from app.schema import Comment, NewComment
from app.tables import CommentRow
from sqlalchemy import func, select

from tamago.app import Service


class CommentService(Service):
    def count(self, post: int) -> int:
        return self.ctx.db.scalar(select(func.count()).where(CommentRow.post_id == post)) or 0

    def of(self, post: int) -> list[Comment]:
        rows = self.ctx.db.scalars(select(CommentRow).where(CommentRow.post_id == post).order_by(CommentRow.id))
        return [Comment(id=row.id, author=row.author, text=row.text) for row in rows]

    def create(self, post: int, new: NewComment) -> Comment:
        row = CommentRow(post_id=post, author=new.author, text=new.text)
        self.ctx.db.add(row)
        self.ctx.db.commit()
        return Comment(id=row.id, author=row.author, text=row.text)
