from __future__ import annotations

import asyncio

import pytest

from tamago.ipc.bodies import ErrorBody
from tamago.ipc.requests import LAST_SEQ, NoHandlerError, ReceiverGoneError, RemoteError, Requests, RequestTimeoutError
from tamago.types import Group

pytestmark = pytest.mark.anyio


def opened(requests: Requests) -> tuple[int, asyncio.Future[object]]:
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    return requests.open(future, Group.AGENT, "get", 1.5), future


async def test_numbers_wrap_around_past_zero_and_past_those_in_use() -> None:
    requests = Requests()
    first, _ = opened(requests)
    requests._last = LAST_SEQ
    assert (first, opened(requests)[0]) == (1, 2)


async def test_an_answer_ends_the_wait() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.answered(seq, {"rate": 1})
    assert await future == {"rate": 1}


async def test_an_answer_that_comes_twice_or_too_late_is_nothing() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.answered(seq, 1)
    requests.answered(seq, 2)
    requests.undelivered(seq, "gone")
    requests.close(seq)
    requests.answered(seq, 3)
    requests.failed(seq, ErrorBody("E", "m"))
    requests.undelivered(seq, "gone")
    requests.expire(seq)
    assert await future == 1
    assert len(requests) == 0


async def test_a_remote_failure_carries_type_message_and_traceback() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.failed(seq, ErrorBody("KeyError", "'EUR'", "Traceback: there"))
    with pytest.raises(RemoteError) as caught:
        await future
    error = caught.value
    assert (error.type, error.message, error.detail, error.action, error.to) == (
        "KeyError",
        "'EUR'",
        "Traceback: there",
        "get",
        Group.AGENT,
    )


async def test_a_receiver_without_a_handler_is_told_apart_from_one_that_failed() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.failed(seq, ErrorBody("", "get"))
    with pytest.raises(NoHandlerError, match="no handler for 'get'"):
        await future


async def test_a_receiver_that_is_gone_ends_the_wait_with_the_reason() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.undelivered(seq, "worker 2 died before it answered")
    with pytest.raises(ReceiverGoneError, match="worker 2 died"):
        await future


async def test_an_expired_request_says_how_long_it_waited_and_is_a_timeout_error() -> None:
    requests = Requests()
    seq, future = opened(requests)
    requests.expire(seq)
    with pytest.raises(TimeoutError, match=r"within 1\.5 s") as caught:
        await future
    assert isinstance(caught.value, RequestTimeoutError)


async def test_when_the_channel_ends_all_waits_end() -> None:
    requests = Requests()
    futures = [opened(requests)[1] for _ in range(3)]
    requests.fail_all(ConnectionError("gone"))
    assert [type(future.exception()) for future in futures] == [ConnectionError] * 3
