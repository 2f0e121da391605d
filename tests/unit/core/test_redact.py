"""What may be shown of configuration."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from pathlib import Path

import msgspec
import pytest

from tamago.core.config import freeze
from tamago.core.redact import redact, redact_at


class Colour(Enum):
    RED = "red"


class Db(msgspec.Struct, frozen=True):
    url: str
    password: str


async def coroutine_function() -> None: ...


@pytest.mark.parametrize(
    "key",
    [
        *("pass", "pwd", "passd", "passwd", "password", "keys", "masterKey", "accessKey", "secret", "client_secret", "SECRET"),
        *("master_key", "access_key", "api_key", "private_key", "db_password", "smtp_pass", "auth_token", "passphrase", "credentials"),
        *("X-Api-Key", "x-access-key", "private-key", "db-pass", "smtp-pwd", "x-auth-token", "Proxy-Authorization", "Sentry-Dsn"),
    ],
)
def test_secrets_are_shown_by_their_length(key: str) -> None:
    assert redact({"a": {key: "hush"}}) == {"a": {key: "<str len: 4>"}}


@pytest.mark.parametrize("key", ["path", "passenger_count", "bypass", "key_order", "compass", "keysight", "level"])
def test_what_only_looks_like_a_secret_is_shown(key: str) -> None:
    assert redact({key: "open"}) == {key: "open"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (1, 1),
        (1.5, 1.5),
        (True, True),
        (None, None),
        (b"bytes", "<bytes len: 5>"),
        (Path("/x"), "/x"),
        (timedelta(seconds=3), "0:00:03"),
        (re.compile("^/a"), "/^/a/"),
        (Colour.RED, "red"),
        (int, "<class int>"),
        (len, "<function len>"),
        (coroutine_function, "<async function coroutine_function>"),
        ({1, 2}, "<set>"),
        (object(), "<object>"),
        ([1, {"password": "hush"}, (2,)], [1, {"password": "<str len: 4>"}, [2]]),
        (Db(url="sqlite://", password="hush"), {"url": "sqlite://", "password": "<str len: 4>"}),
        ({1: "a"}, {"1": "a"}),
    ],
)
def test_every_kind_of_value_becomes_json(value: object, shown: object) -> None:
    assert redact({"key": value}) == {"key": shown}
    assert msgspec.json.decode(msgspec.json.encode(redact(value))) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"hush", "<bytes len: 4>"),
        (12345, "<int>"),
        (None, None),
        (True, True),
        ({"main": "hush", "old": ["hush"]}, {"main": "<str len: 4>", "old": ["<str len: 4>"]}),
        (freeze(["a", "bc"]), ["<str len: 1>", "<str len: 2>"]),
        (Db(url="sqlite://", password="hush"), {"url": "<str len: 9>", "password": "<str len: 4>"}),
    ],
)
def test_below_a_secret_key_everything_is_secret(value: object, shown: object) -> None:
    assert redact({"secrets": value}) == {"secrets": shown}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://user:hush@db/blog", "postgres://user:***@db/blog"),
        ("redis://:hush@cache:6379", "redis://:***@cache:6379"),
        ("postgresql+psycopg://u:p%40ss@h", "postgresql+psycopg://u:***@h"),
        ("mysql://u:12/a?b#c@host/x", "mysql://u:***@host/x"),
        ("http://host:80/a/b", "http://host:80/a/b"),
        ("https://host/path", "https://host/path"),
        ("see amqp://u:p@h and amqp://v:q@i", "see amqp://u:***@h and amqp://v:***@i"),
    ],
)
def test_passwords_in_urls_are_hidden_under_any_key(url: str, shown: str) -> None:
    assert redact({"url": url, "list": [url]}) == {"url": shown, "list": [shown]}


def test_what_to_ignore_can_be_said() -> None:
    values = {"pin": "1234", "mail": {"host": "h"}, "password": "open", "cards": {"x": {"y": "1"}}}
    assert redact(values, ["pin", re.compile("^ca")], ["mail"]) == {
        "pin": "<str len: 4>",
        "mail": "<dict>",
        "password": "open",
        "cards": {"x": {"y": "<str len: 1>"}},
    }


def test_a_value_by_itself_is_secret_if_any_key_above_it_is() -> None:
    assert redact_at(("db", "password"), "hush") == "<str len: 4>"
    assert redact_at(("secrets", "0"), "hush") == "<str len: 4>"
    assert redact_at(("db", "host"), "open") == "open"
    assert redact_at(("db",), {"password": "hush"}) == {"password": "<str len: 4>"}
