"""What an EventStream is made of."""

from __future__ import annotations

from typing import cast

import pytest

from tamago.app.event_stream import EventStream, SourceError


def test_a_generator_that_is_not_async_is_refused_where_the_stream_is_made() -> None:
    with pytest.raises(SourceError, match="takes an async iterator, and not <generator object") as caught:
        EventStream(cast("EventStream", (number for number in range(2))))
    assert "`async def`" in caught.value.hint
