"""The comments of a post."""

from __future__ import annotations

from app.schema import Comment, NewComment
from app.service.comment import CommentService
from app.service.post import PostService

from tamago.app import Controller


class CommentController(Controller):
    posts: PostService
    comments: CommentService

    def index(self, post: int) -> list[Comment]:
        self.posts.find(post)
        return self.comments.of(post)

    def create(self, post: int, comment: NewComment) -> Comment:
        self.posts.find(post)
        saved = self.comments.create(post, comment)
        self.app.announce({"kind": "comment", "post": post, "author": saved.author})
        self.ctx.status = 201
        return saved
