"""Reasons as they are told: each once, with the end that is the latest."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from service.core.decision import Reason


def each_once(reasons: Iterable[Reason], others: Iterable[Reason] = ()) -> list[Reason]:
    """Return each rule's reason once, where it was first, and as the one that ends last; then what only `others` say.

    One rule holds back for several reasons where it counts apart what an action is in, such as its intents.
    """
    found: dict[tuple[object, ...], Reason] = {}
    for reason in reasons:
        key = (reason.code, reason.rule, reason.sentence, reason.fields)
        before = found.get(key)
        if before is None or _ends(before) < _ends(reason):
            found[key] = reason
    for reason in others:
        found.setdefault((reason.code, reason.rule, reason.sentence, reason.fields), reason)
    return list(found.values())


def _ends(reason: Reason) -> float:
    return inf if reason.until_ms is None else reason.until_ms
