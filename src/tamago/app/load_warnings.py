"""Says in the log, once at load, what stands in an application's directory without any effect, where that may be meant."""

from __future__ import annotations

import logging

from tamago.app.loaded import Loaded
from tamago.core.app_strays import has_code
from tamago.core.config_strays import like_the_environment

logger = logging.getLogger("tamago.app")


def warn_of_unread(loaded: Loaded) -> None:
    """Warn of an environment that has no files while one spelt alike has, and of schedules."""
    _warn_of_environment(loaded)
    _warn_of_schedules(loaded)


def _warn_of_environment(loaded: Loaded) -> None:
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


def _warn_of_schedules(loaded: Loaded) -> None:
    """Egg runs what stands there, so whoever comes from Egg waits for it."""
    places = [place for unit in loaded.units if has_code(place := unit.directory / "app" / "schedule")]
    if places:
        logger.warning(
            "nothing runs the schedules in %s: run them from the agent, in `server_did_ready` of AgentBoot in app/boot.py",
            ", ".join(map(str, places)),
        )
