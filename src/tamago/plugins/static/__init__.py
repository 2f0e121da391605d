"""Serves files: those in the application's `app/public` as `/public/…`, or whatever directories are configured."""

from __future__ import annotations

from tamago.core.plugin import Plugin
from tamago.plugins.static.options import StaticConfig

plugin = Plugin(name="static", config=StaticConfig)
