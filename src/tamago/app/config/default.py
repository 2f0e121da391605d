"""What holds unless an application says otherwise; the other defaults stand in `models`."""

from __future__ import annotations

config = {
    "keys": "",
    "core_middleware": ["meta", "request_id", "notfound", "body_parser", "override_method", "request_timeout"],
    "custom_logger": {},
    "custom_loader": {},
    "close_timeout": 10.0,
}
