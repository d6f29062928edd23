"""Who is one person with whom.

An alias and its person stand in two buckets, so a link is made and undone in steps of one bucket each. Whoever comes
across a step that was not followed by the next takes it (`settle`), so nobody waits for a process that died:

    link     mark    the alias points to the person; under it no decision is committed and no consent set any more
             join    the person lists the alias, counts its uses and keeps the stricter consent
    unlink   part    the alias turns away; it is nobody's until the last step
             leave   the person lists it no longer, and from then on commits nothing in its name
             free    the alias counts what was said while it was linked, and keeps the stricter consent

A link holds when both sides say so. docs/decisions/0010-identities.md has the rules.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from service.core.decision import Linked
from service.core.records import Person
from service.errors import CustomerErased, LinkRefused, StoreError
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.consents import CHANGES_KEPT
from service.store.link_words import Word, refusal_of
from service.store.retention import Retention, milliseconds
from service.store.stricter import packed_levels
from service.store.suppression import Suppression

SKEW_MS = 60_000
"""So far the clocks of two of the store's servers may differ; what was said then counts on both sides of an unlink."""
_ATTEMPTS = 8

_decode_aliases = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...]).decode


class _Mark(Struct, frozen=True):
    """An alias that points to its person: since when (as the store writes it), what it brings along, packed, the
    origin of the person who has its consent already, and whether it did not point there before.
    """

    since: bytes
    consent: bytes
    bound: bytes
    brought_to: bytes
    uses: bytes
    memory: bytes
    newly: bytes


class _Left(Struct, frozen=True):
    """A person whom an alias has left: what the alias takes along, packed, the person's origin where it left just now,
    whether the consent was set under the alias, and what is promised to the person by now.
    """

    word: Word
    consent: bytes = b""
    bound: bytes = b""
    uses: bytes = b""
    origin: bytes = b""
    told: bytes = b"0"
    memory: bytes = b""
    promised: bytes = b""


class Unsettled(StoreError):
    """The identities of a customer changed again and again while they were looked at."""


class IdentityStore:
    """Links identities and undoes links. Raises a `StoreError` when the store does not do it; repeating a call is safe.

    `purposes_by_level` and `lowest` say which of two consents is the stricter. With `mark_changes` a person who gets or
    loses an alias is noted as one whom models are to be asked about again.
    """

    def __init__(
        self,
        calls: Calls,
        purposes_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention,
        suppression: Suppression,
        mark_changes: bool = False,
    ) -> None:
        self._calls = calls
        self._erased = suppression.digest
        kept_ms = milliseconds(retention.context), milliseconds(retention.consent_history)
        self._kept = (*kept_ms, int(mark_changes))
        self._levels = packed_levels(purposes_by_level, lowest)

    async def link(self, alias: str, customer: str, deadline_s: float | None = None) -> bool:
        """Make `alias` an identity of `customer`; False when it was one already.

        Raises `LinkRefused` in words for the caller, and `CustomerErased` when one of them was erased; then nothing
        has changed.
        """
        if alias == customer:
            raise LinkRefused("alias_id is the same as customer_id; there is nothing to link.")
        return await self._linked(alias, customer, deadline_s)

    async def _linked(self, alias: str, customer: str, deadline_s: float | None, *, begun: bool = False) -> bool:
        """Take both steps of a link; where only one that was `begun` is to go on, none that was undone meanwhile."""
        for _ in range(_ATTEMPTS):
            mark = await self._mark(alias, customer, deadline_s, begun=begun)
            if mark is None:
                continue
            word = await self._join(customer, alias, mark, deadline_s)
            if word in (Word.LINKED, Word.REPEATED):
                return word is Word.LINKED or mark.newly == b"1"  # a reader may have taken the second step
            if word is not Word.LEAVING:
                await self._withdraw(alias, customer, mark.since, deadline_s)
                if word is not Word.FULL or not await self._tidied(customer, deadline_s):
                    raise refusal_of(word)
        raise Unsettled("The identities of a customer do not settle.")

    async def unlink(self, alias: str, customer: str = "", deadline_s: float | None = None) -> bool:
        """Undo the link of an alias, to whomever or only to `customer`; False when it was not linked.

        Raises `LinkRefused` for an id that is no alias but a customer with aliases, and for one of another customer.
        """
        word, *told = await self._step("part", alias, (customer, "u"), deadline_s)
        if word is Word.LEAVING:
            await self._finish(alias, told[0], deadline_s)
        elif word is not Word.ALONE:
            raise refusal_of(word, undoing=True)
        return word is Word.LEAVING

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases; what was half linked or unlinked is settled before."""
        name = customer
        for _ in range(_ATTEMPTS):
            word, told = await self._seen(name, deadline_s)
            if word is Word.ALONE and name == customer:
                return Person(name, ())
            if word is Word.LEAVING:
                await self._finish(name, told, deadline_s)
            elif word is Word.ALIAS and name == customer:
                name = told.decode()
                continue
            elif word is Word.PERSON:
                person = Person(name, await self._standing(name, _aliases(told), deadline_s))
                if customer in person.identities:
                    return person
            await self._retake(customer, name, deadline_s)
            name = customer
        raise Unsettled("The identities of a customer do not settle.")

    async def settle(self, alias: str, linked: Linked, deadline_s: float | None = None) -> None:
        """Take the steps that were not taken: those of an unlinking, or of a link that only the alias knows of."""
        if linked.leaving:
            await self._finish(alias, linked.leaving.encode(), deadline_s)
        else:
            await self._retake(alias, linked.person, deadline_s)

    async def member(
        self, person: str, alias: str, letters: str, decision_id: str | None, deadline_s: float | None = None
    ) -> tuple[dict[str, bytes], list[bytes] | None] | None:
        """Return an alias's groups and what was decided under it, as stored; None when it is no alias of the person."""
        place = [keys.context_key(alias)]
        if decision_id is not None:
            place += (keys.decision_key(decision_id), keys.log_key(decision_id[:3]))
        asking, started = ("identity_member", place, (alias, person, letters)), monotonic()
        reply = await self._calls.function(*asking, about=alias.encode(), length=4, deadline_s=deadline_s)
        if reply[3] is not None and self._calls.confirms:  # nobody is told of a decision that replicas lack
            left_s = None if deadline_s is None else deadline_s - (monotonic() - started)
            reply = await self._calls.function(
                *asking, about=alias.encode(), length=4, deadline_s=left_s, confirmed=True
            )
        if reply[1] != 1:
            return None
        groups = {letter: packed for letter, packed in zip(letters, reply[2], strict=True) if packed is not None}
        return groups, reply[3]

    async def forget(self, person: str, alias: str, since: int, deadline_s: float | None = None) -> None:
        """Take an alias off the list of a person who lists it although it is gone: its own record has expired."""
        await self._leave(person, alias, b"%d" % since, deadline_s)

    async def _standing(
        self, person: str, aliases: tuple[tuple[str, int], ...], deadline_s: float | None
    ) -> tuple[tuple[str, int], ...]:
        """Return the aliases that say so themselves; take the others, which have left or expired, off the list."""
        seen = await asyncio.gather(*(self._seen(alias, deadline_s) for alias, _ in aliases))
        standing = []
        for (alias, since), (word, told) in zip(aliases, seen, strict=True):
            if word is Word.ALIAS and told == person.encode():
                standing.append((alias, since))
            elif word is Word.LEAVING:
                await self._finish(alias, told, deadline_s)
            else:
                await self.forget(person, alias, since, deadline_s)
        return tuple(standing)

    async def _tidied(self, person: str, deadline_s: float | None) -> bool:
        """Take ids whose join came after they had left off a person's list; whether it is another list now."""
        word, told = await self._seen(person, deadline_s)
        if word is not Word.PERSON:
            return True
        listed = _aliases(told)
        return await self._standing(person, listed, deadline_s) != listed

    async def _retake(self, alias: str, person: str, deadline_s: float | None) -> None:
        if alias != person:
            try:
                await self._linked(alias, person, deadline_s, begun=True)
            except (LinkRefused, CustomerErased):
                return  # then the link was undone, or never was

    async def _mark(self, alias: str, customer: str, deadline_s: float | None, *, begun: bool) -> _Mark | None:
        """Point the alias to the customer; None when something else had to be ended first."""
        arguments = customer, secrets.token_urlsafe(6), int(begun)
        word, *told = await self._step("mark", alias, arguments, deadline_s)
        if word is Word.LEAVING:
            await self._finish(alias, told[0], deadline_s)
            return None
        if word is Word.PERSON and await self._tidied(alias, deadline_s):
            return None
        if word is not Word.LINKED:
            raise refusal_of(word)
        return _Mark(*told)

    async def _join(self, customer: str, alias: str, mark: _Mark, deadline_s: float | None) -> Word:
        arguments = (
            alias, mark.since, secrets.token_urlsafe(6), mark.consent, mark.bound, mark.brought_to, mark.uses,
            mark.memory, self._levels, CHANGES_KEPT,
        )  # fmt: skip
        word, *told = await self._step("join", customer, arguments, deadline_s)
        if word is Word.LEAVING:
            await self._finish(customer, told[0], deadline_s)
        return Word(word)

    async def _withdraw(self, alias: str, customer: str, since: bytes, deadline_s: float | None) -> None:
        """Undo a link that the customer refused, and none that was made later."""
        word, *told = await self._step("part", alias, (customer, "r", since), deadline_s)
        if word is Word.LEAVING:
            await self._finish(alias, told[0], deadline_s)

    async def _finish(self, alias: str, leaving: bytes, deadline_s: float | None) -> None:
        """Take the last two steps of an unlinking, or of a link that was refused: then the alias keeps what it had."""
        since, _, person = leaving[1:].partition(b" ")
        left = await self._leave(person.decode(), alias, since, deadline_s)
        if leaving.startswith(b"r") and left.word is Word.ABSENT:
            left = _Left(Word.ABSENT)
        person_said = left.consent, left.bound, left.uses, left.origin, left.told
        arguments = (since, *person_said, self._levels, CHANGES_KEPT, left.memory, left.promised)
        await self._step("free", alias, arguments, deadline_s)

    async def _leave(self, person: str, alias: str, since: bytes, deadline_s: float | None) -> _Left:
        return _Left(*await self._step("leave", person, (alias, since, SKEW_MS), deadline_s))

    async def _seen(self, customer: str, deadline_s: float | None) -> tuple[Word, bytes]:
        word, *told = await self._step("seen", customer, (), deadline_s)
        return word, told[0] if told else b""

    async def _step(self, name: str, customer: str, arguments: Sequence[Any], deadline_s: float | None) -> list[Any]:
        """Take one step in one bucket and return its word and what else it tells."""
        bucket = keys.bucket(customer)
        place = (
            keys.context_key(customer),
            keys.suppression_key(bucket),
            keys.history_key(customer),
            keys.changed_key(bucket),
            keys.heard_key(customer),
        )
        reply = await self._calls.function(
            f"identity_{name}", place, (customer, self._erased(customer), *self._kept, *arguments),
            about=customer.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        word, *told = reply[1]
        return [Word(word.decode()), *told]


def _aliases(packed: bytes) -> tuple[tuple[str, int], ...]:
    try:
        return _decode_aliases(packed)
    except msgspec.DecodeError:
        raise StoreUnreadable("The aliases of a customer cannot be read.") from None
