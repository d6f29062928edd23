"""How a condition over actions is computed: what depends on the customer, on the action, on both, and in which way."""

from __future__ import annotations

from enum import StrEnum

from service.core.cel.attributes import PREFIX
from service.core.cel.tree import Call, Name, Node, parts

ORDERING = ("less", "less_equals", "greater", "greater_equals")
COMPARING = ("equals", "not_equals", *ORDERING)
_HASHED = ("bool", "int", "double", "string", "timestamp", "duration", "list(string)")


class Way(StrEnum):
    """How a condition over actions is computed, by what it looks like."""

    CUSTOMER = "what is true of the customer holds for every action, or for none"
    ACTION = "what is true of the action is known beforehand"
    AND = "and"
    OR = "or"
    NOT = "not"
    CHOICE = "one of two conditions, by a third"
    TRUTHS = "two conditions compared"
    EQUAL = "a table of the actions that have a value"
    ITEM = "a table of the actions whose list has an item"
    ITEMS = "a table of the actions that have a value, for each item of a list"
    ORDERED = "a search in the values that actions have, in their order"
    COMPUTED = "computed for each distinct combination of values"


_CONNECTING = {
    "logical_and": Way.AND,
    "logical_or": Way.OR,
    "logical_not": Way.NOT,
    "conditional": Way.CHOICE,
}


def way(node: Node) -> Way:
    """Return how a condition over actions is computed."""
    if not about_actions(node):
        return Way.CUSTOMER
    if not about_customers(node) or not isinstance(node, Call):
        return Way.ACTION
    if node.overload in _CONNECTING and node.kind == "bool":
        return _CONNECTING[node.overload]
    if sign_of(node) in COMPARING and all(arg.kind == "bool" for arg in node.args):
        return Way.TRUTHS
    if len(node.args) != 2 or any(about_actions(arg) and about_customers(arg) for arg in node.args):
        return Way.COMPUTED
    return _compared(node)


def _compared(node: Call) -> Way:
    if node.args[0].kind in _HASHED:
        if node.overload in ("equals", "not_equals"):
            return Way.EQUAL
        if node.overload == "in_list":
            return Way.ITEMS if about_actions(node.args[0]) else Way.ITEM
    return Way.ORDERED if sign_of(node) in ORDERING else Way.COMPUTED


def about_actions(node: Node) -> bool:
    """Tell whether a term depends on the action that it is asked about."""
    return node.id.startswith(PREFIX) if isinstance(node, Name) else any(map(about_actions, parts(node)))


def about_customers(node: Node) -> bool:
    """Tell whether a term depends on the customer or the moment."""
    return not node.id.startswith(PREFIX) if isinstance(node, Name) else any(map(about_customers, parts(node)))


def sign_of(node: Call) -> str:
    """Return an overload without the type of what it compares, such as `less_equals`."""
    return node.overload.rpartition("_")[0] if node.overload.startswith(("less", "greater")) else node.overload
