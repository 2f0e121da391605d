"""How an application under test tells the test what happens to it: one line on the standard output of its process."""

from __future__ import annotations

import os

import tamago


def say(what: str, **facts: object) -> None:
    """Write `@what role=... slot=... gen=... pid=...` and the facts, in one piece, also from a process that is about to die."""
    me = tamago.me
    words = [f"@{what}", f"role={me.role.value}", f"slot={me.slot}", f"gen={me.generation}", f"pid={os.getpid()}"]
    words += [f"{name}={value}" for name, value in facts.items()]
    os.write(1, (" ".join(words) + "\n").encode())


def hold(fifo: str) -> None:
    """Block until the test opens the FIFO (see `Site.gate`) and lets go."""
    with open(fifo, "rb", buffering=0) as gate:
        gate.read(1)
