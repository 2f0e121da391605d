"""Says in the log, once at load, what stands in an application's directory without any effect, where that may be meant."""

from __future__ import annotations

import logging

from tamago.app.loaded import Loaded
from tamago.core.config_strays import like_the_environment

logger = logging.getLogger("tamago.app")


def warn_of_unread(loaded: Loaded) -> None:
    """Warn of an environment that has no files while one spelt alike has."""
    env = loaded.info.env
    alike = like_the_environment(loaded.units, loaded.info)
    if alike is not None:
        logger.warning(
            "no file in config/ is for the environment %r, but %s is there: start with its --env, or say that the defaults are meant: "
            "`config = {}` in config/%s.py",
            env,
            alike,
            env,
        )
