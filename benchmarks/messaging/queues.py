"""`multiprocessing.Queue`, one in each direction: what the standard library offers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any


@dataclass(frozen=True, slots=True)
class QueueLine:
    outgoing: Queue[tuple[str, Any]]
    incoming: Queue[tuple[str, Any]]

    def send(self, action: str, data: Any) -> None:
        self.outgoing.put((action, data))

    def flush(self) -> None:
        """Nothing to do: a thread of the queue's own writes."""

    def receive(self) -> tuple[str, Any]:
        return self.incoming.get()


@dataclass(frozen=True, slots=True)
class Queues:
    to_agent: Queue[tuple[str, Any]]
    to_app: Queue[tuple[str, Any]]

    def app(self) -> QueueLine:
        return QueueLine(self.to_agent, self.to_app)

    def agent(self) -> QueueLine:
        return QueueLine(self.to_app, self.to_agent)


@contextmanager
def queues() -> Iterator[Queues]:
    context = multiprocessing.get_context("fork")
    yield Queues(context.Queue(), context.Queue())
