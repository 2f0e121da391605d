"""What the database holds."""

from __future__ import annotations

from datetime import UTC, datetime

from plugins.db.database import Base
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column


class PostRow(Base):
    __tablename__ = "post"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str]
    published: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class CommentRow(Base):
    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("post.id", ondelete="CASCADE"), index=True)
    author: Mapped[str]
    text: Mapped[str]
