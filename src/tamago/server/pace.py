"""How slow a client may be. Pure.

A timeout that starts anew with each byte never ends a client that sends or reads one byte in time, so time spent waiting is an account:
`body_timeout` is what it begins with, and each `min_rate` bytes that move pay in one second.
"""

from __future__ import annotations

# Unsent bytes, and since when, in seconds, the client owes us that it reads.
Stall = tuple[int, float]
NOT_STALLED: Stall = (-1, 0.0)


def patience(timeout: float, rate: int, *, received: int, waited: float) -> float:
    """Return how many seconds to wait for more of a body, of which `received` bytes came while we `waited` seconds for them."""
    return min(timeout, timeout + received / rate - waited) if rate else timeout


def stall_after(stall: Stall, unsent: int, now: float, rate: int) -> Stall:
    """Return the new state of a client that has `unsent` bytes to read. What is written in the meantime excuses nothing."""
    size, since = stall
    if size < 0:
        return (unsent, now)
    if unsent < size:
        since = min(now, since + (size - unsent) / rate) if rate else now
    return (unsent, since)
