"""Nothing but what is measured, and nothing left behind."""

from __future__ import annotations

config = {"dump": {"enable": False}}
