"""tamago's messenger: a worker and the agent, through the master."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import quote

from benchmarks.http_client import BadResponseError, Connection
from benchmarks.messaging.plan import FiguresBySize, Plan
from benchmarks.running import POLL, MeasurementError, Running, running
from benchmarks.servers import SERVERS, TAMAGO

APP = "pingpong:app"
AGENT = "pingpong:Agent"
WITHIN = 120.0


def measure(plan: Plan) -> FiguresBySize:
    return asyncio.run(_measure(plan))


async def _measure(plan: Plan) -> FiguresBySize:
    server = SERVERS[TAMAGO]
    if not server.executable.exists():
        raise MeasurementError("tamago is not installed here: run `python -m benchmarks setup`")
    async with running(server, app=APP, agent=AGENT, workers=1) as run, asyncio.timeout(WITHIN):
        connection = await _connect(run)
        response = await connection.get(f"/?plan={quote(plan.to_json())}")
        connection.close()
    if response.status != 200:
        raise MeasurementError(f"the worker answered {response.status}")
    figures: FiguresBySize = json.loads(response.body)
    return figures


async def _connect(run: Running) -> Connection:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        run.check()
        try:
            return await Connection.open(run.port)
        except (OSError, BadResponseError):
            await asyncio.sleep(POLL)
    raise MeasurementError("nobody listens after 30 s")
