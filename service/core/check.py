"""Check: a second, simple reading of the hard guardrails that looks at the answer alone.

It shares no code with the compiler of the rules: a condition is respelled as Python, which Python's own parser reads,
and written back with None for unknown. Values carry no types here, so a moment after the year 9999 is as any other.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from models.context import Purpose
from service.core.rules import CONTACT_PERMISSION, Guardrail, Kind, Selector, Valid
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy

STOCK, SWITCH, CONSENT = "stock", "switch", "consent"  # objections that are no rules, beside contact permission
_TOKEN = re.compile(
    r"""(?<![\w'"])(?:'(?:[^'\\\n\r]|\\['"\\ntr])*'|"(?:[^"\\\n\r]|\\['"\\ntr])*")(?!\s*['"])|['"]"""
    r"|&&|\|\||!(?!=)|[?:]|\b0[xX]|(?<!\w)(?P<name>[A-Za-z_]\w*)"
)
_SPELLED = {"&&": " and ", "||": " or ", "!": "~", "?": " if ", ":": " else ", "in": "in",
            "'": "$", '"': "$", "0x": "$", "0X": "$"}  # fmt: skip
_MS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


class Checker:
    """Knows the guardrails of one strategy, what is exempt from them, what actions consume, and nothing else."""

    def __init__(self, strategy: Strategy) -> None:
        index, rules = dict(strategy.schema.index), strategy.guardrails
        self._actions = {action.id: action for action in strategy.actions}
        self._needs = {a.id: (index[a.consumes.supply], a.consumes.units) for a in strategy.actions if a.consumes}
        read = [_read(rule.when.source, index) for rule in rules]
        general = ["_true" if "action." in text else text for text, _ in read]  # of an action it is asked later
        self._held = _compiled(f"sum(({''.join(f'({text} is not False) << {i}, ' for i, text in enumerate(general))}))")
        self._unasked: dict[tuple[str, str], list[Valid]] = {}
        self._rules: dict[tuple[str, str], list[tuple[int, Guardrail, Callable[..., Any], list[Valid]]]] = {}
        for action, on in ((action, channel.id) for action in strategy.actions for channel in strategy.channels):
            free = [(e.exempt_from, e.valid) for e in strategy.exemptions if _means(e.actions, action, on)]
            self._unasked[action.id, on] = [valid for names, valid in free if CONTACT_PERMISSION in names]
            self._rules[action.id, on] = [
                (1 << place, rule, read[place][1], [valid for names, valid in free if rule.id in names])
                for place, rule in enumerate(rules) if _means(rule.forbid, action, on)
            ]  # fmt: skip
        self._bits = {key: sum(entry[0] for entry in found) for key, found in self._rules.items()}

    def objections(self, actions: Iterable[str], at: Snapshot, channel: str) -> dict[str, str]:
        """Return the actions that are forbidden here, each with a guardrail that forbids it or with what is lacking."""
        held = self._held(at.values, at.now_ms)  # a bit for each guardrail that is not known not to hold
        return {action: rule for action in actions if (rule := self._objection((action, channel), at, held))}

    def _objection(self, key: tuple[str, str], at: Snapshot, held: int) -> str:
        action, now_ms = self._actions.get(key[0]), at.now_ms
        if at.off.everything or action is None or action.id in at.off.actions:
            return SWITCH
        if not at.permitted and not _any_runs(self._unasked[key], now_ms):
            return CONTACT_PERMISSION
        if action.kind is Kind.OFFER and Purpose.PERSONALIZATION not in at.level.purposes:
            return CONSENT
        for bit, rule, holds, free in self._rules[key] if held & self._bits[key] else ():
            in_force = held & bit and _any_runs((rule.valid,), now_ms) and not _any_runs(free, now_ms)
            if in_force and holds(at.values, now_ms, action) is not False:
                return rule.id
        supply, units = self._needs.get(action.id, (None, 0))
        left = 0 if supply is None else at.values[supply]
        return "" if isinstance(left, int) and left >= units else STOCK


def _any_runs(spans: Iterable[Valid], now_ms: int) -> bool:
    return any((v.from_ms or now_ms) <= now_ms and (v.until_ms is None or now_ms < v.until_ms) for v in spans)


def _means(about: Selector, action: Action, channel: str) -> bool:
    asked = ((about.ids, (action.id,)), (about.kinds, (action.kind,)), (about.intents, action.intents),
             (about.groups, (action.group,)), (about.tags, action.tags), (about.channels, (channel,)))  # fmt: skip
    return all(not wanted or any(word in wanted for word in has) for wanted, has in asked)


def reading(source: str, index: Mapping[str, int]) -> Callable[..., Any]:
    """Return what a condition says of values (placed by `index`), now (ms), an action; ValueError if it is not read."""
    return _read(source, index)[1]


def _read(source: str, index: Mapping[str, int]) -> tuple[str, Callable[..., Any]]:
    try:
        # No name is a word of Python's once it begins with _, and no quote of a text that is odd is left.
        python = _TOKEN.sub(lambda found: _SPELLED.get(found[0], "_" * bool(found["name"]) + found[0]), source)
        text = _text(ast.parse(f"({python.strip() or '_true'}\n)", mode="eval").body, index, 0)
        return text, _compiled(text)
    except (LookupError, MemoryError, RecursionError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"the independent check cannot read {source!r}") from error


def _compiled(text: str) -> Any:  # noqa: ANN401  eval gives no types
    return eval(f"lambda values, _now, action=None: {text}", _SCOPE)  # noqa: S307  written by _text alone


def _text(node: ast.expr, index: Mapping[str, int], depth: int) -> str:
    children = list(ast.iter_child_nodes(node))
    parts = [child for child in children if isinstance(child, ast.expr)]
    kind = "".join(type(child).__name__ for child in children if child not in parts).removesuffix("Load")
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return f"({value!r})"
        case ast.Name(id="_now" | "_true" | "_false" as name):
            return name
        case ast.Attribute(value=ast.Name(id="_action"), attr=name):
            built_in = name[1:] in ("id", "kind", "group", "intents", "tags", "value", "reward", "cost")
            return f"action.{name[1:]}" if built_in else f"dict(action.attributes).get({name[1:]!r})"
        case ast.Attribute():
            return f"values[{index[ast.unparse(node).removeprefix('_').replace('._', '.')]}]"
        case ast.Call(func=ast.Attribute(value=owner, attr=kind), args=others, keywords=[]):
            parts = [owner, *others]
        case ast.Call(func=ast.Name(id=kind), args=parts, keywords=[]):
            pass
    python, terms = _PYTHON[kind or type(node).__name__], [_text(part, index, depth + 1) for part in parts]
    if isinstance(node, ast.IfExp):  # `test ? then : otherwise` came as `test if then else otherwise`
        return f"(None if (x{depth} := {terms[1]}) is None else {terms[0]} if x{depth} else {terms[2]})"
    names = [terms[i] if isinstance(part, ast.Constant) else f"x{depth}_{i}" for i, part in enumerate(parts)]
    loads = [f"({name} := {terms[i]})" for i, name in enumerate(names) if name != terms[i]]
    if kind in ("And", "Or"):
        decided, unknown = (" or ".join(f"{x} is {y}" for x in xs) for xs, y in ((loads, python), (names, "None")))
        return f"({python} if {decided} else None if {unknown} else {python == 'False'})"
    lacking = " or ".join(f"{load} is None" for load in loads) or "False"
    text = f"(None if {lacking} else {python.format(*names, all=''.join(f'{name}, ' for name in names))})"
    return f"({_compiled(text)((), 0)!r})" if all(isinstance(part, ast.Constant) for part in parts) else text


_PYTHON = {
    "And": "False", "Or": "True", "IfExp": "", "List": "(*map(fresh, ({all})),)", "Invert": "not {}", "Eq": "{} == {}",
    "USub": "whole(-{})", "NotEq": "{} != {}", "Lt": "{} < {}", "LtE": "{} <= {}", "Gt": "{} > {}", "GtE": "{} >= {}",
    "In": "{0} == {0} and {0} in {1}", "Add": "whole({} + {})", "Sub": "whole({} - {})", "Mult": "whole({} * {})",
    "Mod": "(None if whole(over({0}, {1})) is None else abs({0}) % abs({1}) * (-1 if {0} < 0 else 1))",
    "_size": "len({})", "_startsWith": "{}.startswith({})", "_endsWith": "{}.endswith({})", "_contains": "{1} in {0}",
    "_double": "float({})", "_duration": "span({})", "_timestamp": "moment({})", "Div": "whole(over({}, {}))",
}  # fmt: skip
_SCOPE: dict[str, Any] = {
    "_true": True, "_false": False, "inf": math.inf, "nan": math.nan,
    "whole": lambda a: None if type(a) is int and not -(1 << 63) <= a < 1 << 63 else a,
    "over": lambda a, b: (a / b if b else a * math.copysign(math.inf, b)) if not type(a) is type(b) is int else (
        None if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)),
    "span": lambda t: (-1 if t[0] == "-" else 1) * sum(int(n) * _MS[unit] for n, unit in re.findall(r"(\d+)(\D+)", t)),
    "fresh": lambda a: a if a == a else float("nan"),  # tuples take what is the same for equal; no two of these are
    "moment": lambda text: round(datetime.fromisoformat(text).timestamp() * 1000),
}  # fmt: skip
