"""Redis publish and subscribe over a Unix socket: what many reach for when their server has no messages."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import redis  # type: ignore[import-not-found,unused-ignore]  # stands in the peers' environment

from benchmarks.paths import DEBIAN

PIPELINE = 100  # messages published together in a flood


class RedisLine:
    """Publishes to one channel, listens to another, a connection for each."""

    def __init__(self, path: str, *, publish: str, subscribe: str) -> None:
        client = redis.Redis(unix_socket_path=path)
        self._client, self._channel = client, publish
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(subscribe)
        self._pubsub.get_message(timeout=1.0)  # the confirmation
        self._pending: list[bytes] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, Any]).decode
        # Publishing to nobody loses the message: wait until the other end listens as well.
        while not client.pubsub_numsub(publish)[0][1]:
            pass

    def send(self, action: str, data: Any) -> None:
        self._pending.append(self._encode((action, data)))
        if len(self._pending) >= PIPELINE:
            self.flush()

    def flush(self) -> None:
        if len(self._pending) == 1:
            self._client.publish(self._channel, self._pending[0])
        elif self._pending:
            with self._client.pipeline(transaction=False) as pipeline:
                for body in self._pending:
                    pipeline.publish(self._channel, body)
                pipeline.execute()
        self._pending.clear()

    def receive(self) -> tuple[str, Any]:
        # A first look without waiting: what is here already is taken before our own messages are let go.
        message = self._pubsub.get_message(timeout=0.0) if self._pending else None
        if message is None:
            self.flush()
        while message is None:
            message = self._pubsub.get_message(timeout=None)
        return self._decode(message["data"])


@dataclass(frozen=True, slots=True)
class RedisExchange:
    path: str
    environment: dict[str, str] = field(default_factory=dict)

    def app(self) -> RedisLine:
        return RedisLine(self.path, publish="to-agent", subscribe="to-app")

    def agent(self) -> RedisLine:
        return RedisLine(self.path, publish="to-app", subscribe="to-agent")


def _server() -> str:
    # Debian's redis-server is a link to redis-check-rdb in redis-tools; the name it is called by makes it the server.
    extracted = DEBIAN / "usr" / "bin" / "redis-server"
    found = str(extracted) if extracted.exists() else shutil.which("redis-server")
    if not found:
        raise FileNotFoundError("redis-server is missing: run `python -m benchmarks setup`")
    return found


@contextmanager
def redis_pubsub() -> Iterator[RedisExchange]:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/redis.sock"
        process = subprocess.Popen(
            [_server(), "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", directory,
             "--client-output-buffer-limit", "pubsub 0 0 0", "--loglevel", "warning"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={**os.environ, "LD_LIBRARY_PATH": str(DEBIAN / "usr/lib/x86_64-linux-gnu")},
        )  # fmt: skip
        try:
            while process.poll() is None and not os.path.exists(path):
                select.select([], [], [], 0.01)
            if process.returncode is not None:
                raise ChildProcessError(f"redis-server ended with {process.returncode}")
            yield RedisExchange(path)
        finally:
            process.terminate()
            process.wait()
