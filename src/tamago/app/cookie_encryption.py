"""Encrypts the values of cookies, so that the client can neither read nor change them. Needs the `crypto` extra."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from tamago.errors import TamagoError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_BLOCK = 16


class CookieCipher(Enum):
    """How cookies are encrypted: `config.cookies.cipher`."""

    AES_GCM = "aes-gcm"
    EGG = "egg"
    """As egg-cookies: a value always looks the same, and who changes it is not noticed for certain. Only to share cookies with Egg."""


class CryptographyMissingError(TamagoError):
    """The package that encrypts is not installed."""

    def __init__(self) -> None:
        super().__init__("cookies cannot be encrypted: the cryptography package is not installed", hint="run: pip install 'tamago[crypto]'")


def encrypt(cipher: CookieCipher, key: bytes, name: str, value: str) -> str:
    """Return the encrypted value of the cookie `name`. Raises CryptographyMissingError."""
    if cipher is CookieCipher.EGG:
        return urlsafe_b64encode(_cbc(key, value.encode(), encrypting=True)).decode()
    aesgcm = _aesgcm(key)
    nonce = secrets.token_bytes(_NONCE)
    # The name is part of what is authenticated: the value of one cookie cannot be passed off as that of another.
    return urlsafe_b64encode(nonce + aesgcm.encrypt(nonce, value.encode(), name.encode())).rstrip(b"=").decode()


def decrypt(cipher: CookieCipher, key: bytes, name: str, text: str) -> str | None:
    """Return the value of the cookie `name`; None for what this key did not encrypt. Raises CryptographyMissingError."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if cipher is CookieCipher.EGG:
            return _cbc(key, data, encrypting=False).decode()
        return _aesgcm(key).decrypt(data[:_NONCE], data[_NONCE:], name.encode()).decode()
    except (ValueError, _invalid_tag()):
        return None


@lru_cache(maxsize=16)
def _aesgcm(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
    except ImportError:
        raise CryptographyMissingError from None
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"tamago cookie").derive(key))


def _invalid_tag() -> type[Exception]:
    try:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    except ImportError:
        raise CryptographyMissingError from None
    return InvalidTag


def _cbc(key: bytes, data: bytes, *, encrypting: bool) -> bytes:
    """AES-256-CBC with key and IV from OpenSSL's EVP_BytesToKey (MD5, no salt), as Node's `createCipher` had it. Raises ValueError."""
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.padding import PKCS7  # noqa: PLC0415
    except ImportError:
        raise CryptographyMissingError from None
    material = b""
    block = b""
    while len(material) < 32 + _BLOCK:
        block = hashlib.md5(block + key, usedforsecurity=False).digest()
        material += block
    cipher = Cipher(algorithms.AES(material[:32]), modes.CBC(material[32 : 32 + _BLOCK]))
    padding = PKCS7(_BLOCK * 8)
    if encrypting:
        padder, worker = padding.padder(), cipher.encryptor()
        return worker.update(padder.update(data) + padder.finalize()) + worker.finalize()
    remover, worker = padding.unpadder(), cipher.decryptor()
    return remover.update(worker.update(data) + worker.finalize()) + remover.finalize()
