"""Enough descriptors, or an error with the numbers in it."""

import resource

import pytest

from tamago.cluster.limits import TooFewDescriptorsError, raise_file_limit


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Stand in for the kernel; the last entry is the limit now."""
    limits = [(64, 256)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    return limits


def test_the_soft_limit_goes_up_to_the_hard_one(limit: list[tuple[int, int]]) -> None:
    raise_file_limit(2)
    assert limit[-1] == (256, 256)


def test_too_low_a_hard_limit_is_an_error_that_says_how_much_is_needed(limit: list[tuple[int, int]]) -> None:
    with pytest.raises(TooFewDescriptorsError) as caught:
        raise_file_limit(100)
    assert (caught.value.workers, caught.value.limit) == (100, 256)
    assert str(caught.value.needed) in caught.value.problem
    assert "LimitNOFILE" in caught.value.hint
    assert limit == [(64, 256)]


def test_one_worker_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(TooFewDescriptorsError, match=r"^1 worker needs 68 open files") as caught:
        raise_file_limit(1)
    assert caught.value.needed == 68
