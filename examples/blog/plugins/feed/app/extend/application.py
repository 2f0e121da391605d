"""`app.feed` and `app.announce()`."""

from __future__ import annotations

from typing import Any

from plugins.feed.hub import Hub


class Application:
    feed: Hub
    messenger: Any

    def announce(self, news: Any) -> None:
        """Tell the readers of all workers."""
        self.messenger.send_to_app("feed.news", news)
