"""What the shell keeps of generations that are gone, and what it has ready for those to come."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tamago.cluster.outfit import Member, Outfit
from tamago.cluster.settings import MOST_WORKERS, Settings
from tamago.cluster.shell import Shell
from tamago.cluster.trace import Trace
from tamago.ipc.master_channel import MasterChannel
from tamago.types import Role, TargetSpec

pytestmark = pytest.mark.anyio


async def test_what_generations_were_started_with_is_forgotten_when_nobody_of_them_is_left() -> None:
    loop = asyncio.get_running_loop()
    target = TargetSpec(loader="module:factory", directory="/")
    outfit = Outfit(settings=Settings(), target=target, listeners=(), title="shop", master_pid=1, run_as=None)
    shell = Shell(loop, outfit, emit=lambda _: None, trace=Trace(None), owns_process=False)
    ours, theirs = socket.socketpair()
    with theirs:
        channel = MasterChannel(ours, loop=loop)
        draining = Member(peer=7, role=Role.WORKER, slot=1, generation=2, channel=channel)
        shell.members[draining.peer] = draining
        # A rolled back reload is among them, and the one that serves, of which nobody is there at this moment.
        shell._outfits = dict.fromkeys((1, 2, 3, 4), outfit)
        shell.forget_outfits(serving=3)
        assert sorted(shell._outfits) == [2, 3]
        del shell.members[draining.peer]
        shell.forget_outfits(serving=3)
        assert sorted(shell._outfits) == [3]
        channel.close()
        shell.close()


async def test_however_few_workers_there_are_there_is_a_row_for_each_one_can_scale_to() -> None:
    target = TargetSpec(loader="module:factory", directory="/")
    outfit = Outfit(settings=Settings(workers=1), target=target, listeners=(), title="shop", master_pid=1, run_as=None)
    shell = Shell(asyncio.get_running_loop(), outfit, emit=lambda _: None, trace=Trace(None), owns_process=False)
    assert shell.board.rows > 4 * MOST_WORKERS, "in a reload each may have a successor, and two that finish"
    shell.close()
