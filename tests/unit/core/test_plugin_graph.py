"""The order of plugins: Egg's vectors as data, and Egg's algorithm written down literally to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, strategies as st

from tamago.core.plugin_graph import Node, PluginOrderError, Sequenced, chain_to, dependents, sequencify


def graph(text: str) -> dict[str, Node]:
    """Read the notation of the vectors: "a:(b,c;d) b" is a with hard b and c and optional d, and b with nothing."""
    nodes = {}
    for word in text.split():
        name, _, needs = word.partition(":")
        hard, _, optional = needs.strip("()").partition(";")
        nodes[name] = Node(dependencies=names(hard), optional=names(optional))
    return nodes


def names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


VECTORS = [
    # graph, enabled, sequence, missing, recursive
    ("a:(b) b:(c) c", "a", "c,b,a", "", []),
    ("a b c", "c,a", "c,a", "", []),
    ("a:(b,c) b:(d) c:(d) d", "a", "d,b,c,a", "", []),
    ("a:(zz) b", "a,b", "", "zz", []),
    ("a:(zz) b:(zz,yy)", "a,b", "", "zz,yy", []),
    ("a:(a)", "a", "", "", ["a,a"]),
    ("a:(b) b:(c) c:(a)", "a,b,c", "", "", ["a,b,c,a"]),
    ("a:(;zz)", "a", "a", "", []),
    ("a:(;b) b", "a", "a", "", []),
    ("a:(;b) b", "a,b", "b,a", "", []),
    ("a:(;b) b:(zz)", "a", "a", "", []),
    ("a:(;b) b:(zz)", "a,b", "", "zz", []),
    ("a:(;b) b:(;a)", "a,b", "", "", ["a,b,a"]),
    ("a:(b) b:(;a)", "a,b", "", "", ["a,b,a"]),
    ("a:(;b) b:(c) c", "a,b", "c,b,a", "", []),
    ("a:(;b) b:(c) c d:(c)", "a,d", "c,a,d", "", []),
    ("a:(b,c) b c:(e) d:(b) e", "a,d", "b,e,c,a,d", "", []),
]

EGG = (
    "onerror:(;jsonp) session i18n watcher multipart:(;schedule) security:(;session) development:(watcher)"
    " logrotator:(schedule) schedule static jsonp:(;security) view"
)

CASES = [
    pytest.param(
        "rpc:(;zookeeper,vip,zoneclient) ldc:(rpc,zoneclient,vip) zoneclient:(vip,ddcs) zookeeper vip:(ddcs,zookeeper) ddcs:(zookeeper)",
        "rpc,ldc,zoneclient,zookeeper,vip,ddcs",
        "zookeeper,ddcs,vip,zoneclient,rpc,ldc",
        id="A1",
    ),
    pytest.param(
        "tracelog:(;rpcServer) gateway:(rpcServer;tracelog) rpcServer:(;ldc,zoneclient) ldc:(zoneclient) zoneclient",
        "tracelog,gateway,ldc",
        "zoneclient,ldc,rpcServer,tracelog,gateway",
        id="A2",
    ),
    pytest.param("a:(b;d,e) b:(e;c) c d e f:(;opt)", "a,b,e,f", "e,b,a,f", id="A3"),
    pytest.param("a:(b,f) b c1:(b) d:(a) e:(f) f:(c1)", "a,b,c1,d,e,f", "b,c1,f,a,d,e", id="A4"),
    pytest.param("tracelog:(;gw,rpcServer) gw:(rpcServer) rpcServer", "tracelog", "tracelog", id="A5"),
    pytest.param("a:(b,c) b c:(e) d:(b) e", "a,d,e", "b,e,c,a,d", id="A6"),
    pytest.param(
        EGG,
        "onerror,session,i18n,watcher,multipart,security,development,logrotator,schedule,static,jsonp,view",
        "session,security,jsonp,onerror,i18n,watcher,schedule,multipart,development,logrotator,static,view",
        id="egg's own in local",
    ),
    pytest.param(
        EGG,
        "onerror,session,i18n,watcher,multipart,security,logrotator,schedule,static,jsonp,view",
        "session,security,jsonp,onerror,i18n,watcher,schedule,multipart,logrotator,static,view",
        id="egg's own in prod",
    ),
]


@pytest.mark.parametrize(("nodes", "enabled", "sequence", "missing", "recursive"), VECTORS)
def test_every_golden_vector(nodes: str, enabled: str, sequence: str, missing: str, recursive: list[str]) -> None:
    assert sequencify(graph(nodes), names(enabled)) == Sequenced(
        order=names(sequence), missing=names(missing), recursive=tuple(names(chain) for chain in recursive)
    )


@pytest.mark.parametrize(("nodes", "enabled", "sequence"), CASES)
def test_every_named_case(nodes: str, enabled: str, sequence: str) -> None:
    assert sequencify(graph(nodes), names(enabled)).order == names(sequence)


def literal(nodes: Mapping[str, Node], enabled: Sequence[str]) -> Sequenced:  # noqa: C901 - it is Egg's
    """Egg's `sequencify`, line by line as it stands in JavaScript."""
    sequence: list[str] = []
    requires: dict[str, bool] = {}
    missing: list[str] = []
    recursive: list[tuple[str, ...]] = []

    def seq(wanted: Sequence[str], nest: list[str], optional: bool) -> None:  # noqa: C901
        for name in wanted:
            if requires.get(name):
                continue
            node = nodes.get(name)
            if node is None:
                if optional:
                    continue
                missing.append(name)
            elif name in nest:
                recursive.append((*nest, name))
            elif node.dependencies or node.optional:
                nest.append(name)
                seq(node.dependencies, nest, optional)
                seq(node.optional, nest, True)
                nest.pop()
            if not optional:
                requires[name] = True
            if name not in sequence:
                sequence.append(name)

    seq(enabled, [], False)
    if missing or recursive:
        sequence.clear()
    return Sequenced(order=tuple(name for name in sequence if requires.get(name)), missing=tuple(missing), recursive=tuple(recursive))


letters = st.sampled_from("abcdef")
needs = st.lists(letters, max_size=2, unique=True).map(tuple)
graphs = st.dictionaries(letters, st.builds(Node, dependencies=needs, optional=needs), min_size=1)


@given(graphs, st.lists(letters, min_size=1, unique=True))
def test_the_order_is_what_egg_computes_for_any_graph(nodes: dict[str, Node], enabled: list[str]) -> None:
    ours, egg = sequencify(nodes, enabled), literal(nodes, enabled)
    assert (ours.order, ours.missing) == (egg.order, egg.missing)
    # Egg may list one circle several times, once for each optional way to it.
    assert set(ours.recursive) <= set(egg.recursive)
    assert bool(ours.recursive) == bool(egg.recursive)


@given(graphs, st.lists(letters, min_size=1, unique=True))
def test_whatever_is_ordered_comes_after_all_it_needs(nodes: dict[str, Node], enabled: list[str]) -> None:
    order = sequencify(nodes, enabled).order
    for place, name in enumerate(order):
        assert set(nodes[name].dependencies) <= set(order[:place])
        assert not set(nodes[name].optional) & set(order[place:])


def test_many_optional_ways_to_the_same_plugin_cost_no_more_than_one() -> None:
    chain = [f"p{number}" for number in range(60)]
    nodes = {name: Node(optional=tuple(reversed(chain[:number]))) for number, name in enumerate(chain)}
    assert sequencify(nodes, reversed(chain)).order == tuple(chain)


def test_a_chain_is_the_shortest_way_over_hard_dependencies() -> None:
    nodes = graph("a:(b,c) b:(d) c:(e;x) d:(e) e x")
    assert chain_to(nodes, ["a"], "e") == ("a", "c", "e")
    assert chain_to(nodes, ["a"], "a") == ("a",)
    assert chain_to(nodes, ["a"], "x") == ()
    assert chain_to(graph("a:(zz)"), ["a"], "zz") == ("a", "zz")


def test_dependents_are_those_that_need_it_in_the_order_they_load() -> None:
    nodes = graph("a:(b,c) b c:(e) d:(b) e")
    assert dependents(nodes, ("b", "e", "c", "a", "d")) == {"b": ("a", "d"), "c": ("a",), "e": ("c",)}


def test_missing_and_recursive_are_told_together_with_whole_chains() -> None:
    nodes = graph("a:(b) b:(c) c:(a1,d) d:(;b) e:(a1)")
    result = sequencify(nodes, ["a", "e"])
    error = PluginOrderError(nodes, ["a", "e"], result, {})
    assert error.problem.splitlines() == [
        "plugins cannot be ordered, missing: [a1], recursive: [a → b → c → d → b]",
        "  a1 is needed by c (a → b → c → a1) and e: no plugin is declared by that name",
        "  a → b → c → d → b is a circle",
    ]
    assert error.hint.startswith("declare what is missing in config/plugin.py, or disable what needs it; break each circle")
    assert (error.missing, error.recursive) == (("a1",), (("a", "b", "c", "d", "b"),))


def test_why_something_is_missing_is_said_where_it_is_known() -> None:
    nodes = graph("a:(b) b:(dev)")
    error = PluginOrderError(nodes, ["a"], sequencify(nodes, ["a"]), {"dev": "it is only for env local, and this is prod"})
    assert error.problem.splitlines()[1] == "  dev is needed by b (a → b → dev): it is only for env local, and this is prod"


@pytest.mark.parametrize(("nodes", "hint"), [("a:(zz)", "declare what is missing"), ("a:(a)", "break each circle")])
def test_the_hint_is_about_what_is_wrong_and_nothing_else(nodes: str, hint: str) -> None:
    error = PluginOrderError(graph(nodes), ["a"], sequencify(graph(nodes), ["a"]), {})
    assert error.hint.startswith(hint)
    assert ";" not in error.hint


def test_a_name_that_is_enabled_but_nowhere_is_missing_by_itself() -> None:
    error = PluginOrderError({}, ["a"], sequencify({}, ["a"]), {})
    assert error.problem.splitlines()[1] == "  a is enabled: no plugin is declared by that name"
