"""What Application and Agent have in common: configuration, hooks, loggers, messenger. Egg's `EggCore` and `EggApplication`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import tamago
from tamago.app.current import current
from tamago.app.events import Events
from tamago.app.http_client import make_http_client
from tamago.app.loaded import Loaded, read_application
from tamago.app.logging import Loggers, build_loggers, convert_custom
from tamago.app.plain_values import TYPES
from tamago.core.app_info import AppInfo
from tamago.core.boot_finding import find_boots
from tamago.core.config import Config
from tamago.core.config_check import check_config
from tamago.core.config_loading import load_config
from tamago.core.config_merge import LoadedConfig
from tamago.core.dumps import dump_config, dump_timing
from tamago.core.extending import compose, find_extends
from tamago.core.lifecycle import Lifecycle
from tamago.core.plugin_views import describe
from tamago.core.redact import redact
from tamago.core.steps import Step
from tamago.core.timing import Timing
from tamago.errors import TamagoError
from tamago.ready import Ready
from tamago.types import Role, TimedStep
from tamago.user_traceback import exc_info

if TYPE_CHECKING:
    from tamago.app.http_session import HttpClient
    from tamago.ipc.messenger import Messenger

AnyListener = TypeVar("AnyListener", bound=Callable[..., object])
AnyCallback = TypeVar("AnyCallback", bound=Callable[[], object])

_log = logging.getLogger("tamago.app")


class StartedError(TamagoError):
    """An application is started a second time."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the application {name!r} was started already", hint="load it anew: `Application.load(directory)`")


class BaseApplication:
    """An application's directory, loaded. `load` makes one; `start`, `server_ready` and `close` lead it through its life."""

    kind: ClassVar[str]
    """What this is called in files: "application" or "agent"."""
    boot_class: ClassVar[str]
    """The name of the class of its hooks in `app/boot.py`."""
    role: ClassVar[Role]

    config: Any
    """Nested dicts until `config_did_load` is through, frozen and typed from then on."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.timing = loaded.timing
        self.config = Config()
        self.events = Events()
        self.phases: list[tuple[str, float]] = []
        """What the start spent its seconds on, in order; more precisely in `timing`."""
        self._loggers: Loggers | None = None
        self._started = False
        self._lifecycle = Lifecycle((), self.timing, log=logging.getLogger("tamago"), on_error=self._hook_failed)
        # Registered first, so they come after everybody's; each has its turn, whatever happens to the others.
        self._lifecycle.before_close(self._close_loggers)
        self._lifecycle.before_close(self._close_httpclient)
        self._import()
        with self.timing.measure("Load Boot"):
            boots = [(place, boot(self)) for place, boot in find_boots(loaded.units, self.boot_class, timing=self.timing)]
        self._lifecycle.add_boots(boots)

    def _import(self) -> None:
        """Import and make what boot classes find on the application; nothing that must not be forked."""

    @classmethod
    def load(cls, directory: str | Path = ".", *, env: str | None = None, scope: str | None = None) -> Self:
        """Read an application's directory and import all of its code; nothing runs yet. Without an event loop, before any fork.

        `env` and `scope` choose the files of configuration; by default TAMAGO_ENV and TAMAGO_SCOPE say, and "prod" and "". Raises whatever
        is wrong with the application, with all that is wrong of one kind at once.
        """
        timing = Timing()
        with timing.measure(f"Load {cls.__name__}"):
            loaded = read_application(cls, Path(os.path.abspath(directory)), env=env, scope=scope, timing=timing)
            extends = find_extends(loaded.units, cls.kind, loaded.info.env, timing=timing)
            return compose(cls.__name__, cls, extends)(loaded)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def info(self) -> AppInfo:
        """Name, directory, environment."""
        return self.loaded.info

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def env(self) -> str:
        return self.info.env

    @property
    def directory(self) -> Path:
        return self.info.directory

    @property
    def plugins(self) -> Mapping[str, Any]:
        """The enabled plugins by name, in the order they were loaded."""
        return {plugin.name: plugin for plugin in self.loaded.plugins.enabled}

    @property
    def messenger(self) -> Messenger:
        """Talks to the other processes."""
        return tamago.messenger

    @property
    def ready(self) -> Ready:
        """Call it with a callback, or `await app.ready()`: this process has booted, or failed to."""
        return self._lifecycle.ready

    @property
    def logger(self) -> logging.Logger:
        """The application's logger; before configuration is loaded, its lines go where the process's go."""
        return logging.getLogger("app")

    @property
    def core_logger(self) -> logging.Logger:
        """The framework's and the plugins' logger."""
        return logging.getLogger("tamago")

    @property
    def loggers(self) -> Loggers:
        """All loggers, those in `config.custom_logger` as well. There once configuration is loaded."""
        if self._loggers is None:
            raise RuntimeError("there are no loggers before the configuration is loaded")
        return self._loggers

    def get_logger(self, name: str) -> logging.Logger:
        """Return a logger of `config.custom_logger`. Raises LookupError."""
        return self.loggers.get(name)

    @cached_property
    def httpclient(self) -> HttpClient:
        """An HTTP client with pooled connections; needs `tamago[httpclient]`."""
        return make_http_client(self.config["httpclient"], current=current.get)

    # ── for hooks and plugins ────────────────────────────────────────────────────────────────────────────────────────

    def on(self, event: str, listener: AnyListener) -> AnyListener:
        """Call `listener` at each `event` (see `tamago.app.events`). Raises UnknownEventError."""
        return self.events.on(event, listener)

    def add_boot_task(self, name: str, function: Callable[[], Awaitable[object]]) -> None:
        """Have the start wait for `await function()`, which runs beside the `did_load` hooks. Egg's `beforeStart`."""
        self._lifecycle.add_boot_task(name, function)

    def before_close(self, callback: AnyCallback) -> AnyCallback:
        """Call `callback`, sync or async, when the process ends; the last one registered first."""
        return self._lifecycle.before_close(callback)

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def before_fork(self) -> None:
        """In the nest, before it forks."""
        self._lifecycle.before_fork()

    def after_fork(self) -> None:
        """First thing in a process just forked."""
        self._lifecycle.after_fork()

    async def start(self) -> None:
        """Load the configuration, run the hooks up to `will_ready`, and be ready. Raises what failed; then nothing is left to close.

        Raises StartedError for one that was started before, whatever became of it: its hooks have run.
        """
        if self._started:
            raise StartedError(self.name)
        self._started = True
        try:
            with self._phase("config"):
                await self.configure()
            with self._phase("build"):
                self._build()
            await self._lifecycle.boot(self._last_step())
            self.phases += self._lifecycle.phases
        except asyncio.CancelledError:
            _log.error("the start was stopped: %s", self.progress())
            await self._close_after_failure()
            raise
        except Exception as error:
            if self.ready.error is None:  # no hook of the boot could be told
                self.ready.fail(error)
            await self._close_after_failure()
            raise
        self._dump()
        self.timing.disable()
        self._name_slow_steps()
        self.loggers.ready()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = perf_counter()
        yield
        self.phases.append((name, perf_counter() - began))

    def progress(self) -> str:
        """Say what the start waits for, and what it has spent its time on."""
        return f"unfinished: {', '.join(self._lifecycle.unfinished()) or 'no hook'}\n{self.timing.render()}"

    def timed_steps(self) -> list[TimedStep]:
        """Return what this process has spent its start on, for `tamago trace`."""
        return self.timing.steps()

    async def server_ready(self) -> None:
        """The whole cluster serves: run `server_did_ready`, once."""
        await self._lifecycle.server_ready()

    async def close(self) -> None:
        """Run every `before_close`, in reverse. Raises what they raised, when all had their turn."""
        if not self._lifecycle.closing:
            self.events.emit("close")
        await self._lifecycle.close(self.close_timeout)

    @property
    def close_timeout(self) -> float:
        """Seconds that each step of the end has. After a start that failed early, configuration may be no help."""
        seconds = self.config.get("close_timeout")
        return seconds if isinstance(seconds, int | float) and seconds >= 0 else 10.0

    async def configure(self) -> None:
        """Load the configuration, run the hooks that may change it, check and freeze it. `start` does that first; it opens nothing."""
        configured = await self.load_configuration()
        with self.timing.measure("Check Config"):
            self.config = check_config(configured, self.loaded.models, TYPES)
        self._origins = configured.origins

    async def check(self) -> None:
        """Find what would end a start, as far as that can be known without opening anything: for `tamago check`. Raises it."""
        await self.configure()
        convert_custom(self.config["custom_logger"])

    async def load_configuration(self) -> LoadedConfig:
        """Merge the configuration and run the hooks that may change it; nothing is checked yet. The first part of `configure`."""
        configured = await self.read_configuration()
        await self._lifecycle.configure_will()
        await self._lifecycle.configure_did()
        return configured

    async def read_configuration(self) -> LoadedConfig:
        """Merge what the files of configuration say, and the environment; no hook runs."""
        loaded = self.loaded
        with self.timing.measure("Load Config"):
            configured = await load_config(loaded.units, loaded.info, loaded.models, os.environ)
        self.config = configured.values
        return configured

    def _build(self) -> None:
        """Make what depends on configuration."""
        self._loggers = build_loggers(self.config["logger"], self.info, self.role, custom=self.config["custom_logger"], current=current.get)
        self._loggers.listen(self.messenger)

    def _last_step(self) -> Step | None:
        """Return what the process must have done after every hook and before it is ready."""
        return None

    async def _close_after_failure(self) -> None:
        try:
            await self.close()
        except Exception:  # noqa: BLE001 - what failed first is what matters
            _log.exception("closing after the failed start failed as well")

    async def _close_httpclient(self) -> None:
        if "httpclient" in vars(self):
            await self.httpclient.aclose()

    def _close_loggers(self) -> None:
        if self._loggers is not None:
            self._loggers.close()

    def _hook_failed(self, error: Exception) -> None:
        self.core_logger.error("a hook failed", exc_info=exc_info(error))
        self.events.emit("error", error, None)

    def _name_slow_steps(self) -> None:
        for item in self.timing.slower_than(1000 * self.config["dump"].slow_step):
            self.core_logger.warning("slow start: #%d %d ms, %s", item.index, item.duration or 0, item.name)

    def _dump(self) -> None:
        """Write what was loaded to the `run` directory, redacted (Egg's dumps)."""
        options = self.config["dump"]
        if not options.enable:
            return
        info = {name: str(getattr(self.info, name)) for name in ("name", "directory", "env", "scope", "home", "root")}
        config = redact(self.config, ignore_paths=options.ignore_paths)
        place = self.rundir
        dump_config(
            place,
            self.kind,
            {"config": config, "plugins": describe(self.loaded.plugins), "info": info},
            self._origins,
            log=self.core_logger,
        )
        dump_timing(place, self.kind, self.timing, log=self.core_logger)

    @property
    def rundir(self) -> Path:
        """Where the dumps go."""
        return self.directory / (self.config["dump"].directory or "run")
