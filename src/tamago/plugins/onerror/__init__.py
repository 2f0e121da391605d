"""Answers for errors: a page with the source while developing, and in production nothing that the client should not know.

HTML, JSON or text, whichever the client likes; errors that are the application's fault are logged with their traceback.
"""

from __future__ import annotations

from tamago.core.plugin import Plugin
from tamago.plugins.onerror.options import OnerrorConfig

plugin = Plugin(name="onerror", config=OnerrorConfig)
