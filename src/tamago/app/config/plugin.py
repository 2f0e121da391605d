"""The plugins every application has."""

from __future__ import annotations

plugins = {
    "onerror": {"package": "tamago.plugins.onerror"},
    "static": {"package": "tamago.plugins.static"},
}
