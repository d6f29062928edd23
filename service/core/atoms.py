"""Atoms: the smallest parts of a strategy's conditions that are true or false by themselves.

Every condition is made of them by `&&`, `||`, `!` and `?:`, so two situations in which all atoms have the same truths
are the same to every rule and weight. That is how the values of a fact fall into few classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from models.context import ContextSchema, Scalar
from service.core.cel import Conditions, Masks, Program, Rows, check_condition
from service.core.cel.tree import Call, Const, Node, names
from service.core.cel.ways import about_actions
from service.core.rules import Eligibility, Guardrail, Selector
from service.core.ruling import judging
from service.core.selection import mask
from service.core.strategy import Strategy

NOW = "now"
_CONNECTING = ("logical_and", "logical_or", "logical_not", "conditional")


class Atoms:
    """The atoms of some rules and weights: those on which the actions of one request depend.

    `read` are the names that any of them reads: ids of fields, and `now`.
    """

    def __init__(self, conditions: Iterable[Node], schema: ContextSchema, rows: Rows) -> None:
        found = dict.fromkeys(atom for node in conditions for atom in _atoms(node))
        self._atoms = [(atom, frozenset(names(atom))) for atom in found if not isinstance(atom, Const)]
        self._schema, self._rows = schema, rows
        self._compiled: dict[frozenset[str], Conditions] = {}
        self.read = frozenset(name for _, read in self._atoms for name in read)

    def joint(self, field: str, others: Iterable[str]) -> bool:
        """Tell whether an atom compares a field with one of these, so that its classes depend on the other."""
        among = set(others) - {field}
        return any(field in read and not among.isdisjoint(read) for _, read in self._atoms)

    def truths(self, about: frozenset[str], values: Sequence[Scalar | None], now_ms: int) -> tuple[object, ...]:
        """Return the truths of all atoms that read any of these names."""
        if about not in self._compiled:
            self._compiled[about] = self._compile(about)
        return self._compiled[about](values, now_ms)

    def _compile(self, about: frozenset[str]) -> Conditions:
        program = Program()
        masks = Masks(program, self._rows)
        terms: list[str] = []
        for atom, read in self._atoms:
            if not about.isdisjoint(read):
                terms += masks.add(atom) if about_actions(atom) else [program.add(atom)]
        return program.compile(terms, self._schema)


class RuleBook:
    """The conditions of one strategy by their rules, and the atoms that matter for some actions on a channel."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy, self._rows = strategy, Rows.of(strategy.actions)
        schema, attributes = strategy.schema, strategy.attributes
        self._judging = [
            (rule, check_condition(rule.when.source, schema, attributes).node) for rule in judging(strategy)
        ]
        self._weighing = [(weight, check_condition(weight.when.source, schema).node) for weight in strategy.weights]
        self._found: dict[tuple[str, int], Atoms] = {}
        self.reads = {rule.id: frozenset(names(node)) for rule, node in self._judging}

    def about(self, channel: str, actions: int) -> Atoms:
        """Return the atoms of what forbids, permits, asks for or weighs any of these actions (a mask) on a channel."""
        key = channel, actions
        if key not in self._found:
            nodes = [node for rule, node in self._judging if self._means(rule, *key)]
            nodes += [node for weight, node in self._weighing if self._mask(weight.boost, channel) & actions]
            self._found[key] = Atoms(nodes, self._strategy.schema, self._rows)
        return self._found[key]

    def _means(self, rule: Guardrail | Eligibility, channel: str, actions: int) -> bool:
        about = rule.forbid if isinstance(rule, Guardrail) else rule.permit
        selectors = (about, rule.instead) if rule.instead else (about,)
        return any(self._mask(selector, channel) & actions for selector in selectors)

    def _mask(self, selector: Selector, channel: str) -> int:
        return mask(selector, self._strategy.actions, channel)


def _atoms(node: Node) -> Iterator[Node]:
    if isinstance(node, Call) and node.overload in _CONNECTING and node.kind == "bool":
        for part in node.args:
            yield from _atoms(part)
    else:
        yield node
