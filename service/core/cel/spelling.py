"""Write a part of a checked condition as CEL again, for explanations: the same condition, in one spelling."""

from __future__ import annotations

from service.core.cel.tree import Call, Const, ListOf, Name, Node

_SYMBOLS = {
    "_&&_": "&&", "_||_": "||", "_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=",
    "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "@in": "in", "_in_": "in",
}  # fmt: skip
_SIGNS = {"!_": "!", "-_": "-"}
_ASKED = frozenset({"starts_with_string", "ends_with_string", "contains_string", "string_size", "list_size"})
"""What is asked of a value, as `text.startsWith("a")`."""


def spelled(node: Node) -> str:
    """Return a part of a condition in CEL; what is nested stands in brackets."""
    if isinstance(node, Const):
        return str(node.value).lower() if isinstance(node.value, bool) else repr(node.value)
    if isinstance(node, Name):
        return node.id
    if isinstance(node, ListOf):
        return f"[{', '.join(map(spelled, node.items))}]"
    return _called(node)


def _called(node: Call) -> str:
    if node.function in _SYMBOLS:
        return f" {_SYMBOLS[node.function]} ".join(map(_nested, node.args))
    if node.function in _SIGNS:
        sign, inner = _SIGNS[node.function], _nested(node.args[0])
        apart = inner.startswith(sign) or isinstance(node.args[0], Const)  # else the two signs, or the literal, are one
        return f"{sign}({inner})" if apart else sign + inner
    if node.function == "_?_:_":
        test, then, otherwise = map(_nested, node.args)
        return f"{test} ? {then} : {otherwise}"
    told = list(map(spelled, node.args))
    if node.overload in _ASKED:
        return f"{_nested(node.args[0])}.{node.function}({', '.join(told[1:])})"
    return f"{node.function}({', '.join(told)})"


def _nested(node: Node) -> str:
    """Return a part that stands within another, in brackets where it is made of several."""
    written = spelled(node)
    simple = not isinstance(node, Call) or not (node.function in _SYMBOLS or node.function == "_?_:_")
    return written if simple else f"({written})"
