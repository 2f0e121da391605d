from __future__ import annotations

from tamago.app import Service


class ItemService(Service):
    async def find(self, number: int) -> dict[str, object]:
        return {"id": number, "name": f"item {number}", "tags": ["a", "b"]}
