"""The control socket, line by line: for what the command line would not say, or not slowly enough."""

from __future__ import annotations

import json
import socket
from typing import Any

from tests.process.harness import Cluster


class Control:
    """One connection to a master."""

    def __init__(self, cluster: Cluster) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(cluster.site.home / "run" / cluster.title / "control.sock"))
        self._file = self.socket.makefile("rb")
        self._count = 0

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, command: str, **params: Any) -> None:
        self._count += 1
        self.socket.sendall(json.dumps({"v": 1, "id": self._count, "command": command, "params": params}).encode() + b"\n")

    def line(self) -> dict[str, Any]:
        """Block until the master says something."""
        line = self._file.readline()
        assert line, "the master closed the connection"
        said: dict[str, Any] = json.loads(line)
        return said

    def event(self, name: str) -> dict[str, Any]:
        """Block until it says this; fail when it says `error` instead."""
        while (said := self.line())["event"] != name:
            assert said["event"] in {"accepted", "alive", "progress"}, said
        return said

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        self.send(command, **params)
        result: dict[str, Any] = self.event("done")["result"]
        return result

    def ended(self) -> bool:
        """Block until the master closes."""
        return self._file.read() == b""
