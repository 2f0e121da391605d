"""Signs cookies, with keys that can be changed while old cookies are still about. Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from tamago.errors import TamagoError


class NoKeysError(TamagoError):
    """Something must be signed or encrypted, and there is nothing to do it with."""

    def __init__(self) -> None:
        super().__init__(
            "cookies cannot be signed or encrypted: config.keys is empty",
            hint="set `keys` to a long random text in config, from the environment in production; to change it, put the new one in front",
        )


class Keys:
    """`config.keys`: the first one signs and encrypts, all of them are tried for what comes back."""

    def __init__(self, keys: str | Sequence[str]) -> None:
        given = keys.split(",") if isinstance(keys, str) else keys
        self._keys = tuple(key.strip().encode() for key in given if key.strip())

    @property
    def all(self) -> tuple[bytes, ...]:
        """The keys, newest first. Raises NoKeysError when there are none."""
        if not self._keys:
            raise NoKeysError
        return self._keys

    def sign(self, text: str) -> str:
        """Return the signature of a text, as egg-cookies makes it: HMAC-SHA256 in URL-safe base64 without padding."""
        return _signature(self.all[0], text)

    def index(self, text: str, signature: str) -> int | None:
        """Return which key made this signature of this text, 0 for the newest; None for none of them."""
        for at, key in enumerate(self.all):
            if hmac.compare_digest(_signature(key, text).encode(), signature.encode()):
                return at
        return None

    def __repr__(self) -> str:
        return f"<{len(self._keys)} keys>"


def _signature(key: bytes, text: str) -> str:
    return urlsafe_b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).rstrip(b"=").decode()
