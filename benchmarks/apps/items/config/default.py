"""Nothing but what is measured."""

config: dict[str, object] = {}
