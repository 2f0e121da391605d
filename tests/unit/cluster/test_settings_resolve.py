"""Several sources make one checked Settings, or one error with all that is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tamago.cluster.settings import KNOBS, Settings
from tamago.cluster.settings_resolve import SettingsError, Source, resolve
from tamago.errors import ExitCode


def file(**values: object) -> Source:
    return Source(name="tamago.toml", values=values)


def environment(**values: str) -> Source:
    return Source(name="environment", values=values, spelling={key: f"TAMAGO_{key.upper()}" for key in values}, text=True)


def flags(**values: object) -> Source:
    return Source(name="command line", values=values, text=True)


def problems(*sources: Source) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        resolve(*sources)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value.problems


def test_without_sources_everything_is_default() -> None:
    resolved = resolve()
    assert resolved.settings == Settings()
    assert set(resolved.origins.values()) == {"default"}
    assert resolved.origins.keys() == KNOBS.keys()


def test_the_later_source_wins_and_is_named() -> None:
    resolved = resolve(file(workers=2, port=1), environment(workers="3"), flags(workers="4"))
    assert (resolved.settings.workers, resolved.origins["workers"]) == (4, "command line")
    assert (resolved.settings.port, resolved.origins["port"]) == (1, "tamago.toml")
    resolved = resolve(file(workers=2), environment(workers="3"))
    assert (resolved.settings.workers, resolved.origins["workers"]) == (3, "environment TAMAGO_WORKERS")


def test_all_problems_are_told_at_once_each_with_its_source() -> None:
    assert problems(
        file(port="x", workrs=2, stop_timeout=-1), environment(interface="asg", sticky="maybe"), flags(port="99999", app="main")
    ) == (
        "port='x' (tamago.toml): must be a whole number",
        "workrs (tamago.toml): there is no such setting; did you mean workers?",
        "stop_timeout=-1 (tamago.toml): must be between 0 and 86400 seconds",
        "interface='asg' (environment TAMAGO_INTERFACE): must be one of auto, asgi, asgi-factory, wsgi, native; did you mean asgi?",
        "sticky='maybe' (environment TAMAGO_STICKY): must be one of 1, true, yes, on, 0, false, no, off",
        "port='99999' (command line): must be between 0 and 65535",
        "app='main' (command line): must look like module:attribute, for example main:app",
    )


def test_a_wrong_value_is_told_even_where_a_later_source_overrides_it() -> None:
    assert problems(file(port=-1), flags(port="80")) == ("port=-1 (tamago.toml): must be between 0 and 65535",)


def test_a_misspelt_variable_is_named_as_it_was_spelt() -> None:
    assert problems(environment(workes="2")) == ("TAMAGO_WORKES (environment): there is no such setting; did you mean TAMAGO_WORKERS?",)


def test_one_problem_is_one_line_and_several_are_a_list() -> None:
    assert str(SettingsError(["port=1: bad"])).startswith("port=1: bad\n")
    assert str(SettingsError(["a", "b"])).startswith("2 settings are wrong:\n  a\n  b\n")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("workers", " 4 ", 4),
        ("linger", "0.5", 0.5),
        ("linger", "2", 2.0),
        ("sticky", "YES", True),
        ("sticky", "0", False),
        ("socket_mode", "660", 0o660),
        ("socket_mode", "0o600", 0o600),
        ("umask", "022", 0o22),
        ("bind", ":80, unix:/x", (":80", "unix:/x")),
        ("trusted_proxies", "10.0.0.0/8,::1, unix", ("10.0.0.0/8", "::1", "unix")),
        ("title", "my shop", "my shop"),
    ],
)
def test_texts_are_cast(key: str, text: str, value: object) -> None:
    assert getattr(resolve(environment(**{key: text})).settings, key) == value


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("workers", "4"),
        ("workers", True),
        ("workers", 1.0),
        ("linger", float("nan")),
        ("linger", float("inf")),
        ("sticky", 1),
        ("sticky", "true"),
        ("socket_mode", 660),
        ("socket_mode", "689"),
        ("bind", [1]),
        ("bind", {"a": 1}),
        ("title", 3),
        ("title", "a\nb"),
        ("title", ".."),
        ("max_restarts", "10"),
        ("root_path", "api"),
        ("root_path", "/api/"),
        ("app", "main.py:app"),
        ("app", "main:app:app"),
        ("framework", "a:b"),
        ("trusted_proxies", ["10.0.0.0/8", "proxy.local"]),
    ],
)
def test_what_a_file_says_must_have_the_type_of_the_setting(key: str, raw: object) -> None:
    (problem,) = problems(file(**{key: raw}))
    assert problem.startswith(f"{key}={raw!r} (tamago.toml): must ")


_CERTIFIED = {"ssl_certfile": ["a.pem"]}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"bind": [":80", "https://:443"]}, "bind='https://:443' (tamago.toml): needs ssl_certfile"),
        (_CERTIFIED | {"bind": ["unix:/s", "http://:80"]}, "no address in bind speaks TLS"),
        ({"ssl_keyfile": ["a.key"]}, "ssl_keyfile (tamago.toml): has no effect without ssl_certfile"),
        ({"ssl_password_file": "p"}, "ssl_password_file (tamago.toml): has no effect without ssl_certfile"),
        (_CERTIFIED | {"ssl_keyfile": ["a", "b"]}, "one key for each of the 1 in ssl_certfile, not 2"),
        (_CERTIFIED | {"ssl_client_cert": "required"}, "ssl_client_cert='required' (tamago.toml): needs ssl_client_ca"),
        (_CERTIFIED | {"ssl_client_ca": "ca.pem"}, "has no effect unless ssl_client_cert"),
        ({"socket_user": "www"}, "socket_user (tamago.toml): has no effect without a Unix socket"),
        ({"proxy_protocol": True}, "proxy_protocol (tamago.toml): needs trusted_proxies"),
    ],
)
def test_what_says_two_things_about_addresses_and_tls(values: dict[str, object], said: str) -> None:
    (problem,) = problems(file(**values))
    assert said in problem


@pytest.mark.parametrize(
    "values",
    [
        _CERTIFIED,
        _CERTIFIED | {"port": 443},
        _CERTIFIED | {"bind": ["http://:80", "unix:/s", "https://:443"], "socket_user": "www"},
        {"ssl_certfile": ["a", "b"], "ssl_keyfile": ["c", "d"], "ssl_client_cert": "optional", "ssl_client_ca": "ca"},
        {"proxy_protocol": True, "trusted_proxies": ["10.0.0.0/8"]},
    ],
)
def test_what_goes_together_about_addresses_and_tls(values: dict[str, object]) -> None:
    resolve(file(**values))


def test_a_secret_is_said_in_the_environment_only_and_never_repeated() -> None:
    password = {"ssl_password": "hunter2"}
    for source in (file(**password), flags(**password)):
        (problem,) = problems(source)
        assert "TAMAGO_SSL_PASSWORD" in problem
        assert "hunter2" not in problem
    settings = resolve(environment(ssl_password="hunter2"), file(**_CERTIFIED)).settings
    assert settings.ssl_password == "hunter2"
    assert "hunter2" not in repr(settings)
    (problem,) = problems(environment(ssl_password="hunter2\n"))
    assert "hunter2" not in problem


@pytest.mark.parametrize("text", [":80", "0.0.0.0:80", "[::]:80", "localhost:0", "unix:/run/shop.sock", "unix:shop.sock", "fd://3"])
def test_addresses(text: str) -> None:
    assert resolve(flags(bind=[text])).settings.bind == (text,)


@pytest.mark.parametrize("text", ["80", "localhost", "a:99999", "::1:80", "unix:", "fd://x", "ftp://x:80", "a b:80", "a:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert len(problems(flags(bind=[text]))) == 1


def test_a_port_given_later_than_bind_is_not_silently_without_effect() -> None:
    resolved = resolve(file(bind=["0.0.0.0:80"]), flags(port="9000"))
    assert resolved.settings.binds == ("127.0.0.1:9000",)
    assert resolved.origins["bind"] == "command line, which gives port"
    assert resolve(file(port=9000), flags(bind=[":80"])).settings.binds == (":80",)


def test_a_port_beside_bind_in_the_same_place_is_a_problem() -> None:
    (problem,) = problems(flags(port="9000", bind=[":80"]))
    assert "exclude each other" in problem


@pytest.mark.parametrize(
    "values",
    [
        {"agent": "a:b", "no_agent": True},
        {"app": "a:b", "framework": "c"},
        {"max_requests_jitter": 5},
        {"max_lifetime_jitter": 5},
    ],
)
def test_settings_that_contradict_each_other_are_a_problem(values: dict[str, object]) -> None:
    assert len(problems(file(**values))) == 1


def test_a_hyphen_in_a_file_is_an_underscore() -> None:
    assert resolve(file(**{"stop-timeout": 3})).settings.stop_timeout == 3.0


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates())
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3))


@given(st.dictionaries(st.sampled_from([*KNOBS, "x"]), ANYTHING, max_size=5), st.booleans())
def test_whatever_is_said_the_result_is_settings_or_a_settings_error(values: dict[str, object], text: bool) -> None:
    try:
        resolved = resolve(Source(name="x", values=values, text=text))
    except SettingsError as error:
        found: object = error.problems
    else:
        found = resolved.settings
    assert isinstance(found, tuple | Settings)
