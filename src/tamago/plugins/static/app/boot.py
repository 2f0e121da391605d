"""Puts the plugin's middleware in its place."""

from __future__ import annotations

from tamago.core.boot import Boot


class AppBoot(Boot):
    """Has files answered before anything is done about a body."""

    def config_will_load(self) -> None:
        """Insert `static` into `core_middleware`, before the body parser; unless it stands there already."""
        config = self.app.config
        names = list(config["core_middleware"])
        if "static" in names:
            return
        place = names.index("body_parser") if "body_parser" in names else len(names)
        config["core_middleware"] = [*names[:place], "static", *names[place:]]
