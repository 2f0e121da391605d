"""Cookies: the same bytes as egg-cookies, and nothing believed that was changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.unit.app.fakes import FakeApplication, context, request

from tamago.app.context import Context
from tamago.app.cookie_encryption import CookieCipher, decrypt, encrypt
from tamago.app.cookie_fields import CookieAttributes, CookieError, cookie_field, parse_cookies
from tamago.app.cookie_keys import Keys, NoKeysError

KEY = b"demo-app_k"
NOW = 1_700_000_000.0


def receiving(cookie: str, *, keys: str = "demo-app_k", scheme: str = "http") -> Context:
    exchange = request("GET", "/", cookie=cookie)
    exchange.scheme = scheme
    return context(exchange, app=FakeApplication(keys=keys))


def sent(ctx: Context) -> list[str]:
    return [value.decode() for name, value in ctx.answer_fields if name == b"set-cookie"]


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "signature"),
    [("a=b", "oJai_Fnrq6m0u4hGsjhmS3kYrYZHMfOVCY0er9UQlKI"), ("s=v", "Ds80kwkZsiXxh_N_mdIYoBhPy6UJirhrJ5wI0D3S8Qk")],
)
def test_signatures_are_those_of_egg(text: str, signature: str) -> None:
    keys = Keys("demo-app_k")
    assert keys.sign(text) == signature
    assert keys.index(text, signature) == 0
    assert keys.index(text + "x", signature) is None


def test_a_cookie_is_sent_with_its_signature_and_believed_when_it_comes_back() -> None:
    ctx = receiving("")
    ctx.cookies.set("a", "b")
    assert sent(ctx) == [
        "a=b; path=/; httponly",
        "a.sig=oJai_Fnrq6m0u4hGsjhmS3kYrYZHMfOVCY0er9UQlKI; path=/; httponly",
    ]
    assert receiving("a=b; a.sig=oJai_Fnrq6m0u4hGsjhmS3kYrYZHMfOVCY0er9UQlKI").cookies.get("a") == "b"


def test_a_cookie_without_a_signature_is_not_believed_unless_asked() -> None:
    ctx = receiving("a=b")
    assert ctx.cookies.get("a") is None
    assert ctx.cookies.get("a", signed=False) == "b"
    assert ctx.cookies.get("other") is None


def test_a_wrong_signature_is_taken_back() -> None:
    ctx = receiving("a=forged; a.sig=oJai_Fnrq6m0u4hGsjhmS3kYrYZHMfOVCY0er9UQlKI")
    assert ctx.cookies.get("a") is None
    assert sent(ctx) == ["a.sig=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly"]


@pytest.mark.parametrize("signed", [True, False])
def test_a_cookie_is_taken_back_where_it_was_set_and_its_signature_with_it(signed: bool) -> None:
    ctx = receiving("a=b; a.sig=x")
    ctx.cookies.delete("a", path="/admin", signed=signed)
    expired = "; path=/admin; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly"
    assert sent(ctx) == [f"a={expired}", f"a.sig={expired}"][: 1 + signed]


def test_a_signature_by_an_old_key_is_renewed() -> None:
    signed = "oJai_Fnrq6m0u4hGsjhmS3kYrYZHMfOVCY0er9UQlKI"
    ctx = receiving(f"a=b; a.sig={signed}", keys="new-key,demo-app_k")
    assert ctx.cookies.get("a") == "b"
    assert sent(ctx) == [f"a.sig={Keys('new-key').sign('a=b')}; path=/; httponly"]


def test_keys_that_are_needed_and_missing_are_an_error_that_says_so() -> None:
    ctx = receiving("a=b; a.sig=x", keys="")
    with pytest.raises(NoKeysError, match="is empty"):
        ctx.cookies.get("a")
    with pytest.raises(NoKeysError):
        ctx.cookies.set("a", "b")
    ctx.cookies.set("a", "b", signed=False)


# ── encryption ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_cipher_of_egg_makes_what_egg_makes() -> None:
    assert encrypt(CookieCipher.EGG, KEY, "s", "v") == "9kpq5z2-EYxBTyw0X06Y1Q=="
    assert decrypt(CookieCipher.EGG, KEY, "s", "9kpq5z2-EYxBTyw0X06Y1Q==") == "v"


@pytest.mark.parametrize("cipher", list(CookieCipher))
@given(text=st.text(max_size=200))
def test_what_was_encrypted_is_read_again(cipher: CookieCipher, text: str) -> None:
    secret = encrypt(cipher, KEY, "s", text)
    assert decrypt(cipher, KEY, "s", secret) == text


def test_an_encrypted_cookie_cannot_be_changed_or_called_otherwise() -> None:
    secret = encrypt(CookieCipher.AES_GCM, KEY, "s", "admin=no")
    assert decrypt(CookieCipher.AES_GCM, KEY, "other", secret) is None
    assert decrypt(CookieCipher.AES_GCM, b"another key", "s", secret) is None
    changed = secret[:-2] + ("AA" if secret[-2:] != "AA" else "BB")
    assert decrypt(CookieCipher.AES_GCM, KEY, "s", changed) is None


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "%%%", "A" * 64])
@pytest.mark.parametrize("cipher", list(CookieCipher))
def test_what_was_never_encrypted_is_nothing(cipher: CookieCipher, text: str) -> None:
    assert decrypt(cipher, KEY, "s", text) is None


def test_an_encrypted_cookie_has_no_signature_and_old_keys_read_it() -> None:
    ctx = receiving("")
    ctx.cookies.set("s", "秘密", encrypt=True)
    (field,) = sent(ctx)
    back = receiving(field.partition(";")[0], keys="new,demo-app_k")
    assert back.cookies.get("s", encrypt=True) == "秘密"
    assert receiving("s=garbage").cookies.get("s", encrypt=True) is None


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({}, "a=b; path=/; httponly"),
        ({"path": "/x", "http_only": False}, "a=b; path=/x"),
        ({"max_age": 60.4}, "a=b; path=/; max-age=60; expires=Tue, 14 Nov 2023 22:14:20 GMT; httponly"),
        ({"expires": datetime(2030, 1, 2, tzinfo=UTC)}, "a=b; path=/; expires=Wed, 02 Jan 2030 00:00:00 GMT; httponly"),
        (
            {"max_age": 1, "domain": "x.io", "priority": "High", "same_site": "Lax", "secure": True, "partitioned": True},
            (
                "a=b; path=/; max-age=1; expires=Tue, 14 Nov 2023 22:13:21 GMT; domain=x.io; priority=high; samesite=lax; secure; httponly"
                "; partitioned"
            ),
        ),
        ({"same_site": "none"}, "a=b; path=/; httponly"),
        ({"same_site": "none", "secure": True}, "a=b; path=/; samesite=none; secure; httponly"),
        ({"partitioned": True}, "a=b; path=/; httponly"),
    ],
)
def test_attributes_stand_in_the_order_of_egg(attributes: dict[str, Any], field: str) -> None:
    assert cookie_field("a", "b", CookieAttributes(**attributes), now=NOW) == field


def test_taking_a_cookie_back_lets_it_expire() -> None:
    field = cookie_field("a", "", CookieAttributes(max_age=60), now=NOW)
    assert field == "a=; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly"


@pytest.mark.parametrize(
    ("name", "value", "attributes"),
    [
        ("a b", "x", {}),
        ("", "x", {}),
        ("a", "x; domain=evil", {}),
        ("a", "x\r\nset-cookie: b=c", {}),
        ("a", "é", {}),
        ("a", "x", {"path": "/; secure"}),
        ("a", "x", {"domain": "a\nb"}),
        ("a", "x", {"same_site": "lax; x"}),
    ],
)
def test_nothing_can_be_smuggled_into_a_cookie(name: str, value: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(CookieError):
        cookie_field(name, value, CookieAttributes(**attributes), now=NOW)


def test_a_cookie_is_secure_when_the_request_is() -> None:
    ctx = receiving("", scheme="https")
    ctx.cookies.set("a", "b", signed=False)
    assert sent(ctx) == ["a=b; path=/; secure; httponly"]


def test_a_secure_cookie_is_not_sent_in_clear() -> None:
    with pytest.raises(CookieError, match="unencrypted"):
        receiving("").cookies.set("a", "b", secure=True)


def test_setting_a_cookie_again_replaces_it() -> None:
    ctx = receiving("")
    ctx.cookies.set("a", "1", signed=False)
    ctx.cookies.set("ab", "2", signed=False)
    ctx.cookies.set("a", "3", signed=False)
    assert sent(ctx) == ["ab=2; path=/; httponly", "a=3; path=/; httponly"]


def test_a_cookie_larger_than_browsers_keep_is_told() -> None:
    ctx = receiving("")
    told: list[Any] = []
    ctx.app.events.on("cookie_limit_exceed", lambda *details: told.append(details[:2]))
    ctx.cookies.set("a", "x" * 4094, signed=False)
    assert told == [("a", 4094 + len("a=; path=/; httponly"))]


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2", {"a": "1", "b": "2"}),
        ("a=1; a=2", {"a": "1"}),
        ('a="x y"', {"a": "x y"}),
        ("a=b=c", {"a": "b=c"}),
        ("novalue; a=", {"a": ""}),
    ],
)
def test_the_cookies_of_a_request_are_read(header: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(header) == cookies


def test_what_cannot_be_signed_is_not_sent_without_a_signature() -> None:
    ctx = receiving("", keys="")
    with pytest.raises(NoKeysError):
        ctx.cookies.set("a", "b")
    assert sent(ctx) == []


@pytest.mark.parametrize(
    ("value", "options", "problem", "hint"),
    [
        ("b", {"httpOnly": False}, "cookie 'a' has no option 'httpOnly'; did you mean http_only?", "there are domain, encrypt, "),
        ("b", {"maxAge": 3}, "cookie 'a' has no option 'maxAge'; did you mean max_age?", "there are "),
        ("b", {"same_site": "strikt"}, "cookie 'a' cannot have same_site='strikt'", "use one of 'lax', 'strict', 'none'"),
        ("b", {"priority": "top"}, "cookie 'a' cannot have priority='top'", "use one of 'low', 'medium', 'high'"),
        (0, {}, "the value of cookie 'a' is of type int", "str(…) or JSON makes it text"),
    ],
)
def test_what_was_not_meant_so_is_refused(value: Any, options: dict[str, Any], problem: str, hint: str) -> None:
    ctx = receiving("")
    with pytest.raises(CookieError) as caught:
        ctx.cookies.set("a", value, **options)
    assert caught.value.problem == problem
    assert caught.value.hint.startswith(hint)
    assert sent(ctx) == []
