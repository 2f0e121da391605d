"""Live news: what one worker says reaches every reader, whichever worker he is connected to."""

from __future__ import annotations

from tamago.app import Plugin

plugin = Plugin(name="feed", optional=("search",))
