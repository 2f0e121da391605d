from __future__ import annotations

from app.service.item import ItemService

from tamago.app import Controller


class ItemController(Controller):
    items: ItemService

    async def plain(self) -> str:
        return "hello"

    async def show(self, number: int) -> dict[str, object]:
        return await self.items.find(number)
