"""What `tamago.testing` exports."""

from __future__ import annotations

import inspect

import pytest

import tamago.testing


@pytest.mark.parametrize("name", tamago.testing.__all__)
def test_every_name_leads_to_its_class(name: str) -> None:
    assert inspect.isclass(getattr(tamago.testing, name))


def test_another_name_is_not_there() -> None:
    assert not hasattr(tamago.testing, "nothing")
