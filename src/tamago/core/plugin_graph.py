"""The order of plugins by what they depend on: Egg's `sequencify`, to the letter. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tamago.errors import TamagoError


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What one plugin depends on."""

    dependencies: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequenced:
    """`order` is empty where anything is `missing` or `recursive`; a recursive chain ends with the name it came back to."""

    order: tuple[str, ...]
    missing: tuple[str, ...] = ()
    recursive: tuple[tuple[str, ...], ...] = ()


class PluginOrderError(TamagoError):
    """Plugins that depend on something missing, or on themselves; both are told at once, each with its whole chain.

    `reasons` has, for a missing name, why it is not there ("it is only for env local").
    """

    def __init__(self, nodes: Mapping[str, Node], names: Iterable[str], result: Sequenced, reasons: Mapping[str, str]) -> None:
        roots = tuple(names)
        lines = [_missing_line(nodes, roots, name, reasons.get(name, "no plugin is declared by that name")) for name in result.missing]
        lines += [f"{_arrows(chain)} is a circle" for chain in result.recursive]
        missing, recursive = ", ".join(result.missing), ", ".join(_arrows(chain) for chain in result.recursive)
        super().__init__(
            f"plugins cannot be ordered, missing: [{missing}], recursive: [{recursive}]" + "".join(f"\n  {line}" for line in lines),
            hint=_hint(result),
        )
        self.missing = result.missing
        self.recursive = result.recursive


@dataclass(slots=True)
class _Walk:
    nodes: Mapping[str, Node]
    required: set[str] = field(default_factory=set)
    explored: set[str] = field(default_factory=set)
    sequence: dict[str, None] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    recursive: list[tuple[str, ...]] = field(default_factory=list)

    def visit(self, names: Iterable[str], nest: list[str], *, optional: bool) -> None:
        for name in names:
            if name in self.required or (optional and name in self.explored and name not in nest):
                # What was explored optionally changes nothing a second time; without this, optional diamonds cost 2**n visits.
                continue
            node = self.nodes.get(name)
            if node is None:
                if optional:
                    continue
                self.missing.append(name)
            elif name in nest:
                self.recursive.append((*nest, name))
            else:
                nest.append(name)
                self.visit(node.dependencies, nest, optional=optional)
                self.visit(node.optional, nest, optional=True)
                nest.pop()
            (self.explored if optional else self.required).add(name)
            self.sequence.setdefault(name)


def sequencify(nodes: Mapping[str, Node], names: Iterable[str]) -> Sequenced:
    """Order `names` and all they need: dependencies first, hard ones before optional ones, else in the order given.

    What is only reached over optional edges is left out, but keeps its place if something later needs it.
    """
    walk = _Walk(nodes)
    walk.visit(names, [], optional=False)
    broken = walk.missing or walk.recursive
    return Sequenced(
        order=() if broken else tuple(name for name in walk.sequence if name in walk.required),
        missing=tuple(walk.missing),
        recursive=tuple(walk.recursive),
    )


def chain_to(nodes: Mapping[str, Node], roots: Sequence[str], wanted: str) -> tuple[str, ...]:
    """Return the shortest chain of hard dependencies from one of `roots` to `wanted`, both included; () if there is none."""
    chains: list[tuple[str, ...]] = [(root,) for root in roots]
    seen = set(roots)
    for chain in chains:
        if chain[-1] == wanted:
            return chain
        node = nodes.get(chain[-1], Node())
        following = [name for name in node.dependencies if name not in seen]
        seen.update(following)
        chains.extend((*chain, name) for name in following)
    return ()


def dependents(nodes: Mapping[str, Node], order: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return for each name who of `order` depends on it hard, in that order."""
    found: dict[str, tuple[str, ...]] = {}
    for name in order:
        for dependency in nodes[name].dependencies:
            found[dependency] = (*found.get(dependency, ()), name)
    return found


def _missing_line(nodes: Mapping[str, Node], roots: Sequence[str], name: str, reason: str) -> str:
    chains = [chain_to(nodes, roots, other) for other, node in nodes.items() if name in node.dependencies]
    needing = [f"{chain[-1]} ({_arrows((*chain, name))})" if len(chain) > 1 else chain[-1] for chain in chains if chain]
    needed = f"needed by {' and '.join(needing)}" if needing else "enabled"
    return f"{name} is {needed}: {reason}"


def _arrows(chain: Sequence[str]) -> str:
    return " → ".join(chain)


def _hint(result: Sequenced) -> str:
    steps = []
    if result.missing:
        steps.append("declare what is missing in config/plugin.py, or disable what needs it")
    if result.recursive:
        steps.append("break each circle: one plugin in it must not depend on the next, not even optionally")
    return "; ".join(steps)
