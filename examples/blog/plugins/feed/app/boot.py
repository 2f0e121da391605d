"""Connects each worker's hub to the others by messages."""

from __future__ import annotations

from typing import Any

from plugins.feed.hub import Hub

from tamago.app import Boot


class AppBoot(Boot):
    def did_load(self) -> None:
        self.app.feed = Hub()
        self.app.messenger.on("feed.news", self._heard)

    def _heard(self, news: Any) -> None:
        self.app.feed.publish(news)
