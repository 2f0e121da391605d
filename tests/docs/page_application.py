"""The application that the files of a page make, in this process and without a socket, and what it answers.

A block of requests looks like this: what is indented are header fields, and what ends in `…` need only begin like that.

```text
POST /posts {"title": "Egg"}
→ 201 {"id":1,"title":"Egg"}
    location: /posts/1

WEBSOCKET /echo Egg
→ Egg
```
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tamago.app import Agent, Application
from tamago.core.importing import forget

_NEEDED = {
    "pyproject.toml": '[project]\nname = "blog"\n',
    "config/unittest.py": 'config = {"dump": {"enable": False}, "logger": {"console_level": "NONE"}, "keys": "a secret of the page"}\n',
    "app/__init__.py": "",
}
_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+)(?: (?P<body>.*))?")


@dataclass(slots=True, kw_only=True)
class Exchanged:
    """One request and the answer the page gives to it."""

    method: str
    target: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    answer_headers: dict[str, str] = field(default_factory=dict)


def read(text: str) -> Iterator[Exchanged]:
    """Read a block of requests."""
    exchanged: Exchanged | None = None
    for line in filter(None, text.splitlines()):
        if line.startswith("→ ") and exchanged is not None:
            exchanged.answer = line[2:]
        elif line[0] == " " and exchanged is not None:
            name, _, value = line.strip().partition(": ")
            (exchanged.answer_headers if exchanged.answer else exchanged.headers)[name] = value
        else:
            if exchanged is not None:
                yield exchanged
            found = _REQUEST.fullmatch(line)
            assert found is not None, f"{line!r} is no request"
            exchanged = Exchanged(method=found["method"], target=found["target"], body=found["body"] or "")
    assert exchanged is not None
    yield exchanged


class PageApplication:
    """Loaded anew whenever a file has changed since."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._changed = False
        self._beside: list[str] = []  # modules that are none of the application's, such as `asgi`
        self._application: Application | None = None

    def write(self, path: str, text: str) -> None:
        """Write a file of the application."""
        place = self._directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        self._changed = True
        if path.endswith(".py") and not path.startswith(("app/", "config/", "plugins/", "tests/")):
            self._beside.append(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))

    async def load(self) -> None:
        """Start the application if its files have changed. Where there is an agent, it lives before."""
        if not self._changed:
            return
        await self.close()
        for path, text in _NEEDED.items():
            if not (self._directory / path).exists():
                self.write(path, text)
        self._changed = False
        boot = self._directory / "app/boot.py"
        if boot.exists() and "AgentBoot" in boot.read_text():
            agent = Agent.load(self._directory, env="unittest")
            await agent.start()
            await agent.server_ready()
            await agent.close()
        application = Application.load(self._directory, env="unittest")
        await application.start()
        self._application = application
        await application.server_ready()
        for module in self._beside:
            importlib.import_module(module)

    async def close(self) -> None:
        """End it, so that another can be loaded."""
        if self._application is not None:
            application, self._application = self._application, None
            await application.close()
        forget(self._directory)

    async def ask(self, text: str, *, where: str) -> None:
        """Send the requests of a block. Raises AssertionError for an answer that is not the page's."""
        await self.load()
        assert self._application is not None
        for exchanged in read(text):
            got, headers = await _answer(self._application, exchanged)
            wanted = exchanged.answer
            told = f"{where}: {exchanged.method} {exchanged.target}:\n  wanted {wanted}\n  got    {got}"
            assert got.startswith(wanted[:-1]) if wanted.endswith("…") else got == wanted, told
            for name, value in exchanged.answer_headers.items():
                sent = headers.get(name, "")
                assert sent.startswith(value[:-1]) if value.endswith("…") else sent == value, f"{told}\n  {name}: {sent}"


async def _answer(application: Application, exchanged: Exchanged) -> tuple[str, Any]:
    if exchanged.method == "WEBSOCKET":
        return await _over_websocket(application, exchanged), {}
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    headers = {**_type_of(exchanged.body), **exchanged.headers}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{headers.pop('host', 'localhost')}") as client:
        answer = await client.request(exchanged.method, exchanged.target, content=exchanged.body or None, headers=headers)
    return f"{answer.status_code} {' '.join(answer.text.split())}".strip(), answer.headers


def _type_of(body: str) -> dict[str, str]:
    if not body:
        return {}
    return {"content-type": "application/json" if body[0] in '{["' else "application/x-www-form-urlencoded"}


async def _over_websocket(application: Application, exchanged: Exchanged) -> str:
    """Send the body as a message and return the first message that comes back."""
    path, _, query = exchanged.target.partition("?")
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": [], "scheme": "ws"}
    received = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": exchanged.body}]
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        return received.pop(0) if received else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        sent.put_nowait(message)

    with suppress(ConnectionError):
        await application({**scope, "root_path": "", "subprotocols": []}, receive, send)
    messages = [sent.get_nowait() for _ in range(sent.qsize())]
    return str(next(message["text"] for message in messages if message["type"] == "websocket.send"))
