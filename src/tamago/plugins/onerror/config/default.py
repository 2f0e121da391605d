"""Defaults of the plugin `onerror`; what they mean is said in its `options`."""

from __future__ import annotations

config = {"onerror": {"error_page_url": "", "html": None, "json": None, "text": None, "app_error_filter": None}}
