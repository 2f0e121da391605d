"""Who must slow down: a process that sends to one that does not keep up is not read from until it does. Pure.

So what a slow reader costs is its senders' time, and at most so much of the master's memory.
"""

from __future__ import annotations

from typing import Final

from tamago.cluster.attached import Attached

HIGH_WATER: Final = 1024 * 1024
"""While more bytes than this wait to be read by a process, those who send to it are not read from."""
LOW_WATER: Final = HIGH_WATER // 2


def is_behind(receiver: Attached) -> bool:
    """Say whether more waits for a process than it should."""
    return receiver.line.queued_bytes > HIGH_WATER


def has_caught_up(receiver: Attached) -> bool:
    """Say whether its senders may go on."""
    return receiver.line.queued_bytes <= LOW_WATER


def pause(sender: Attached, receiver: Attached) -> None:
    """Stop reading from the sender until the receiver has caught up. They may be the same."""
    if not sender.paused_by:
        sender.line.pause_reading()
    sender.paused_by.add(receiver)
    receiver.slows.add(sender)


def release(receiver: Attached) -> None:
    """Read again from those who waited for this receiver and for no other."""
    for sender in receiver.slows:
        sender.paused_by.discard(receiver)
        if not sender.paused_by:
            sender.line.resume_reading()
    receiver.slows.clear()


def forget(dead: Attached) -> None:
    """Part with a process: nobody waits for it any more, and it waits for nobody."""
    release(dead)
    for receiver in dead.paused_by:
        receiver.slows.discard(dead)
    dead.paused_by.clear()
