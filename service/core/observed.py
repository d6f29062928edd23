"""Observe: what a condition looked at, comparison by comparison, and which of them made it come out as it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.context import Scalar
from service.core.cel import Conditions, Program, check_condition
from service.core.cel.attributes import row, variables
from service.core.cel.spelling import spelled
from service.core.cel.tree import Call, Node, names, parts
from service.core.epochs import in_force
from service.core.explained import Compared, Fit
from service.core.rules import Eligibility, Guardrail, Selector, Weight
from service.core.selection import mask
from service.core.strategy import Action, Strategy

_CONNECT = {"logical_and": False, "logical_or": True}
_SIDES = 2
_COMPARES = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_in_", "startsWith", "endsWith", "contains")


@dataclass(frozen=True, slots=True)
class _Read:
    """A condition that can be asked for the value of each of its parts."""

    node: Node
    fields: tuple[str, ...]
    parts: tuple[Node, ...]
    of: Conditions

    def values(self, values: Sequence[Scalar | None], now_ms: int) -> Mapping[Node, Scalar | None]:
        found: Mapping[Node, Scalar | None] = dict(zip(self.parts, self.of(values, now_ms), strict=True))
        return found


class Observer:
    """Reads the conditions of one strategy part by part: slower than the judge, which computes them all at once."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._reads: dict[str, _Read] = {}
        self._attributes = sorted(variables(strategy.attributes))
        fields = strategy.schema.index
        self._index = {**fields, **{name: len(fields) + at for at, name in enumerate(self._attributes)}}

    def fields(self, rule: Guardrail | Eligibility | Weight) -> tuple[str, ...]:
        """Return the fields that a rule's condition reads."""
        return self._read(rule.when.source).fields

    def holds(self, source: str, values: Sequence[Scalar | None], now_ms: int) -> bool | None:
        """Tell whether a condition about the customer alone holds; None where that is not known."""
        read = self._read(source)
        return _truth(read.values((*values, *[None] * len(self._attributes)), now_ms)[read.node])

    def seen(
        self, source: str, values: Sequence[Scalar | None], now_ms: int, action: Action
    ) -> tuple[bool | None, tuple[Compared, ...]]:
        """Return whether a condition holds for an action, and the comparisons that made it so, each once."""
        read, told = self._read(source), row(action)
        found = read.values((*values, *(told.get(name) for name in self._attributes)), now_ms)
        deciding = dict.fromkeys(_deciding(read.node, found))
        return _truth(found[read.node]), tuple(_compared(node, found) for node in deciding)

    def fits(self, action: Action, channel: str, values: Sequence[Scalar | None], now_ms: int) -> Iterator[Fit]:
        """Yield each rule that permitted an action which is permitted, with the known fields that made it hold."""
        strategy, bit, index = self._strategy, 1 << action.index, self._strategy.schema.index
        lets_out = (one for one in strategy.exemptions if in_force(one.valid, now_ms))
        exempt = {
            name for one in lets_out if mask(one.actions, strategy.actions, channel) & bit for name in one.exempt_from
        }
        for rule in strategy.eligibility:
            needed = rule.id not in exempt and in_force(rule.valid, now_ms)
            if not needed or not mask(rule.permit, strategy.actions, channel) & bit:
                continue
            holds, deciding = self.seen(rule.when.source, values, now_ms, action)
            if holds:
                names = dict.fromkeys(name for one in deciding for name in one.names if name in index)
                yield Fit(self.fields(rule), tuple(name for name in names if values[index[name]] is not None))

    def read(self, channel: str, about: int) -> set[str]:
        """Return the fields that any rule or weight over these actions (a mask) reads on a channel."""
        strategy = self._strategy
        over: tuple[tuple[Selector, Guardrail | Eligibility | Weight], ...] = (
            *((rule.forbid, rule) for rule in strategy.guardrails),
            *((rule.permit, rule) for rule in strategy.eligibility),
            *((weight.boost, weight) for weight in strategy.weights),
        )
        read = (rule for some, rule in over if mask(some, strategy.actions, channel) & about)
        return {name for rule in read for name in self.fields(rule)}

    def _read(self, source: str) -> _Read:
        read = self._reads.get(source)
        if read is None:
            checked = check_condition(source, self._strategy.schema, self._strategy.attributes)
            every = tuple(dict.fromkeys(_parts(checked.node)))
            program = Program()
            terms = [program.add(node) for node in every]
            read = self._reads[source] = _Read(checked.node, checked.fields, every, program.over(terms, self._index))
        return read


def _parts(node: Node) -> Iterator[Node]:
    """Yield every part of a condition that has a value of its own; moments and spans are written as they are."""
    yield node
    for part in parts(node):
        if not _is_moment_written(node):
            yield from _parts(part)


def _is_moment_written(node: Node) -> bool:
    return isinstance(node, Call) and node.overload in ("string_to_duration", "string_to_timestamp")


def _deciding(node: Node, found: Mapping[Node, Scalar | None]) -> Iterator[Node]:
    """Yield the comparisons by which a condition came out as it did: of those that are enough each, all that were."""
    if not isinstance(node, Call):
        yield node
    elif node.overload in _CONNECT:
        decisive, truth = _CONNECT[node.overload], found[node]
        for part in node.args:
            if (truth is not decisive and truth is not None) or found[part] is truth:
                yield from _deciding(part, found)
    elif node.overload == "logical_not":
        yield from _deciding(node.args[0], found)
    elif node.overload == "conditional" and node.kind == "bool":
        test, then, otherwise = node.args
        yield from _deciding(test, found)
        if found[test] is not None:
            yield from _deciding(then if found[test] else otherwise, found)
    else:
        yield node


def _compared(node: Node, found: Mapping[Node, Scalar | None]) -> Compared:
    """Return a comparison with both sides: first what is known of the customer, then what that is compared with."""
    read = tuple(dict.fromkeys(name for name in names(node) if name != "now"))
    holds = _truth(found[node])
    if isinstance(node, Call) and node.function in _COMPARES and len(node.args) == _SIDES:
        observed, bound = sorted(node.args, key=_is_bound)
        sides = found[observed], _kind(observed), found[bound], _kind(bound)
        return Compared(spelled(node), read, *sides, holds)
    return Compared(spelled(node), read, found[node], _kind(node), None, "", holds)


def _is_bound(side: Node) -> int:
    """Tell how much a side is what something is compared with: a literal most, then what an action says."""
    read = set(names(side))
    if not read:
        return 2
    return int(all(name.startswith("action.") or name == "now" for name in read))


def _kind(node: Node) -> str:
    return node.kind


def _truth(value: Scalar | None) -> bool | None:
    return value if isinstance(value, bool) else None
