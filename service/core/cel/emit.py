"""Compile checked conditions into one Python function with three truth values.

Each distinct subexpression of all conditions is computed once. Unknown is None and spreads as in Kleene's logic and as
errors do in CEL (cel-spec, doc/langdef.md, "Logical Operators"): `false && unknown` is false, `true || unknown` is
true, and every other operation on unknown is unknown. So is what CEL calls an error: overflow of 64 bits, division by
zero, a moment beyond the years 1 to 9999, a span of more than 292 years.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from models.context import ContextSchema, Scalar
from service.core.cel.tree import Call, Const, ListOf, Name, Node, NotInLanguage

Truth = int | None
"""Whether a condition holds: True, False, or None where that is not known. Of a condition over actions there are two
instead, as masks: for which it holds, and for which it does not."""

Conditions = Callable[[Sequence[Scalar | None], int], tuple[Truth, ...]]
"""Given the snapshot's values in schema order and now in milliseconds, the truth of every condition."""

LANGUAGE = (
    "they know && || ! ?: == != < <= > >= + - * / % in, size(), startsWith(), endsWith(), contains(), "
    "double(), duration() and timestamp()"
)

_INT_MAX = (1 << 63) - 1
_YEAR_1_MS, _YEAR_10000_MS = -62_135_596_800_000, 253_402_300_800_000
_LONGEST_MS = 9_223_372_036_854  # CEL reckons spans in 64 bits of nanoseconds
_DURATION = re.compile(r"(-)?((?:\d+(?:h|m|s|ms))+)", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,3}0*)?(Z|[+-]\d\d:[0-5]\d)", re.ASCII)
_UNITS_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def _whole(value: int) -> int | None:
    return value if -_INT_MAX - 1 <= value <= _INT_MAX else None


def _moment(value: int) -> int | None:
    return value if _YEAR_1_MS <= value < _YEAR_10000_MS else None


def _span(value: int) -> int | None:
    return value if -_LONGEST_MS <= value <= _LONGEST_MS else None


def _divide_whole(a: int, b: int) -> int | None:
    if b == 0:
        return None
    quotient = abs(a) // abs(b)
    return _whole(quotient if (a < 0) == (b < 0) else -quotient)


def _remainder(a: int, b: int) -> int | None:
    if b == 0 or (b == -1 and a == -_INT_MAX - 1):
        return None
    return abs(a) % abs(b) * (-1 if a < 0 else 1)


def _divide(a: float, b: float) -> float:
    if b != 0.0:
        return a / b
    if a == 0.0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _same(a: object, b: object) -> bool:
    """Compare lists whose items may be no number: such an item equals nothing, itself included."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return a == b


def _among(item: object, items: Sequence[object]) -> bool:
    return any(_same(item, other) for other in items)


HELPERS: dict[str, object] = {
    "whole": _whole,
    "moment": _moment,
    "span": _span,
    "divide_whole": _divide_whole,
    "remainder": _remainder,
    "divide": _divide,
    "same": _same,
    "among": _among,
}

_COMPARED = ("bool", "int64", "double", "string", "timestamp", "duration")
STRICT: dict[str, str] = {
    "logical_not": "not {0}",
    "equals": "{0} == {1}",
    "not_equals": "{0} != {1}",
    **{f"less_{kind}": "{0} < {1}" for kind in _COMPARED},
    **{f"less_equals_{kind}": "{0} <= {1}" for kind in _COMPARED},
    **{f"greater_{kind}": "{0} > {1}" for kind in _COMPARED},
    **{f"greater_equals_{kind}": "{0} >= {1}" for kind in _COMPARED},
    "add_int64": "whole({0} + {1})",
    "subtract_int64": "whole({0} - {1})",
    "multiply_int64": "whole({0} * {1})",
    "divide_int64": "divide_whole({0}, {1})",
    "modulo_int64": "remainder({0}, {1})",
    "negate_int64": "whole(-{0})",
    "add_double": "{0} + {1}",
    "subtract_double": "{0} - {1}",
    "multiply_double": "{0} * {1}",
    "divide_double": "divide({0}, {1})",
    "negate_double": "-{0}",
    "int64_to_double": "float({0})",
    "add_string": "{0} + {1}",
    "add_timestamp_duration": "moment({0} + {1})",
    "add_duration_timestamp": "moment({0} + {1})",
    "add_duration_duration": "span({0} + {1})",
    "subtract_timestamp_timestamp": "span({0} - {1})",
    "subtract_timestamp_duration": "moment({0} - {1})",
    "subtract_duration_duration": "span({0} - {1})",
    "in_list": "{0} in {1}",
    "size_string": "len({0})",
    "size_list": "len({0})",
    "string_size": "len({0})",
    "list_size": "len({0})",
    "starts_with_string": "{0}.startswith({1})",
    "ends_with_string": "{0}.endswith({1})",
    "contains_string": "{1} in {0}",
}


_ITEM_BY_ITEM: dict[str, str] = {
    "equals": "same({0}, {1})",
    "not_equals": "not same({0}, {1})",
    "in_list": "among({0}, {1})",
}


class Program:
    """Collects conditions and writes one function over all of them, each distinct subexpression once.

    A term is either a literal in Python's spelling or the name of a variable that may be None. `given` holds the terms
    of what is computed elsewhere, and `letter` begins the names of variables.
    """

    def __init__(self, given: Mapping[Node, str] | None = None, letter: str = "t") -> None:
        self.lines: list[str] = []
        self.scope: dict[str, object] = dict(HELPERS)
        self._terms: dict[Node, str] = dict(given or {})
        self._fields: dict[str, str] = {}
        self._letter = letter

    def add(self, node: Node) -> str:
        """Add a tree and return its term. Raises NotInLanguage for an operation that is not supported."""
        if isinstance(node, Const):
            return self._literal(node)
        if node not in self._terms:
            self._terms[node] = self._compute(node)
        return self._terms[node]

    def compile(self, results: Sequence[str], schema: ContextSchema) -> Conditions:
        """Return the function that gives each of these terms, from a snapshot's values and now."""
        return self.over(results, schema.index)

    def over(self, results: Sequence[str], index: Mapping[str, int]) -> Conditions:
        """Return the function that gives each of these terms, from values that stand where `index` says, and now."""
        loads = [f"    {term} = values[{index[name]}]" for name, term in self._fields.items()]
        body = "\n".join([*loads, *(f"    {line}" for line in self.lines)])
        returned = "".join(f"{term}, " for term in results)
        source = f"def conditions(values, now):\n{body}\n    return ({returned})\n"
        scope = dict(self.scope)
        exec(compile(source, "<conditions>", "exec"), scope)  # noqa: S102  written above from a checked tree alone
        return scope["conditions"]  # type: ignore[return-value]  # exec gives no types

    def _compute(self, node: Name | ListOf | Call) -> str:
        if isinstance(node, Name):
            return self._load(node.id)
        if isinstance(node, ListOf):
            terms = [self.add(item) for item in node.items]
            together = "(" + "".join(f"{term}, " for term in terms) + ")"
            return together if _literals(terms) else self._assign(self._strict(together, terms))
        return self._call(node)

    def _load(self, name: str) -> str:
        if name == "now":
            return "now"
        return self._fields.setdefault(name, f"f{len(self._fields)}")

    def _call(self, node: Call) -> str:
        if node.overload in ("string_to_duration", "string_to_timestamp"):
            return _constant_time(node)
        terms = [self.add(arg) for arg in node.args]
        if node.overload == "logical_and":
            return self._connect(terms, "False", "True")
        if node.overload == "logical_or":
            return self._connect(terms, "True", "False")
        if node.overload == "conditional":
            test, then, otherwise = terms
            return self._assign(f"None if {test} is None else {then} if {test} else {otherwise}")
        if node.overload not in STRICT:
            raise NotInLanguage(f"{node.function.strip('_')}() as {node.overload or 'a dynamic call'}")
        return self._assign(self._strict(_spelling(node).format(*(f"({term})" for term in terms)), terms))

    def _connect(self, terms: list[str], decides: str, otherwise: str) -> str:
        a, b = terms
        known = f"None if {a} is None or {b} is None else {otherwise}"
        return self._assign(f"{decides} if {a} is {decides} or {b} is {decides} else {known}")

    def _strict(self, expression: str, terms: Sequence[str]) -> str:
        variables = [term for term in dict.fromkeys(terms) if not _literals([term]) and term != "now"]
        unknown = " or ".join(f"{term} is None" for term in variables)
        return f"None if {unknown} else {expression}" if unknown else expression

    def _literal(self, node: Const) -> str:
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise NotInLanguage("a number that is not finite")
        return f"({node.spelling})"

    def _assign(self, expression: str) -> str:
        name = f"{self._letter}{len(self.lines)}"
        self.lines.append(f"{name} = {expression}")
        return name


def _spelling(node: Call) -> str:
    """Return how Python says it: it takes no number to be itself in a list, where CEL takes it to be nothing."""
    if node.overload in _ITEM_BY_ITEM and any("(double" in arg.kind or "(list" in arg.kind for arg in node.args):
        return _ITEM_BY_ITEM[node.overload]
    return STRICT[node.overload]


def _literals(terms: Sequence[str]) -> bool:
    return all(term.startswith("(") for term in terms)


def _constant_time(node: Call) -> str:
    literal = node.args[0]
    if not isinstance(literal, Const) or not isinstance(literal.value, str):
        raise NotInLanguage(f"{node.function}() of anything but a text literal")
    if node.overload == "string_to_duration":
        return f"({duration_ms(literal.value)})"
    return f"({timestamp_ms(literal.value)})"


def duration_ms(text: str) -> int:
    """Return a CEL duration such as `1h30m` in milliseconds. Raises NotInLanguage for anything else."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise NotInLanguage(f"the duration {text!r} (write whole h, m, s or ms, such as '36h')")
    total = sum(int(n) * _UNITS_MS[unit] for n, unit in re.findall(r"(\d+)(ms|h|m|s)", found[2]))
    if _span(total) is None:
        raise NotInLanguage(f"the duration {text!r} (write at most 292 years)")
    return -total if found[1] else total


def timestamp_ms(text: str) -> int:
    """Return an RFC 3339 moment in milliseconds since 1970. Raises NotInLanguage for anything else."""
    refused = NotInLanguage(f"the timestamp {text!r} (write it as '2026-01-31T12:00:00Z')")
    try:
        at_ms = round(datetime.fromisoformat(text).timestamp() * 1000) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        raise refused from None
    if at_ms is None or _moment(at_ms) is None:
        raise refused
    return at_ms
