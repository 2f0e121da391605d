from __future__ import annotations

from tamago.ipc.listeners import Listeners


def test_handlers_keep_the_order_they_came_in() -> None:
    listeners = Listeners()
    handlers = [lambda data, number=number: number for number in range(3)]
    for handler in handlers:
        listeners.add("a", handler)
    assert listeners.by_action["a"] == tuple(handlers)


def test_removing_takes_the_newest_registration_only() -> None:
    listeners = Listeners()
    listeners.add("a", print)
    listeners.add("a", len)
    listeners.add("a", print)
    listeners.remove("a", print)
    assert listeners.by_action["a"] == (print, len)


def test_an_action_without_handlers_leaves_nothing_behind() -> None:
    listeners = Listeners()
    listeners.add("a", print)
    listeners.remove("a", print)
    listeners.remove("a", print)
    listeners.remove("b", print)
    listeners.remove_all("c")
    assert listeners.by_action == {}


def test_a_handler_for_once_is_gone_before_it_runs() -> None:
    listeners = Listeners()
    seen: list[object] = []
    entry = listeners.add_once("a", lambda data: seen.append((data, dict(listeners.by_action))))
    entry(1)
    assert seen == [(1, {})]


def test_a_handler_for_once_can_be_removed_by_the_function_it_wraps() -> None:
    listeners = Listeners()
    listeners.add_once("a", print)
    listeners.remove("a", print)
    assert listeners.by_action == {}


def test_a_bound_method_can_be_removed_though_each_access_makes_a_new_one() -> None:
    class Cache:
        def update(self, data: object) -> None: ...

    cache, listeners = Cache(), Listeners()
    listeners.add("a", cache.update)
    listeners.remove("a", cache.update)
    assert listeners.by_action == {}
