"""Defaults of the plugin `static`; what they mean is said in its `options`."""

from __future__ import annotations

from tamago.plugins.static.options import StaticConfig

_defaults = StaticConfig()

config = {
    "static": {
        "prefix": _defaults.prefix,
        "dir": _defaults.dir,
        "dirs": [],
        "max_age": _defaults.max_age,
        "immutable": _defaults.immutable,
        "precompressed": list(_defaults.precompressed),
    }
}
