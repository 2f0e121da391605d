"""The parameters of a route without any: one empty dict for all requests, so nobody may write to it."""

from __future__ import annotations

from typing import Any, NoReturn


class NoParams(dict[str, Any]):
    """A dict, as the parameters of any other route are, so that it can be merged and sent as JSON; it stays empty."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the route has no parameters to change: what is for others to read belongs into ctx.state")

    __setitem__ = setdefault = update = __ior__ = _refuse
