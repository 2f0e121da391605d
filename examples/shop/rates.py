"""Exchange rates: a table of them, and a source that drifts. Knows no process, no clock and no network.

A table travels between processes as a plain dict, so this module also owns that form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

BASE_CURRENCY: Final = "EUR"

# What one euro bought when the shop opened.
OPENING: Final[Mapping[str, Decimal]] = MappingProxyType(
    {
        BASE_CURRENCY: Decimal(1),
        "CHF": Decimal("0.9512"),
        "CNY": Decimal("7.7940"),
        "GBP": Decimal("0.8443"),
        "JPY": Decimal("161.2300"),
        "USD": Decimal("1.0854"),
    }
)


class UnknownCurrencyError(Exception):
    """Nobody quotes this currency."""

    def __init__(self, currency: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no exchange rate for {currency!r}; the shop takes {', '.join(known)}")
        self.currency = currency
        self.known = known


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTable:
    """What one unit of the base currency buys. Of two tables, the one with the higher `version` is the newer."""

    version: int
    rates: Mapping[str, Decimal]

    def rate(self, currency: str) -> Decimal:
        try:
            return self.rates[currency]
        except KeyError:
            raise UnknownCurrencyError(currency, tuple(sorted(self.rates))) from None

    def to_message(self) -> dict[str, Any]:
        """Return the form that travels: decimals as text, so nothing is rounded on the way."""
        return {"version": self.version, "rates": {currency: str(rate) for currency, rate in self.rates.items()}}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> RateTable:
        rates = {currency: Decimal(text) for currency, text in message["rates"].items()}
        return cls(version=message["version"], rates=rates)


OPENING_TABLE: Final = RateTable(version=0, rates=OPENING)


class DriftingSource:
    """Stands in for a bank: each rate swings up to 3 % around its opening value, the same way for the same version."""

    swing = 0.03

    def table(self, version: int) -> RateTable:
        return RateTable(version=version, rates={currency: self._rate(currency, version) for currency in OPENING})

    def _rate(self, currency: str, version: int) -> Decimal:
        if currency == BASE_CURRENCY:
            return OPENING[currency]
        phase = sum(currency.encode())
        drift = Decimal(1 + self.swing * math.sin(version / 7 + phase))
        return (OPENING[currency] * drift).quantize(Decimal("0.0001"))


class RateCache:
    """The newest table this process has heard of."""

    def __init__(self) -> None:
        self.table = OPENING_TABLE

    def offer(self, message: Mapping[str, Any]) -> None:
        """Take a table that came in a message, unless a newer one overtook it."""
        table = RateTable.from_message(message)
        if table.version > self.table.version:
            self.table = table
