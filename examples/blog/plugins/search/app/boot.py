"""Has the index made wherever the tables are made: importing it is all."""

from __future__ import annotations

from plugins.search import index

from tamago.app import Boot


class AppBoot(Boot):
    index = index


class AgentBoot(Boot):
    index = index
