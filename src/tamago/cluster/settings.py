"""Every setting of tamago, one line each. Flags, environment names, TOML keys, checks and the reference derive from this class.

Pure: it says what a setting is, not where its value comes from (`settings_resolve`) and not which files are read (`settings_sources`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeVar, cast

from tamago import access_format
from tamago.cluster.addresses import BadBindError, parse_bind
from tamago.cluster.title import title_problem
from tamago.ipc.control_messages import Tls
from tamago.types import ServerOptions

T = TypeVar("T")
Value = str | int | float | bool | tuple[str, ...] | None
"""What a setting can hold."""


class Kind(Enum):
    """How the text of a setting is read; the value is what help texts call it."""

    TEXT = "text"
    WHOLE = "number"
    NUMBER = "decimal"
    SWITCH = "switch"
    OCTAL = "octal"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What is known about a setting beside its name and type.

    `live`: a reload may change it. `shown` stands for the default in help texts where the bare default says little.
    `check` returns what is wrong with a value ("must ..."), or None. `secret`: only the environment may say it, and nothing shows it.
    """

    name: str = ""
    kind: Kind
    default: Value
    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = True
    group: str = ""
    shown: str = ""
    check: Callable[[str], str | None] | None = None
    secret: bool = False

    @property
    def environment_name(self) -> str:
        return f"TAMAGO_{self.name.upper()}"

    @property
    def flag(self) -> str:
        """The flag; empty for a secret, as everybody can read an argument vector."""
        return "" if self.secret else "--" + self.name.replace("_", "-")

    @property
    def opposite_flag(self) -> str:
        """The flag that turns a switch off; empty where there is none."""
        return f"--no-{self.flag[2:]}" if self.kind is Kind.SWITCH and not self.name.startswith("no_") else ""


def _kind_of(default: Value) -> Kind:
    if isinstance(default, bool):
        return Kind.SWITCH
    if isinstance(default, int):
        return Kind.WHOLE
    if isinstance(default, float):
        return Kind.NUMBER
    return Kind.LIST if isinstance(default, tuple) else Kind.TEXT


def _knob(  # noqa: PLR0913 - it is the vocabulary of the table below
    default: T,
    *,
    doc: str,
    kind: Kind | None = None,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    live: bool = True,
    group: str = "",
    shown: str = "",
    check: Callable[[str], str | None] | None = None,
    secret: bool = False,
) -> T:
    value = cast("Value", default)
    knob = Knob(
        kind=kind or _kind_of(value),
        default=value,
        doc=doc,
        unit=unit,
        low=low,
        high=high,
        choices=choices,
        live=live,
        group=group,
        shown=shown,
        check=check,
        secret=secret,
    )
    return dataclasses.field(default=default, metadata={"knob": knob}, repr=not secret)


# ── checks that a range or a choice cannot express ───────────────────────────────────────────────────────────────────

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*(\(\))?")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_BUDGET = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,8})")


def _reference(text: str) -> str | None:
    # main.py:app would be the attribute `app` of a module `py` in a package `main`; nobody ever meant that.
    ok = not text or (_REFERENCE.fullmatch(text) and ".py:" not in text)
    return None if ok else "must look like module:attribute, for example main:app"


def _agent_reference(text: str) -> str | None:
    ok = not text or _REFERENCE.fullmatch(text) or _MODULE.fullmatch(text)
    return None if ok else "must look like module:attribute, for example agent:Agent"


def _module(text: str) -> str | None:
    return None if not text or _MODULE.fullmatch(text) else "must be the name of a module"


def _budget(text: str) -> str | None:
    return None if not text or _BUDGET.fullmatch(text) else "must look like N/SECONDS, for example 10/60"


def _bind(text: str) -> str | None:
    try:
        parse_bind(text)
    except BadBindError:
        return "must look like host:port, [v6]:port, :port, unix:/path or fd://3, with http:// or https:// before it if you like"
    return None


def _proxy(text: str) -> str | None:
    from ipaddress import ip_network  # noqa: PLC0415 - a megabyte for a setting that few have

    try:
        if text not in ("*", "unix"):
            ip_network(text, strict=False)
    except ValueError:
        return "must be addresses (10.0.0.1), networks (10.0.0.0/8), unix or *"
    return None


def _title(text: str) -> str | None:
    return title_problem(text) if text else None


def _root_path(text: str) -> str | None:
    return None if not text or (text.startswith("/") and not text.endswith("/")) else "must start with a slash and not end with one"


_O = ServerOptions()
MOST_WORKERS: Final = 1024
_DAY = 86_400
_HIGH = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a cluster is run with; made by `settings_resolve.resolve`, which has checked every value."""

    # fmt: off
    directory: str = _knob(".", group="Application", live=False, doc="directory of the application: its working directory, first on the import path")
    title: str = _knob("", live=False, check=_title, shown="project or directory name", doc="name of this cluster on this machine")
    env: str = _knob("prod", doc="name of the environment the application runs in, such as prod, test or local")
    app: str = _knob("", check=_reference, doc="application as module:attribute (ASGI, ASGI factory or WSGI)")
    interface: str = _knob("auto", choices=("auto", "asgi", "asgi-factory", "wsgi", "native"), doc="how to call the application; auto looks at its signature")
    agent: str = _knob("", check=_agent_reference, shown="agent.py, if there", doc="agent as module:attribute: a class with hooks, or an async function")
    no_agent: bool = _knob(False, live=False, doc="run no agent process")
    framework: str = _knob("", check=_module, doc="module that exports Application and Agent, for an application with app/ and config/")

    workers: int = _knob(0, group="Processes", low=0, high=MOST_WORKERS, shown="CPUs this container may use", doc="number of app workers; 0 means one for each CPU")
    preload: bool = _knob(True, doc="import the application once and fork; without it each process imports it anew")
    boot_timeout: float = _knob(60.0, low=0.1, high=_DAY, unit="seconds", doc="how long a process may take until it is ready")
    stop_timeout: float = _knob(30.0, low=0, high=_DAY, unit="seconds", doc="how long a process may finish what is in flight before it is killed")
    drain_delay: float = _knob(0.0, low=0, high=_DAY, unit="seconds", doc="keep serving for this long after a stop was asked, with readiness false")
    hang_timeout: float = _knob(30.0, low=0, high=_DAY, unit="seconds", doc="replace a process whose event loop or threads are stuck for this long; 0 never")
    reload_batch: int = _knob(1, low=1, high=1024, doc="how many workers a reload replaces at a time")
    max_requests: int = _knob(0, low=0, high=_HIGH, doc="replace a worker after this many requests; 0 never")
    max_requests_jitter: int = _knob(0, low=0, high=_HIGH, doc="add up to this many, at random, to max_requests")
    max_lifetime: float = _knob(0.0, low=0, high=365 * _DAY, unit="seconds", doc="replace a worker of this age; 0 never")
    max_lifetime_jitter: float = _knob(0.0, low=0, high=365 * _DAY, unit="seconds", doc="add up to this many, at random, to max_lifetime")
    max_rss: int = _knob(0, low=0, high=_HIGH, unit="MiB", doc="replace a worker whose resident memory is above this; 0 never")
    max_restarts: str = _knob("", check=_budget, shown="no limit", doc="give up (drain, exit 1) after more than N unexpected exits in SECONDS, as N/SECONDS")

    bind: tuple[str, ...] = _knob((), group="Sockets", live=False, check=_bind, shown="host:port", doc="listen here: host:port, [v6]:port, :port, unix:/path or fd://3, perhaps behind http:// or https://; may be repeated")
    host: str = _knob("127.0.0.1", live=False, doc="address to listen on, unless bind is given")
    port: int = _knob(8000, live=False, low=0, high=65535, doc="port to listen on, unless bind is given; 0 picks a free one")
    backlog: int = _knob(2048, live=False, low=1, high=65535, doc="connections that may wait to be accepted")
    sticky: bool = _knob(False, live=False, doc="a client address always reaches the same worker")
    socket_mode: int = _knob(0o660, live=False, kind=Kind.OCTAL, low=0, high=0o777, doc="mode of a Unix socket")
    socket_user: str = _knob("", live=False, shown="who starts it", doc="user name or id a Unix socket is given to")
    socket_group: str = _knob("", live=False, shown="who starts it", doc="group name or id a Unix socket is given to")
    proxy_protocol: bool = _knob(_O.proxy_protocol, live=False, doc="every connection begins with a PROXY header (v1 or v2), from one of trusted_proxies")

    ssl_certfile: tuple[str, ...] = _knob((), group="TLS", doc="PEM file with the certificate and its chain; may be repeated: the client's server name decides, the first is for all other names")
    ssl_keyfile: tuple[str, ...] = _knob((), shown="in the same file", doc="PEM file with the private key; one for each ssl_certfile, in the same order")
    ssl_password_file: str = _knob("", doc="file whose first line is the password of the keys")
    ssl_password: str = _knob("", secret=True, doc="password of the keys; only read from the environment, better in ssl_password_file")
    ssl_client_ca: str = _knob("", doc="PEM file with the certificates that sign those of clients")
    ssl_client_cert: str = _knob("none", choices=("none", "optional", "required"), doc="whether clients must show a certificate")

    limit_request_line: int = _knob(_O.limit_request_line, group="HTTP", low=64, high=_HIGH, unit="bytes", doc="longest request line; a longer one is answered 414")
    limit_header_bytes: int = _knob(_O.limit_header_bytes, low=256, high=_HIGH, unit="bytes", doc="size of all request headers; more is answered 431")
    limit_header_count: int = _knob(_O.limit_header_count, low=1, high=100_000, doc="number of request headers; more are answered 431")
    limit_body: int = _knob(_O.limit_body, low=0, high=1 << 50, unit="bytes", doc="size of a request body; a larger one is answered 413; 0 no limit")
    header_timeout: float = _knob(_O.header_timeout, low=0.1, high=_DAY, unit="seconds", doc="how long the headers of a request may take; then 408")
    body_timeout: float = _knob(_O.body_timeout, low=0.1, high=_DAY, unit="seconds", doc="how long a request body or the reading of an answer may stand still; then 408, or the end of the connection")
    min_rate: int = _knob(_O.min_rate, low=0, high=_HIGH, unit="bytes a second", doc="a client that sends or reads more slowly may keep us waiting for body_timeout altogether; 0 as slow as it likes")
    keep_alive: float = _knob(_O.keep_alive, low=0, high=_DAY, unit="seconds", doc="how long an idle connection is kept")
    limit_in_flight: int = _knob(_O.limit_in_flight, low=0, high=_HIGH, doc="requests in flight in one worker; more are answered 503; 0 no limit")
    limit_pipeline: int = _knob(_O.limit_pipeline, low=1, high=10_000, doc="requests one connection may send ahead")
    linger: float = _knob(_O.linger, low=0, high=3600, unit="seconds", doc="how long a draining worker keeps idle connections open for a last request")
    root_path: str = _knob(_O.root_path, check=_root_path, doc="path prefix the application is mounted under (ASGI root_path)")
    pathsend: bool = _knob(_O.pathsend, doc="have ASGI applications leave files to the server (http.response.pathsend); off for middleware that does not know it")
    cancel_on_disconnect: bool = _knob(_O.cancel_on_disconnect, doc="cancel an ASGI application's task when its client leaves, beside telling it (http.disconnect)")
    trusted_proxies: tuple[str, ...] = _knob(_O.trusted_proxies, check=_proxy, doc="addresses or networks (unix: Unix sockets, *: everybody) whose X-Forwarded-* and Forwarded headers count")
    threads: int = _knob(_O.threads, low=1, high=1000, doc="threads of one worker, for WSGI applications and sync handlers")
    ws_max_size: int = _knob(_O.ws_max_size, low=1, high=_HIGH, unit="bytes", doc="size of a websocket message, after inflation; a larger one closes with 1009")
    ws_ping_interval: float = _knob(_O.ws_ping_interval, low=0, high=_DAY, unit="seconds", doc="how often a websocket client is asked whether it is there; 0 never")
    ws_ping_timeout: float = _knob(_O.ws_ping_timeout, low=0, high=_DAY, unit="seconds", doc="how long it may send nothing after that; then it is given up; 0 for ever")
    ws_per_message_deflate: bool = _knob(_O.ws_per_message_deflate, doc="compress websocket messages of 1 KiB and more for clients that offer it")

    log_level: str = _knob("info", group="Logs and files", choices=("debug", "info", "warning", "error"), doc="least severe log lines to write")
    access_log: bool = _knob(_O.access_log, doc="write a line for each answer")
    access_log_file: str = _knob(_O.access_log_file, shown="standard output", doc="file of the access log, if there is one; /dev/stderr is the standard error")
    access_log_format: str = _knob(_O.access_log_format, check=access_format.problem, doc="common, combined, json, or a line with placeholders such as {client}")
    request_id: bool = _knob(_O.request_id, doc="give each request an id: to the application, the client and the access log, as X-Request-ID; on where the format names it")
    stdout: str = _knob("", live=False, shown="logs/<title>/stdout.log", doc="file for the standard output of a daemon")
    stderr: str = _knob("", live=False, shown="logs/<title>/stderr.log", doc="file for the standard error, and so the log, of a daemon")
    pid_file: str = _knob("", live=False, doc="also write the pid of the master to this file")
    user: str = _knob("", live=False, doc="user name or id the nest, the agent and the workers run as")
    group: str = _knob("", live=False, doc="group name or id they run as")
    umask: int | None = _knob(None, live=False, kind=Kind.OCTAL, low=0, high=0o777, shown="as it is", doc="file mode creation mask")
    # fmt: on

    @property
    def restart_budget(self) -> tuple[int, float]:
        """`max_restarts` as (deaths, seconds); (0, 0.0) means no limit."""
        match = _BUDGET.fullmatch(self.max_restarts)
        return (int(match[1]), float(match[2])) if match else (0, 0.0)

    @property
    def binds(self) -> tuple[str, ...]:
        """Where to listen, always at least one; `host` and `port` in the notation of `bind`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.bind or (f"{host}:{self.port}",)

    def server_options(self) -> ServerOptions:
        """Return the part the HTTP edge needs."""
        return ServerOptions(**{field.name: getattr(self, field.name) for field in dataclasses.fields(ServerOptions)})

    def tls_files(self) -> Tls | None:
        """Return where certificates and keys are; None without TLS."""
        if not self.ssl_certfile:
            return None
        return Tls(
            certificates=self.ssl_certfile,
            keys=self.ssl_keyfile,
            password=self.ssl_password,
            password_file=self.ssl_password_file,
            client_ca=self.ssl_client_ca,
            client_certificate=self.ssl_client_cert,
        )


def _collect() -> Mapping[str, Knob]:
    knobs: dict[str, Knob] = {}
    group = ""
    for field in dataclasses.fields(Settings):
        knob: Knob = field.metadata["knob"]
        # Only the first setting of a group names it.
        group = knob.group or group
        knobs[field.name] = dataclasses.replace(knob, name=field.name, group=group)
    return MappingProxyType(knobs)


KNOBS: Final[Mapping[str, Knob]] = _collect()
"""Every setting by its name, in the order of the class."""


def diff_live(old: Settings, new: Settings) -> tuple[str, ...]:
    """Name the settings that differ and cannot change while the cluster runs; a reload is refused if there are any."""
    fixed = tuple(name for name, knob in KNOBS.items() if not knob.live and getattr(old, name) != getattr(new, name))
    # Other certificates may come; but an open socket does not begin or cease to speak TLS.
    return fixed if bool(old.ssl_certfile) == bool(new.ssl_certfile) else (*fixed, "ssl_certfile")


def default_text(knob: Knob) -> str:
    """Say what a setting is unless told, for help texts and the reference; empty where there is nothing to say."""
    if knob.shown:
        return knob.shown
    return _text_of(knob.default, knob) + (f" {knob.unit}" if knob.unit and knob.default not in (None, "", ()) else "")


def _text_of(value: Value, knob: Knob) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case tuple():
            return ", ".join(value)
        case int() if knob.kind is Kind.OCTAL:
            return f"{value:o}"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
