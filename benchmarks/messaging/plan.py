"""What is asked of each way to exchange messages, and what it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many messages of each size (bytes of text): one way, round trips with `outstanding` under way, round trips one at a time."""

    sizes: tuple[int, ...] = (64, 1024)
    one_way: int = 100_000
    together: int = 50_000
    alone: int = 5_000
    outstanding: int = 64
    warm_up: int = 2_000

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        fields = json.loads(text)
        return cls(**{**fields, "sizes": tuple(fields["sizes"])})


class Figures(TypedDict):
    """Messages a second one way, round trips a second together, median microseconds of one alone."""

    one_way: float
    together: float
    alone: float


FiguresBySize = dict[str, Figures]
