"""What the store says of a step that links or unlinks, and what that means to whoever asked."""

from __future__ import annotations

from enum import StrEnum

from service.errors import CustomerErased, LinkRefused

MOST_ALIASES = 16


class Word(StrEnum):
    """What a step answers with."""

    LINKED = "linked"
    REPEATED = "repeated"
    ALONE = "alone"
    ALIAS = "alias"
    PERSON = "person"
    LEAVING = "leaving"
    LEFT = "left"
    ABSENT = "absent"
    FREE = "free"
    ERASED = "erased"
    ELSEWHERE = "elsewhere"
    FULL = "full"


_REFUSED = {
    Word.ALONE: "alias_id was unlinked meanwhile.",
    Word.ELSEWHERE: "alias_id is linked to another customer; unlink it first.",
    Word.PERSON: "alias_id has aliases of its own; unlink them first, or link customer_id to it instead.",
    Word.ALIAS: "customer_id is itself an alias; link to the customer it is linked to.",
    Word.FULL: f"customer_id has {MOST_ALIASES} aliases, which is the most; unlink one first.",
}


def refusal_of(word: Word, *, undoing: bool = False) -> LinkRefused | CustomerErased:
    """Return why a link cannot be made, or undone, in words for the caller that name nobody."""
    if word is Word.ERASED:
        return CustomerErased("one of the two was erased")
    if undoing:
        what = "is linked to another customer" if word is Word.ELSEWHERE else "is no alias but a customer with aliases"
        return LinkRefused(f"alias_id {what}; name the alias, and leave customer_id out or name its customer.")
    return LinkRefused(_REFUSED[word])
