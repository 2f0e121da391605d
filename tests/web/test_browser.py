"""A real browser over websockets: what it offers and how it closes is nobody's library's idea of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.web.apps import answer, no_lifespan, read_body
from tests.web.edge import serving

from tamago.server.asgi import Receive, Scope, Send

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PAGE = b"""<!doctype html><title>test</title><script>
const seen = [];
const large = "large ".repeat(50000);
const socket = new WebSocket("ws://" + location.host + "/talk", ["chat", "other"]);
socket.binaryType = "arraybuffer";
socket.onopen = () => { seen.push(["open", socket.protocol, socket.extensions]); socket.send("small \\u00e9"); };
socket.onmessage = ({data}) => {
  if (typeof data !== "string") { seen.push(["binary", ...new Uint8Array(data)]); socket.send("bye"); }
  else if (data === large) { seen.push(["large"]); socket.send(new Uint8Array([0, 255, 1])); }
  else { seen.push(["text", data]); socket.send(large); }
};
socket.onclose = ({code, reason, wasClean}) => {
  seen.push(["close", code, reason, wasClean]);
  const leaving = new WebSocket("ws://" + location.host + "/talk");
  leaving.onopen = () => leaving.close(4002, "leaving");
  leaving.onclose = () => fetch("/report", {method: "POST", body: JSON.stringify(seen)});
};
</script>"""


class Site:
    """The page, the websocket it talks to, and where it reports."""

    def __init__(self) -> None:
        self.report: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.disconnects: list[tuple[int, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await no_lifespan(scope)
        if scope["type"] == "websocket":
            await self._talk(scope, receive, send)
        elif scope["path"] == "/report":
            self.report.set_result(json.loads(await read_body(receive)))
            await answer(send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": PAGE})

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
            else:
                await send({**message, "type": "websocket.send"})
        self.disconnects.append((message["code"], message["reason"]))


@asynccontextmanager
async def browser(url: str, profile: Path) -> AsyncIterator[None]:
    assert CHROMIUM is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage"
    )
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *flags.split(),
        "--remote-debugging-port=0",  # without it a headless browser leaves as soon as the page is there
        f"--user-data-dir={profile}",
        url,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no browser here: chromium, chromium-browser or google-chrome")
def test_a_browser_speaks_over_websockets(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        async with serving(site) as served, browser(served.url, tmp_path):
            opened, *rest = await site.report
            assert opened[:2] == ["open", "chat"]
            assert opened[2].startswith("permessage-deflate")
            assert rest == [["text", "small é"], ["large"], ["binary", 0, 255, 1], ["close", 4001, "enough", True]]
        assert site.disconnects == [(4001, "enough"), (4002, "leaving")]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 100))
