"""The tiny application, `main` beside it, with each request logged by the framework's loggers, below the directory it runs in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from main import app as tiny  # type: ignore[import-not-found]  # beside it in a site

import tamago
from tamago.app.logging import LoggerConfig, Loggers, build_loggers
from tamago.core.app_info import AppInfo

here = Path.cwd()
info = AppInfo(name="blog", directory=here, env="local" if (here / "local").exists() else "prod", scope="", home=here, root=here)
loggers: Loggers


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["path"] == "/rotated":
        tamago.messenger.broadcast("log-reload")
    loggers.logger.info("served %s", scope["path"])
    await tiny(scope, receive, send)


async def live(receive: Any, send: Any) -> None:
    global loggers  # noqa: PLW0603
    await receive()
    loggers = build_loggers(LoggerConfig(), info, tamago.me.role)
    loggers.listen(tamago.messenger)
    loggers.logger.info("up in slot %d", tamago.me.slot)
    loggers.ready()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    loggers.logger.info("down")
    loggers.close()
    await send({"type": "lifespan.shutdown.complete"})
