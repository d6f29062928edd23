"""Check: a second, simple reading of the hard guardrails that looks at the answer alone.

It shares no code with the compiler of the rules: it reads the rules' text with its own parser and walks closures.
Values carry no types here, so a moment that arithmetic carries beyond the year 9999 is not told from one within; no
event has such a moment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from models.context import Purpose, Scalar
from service.core.rules import Guardrail, Kind
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy

_Term = Callable[[Sequence[Scalar | None], int], Any]
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.\d*(?:[eE][-+]?\d+)?|\.?\d+(?:[eE][-+]?\d+)?)"
    r"|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>&&|\|\||[=!<>]=|.))",
    re.DOTALL,
)
_BINDS = {"?": 1, "||": 2, "&&": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4, "+": 5, "-": 5,
          "*": 6, "/": 6, "%": 6}  # fmt: skip
_ODD_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[^\\'\"ntr]")
_UNITS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

STOCK = "stock"
"""The objection to what needs more than there is."""


class Checker:
    """Knows the guardrails of one strategy, what its actions consume, and nothing else."""

    def __init__(self, strategy: Strategy) -> None:
        index = dict(strategy.schema.index)
        readings = [reading(rule.when.source, index) for rule in strategy.guardrails]
        self._sells = {action.id for action in strategy.actions if action.kind is Kind.OFFER}
        self._needs = {
            action.id: (index[action.consumes.supply], action.consumes.units)
            for action in strategy.actions
            if action.consumes
        }
        self._rules = {
            (action.id, channel.id): tuple(
                (rule.id, place, readings[place])
                for place, rule in enumerate(strategy.guardrails)
                if _is_about(rule, action, channel.id)
            )
            for action in strategy.actions
            for channel in strategy.channels
        }

    def objections(self, actions: Iterable[str], snapshot: Snapshot, channel: str) -> dict[str, str]:
        """Return the actions that are forbidden here, each with the first guardrail that forbids it.

        Each guardrail is read at most once; an empty result means that all may be said.
        """
        truths: dict[int, object] = {}
        personal = Purpose.PERSONALIZATION in snapshot.level.purposes
        found: dict[str, str] = {}
        for action in actions:
            if not snapshot.permitted:
                found[action] = "contact-permission"
            elif action in self._sells and not personal:
                found[action] = "consent"
            elif action in self._needs and not _is_there(snapshot, *self._needs[action]):
                found[action] = STOCK
            for rule, place, holds in self._rules[action, channel]:
                if place not in truths:
                    truths[place] = holds(snapshot.values, snapshot.now_ms)
                if truths[place] is not False:
                    found.setdefault(action, rule)
                    break
        return found


def _is_there(snapshot: Snapshot, place: int, units: int) -> bool:
    left = snapshot.values[place]
    return isinstance(left, int) and left >= units


def _is_about(rule: Guardrail, action: Action, channel: str) -> bool:
    about = rule.forbid
    asked: Iterable[tuple[Sequence[str], Sequence[str]]] = (
        (about.ids, (action.id,)),
        (about.kinds, (action.kind,)),
        (about.intents, action.intents),
        (about.groups, (action.group,)),
        (about.tags, action.tags),
        (about.channels, (channel,)),
    )
    return all(not wanted or any(word in wanted for word in has) for wanted, has in asked)


def reading(source: str, index: dict[str, int]) -> _Term:
    """Return the closure of a condition over the snapshot's values; an empty one always holds.

    `index` gives each field's place among the values. Raises ValueError for what this reader does not know.
    """
    try:
        return _Reader(source, index).condition()
    except (LookupError, SyntaxError) as error:
        raise ValueError(f"the independent check cannot read {source!r}") from error


class _Reader:
    """A parser by precedence; each term is a closure over the snapshot's values that gives None for unknown."""

    def __init__(self, source: str, index: dict[str, int]) -> None:
        self._index = index
        self._tokens = [(str(m.lastgroup), m[m.lastgroup or 0]) for m in _TOKEN.finditer(source.strip())]

    def condition(self) -> _Term:
        term = self._term(0) if self._tokens else _constant(True)
        if self._tokens:
            raise SyntaxError(self._tokens[0][1])
        return term

    def _next(self) -> tuple[str, str]:
        return self._tokens.pop(0)

    def _term(self, binds: int) -> _Term:
        left = self._owned(self._primary())
        while self._tokens and _BINDS.get(self._tokens[0][1], 0) > binds:
            sign = self._next()[1]
            left = self._choice(left) if sign == "?" else _combined(sign, left, self._term(_BINDS[sign]))
        return left

    def _owned(self, owner: _Term) -> _Term:
        while self._tokens and self._tokens[0][1] == ".":
            self._next()
            function = self._next()[1]
            self._next()
            owner = _strictly(_FUNCTIONS[function], owner, *self._list(")"))
        return owner

    def _choice(self, test: _Term) -> _Term:
        then = self._term(0)
        self._next()
        otherwise = self._term(0)
        return lambda v, now: None if (t := test(v, now)) is None else then(v, now) if t else otherwise(v, now)

    def _primary(self) -> _Term:
        kind, token = self._next()
        if kind == "number":
            return _constant(float(token) if any(c in token for c in ".eE") else int(token))
        if kind == "text" and _ODD_ESCAPE.search(token):
            raise SyntaxError(token)
        if kind == "text":
            return _constant(re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t", "r": "\r"}.get(m[1], m[1]), token[1:-1]))
        if kind == "name":
            return self._named(token)
        if token in "(":
            inner = self._term(0)
            self._next()
            return inner
        if token == "[":
            return _together(self._list("]"))
        if token not in ("!", "-"):
            raise SyntaxError(token)
        operand = self._term(7)
        return _strictly((lambda a: not a) if token == "!" else (lambda a: _bounded(-a)), operand)

    def _list(self, end: str) -> list[_Term]:
        items = []
        while self._tokens[0][1] != end:
            items.append(self._term(0))
            if self._tokens[0][1] == ",":
                self._next()
        self._next()
        return items

    def _named(self, name: str) -> _Term:
        if name in ("true", "false"):
            return _constant(name == "true")
        if name == "now":
            return lambda values, now: now
        if self._tokens and self._tokens[0][1] == "(":
            self._next()
            owner, _, function = name.rpartition(".")
            arguments = self._list(")")
            return _strictly(_FUNCTIONS[function], *([self._named(owner)] if owner else []), *arguments)
        place = self._index[name]
        return lambda values, now: values[place]


def _constant(value: object) -> _Term:
    return lambda values, now: value


def _together(items: list[_Term]) -> _Term:
    return _strictly(lambda *known: known, *items) if items else _constant(())


def _strictly(function: Callable[..., Any], *terms: _Term) -> _Term:
    if len(terms) == 2:
        left, right = terms

        def both(values: Sequence[Scalar | None], now: int) -> object:
            a, b = left(values, now), right(values, now)
            return None if a is None or b is None else function(a, b)

        return both

    def strict(values: Sequence[Scalar | None], now: int) -> object:
        known = [term(values, now) for term in terms]
        return None if None in known else function(*known)

    return strict


def _combined(sign: str, left: _Term, right: _Term) -> _Term:
    if sign in ("&&", "||"):
        decides = sign == "||"

        def either(values: Sequence[Scalar | None], now: int) -> bool | None:
            a, b = left(values, now), right(values, now)
            return decides if decides in (a, b) else None if a is None or b is None else not decides

        return either
    return _strictly(_OPERATORS[sign], left, right)


def _bounded(value: Any) -> Any:  # noqa: ANN401  any scalar passes through
    return None if type(value) is int and not -(1 << 63) <= value < 1 << 63 else value


def _over(a: Any, b: Any) -> Any:  # noqa: ANN401  whole numbers or doubles
    if type(a) is int:
        return None if b == 0 else _bounded(int(math.copysign(1, a) * math.copysign(1, b)) * (abs(a) // abs(b)))
    return a / b if b else math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def _duration(text: str) -> int:
    total = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|h|m|s)", text))
    return -total if text.startswith("-") else total


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "in": lambda a, b: a in b, "/": _over,
    "+": lambda a, b: _bounded(a + b), "-": lambda a, b: _bounded(a - b), "*": lambda a, b: _bounded(a * b),
    "%": lambda a, b: None if b == 0 else abs(a) % abs(b) * (-1 if a < 0 else 1),
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": len, "startsWith": str.startswith, "endsWith": str.endswith, "contains": lambda a, b: b in a,
    "double": float, "duration": _duration,
    "timestamp": lambda text: round(datetime.fromisoformat(text).timestamp() * 1000),
}  # fmt: skip
