from __future__ import annotations

import pytest

from tamago.ipc.importing import Importing, SentWhileImportingError
from tamago.ipc.loopback import Loopback
from tamago.ipc.messenger import Messenger
from tamago.types import Group


@pytest.mark.anyio
async def test_listening_works_sending_says_where_to_send_from_and_listeners_stay() -> None:
    messenger = Messenger()
    seen: list[object] = []
    messenger.connect(Importing())
    messenger.on("a", seen.append)
    with pytest.raises(SentWhileImportingError, match="start-up hook"):
        messenger.send_to_app("a")
    with pytest.raises(SentWhileImportingError):
        await messenger.request(Group.AGENT, "a")
    await messenger.finish()
    await messenger.drain()
    assert messenger.peers == ()
    messenger.connect(Loopback())
    messenger.send_to_app("a", 1)
    await messenger.drain()
    assert seen == [1]
