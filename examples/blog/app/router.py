"""Which path leads where."""

from __future__ import annotations

from app.controller.comment import CommentController
from app.controller.home import HomeController
from app.controller.live import LiveController
from app.controller.post import PostController

from tamago.app import Router


def routes(router: Router) -> None:
    router.get("/", HomeController.index)
    api = router.group("/api")
    api.get("/stats", HomeController.stats)
    api.resources("/posts", PostController, name="post")
    api.get("/posts/{post:int}/comments", CommentController.index, name="comments")
    api.post("/posts/{post:int}/comments", CommentController.create)
    api.get("/events", LiveController.events)
    api.websocket("/live", LiveController.socket)
