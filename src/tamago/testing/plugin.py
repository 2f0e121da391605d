"""The plugin of pytest: fixtures for the tests of an application. Egg's `egg-mock/bootstrap`.

pytest loads this in every project of an environment tamago is installed in, so it imports nothing of tamago before a fixture is asked for,
and changes nothing where the project is no application.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import httpx

    from tamago.app import Agent, Application, Context
    from tamago.testing.clusters import TestedCluster
    from tamago.testing.environments import EnvironmentMock
    from tamago.testing.http_mocks import HttpMocks
    from tamago.testing.logs import LogExpectations
    from tamago.testing.mocked_contexts import ContextMaker
    from tamago.testing.service_mocks import ServiceMocks
    from tamago.testing.websockets import WebSockets

_DIRECTORY: Final = pytest.StashKey[Path]()


# ── which application ────────────────────────────────────────────────────────────────────────────────────────────────


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what can be said in pytest's part of pyproject.toml."""
    parser.addini(
        "tamago_directory", "directory of the application under test (default: where pyproject.toml is, if it is one)", default=""
    )
    parser.addini("tamago_cluster_scope", "how long the fixture `cluster` lives: function, module or session", default="function")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Make the application's code importable before a conftest.py or a test module imports it."""
    said = str(early_config.getini("tamago_directory"))
    place = early_config.rootpath / said
    if said or ((place / "app").is_dir() and (place / "config").is_dir()):
        from tamago.testing.adopting import adopt_alone

        early_config.stash[_DIRECTORY] = place
        adopt_alone(place)


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marker; tests of an application run on asyncio alone, whatever else is installed."""
    config.addinivalue_line("markers", 'tamago(env="unittest", scope=""): load the application for another environment or scope')
    if _DIRECTORY in config.stash:
        config.pluginmanager.register(_AsyncioAlone(), "tamago-asyncio")


class _AsyncioAlone:
    """Registered after anyio's plugin, whose fixture of this name it replaces; one in a conftest.py still goes before it."""

    @pytest.fixture(scope="session")
    @staticmethod
    def anyio_backend() -> str:
        return "asyncio"


@pytest.fixture(scope="session")
def app_directory(pytestconfig: pytest.Config) -> Path:
    """The directory of the application under test. Define a fixture of this name to test another one."""
    if _DIRECTORY not in pytestconfig.stash:
        pytest.fail(
            f"there is no application in {pytestconfig.rootpath}: say where it is with tamago_directory in pytest's configuration,"
            " or define a fixture app_directory",
            pytrace=False,
        )
    return pytestconfig.stash[_DIRECTORY]


# ── the application in this process ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def app(anyio_backend: object, app_directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Application]:
    """The application, loaded anew for each test and started: `server_did_ready` has run. It is closed after the test."""
    del anyio_backend
    from tamago.testing.applications import started

    async with started("Application", app_directory, **_marked(request)) as application:
        yield application


@pytest.fixture
async def agent(anyio_backend: object, app_directory: Path, request: pytest.FixtureRequest) -> AsyncIterator[Agent]:
    """The application's agent, in the same process; ask for it before `app`. Messages between the two travel in memory."""
    del anyio_backend
    from tamago.testing.applications import started

    async with started("Agent", app_directory, **_marked(request)) as application:
        yield application


@pytest.fixture
async def client(app: Application, anyio_backend: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests go to `app` without a socket; it keeps cookies until the end of the test."""
    del anyio_backend
    from tamago.testing.applications import client_of

    async with client_of(app) as http:
        yield http


@pytest.fixture
def websocket(app: Application) -> WebSockets:
    """Connects to websockets of `app` without a server; what it returns is for `async with`, and has `send` and `receive`."""
    from tamago.testing.websockets import WebSockets

    return WebSockets(app)


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker("tamago")
    return dict(marker.kwargs) if marker else {}


# ── contexts and mocks ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mock_context(app: Application) -> Iterator[ContextMaker]:
    """`mock_context(method=…, url=…, headers=…, body=…, **attributes)` makes a context, which becomes the current one."""
    from tamago.testing.mocked_contexts import ContextMaker

    maker = ContextMaker(app)
    yield maker
    maker.restore()


@pytest.fixture
async def ctx(mock_context: ContextMaker, anyio_backend: object) -> Context:
    """A context of GET /, the current one."""
    del anyio_backend
    return mock_context()


@pytest.fixture
def mock_service(app: Application, monkeypatch: pytest.MonkeyPatch) -> ServiceMocks:
    """`mock_service("post", "find", result)`: a value, a function that is called instead, or an error that is raised."""
    from tamago.testing.service_mocks import ServiceMocks

    return ServiceMocks(app, monkeypatch)


@pytest.fixture
def mock_httpclient(monkeypatch: pytest.MonkeyPatch) -> HttpMocks:
    """`mock_httpclient(url, json=…)`: what a request is answered with. From here on none goes to the network."""
    from tamago.testing.http_mocks import HttpMocks

    return HttpMocks(monkeypatch)


@pytest.fixture
def mock_env(app: Application, monkeypatch: pytest.MonkeyPatch) -> EnvironmentMock:
    """`mock_env("prod")`: what `app.env` says from then on. Configuration stays what it is; see the marker `tamago` for that."""
    from tamago.testing.environments import EnvironmentMock

    return EnvironmentMock(app, monkeypatch)


@pytest.fixture
def expect_log() -> Iterator[LogExpectations]:
    """`expect_log(text or pattern, logger=…)`: it was logged since the test began; `expect_log.never(…)`: it was not."""
    from tamago.testing.logs import LogExpectations

    with LogExpectations() as logs:
        yield logs


# ── the application in processes of its own ──────────────────────────────────────────────────────────────────────────


def _cluster_scope(fixture_name: str, config: pytest.Config) -> Any:
    del fixture_name
    return config.getini("tamago_cluster_scope")


@pytest.fixture(scope=_cluster_scope)
def cluster(app_directory: Path) -> Iterator[TestedCluster]:
    """The application as `tamago start` runs it: master, agent and one worker, on a free port."""
    from tamago.testing.clusters import TestedCluster

    with TestedCluster(app_directory) as running:
        yield running
