"""A wrong name is answered with the one that was meant, as far as that can be guessed."""

from __future__ import annotations

from tamago.core.suggest import did_you_mean, which_one


def test_what_is_spelt_alike_is_put_behind_a_sentence() -> None:
    assert did_you_mean("usr", ["user", "post", 7]) == "; did you mean user?"
    assert did_you_mean("zzz", ["user", "post"]) == ""


def test_a_hint_names_what_is_spelt_alike() -> None:
    assert which_one("usr", ["user", "post"]) == "did you mean 'user'?"


def test_a_hint_lists_everything_if_nothing_is_alike() -> None:
    assert which_one("zzz", ["user", "post", "user"]) == "there is: post, user"


def test_without_any_name_the_hint_is_what_the_caller_has_to_say() -> None:
    assert which_one("user", []) == ""
    assert which_one("user", [], nothing="app/service/ is empty") == "app/service/ is empty"
