"""Parts of CEL whose cost has no small bound, or which mean something else here: refused by name, with a way out."""

from __future__ import annotations

import re
from collections.abc import Iterator

REMEDIES = {
    "exists": "to look for a text in a list write 'gold' in past.tiers",
    "all": "name what matters one by one, joined by &&",
    "exists_one": "to look for a text in a list write 'gold' in past.tiers",
    "map": "let an event fold into a field that holds what you need",
    "filter": "let an event fold into a field that holds what you need",
    "has": "what is not known makes a condition unknown by itself, so leave it out",
    "matches": "write startsWith(), endsWith(), contains() or ==",
}

_TEXT = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|//[^\n]*"
_CALL = re.compile(rf"(?:{_TEXT})|(?<![\w])({'|'.join(sorted(REMEDIES, key=len, reverse=True))})\s*\(")


def by_name(source: str) -> Iterator[tuple[str, int]]:
    """Yield (what is wrong and what to do, the offset at which it stands) for each macro and regular expression."""
    for found in _CALL.finditer(source):
        name = found[1]
        if name:
            what = "a regular expression" if name == "matches" else "a macro"
            remedy = REMEDIES[name]
            yield f"{name}() is {what}, which is no part of Tact's conditions; {remedy}", found.start(1)
