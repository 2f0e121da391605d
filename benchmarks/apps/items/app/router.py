"""A plain answer, and one that takes a parameter, a controller and a service."""

from __future__ import annotations

from app.controller.item import ItemController

from tamago.app import Router


def routes(router: Router) -> None:
    router.get("/", ItemController.plain)
    router.get("/plain", ItemController.plain)
    router.get("/items/{number:int}", ItemController.show)
