"""The cookies of a request and its answer: signed by default, encrypted on demand."""

from __future__ import annotations

from dataclasses import fields
from time import time
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from tamago.app.cookie_encryption import CookieCipher, decrypt, encrypt
from tamago.app.cookie_fields import CookieAttributes, CookieError, CookieOptions, cookie_field, parse_cookies
from tamago.app.lazy import lazy
from tamago.core.naming import snake_case
from tamago.core.suggest import did_you_mean

if TYPE_CHECKING:
    from tamago.app.context import Context

# Browsers keep no larger ones (name, value and attributes), and say so to nobody.
_LARGEST = 4093

_ATTRIBUTES = frozenset(field.name for field in fields(CookieAttributes))
_OPTIONS = frozenset(CookieOptions.__annotations__)


class Cookies:
    """`ctx.cookies`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._keys = ctx.app.keys

    @lazy
    def received(self) -> dict[str, str]:
        """What the client sent, as it sent it."""
        return parse_cookies(self._ctx.request.headers.find(b"cookie") or "")

    @property
    def cipher(self) -> CookieCipher:
        """How values are encrypted."""
        return CookieCipher(self._ctx.app.config["cookies"].cipher)

    def get(self, name: str, *, signed: bool = True, encrypt: bool = False) -> str | None:
        """Return the value of a cookie that the client sent; None without one, or if it is not as we made it.

        Signed by a key that is no longer the first: it is signed anew. With a wrong signature: the client is told to drop that.
        Raises NoKeysError when `config.keys` is needed and empty.
        """
        value = self.received.get(name)
        if value is None:
            return None
        if encrypt:
            return self._decrypted(name, value)
        return value if not signed or self._is_genuine(name, value) else None

    def set(self, name: str, value: str | None, **options: Unpack[CookieOptions]) -> None:
        """Have the client keep a cookie; None or "" takes it back. It replaces one set before with the same name.

        Raises CookieError for what cannot be sent, NoKeysError when `config.keys` is needed and empty.
        """
        ctx = self._ctx
        if unknown := options.keys() - _OPTIONS:  # Egg's `httpOnly` would be believed to be in force
            raise _unknown_option(name, min(unknown))
        if not isinstance(value, str | None):
            raise CookieError(f"the value of cookie {name!r} is of type {type(value).__name__}", hint="str(…) or JSON makes it text")
        asked: dict[str, Any] = {**msgspec.structs.asdict(ctx.app.config["cookies"]), **options}
        if asked.get("secure") is None:
            asked["secure"] = ctx.secure
        elif asked["secure"] and not ctx.secure:
            raise CookieError(
                f"secure cookie {name!r} cannot be sent over an unencrypted connection",
                hint="behind a proxy with TLS set --trusted-proxies",
            )
        attributes = CookieAttributes(**{key: asked[key] for key in _ATTRIBUTES & asked.keys()})
        plain = value or ""
        if plain and asked.get("encrypt"):
            plain = encrypt(self.cipher, self._keys.all[0], name, plain)
        signed = asked.get("signed", True) and not asked.get("encrypt")
        signature = self._keys.sign(f"{name}={plain}") if signed and plain else ""  # before anything is sent: it may be impossible
        self._send(name, plain, attributes)
        if signed:
            self._send(f"{name}.sig", signature, attributes)

    def delete(self, name: str, **options: Unpack[CookieOptions]) -> None:
        """Take a cookie back. `path` and `domain` must be those it was set with."""
        self.set(name, None, **options)

    def _is_genuine(self, name: str, value: str) -> bool:
        signature = self.received.get(f"{name}.sig")
        if signature is None:
            return False
        text = f"{name}={value}"
        key = self._keys.index(text, signature)
        if key is None:
            self.set(f"{name}.sig", None, signed=False)
        elif key > 0:
            self.set(f"{name}.sig", self._keys.sign(text), signed=False)
        return key is not None

    def _decrypted(self, name: str, value: str) -> str | None:
        plains = (decrypt(self.cipher, key, name, value) for key in self._keys.all)
        return next((plain for plain in plains if plain is not None), None)

    def _send(self, name: str, value: str, attributes: CookieAttributes) -> None:
        text = cookie_field(name, value, attributes, now=time())
        ctx = self._ctx
        if len(text) > _LARGEST:
            ctx.app.events.emit("cookie_limit_exceed", name, len(text), ctx)
        beginning = f"{name}=".encode()
        kept = (field for field in ctx.answer_fields if not (field[0] == b"set-cookie" and field[1].startswith(beginning)))
        ctx.answer_fields = (*kept, (b"set-cookie", text.encode()))


def _unknown_option(name: str, option: str) -> CookieError:
    known = sorted(_OPTIONS)
    return CookieError(
        f"cookie {name!r} has no option {option!r}{did_you_mean(snake_case(option), known)}", hint=f"there are {', '.join(known)}"
    )
