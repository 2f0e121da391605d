"""From what several sources say to one checked `Settings`. Pure: all problems are gathered, each with where it came from."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tamago.cluster.addresses import TcpAddress, UnixAddress, parse_bind, speaks_tls
from tamago.cluster.settings import KNOBS, Kind, Knob, Settings, Value
from tamago.errors import ExitCode, TamagoError

_ON = ("1", "true", "yes", "on")
_OFF = ("0", "false", "no", "off")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_OCTAL = re.compile(r"(?:0o?)?([0-7]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Some settings and where they were said.

    `text`: values are strings to be cast (environment, flags); otherwise they have the types of TOML. `spelling` is what the source calls
    a setting, where that is not its name.
    """

    name: str
    values: Mapping[str, object]
    text: bool = False
    spelling: Mapping[str, str] = field(default_factory=dict)

    def origin(self, key: str) -> str:
        """Say where this source has the setting from, for people."""
        return f"{self.name} {self.spelling[key]}" if key in self.spelling else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The settings, and for each of them where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


class SettingsError(TamagoError):
    """Settings that cannot be used; `problems` has one line for each."""

    exit_code: ClassVar[ExitCode] = ExitCode.USAGE

    def __init__(self, problems: Sequence[str], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        text = self.problems[0] if len(self.problems) == 1 else f"{len(self.problems)} settings are wrong:\n  " + "\n  ".join(self.problems)
        super().__init__(text, hint=hint or "`tamago config --explain` shows every setting and where its value comes from")


class _UnfitError(ValueError):
    """A value that cannot be used; the text starts with "must"."""


@dataclass(frozen=True, slots=True)
class _Choice:
    value: Value
    origin: str
    rank: int


def resolve(*sources: Source) -> Resolved:
    """Merge the sources, the later ones winning; cast and check everything they say, also what another one overrides.

    Raises `SettingsError` with all problems of all sources.
    """
    problems: list[str] = []
    chosen: dict[str, _Choice] = {}
    for rank, source in enumerate(sources):
        for raw_key, raw in source.values.items():
            key = raw_key.replace("-", "_")
            knob = KNOBS.get(key)
            if knob is None:
                problems.append(_unknown(source, raw_key))
                continue
            if knob.secret and key not in source.spelling:
                problems.append(f"{key} ({source.name}): is a secret; say it in the environment, as {knob.environment_name}")
                continue
            try:
                chosen[key] = _Choice(_checked(knob, _cast(knob, raw, text=source.text)), source.origin(key), rank)
            except _UnfitError as error:
                shown = key if knob.secret else f"{key}={raw!r}"
                problems.append(f"{shown} ({source.origin(key)}): {error}")
    _settle_addresses(chosen, problems)
    if not problems:
        problems += _contradictions(chosen)
    if problems:
        raise SettingsError(problems)
    return _result(chosen)


def _result(chosen: Mapping[str, _Choice]) -> Resolved:
    # Any: each value was cast to the type of its field by the field's own kind.
    values: dict[str, Any] = {key: choice.value for key, choice in chosen.items()}
    origins = {name: chosen[name].origin if name in chosen else "default" for name in KNOBS}
    return Resolved(settings=Settings(**values), origins=origins)


def _unknown(source: Source, key: str) -> str:
    environment = source.spelling.get(key)
    names = [knob.environment_name for knob in KNOBS.values()] if environment else list(KNOBS)
    from difflib import get_close_matches  # noqa: PLC0415 - rarely needed, and the master should be small

    close = get_close_matches(environment or key.replace("-", "_"), names, n=1)
    advice = f"; did you mean {close[0]}?" if close else ""
    return f"{environment or key} ({source.name}): there is no such setting{advice}"


# ── casting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cast(knob: Knob, raw: object, *, text: bool) -> Value:
    match knob.kind:
        case Kind.SWITCH:
            return _switch(raw, text=text)
        case Kind.WHOLE:
            return _whole(raw, text=text)
        case Kind.NUMBER:
            return _number(raw, text=text)
        case Kind.OCTAL:
            return _octal(raw)
        case Kind.LIST:
            return _list(raw, text=text)
        case Kind.TEXT:
            return _text(raw)


def _switch(raw: object, *, text: bool) -> bool:
    if isinstance(raw, bool):
        return raw
    if text and isinstance(raw, str) and raw.strip().lower() in _ON + _OFF:
        return raw.strip().lower() in _ON
    raise _UnfitError("must be one of " + ", ".join(_ON + _OFF) if text else "must be true or false")


def _whole(raw: object, *, text: bool) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if text and isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        return int(raw)
    raise _UnfitError("must be a whole number")


def _number(raw: object, *, text: bool) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw):
        return float(raw)
    if text and isinstance(raw, str):
        try:
            value = float(raw)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
    raise _UnfitError("must be a number")


def _octal(raw: object) -> int:
    # A bare number is refused in TOML too: 660 there is decimal, and the mode it makes is 1224.
    if isinstance(raw, str) and (match := _OCTAL.fullmatch(raw.strip())):
        return int(match[1], 8)
    raise _UnfitError('must be octal digits in quotes, for example "660"')


def _list(raw: object, *, text: bool) -> tuple[str, ...]:
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise _UnfitError("must be a list of texts")
    if text:
        items = [part.strip() for item in items for part in item.split(",")]
    return tuple(_text(item) for item in items if item)


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise _UnfitError("must be a text")
    if not raw.isprintable():
        raise _UnfitError("must not contain newlines, NUL, other control characters or what is not UTF-8")
    return raw


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _checked(knob: Knob, value: Value) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_range(knob, value)
    if knob.choices and value not in knob.choices:
        from difflib import get_close_matches  # noqa: PLC0415 - rarely needed, and the master should be small

        close = get_close_matches(str(value), knob.choices, n=1)
        raise _UnfitError(f"must be one of {', '.join(knob.choices)}" + (f"; did you mean {close[0]}?" if close else ""))
    if knob.check is not None:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and (problem := knob.check(text)):
                raise _UnfitError(problem)
    return value


def _check_range(knob: Knob, value: float) -> None:
    low, high = knob.low, knob.high
    if (low is not None and value < low) or (high is not None and value > high):
        shown = [f"{bound:o}" if knob.kind is Kind.OCTAL else f"{bound:.15g}" for bound in (low or 0, high or 0)]
        raise _UnfitError(f"must be between {shown[0]} and {shown[1]}" + (f" {knob.unit}" if knob.unit else ""))


def _settle_addresses(chosen: dict[str, _Choice], problems: list[str]) -> None:
    """Let the later of `bind` and `host`/`port` win: `--port 9000` must not be silently without effect because a file has `bind`."""
    bind = chosen.get("bind")
    if bind is None or not bind.value:
        return
    for name in ("host", "port"):
        other = chosen.get(name)
        if other is None or other.rank < bind.rank:
            continue
        if other.rank == bind.rank:
            problems.append(f"bind and {name} ({other.origin}): exclude each other; put the address and the port into bind")
        else:
            chosen["bind"] = _Choice((), f"{other.origin}, which gives {name}", other.rank)


def _contradictions(chosen: Mapping[str, _Choice]) -> Iterable[str]:
    def value(name: str) -> Value:
        return chosen[name].value if name in chosen else KNOBS[name].default

    if value("no_agent") and value("agent"):
        yield f"agent={value('agent')!r} ({chosen['agent'].origin}) and no_agent ({chosen['no_agent'].origin}): exclude each other"
    if value("app") and value("framework"):
        yield f"app={value('app')!r} ({chosen['app'].origin}) and framework ({chosen['framework'].origin}): exclude each other"
    for name in ("max_requests", "max_lifetime"):
        if value(f"{name}_jitter") and not value(name):
            yield f"{name}_jitter ({chosen[name + '_jitter'].origin}): has no effect without {name}"
    yield from _address_contradictions(chosen, value)
    yield from _tls_contradictions(chosen, value)


_Value = Callable[[str], Any]  # Any: each setting has its own type


def _address_contradictions(chosen: Mapping[str, _Choice], value: _Value) -> Iterable[str]:
    addresses = [parse_bind(bind) for bind in value("bind")] or [TcpAddress("", 0)]  # host and port
    certified = bool(value("ssl_certfile"))
    for address in addresses:
        if address.scheme == "https" and not certified:
            yield f"bind={str(address)!r} ({chosen['bind'].origin}): needs ssl_certfile"
    if certified and not any(speaks_tls(address, certified=True) for address in addresses):
        yield f"ssl_certfile ({chosen['ssl_certfile'].origin}): has no effect, as no address in bind speaks TLS"
    for name in ("socket_user", "socket_group"):
        if value(name) and not any(isinstance(address, UnixAddress) for address in addresses):
            yield f"{name} ({chosen[name].origin}): has no effect without a Unix socket in bind"
    if value("proxy_protocol") and not value("trusted_proxies"):
        yield f"proxy_protocol ({chosen['proxy_protocol'].origin}): needs trusted_proxies, which says who may connect"


def _tls_contradictions(chosen: Mapping[str, _Choice], value: _Value) -> Iterable[str]:
    certificates, keys = value("ssl_certfile"), value("ssl_keyfile")
    for name in ("ssl_keyfile", "ssl_password_file", "ssl_client_ca"):
        if value(name) and not certificates:
            yield f"{name} ({chosen[name].origin}): has no effect without ssl_certfile"
    if certificates and keys and len(keys) != len(certificates):
        wanted = f"must name one key for each of the {len(certificates)} in ssl_certfile, not {len(keys)}"
        yield f"ssl_keyfile ({chosen['ssl_keyfile'].origin}): {wanted}"
    if value("ssl_password") and value("ssl_password_file"):
        both = f"ssl_password ({chosen['ssl_password'].origin}) and ssl_password_file ({chosen['ssl_password_file'].origin})"
        yield f"{both}: exclude each other"
    if value("ssl_client_cert") != "none" and not value("ssl_client_ca"):
        yield f"ssl_client_cert={value('ssl_client_cert')!r} ({chosen['ssl_client_cert'].origin}): needs ssl_client_ca"
    if value("ssl_client_ca") and value("ssl_client_cert") == "none":
        yield f"ssl_client_ca ({chosen['ssl_client_ca'].origin}): has no effect unless ssl_client_cert is optional or required"
